"""How much room is left, and when that becomes pressure."""

import os
import sqlite3
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from edge.spool.settings import SpoolSettings

PAGE_BYTES: Final = 4096
#: Kept back below the limit for alarms, cursors and the deletions that make room.
RESERVE_BYTES: Final = 256 << 10


class Level(IntEnum):
    FREE = 0
    PRESSURE = 1  # acknowledged rows are dropped before their retention
    FULL = 2  # new rows are refused


@dataclass(frozen=True)
class Room:
    """Bytes in use, bytes allowed, bytes that could still be written (free on the disk or free inside the file)."""

    used: int
    limit: int
    free: int

    @classmethod
    def measure(cls, connection: sqlite3.Connection, path: Path, settings: SpoolSettings) -> "Room":
        pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
        unused: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
        disk = os.statvfs(path)
        free = disk.f_bavail * disk.f_frsize + unused * PAGE_BYTES
        return cls((pages - unused) * PAGE_BYTES, settings.limit_bytes, free)

    def level(self, before: Level, floor: int) -> Level:
        """The level now; from PRESSURE down to FREE only with some room to spare, so that it does not flutter."""
        if self.used > self.limit - max(self.limit // 50, RESERVE_BYTES) or self.free < floor:
            return Level.FULL
        if self.used > self.limit * 9 // 10 or self.free < 2 * floor:
            return Level.PRESSURE
        if before != Level.FREE and (self.used > self.limit * 85 // 100 or self.free < floor * 5 // 2):
            return Level.PRESSURE
        return Level.FREE
