"""What the rest of the gateway knows of a line: a byte pipe, and a claim on it (design §6)."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import IntEnum
from typing import Protocol


class LineClass(IntEnum):
    """Who asks for a line; the lower number goes first."""

    CCEE = 0
    COMMAND = 1
    PLANNED = 2
    BACKFILL = 3


class Transport(Protocol):
    """A byte pipe to whatever is at the other end; every failure is an ``edge.errors.LinkError``."""

    async def read(self, limit: int, timeout: float) -> bytes:
        """Return 1..limit bytes as soon as any are there; b"" when ``timeout`` seconds brought none."""
        ...

    async def write(self, data: bytes) -> None:
        """Hand ``data`` to the system in one piece and wait until it has taken it."""
        ...

    def purge(self) -> int:
        """Throw away what has arrived and was not read; returns the number of bytes."""
        ...

    async def close(self) -> None: ...


class Claim(Protocol):
    """The line while it is ours."""

    transport: Transport

    @property
    def must_yield(self) -> bool:
        """A higher class waits: stop at the next frame boundary (raise ``PreemptedError``).

        For CCEE the line is taken away 3 s later, wherever the conversation then is.
        """
        ...


class Line(Protocol):
    """One physical path to meters: one owner at a time, a queue by class."""

    name: str

    def claim(self, line_class: LineClass, owner: str) -> AbstractAsyncContextManager[Claim]:
        """Wait for the line, open it where needed, own it inside ``async with``."""
        ...


#: called with (done, total) while a long reading goes on
OnProgress = Callable[[int, int], None]
