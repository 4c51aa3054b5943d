"""A calendar month of one meter: which days were read, how much of their profile is there, which are billing dates."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from central.metering import bills, service
from central.metering.availability import DayAvailability
from central.metering.service import ChannelInfo
from central.registry.service import MeterView
from shared.intervals import local_date
from shared.intervals import zone as zone_of
from shared.quantities import ACTIVE_PROFILE


@dataclass(frozen=True, slots=True)
class CalendarMonth:
    """``since`` is the first day on which something was to be expected, ``profile`` whether there ever was one."""

    days: Sequence[DayAvailability]
    today: date
    since: date
    bill_days: frozenset[date]
    profile: bool

    def missed(self, day: DayAvailability) -> bool:
        """Whether a day is over, was to be read and has no register reading."""
        return not day.registers and self.since <= day.day < self.today

    @property
    def read(self) -> int:
        """Days with at least one register reading."""
        return sum(day.registers for day in self.days)

    @property
    def expected(self) -> int:
        """Days that were read or should have been; today only once it has been."""
        return self.read + sum(self.missed(day) for day in self.days)

    @property
    def availability(self) -> float | None:
        """``read`` / ``expected`` (dossier brazil-billing §9); None before the first day."""
        return self.read / self.expected if self.expected else None

    @property
    def share(self) -> float | None:
        """Share of the profile's intervals held, 0..1; None without a profile."""
        counted = [day for day in self.days if day.expected and day.day >= self.since]
        seconds = sum(day.expected * day.step for day in counted)
        if not self.profile or not seconds:
            return None
        return min(1.0, sum(day.held * day.step for day in counted) / seconds)


async def calendar_month(
    session: AsyncSession,
    view: MeterView,
    first: date,
    *,
    channels: Sequence[ChannelInfo] | None = None,
    now: int | None = None,
) -> CalendarMonth:
    """The month that begins on ``first``; ``channels`` where they are known already."""
    at = int(time.time()) if now is None else now
    tz = zone_of(view.zone)
    known = await service.channels(session, view) if channels is None else channels
    days = await service.availability(session, view, first.year, first.month, now=at)
    due = await bills.bill_days(session, view, days[0].day, days[-1].day)
    return CalendarMonth(
        days, local_date(at, tz), first_day(view, known), due, any(one.quantity == ACTIVE_PROFILE for one in known)
    )


def first_day(view: MeterView, channels: Sequence[ChannelInfo]) -> date:
    """The first local day of which something is held, at the latest the one on which the meter was entered."""
    entered = local_date(view.meter.created_at, zone_of(view.zone))
    return min((entered, *(channel.first for channel in channels)))
