"""Billing periods of a meter and what they came to, read by index seeks: two readings about each end of a period."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.metering import service
from central.metering.bill_view import NEAR, PeriodBill, bill, enough, register_bill
from central.metering.calendars import calendar_in_force
from central.metering.models import RegisterSet
from central.metering.registers import RegisterReadingView, decode_set
from central.registry.lots import CALENDAR_MONTHS, Period, billing_periods, month_start, periods
from central.registry.models import Lot
from central.registry.service import MeterView
from ext.billing import BillingError
from shared.intervals import Range, day_start, local_date
from shared.intervals import zone as zone_of
from shared.quantities import ACTIVE_DELIVERED, Process, Quantity

MOST_PERIODS = 24


@dataclass(frozen=True, slots=True)
class Billing:
    """The last periods of a meter, oldest first; without a ``lot`` they are calendar months.

    ``registers_at`` is the instant of the last register reading, ``measured`` the numbers C of the quantities that its
    cumulative registers have. ``due_on`` of the last period is the planned bill date.
    """

    lot: Lot | None
    quantity: Quantity
    periods: Sequence[Period]
    bills: Sequence[PeriodBill]
    registers_at: int | None
    measured: frozenset[int]

    @property
    def read_at(self) -> int | None:
        """The last instant up to which is read, by registers or by profile."""
        known = (self.registers_at, *(each.until for each in self.bills))
        return max((at for at in known if at is not None), default=None)

    def month(self, period: Period) -> date:
        """First day of the month that a period is billed as; of a calendar month that month."""
        return month_start(period.month) if self.lot else period.first_day

    @property
    def pairs(self) -> Iterable[tuple[Period, PeriodBill]]:
        return zip(self.periods, self.bills, strict=True)


async def billing(
    session: AsyncSession,
    view: MeterView,
    *,
    count: int = 3,
    quantity: Quantity = ACTIVE_DELIVERED,
    now: int | None = None,
) -> Billing:
    """The last ``count`` billing periods of the customer's lot, the open one last; calendar months without a lot."""
    at = int(time.time()) if now is None else now
    lot_id = view.lot.id if view.lot else None
    found = await periods(session, lot_id, local_date(at, zone_of(view.zone)), _count(count))
    return await _billing(session, view, found, quantity, at, view.lot)


async def months(session: AsyncSession, view: MeterView, *, count: int = 3, now: int | None = None) -> Billing:
    """The same for the last calendar months of active energy, whatever the lot."""
    at = int(time.time()) if now is None else now
    today = local_date(at, zone_of(view.zone))
    found = billing_periods(CALENDAR_MONTHS.dates, CALENDAR_MONTHS.reading_day, today, _count(count))
    return await _billing(session, view, found, ACTIVE_DELIVERED, at, None)


async def bill_days(session: AsyncSession, view: MeterView, first: date, last: date) -> frozenset[date]:
    """The days ``first`` to ``last`` on which readings of the customer's lot are due; none without a lot."""
    if view.lot is None:
        return frozenset()
    found = await periods(session, view.lot.id, last, 2 + (last - first).days // 28)
    return frozenset(day for each in found for day in (each.first_day, each.due_on) if first <= day <= last)


async def _billing(
    session: AsyncSession, view: MeterView, found: Sequence[Period], quantity: Quantity, now: int, lot: Lot | None
) -> Billing:
    tz = zone_of(view.zone)
    spans = [Range(day_start(each.first_day, tz), day_start(each.due_on, tz)) for each in found]
    readings = await _readings(session, view, spans, now)
    lacking = [span for span in spans if not enough(register_bill(span, readings, quantity, now))]
    series = None
    if lacking:
        end = min(lacking[-1].end, now + 1)
        channel = quantity.with_process(Process.PROFILE)
        series = await service.profile(session, view, channel, lacking[0].start, max(end, lacking[0].start + 1))
    calendar = await calendar_in_force(session, view.meter, view.zone)
    try:
        bills = [bill(span, readings, series if span in lacking else None, calendar, quantity, now) for span in spans]
    except BillingError as error:  # counts that no meter has
        raise Refused("quantity", str(error)) from error
    last = readings[-1] if readings else None
    return Billing(lot, quantity, found, bills, last.at if last else None, _measured(last))


async def _readings(
    session: AsyncSession, view: MeterView, spans: Sequence[Range], now: int
) -> Sequence[RegisterReadingView]:
    """The readings next before and next after each end, the last one, and all that a demand reset closed."""
    of_meter = RegisterSet.tenant_id == view.meter.tenant_id, RegisterSet.meter_id == view.meter.id
    running = select(RegisterSet.id).where(*of_meter, RegisterSet.period == 0, RegisterSet.at <= now)
    seeks = [running.order_by(RegisterSet.at.desc()).limit(1)]
    for end in sorted({end for span in spans for end in span if end <= now}):
        seeks += [
            running.where(RegisterSet.at <= end).order_by(RegisterSet.at.desc()).limit(1),
            running.where(RegisterSet.at > end).order_by(RegisterSet.at).limit(1),
        ]
    closed = select(RegisterSet.id).where(
        *of_meter, RegisterSet.period == 1, RegisterSet.at > spans[0].start - NEAR, RegisterSet.at <= now
    )
    wanted = union_all(closed, *(select(seek.subquery().c.id) for seek in seeks))
    rows = await session.scalars(select(RegisterSet).where(RegisterSet.id.in_(wanted)).order_by(RegisterSet.at))
    ratio = service.multiplier(view.meter)
    return [decode_set(row, ratio) for row in rows]


def _measured(reading: RegisterReadingView | None) -> frozenset[int]:
    registers = reading.registers if reading else ()
    return frozenset(each.quantity.c for each in registers if each.quantity.d == Process.CUMULATIVE)


def _count(count: int) -> int:
    if not 1 <= count <= MOST_PERIODS:
        raise Refused("periods", f"{count} is outside 1 to {MOST_PERIODS}")
    return count
