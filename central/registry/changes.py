"""Carry plans out: rows, their parts, search words, supplies and the audit log, in one transaction, in few statements.

Also the ways in for one thing: create, update, put. Values are those of the API (references by key).
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.accounts.principal import Principal
from central.accounts.reach import REACH, is_limited, is_part
from central.audit.service import entry, record_many
from central.errors import Conflict, OutOfReach, Refused
from central.metering.blocks import BlockError
from central.metering.days import cut_anew
from central.metering.month_rows import months_anew
from central.registry import faults, records, relations, words
from central.registry.faults import Fault, refuse
from central.registry.fields import EPOCH, Dates, Members, Reference
from central.registry.kinds import BY_NAME, GATEWAY, GROUP, METER, MODULE, POINT, Field, Kind
from central.registry.models import HolidayMember, LotDate, Meter
from central.registry.plans import Entry, Plan, Row, plan
from central.registry.records import SEPARATOR
from central.store.chunks import chunks
from central.store.lists import is_one_of

_CHUNK: Final = 1000


async def put(
    db: AsyncSession, who: Principal, kind: Kind, key: Any, values: Mapping[str, Any], *, replace: bool = False
) -> Row:
    """Enter one thing: change the fields given, or with ``replace`` set all others to their defaults.

    ``key`` None: of a kind without keys, found by what it says or made. Raises :class:`Refused` with the first fault.
    """
    (row,) = (await plan(db, who.tenant_id, kind, [Entry(key, dict(values))], replace=replace)).rows
    if row.faults:
        raise refuse(row.faults[0])
    await apply(db, who, Plan(kind, [row]))
    return row


async def patch(db: AsyncSession, who: Principal, kind: Kind, key: Any, values: Mapping[str, Any]) -> Row:
    """Change one thing that is there; raises :class:`NotFound` or as :func:`put`."""
    await records.get(db, who.tenant_id, kind, key)
    return await put(db, who, kind, records.number(key) if kind.numbered else key, values)


async def apply(db: AsyncSession, who: Principal, wanted: Plan) -> None:
    """Carry out the new and changed rows of a plan; each then has its ``id``.

    Raises :class:`Refused` where the session's reach does not go, :class:`Conflict` when somebody was quicker.
    """
    kind = wanted.kind
    require_everywhere(db, kind)
    fresh, changed = wanted.of("new"), wanted.of("changed")
    if not fresh and not changed:
        return
    now = int(time.time())
    try:
        async with db.begin_nested():
            for batch in _batches(kind, fresh):
                await _insert(db, who.tenant_id, kind, batch, now)
            await _update(db, who.tenant_id, kind, changed)
    except IntegrityError as error:
        name = str(fresh[0].key or fresh[0].label) if len(fresh) == 1 else ""
        raise Conflict(f"There is a {kind.label} {name!r} already.") from error
    await _parts(db, kind, [*fresh, *changed])
    if kind is POINT:
        customers = await _ids(db, who.tenant_id, kind.field("customer"), [*fresh, *changed])
        moved = {
            row.id: customers.get(row.values["customer"]) for row in (*fresh, *changed) if "customer" in row.values
        }
        await relations.follow_customers(db, who, moved, now)
    if kind is METER:
        await _move_zones(db, who.tenant_id, changed)
    await record_many(db, [_told(who, kind, row) for row in (*fresh, *changed)])
    await _refuse_outside(db, kind, [*fresh, *changed])


def require_everywhere(db: AsyncSession, kind: Kind) -> None:
    """Refuse who may change only a part of the tenant and wants to change what belongs to all of it."""
    reach = db.info.get(REACH)
    if reach is not None and not reach.everywhere and not is_limited(kind.model):
        raise Refused(kind.name, "belongs to the whole utility: only who may change all of it can change this")


def name_of(kind: Kind, row: Row) -> str:
    """What the audit log calls it."""
    whole = (row.before.values if row.before else {}) | row.values
    return str(whole.get("name", row.label)) if kind.numbered else str(row.key)


def _told(who: Principal, kind: Kind, row: Row) -> dict[str, Any]:
    """The entry of the audit log about a row."""
    old = {name: row.before.values.get(name) for name in row.values} if row.before else {}
    action = "changed" if row.before else "created"
    return entry(who, action, kind.table, name_of(kind, row), object_id=row.id, before=old, after=row.values)


def _batches(kind: Kind, fresh: Sequence[Row]) -> Iterable[Sequence[Row]]:
    """Groups come after the groups they are in."""
    if kind is not GROUP:
        return [fresh] if fresh else []
    levels: dict[int, list[Row]] = {}
    for row in fresh:
        parent = row.values.get("parent")
        levels.setdefault(parent.count(SEPARATOR) + 1 if isinstance(parent, str) else 0, []).append(row)
    return [levels[level] for level in sorted(levels)]


async def _insert(db: AsyncSession, tenant_id: int, kind: Kind, rows: Sequence[Row], now: int) -> None:
    table = kind.model.__table__
    ids = {each.name: await _ids(db, tenant_id, each, rows) for each in kind.fields}
    stored = []
    for row in rows:
        columns: dict[str, Any] = {"tenant_id": tenant_id} | _columns(kind, row, ids)
        if not kind.numbered:
            columns[kind.key_column] = row.key
        if kind.created_at:
            columns["created_at"] = now
        if kind is METER:
            columns["registered"] = True
        stored.append(columns)
    if kind.numbered:
        for row, columns in zip(rows, stored, strict=True):
            row.id = columns["id"] = (await db.execute(insert(table).returning(table.c.id), [columns])).scalar_one()
    else:
        await _insert_keyed(db, tenant_id, kind, rows, stored)
    await words.enter(db, tenant_id, kind, stored)


async def _insert_keyed(
    db: AsyncSession, tenant_id: int, kind: Kind, rows: Sequence[Row], stored: Sequence[dict[str, Any]]
) -> None:
    """Insert many at once, then ask for their ids by their keys: SQLite does not return them in order."""
    table = kind.model.__table__
    for some in chunks(zip(rows, stored, strict=True), _CHUNK):
        await db.execute(insert(table), [columns for _, columns in some])
        query = select(table.c[kind.key_column], table.c.id).where(
            table.c.tenant_id == tenant_id, table.c[kind.key_column].in_([row.key for row, _ in some])
        )
        made = {found[0]: found[1] for found in await db.execute(query)}
        for row, columns in some:
            row.id = columns["id"] = made[row.key]


async def _update(db: AsyncSession, tenant_id: int, kind: Kind, rows: Sequence[Row]) -> None:
    table = kind.model.__table__
    ids = {each.name: await _ids(db, tenant_id, each, rows) for each in kind.fields}
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        columns = _columns(kind, row, ids)
        if kind is METER:
            columns["registered"] = True
        if columns:
            alike.setdefault(tuple(sorted(columns)), []).append({"row_id": row.id, **columns})
    for names, parameters in alike.items():
        statement = update(table).where(table.c.id == bindparam("row_id"))
        await db.execute(statement.values({name: bindparam(name) for name in names}), parameters)
    searched = {each.name for each in kind.fields if set(each.columns) & set(kind.searched)}
    await words.renew(db, tenant_id, kind, [row.id for row in rows if searched & row.values.keys()])


def _columns(kind: Kind, row: Row, ids: Mapping[str, Mapping[Any, int]]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for each in kind.fields:
        if each.name not in row.values or not each.columns or (kind is POINT and each.name == "customer"):
            continue  # a point's customer is kept by its supplies
        value = row.values[each.name]
        if isinstance(each.type, Reference):
            columns[each.columns[0]] = None if value is None else ids[each.name][value]
        else:
            columns |= each.store(value)
    return columns


async def _ids(db: AsyncSession, tenant_id: int, each: Field, rows: Iterable[Row]) -> dict[Any, int]:
    """Ids of what a field of rows refers to; the plan has seen that it is there."""
    if not isinstance(each.type, Reference):
        return {}
    target = BY_NAME[each.type.kind]
    wanted = {row.values[each.name] for row in rows if row.values.get(each.name) is not None}
    found: dict[Any, int] = {value: value for value in wanted if isinstance(value, int)}
    labels = {value for value in wanted if isinstance(value, str)}
    if target.numbered:
        if labels:
            known = await records.labels(db, tenant_id, target)
            found |= {label: number for number, label in known.items() if label in labels}
        return found
    table = target.model.__table__
    for some in chunks(sorted(labels), _CHUNK):
        query = select(table.c[target.key_column], table.c.id).where(
            table.c.tenant_id == tenant_id, table.c[target.key_column].in_(some)
        )
        found |= {row[0]: row[1] for row in await db.execute(query)}
    return found


async def _parts(db: AsyncSession, kind: Kind, rows: Sequence[Row]) -> None:
    """Write what stands in tables of its own."""
    for each in kind.fields:
        given = [row for row in rows if each.name in row.values]
        if not given:
            continue
        ids = [row.id for row in given]
        if isinstance(each.type, Dates):
            lot_date: Any = LotDate.__table__
            await db.execute(delete(lot_date).where(is_one_of(db, lot_date.c.lot_id, ids)))
            days = [
                {
                    "lot_id": row.id, "month": int(month[:4]) * 12 + int(month[5:]) - 1,
                    "due_on": (date.fromisoformat(day) - EPOCH).days,
                }
                for row in given for month, day in row.values[each.name].items()
            ]  # fmt: skip
            if days:
                await db.execute(insert(lot_date), days)
        elif isinstance(each.type, Members):
            member: Any = HolidayMember.__table__
            await db.execute(delete(member).where(is_one_of(db, member.c.group_id, ids)))
            members = [{"group_id": row.id, "holiday_id": one} for row in given for one in row.values[each.name]]
            if members:
                await db.execute(insert(member), members)


async def _move_zones(db: AsyncSession, tenant_id: int, rows: Sequence[Row]) -> None:
    """Cut the profiles that are there into the local days of a meter's new zone; its months are worked out anew."""
    default = ""
    for row in rows:
        if "zone" not in row.values or row.before is None:
            continue
        default = default or str(await db.scalar(select(Tenant.zone).where(Tenant.id == tenant_id)))
        before, after = row.before.values["zone"] or default, row.values["zone"] or default
        await db.execute(select(Meter.id).where(Meter.id == row.id).with_for_update())
        if ZoneInfo(before) != ZoneInfo(after):
            try:
                await cut_anew(db, tenant_id, row.id, after, int(time.time()))
            except BlockError as error:
                raise Refused("zone", f"the profiles that are there cannot be cut into its days: {error}") from error
            await months_anew(db, tenant_id, row.id, after)


