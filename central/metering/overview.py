"""Figures over many meters at once: days held per meter, and the sums of a whole tenant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import ProfileDay, ProfileSeries
from central.metering.stored import DAY, between, date_of, days, ever
from central.registry.models import Meter
from central.store.lists import is_one_of
from shared.intervals import day_range, local_date
from shared.intervals import zone as zone_of
from shared.quantities import ACTIVE_PROFILE


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
    columns = ProfileSeries.meter_id, DAY, func.sum(ProfileDay.held * ProfileSeries.step)
    query = (
        days(*columns, within=between(first, last))
        .where(*_active(tenant_id), is_one_of(session, ProfileSeries.meter_id, list(meter_ids)))
        .group_by(ProfileSeries.meter_id, DAY)
    )
    found: dict[int, dict[date, int]] = {}
    for meter_id, day, seconds in (await session.execute(query)).all():
        found.setdefault(meter_id, {})[date_of(day)] = int(seconds)
    return found


async def first_days(
    session: AsyncSession, tenant_id: int, only: Sequence[ColumnElement[bool]] = ()
) -> dict[int, date]:
    """First local day of which a monitored meter's profile is expected: its first one held, at the latest its entry."""
    held = (
        days(ProfileSeries.meter_id, func.min(DAY).label("day"), within=ever())
        .where(*_active(tenant_id))
        .group_by(ProfileSeries.meter_id)
        .subquery()
    )
    query = (
        select(Meter.id, Meter.created_at, held.c.day)
        .outerjoin(held, held.c.meter_id == Meter.id)
        .where(Meter.tenant_id == tenant_id, Meter.monitored.is_(True), *only)
    )
    utc = zone_of("UTC")
    return {
        meter_id: min(local_date(created, utc), date_of(day)) if day else local_date(created, utc)
        for meter_id, created, day in (await session.execute(query)).all()
    }


async def fleet_days(
    session: AsyncSession, tenant_id: int, zone: str, first: date, last: date, now: int,
    only: Sequence[ColumnElement[bool]] = (),
) -> Sequence[FleetDay]:  # fmt: skip
    """Energy and completeness of every local day ``first`` to ``last``; today counts up to the last full hour.

    ``only``: conditions on ``Meter``.
    """
    ratio = (ProfileSeries.num, ProfileSeries.den, Meter.multiplier_num, Meter.multiplier_den)
    sums = func.sum(ProfileDay.total), func.sum(ProfileDay.held * ProfileSeries.step)
    query = (
        days(DAY, *ratio, *sums, within=between(first, last))
        .join(Meter, Meter.id == ProfileSeries.meter_id)
        .where(*_active(tenant_id), Meter.monitored.is_(True), *only)
        .group_by(DAY, *ratio)
    )
    energy: dict[date, Fraction] = {}
    held: dict[date, int] = {}
    for number, num, den, times, by, total, seconds in (await session.execute(query)).all():
        day = date_of(number)
        energy[day] = energy.get(day, Fraction(0)) + Fraction(int(total) * num * times, den * by)
        held[day] = held.get(day, 0) + int(seconds)
    since = sorted((await first_days(session, tenant_id, only)).values())
    tz = zone_of(zone)
    found = []
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        start, end = day_range(day, tz)
        length = max(0, min(end, now // 3600 * 3600) - start)
        meters = sum(1 for begun in since if begun <= day)
        found.append(FleetDay(day, energy.get(day, Fraction(0)), held.get(day, 0), meters * length))
    return found


def _active(tenant_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Conditions: the active profiles of a tenant."""
    return ProfileSeries.tenant_id == tenant_id, ProfileSeries.channel == ACTIVE_PROFILE.code
