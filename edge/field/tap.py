"""A transport that lets the guardian listen and writes down what passed, secrets masked."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edge.guardian import Inspector, Side
from edge.lines.contract import Claim, Transport

MARKS = {Side.CLIENT: ">", Side.METER: "<"}


@dataclass
class Tap:
    """``Transport`` around another one. ``octets``: passed so far by side."""

    inner: Transport
    inspector: Inspector
    trace: "TraceFile"
    wall: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self.octets = {Side.CLIENT: 0, Side.METER: 0}

    async def read(self, limit: int, timeout: float) -> bytes:
        data = await self.inner.read(limit, timeout)
        if data:
            self._passed(Side.METER, data)
        return data

    async def write(self, data: bytes) -> None:
        self._passed(Side.CLIENT, data)
        await self.inner.write(data)

    def purge(self) -> int:
        return self.inner.purge()

    async def close(self) -> None:
        await self.inner.close()

    def _passed(self, side: Side, data: bytes) -> None:
        at = self.wall()
        self.octets[side] += len(data)
        self.trace.note(at, side, self.inspector.heard(at, side, data))


@dataclass
class TappedClaim:
    """``Claim`` whose octets are overheard."""

    transport: Transport
    claim: Claim

    @property
    def must_yield(self) -> bool:
        return self.claim.must_yield


class TraceFile:
    """One line for each piece: UTC seconds, ``>`` to the meter or ``<`` from it, masked octets in hex.

    Written as it happens: a tool that is killed leaves all that passed. The file appears with the first octet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def note(self, at: float, side: Side, masked: bytes) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="ascii")
        self._file.write(f"{at:.3f} {MARKS[side]} {masked.hex(' ')}\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
