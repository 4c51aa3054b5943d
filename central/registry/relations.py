"""Dated relations: which meter sat in which point through which module, and which customer was supplied there.

Each lasts from an instant to another (None: still); at a meter and in a point there is one at a time. Exchanges end
what was and begin what is, corrections move the ends; the one place that writes ``MeteringPoint.customer_id``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.audit.service import record
from central.errors import NotFound, Refused
from central.registry.models import CommunicationModule, Customer, Installation, Meter, MeteringPoint, Supply
from central.store.chunks import chunks
from central.store.lists import is_one_of

_CHUNK: Final = 5000
_MAX_REASON: Final = 300
#: Relations that are history of the objects in these columns, of which each has one at a time.
_SINGLE: Final[dict[Any, tuple[str, ...]]] = {Installation: ("meter_id", "point_id"), Supply: ("point_id",)}


async def install(
    db: AsyncSession,
    who: Principal,
    meter_id: int,
    *,
    point_id: int | None,
    module_id: int | None = None,
    starts_at: int,
    reason: str = "",
) -> Installation:
    """Put a meter into a point from ``starts_at`` on; what stood open at the meter or in the point ends then.

    Raises :class:`Refused` when it would begin before what it ends, or overlap what is past.
    """
    await _belongs(db, who, Meter, meter_id)
    await _belongs(db, who, MeteringPoint, point_id)
    await _belongs(db, who, CommunicationModule, module_id)
    places = {"meter_id": meter_id} | ({"point_id": point_id} if point_id is not None else {})
    await _end_open(db, who, Installation, places, starts_at)
    await _refuse_overlap(db, Installation, places, starts_at, None)
    row = Installation(
        tenant_id=who.tenant_id, meter_id=meter_id, point_id=point_id, module_id=module_id, starts_at=starts_at,
        ends_at=None, reason=checked_reason(reason),
    )  # fmt: skip
    db.add(row)
    await db.flush()
    await _record(db, who, "installed", row, {}, _said(row))
    return row


async def take_out(db: AsyncSession, who: Principal, meter_id: int, at: int, reason: str = "") -> None:
    """End where a meter sits now; nothing happens when it sits nowhere."""
    await _end_open(db, who, Installation, {"meter_id": meter_id}, at, checked_reason(reason))


async def exchange_meter(
    db: AsyncSession, who: Principal, point_id: int, meter_id: int, at: int, *, module_id: int | None, reason: str = ""
) -> Installation:
    """Put another meter into a point; without a module of its own it is reached through the one that was there."""
    before = await _open(db, who, Installation, {"point_id": point_id})
    if module_id is None and before:
        module_id = before[0].module_id
    return await install(db, who, meter_id, point_id=point_id, module_id=module_id, starts_at=at, reason=reason)


async def change_module(
    db: AsyncSession, who: Principal, meter_id: int, module_id: int | None, at: int, reason: str = ""
) -> Installation:
    """Reach a meter through another module, where it sits."""
    before = await _open(db, who, Installation, {"meter_id": meter_id})
    point_id = before[0].point_id if before else None
    if point_id is None and module_id is None:
        raise Refused("module", "the meter sits in no point: choose a module, or install it first")
    return await install(db, who, meter_id, point_id=point_id, module_id=module_id, starts_at=at, reason=reason)


async def supply(
    db: AsyncSession, who: Principal, point_id: int, customer_id: int | None, at: int, reason: str = ""
) -> Supply | None:
    """Supply another customer at a point from ``at`` on (None: nobody); who was supplied there was so until then."""
    await _belongs(db, who, MeteringPoint, point_id)
    await _belongs(db, who, Customer, customer_id)
    words = checked_reason(reason)
    await _end_open(db, who, Supply, {"point_id": point_id}, at, "" if customer_id else words)
    row = None
    if customer_id is not None:
        await _refuse_overlap(db, Supply, {"point_id": point_id}, at, None)
        row = Supply(
            tenant_id=who.tenant_id, point_id=point_id, customer_id=customer_id, starts_at=at, ends_at=None,
            reason=words,
        )  # fmt: skip
        db.add(row)
        await db.flush()
        await _record(db, who, "supplied", row, {}, _said(row))
    await _follow(db, point_id)
    return row


async def follow_customers(db: AsyncSession, who: Principal, customers: Mapping[int, int | None], at: int) -> None:
    """Supply each of many points' customer (None: nobody) from ``at`` on, in few statements."""
    if not customers:
        return
    table: Any = Supply.__table__
    standing: dict[int, Any] = {}
    for some in chunks(customers, _CHUNK):
        query = select(table).where(is_one_of(db, table.c.point_id, some), table.c.ends_at.is_(None))
        standing |= {row.point_id: row for row in await db.execute(query)}
    moved = {
        point: customer
        for point, customer in customers.items()
        if (standing[point].customer_id if point in standing else None) != customer
    }
    ending = [
        {"row_id": standing[point].id, "at": max(at, standing[point].starts_at)} for point in moved if point in standing
    ]
    if ending:
        statement = update(table).where(table.c.id == bindparam("row_id"))
        await db.execute(statement.values(ends_at=bindparam("at")), ending)
    beginning = [
        {
            "tenant_id": who.tenant_id, "point_id": point, "customer_id": customer, "ends_at": None, "reason": "",
            "starts_at": max(at, standing[point].starts_at) if point in standing else at,
        }
        for point, customer in moved.items() if customer is not None
    ]  # fmt: skip
    if beginning:
        await db.execute(insert(table), beginning)
    point_table: Any = MeteringPoint.__table__
    await db.execute(
        update(point_table).where(point_table.c.id == bindparam("row_id")).values(customer_id=bindparam("customer")),
        [{"row_id": point, "customer": customer} for point, customer in customers.items()],
    )


