"""What happened on the wire lately: the last frames for an error's log, and counters."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

KEPT_FRAMES: Final = 20


@dataclass
class Statistics:
    """Counters of one session: whole exchanges, NAKs either way, WAITs, silences, octets that meant nothing."""

    exchanges: int = 0
    naks: int = 0
    waits: int = 0
    timeouts: int = 0
    junk: int = 0


@dataclass
class Trace:
    """The last frames and signals; runs of the same signal are one line with a count."""

    frames: deque[tuple[str, bytes, int]] = field(default_factory=lambda: deque(maxlen=KEPT_FRAMES))

    def sent(self, octets: bytes) -> None:
        self._add(">", octets)

    def heard(self, octets: bytes) -> None:
        self._add("<", octets)

    def _add(self, direction: str, octets: bytes) -> None:
        if self.frames and len(octets) == 1 and self.frames[-1][:2] == (direction, octets):
            self.frames[-1] = (direction, octets, self.frames[-1][2] + 1)
        else:
            self.frames.append((direction, bytes(octets), 1))

    def lines(self) -> Iterator[str]:
        """Give one line per frame, oldest first: direction (``>`` to the meter), hex, count."""
        for direction, octets, count in self.frames:
            times = f" x{count}" if count > 1 else ""
            yield f"{direction} {octets.hex(' ')}{times}"
