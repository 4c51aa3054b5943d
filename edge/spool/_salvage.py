"""A damaged file: moved aside, replaced by what can be read of it.

The replacement is built complete beside the damaged file and takes its place by renaming, so a crash at any moment
leaves either the damaged file, or both, and :func:`finish` at the next start goes on where it stopped.

The stream keeps its name when its row is readable: numbers go on, lost rows leave holes which the spool fills with
``spool_damaged`` events when they are due to be sent. Without that row the replacement is a new stream, and everything
readable is sent again under the new name. Interval maps are not taken over, so that profiles are read again from the
meters: a lost row must not stay "held".
"""

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.spool import _schema
from edge.spool._rows import COLUMNS, Row
from edge.spool._stream import Stream
from edge.spool._transaction import INSERT

_SUFFIXES: Final = ("-wal", "-shm", "")  # the log first: it must never meet another database
_KEPT: Final = 2  # damaged files kept for the person who looks
_TAKEN_OVER: Final = ("driver_state", "commands", "evidence", "connections")


@dataclass(frozen=True)
class Damage:
    """What happened: SQLite's words, where the old file is, rows taken over, whether the stream kept its name."""

    reason: str
    aside: Path
    rows: int
    stream_kept: bool


def replace(path: Path, now: int, reason: str) -> Damage:
    """Build the replacement, move ``path`` aside and put the replacement there."""
    part = _beside(path, ".salvage")
    _remove(part)
    _schema.ensure(part)
    old, new = _open_damaged(path), sqlite3.connect(part, isolation_level=None)
    try:
        rows, kept = _copy(old, new, now)
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        new.execute("PRAGMA journal_mode = DELETE")  # one file, no log: it can be renamed
    finally:
        new.close()
        if old is not None:
            old.close()
    part.rename(_beside(path, ".salvaged"))
    return Damage(reason, finish(path, now) or path, rows, kept)


def finish(path: Path, now: int) -> Path | None:
    """Let a complete replacement take its place; returns where the damaged file went, None without replacement."""
    ready = _beside(path, ".salvaged")
    if not ready.exists():
        return None
    aside = _beside(path, f".damaged-{now}")
    for suffix in _SUFFIXES:
        source = _beside(path, suffix)
        if source.exists():
            source.rename(_beside(aside, suffix))
    ready.rename(path)
    _sync(path.parent)
    for old in damaged_files(path)[:-_KEPT]:
        _remove(old)
    return aside


def damaged_files(path: Path) -> list[Path]:
    """Files moved aside, oldest first."""
    return sorted(p for p in path.parent.glob(f"{path.name}.damaged-*") if not p.name.endswith(("-wal", "-shm")))


def _copy(old: sqlite3.Connection | None, new: sqlite3.Connection, now: int) -> tuple[int, bool]:
    stream = None
    if old is not None:
        with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
            stream = Stream.load(old)
    kept = stream is not None
    rows, first, last, lived = 0, 0, 0, 0
    new.execute("BEGIN IMMEDIATE")
    for row in _readable_rows(old, stream.last if stream else None):
        new.execute(INSERT, row)
        rows, first, last, lived = rows + 1, first or row.number, row.number, row.lived_at
    for table in _TAKEN_OVER:
        _copy_table(old, new, table, _schema.TABLES[table])
    if stream is None:
        stream = Stream.fresh(after=max(first - 1, 0), last=last, lived=float(lived), wall=float(now))
    stream.last = max(stream.last, last)
    stream.save(new)
    new.execute("COMMIT")
    return rows, kept


def _readable_rows(old: sqlite3.Connection | None, last: int | None) -> Iterator[Row]:
    """Intact rows in order; around an unreadable page the search goes on number by number (some 20 us each)."""
    if old is None:
        return
    number = 0
    top = last if last is not None else _highest(old)
    while number <= top:
        try:
            for raw in old.execute(f"SELECT {COLUMNS} FROM items WHERE number >= ? ORDER BY number", (number,)):  # noqa: S608
                row = Row(*raw)
                number = row.number + 1
                if row.intact:
                    yield row
            return
        except (sqlite3.Error, TypeError, UnicodeError):
            number += 1


def _highest(old: sqlite3.Connection) -> int:
    try:
        found: int | None = old.execute("SELECT max(number) FROM items").fetchone()[0]
    except sqlite3.Error:
        return 0
    return found or 0


def _copy_table(old: sqlite3.Connection | None, new: sqlite3.Connection, table: str, columns: str) -> None:
    if old is None:
        return
    marks = ", ".join(itertools.repeat("?", columns.count(",") + 1))
    with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):  # what comes before the damage
        for row in old.execute(f"SELECT {columns} FROM {table}"):  # noqa: S608
            new.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)  # noqa: S608


def _open_damaged(path: Path) -> sqlite3.Connection | None:
    """The damaged file with its log, else without it; None when SQLite cannot read even its schema."""
    for query in ("", "?immutable=1"):
        old = sqlite3.connect(f"{path.absolute().as_uri()}{query}", uri=True, isolation_level=None)
        try:
            old.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            old.close()
        else:
            return old
    return None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    for suffix in _SUFFIXES:
        _beside(path, suffix).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