async def correct(
    db: AsyncSession, who: Principal, row: Installation | Supply, starts_at: int, ends_at: int | None, reason: str
) -> None:
    """Move the ends of a relation; raises :class:`Refused` when it would end before it starts or overlap another."""
    if ends_at is not None and ends_at <= starts_at:
        raise Refused("ends_at", "ends before it starts")
    places = {name: getattr(row, name) for name in _SINGLE[type(row)] if getattr(row, name) is not None}
    await _refuse_overlap(db, type(row), places, starts_at, ends_at, but=row.id)
    before = _said(row)
    row.starts_at, row.ends_at, row.reason = starts_at, ends_at, checked_reason(reason)
    await db.flush()
    await _record(db, who, "corrected", row, before, _said(row))
    if isinstance(row, Supply):
        await _follow(db, row.point_id)


async def remove(db: AsyncSession, who: Principal, row: Installation | Supply) -> None:
    """Take back a relation that never was."""
    await _record(db, who, "withdrawn", row, _said(row), {})
    await db.delete(row)
    await db.flush()
    if isinstance(row, Supply):
        await _follow(db, row.point_id)


async def one(db: AsyncSession, tenant_id: int, model: Any, row_id: int) -> Any:
    """One relation by its number; raises :class:`NotFound`."""
    row = await db.scalar(select(model).where(model.tenant_id == tenant_id, model.id == row_id))
    if row is None:
        raise NotFound("installation" if model is Installation else "supply", row_id)
    return row


async def history(db: AsyncSession, tenant_id: int, model: Any, column: str, row_id: int) -> Sequence[Any]:
    """Relations of one object, newest first."""
    query = select(model).where(model.tenant_id == tenant_id, getattr(model, column) == row_id)
    return (await db.scalars(query.order_by(model.starts_at.desc(), model.id.desc()).limit(_CHUNK))).all()


def checked_reason(text: str) -> str:
    """A reason as it is kept; raises :class:`Refused`."""
    if len(text) > _MAX_REASON or "\0" in text:
        raise Refused("reason", f"has to be text of at most {_MAX_REASON} characters")
    return text.strip()


