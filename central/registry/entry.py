"""Between the API's keys and the tables' ids."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, overload

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import NotFound, Refused
from central.registry.kinds import BY_MODEL
from central.registry.models import (
    CommunicationModule,
    Customer,
    Gateway,
    Installation,
    Lot,
    Meter,
    MeteringPoint,
    MeterModel,
    Supply,
)
from central.store.pages import Page, bounded

K = TypeVar("K", Gateway, CommunicationModule, MeterModel, Lot, Customer, MeteringPoint, Meter)
R = TypeVar("R", Installation, Supply)


async def get(db: AsyncSession, tenant_id: int, kind: type[K], key: str) -> K:
    """One row by its key within the tenant; raises :class:`NotFound`."""
    declared = BY_MODEL[kind]
    row = await db.scalar(select(kind).where(kind.tenant_id == tenant_id, declared.key_attribute == key))
    if row is None:
        raise NotFound(declared.label, key)
    return row


@overload
async def refer(db: AsyncSession, tenant_id: int, kind: type[Any], key: str, field: str) -> int: ...
@overload
async def refer(db: AsyncSession, tenant_id: int, kind: type[Any], key: str | None, field: str) -> int | None: ...
async def refer(db: AsyncSession, tenant_id: int, kind: type[Any], key: str | None, field: str) -> int | None:
    """Id of what ``field`` points to by key; raises :class:`Refused` naming the field."""
    if key is None:
        return None
    declared = BY_MODEL[kind]
    query = select(kind.id).where(kind.tenant_id == tenant_id, declared.key_attribute == key)
    found: int | None = await db.scalar(query)
    if found is None:
        raise Refused(field, f"there is no {declared.label} {key[:100]!r}")
    return found


async def keys(db: AsyncSession, tenant_id: int, kind: type[Any], ids: Iterable[int | None]) -> dict[int | None, str]:
    """Keys of these rows by id; they are named even to who may not go there."""
    wanted = {row_id for row_id in ids if row_id is not None}
    if not wanted:
        return {}
    table, column = kind.__table__, BY_MODEL[kind].key_column
    query = select(table.c.id, table.c[column]).where(table.c.tenant_id == tenant_id, table.c.id.in_(wanted))
    return {row[0]: row[1] for row in await db.execute(query)}


async def relations(
    db: AsyncSession, tenant_id: int, model: type[R], *, after: int | None, limit: int, **wanted: int | None
) -> Page[R]:
    """Dated relations in order of their id; ``wanted`` are columns with the ids they must have."""
    limit = bounded(limit)
    query = select(model).where(model.tenant_id == tenant_id, model.id > (after or 0))
    query = query.where(*(getattr(model, name) == value for name, value in wanted.items() if value is not None))
    rows = (await db.scalars(query.order_by(model.id).limit(limit + 1))).all()
    return Page(rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None)


async def installation_keys(
    db: AsyncSession, tenant_id: int, rows: Sequence[Installation]
) -> Callable[[Installation], tuple[str, str | None, str | None]]:
    """Keys of meter, point and module of these rows."""
    meters = await keys(db, tenant_id, Meter, (row.meter_id for row in rows))
    points = await keys(db, tenant_id, MeteringPoint, (row.point_id for row in rows))
    modules = await keys(db, tenant_id, CommunicationModule, (row.module_id for row in rows))
    return lambda row: (meters[row.meter_id], points.get(row.point_id), modules.get(row.module_id))


async def supply_keys(db: AsyncSession, tenant_id: int, rows: Sequence[Supply]) -> Callable[[Supply], tuple[str, str]]:
    """Keys of point and customer of these rows."""
    points = await keys(db, tenant_id, MeteringPoint, (row.point_id for row in rows))
    customers = await keys(db, tenant_id, Customer, (row.customer_id for row in rows))
    return lambda row: (points[row.point_id], customers[row.customer_id])
