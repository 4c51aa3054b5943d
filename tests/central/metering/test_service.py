"""Figures from stored readings, against sums made by hand of the real load data and of made-up days."""

import random
import struct
from datetime import date
from fractions import Fraction

import pytest
from sqlalchemy import update

from central.errors import Refused
from central.ingest.commit import Committer
from central.metering import service
from central.registry import changes
from central.registry.kinds import METER
from central.registry.models import Meter
from central.registry.service import MeterView, get_meter
from central.store.engine import Database
from shared.quantities import Quantity
from shared.wire import InstantSnapshot, Item, MeterEvent, RegisterReading, RegisterValue
from tests.central.samples import MIDNIGHT, block, delivery, enter_tenant, person, tenant_id

ACTIVE = Quantity(1, 29)


async def store(database: Database, items: list[Item], zone: str = "America/Sao_Paulo") -> None:
    await enter_tenant(database, zone=zone)
    await Committer(database).commit([delivery(items)])


async def view_of(database: Database, key: str = "m") -> MeterView:
    async with database.read() as session:
        return await get_meter(session, await tenant_id(session), key)


async def test_consumption_by_post(database: Database) -> None:
    """March 2026: each working day 18 to 21 is peak; counts are 1 off-peak and 10 peak, one interval is missing."""
    values: list[int | None] = []
    for day in range(31):
        working = date(2026, 3, 1 + day).weekday() < 5
        values += [10 if working and 72 <= i < 84 else 1 for i in range(96)]
    values[96 + 73] = None  # Monday 2nd, 18:15
    values[96 + 80] = 25  # 20:00, the maximum
    await store(database, [block("m", MIDNIGHT - 86400, values, num=1, den=4)])
    view = await view_of(database)
    async with database.read() as session:
        months = await service.consumption_by_post(session, view, now=MIDNIGHT - 86400 + 31 * 86400)
    assert [month.first for month in months] == [date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)]
    march = months[1]
    assert march.unit == "kWh"
    assert march.demand_unit == "kW"
    peak, off_peak = march.posts[1], march.posts[2]
    assert (peak.raw, peak.gaps, peak.intervals) == (22 * 120 - 10 + 15, 1, 22 * 12 - 1)
    assert peak.energy == Fraction(peak.raw, 4)
    assert off_peak.raw == 31 * 96 - 22 * 12
    assert march.posts[0].gaps == 1
    assert not march.complete
    assert peak.maximum is not None
    assert (peak.maximum.at, peak.maximum.seconds) == (MIDNIGHT + 80 * 900, 900)
    assert peak.maximum.value == Fraction(25)
    assert peak.load_factor == Fraction(peak.raw, peak.intervals * 25)
    assert march.posts[0].load_factor == Fraction(march.posts[0].raw, march.posts[0].intervals * 25)
    assert months[0].posts[0].load_factor is None
    assert months[0].posts[0].gaps == months[0].expected == 28 * 96
    assert months[2].expected == 0


async def test_counts_whose_sum_would_not_be_exact_are_refused(database: Database) -> None:
    await store(database, [block("m", MIDNIGHT, [1, 2**60, 3])])
    view = await view_of(database)
    async with database.read() as session:
        with pytest.raises(Refused, match=f"has {2**60} counts"):
            await service.consumption_by_post(session, view, now=MIDNIGHT + 86400)


async def test_availability(database: Database) -> None:
    values: list[int | None] = [1] * 96 + [None] * 10 + [2] * 86 + [3] * 5
    reading = RegisterReading("m", MIDNIGHT + 3600, MIDNIGHT + 3605, 0, [RegisterValue("1.8.0", 5)])
    await store(database, [block("m", MIDNIGHT, values), reading])
    view = await view_of(database)
    async with database.read() as session:
        days = await service.availability(session, view, 2026, 3, now=MIDNIGHT + 2 * 86400 + 10 * 900)
    found = [(day.day.day, day.expected, day.held, day.missing, day.registers) for day in days[:5]]
    assert found == [
        (1, 96, 0, 96, False),
        (2, 96, 96, 0, True),
        (3, 96, 86, 10, False),
        (4, 10, 5, 5, False),
        (5, 0, 0, 0, False),
    ]
    assert days[4].share is None
    assert len(days) == 31


