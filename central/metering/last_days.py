"""The last days of a few meters: how much of the profile is held, or, of meters without one, whether they were read."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import MeterMonth, ProfileSeries
from central.metering.months import days_of, month_of
from central.metering.overview import held_by_day
from central.store.lists import is_one_of
from shared.quantities import ACTIVE_PROFILE

#: The longest local day, s: one on which registers were read counts as whole.
_WHOLE: Final = 90_000


@dataclass(frozen=True, slots=True)
class LastDays:
    """Seconds held by meter id and local day; ``registers``: the meters whose days are those of register readings."""

    held: dict[int, dict[date, int]]
    registers: frozenset[int]


async def last_days(
    session: AsyncSession, tenant_id: int, meter_ids: Iterable[int], first: date, last: date
) -> LastDays:
    """Days ``first`` to ``last`` of the given meters; days of which nothing is held are left out."""
    wanted = list(meter_ids)
    held = await held_by_day(session, tenant_id, wanted, first, last)
    query = select(ProfileSeries.meter_id).where(
        ProfileSeries.tenant_id == tenant_id, ProfileSeries.channel == ACTIVE_PROFILE.code,
        is_one_of(session, ProfileSeries.meter_id, wanted),
    )  # fmt: skip
    bare = frozenset(wanted) - frozenset(await session.scalars(query))
    if bare:
        months = select(MeterMonth.meter_id, MeterMonth.month, MeterMonth.days).where(
            MeterMonth.tenant_id == tenant_id, MeterMonth.month.in_(range(month_of(first), month_of(last) + 1)),
            is_one_of(session, MeterMonth.meter_id, sorted(bare)),
        )  # fmt: skip
        for meter, month, mask in (await session.execute(months)).all():
            read = {day: _WHOLE for day in days_of(month, mask) if first <= day <= last}
            held[meter] = held.get(meter, {}) | read
    return LastDays(held, bare)
