"""A line: the arbiter's queue joined to a connection that is opened on demand and reopened with back-off."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from edge.backoff import Backoff
from edge.errors import BusyError, EdgeError, LinkError, NoiseError, PreemptedError, SilenceError
from edge.lines.arbiter import Arbiter, Ticket
from edge.lines.contract import LineClass, Transport
from edge.lines.pipe import Pipe
from shared.wire import LineState, LineTelemetry

RECONNECT: Final = Backoff(first=1.0, ceiling=120.0, jitter=0.3)
#: CCEE waits no longer for a frame to end (dossier ccee-ons §13, F5).
CCEE_PATIENCE: Final = 3.0  # s
#: After a conversation was cut, what the meter still says to its last owner ends within this time, or with a pause.
SETTLE: Final = 0.5  # s
SETTLED: Final = 0.05  # s without an octet

Opener = Callable[[], Awaitable[Pipe]]


class LineStatus(StrEnum):
    """What a line is doing; the words of ``LineState.state``."""

    IDLE = "idle"
    BUSY = "busy"
    CONNECTING = "connecting"
    BACKING_OFF = "backing_off"
    DISABLED = "disabled"


@dataclass
class LineStatistics:
    """Since start. An exchange is something written that was answered; errors are those that ended a visit."""

    exchanges: int = 0
    errors: int = 0
    timeouts: int = 0
    busy_seconds: float = 0.0


class CountingTransport:
    """Passes everything on to a pipe and counts the exchanges."""

    def __init__(self, pipe: Pipe, statistics: LineStatistics) -> None:
        self._pipe = pipe
        self._statistics = statistics
        self._asked = False

    async def read(self, limit: int, timeout: float) -> bytes:
        data = await self._pipe.read(limit, timeout)
        if data and self._asked:
            self._asked = False
            self._statistics.exchanges += 1
        return data

    async def write(self, data: bytes) -> None:
        await self._pipe.write(data)
        self._asked = True

    def purge(self) -> int:
        return self._pipe.purge()

    async def close(self) -> None:
        await self._pipe.close()


@dataclass
class LineClaim:
    """``Claim`` of a line that is open and ours."""

    transport: Transport
    _arbiter: Arbiter
    _ticket: Ticket
    _pipe: Pipe
    _cut: bool  # the owner before was cut off in the middle of something
    _drop: Callable[[], Awaitable[None]]
    _network: bool

    @property
    def must_yield(self) -> bool:
        return self._arbiter.must_yield(self._ticket)

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[int]:
        """The line's descriptor, for a borrower that reads and writes it itself until the block ends."""
        if self._cut:
            end = time.monotonic() + SETTLE
            while time.monotonic() < end and await self.transport.read(4096, SETTLED):
                pass
        try:
            with self._pipe.lent() as descriptor:
                yield descriptor
        finally:
            if self._network:  # its end may have been passed on
                await self._drop()


