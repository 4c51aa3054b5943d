"""What the driver must know at the next start: learnt dress of the line, nibble order, what was already reported."""

from typing import Literal

import msgspec

from ext.nibbles import Order


class Anchor(msgspec.Struct, forbid_unknown_fields=True):
    """Total registers of one channel group at an instant: one end of a reconciliation."""

    at: int  # UTC
    totals: list[int]  # pulses, three channels
    reset: str | None = None  # the demand reset that froze them


class Memory(msgspec.Struct, forbid_unknown_fields=True):
    """State of one meter. Stamps are the meter's own texts (ISO, local): they identify, they are not computed with."""

    serial: str | None = None
    variant: Literal["plain", "directional", "addressed", "headed"] | None = None
    blind: bool = False
    complemented: bool = False
    order: Order | None = None
    reconciled: bool | None = None  # None: not yet looked at
    latest: dict[str, Anchor] = {}  # channel group -> running registers of a visit at most a day ago
    closed_totals: dict[str, Anchor] = {}  # channel group -> registers at the last reset
    closed_before: dict[str, Anchor] = {}  # and at the one before, where it was seen
    unsupported: list[str] = []  # codes answered with 39, hex
    partial_refused: bool = False
    reset: str | None = None  # last demand reset that was reported
    closed: str | None = None  # last demand reset whose registers were read
    battery: bool = False
    outages: list[str] = []  # keys of the records seen last time
    changes: list[str] | None = None  # None: the log was never read

    def lacks(self, code: int) -> bool:
        """Say whether the meter answered 39 to ``code`` before."""
        return f"{code:02X}" in self.unsupported

    def note_missing(self, code: int) -> None:
        if not self.lacks(code):
            self.unsupported.append(f"{code:02X}")
