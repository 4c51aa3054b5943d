"""Which database errors pass by themselves, and which come from what was to be written."""

import asyncio
import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

#: SQLSTATE classes: connection, read-only transaction, rollback (deadlock, serialization), a schema or right that is
#: not what we know, resources, intervention, system, damage. They say nothing against what was to be written.
_PASSING: Final = ("08", "25", "40", "42", "53", "55", "57", "58", "F0", "XX")
#: SQLite's words for a damaged file.
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_passing(error: BaseException) -> bool:
    """True: the database is out of reach, busy or broken, the same write will do later. False: this data never will."""
    if isinstance(error, PoolTimeoutError | OSError | asyncio.TimeoutError | ConnectionError):
        return True
    if isinstance(error, DBAPIError):
        if isinstance(error.orig.__cause__ if error.orig else None, ValueError):
            return False  # a value that the driver itself refuses to send
        state = getattr(error.orig, "sqlstate", None)
        if error.connection_invalidated or (isinstance(state, str) and state.startswith(_PASSING)):
            return True
        if (getattr(error.orig, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED:
            return True
        return state is None and isinstance(error, OperationalError | InterfaceError)
    return False


def reason_of(error: BaseException) -> str:
    """One line for people: a database's own words without the statement."""
    text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}"
