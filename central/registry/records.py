"""What is registered, as values of the declared fields: one record, many, pages of a list."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import NotFound
from central.registry.fields import EPOCH, Dates, Members, Reference
from central.registry.kinds import BY_NAME, Field, Kind
from central.registry.models import CustomerGroup, Holiday, HolidayMember, LotDate, Meter
from central.registry.search import matching
from central.store.chunks import chunks
from central.store.lists import is_one_of
from central.store.pages import Page, bounded

SEPARATOR: Final = " / "
_CHUNK: Final = 5000


@dataclass(slots=True)
class Record:
    """One thing: ``values`` by field as the API has them, references as keys or numbers; ``key`` is its number where
    the kind has no key."""

    id: int
    key: str
    values: dict[str, Any] = field(default_factory=dict)
    created_at: int | None = None
    registered: bool = True


def select_records(kind: Kind, tenant_id: int) -> Any:
    """Select what :func:`records` needs, within the tenant (and, of a session with a reach, within that)."""
    return select(*_columns(kind)).where(kind.model.tenant_id == tenant_id)


async def records(db: AsyncSession, tenant_id: int, kind: Kind, query: Any) -> list[Record]:
    """Records of a query made by :func:`select_records`."""
    rows = (await db.execute(query)).all()
    columns = [column.key for column in _columns(kind)]
    found = []
    for row in rows:
        stored = dict(zip(columns, row, strict=True))
        record = Record(
            stored["id"], str(stored[kind.key_column]), created_at=stored.get("created_at"),
            registered=stored.get("registered", True),
        )  # fmt: skip
        for each in kind.fields:
            if each.columns:
                record.values[each.name] = each.type.load(*(stored[column] for column in each.columns))
        found.append(record)
    await _references(db, tenant_id, kind, found)
    await _parts(db, kind, found)
    return found


async def by_keys(db: AsyncSession, tenant_id: int, kind: Kind, keys: Iterable[Any]) -> dict[str, Record]:
    """Records by their keys (numbers of kinds without), as far as they are there."""
    found: dict[str, Record] = {}
    for some in chunks(dict.fromkeys(keys), _CHUNK):
        query = select_records(kind, tenant_id).where(one_of(db, kind, some))
        found |= {record.key: record for record in await records(db, tenant_id, kind, query)}
    return found


async def get(db: AsyncSession, tenant_id: int, kind: Kind, key: str | int) -> Record:
    """One record by its key or number; raises :class:`NotFound`."""
    wanted = number(key) if kind.numbered else key
    found = await by_keys(db, tenant_id, kind, [wanted])
    if str(wanted) not in found:
        raise NotFound(kind.label, key)
    return found[str(wanted)]


def number(key: Any) -> int:
    """A row's number out of an address; what is none, or none that a database has, is 0: there is nothing."""
    text = str(key)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def one_of(db: AsyncSession, kind: Kind, keys: Collection[Any]) -> Any:
    """Condition that a row is one of these, by keys or numbers."""
    if kind.numbered:
        return is_one_of(db, kind.model.id, [number(key) for key in keys])
    return or_(*(kind.key_attribute.in_(some) for some in chunks(keys, 1000)))


