"""The one row that names the stream and counts it."""

import os
import sqlite3
from dataclasses import astuple, dataclass, replace
from typing import Final
from zlib import crc32

from shared.ids import SPOOL_ID_BYTES

_FIELDS: Final = "spool_id, base, last, cursor, lived, wall, made_at"


@dataclass
class Stream:
    """``last`` and ``cursor`` are row numbers; the sequence number on the wire is the row number minus ``base``."""

    spool_id: bytes
    base: int
    last: int
    cursor: int
    lived: float
    wall: float
    made_at: int

    @classmethod
    def fresh(cls, *, after: int = 0, last: int = 0, lived: float = 0.0, wall: float = 0.0) -> "Stream":
        """A new stream with a random name, whose seq 1 is row ``after + 1``."""
        return cls(os.urandom(SPOOL_ID_BYTES), after, last, after, lived, wall, int(wall))

    @property
    def last_seq(self) -> int:
        return self.last - self.base

    @property
    def cursor_seq(self) -> int:
        return self.cursor - self.base

    def copy(self) -> "Stream":
        return replace(self)

    def save(self, connection: sqlite3.Connection) -> None:
        values = astuple(self)
        connection.execute(
            f"INSERT OR REPLACE INTO stream (id, {_FIELDS}, crc) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (*values, _checksum(values)),
        )

    @classmethod
    def load(cls, connection: sqlite3.Connection) -> "Stream | None":
        """The stored stream; None when there is none or it is damaged."""
        row = connection.execute(f"SELECT {_FIELDS}, crc FROM stream").fetchone()  # noqa: S608
        if row is None or row[-1] != _checksum(row[:-1]):
            return None
        return cls(*row[:-1])


def _checksum(values: tuple[object, ...]) -> int:
    return crc32(repr(values).encode())
