"""Figures over many meters at once: days held per meter, and the sums of a whole tenant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import DAYS, ProfileDay, ProfileSeries
from central.metering.stored import DAY, between, date_of, days, ever, number
from central.registry.models import Meter
from central.store.lists import is_one_of
from shared.intervals import day_range
from shared.intervals import zone as zone_of
from shared.quantities import ACTIVE_PROFILE

_SECONDS: Final = 86400


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


async def fleet_days(
    session: AsyncSession,
    tenant_id: int,
    zone: str,
    first: date,
    last: date,
    now: int,
    only: Sequence[ColumnElement[bool]] = (),
) -> Sequence[FleetDay]:
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
    for day_number, num, den, times, by, total, seconds in (await session.execute(query)).all():
        day = date_of(day_number)
        energy[day] = energy.get(day, Fraction(0)) + Fraction(int(total) * num * times, den * by)
        held[day] = held.get(day, 0) + int(seconds)
    since = await _since(session, tenant_id, first, only)
    tz = zone_of(zone)
    found = []
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        start, end = day_range(day, tz)
        length = max(0, min(end, now // 3600 * 3600) - start)
        meters = sum(count for begun, count in since if begun <= number(day))
        found.append(FleetDay(day, energy.get(day, Fraction(0)), held.get(day, 0), meters * length))
    return found


async def _since(
    session: AsyncSession, tenant_id: int, first: date, only: Sequence[ColumnElement[bool]]
) -> list[tuple[int, int]]:
    """Day numbers from which on profiles of monitored meters are expected, and of how many.

    Meters that have never told a profile have none to tell: many are read by their registers only. For the others it
    is the first day held, at the latest that of its entry. Its days are looked at only where they could be
    before its entry and matter, which is the case of few: one that was entered by ``first`` counts from then on.
    """
    profiled = Meter.id.in_(select(ProfileSeries.meter_id).where(*_active(tenant_id)))
    meters = Meter.tenant_id == tenant_id, Meter.monitored.is_(True), profiled, *only
    entered = Meter.created_at // _SECONDS
    earliest = (
        select(ProfileDay.id % DAYS).where(ever()).order_by(ProfileDay.id).limit(1).correlate(ProfileSeries)
    ).scalar_subquery()
    held = (
        select(func.min(earliest))
        .where(*_active(tenant_id), ProfileSeries.meter_id == Meter.id)
        .correlate(Meter)
        .scalar_subquery()
    )
    counted = await session.scalar(select(func.count()).where(*meters, entered <= number(first)))
    late = select(entered.label("entered"), held.label("held")).where(*meters, entered > number(first)).subquery()
    begun = case((late.c.held < late.c.entered, late.c.held), else_=late.c.entered).label("begun")
    found = (await session.execute(select(begun, func.count()).group_by(begun))).all()
    return [(number(first), counted or 0), *((day, count) for day, count in found)]


def _active(tenant_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Conditions: the active profiles of a tenant."""
    return ProfileSeries.tenant_id == tenant_id, ProfileSeries.channel == ACTIVE_PROFILE.code
