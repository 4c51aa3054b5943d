"""Days on which registers were read: bit masks of ``MeterMonth``, in SQL for many meters, in Python for a page."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.models import MeterMonth
from central.registry.models import Meter
from central.reports.periods import Period, month_number, month_of
from central.reports.selection import Line, Selection
from central.store.lists import is_one_of

_PAIRS: Final = 0x55555555
_FOURS: Final = 0x33333333
_EIGHTS: Final = 0x0F0F0F0F


def masks(period: Period) -> dict[int, int]:
    """For each month of a period the bits of its days that lie within: bit n is day n + 1."""
    found = {}
    for number in range(month_number(period.first), month_number(period.last) + 1):
        month = month_of(number)
        first, last = max(month.first, period.first), min(month.last, period.last)
        found[number] = (1 << last.day) - (1 << first.day - 1)
    return found


def read_days(tenant_id: int, period: Period) -> Any:
    """Scalar: on how many days of the period ``Meter`` was read."""
    wanted = masks(period)
    mask = case(wanted, value=MeterMonth.month, else_=0)
    bits = _ones(_and(MeterMonth.days, mask))
    query = select(func.coalesce(func.sum(bits), 0)).where(
        MeterMonth.tenant_id == tenant_id, MeterMonth.meter_id == Meter.id, MeterMonth.month.in_(wanted),
    )  # fmt: skip
    return query.scalar_subquery()


def unread_on(tenant_id: int, period: Period) -> ColumnElement[bool]:
    """Condition: ``Meter`` was not read on the last day of the period."""
    day = period.last
    bit = _and(MeterMonth.days, 1 << day.day - 1)
    return ~(
        select(MeterMonth.meter_id)
        .where(
            MeterMonth.tenant_id == tenant_id, MeterMonth.meter_id == Meter.id,
            MeterMonth.month == month_number(day), bit != 0,
        )
        .exists()
    )  # fmt: skip


async def days_of(
    session: AsyncSession, tenant_id: int, period: Period, lines: Sequence[Line]
) -> dict[int, dict[int, int]]:
    """For each meter and month of the period the days on which it was read, as bits."""
    wanted = masks(period)
    query = select(MeterMonth.meter_id, MeterMonth.month, MeterMonth.days).where(
        MeterMonth.tenant_id == tenant_id, is_one_of(session, MeterMonth.meter_id, [line.id for line in lines]),
        MeterMonth.month.in_(wanted),
    )  # fmt: skip
    found: dict[int, dict[int, int]] = {line.id: {} for line in lines}
    for meter, month, days in (await session.execute(query)).all():
        found[meter][month] = days & wanted[month]
    return found


async def sum_days(session: AsyncSession, tenant_id: int, period: Period, selection: Selection) -> tuple[int, int]:
    """On how many days of the period the meters of a selection were read, added up, and how many were read at all.

    The answer has a row for each pattern of days, of which there are few, and not for each meter.
    """
    wanted = masks(period)
    kept = and_(MeterMonth.tenant_id == tenant_id, MeterMonth.meter_id == Meter.id, MeterMonth.month.in_(wanted))
    joined = selection.statement(MeterMonth.month, MeterMonth.days, func.count()).join(MeterMonth, kept)
    rows = (await session.execute(joined.group_by(MeterMonth.month, MeterMonth.days))).all()
    counted = [((days & wanted[month]).bit_count(), meters) for month, days, meters in rows]
    total = sum(days * meters for days, meters in counted)
    if len(wanted) == 1:
        return total, sum(meters for days, meters in counted if days)
    read = _and(MeterMonth.days, case(wanted, value=MeterMonth.month, else_=0)) != 0
    distinct = selection.statement(func.count(Meter.id.distinct())).join(MeterMonth, kept).where(read)
    return total, int(await session.scalar(distinct) or 0)


def count(days: dict[int, int]) -> int:
    """How many days those are."""
    return sum(bits.bit_count() for bits in days.values())


def _ones(bits: Any) -> Any:
    """How many bits of a column of at most 31 are set: summed by pairs, fours and eights, as neither database counts
    them itself in words that both know."""
    pairs = bits - _and(bits // 2, _PAIRS)
    fours = _and(pairs, _FOURS) + _and(pairs // 4, _FOURS)
    eights = _and(fours + fours // 16, _EIGHTS)
    return _and((eights * 0x01010101) // (1 << 24), 0xFF)


def _and(bits: Any, mask: Any) -> Any:
    return bits.op("&", precedence=6, return_type=BigInteger())(mask)
