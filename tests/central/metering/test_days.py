"""What ingest makes of profile blocks, on both databases, against merging them one by one in memory."""

import random
import tracemalloc
from array import array
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import func, select

from central.errors import Refused
from central.ingest.commit import Committer
from central.ingest.models import Rejected
from central.metering import service
from central.metering.blocks import Day, cut, figures, merge, unpack_day
from central.metering.day_rows import packed_days
from central.metering.days import Blocks
from central.metering.models import DAYS, ProfileDay, ProfileSeries, ProfileVersion
from central.metering.stored import DAY, days, ever
from central.registry import changes
from central.registry.kinds import METER
from central.registry.models import Meter
from central.registry.service import get_meter
from central.store.engine import Database
from shared.quality import Quality
from shared.quantities import ACTIVE_PROFILE
from shared.wire import ProfileBlock
from tests.central.samples import MIDNIGHT, block, delivery, enter_tenant, person, tenant_id

ZONE = "America/Sao_Paulo"


async def count_of(database: Database, table: Any) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_a_day_without_a_value_is_not_held(database: Database) -> None:
    """Whole or in part, nothing but "missing" is what stood there before: no row. With a mark beside it, it is news."""
    await enter_tenant(database)
    committer = Committer(database)
    await committer.commit([delivery([block("m1", MIDNIGHT, [None] * 96), block("m2", MIDNIGHT, [None] * 3)])])
    assert await count_of(database, ProfileDay) == 0
    outage = int(Quality.MISSING | Quality.OUTAGE)
    await committer.commit([delivery([block("m1", MIDNIGHT, [0] * 96, flags=outage)], 3)])
    async with database.read() as session:
        assert (await session.scalars(select(ProfileDay.flags))).all() == [outage]


async def test_versions_go_on_after_those_of_a_day_that_moved_away(database: Database) -> None:
    """The first hour of a day becomes another day's by a new zone; corrections there have the next numbers."""
    await enter_tenant(database)
    committer = Committer(database)
    await committer.commit([delivery([block("m1", MIDNIGHT, [1, 2]), block("m1", MIDNIGHT, [1, 3])])])
    async with database.write() as session:
        tenant = await tenant_id(session)
        await changes.patch(session, person(tenant), METER, "m1", {"zone": "America/Manaus"})
    midday = MIDNIGHT + 43200
    for number, value in enumerate((5, 6, 7), 3):
        await committer.commit([delivery([block("m1", midday, [value])], number)])
    async with database.read() as session:
        assert (await session.scalars(select(Rejected.reason))).all() == []
        view = await get_meter(session, tenant, "m1")
        kept = await service.versions(session, view, ACTIVE_PROFILE, date(2026, 3, 2))
        assert [version.version for version in kept] == [3, 2, 1]
        assert 4 in (await session.scalars(select(ProfileDay.version))).all(), "what is in force comes after them"
        series = await service.profile(session, view, ACTIVE_PROFILE, midday, midday + 900)
        assert series.values.tolist() == [7]


@dataclass
class Model:
    """Days of one meter as merging block after block makes them, and the versions that it replaces."""

    days: dict[tuple[int, int], Day] = field(default_factory=dict)
    versions: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def take(self, each: ProfileBlock, late: bool) -> None:
        for part in cut(each, ZONE):
            place = part.day, part.step
            held = self.days.get(place)
            day = held.copy() if held else Day.empty(part)
            before = day.copy()
            outcome = merge(day, part, late)
            if outcome.corrected:
                self.versions.setdefault(place, []).append(sum(before.values))
                day.version += 1
            if outcome.contradicted:
                self.versions.setdefault(place, []).append(sum(part.values))
                day.version += 1
            if outcome.changed or outcome.contradicted:
                self.days[place] = day


def exact(day: Day) -> list[Fraction]:
    """A day's values in the unit: blocks that change nothing may change a day's scale."""
    return [value * Fraction(day.num, day.den) for value in day.values]


def some_blocks(rng: random.Random) -> list[tuple[ProfileBlock, bool]]:
    """A transaction: whole days, parts of them, several days; two steps, three scales; some late, some of no value."""
    found = []
    for _ in range(rng.randint(1, 6)):
        step = rng.choice((900, 900, 900, 3600))
        whole = 86400 // step
        at, count = (
            rng.choice(((0, whole), (0, whole), (rng.randrange(whole), rng.randint(1, 9)), (4, 2 * whole)))
            if rng.random() < 0.8
            else (-3, whole)
        )
        values = [None if rng.random() < 0.1 else rng.choice((4, 4, 4, 8)) for _ in range(count)]
        values = [None] * count if rng.random() < 0.1 else values
        start = MIDNIGHT + 86400 * rng.randrange(3) + step * at
        flags = rng.choice((0, 0, int(Quality.ESTIMATED), int(Quality.UNRECONCILED)))
        num, den = rng.choice(((1, 100), (1, 100), (1, 100), (2, 200), (1, 40)))
        found.append((block("m", start, values, flags=flags, step=step, num=num, den=den), rng.random() < 0.3))
    return found + found[:1] * rng.randint(0, 1)


