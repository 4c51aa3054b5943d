"""When lots are read: due days, and the billing periods between them. Months are year x 12 + month - 1.

The reading of a month is due at the beginning of its day: a period has the days from the due day of the month before
to the day before its own.
"""

import calendar
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.registry.models import Lot, LotDate

#: The first month looked at lies so many months further back: due days stray, months without a period are passed over.
_STRAY = 3
_EPOCH = date(1970, 1, 1)
_DAY = timedelta(days=1)


class Period(NamedTuple):
    """Local days ``first_day`` to ``last_day``, both within; billed as ``month``."""

    month: int
    first_day: date
    last_day: date

    @property
    def due_on(self) -> date:
        """The day at whose beginning the reading that ends the period is due."""
        return self.last_day + _DAY


class LotCalendar(NamedTuple):
    """``dates`` are the due days of single months, ``reading_day`` is that of all others."""

    reading_day: int
    dates: Mapping[int, date]


#: Of customers without a lot: calendar months.
CALENDAR_MONTHS = LotCalendar(1, {})


def month_of(day: date) -> int:
    """The number of a day's month."""
    return day.year * 12 + day.month - 1


def month_start(month: int) -> date:
    """The first day of a month of this number."""
    return date(month // 12, month % 12 + 1, 1)


def lot_due(lot_dates: Mapping[int, date], reading_day: int, month: int) -> date:
    """The due day of a month: its own, else ``reading_day`` or the last day of a month that is shorter."""
    if (own := lot_dates.get(month)) is not None:
        return own
    year, index = divmod(month, 12)
    return date(year, index + 1, min(reading_day, calendar.monthrange(year, index + 1)[1]))


def billing_periods(lot_dates: Mapping[int, date], reading_day: int, today: date, count: int) -> list[Period]:
    """The last ``count`` periods, oldest first; the newest is the one that ``today`` lies in.

    A month that is due no later than the one before has no period of its own.
    """
    month = month_of(today) - 2 * count - _STRAY
    due = lot_due(lot_dates, reading_day, month)
    found: list[Period] = []
    while due <= today:
        month += 1
        first, due = due, max(due, lot_due(lot_dates, reading_day, month))
        if due > first:
            found.append(Period(month, first, due - _DAY))
    return found[-count:]


async def calendars(db: AsyncSession, lot_ids: Iterable[int]) -> dict[int, LotCalendar]:
    """The calendars of these lots, in two queries however many there are."""
    wanted = sorted(set(lot_ids))
    days = (await db.execute(select(Lot.id, Lot.reading_day).where(Lot.id.in_(wanted)))).all()
    dates: dict[int, dict[int, date]] = {}
    for row in await db.scalars(select(LotDate).where(LotDate.lot_id.in_(wanted))):
        dates.setdefault(row.lot_id, {})[row.month] = _EPOCH + timedelta(days=row.due_on)
    return {lot_id: LotCalendar(reading_day, dates.get(lot_id, {})) for lot_id, reading_day in days}


async def periods(db: AsyncSession, lot_id: int | None, today: date, count: int) -> list[Period]:
    """The last ``count`` billing periods of a lot, oldest first, the open one last; without a lot, calendar months."""
    found = (await calendars(db, [lot_id])).get(lot_id) if lot_id is not None else None
    lot = found or CALENDAR_MONTHS
    return billing_periods(lot.dates, lot.reading_day, today, count)
