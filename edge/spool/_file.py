"""Opening the spool's file: one process at a time, checked, migrated, salvaged where damaged."""

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.spool import _salvage, _schema
from edge.spool._errors import SpoolLockedError
from edge.spool._room import PAGE_BYTES
from edge.spool.settings import SpoolSettings

CACHE_KIB: Final = 1024
WAL_BYTES: Final = 4 << 20  # a longer write-ahead log is cut back to this


@dataclass(frozen=True)
class Opened:
    connection: sqlite3.Connection
    damage: _salvage.Damage | None


def lock(path: Path) -> int:
    """Take the lock beside the file until its descriptor is closed.

    :class:`SpoolLockedError` names the holder; :class:`ConfigError` where the path cannot be one.
    """
    name = path.with_name(path.name + ".lock")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder of the spool {path} does not exist: make it, or correct spool.path")
    if path.is_dir():
        raise ConfigError(f"the spool {path} is a folder: spool.path names the file in it, such as {path / 'spool.db'}")
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise SpoolLockedError(
            f"spool {path} is in use by process {holder}: only one gateway process may write it; stop the other one"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def open_file(path: Path, settings: SpoolSettings, clock_seconds: int) -> Opened:
    """Open for writing. A damaged file is moved aside and replaced by what could be read of it (``damage`` says so)."""
    _salvage.finish(path, clock_seconds)
    damage = None
    try:
        connection = _connect(path, settings)
        _check(connection)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if not is_damage(error) and getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_ERROR:
            raise
        damage = _salvage.replace(path, clock_seconds, str(error))
        connection = _connect(path, settings)
    return Opened(connection, damage)


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; it sees every commit."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")  # damaged text is the checksum's business
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return connection


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file itself is wrong (or garbles even that)."""
    if isinstance(error, UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_full(error: Exception) -> bool:
    """Whether SQLite says that there is no room, in the file or on the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _connect(path: Path, settings: SpoolSettings) -> sqlite3.Connection:
    _schema.ensure(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        connection.execute(f"PRAGMA max_page_count = {settings.limit_bytes // PAGE_BYTES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Raise ``sqlite3.DatabaseError`` as SQLite would when it met the damage later.

    Values are the rows' checksums' business; here it is pages, and that the schema still says what it should.
    """
    try:
        for table, columns in _schema.TABLES.items():
            connection.execute(f"SELECT {columns} FROM {table} LIMIT 0")  # noqa: S608
        row = connection.execute("PRAGMA quick_check(1)").fetchone()
        if row[0] == "ok":
            return
        error = sqlite3.DatabaseError(row[0])
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        connection.close()
        raise
