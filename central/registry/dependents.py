"""What hangs on a thing, found through the foreign keys of all tables, and deleting what nothing hangs on.

Readings are never orphaned: a meter with readings, or a gateway with a stream, can be ended, not deleted.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Table, delete, func, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.principal import Principal
from central.audit.service import record
from central.enrolment.models import Enrolment
from central.errors import Conflict
from central.registry import records, words
from central.registry.changes import refuse_shared, require_everywhere
from central.registry.kinds import Kind
from central.registry.models import CommunicationModule, Gateway, HolidayMember, LotDate, Meter
from central.store.tables import metadata

#: Counted so far; beyond, "more than".
MOST: Final = 1000
#: A thing's own parts go with it.
PARTS: Final[frozenset[Any]] = frozenset({
    LotDate.__table__.c.lot_id, HolidayMember.__table__.c.group_id, Enrolment.__table__.c.gateway_id,
})  # fmt: skip
#: Columns of large tables refer without a foreign key: by their name.
_BY_NAME: Final[dict[str, Any]] = {"meter_id": Meter, "gateway_id": Gateway, "module_id": CommunicationModule}


class Hanging(NamedTuple):
    """``rows`` of a table refer to the thing by ``column``; at most ``MOST + 1`` are counted."""

    table: str
    column: str
    rows: int


class Occupied(Conflict):
    """Something hangs on what was to be deleted."""

    def __init__(self, label: str, key: str, hanging: Sequence[Hanging]) -> None:
        listed = ", ".join(
            f"{f'more than {MOST}' if each.rows > MOST else each.rows} {each.table.replace('_', ' ')}"
            for each in hanging
        )
        super().__init__(f"The {label} {key!r} cannot be deleted: {listed} hang on it. Move or end them first.")
        self.hanging = hanging


@cache
def references(table: Table) -> tuple[Column[Any], ...]:
    """All columns of all tables that refer to ``table``: by foreign key, or by name where they have none."""
    found: list[Column[Any]] = []
    for other in metadata.sorted_tables:
        for column in other.columns:
            named = _BY_NAME.get(column.name)
            if any(key.column.table is table for key in column.foreign_keys) or (
                not column.foreign_keys and named is not None and named.__table__ is table
            ):
                found.append(column)
    return tuple(found)


async def hanging(db: AsyncSession, tenant_id: int, kind: Kind, row_id: int) -> list[Hanging]:
    """What hangs on a thing, by table and column; its own parts do not count."""
    found = []
    for column in references(kind.model.__table__):
        if column in PARTS:
            continue
        some = select(literal(1)).select_from(column.table).where(column == row_id)
        if "tenant_id" in column.table.c:
            some = some.where(column.table.c.tenant_id == tenant_id)
        count = await db.scalar(select(func.count()).select_from(some.limit(MOST + 1).subquery())) or 0
        if count:
            found.append(Hanging(column.table.name, column.name, count))
    return found


async def remove(db: AsyncSession, who: Principal, kind: Kind, key: Any) -> None:
    """Delete a thing; raises :class:`NotFound`, or :class:`Occupied` naming what hangs on it."""
    require_everywhere(db, kind)
    found = await records.get(db, who.tenant_id, kind, key)
    name = str(found.values["name"]) if kind.numbered else found.key
    await refuse_shared(db, kind, [found.id])
    if uses := await hanging(db, who.tenant_id, kind, found.id):
        raise Occupied(kind.label, name, uses)
    table = kind.model.__table__
    try:
        async with db.begin_nested():
            for column in references(table):
                if column in PARTS:
                    await db.execute(delete(column.table).where(column == found.id))
            await words.forget(db, kind, [found.id])
            await db.execute(delete(table).where(table.c.id == found.id))
    except IntegrityError as error:  # somebody was quicker
        raise Conflict(f"The {kind.label} {name!r} came into use just now: look at it again.") from error
    record(db, who, "deleted", kind.table, name, object_id=found.id, before=found.values)
