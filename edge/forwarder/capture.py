"""The last octets of a conversation, masked, as items for the spool (F7). Pure."""

from collections import deque
from typing import Final

import msgspec

from shared.wire import ForwardCapture

#: Kept of each way.
RING: Final = 64 * 1024
#: Octets of one item, about: a batch holds a few of them.
PART: Final = 64 * 1024
#: Pieces of one side closer than this are one: a serial line brings octets one by one.
TOGETHER_MS: Final = 20
#: What a piece costs besides its octets, when encoded.
_COST: Final = 16


class Capture:
    """A ring of each way, in pieces. ``add`` takes milliseconds since the connection's start."""

    def __init__(self) -> None:
        self._ways: tuple[deque[tuple[int, int, bytearray]], ...] = (deque(), deque())
        self._held = [0, 0]
        self._last: tuple[int, int, bytearray] | None = None

    def add(self, at_ms: int, side: int, data: bytes) -> None:
        """Keep masked octets; the oldest of that way go."""
        last = self._last
        if last is not None and last[1] == side and at_ms - last[0] < TOGETHER_MS and len(last[2]) < PART // 4:
            last[2].extend(data)
            self._held[side] += len(data)
        else:
            for start in range(0, len(data), PART // 4):
                self._last = (at_ms, side, bytearray(data[start : start + PART // 4]))
                self._ways[side].append(self._last)
                self._held[side] += len(self._last[2]) + _COST
        way = self._ways[side]
        while self._held[side] > RING and way:
            self._held[side] -= len(way.popleft()[2]) + _COST

    def items(self, meter: str, started_ms: int) -> list[ForwardCapture]:
        """All that is held, oldest first, in parts; empty when nothing passed."""
        parts: list[list[tuple[int, int, bytes]]] = []
        size = PART
        for at, side, data in sorted((*self._ways[0], *self._ways[1]), key=lambda piece: piece[0]):
            if size + len(data) + _COST > PART:
                parts.append([])
                size = 0
            parts[-1].append((at, side, bytes(data)))
            size += len(data) + _COST
        encoded = [msgspec.msgpack.encode(part) for part in parts]
        return [ForwardCapture(meter, started_ms, i, len(encoded), data) for i, data in enumerate(encoded)]
