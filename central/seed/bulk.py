"""Many rows into a table past the object mapper: executemany on SQLite, COPY on PostgreSQL, within the transaction."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from central.store.chunks import chunks

#: Rows handed over at once.
_ROWS: Final = 20_000


async def insert_rows(session: AsyncSession, model: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Insert rows of ``columns``; returns how many. Other columns take what the database has for a default."""
    table, count = model.__tablename__, 0
    connection = await session.connection()
    if session.get_bind().dialect.name == "sqlite":
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"  # noqa: S608
        for some in chunks(rows, _ROWS):
            await connection.exec_driver_sql(statement, [tuple(row) for row in some])
            count += len(some)
        return count
    await connection.execute(text("SELECT 1"))  # the driver's transaction begins with the first statement
    driver: Any = (await connection.get_raw_connection()).driver_connection
    for some in chunks(rows, _ROWS):
        await driver.copy_records_to_table(table, records=some, columns=list(columns))
        count += len(some)
    return count


async def insert_dicts(session: AsyncSession, model: Any, rows: Iterable[Mapping[str, Any]]) -> int:
    """Insert rows that all have the same keys."""
    count = 0
    for some in chunks(rows, _ROWS):
        columns = list(some[0])
        count += await insert_rows(session, model, columns, ([row[name] for name in columns] for row in some))
    return count


async def next_id(session: AsyncSession, model: Any) -> int:
    """The first id after all that are there."""
    return (await session.scalar(select(func.max(model.__table__.c.id))) or 0) + 1


async def ids_follow(session: AsyncSession, *models: Any) -> None:
    """Have PostgreSQL count on after ids that were given here; SQLite does so by itself."""
    if session.get_bind().dialect.name == "postgresql":
        for model in models:
            table = model.__tablename__
            await session.execute(
                text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")  # noqa: S608
            )
