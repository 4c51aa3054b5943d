"""What a job may do inside the writer's transaction."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edge.spool._errors import SpoolFullError
from edge.spool._rows import COLUMNS, Encoded, Row, checksum, encode_item
from edge.spool._stream import Stream
from shared.wire import MeterEvent

INSERT = f"INSERT INTO items ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


@dataclass
class Transaction:
    """``stream`` is changed freely and stored at commit; ``full`` is raised by whoever wants to add rows."""

    connection: sqlite3.Connection
    stream: Stream
    gateway: str
    full: SpoolFullError | None = None

    @property
    def now(self) -> int:
        return max(int(self.stream.wall), 0)

    @property
    def lived(self) -> int:
        return int(self.stream.lived)

    def append(self, items: Iterable[Encoded]) -> list[int]:
        """Store items at the end of the stream; returns their seqs. Raises :class:`SpoolFullError`."""
        if self.full is not None:
            raise self.full
        first = self.stream.last + 1
        rows = [self._row(first + i, item) for i, item in enumerate(items)]
        self.connection.executemany(INSERT, rows)
        self.stream.last += len(rows)
        return [row.number - self.stream.base for row in rows]

    def put(self, number: int, item: Encoded) -> None:
        """Store an item at a number that was given already, replacing what is there."""
        self.connection.execute("DELETE FROM items WHERE number = ?", (number,))
        self.connection.execute(INSERT, self._row(number, item))

    def event(self, kind: str, **detail: Any) -> Encoded:
        """An event about the gateway itself: ``meter`` is the gateway's id."""
        return encode_item(MeterEvent(self.gateway, self.now, kind, detail=detail))

    def _row(self, number: int, item: Encoded) -> Row:
        row = Row(number, item.kind, item.meter, self.now, self.lived, item.payload, 0)
        return row._replace(crc=checksum(row))
