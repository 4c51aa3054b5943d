"""Power outages, change log, refusals: answers 25, 28, 39 and 40 (dossier abnt-nbr-14522 §7.5, §7.6, §7.8)."""

from datetime import datetime

from edge.drivers.abnt import commands
from edge.drivers.abnt.layout.fields import DIGITS, OCTET, RAW, STAMP, Block, Record, at, many, optional, record


class Outage(Record):
    """Meter without supply from ``start`` to ``end``; ``end`` None while the return is not recorded."""

    start: datetime | None = at(1, 6, STAMP)
    end: datetime | None = at(7, 12, STAMP)


class Outages(Block):
    """Last 20 outages, oldest first, newest in octets 234-245. Counters raw: flag bits and coding not established."""

    codes = frozenset({commands.OUTAGES})

    records: tuple[Outage | None, ...] = at(6, 245, many(optional(record(Outage)), 12))
    seconds_and_flags: bytes = at(246, 249, RAW)
    number: bytes = at(250, 251, RAW)
    seconds_since_reading: bytes = at(252, 254, RAW)
    number_since_reading: bytes = at(255, 256, RAW)

    @property
    def found(self) -> tuple[Outage, ...]:
        """Records that are not empty, in the order of the block."""
        return tuple(r for r in self.records if r is not None)


class Change(Record):
    """One change: presumably the command that made it, who, when."""

    code: int = at(1, 1, OCTET)
    reader: str = at(2, 4, DIGITS)
    when: datetime | None = at(5, 10, STAMP)


class ChangeLog(Block):
    """16 ordinary changes (newest last) and 9 extended ones."""

    codes = frozenset({commands.CHANGE_LOG})

    ordinary: tuple[Change | None, ...] = at(6, 165, many(optional(record(Change)), 10))
    extended: tuple[Change | None, ...] = at(166, 255, many(optional(record(Change)), 10))
    unknown_256: bytes = at(256, 256, RAW)

    @property
    def found(self) -> tuple[Change, ...]:
        """Records that are not empty, ordinary ones first."""
        return tuple(r for r in self.ordinary + self.extended if r is not None)


class Refusal(Block):
    """Answers 39 (octet 6: the code refused) and 40 (octet 6: occurrence, octet 7: sub-code)."""

    codes = commands.REFUSALS

    code: int = at(6, 6, OCTET)
    sub_code: int = at(7, 7, OCTET)
    unknown_8_256: bytes = at(8, 256, RAW)