@pytest.mark.parametrize("seed", range(4))
async def test_any_blocks_as_one_by_one(database: Database, seed: int) -> None:
    """Whatever way a block takes through the program, days and versions are those of plain merging."""
    tenant = await enter_tenant(database)
    rng, model = random.Random(seed), Model()
    for _ in range(25):
        blocks = Blocks()
        for each, late in some_blocks(rng):
            blocks.add(tenant, 1, ZONE, each, late, "test")
            model.take(each, late)
        async with database.write() as session:
            await blocks.store(session, 0)
    columns = (
        DAY, ProfileSeries.step, ProfileSeries.shift, ProfileSeries.num, ProfileSeries.den, ProfileDay.version,
        ProfileDay.held, ProfileDay.flags, ProfileDay.total, ProfileDay.data,
    )  # fmt: skip
    async with database.read() as session:
        rows = (await session.execute(days(*columns, within=ever()))).all()
        kept = (await session.execute(select(ProfileVersion.day, ProfileVersion.step, ProfileVersion.data))).all()
    assert len(rows) == len(model.days)
    assert len(model.days) >= 6
    for number, step, shift, num, den, version, held, flags, total, data in rows:
        day, found = model.days[number, step], unpack_day(number * 86400 + shift, num, den, version, data)
        assert (found.start, found.step, found.version, found.flags) == (day.start, day.step, day.version, day.flags)
        assert exact(found) == exact(day)
        (reckoned,) = figures(found.values, found.flags, array("q", [len(found.values)]))
        assert (held, flags, total) == reckoned
    assert len(kept) == sum(map(len, model.versions.values())) > 5


async def test_many_long_days_are_not_unpacked_all_at_once(database: Database) -> None:
    """Sixty days of seconds that are always the same take some hundred octets each, and 50 MB unpacked."""
    tenant = await enter_tenant(database)
    blocks = Blocks()
    for number in range(60):
        blocks.add(tenant, 1, ZONE, block("m", MIDNIGHT + 86400 * number, [5] * 86400, step=1), False, "test")
    async with database.write() as session:
        tracemalloc.start()
        await blocks.store(session, 0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 20 << 20
    async with database.read() as session:
        assert set((await session.scalars(select(ProfileDay.total))).all()) == {5 * 86400}


async def test_packed_days_are_never_another_series(database: Database) -> None:
    """Dates that no key holds have no data in sums either: before, those of the series next to it came out."""
    await enter_tenant(database)
    await Committer(database).commit([delivery([block(name, MIDNIGHT, [7] * 96) for name in ("m1", "m2", "m3")])])
    async with database.read() as session:
        series = sorted((await session.scalars(select(ProfileSeries.id))).all())
        assert await packed_days(session, series[1:2], date(2150, 1, 1), date(2300, 1, 1)) == []
        assert await packed_days(session, series[1:2], date(1700, 1, 1), date(1969, 12, 31)) == []
        (own,) = await packed_days(session, series[1:2], date(1700, 1, 1), date(2300, 1, 1))
        assert own[0] // DAYS == series[1]


async def move(database: Database, meter: Meter, zone: str) -> None:
    """As an administrator does: in one transaction."""
    async with database.write() as session:
        await changes.patch(session, person(meter.tenant_id), METER, meter.key, {"zone": zone})


async def test_a_zone_that_would_leave_a_day_without_a_key_is_refused(database: Database) -> None:
    """A meter that once stood at 1970-01-01 UTC cannot be moved west of it; nothing of it changes."""
    await enter_tenant(database, zone="UTC")
    await Committer(database).commit([delivery([block("m", 0, [1, 2])])])
    async with database.read() as session:
        view = await get_meter(session, await tenant_id(session), "m")
    with pytest.raises(Refused, match=r"zone: .*1969-12-31 is outside"):
        await move(database, view.meter, ZONE)
    async with database.read() as session:
        assert (await session.scalars(select(ProfileDay.total))).all() == [3]