async def refuse_shared(db: AsyncSession, kind: Kind, ids: Sequence[int]) -> None:
    """Refuse to change a gateway shared with others, or a module of one: only some of its meters are reached."""
    if kind is GATEWAY:
        owners: Collection[int | None] = ids
    elif kind is MODULE:
        model = kind.model
        owners = (await db.scalars(select(model.gateway_id).where(is_one_of(db, model.id, list(ids))))).all()
    else:
        return
    if any(owner is not None and is_part(db, owner) for owner in owners):
        raise OutOfReach(kind.table)


async def _refuse_outside(db: AsyncSession, kind: Kind, rows: Sequence[Row]) -> None:
    """What was written has to lie within the session's reach."""
    reach = db.info.get(REACH)
    if reach is None or reach.everywhere:
        return
    await refuse_shared(db, kind, [row.id for row in rows])
    seen: set[int] = set()
    for some in chunks([row.id for row in rows], _CHUNK):
        seen |= set(await db.scalars(select(kind.model.id).where(is_one_of(db, kind.model.id, some))))
    for row in rows:
        if row.id not in seen:
            raise refuse(Fault(_placing(kind), faults.OUT_OF_REACH))


def _placing(kind: Kind) -> str:
    names = {each.name for each in kind.fields}
    return next((name for name in ("group", "parent", "customer", "gateway") if name in names), "key")