async def page(
    db: AsyncSession,
    tenant_id: int,
    kind: Kind,
    *,
    search: str = "",
    filters: Mapping[str, Any] | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Page[Record]:
    """Records in order of their key, after ``after``."""
    limit = bounded(limit)
    column = kind.model.id if kind.numbered else kind.key_attribute
    query = select_records(kind, tenant_id).where(*conditions(db, tenant_id, kind, search, filters or {}))
    if after is not None:
        query = query.where(column > (number(after) if kind.numbered else after))
    found = await records(db, tenant_id, kind, query.order_by(column).limit(limit + 1))
    return Page(found[:limit], found[limit - 1].key if len(found) > limit else None)


async def sheet(
    db: AsyncSession, tenant_id: int, kind: Kind, *, search: str, filters: Mapping[str, Any], order: str, down: bool,
    offset: int, limit: int,
) -> tuple[list[Record], int]:  # fmt: skip
    """One page of a list that people leaf through, in order of a field, and how many there are."""
    where = conditions(db, tenant_id, kind, search, filters)
    total = await db.scalar(select(func.count(kind.model.id)).where(kind.model.tenant_id == tenant_id, *where)) or 0
    column = order_column(kind, order)
    own = kind.model.id if kind.numbered else kind.key_attribute
    ordered = (column.desc(), own.desc()) if down else (column, own)
    query = select_records(kind, tenant_id).where(*where).order_by(*ordered).limit(limit).offset(offset)
    return await records(db, tenant_id, kind, query), total


def order_column(kind: Kind, order: str) -> Any:
    """The column of a field that lists can be ordered by; else that of the key."""
    for each in kind.fields:
        if each.name == order and len(each.columns) == 1 and not isinstance(each.type, Reference):
            return getattr(kind.model, each.columns[0])
    if kind.numbered:
        return kind.model.name
    return kind.key_attribute


def filtered(kind: Kind) -> tuple[Field, ...]:
    """Fields that lists can be narrowed by: what refers to something else."""
    return tuple(each for each in kind.fields if isinstance(each.type, Reference))


def conditions(db: AsyncSession, tenant_id: int, kind: Kind, search: str, filters: Mapping[str, Any]) -> list[Any]:
    """Conditions of a search and of filters (field -> id of what it refers to; column -> value)."""
    found = [matching(tenant_id, kind, search)] if search.strip() else []
    for name, value in filters.items():
        if value is None:
            continue
        column = next((each.columns[0] for each in kind.fields if each.name == name), name)
        found.append(getattr(kind.model, column) == value)
    return found


async def labels(db: AsyncSession, tenant_id: int, kind: Kind) -> dict[int, str]:
    """What files call the things of a kind without keys: paths of groups, day and name of holidays."""
    if kind.model is Holiday:
        table = Holiday.__table__
        rows = await db.execute(
            select(table.c.id, table.c.year, table.c.month, table.c.day, table.c.name).where(
                table.c.tenant_id == tenant_id
            )
        )
        return {row[0]: holiday_label(*row[1:]) for row in rows}
    table = CustomerGroup.__table__
    groups = {
        row[0]: (row[1], row[2])
        for row in await db.execute(
            select(table.c.id, table.c.parent_id, table.c.name).where(table.c.tenant_id == tenant_id)
        )
    }
    return {group_id: _path(groups, group_id) for group_id in groups}


def holiday_label(year: int | None, month: int, day: int, name: str) -> str:
    """``12-25 Christmas``, with the year where it has one."""
    return f"{f'{year:04}-' if year else ''}{month:02}-{day:02} {name}"


async def titles(db: AsyncSession, tenant_id: int, kind: Kind, keys: Collection[Any]) -> dict[str, str]:
    """Names of things by their keys or numbers."""
    if not keys:
        return {}
    if kind.numbered:
        found = await labels(db, tenant_id, kind)
        return {str(key): found[number(key)] for key in keys if number(key) in found}
    table = kind.model.__table__
    query = select(table.c[kind.key_column], table.c.name).where(
        table.c.tenant_id == tenant_id, table.c[kind.key_column].in_(sorted(keys))
    )
    return {row[0]: row[1] for row in await db.execute(query)}


def _path(groups: Mapping[int, tuple[int | None, str]], group_id: int) -> str:
    names: list[str] = []
    at: int | None = group_id
    while at is not None and at in groups and len(names) < 100:
        parent, name = groups[at]
        names.append(name)
        at = parent
    return SEPARATOR.join(reversed(names))


def _columns(kind: Kind) -> list[Any]:
    model = kind.model
    names = ["id", *([] if kind.numbered else [kind.key_column]), *(c for each in kind.fields for c in each.columns)]
    if kind.created_at:
        names.append("created_at")
    if model is Meter:
        names.append("registered")
    return [getattr(model, name) for name in names]


async def _references(db: AsyncSession, tenant_id: int, kind: Kind, found: Sequence[Record]) -> None:
    """Turn ids into keys. What is referred to is named even where the reader may not go there."""
    for each in kind.fields:
        if not isinstance(each.type, Reference) or each.type.by_number:
            continue
        target = BY_NAME[each.type.kind]
        table = target.model.__table__
        wanted = {record.values[each.name] for record in found} - {None}
        known: dict[int, str] = {}
        for some in chunks(sorted(wanted), _CHUNK):
            query = select(table.c.id, table.c[target.key_column]).where(
                and_(table.c.tenant_id == tenant_id, is_one_of(db, table.c.id, some))
            )
            known |= {row[0]: row[1] for row in await db.execute(query)}
        for record in found:
            record.values[each.name] = known.get(record.values[each.name])


async def _parts(db: AsyncSession, kind: Kind, found: Sequence[Record]) -> None:
    """Load what stands in tables of its own: days of lots, members of holiday groups."""
    for each in kind.fields:
        ids = [record.id for record in found]
        if isinstance(each.type, Dates):
            dates: dict[int, dict[str, str]] = {row_id: {} for row_id in ids}
            query = select(LotDate).where(is_one_of(db, LotDate.lot_id, ids)).order_by(LotDate.month)
            for date in await db.scalars(query):
                month = f"{date.month // 12:04}-{date.month % 12 + 1:02}"
                dates[date.lot_id][month] = (EPOCH + timedelta(days=date.due_on)).isoformat()
            for record in found:
                record.values[each.name] = dates[record.id]
        elif isinstance(each.type, Members):
            members: dict[int, list[int]] = {row_id: [] for row_id in ids}
            table = HolidayMember.__table__
            chosen = select(table.c.group_id, table.c.holiday_id).where(is_one_of(db, table.c.group_id, ids))
            for group_id, holiday_id in await db.execute(chosen.order_by(table.c.holiday_id)):
                members[group_id].append(holiday_id)
            for record in found:
                record.values[each.name] = members[record.id]
