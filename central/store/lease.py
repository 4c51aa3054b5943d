"""One process at a time: work that only the holder of a lease in the database does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from sqlalchemy import text

from central.store.engine import Database
from central.store.faults import is_passing

log = structlog.get_logger("metergate.lease")

#: Others look this often whether the lease has become free, and the holder whether it still has it, s.
LOOK_EVERY: Final = 5.0

_NAMES: Final = {"fleet": 7_110_002, "jobs": 7_110_003}


class LeaseLost(Exception):
    """The connection that held the lease broke: another process may have it by now."""


async def while_leading(database: Database, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Wait for the lease, run ``work`` while it is held, and again after a loss; returns when ``work`` returns.

    On PostgreSQL it is a session's advisory lock, gone with the process. SQLite has one machine: the lease is free.
    """
    if database.dialect == "sqlite":
        await work()
        return
    while True:
        try:
            if await _lead(database, name, work):
                return
        except* LeaseLost as group:
            log.warning("lease lost, waiting for it again", lease=name, error=str(group.exceptions[0]))
        await asyncio.sleep(LOOK_EVERY)


async def _lead(database: Database, name: str, work: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            locked = await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _NAMES[name]})
            if not locked:
                return False

            async def watch() -> None:
                while True:
                    await asyncio.sleep(LOOK_EVERY)
                    try:
                        await connection.execute(text("SELECT 1"))
                    except Exception as error:
                        raise LeaseLost(str(error)) from error

            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watch(), name=f"lease-{name}")
                await work()
                watching.cancel()
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _NAMES[name]})
            return True
    except Exception as error:
        if is_passing(error):
            return False
        raise
