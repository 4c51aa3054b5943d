"""Figures over many meters at once: days held per meter, and the sums of a whole tenant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import ProfileDay
from central.registry.models import Meter
from shared.intervals import day_range, local_date
from shared.intervals import zone as zone_of
from shared.quantities import ACTIVE_PROFILE

_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class FleetDay:
    """A local day of all monitored meters: active energy in kWh, seconds held, and seconds to be expected by now."""

    day: date
    energy: Fraction
    held: int
    expected: int

    @property
    def share(self) -> float | None:
        """Share held, 0..1; None when nothing was to be expected."""
        return min(1.0, self.held / self.expected) if self.expected else None


async def held_by_day(
    session: AsyncSession, tenant_id: int, meter_ids: Iterable[int], first: date, last: date
) -> dict[int, dict[date, int]]:
    """Seconds of the active profile held, by meter id and local day; days of which nothing is held are left out."""
    query = (
        select(ProfileDay.meter_id, ProfileDay.day, func.sum(ProfileDay.held * ProfileDay.step))
        .where(
            ProfileDay.tenant_id == tenant_id,
            ProfileDay.meter_id.in_(list(meter_ids)),
            ProfileDay.channel == ACTIVE_PROFILE.code,
            ProfileDay.day.between(_number(first), _number(last)),
        )
        .group_by(ProfileDay.meter_id, ProfileDay.day)
    )
    found: dict[int, dict[date, int]] = {}
    for meter_id, day, seconds in (await session.execute(query)).all():
        found.setdefault(meter_id, {})[_EPOCH + timedelta(days=day)] = int(seconds)
    return found


async def first_days(session: AsyncSession, tenant_id: int) -> dict[int, date]:
    """First local day of which a monitored meter's profile is expected: its first one held, at the latest its entry."""
    held = (
        select(ProfileDay.meter_id, func.min(ProfileDay.day).label("day"))
        .where(ProfileDay.tenant_id == tenant_id, ProfileDay.channel == ACTIVE_PROFILE.code)
        .group_by(ProfileDay.meter_id)
        .subquery()
    )
    query = (
        select(Meter.id, Meter.created_at, held.c.day)
        .outerjoin(held, held.c.meter_id == Meter.id)
        .where(Meter.tenant_id == tenant_id, Meter.monitored.is_(True))
    )
    utc = zone_of("UTC")
    return {
        meter_id: min(local_date(created, utc), _EPOCH + timedelta(days=day)) if day else local_date(created, utc)
        for meter_id, created, day in (await session.execute(query)).all()
    }


async def fleet_days(
    session: AsyncSession, tenant_id: int, zone: str, first: date, last: date, now: int
) -> Sequence[FleetDay]:
    """Energy and completeness of every local day ``first`` to ``last``; today counts up to the last full hour."""
    ratio = (ProfileDay.num, ProfileDay.den, Meter.multiplier_num, Meter.multiplier_den)
    query = (
        select(ProfileDay.day, *ratio, func.sum(ProfileDay.total), func.sum(ProfileDay.held * ProfileDay.step))
        .join(Meter, Meter.id == ProfileDay.meter_id)
        .where(
            ProfileDay.tenant_id == tenant_id,
            Meter.monitored.is_(True),
            ProfileDay.channel == ACTIVE_PROFILE.code,
            ProfileDay.day.between(_number(first), _number(last)),
        )
        .group_by(ProfileDay.day, *ratio)
    )
    energy: dict[date, Fraction] = {}
    held: dict[date, int] = {}
    for number, num, den, times, by, total, seconds in (await session.execute(query)).all():
        day = _EPOCH + timedelta(days=number)
        energy[day] = energy.get(day, Fraction(0)) + Fraction(int(total) * num * times, den * by)
        held[day] = held.get(day, 0) + int(seconds)
    since = sorted((await first_days(session, tenant_id)).values())
    tz = zone_of(zone)
    days = []
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        start, end = day_range(day, tz)
        length = max(0, min(end, now // 3600 * 3600) - start)
        meters = sum(1 for begun in since if begun <= day)
        days.append(FleetDay(day, energy.get(day, Fraction(0)), held.get(day, 0), meters * length))
    return days


def _number(day: date) -> int:
    return (day - _EPOCH).days
