"""Between the API's keys and the tables' ids: find, put (create or replace) and patch one row of any keyed kind."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, overload

import msgspec
from msgspec import UNSET
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import NotFound, Refused
from central.metering.calendars import check_calendar
from central.registry import changes
from central.registry.models import (
    CommunicationModule,
    Customer,
    Gateway,
    Installation,
    Lot,
    Meter,
    MeteringPoint,
    MeterModel,
)
from central.store.pages import Page, bounded

K = TypeVar("K", Gateway, CommunicationModule, MeterModel, Lot, Customer, MeteringPoint, Meter)

#: What PUT sets where the request says nothing; a field that is not here stays.
DEFAULTS: Final[dict[type[Any], dict[str, Any]]] = {
    Meter: {
        "name": "", "model_id": None, "zone": "", "multiplier_num": 1, "multiplier_den": 1, "monitored": True,
        "calendar": "",
    },
    Gateway: {"name": "", "place": "", "latitude": None, "longitude": None},
    CommunicationModule: {"name": "", "gateway_id": None},
    MeterModel: {"maker": "", "name": "", "protocol": "", "resource": "electricity"},
    Lot: {"name": "", "reading_day": 1},
    Customer: {"name": "", "group_id": None, "lot_id": None},
    MeteringPoint: {"name": "", "customer_id": None, "address": "", "latitude": None, "longitude": None},
}  # fmt: skip

#: Fields of the API that are keys of other things.
_REFERENCES: Final[dict[str, type[Any]]] = {
    "model": MeterModel, "gateway": Gateway, "lot": Lot, "customer": Customer,
}  # fmt: skip


def key_column(kind: type[Any]) -> Any:
    """The column that names a thing to the outside."""
    return Customer.external_key if kind is Customer else kind.key


async def find(db: AsyncSession, tenant_id: int, kind: type[K], key: str) -> K | None:
    """One row by its key within the tenant."""
    return await db.scalar(select(kind).where(kind.tenant_id == tenant_id, key_column(kind) == key))


async def get(db: AsyncSession, tenant_id: int, kind: type[K], key: str) -> K:
    """One row by its key within the tenant; raises :class:`NotFound`."""
    row = await find(db, tenant_id, kind, key)
    if row is None:
        raise NotFound(_WORDS[kind], key)
    return row


@overload
async def refer(db: AsyncSession, tenant_id: int, kind: type[Any], key: str, field: str) -> int: ...
@overload
async def refer(db: AsyncSession, tenant_id: int, kind: type[Any], key: str | None, field: str) -> int | None: ...
async def refer(db: AsyncSession, tenant_id: int, kind: type[Any], key: str | None, field: str) -> int | None:
    """Id of what ``field`` points to by key; raises :class:`Refused` naming the field."""
    if key is None:
        return None
    found: int | None = await db.scalar(select(kind.id).where(kind.tenant_id == tenant_id, key_column(kind) == key))
    if found is None:
        raise Refused(field, f"there is no {_WORDS[kind]} {key[:100]!r}")
    return found


async def keys(db: AsyncSession, tenant_id: int, kind: type[Any], ids: Iterable[int | None]) -> dict[int | None, str]:
    """Keys of these rows by id."""
    wanted = {row_id for row_id in ids if row_id is not None}
    if not wanted:
        return {}
    query = select(kind.id, key_column(kind)).where(kind.tenant_id == tenant_id, kind.id.in_(wanted))
    return {row[0]: row[1] for row in await db.execute(query)}


async def page(
    db: AsyncSession, tenant_id: int, kind: type[K], *, search: str, after: str | None, limit: int
) -> Page[K]:
    """Rows in order of their key; every word of the search must occur in key or name."""
    limit, column = bounded(limit), key_column(kind)
    query = select(kind).where(kind.tenant_id == tenant_id).order_by(column).limit(limit + 1)
    if after is not None:
        query = query.where(column > after)
    for word in search.split():
        query = query.where(or_(column.icontains(word, autoescape=True), kind.name.icontains(word, autoescape=True)))
    rows = (await db.scalars(query)).all()
    more = len(rows) > limit
    return Page(rows[:limit], str(getattr(rows[limit - 1], column.key)) if more else None)


async def put(db: AsyncSession, tenant_id: int, kind: type[K], key: str, data: msgspec.Struct) -> tuple[K, bool]:
    """Create or replace; returns the row and whether it is new. What DEFAULTS does not name stays."""
    if not key.isprintable() or key != key.strip():
        raise Refused("key", f"{key[:100]!r} has blanks around it or characters that cannot be printed")
    values = await _values(db, tenant_id, data)
    row = await find(db, tenant_id, kind, key)
    if row is None:
        return await changes.create(db, tenant_id, kind, **{key_column(kind).key: key}, **values), True
    if kind is Meter:
        values = {"serial": key, "registered": True, **values}
    return await changes.update(db, tenant_id, kind, row.id, **{**DEFAULTS[kind], **values}), False


async def patch(db: AsyncSession, tenant_id: int, kind: type[K], key: str, data: msgspec.Struct) -> K:
    """Change what the request names; raises :class:`NotFound`."""
    row = await get(db, tenant_id, kind, key)
    return await changes.update(db, tenant_id, kind, row.id, **await _values(db, tenant_id, data))


async def installation(db: AsyncSession, tenant_id: int, row_id: int) -> Installation:
    """One installation by its id within the tenant; raises :class:`NotFound`."""
    row = await db.get(Installation, row_id)
    if row is None or row.tenant_id != tenant_id:
        raise NotFound("installation", row_id)
    return row


async def installations(
    db: AsyncSession, tenant_id: int, *, meter_id: int | None, point_id: int | None, after: int | None, limit: int
) -> Page[Installation]:
    """Installations in order of their id."""
    limit = bounded(limit)
    query = select(Installation).where(Installation.tenant_id == tenant_id, Installation.id > (after or 0))
    if meter_id is not None:
        query = query.where(Installation.meter_id == meter_id)
    if point_id is not None:
        query = query.where(Installation.point_id == point_id)
    rows = (await db.scalars(query.order_by(Installation.id).limit(limit + 1))).all()
    return Page(rows[:limit], str(rows[limit - 1].id) if len(rows) > limit else None)


async def installation_keys(
    db: AsyncSession, tenant_id: int, rows: Sequence[Installation]
) -> Callable[[Installation], tuple[str, str | None, str | None]]:
    """Keys of meter, point and module of these rows."""
    meters = await keys(db, tenant_id, Meter, (row.meter_id for row in rows))
    points = await keys(db, tenant_id, MeteringPoint, (row.point_id for row in rows))
    modules = await keys(db, tenant_id, CommunicationModule, (row.module_id for row in rows))
    return lambda row: (meters[row.meter_id], points.get(row.point_id), modules.get(row.module_id))


def group_values(data: msgspec.Struct) -> dict[str, Any]:
    """Fields of a customer group for what was given."""
    names = {"parent": "parent_id"}
    given = {field: getattr(data, field) for field in data.__struct_fields__}
    return {names.get(field, field): value for field, value in given.items() if value is not UNSET}


async def _values(db: AsyncSession, tenant_id: int, data: msgspec.Struct) -> Mapping[str, Any]:
    """Fields of the tables for what was given."""
    values: dict[str, Any] = {}
    for field in data.__struct_fields__:
        value = getattr(data, field)
        if value is UNSET:
            continue
        if field == "multiplier":
            values |= {"multiplier_num": value.num, "multiplier_den": value.den}
        elif field in _REFERENCES:
            values[f"{field}_id"] = await refer(db, tenant_id, _REFERENCES[field], value, field)
        elif field == "group":
            values["group_id"] = value
        elif field == "calendar" and value:
            check_calendar(value)
            values[field] = value
        else:
            values[field] = value
    return values


_WORDS: Final[dict[type[Any], str]] = {
    Meter: "meter", Gateway: "gateway", CommunicationModule: "module", MeterModel: "meter model", Lot: "lot",
    Customer: "customer", MeteringPoint: "point",
}  # fmt: skip
