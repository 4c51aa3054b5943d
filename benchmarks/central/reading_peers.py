"""Other stores for the year of test_reading.py, written as their own users would; all give the same arrays.

Each takes a folder and the curves by (meter, channel), int64 of equally many intervals from ``FIRST`` on. ``month``
returns the counts of one meter and channel between two instants, ``total`` the sums over all meters and how many
meters are in each; ``octets`` what the store takes on disk.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from tests.central.samples import MIDNIGHT

FIRST = MIDNIGHT
STEP = 900
DAY = 86400

Curves = Mapping[tuple[int, int], Any]


class Peer(Protocol):
    def month(self, meter: int, channel: int, start: int, end: int) -> Any: ...
    def total(self, channel: int, start: int, end: int) -> tuple[Any, Any]: ...
    def octets(self) -> int: ...


class DuckdbOnParquet:
    """One Parquet file, zstd, starts and counts as differences; a row group per meter and channel."""

    def __init__(self, folder: Path, curves: Curves) -> None:
        duckdb, arrow, parquet = (import_module(name) for name in ("duckdb", "pyarrow", "pyarrow.parquet"))
        self._file = folder / "readings.parquet"
        kinds = {"meter": "int32", "channel": "int32", "start": "int64", "value": "int64"}
        schema = arrow.schema([(name, getattr(arrow, kind)()) for name, kind in kinds.items()])
        delta = {"start": "DELTA_BINARY_PACKED", "value": "DELTA_BINARY_PACKED"}
        packing = {"compression": "zstd", "use_dictionary": ["meter", "channel"], "column_encoding": delta}
        with parquet.ParquetWriter(self._file, schema, **packing) as writer:
            for (meter, channel), values in sorted(curves.items()):
                starts = FIRST + STEP * np.arange(len(values))
                columns = np.full(len(values), meter), np.full(len(values), channel), starts, values
                writer.write_table(arrow.table(dict(zip(kinds, columns, strict=True))).cast(schema))
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute(f"create view readings as from read_parquet('{self._file}')")

    def month(self, meter: int, channel: int, start: int, end: int) -> Any:
        query = "select value from readings where meter = ? and channel = ? and start >= ? and start < ? order by start"
        return self._connection.execute(query, (meter, channel, start, end)).fetchnumpy()["value"]

    def total(self, channel: int, start: int, end: int) -> tuple[Any, Any]:
        query = "select sum(value)::bigint as total, count(*) as meters from readings "
        query += "where channel = ? and start >= ? and start < ? group by start order by start"
        found = self._connection.execute(query, (channel, start, end)).fetchnumpy()
        return found["total"], found["meters"]

    def octets(self) -> int:
        return self._file.stat().st_size


class SqliteBlobs:
    """A row per meter, channel and day: msgpack of the first count and the differences."""

    def __init__(self, folder: Path, curves: Curves) -> None:
        self._connection = _sqlite(folder / "blobs.sqlite")
        self._decoder = msgspec.msgpack.Decoder(list[int])
        self._connection.execute(
            "create table day (meter int, channel int, start int, data blob, primary key (channel, meter, start)) "
            "without rowid"
        )
        with self._connection:
            self._connection.executemany("insert into day values (?, ?, ?, ?)", self._rows(curves))

    @staticmethod
    def _rows(curves: Curves) -> Iterator[tuple[int, int, int, bytes]]:
        for (meter, channel), values in sorted(curves.items(), key=lambda curve: curve[0][::-1]):
            for number, day in enumerate(values.reshape(-1, DAY // STEP)):
                data = msgspec.msgpack.encode(np.diff(day, prepend=0).tolist())
                yield meter, channel, FIRST + DAY * number, data

    def _arrays(self, where: str, values: tuple[int, ...]) -> Any:
        rows = self._connection.execute(f"select data from day where {where} order by meter, start", values)
        return np.array([self._decoder.decode(data) for (data,) in rows]).cumsum(1)

    def month(self, meter: int, channel: int, start: int, end: int) -> Any:
        where = "channel = ? and meter = ? and start >= ? and start < ?"
        return self._arrays(where, (channel, meter, start, end)).ravel()

    def total(self, channel: int, start: int, end: int) -> tuple[Any, Any]:
        found = self._arrays("channel = ? and start >= ? and start < ?", (channel, start, end))
        by_meter = found.reshape(-1, (end - start) // STEP)
        return by_meter.sum(0), np.full(by_meter.shape[1], len(by_meter))

    def octets(self) -> int:
        return _pages(self._connection)


class SqliteRows:
    """A row per interval."""

    def __init__(self, folder: Path, curves: Curves) -> None:
        self._connection = _sqlite(folder / "rows.sqlite")
        self._meters = sorted({meter for meter, _ in curves})
        self._connection.execute(
            "create table reading (channel int, meter int, start int, value int, primary key (channel, meter, start)) "
            "without rowid"
        )
        with self._connection:
            for (meter, channel), values in sorted(curves.items(), key=lambda curve: curve[0][::-1]):
                rows = ((channel, meter, FIRST + STEP * i, value) for i, value in enumerate(values.tolist()))
                self._connection.executemany("insert into reading values (?, ?, ?, ?)", rows)

    def month(self, meter: int, channel: int, start: int, end: int) -> Any:
        query = "select value from reading where channel = ? and meter = ? and start >= ? and start < ? order by start"
        return np.array([value for (value,) in self._connection.execute(query, (channel, meter, start, end))])

    def total(self, channel: int, start: int, end: int) -> tuple[Any, Any]:
        query = "select sum(value), count(*) from reading where channel = ? and start >= ? and start < ? "
        query += f"and meter in ({', '.join(map(str, self._meters))}) group by start order by start"
        found = np.array(self._connection.execute(query, (channel, start, end)).fetchall())
        return found[:, 0], found[:, 1]

    def octets(self) -> int:
        return _pages(self._connection)


def _sqlite(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file)
    connection.execute("pragma journal_mode=wal")
    return connection


def _pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("select sum(pgsize) from dbstat").fetchone()[0])


#: The modules each needs.
PEERS: dict[str, tuple[Callable[[Path, Curves], Peer], tuple[str, ...]]] = {
    "duckdb on parquet": (DuckdbOnParquet, ("duckdb", "pyarrow")),
    "sqlite blobs": (SqliteBlobs, ()),
    "sqlite rows": (SqliteRows, ()),
}