async def test_profile_of_several_steps_and_scales(database: Database) -> None:
    """The step changes from 15 to 5 minutes in a day, and the scale with it: one exact series in the coarser step."""
    items: list[Item] = [
        block("m", MIDNIGHT, [4] * 48, num=1, den=10),
        block("m", MIDNIGHT + 48 * 900, [None, 2, 2, *[1] * 141], step=300, num=1, den=4),
    ]
    await store(database, items)
    view = await view_of(database)
    async with database.read() as session:
        series = await service.profile(session, view, ACTIVE, MIDNIGHT, MIDNIGHT + 86400)
        totals = await service.day_totals(session, view, ACTIVE, date(2026, 3, 1), date(2026, 3, 3))
    assert (series.step, series.num, series.den, len(series.values)) == (900, 1, 20, 96)
    assert series.values.tolist() == [8] * 48 + [0] + [15] * 47
    assert series.held.tolist() == [True] * 48 + [False] + [True] * 47
    assert sum(total.value for total in totals) == Fraction(48 * 4, 10) + Fraction(4 + 141, 4)


async def test_multiplier_and_bounds(database: Database) -> None:
    await store(database, [block("m", MIDNIGHT, [100] * 4)])
    async with database.write() as session:
        await session.execute(update(Meter).values(multiplier_num=350, multiplier_den=3))
    view = await view_of(database)
    async with database.read() as session:
        series = await service.profile(session, view, ACTIVE, MIDNIGHT, MIDNIGHT + 3600)
        assert Fraction(series.num, series.den) == Fraction(350, 300)
        assert series.units().tolist() == pytest.approx([350 / 3] * 4)
        assert series.power().tolist() == pytest.approx([1400 / 3] * 4)
        for start, end in ((5, 5), (0, 2_000_000_000)):
            with pytest.raises(Refused):
                await service.profile(session, view, ACTIVE, start, end)
        channels = await service.channels(session, view)
    assert [(each.quantity, each.first, each.last, each.step) for each in channels] == [
        (ACTIVE, date(2026, 3, 2), date(2026, 3, 2), 900)
    ]


