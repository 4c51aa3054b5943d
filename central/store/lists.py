"""Many integers or texts in one parameter: one statement however many there are, so that servers prepare it once."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Text, any_, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession


def is_one_of(session: AsyncSession, column: Any, numbers: Collection[int]) -> ColumnElement[bool]:
    """Condition that an integer column is one of ``numbers``."""
    return _among(session, column, list(numbers), BigInteger)


def is_one_of_texts(session: AsyncSession, column: Any, texts: Sequence[str]) -> ColumnElement[bool]:
    """Condition that a text column is one of ``texts``."""
    return _among(session, column, list(texts), Text)


def _among(session: AsyncSession, column: Any, values: list[Any], kind: Any) -> ColumnElement[bool]:
    if session.get_bind().dialect.name == "sqlite":
        each = func.json_each(literal(msgspec.json.encode(values).decode())).table_valued("value")
        found: ColumnElement[bool] = column.in_(select(each.c.value))
        return found
    parameter: Any = bindparam(None, values, ARRAY(kind), unique=True)
    return column == any_(parameter)  # type: ignore[no-any-return]
