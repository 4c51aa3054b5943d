"""Which meters a report is about: filters and orders of the registry as statements that join only what they need.

A meter's point and customer are those of an instant, the end of the report's period: after an exchange or a change of
customer, reports of a past month still show who it was then. Of an instant that has not passed they are those of now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.registry.groups import with_groups_below
from central.registry.models import (
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Lot,
    Meter,
    MeteringPoint,
    MeterModel,
    Supply,
)
from central.reports.parameters import Filters
from central.store.chunks import chunks
from central.store.lists import is_one_of

#: Meters whose lines are fetched at once.
_CHUNK: Final = 1000
#: Registry column -> (what it is ordered by, the tables that needs).
_ORDERS: Final[dict[str, tuple[Any, Sequence[Any]]]] = {
    "serial": (Meter.serial, ()),
    "customer": (Customer.name, (Customer,)),
    "external_key": (Customer.external_key, (Customer,)),
    "lot": (Lot.name, (Lot,)),
    "model": (MeterModel.name, (MeterModel,)),
    "gateway": (Gateway.name, (Gateway,)),
}
#: What must be joined before a table can be.
_BEHIND: Final[dict[Any, Sequence[Any]]] = {
    Customer: (Installation, MeteringPoint),
    Lot: (Installation, MeteringPoint, Customer),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A meter as reports name it; ``ratio`` (numerator, denominator) of its transformers."""

    id: int
    key: str
    serial: str
    zone: str
    ratio: tuple[int, int]
    calendar: str = ""
    customer: str = ""
    external_key: str = ""
    contract: str = ""
    point: str = ""
    lot_id: int | None = None
    lot: str = ""
    model: str = ""
    gateway: str = ""
    module_id: int | None = None
    module: str = ""

    def cells(self) -> dict[str, Any]:
        """The cells of ``columns.METER_COLUMNS``, and the key that pages link by."""
        return {
            "meter": self.key, "serial": self.serial, "customer": self.customer or None,
            "external_key": self.external_key or None, "lot": self.lot or None, "model": self.model or None,
            "gateway": self.gateway or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """``by`` with the tables it needs; ``None`` orders by the meter's key, as cursors do."""

    by: Any = None
    needs: Sequence[Any] = ()
    descending: bool = False


def registry_order(column: str, descending: bool) -> Order | None:
    """The order by a registry column; None when ``column`` is none."""
    found = _ORDERS.get(column)
    return Order(found[0], found[1], descending) if found else None


@dataclass
class Selection:
    """The meters of a tenant that filters leave, as installed at ``at`` (None: now). Made by :func:`select_meters`."""

    tenant_id: int
    zone: str
    at: int | None
    where: list[ColumnElement[bool]] = field(default_factory=list)
    needs: set[Any] = field(default_factory=set)

    def require(self, *conditions: ColumnElement[bool], needs: Sequence[Any] = ()) -> None:
        """Leave only meters for which these hold too."""
        self.where += conditions
        self.needs.update(needs)

    def statement(self, *columns: Any, needs: Sequence[Any] = ()) -> Any:
        """Select columns of the meters, with the tables they need joined."""
        return self._joined(select(*columns).select_from(Meter), {*self.needs, *needs}).where(
            Meter.tenant_id == self.tenant_id, *self.where
        )

    async def count(self, session: AsyncSession) -> int:
        return int(await session.scalar(self.statement(func.count())) or 0)

    async def ids(
        self,
        session: AsyncSession,
        order: Order,
        *,
        offset: int = 0,
        limit: int | None = None,
        after: str | None = None,
    ) -> list[int]:
        """Ids in an order; the meter's id decides between equals, empty ones come last. ``after`` is a meter's key."""
        query = self.statement(Meter.id, needs=order.needs)
        if order.by is None:
            query = query.order_by(Meter.key)
        else:
            by = order.by.desc() if order.descending else order.by.asc()
            last = Meter.id.desc() if order.descending else Meter.id.asc()
            query = query.order_by(by if order.by is Meter.serial else by.nulls_last(), last)
        if after is not None:
            query = query.where(Meter.key > after)
        if offset:
            query = query.offset(offset)
        if limit is not None or offset:
            query = query.limit(limit if limit is not None else 1 << 40)
        return list((await session.scalars(query)).all())

    async def lines(self, session: AsyncSession, ids: Sequence[int]) -> list[Line]:
        """The lines of meters, in the order of ``ids``."""
        found: dict[int, Line] = {}
        for part in chunks(ids, _CHUNK):
            query = self._joined(
                select(
                    Meter.id, Meter.key, Meter.serial, Meter.zone, Meter.multiplier_num, Meter.multiplier_den,
                    Meter.calendar, Customer.name, Customer.external_key, Customer.contract, MeteringPoint.name,
                    Lot.id, Lot.name, Lot.key, MeterModel.maker, MeterModel.name, Gateway.name, Gateway.key,
                    Installation.module_id,
                ).select_from(Meter),
                {Customer, Lot, MeterModel, Gateway},
            ).where(is_one_of(session, Meter.id, part))  # fmt: skip
            found |= {row[0]: self._line(row) for row in (await session.execute(query)).all()}
        return [found[id_] for id_ in ids if id_ in found]

    def _line(self, row: Any) -> Line:
        model = " ".join(filter(None, (row[14], row[15])))
        return Line(
            row[0], row[1], row[2], row[3] or self.zone, (row[4], row[5]), row[6], row[7] or row[8] or "", row[8] or "",
            row[9] or "", row[10] or "", row[11], row[12] or row[13] or "", model, row[16] or row[17] or "", row[18],
        )  # fmt: skip

    def _joined(self, query: Any, needs: set[Any]) -> Any:
        needed = {*needs, *(table for need in needs for table in _BEHIND.get(need, ()))}
        for table, joins in self._joins().items():
            if table in needed:
                for joined, on in joins:
                    query = query.outerjoin(joined, on)
        return query

    def _joins(self) -> Mapping[Any, Sequence[tuple[Any, Any]]]:
        """Every join in the order that works. Of equal spans the open one is the present."""
        owner: Any = MeteringPoint.customer_id
        customer: list[tuple[Any, Any]] = [(Customer, Customer.id == owner)]
        if self.at is not None:
            owner = func.coalesce(Supply.customer_id, MeteringPoint.customer_id)
            supplied = and_(Supply.point_id == MeteringPoint.id, *_then(Supply, self.at))
            customer = [(Supply, supplied), (Customer, Customer.id == owner)]
        present = (
            (Installation.ends_at.is_(None),) if self.at is None else _then(Installation, self.at)
        )  # fmt: skip
        return {
            Installation: [(Installation, and_(Installation.meter_id == Meter.id, *present))],
            MeteringPoint: [(MeteringPoint, MeteringPoint.id == Installation.point_id)],
            Customer: customer,
            Lot: [(Lot, Lot.id == Customer.lot_id)],
            MeterModel: [(MeterModel, MeterModel.id == Meter.model_id)],
            Gateway: [(Gateway, Gateway.id == Meter.gateway_id)],
        }


def _then(table: Any, at: int) -> tuple[Any, Any]:
    return table.starts_at <= at, or_(table.ends_at.is_(None), table.ends_at > at)


async def select_meters(
    session: AsyncSession, tenant_id: int, zone: str, filters: Filters, at: int | None
) -> Selection:
    """The selection of filters; raises :class:`Refused` for a lot, gateway, group or meter that there is not."""
    found = Selection(tenant_id, zone, at)
    if filters.serial:
        found.require(Meter.serial.icontains(filters.serial, autoescape=True))
    for word in filters.customer.split():
        text = or_(*(each.icontains(word, autoescape=True) for each in (Customer.name, Customer.external_key)))
        found.require(text, needs=(Customer,))
    for word in filters.model.split():
        names = (MeterModel.maker, MeterModel.name, MeterModel.key)
        found.require(or_(*(each.icontains(word, autoescape=True) for each in names)), needs=(MeterModel,))
    if filters.meter:
        found.require(Meter.id.in_(await _known(session, tenant_id, Meter, "meter", filters.meter)))
    if filters.gateway:
        found.require(Meter.gateway_id.in_(await _known(session, tenant_id, Gateway, "gateway", filters.gateway)))
    if filters.lot:
        ids = await _known(session, tenant_id, Lot, "lot", filters.lot)
        found.require(Customer.lot_id.in_(ids), needs=(Customer,))
    if filters.group:
        mine = select(CustomerGroup.id).where(CustomerGroup.tenant_id == tenant_id)
        groups = (await session.scalars(mine.where(CustomerGroup.id.in_(filters.group)))).all()
        if missing := set(filters.group) - set(groups):
            raise Refused("group", f"there is no group {min(missing)}")
        below = await with_groups_below(session, groups)
        found.require(is_one_of(session, Customer.group_id, below), needs=(Customer,))
    return found


async def _known(session: AsyncSession, tenant_id: int, table: Any, name: str, keys: Sequence[str]) -> list[int]:
    """Ids of things by their keys."""
    query = select(table.key, table.id).where(table.tenant_id == tenant_id, table.key.in_(keys))
    found: dict[str, int] = {row[0]: row[1] for row in (await session.execute(query)).all()}
    for key in keys:
        if key not in found:
            raise Refused(name, f"there is no {name} {key[:64]!r}")
    return list(found.values())
