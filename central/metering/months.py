"""Figures over many meters at once, from what is kept of each month (``MeterMonth``): who was read, how much was used.

Each figure is one or two statements whose answers are grouped by the database: 100,000 meters make as many rows of an
answer as there are different patterns of days, never one each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final

from sqlalchemy import ColumnElement, Float, and_, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from central.metering.models import MeterMonth
from central.metering.stored import number
from central.registry.models import (
    CommunicationModule,
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Lot,
    LotDate,
    Meter,
    MeteringPoint,
)
from central.store.lists import is_one_of

_MILLIONTHS: Final = 1_000_000
_DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class Selection:
    """Which meters count; empty: all. What is given must hold together. Groups are those of the customers themselves:
    a group with what is below it is ``registry.groups.with_groups_below``."""

    gateways: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    lots: tuple[int, ...] = ()
    meters: tuple[int, ...] | None = None  # these and no others, found once for several figures; None: whichever


ALL: Final = Selection()


@dataclass(frozen=True, slots=True)
class DayCount:
    """A local day: meters with a register reading, of those that were to be read."""

    day: date
    read: int
    expected: int

    @property
    def share(self) -> float | None:
        """Share read, 0..1; None when nothing was to be expected."""
        return self.read / self.expected if self.expected else None


@dataclass(frozen=True, slots=True)
class MonthEnergy:
    """Active energy of a month in kWh, from ``meters`` meters; those whose register went backwards are left out."""

    energy: Fraction
    meters: int


@dataclass(frozen=True, slots=True)
class Consumer:
    """A meter and what it measured in a month, in kWh; ``customer`` "" where its point has none."""

    meter: str
    serial: str
    customer: str
    customer_key: str
    energy: float


@dataclass(frozen=True, slots=True)
class LotDay:
    """A lot: the day it is due, readings on the day asked for, and meters without a reading on ``pending_on``."""

    id: int
    key: str
    name: str
    due: date
    day: DayCount
    pending: int
    pending_on: date


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is; with gateways chosen, what is read through them."""

    groups: int
    customers: int
    points: int
    meters: int
    modules: int
    gateways: int


@dataclass(frozen=True, slots=True)
class Late:
    """A monitored meter and when it was last read (UTC seconds; None: never)."""

    key: str
    serial: str
    name: str
    last: int | None


def month_of(day: date) -> int:
    """Number of a month, as ``MeterMonth`` counts them."""
    return day.year * 12 + day.month - 1


