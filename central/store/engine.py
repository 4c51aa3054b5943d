"""One door to the database, SQLite or PostgreSQL: read sessions, and write sessions that commit at their end."""

import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from central.settings import Dialect, Settings, SettingsError, dialect_of, secret

#: Stands in a session's ``info`` when nothing can be written through it.
READS: Final = "reads"
#: A writer waits this long for another one before it gives up (SQLite).
BUSY_MS: Final = 30_000
#: One statement of a page or a worker may not hang for ever (PostgreSQL).
STATEMENT_SECONDS: Final = 60


class Database:
    """Engine and sessions. ``read()`` never takes SQLite's write lock; ``write()`` takes it at once and commits."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.dialect: Dialect = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        self._read = async_sessionmaker(engine, expire_on_commit=False)
        writing = engine.execution_options(metergate_writes=True)
        self._write = async_sessionmaker(writing, expire_on_commit=False)

    @asynccontextmanager
    async def read(self, **info: Any) -> AsyncIterator[AsyncSession]:
        """Session for queries: one consistent view from its first query on, rolled back at the end."""
        async with self._read(info={READS: True, **info}) as session:
            yield session

    @asynccontextmanager
    async def write(self, **info: Any) -> AsyncIterator[AsyncSession]:
        """Session that writes: committed when the block ends well, rolled back when it raises."""
        async with self._write(info=info) as session:
            yield session
            await session.commit()

    async def close(self) -> None:
        await self.engine.dispose()


def open_database(settings: Settings) -> Database:
    """Open the database of the settings; SQLite's folder is made. No connection is made yet, and so no file."""
    password = secret(settings.database.password_file, "database.password_file")
    return open_url(settings.database_url, pool=settings.database.pool, password=password)


def open_url(url: str, pool: int = 10, password: str | None = None) -> Database:
    """Open ``sqlite+aiosqlite:///file`` or ``postgresql+asyncpg://...``."""
    where = make_url(url)
    if password is not None:
        where = where.set(password=password)
    if dialect_of(url) == "sqlite":
        if where.database is None or where.database == ":memory:":
            raise SettingsError("settings: database.url needs a file: an SQLite database in memory cannot be shared")
        folder = Path(where.database).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"settings: folder {str(folder)!r} cannot be made: {error.strerror}") from error
        engine = create_async_engine(where, pool_size=pool, max_overflow=pool, connect_args={"timeout": BUSY_MS / 1000})
        event.listen(engine.sync_engine, "do_connect", partial(_make_private, where.database))
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    else:
        engine = create_async_engine(
            where,
            pool_size=pool,
            max_overflow=pool,
            pool_pre_ping=True,
            connect_args={
                "timeout": 10,
                "command_timeout": STATEMENT_SECONDS,
                # compiling a statement over many meters takes the server longer (0.3 s) than answering it
                "server_settings": {"application_name": f"metergate-{os.getpid()}", "jit": "off"},
            },
        )
    return Database(engine)


def _make_private(file: str, *_connecting: Any) -> None:
    """A new file is its owner's only, whatever the umask: it holds password hashes. SQLite's log files follow it."""
    with contextlib.suppress(OSError):  # it is there already, or SQLite says why it cannot be
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not at the first write
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("metergate_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
