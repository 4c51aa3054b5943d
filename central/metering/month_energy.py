"""Active energy of a month of several meters, from what is kept for lists: to be added up and ranked, not billed."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import MeterMonth, ProfileDay, ProfileSeries
from central.metering.service import multiplier
from central.metering.stored import between, days
from central.registry.models import Meter
from central.store.lists import is_one_of
from shared.quantities import ACTIVE_PROFILE

_MILLIONTHS: Final = 1_000_000


async def month_energy(
    session: AsyncSession, tenant_id: int, meters: Sequence[Meter], first: date, start: int
) -> dict[int, Fraction]:
    """Energy (kWh) of the local month from ``first`` on by meter id: by registers, else by profiles.

    Registers count from the reading nearest to the beginning of the month, the last one before or the first one in
    it, ``start``. Meters of which nothing is known, and those whose register went backwards, are left out.
    """
    month = first.year * 12 + first.month - 1
    ratios = {meter.id: multiplier(meter) for meter in meters}
    found = await _by_registers(session, tenant_id, ratios, month, start)
    rest = [meter_id for meter_id in ratios if meter_id not in found]
    last = date(first.year + first.month // 12, first.month % 12 + 1, 1) - timedelta(days=1)
    query = (
        days(ProfileSeries.meter_id, ProfileSeries.num, ProfileSeries.den, func.sum(ProfileDay.total),
             within=between(first, last))
        .where(
            ProfileSeries.tenant_id == tenant_id, ProfileSeries.channel == ACTIVE_PROFILE.code,
            is_one_of(session, ProfileSeries.meter_id, rest),
        )
        .group_by(ProfileSeries.meter_id, ProfileSeries.num, ProfileSeries.den)
    )  # fmt: skip
    for meter_id, num, den, total in (await session.execute(query)).all() if rest else ():
        energy = Fraction(int(total) * num, den) * ratios[meter_id]
        found[meter_id] = found.get(meter_id, Fraction(0)) + energy
    return found


async def _by_registers(
    session: AsyncSession, tenant_id: int, ratios: dict[int, Fraction], month: int, start: int
) -> dict[int, Fraction]:
    query = select(MeterMonth).where(
        MeterMonth.tenant_id == tenant_id,
        is_one_of(session, MeterMonth.meter_id, list(ratios)),
        MeterMonth.month.in_((month - 1, month)),
    )
    rows = {(row.meter_id, row.month): row for row in await session.scalars(query)}
    found = {}
    for meter_id, ratio in ratios.items():
        this, before = rows.get((meter_id, month)), rows.get((meter_id, month - 1))
        if this is None or this.first_at is None or this.first_total is None or this.last_total is None:
            continue
        begin = this.first_total
        if before is not None and before.last_at is not None and before.last_total is not None:
            begin = before.last_total if start - before.last_at <= this.first_at - start else begin
        if this.last_total >= begin:
            found[meter_id] = Fraction(this.last_total - begin, _MILLIONTHS) * ratio
    return found