def first_of(month: int) -> date:
    """First day of a month's number."""
    return date(month // 12, month % 12 + 1, 1)


async def day_availability(db: AsyncSession, tenant_id: int, day: date, selection: Selection = ALL) -> tuple[int, int]:
    """How many monitored meters have a register reading on a local day, and how many should."""
    (found,) = await availability_by_day(db, tenant_id, day, day, selection)
    return found.read, found.expected


async def availability_by_day(
    db: AsyncSession, tenant_id: int, first: date, last: date, selection: Selection = ALL
) -> Sequence[DayCount]:
    """The same for every local day ``first`` to ``last``.

    A meter is expected from its first day (``starts_on``, else its entry) to its ``ends_on``; who was read before is
    expected as well.
    """
    read: dict[date, int] = {}
    query = (
        select(MeterMonth.month, MeterMonth.days, func.count())
        .join(Meter, Meter.id == MeterMonth.meter_id)
        .where(
            MeterMonth.tenant_id == tenant_id, MeterMonth.month.between(month_of(first), month_of(last)),
            *meters_of(db, tenant_id, selection), Meter.monitored.is_(True),
        )
        .group_by(MeterMonth.month, MeterMonth.days)
    )  # fmt: skip
    for month, mask, count in (await db.execute(query)).all():
        for day in days_of(month, mask):
            read[day] = read.get(day, 0) + count
    lives = await _lives(db, tenant_id, selection)
    found = []
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        expected = sum(
            count for start, end, count in lives if start <= number(day) and (end is None or number(day) <= end)
        )
        held = read.get(day, 0)
        found.append(DayCount(day, held, max(held, expected)))
    return found


def days_of(month: int, mask: int) -> list[date]:
    """The local days whose bits are set."""
    first = first_of(month)
    return [first + timedelta(days=n) for n in range(31) if mask >> n & 1]


async def energy_of_month(db: AsyncSession, tenant_id: int, month: date, selection: Selection = ALL) -> MonthEnergy:
    """Active energy delivered in the month of a day: last total less the last one of the month before (where there is
    none: less the first of the month), times the meter's multiplier."""
    query, used = _used(month_of(month))
    ratio = Meter.multiplier_num, Meter.multiplier_den
    query = (
        query.with_only_columns(*ratio, func.sum(used), func.count())
        .where(MeterMonth.tenant_id == tenant_id, *meters_of(db, tenant_id, selection), used >= 0)
        .group_by(*ratio)
    )
    energy, meters = Fraction(0), 0
    for num, den, total, count in (await db.execute(query)).all():
        energy += Fraction(int(total) * num, den * _MILLIONTHS)
        meters += count
    return MonthEnergy(energy, meters)


async def largest(
    db: AsyncSession, tenant_id: int, month: date, selection: Selection = ALL, limit: int = 10
) -> tuple[Sequence[Consumer], float]:
    """The meters that measured most in the month of a day, the largest first; and kWh of the whole selection."""
    query, used = _used(month_of(month))
    energy = cast(used, Float) * Meter.multiplier_num / cast(Meter.multiplier_den, Float)
    top = (
        query.with_only_columns(Meter.id, energy.label("energy"), func.sum(energy).over().label("whole"))
        .where(MeterMonth.tenant_id == tenant_id, *meters_of(db, tenant_id, selection), used > 0)
        .order_by(energy.desc(), Meter.id)
        .limit(limit)
        .subquery()
    )
    named = (
        select(Meter.key, Meter.serial, Customer.name, Customer.external_key, top.c.energy, top.c.whole)
        .select_from(top)
        .join(Meter, Meter.id == top.c.id)
        .outerjoin(Installation, and_(Installation.meter_id == Meter.id, Installation.ends_at.is_(None)))
        .outerjoin(MeteringPoint, MeteringPoint.id == Installation.point_id)
        .outerjoin(Customer, Customer.id == MeteringPoint.customer_id)
        .order_by(top.c.energy.desc(), Meter.id)
    )
    rows = (await db.execute(named)).all()
    consumers = [
        Consumer(key, serial, name or "", external or "", value / _MILLIONTHS)
        for key, serial, name, external, value, _ in rows
    ]
    return consumers, rows[0].whole / _MILLIONTHS if rows else 0.0


async def lots_in_evidence(db: AsyncSession, tenant_id: int, day: date) -> Sequence[tuple[Lot, date]]:
    """At most four lots with the day each is due: the one due last before ``day``, the current one (due that day or
    next), and the two after it. A lot without a date in ``LotDate`` is due on its ``reading_day``, at the latest on
    the last day of the month."""
    lots = (await db.scalars(select(Lot).where(Lot.tenant_id == tenant_id))).all()
    months = [month_of(day) + n for n in (-1, 0, 1)]
    query = (
        select(LotDate).join(Lot, Lot.id == LotDate.lot_id).where(Lot.tenant_id == tenant_id, LotDate.month.in_(months))
    )
    planned = {(row.lot_id, row.month): row.due_on for row in await db.scalars(query)}
    due = sorted(
        ((_due(lot, month, planned), lot) for lot in lots for month in months), key=lambda pair: (pair[0], pair[1].key)
    )
    before = [pair for pair in due if pair[0] < day][-1:]
    found: list[tuple[Lot, date]] = []
    for when, lot in [*before, *(pair for pair in due if pair[0] >= day)]:
        if all(lot.id != known.id for known, _ in found):
            found.append((lot, when))
    return found[:4]


def _due(lot: Lot, month: int, planned: dict[tuple[int, int], int]) -> date:
    day = planned.get((lot.id, month))
    if day is not None:
        return date(1970, 1, 1) + timedelta(days=day)
    last = (first_of(month + 1) - timedelta(days=1)).day
    return first_of(month).replace(day=min(lot.reading_day, last))


async def lot_availability(db: AsyncSession, tenant_id: int, day: date, selection: Selection = ALL) -> Sequence[LotDay]:
    """The lots in evidence: readings of ``day``, and what is missing of the day each was due (else of ``day``)."""
    lots = await lots_in_evidence(db, tenant_id, day)
    ids = [lot.id for lot, _ in lots]
    counts: dict[date, dict[int, tuple[int, int]]] = {}
    for asked in {day, *(min(due, day) for _, due in lots)}:
        counts[asked] = await _by_lot(db, tenant_id, asked, ids, selection)
    found = []
    for lot, due in lots:
        read, expected = counts[day].get(lot.id, (0, 0))
        pending_on = min(due, day)
        held, wanted = counts[pending_on].get(lot.id, (0, 0))
        found.append(LotDay(lot.id, lot.key, lot.name, due, DayCount(day, read, expected), wanted - held, pending_on))
    return found


async def totals(db: AsyncSession, tenant_id: int, selection: Selection = ALL) -> Totals:
    """Count what exists, or what hangs on the meters of a selection."""
    meters = meters_of(db, tenant_id, selection)
    if selection == ALL:
        counts = [await _count(db, select(func.count(kind.id)).where(kind.tenant_id == tenant_id)) for kind in _KINDS]
        return Totals(*counts)
    still = and_(Installation.meter_id == Meter.id, Installation.ends_at.is_(None))
    hanging = (
        select(Meter.id)
        .where(*meters)
        .outerjoin(Installation, still)
        .outerjoin(MeteringPoint, MeteringPoint.id == Installation.point_id)
        .outerjoin(Customer, Customer.id == MeteringPoint.customer_id)
    )
    counted = (Customer.group_id, Customer.id, MeteringPoint.id, Meter.id, Installation.module_id, Meter.gateway_id)
    row = (await db.execute(hanging.with_only_columns(*(func.count(each.distinct()) for each in counted)))).one()
    return Totals(*row)  # type: ignore[call-arg]


async def longest_silent(
    db: AsyncSession, tenant_id: int, before: int, day: date, selection: Selection = ALL, limit: int = 10
) -> Sequence[Late]:
    """Monitored meters without a register reading since ``before`` (UTC seconds), by the month of ``day``: never read
    ones first, then the longest silent."""
    last = (
        select(MeterMonth.read_at)
        .where(MeterMonth.meter_id == Meter.id, MeterMonth.month <= month_of(day))
        .order_by(MeterMonth.month.desc())
        .limit(1)
        .correlate(Meter)
        .scalar_subquery()
    )
    lately = select(MeterMonth.meter_id).where(  # nearly all, by the key; only the others are looked at one by one
        MeterMonth.tenant_id == tenant_id, MeterMonth.meter_id == Meter.id, MeterMonth.read_at >= before,
        MeterMonth.month.in_((month_of(day), month_of(day) - 1)),
    )  # fmt: skip
    found = (
        select(Meter.id, last.label("last"))
        .where(*meters_of(db, tenant_id, selection), Meter.monitored.is_(True), _alive(day), ~lately.exists())
        .cte()
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    query = (
        select(Meter.key, Meter.serial, Meter.name, found.c.last)
        .join(found, found.c.id == Meter.id)
        .where(func.coalesce(found.c.last, 0) < before)
        .order_by(func.coalesce(found.c.last, 0), Meter.key)
        .limit(limit)
    )
    return [Late(*row) for row in (await db.execute(query)).all()]


_KINDS: Final[tuple[Any, ...]] = (CustomerGroup, Customer, MeteringPoint, Meter, CommunicationModule, Gateway)


async def _count(db: AsyncSession, query: Any) -> int:
    return int(await db.scalar(query) or 0)


def meters_of(db: AsyncSession, tenant_id: int, selection: Selection) -> list[ColumnElement[bool]]:
    """Conditions on ``Meter``: it is one of a selection."""
    found = [Meter.tenant_id == tenant_id]
    if selection.meters is not None:
        found.append(is_one_of(db, Meter.id, selection.meters))
    if selection.gateways:
        found.append(is_one_of(db, Meter.gateway_id, selection.gateways))
    if selection.groups or selection.lots:
        customers = (
            select(Installation.meter_id)
            .join(MeteringPoint, MeteringPoint.id == Installation.point_id)
            .join(Customer, Customer.id == MeteringPoint.customer_id)
            .where(Installation.ends_at.is_(None))
        )
        if selection.groups:
            customers = customers.where(is_one_of(db, Customer.group_id, selection.groups))
        if selection.lots:
            customers = customers.where(is_one_of(db, Customer.lot_id, selection.lots))
        found.append(Meter.id.in_(customers))
    return found


def _used(month: int) -> tuple[Any, Any]:
    """Statement over the months of meters, and the millionths counted in each."""
    before = aliased(MeterMonth)
    joined = and_(
        before.tenant_id == MeterMonth.tenant_id, before.meter_id == MeterMonth.meter_id, before.month == month - 1
    )
    query = (
        select(MeterMonth.meter_id)
        .join(Meter, Meter.id == MeterMonth.meter_id)
        .outerjoin(before, joined)
        .where(MeterMonth.month == month, MeterMonth.last_total.is_not(None))
    )
    return query, MeterMonth.last_total - func.coalesce(before.last_total, MeterMonth.first_total)


def _alive(day: date) -> ColumnElement[bool]:
    """Condition: a meter is to be read on a day."""
    entered = func.coalesce(Meter.starts_on, Meter.created_at // _DAY)
    return and_(entered <= number(day), func.coalesce(Meter.ends_on, number(day)) >= number(day))


async def _lives(db: AsyncSession, tenant_id: int, selection: Selection) -> Sequence[tuple[int, int | None, int]]:
    """First and last day numbers of monitored meters, and how many have them."""
    entered = func.coalesce(Meter.starts_on, Meter.created_at // _DAY)
    query = (
        select(entered, Meter.ends_on, func.count())
        .where(*meters_of(db, tenant_id, selection), Meter.monitored.is_(True))
        .group_by(entered, Meter.ends_on)
    )
    return [(int(start), end, count) for start, end, count in (await db.execute(query)).all()]


async def _by_lot(
    db: AsyncSession, tenant_id: int, day: date, lots: Sequence[int], selection: Selection
) -> dict[int, tuple[int, int]]:
    """Monitored meters of each lot's customers that were read on a day, and all that were to be."""
    held = and_(MeterMonth.tenant_id == tenant_id, MeterMonth.meter_id == Meter.id, MeterMonth.month == month_of(day))
    query = (
        select(Lot.id, MeterMonth.days, func.count())
        .select_from(Lot)
        .join(Customer, Customer.lot_id == Lot.id)
        .join(MeteringPoint, MeteringPoint.customer_id == Customer.id)
        .join(Installation, and_(Installation.point_id == MeteringPoint.id, Installation.ends_at.is_(None)))
        .join(Meter, Meter.id == Installation.meter_id)
        .outerjoin(MeterMonth, held)
        .where(
            is_one_of(db, Lot.id, lots), *meters_of(db, tenant_id, selection), Meter.monitored.is_(True),
            _alive(day) | MeterMonth.days.is_not(None),
        )
        .group_by(Lot.id, MeterMonth.days)
    )  # fmt: skip
    found: dict[int, tuple[int, int]] = {}
    for lot, mask, count in (await db.execute(query)).all():
        read, expected = found.get(lot, (0, 0))
        hit = count if (mask or 0) >> (day.day - 1) & 1 else 0
        found[lot] = read + hit, expected + count
    return found
