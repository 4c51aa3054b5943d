"""Billing periods of stored meters: which readings are taken, what stands in where there are none."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import select

from central.errors import Refused
from central.ingest.commit import Committer
from central.metering import bills
from central.metering.bill_view import Maximum
from central.metering.calendar_month import calendar_month
from central.metering.models import MeterMonth
from central.metering.month_energy import month_energy
from central.registry.models import Customer, Installation, Lot, LotDate, Meter, MeteringPoint
from central.registry.service import MeterView, get_meter
from central.store.engine import Database
from shared.intervals import day_start, zone
from shared.wire import Item, RegisterReading, RegisterValue
from tests.central.samples import block, delivery, enter_tenant, tenant_id

TZ = zone("America/Sao_Paulo")
NOW = day_start(date(2026, 11, 25), TZ) + 20 * 3600
HOUR = 3600
DAYS = [date(2026, 8, 20) + timedelta(days=n) for n in range(98)]


def at(day: date, hours: int = 0) -> int:
    return day_start(day, TZ) + hours * HOUR


def reading(day: date, peak: int, off_peak: int, maximum: tuple[int, int] | None = None) -> RegisterReading:
    """At one in the morning; Wh, and the maximum of the peak in tens of W."""
    values = [RegisterValue("1.8.1", peak, 1, 1000), RegisterValue("1.8.2", off_peak, 1, 1000)]
    if maximum:
        values += [RegisterValue(f"1.6.{post}", maximum[0], 1, 100, maximum[1]) for post in (1, 2)]
    return RegisterReading("m", at(day, 1), at(day, 1) + 5, 0, values)


async def store(database: Database, items: Sequence[Item], *, lot: bool = True, ratio: int = 1) -> MeterView:
    await enter_tenant(database)
    await Committer(database).commit([delivery(items)])
    async with database.write() as session:
        tenant = await tenant_id(session)
        meter = await session.scalar(select(Meter).where(Meter.key == "m"))
        assert meter is not None
        meter.multiplier_num = ratio
        if lot:
            red = Lot(tenant_id=tenant, key="red", name="Red", reading_day=28)
            session.add(red)
            await session.flush()
            session.add(
                LotDate(lot_id=red.id, month=2026 * 12 + 9, due_on=(date(2026, 10, 26) - date(1970, 1, 1)).days)
            )
            customer = Customer(tenant_id=tenant, external_key="c", name="C", lot_id=red.id, created_at=0)
            session.add(customer)
            await session.flush()
            point = MeteringPoint(tenant_id=tenant, key="p", name="P", customer_id=customer.id, created_at=0)
            session.add(point)
            await session.flush()
            session.add(Installation(tenant_id=tenant, meter_id=meter.id, point_id=point.id, starts_at=0))
    async with database.read() as session:
        return await get_meter(session, tenant, "m")


async def test_bills_by_daily_registers(database: Database) -> None:
    """Ten Wh of peak and a hundred of off-peak a day; due on 28 September, 26 October and 28 November."""
    items: list[Item] = [
        reading(day, 10 * n, 100 * n, (500 + n, at(day, -5))) for n, day in enumerate(DAYS) if day.day != 28
    ]
    view = await store(database, items, ratio=3)
    async with database.read() as session:
        found = await bills.billing(session, view, now=NOW)
        assert [(each.first_day, each.due_on) for each in found.periods] == [
            (date(2026, 8, 28), date(2026, 9, 28)),
            (date(2026, 9, 28), date(2026, 10, 26)),
            (date(2026, 10, 26), date(2026, 11, 28)),
        ]
        assert found.lot is not None
        assert found.lot.key == "red"
        assert found.read_at == at(date(2026, 11, 25), 1)
        assert found.measured == {1}
        first, second, running = found.bills
        # on the 28th nobody read: 27 August 1:00 is 23 hours away, 29 August 25
        assert (first.since, first.until) == (at(date(2026, 8, 27), 1), at(date(2026, 9, 27), 1))
        assert (second.since, second.until) == (at(date(2026, 9, 27), 1), at(date(2026, 10, 26), 1))
        assert [each.partial for each in found.bills] == [False] * 3
        assert [each.source for each in found.bills] == ["registers"] * 3
        assert first.posts[1].energy == Fraction(31 * 10 * 3, 1000)
        assert second.posts[2].energy == Fraction(29 * 100 * 3, 1000)
        assert second.posts[0].energy == Fraction(29 * 110 * 3, 1000)
        assert second.posts[1].maximum == Maximum(
            Fraction(500 + DAYS.index(date(2026, 10, 26))) * 3 / 100, at(date(2026, 10, 25), 19)
        )
        assert running.open
        assert running.posts[1].energy == Fraction(30 * 10 * 3, 1000)
        # from 26 October 1:00, 30 days are counted of the 32 and 23 hours up to the bill
        assert running.posts[1].projected == Fraction(30 * 10 * 3, 1000) * Fraction(33 * 24 - 1, 30 * 24)
        months = await bills.months(session, view, now=NOW)
        assert months.lot is None
        assert [months.month(each) for each in months.periods] == [date(2026, month, 1) for month in (9, 10, 11)]
        assert [each.posts[2].energy for each in months.bills] == [
            Fraction(days * 300, 1000) for days in (30, 31, 24)
        ]  # fmt: skip


async def test_bills_by_profile_where_registers_do_not_tell_posts(database: Database) -> None:
    """One kWh each quarter hour from 1 November on; the register 1.8.0 alone."""
    start = at(date(2026, 11, 1))
    count = (NOW - start) // 900
    total = RegisterReading("m", start, start, 0, [RegisterValue("1.8.0", 7)])
    view = await store(database, [block("m", start, [1] * count, den=1), total], lot=False)
    async with database.read() as session:
        found = await bills.billing(session, view, now=NOW)
    assert found.lot is None
    assert [each.source for each in found.bills] == ["", "", "profile"]
    running = found.bills[2]
    peak = 15 * 12 + 8  # working days before today, and two hours of today's; 2 and 20 November are holidays
    assert running.posts[1].energy == peak
    assert running.posts[0].energy == count
    assert running.posts[0].maximum == Maximum(Fraction(4), start)
    assert running.posts[0].projected == 30 * 96
    assert running.gaps == 0
    assert running.until == found.read_at == NOW


async def test_too_many_periods_are_refused(database: Database) -> None:
    view = await store(database, [reading(DAYS[0], 1, 1)], lot=False)
    async with database.read() as session:
        with pytest.raises(Refused, match="0 is outside 1 to 24"):
            await bills.billing(session, view, count=0)


async def test_calendar_month(database: Database) -> None:
    items: list[Item] = [reading(day, n, n) for n, day in enumerate(DAYS) if day.month == 11 and day.day not in (3, 9)]
    view = await store(database, items)
    async with database.write() as session:
        meter = await session.get_one(Meter, view.meter.id)
        meter.created_at = at(date(2026, 11, 2), 5)
    async with database.read() as session:
        view = await get_meter(session, await tenant_id(session), "m")
        month = await calendar_month(session, view, date(2026, 11, 1), now=NOW)
        assert [day.day.day for day in month.days if month.missed(day)] == [3, 9]
        assert (month.read, month.expected) == (23, 25)
        assert month.bill_days == {date(2026, 11, 28)}
        assert not month.profile
        assert month.share is None
        october = await calendar_month(session, view, date(2026, 10, 1), now=NOW)
        assert october.bill_days == {date(2026, 10, 26)}
        assert october.availability is None


async def test_month_energy(database: Database) -> None:
    """Registers from the reading nearest to the month's beginning, else the profile; backwards is nothing."""
    start = at(date(2026, 11, 1))
    view = await store(database, [block("m", start, [5] * 96, den=10)], lot=False, ratio=2)
    async with database.write() as session:
        meters = [view.meter]
        for number, (before, first, last) in enumerate(((100, 103, 110), (100, 103, 99))):
            meter = Meter(tenant_id=view.meter.tenant_id, key=f"r{number}", serial="1", created_at=0)
            session.add(meter)
            await session.flush()
            meters.append(meter)
            key = {"tenant_id": meter.tenant_id, "meter_id": meter.id, "days": 1}
            session.add(MeterMonth(
                month=2026 * 12 + 9, read_at=start, first_at=0, first_total=0, last_at=start - HOUR,
                last_total=before * 1_000_000, **key,
            ))  # fmt: skip
            session.add(MeterMonth(
                month=2026 * 12 + 10, read_at=start, first_at=start + 2 * HOUR, first_total=first * 1_000_000,
                last_at=NOW, last_total=last * 1_000_000, **key,
            ))  # fmt: skip
        found = await month_energy(session, view.meter.tenant_id, meters, date(2026, 11, 1), start)
    assert found == {meters[0].id: Fraction(96), meters[1].id: Fraction(10)}