class ManagedLine:
    """``Line`` (edge.lines.contract). ``opener`` makes a connection; ``idle_close`` > 0 closes it after so many idle s.

    A line that could not be opened backs off: planned readings and back-fill are refused at once with the reason until
    :attr:`retry_at`; the CCEE and commands always try. ``reopen_after_silence`` drops a connection on which nobody
    answered (a network path may be half dead; a serial port is not).
    """

    def __init__(
        self,
        name: str,
        opener: Opener,
        *,
        enabled: bool = True,
        idle_close: float = 0.0,
        reopen_after_silence: bool = False,
        reconnect: Backoff = RECONNECT,
        random: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.enabled = enabled
        self.retry_at = 0.0  # monotonic s; in the past when the line may be tried
        self.statistics = LineStatistics()
        self._opener = opener
        self._idle_close = idle_close
        self._reopen_after_silence = reopen_after_silence
        self._reconnect = reconnect
        self._random = random or Random()  # noqa: S311  # jitter, not cryptography
        self._clock = clock
        self._wall = wall
        self._arbiter = Arbiter()
        self._grants: dict[Ticket, asyncio.Future[None]] = {}
        self._pipe: Pipe | None = None
        self._failures = 0
        self._error = ""
        self._status = LineStatus.IDLE if enabled else LineStatus.DISABLED
        self._since = wall()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._patience: asyncio.Timeout | None = None  # of the owner, while CCEE may wait
        self._resting: asyncio.TimerHandle | None = None
        self._cut = False

    @property
    def status(self) -> LineStatus:
        return self._status

    @asynccontextmanager
    async def claim(self, line_class: LineClass, owner: str, rest: float = 0.0) -> AsyncIterator[LineClaim]:
        """Own the line inside ``async with``; :class:`LinkError` when it is disabled, backs off or cannot be opened.

        An owner that has not left :data:`CCEE_PATIENCE` after CCEE came is cut off with :class:`PreemptedError`; with
        the same a command is refused while CCEE is connected. ``rest``: s for which the line is CCEE's alone after it.
        """
        if not self.enabled:
            raise LinkError(f"line {self.name} is disabled in the configuration")
        holder = self._arbiter.owner
        if line_class is LineClass.COMMAND and holder is not None and holder.line_class is LineClass.CCEE:
            raise PreemptedError(f"CCEE reads over line {self.name} ({holder.owner}): try again when it has gone")
        ticket = await self._own(line_class, owner)
        try:
            if line_class is LineClass.CCEE:
                async with self._owned(ticket, line_class) as claim:
                    yield claim
                return
            try:
                async with asyncio.timeout(None) as self._patience:
                    self._hurry()
                    async with self._owned(ticket, line_class) as claim:
                        yield claim
            except TimeoutError:
                if self._patience is None or not self._patience.expired():
                    raise
                self._cut = True
                raise PreemptedError(f"line {self.name} was taken for CCEE in the middle of an exchange") from None
            finally:
                self._patience = None
        finally:
            self._leave(ticket, rest)

    @asynccontextmanager
    async def _owned(self, ticket: Ticket, line_class: LineClass) -> AsyncIterator[LineClaim]:
        """Open the line and account for what becomes of it."""
        began = self._clock()
        cut, self._cut = self._cut, False
        try:
            transport = await self._open(line_class)
            self._become(LineStatus.BUSY)
            began = self._clock()
            try:
                assert self._pipe is not None  # noqa: S101  # just opened
                network = self._reopen_after_silence
                yield LineClaim(transport, self._arbiter, ticket, self._pipe, cut, self._drop, network)
            except PreemptedError:
                self._cut = True
                raise
            except EdgeError as error:
                await self._failed(error)
                raise
            except BaseException:  # cancelled in the middle of an exchange: whatever still arrives belongs to nobody
                await self._drop()
                raise
            else:
                self._error = ""
                self._failures = 0
        finally:
            self.statistics.busy_seconds += self._clock() - began

    async def close(self) -> None:
        """Close the connection; the line opens again when it is next claimed."""
        if self._resting is not None:
            self._resting.cancel()
            self._reopen()
        await self._drop()
        if self._closing:
            await asyncio.gather(*self._closing)

    def state(self) -> LineState:
        owner = self._arbiter.owner
        return LineState(
            line=self.name,
            state=self._status,
            owner=owner.owner if owner else "",
            queue=len(self._arbiter),
            error=self._error,
            since=int(self._since),
        )

    def telemetry(self) -> LineTelemetry:
        counted = self.statistics
        return LineTelemetry(
            self.name, counted.exchanges, counted.errors, counted.timeouts, round(counted.busy_seconds, 3)
        )

    # -- ownership -------------------------------------------------------------------------------------------------

    async def _own(self, line_class: LineClass, owner: str) -> Ticket:
        ticket = self._arbiter.ask(line_class, owner)
        if self._arbiter.owner is not ticket:
            self._hurry()
            granted = self._grants[ticket] = asyncio.get_running_loop().create_future()
            try:
                await granted
            except asyncio.CancelledError:
                self._leave(ticket)
                raise
            finally:
                self._grants.pop(ticket, None)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        return ticket

    def _hurry(self) -> None:
        """Give the owner a last term while CCEE waits, and take it back when CCEE has left the queue."""
        if self._patience is not None and not self._patience.expired():
            last = asyncio.get_running_loop().time() + CCEE_PATIENCE
            if not self._arbiter.ccee_waits:
                self._patience.reschedule(None)
            elif self._patience.when() is None:
                self._patience.reschedule(last)

    def _grant(self, ticket: Ticket | None) -> None:
        granted = None if ticket is None else self._grants.get(ticket)
        if granted is not None and not granted.done():
            granted.set_result(None)

    def _reopen(self) -> None:
        self._resting = None
        self._grant(self._arbiter.rest(False))

    def _leave(self, ticket: Ticket, rest: float = 0.0) -> None:
        owned = self._arbiter.owner is ticket
        if owned and rest > 0:
            self._arbiter.rest(True)
            if self._resting is not None:
                self._resting.cancel()
            self._resting = asyncio.get_running_loop().call_later(rest, self._reopen)
        following = self._arbiter.leave(ticket)
        if following is not None:
            self._grant(following)
        if not owned:
            self._hurry()
        elif following is None:
            if self._status is LineStatus.BUSY:
                self._become(LineStatus.IDLE)
            if self._idle_close and self._pipe is not None:
                self._idle_timer = asyncio.get_running_loop().call_later(self._idle_close, self._close_idle)

    # -- the connection --------------------------------------------------------------------------------------------

    async def _open(self, line_class: LineClass) -> Transport:
        if self._pipe is not None and self._pipe.lost:
            await self._drop()
        if self._pipe is None:
            wait = self.retry_at - self._clock()
            if wait > 0 and line_class >= LineClass.PLANNED:
                raise LinkError(f"line {self.name} is tried again in {wait:.0f} s: {self._error}")
            self._become(LineStatus.CONNECTING)
            try:
                self._pipe = await self._opener()
            except LinkError as error:
                await self._failed(error)
                raise
            except BaseException:
                self._become(LineStatus.IDLE)
                raise
        return CountingTransport(self._pipe, self.statistics)

    async def _failed(self, error: EdgeError) -> None:
        """Account for an error; drop the connection where it may be at fault, back off where it surely is."""
        self.statistics.errors += 1
        self._error = str(error)[:2000]
        if isinstance(error, SilenceError | BusyError):
            self.statistics.timeouts += 1
        if isinstance(error, LinkError):
            self._failures += 1
            self.retry_at = self._clock() + self._reconnect.delay(self._failures, self._random)
            await self._drop()
            self._become(LineStatus.BACKING_OFF)
            return
        self._failures = 0
        if self._reopen_after_silence and isinstance(error, SilenceError | NoiseError):
            await self._drop()

    async def _drop(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            await pipe.close()

    def _close_idle(self) -> None:
        self._idle_timer = None
        if self._arbiter.owner is None:
            task = asyncio.get_running_loop().create_task(self._drop(), name=f"close {self.name}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _become(self, status: LineStatus) -> None:
        if status is not self._status:
            self._status = status
            self._since = self._wall()