async def test_events_and_registers_in_pages(database: Database) -> None:
    items: list[Item] = [MeterEvent("m", MIDNIGHT + i // 2, "outage", None, {"n": i}) for i in range(25)]
    items += [RegisterReading("m", MIDNIGHT + i, MIDNIGHT + i, i % 2, [RegisterValue("1.8.0", i)]) for i in range(12)]
    await store(database, items)
    view = await view_of(database)
    async with database.read() as session:
        seen = []
        after: str | None = None
        while True:
            page = await service.events(session, view.meter.tenant_id, meter_id=view.meter.id, after=after, limit=7)
            seen += [event.detail["n"] for event in page.items]
            after = page.next
            if after is None:
                break
        assert sorted(seen) == list(range(25))
        assert seen[0] == 24
        readings = await service.register_readings(session, view, period=1, limit=4)
        assert [reading.at - MIDNIGHT for reading in readings.items] == [11, 9, 7, 5]
        rest = await service.register_readings(session, view, period=1, limit=4, after=readings.next)
        assert ([reading.at - MIDNIGHT for reading in rest.items], rest.next) == ([3, 1], None)
        last = await service.last_registers(session, view)
        assert last is not None
        assert last.at == MIDNIGHT + 10
        with pytest.raises(Refused):
            await service.events(session, view.meter.tenant_id, after="x")


async def test_end_of_an_event_is_filled_in(database: Database) -> None:
    await store(database, [MeterEvent("m", MIDNIGHT, "outage"), MeterEvent("m", MIDNIGHT + 5, "outage", MIDNIGHT + 6)])
    later = [MeterEvent("m", MIDNIGHT, "outage", MIDNIGHT + 90), MeterEvent("m", MIDNIGHT + 5, "outage")]
    await Committer(database).commit([delivery(later, first=3)])
    async with database.read() as session:
        page = await service.events(session, await tenant_id(session))
    assert [(event.at - MIDNIGHT, event.until) for event in page.items] == [(5, MIDNIGHT + 6), (0, MIDNIGHT + 90)]


async def test_snapshot(database: Database) -> None:
    values = struct.pack("<3f", 127.5, float("nan"), -3.25)
    await store(database, [InstantSnapshot("m", MIDNIGHT, ["32.7.0", "52.7.0", "1.7.0"], values)])
    view = await view_of(database)
    async with database.read() as session:
        snapshot = await service.last_snapshot(session, view)
        assert snapshot is not None
        assert (snapshot["32.7.0"], snapshot["52.7.0"], snapshot["1.7.0"], snapshot["72.7.0"]) == (
            127.5,
            None,
            -3.25,
            None,
        )
        assert await service.snapshots(session, view, MIDNIGHT, MIDNIGHT + 1) == [snapshot]


@pytest.mark.parametrize(("last", "verdict"), [(1000 + 40, "agrees"), (1000 + 45, "agrees"), (1000 + 60, "differs")])
async def test_register_check(database: Database, last: int, verdict: str) -> None:
    """Ten per quarter hour: an hour is 40, and up to 10 more for the interval that the end cuts."""
    readings: list[Item] = [
        RegisterReading("m", MIDNIGHT, MIDNIGHT, 0, [RegisterValue("1.8.0", 1000, 1, 100)]),
        RegisterReading("m", MIDNIGHT + 3700, MIDNIGHT + 3700, 0, [RegisterValue("1.8.0", last, 1, 100)]),
    ]
    await store(database, [block("m", MIDNIGHT, [10] * 8), *readings])
    view = await view_of(database)
    async with database.read() as session:
        check = await service.register_check(session, view, MIDNIGHT, MIDNIGHT + 86400)
        assert check is not None
        assert (check.verdict, check.low, check.high, check.missing) == (
            verdict,
            Fraction(40, 100),
            Fraction(50, 100),
            0,
        )


async def test_corrections_are_versions(database: Database) -> None:
    await store(database, [block("m", MIDNIGHT, [1, 2, 3]), block("m", MIDNIGHT, [1, 7]), block("m", MIDNIGHT, [1, 7])])
    view = await view_of(database)
    async with database.read() as session:
        series = await service.profile(session, view, ACTIVE, MIDNIGHT, MIDNIGHT + 2700)
        assert series.values.tolist() == [1, 7, 3]
        (version,) = await service.versions(session, view, ACTIVE, date(2026, 3, 2))
    assert (version.version, version.source) == (1, "gateway gw1")


async def test_zone_of_a_meter_with_data(database: Database) -> None:
    """Its days are cut anew: the same values, other days."""
    values = [random.Random(1).randint(0, 99) for _ in range(96 * 3)]
    await store(database, [block("m", MIDNIGHT, values)])
    view = await view_of(database)
    async with database.write() as session:
        await changes.patch(session, person(view.meter.tenant_id), METER, view.meter.key, {"zone": "America/Manaus"})
    view = await view_of(database)
    assert view.zone == "America/Manaus"
    async with database.read() as session:
        series = await service.profile(session, view, ACTIVE, MIDNIGHT, MIDNIGHT + 3 * 86400)
        assert series.values.tolist() == values
        days = await service.day_totals(session, view, ACTIVE, date(2026, 2, 1), date(2026, 4, 1))
    assert [(day.day, day.held) for day in days] == [
        (date(2026, 3, 1), 4), (date(2026, 3, 2), 96), (date(2026, 3, 3), 96), (date(2026, 3, 4), 92),
    ]  # fmt: skip
    await Committer(database).commit([delivery([block("m", MIDNIGHT + 3 * 86400, [5])], first=2)])
    async with database.read() as session:
        days = await service.day_totals(session, view, ACTIVE, date(2026, 3, 4), date(2026, 3, 4))
    assert days[0].held == 93
