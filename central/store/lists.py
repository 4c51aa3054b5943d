"""Many integers in one parameter: one statement however many there are, so that servers prepare it once."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, any_, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession


def is_one_of(session: AsyncSession, column: Any, numbers: Collection[int]) -> ColumnElement[bool]:
    """Condition that an integer column is one of ``numbers``."""
    if session.get_bind().dialect.name == "sqlite":
        each = func.json_each(literal(msgspec.json.encode(list(numbers)).decode())).table_valued("value")
        found: ColumnElement[bool] = column.in_(select(each.c.value))
        return found
    parameter: Any = bindparam(None, list(numbers), ARRAY(BigInteger), unique=True)
    return column == any_(parameter)  # type: ignore[no-any-return]
