"""INSERT ... ON CONFLICT in the words of both databases."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Table, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def upsert(
    session: AsyncSession,
    table: Any,
    *,
    update: Sequence[str] = (),
    fill: Sequence[str] = (),
    keys: Sequence[str] = (),
) -> Any:
    """Statement that inserts; on a clash of ``keys`` (default: the primary key) it sets the columns of ``update``,
    and those of ``fill`` where the new value is not NULL; without both it does nothing."""
    where: Table = getattr(table, "__table__", table)
    statement = _INSERTS[session.get_bind().dialect.name](where)
    index = [where.c[name] for name in keys] or list(where.primary_key)
    values = {name: statement.excluded[name] for name in update}
    values |= {name: func.coalesce(statement.excluded[name], where.c[name]) for name in fill}
    if not values:
        return statement.on_conflict_do_nothing(index_elements=index)
    return statement.on_conflict_do_update(index_elements=index, set_=values)
