"""Numbered schemas of the spool, one transaction each; ``PRAGMA user_version`` is the number in force.

sqlite-utils costs the importing process 15 MB and pulls in NumPy where it is installed, so a file that needs a
migration (a new one, or one from an older version) gets it in a child process: ``python -m edge.spool._schema FILE``.
"""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.spool._errors import SpoolDiskError, SpoolNewerError

if TYPE_CHECKING:
    from sqlite_utils import Database

VERSION: Final = 2

#: (number, what it does, statements). A released migration is never changed; a new one is added at the end.
MIGRATIONS: Final[tuple[tuple[int, str, tuple[str, ...]], ...]] = (
    (
        1,
        "first_schema",
        (
            # One row: the stream's name and counters. last: highest number ever given, cursor: acknowledged up to,
            # both as row numbers; base: row number of seq 0 of this stream; lived: running time in seconds.
            """CREATE TABLE stream (
                id INTEGER PRIMARY KEY CHECK (id = 1), spool_id BLOB NOT NULL, base INTEGER NOT NULL,
                last INTEGER NOT NULL, cursor INTEGER NOT NULL, lived REAL NOT NULL, wall REAL NOT NULL,
                made_at INTEGER NOT NULL, crc INTEGER NOT NULL)""",
            """CREATE TABLE items (
                number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, meter TEXT NOT NULL, created_at INTEGER NOT NULL,
                lived_at INTEGER NOT NULL, payload BLOB NOT NULL, crc INTEGER NOT NULL)""",
            "CREATE INDEX items_kind ON items (kind)",
            "CREATE TABLE driver_state (meter TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID",
            """CREATE TABLE intervals (
                meter TEXT, channel TEXT, ranges BLOB NOT NULL, PRIMARY KEY (meter, channel)) WITHOUT ROWID""",
            """CREATE TABLE commands (
                id TEXT PRIMARY KEY, begun_at INTEGER NOT NULL, lived_at INTEGER NOT NULL, result BLOB
                ) WITHOUT ROWID""",
            """CREATE TABLE evidence (
                id INTEGER PRIMARY KEY, meter TEXT NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL,
                frames BLOB NOT NULL, lived_at INTEGER NOT NULL)""",
            "CREATE INDEX evidence_meter ON evidence (meter, at)",
        ),
    ),
    (
        2,
        "forwarded_connections",
        (
            # Forwarded connections that are open: what a restart finds here was cut by it.
            """CREATE TABLE connections (
                meter TEXT, started_ms INTEGER, opened BLOB NOT NULL, PRIMARY KEY (meter, started_ms)) WITHOUT ROWID""",
        ),
    ),
)


#: What the program relies on.
TABLES: Final = {
    "stream": "id, spool_id, base, last, cursor, lived, wall, made_at, crc",
    "items": "number, kind, meter, created_at, lived_at, payload, crc",
    "driver_state": "meter, state",
    "intervals": "meter, channel, ranges",
    "commands": "id, begun_at, lived_at, result",
    "evidence": "id, meter, at, what, frames, lived_at",
    "connections": "meter, started_ms, opened",
}


def version_of(path: Path) -> int:
    """Schema number of the file, 0 when it is empty or not there; raises as :func:`check_version`."""
    if not path.exists():
        return 0
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return check_version(connection, path)
    finally:
        connection.close()


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Schema number in force; :class:`SpoolNewerError` beyond :data:`VERSION`."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise SpoolNewerError(
            f"spool {path} has schema {found}, this program knows up to {VERSION}: it was written by a newer version; "
            "install that version again, or move the file away to begin a new one"
        )
    return found


def make_private(path: Path) -> None:
    """Make the file, when it is not there, its owner's only, whatever the umask; SQLite's log files follow it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise SpoolDiskError(path, error.strerror or str(error)) from error


def ensure(path: Path) -> None:
    """Bring the file to :data:`VERSION`, making it where needed; in a child process, and only when something is due."""
    make_private(path)
    if version_of(path) == VERSION:
        return
    root = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(  # noqa: S603 - our own module on our own interpreter
        [sys.executable, "-m", "edge.spool._schema", str(path)],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SpoolDiskError(path, f"its schema could not be brought to {VERSION}: {last_line}")


def migrate(path: Path, *, target: int = VERSION) -> None:
    """Apply what is due up to ``target``, each migration in one transaction together with its number."""
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    connection = sqlite3.connect(path)
    try:
        if version_of(path) == 0:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        migrations = Migrations("spool")
        for number, name, statements in MIGRATIONS:
            if number <= target:
                migrations(name=f"{number:03d}_{name}")(_step(number, statements))
        migrations.apply(Database(connection))
        connection.commit()
    finally:
        connection.close()


class _step:  # noqa: N801 - a function with a memory
    """One migration as sqlite-utils wants it."""

    __name__ = "migration"

    def __init__(self, number: int, statements: tuple[str, ...]) -> None:
        self.number, self.statements = number, statements

    def __call__(self, db: "Database", /) -> None:
        for statement in self.statements:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {self.number}")


if __name__ == "__main__":
    migrate(Path(sys.argv[1]))