async def _open(db: AsyncSession, who: Principal, model: Any, places: Mapping[str, int]) -> Sequence[Any]:
    query = select(model).where(
        model.tenant_id == who.tenant_id, model.ends_at.is_(None),
        or_(*(getattr(model, name) == value for name, value in places.items())),
    )  # fmt: skip
    return (await db.scalars(query)).all()


async def _end_open(
    db: AsyncSession, who: Principal, model: Any, places: Mapping[str, int], at: int, reason: str = ""
) -> None:
    """End at ``at`` what stands open; what would have lasted no time is taken back."""
    for row in await _open(db, who, model, places):
        if at < row.starts_at:
            what = "installation" if model is Installation else "supply"
            raise Refused("starts_at", f"{at} is before the {what} it would end ({row.starts_at})")
        if at == row.starts_at:
            await remove(db, who, row)
            continue
        before = _said(row)
        row.ends_at = at
        row.reason = reason or row.reason
        await _record(db, who, "ended", row, before, _said(row))
    await db.flush()


async def _refuse_overlap(
    db: AsyncSession, model: Any, places: Mapping[str, int], starts_at: int, ends_at: int | None, but: int = 0
) -> None:
    """Refuse what would be at one object together with something else; the reach hides nothing here."""
    table = model.__table__
    for name, value in places.items():
        query = select(table.c.starts_at, table.c.ends_at).where(
            table.c[name] == value, table.c.id != but, or_(table.c.ends_at.is_(None), table.c.ends_at > starts_at)
        )
        if ends_at is not None:
            query = query.where(table.c.starts_at < ends_at)
        if (other := (await db.execute(query.limit(1))).one_or_none()) is not None:
            what = name.removesuffix("_id")
            until = "now" if other[1] is None else other[1]
            raise Refused("starts_at", f"overlaps another one of the same {what}, from {other[0]} to {until}")


async def _follow(db: AsyncSession, point_id: int) -> None:
    """Make a point's customer that of its open supply."""
    table: Any = Supply.__table__
    point: Any = MeteringPoint.__table__
    now = select(table.c.customer_id).where(table.c.point_id == point_id, table.c.ends_at.is_(None))
    customer = await db.scalar(now.order_by(table.c.starts_at.desc()).limit(1))
    await db.execute(update(point).where(point.c.id == point_id).values(customer_id=customer))


async def _belongs(db: AsyncSession, who: Principal, model: Any, row_id: int | None) -> None:
    if row_id is not None:
        query = select(model.id).where(model.id == row_id, model.tenant_id == who.tenant_id)
        if await db.scalar(query) is None:
            raise NotFound(model.__tablename__.replace("_", " "), row_id)


def _said(row: Installation | Supply) -> dict[str, Any]:
    names: Iterable[str] = ("meter_id", "point_id", "module_id", "customer_id", "starts_at", "ends_at", "reason")
    return {name: getattr(row, name) for name in names if hasattr(row, name)}


async def _record(
    db: AsyncSession, who: Principal, action: str, row: Installation | Supply, before: dict[str, Any],
    after: dict[str, Any],
) -> None:  # fmt: skip
    """Tell it in the history of the meter, or of the point whose customer changes; by keys, as people read it."""
    model: Any = Meter if isinstance(row, Installation) else MeteringPoint
    row_id = row.meter_id if isinstance(row, Installation) else row.point_id
    key = await db.scalar(select(model.__table__.c.key).where(model.__table__.c.id == row_id)) or ""
    record(
        db, who, action, model.__tablename__, key, object_id=row_id, before=await _named(db, before),
        after=await _named(db, after),
    )  # fmt: skip


_NAMED: Final[dict[str, tuple[Any, str]]] = {
    "meter_id": (Meter, "key"), "point_id": (MeteringPoint, "key"), "module_id": (CommunicationModule, "key"),
    "customer_id": (Customer, "external_key"),
}  # fmt: skip


async def _named(db: AsyncSession, said: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in said.items():
        if name in _NAMED:
            model, column = _NAMED[name]
            table = model.__table__
            query = select(table.c[column]).where(table.c.id == value)
            found[name.removesuffix("_id")] = None if value is None else await db.scalar(query)
        else:
            found[name] = value
    return found
