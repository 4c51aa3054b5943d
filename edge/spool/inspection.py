"""Looking into a spool from another process, also while the gateway runs; nothing is changed."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigError
from edge.spool._errors import SpoolDiskError
from edge.spool._rows import COLUMNS, Kind, Row
from edge.spool._salvage import damaged_files
from edge.spool._schema import check_version
from edge.spool._stream import Stream
from shared.wire import Item, WireError, decode_item


@dataclass(frozen=True)
class KindCount:
    rows: int
    pending: int  # not yet acknowledged
    bytes: int


@dataclass(frozen=True)
class Overview:
    """A spool at one moment. ``oldest`` and ``oldest_pending`` are wall-clock UTC seconds of storing."""

    path: Path
    spool_id: bytes
    last_seq: int
    cursor: int
    kinds: dict[str, KindCount]
    bytes: int
    oldest: int | None
    oldest_pending: int | None
    evidence: int
    damaged_files: tuple[str, ...]

    @property
    def pending(self) -> int:
        return self.last_seq - self.cursor


@dataclass(frozen=True)
class StoredItem:
    """A row; ``item`` is None when it is damaged; ``seq`` is 0 or less for rows of an earlier stream of the file."""

    seq: int
    kind: str
    meter: str
    created_at: int
    acknowledged: bool
    item: Item | None


def overview(path: Path) -> Overview:
    """Counts per kind, depth, ages; raises :class:`ConfigError` without a spool, :class:`SpoolDiskError` else."""
    with _open(path) as connection:
        stream = _stream(connection, path)
        kinds = {
            _kind_name(kind): KindCount(rows, pending, size)
            for kind, rows, pending, size in connection.execute(
                "SELECT kind, count(*), sum(number > ?), sum(length(payload)) FROM items GROUP BY kind",
                (stream.cursor,),
            )
        }
        oldest = connection.execute("SELECT created_at FROM items ORDER BY number LIMIT 1").fetchone()
        oldest_pending = connection.execute(
            "SELECT created_at FROM items WHERE number > ? ORDER BY number LIMIT 1", (stream.cursor,)
        ).fetchone()
        evidence: int = connection.execute("SELECT count(*) FROM evidence").fetchone()[0]
    files = (path, path.with_name(path.name + "-wal"))
    return Overview(
        path=path,
        spool_id=stream.spool_id,
        last_seq=stream.last_seq,
        cursor=stream.cursor_seq,
        kinds=kinds,
        bytes=sum(file.stat().st_size for file in files if file.exists()),
        oldest=oldest[0] if oldest else None,
        oldest_pending=oldest_pending[0] if oldest_pending else None,
        evidence=evidence,
        damaged_files=tuple(file.name for file in damaged_files(path)),
    )


def stored_items(path: Path, *, meter: str | None = None, kinds: tuple[Kind, ...] = ()) -> Iterator[StoredItem]:
    """All rows in order, or those of one meter and of some kinds; raises as :func:`overview` does."""
    with _open(path) as connection:
        stream = _stream(connection, path)
        where = "(? IS NULL OR meter = ?)"
        if kinds:
            where += f" AND kind IN ({', '.join(str(int(kind)) for kind in kinds)})"
        query = f"SELECT {COLUMNS} FROM items WHERE {where} ORDER BY number"  # noqa: S608 - integers of an enum
        for raw in connection.execute(query, (meter, meter)):
            row = Row(*raw)
            yield StoredItem(
                row.number - stream.base,
                _kind_name(row.kind),
                row.meter,
                row.created_at,
                row.number <= stream.cursor,
                _item(row),
            )


def _item(row: Row) -> Item | None:
    if row.intact:
        with contextlib.suppress(WireError):
            return decode_item(row.payload)
    return None


def _kind_name(kind: int) -> str:
    return Kind(kind).name.lower() if kind in list(Kind) else str(kind)


def _stream(connection: sqlite3.Connection, path: Path) -> Stream:
    stream = Stream.load(connection)
    if stream is None:
        raise SpoolDiskError(path, "its stream is not readable; the gateway repairs it at its next start")
    return stream


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            f"there is no spool at {path}: check the path, or start the gateway once to make it"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the spool {path} may not be looked at: {error.strerror}; use the gateway's user, or sudo"
        ) from error
    # closed in order, the file has no log, and then a reader without write permission needs to say so
    live = path.with_name(path.name + "-wal").exists()
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{'' if live else '&immutable=1'}", uri=True)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    try:
        check_version(connection, path)
        connection.execute("PRAGMA query_only = ON")
        yield connection
    except sqlite3.Error as error:
        raise SpoolDiskError(path, str(error)) from error
    finally:
        connection.close()
