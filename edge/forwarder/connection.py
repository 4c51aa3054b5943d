"""One conversation: wait for the line, let the pump carry the octets, watch the limits, count what there is to tell."""

import asyncio
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from edge.config.model import Forward as Settings
from edge.errors import EdgeError
from edge.forwarder import record
from edge.forwarder.tap import Ear, Tap
from edge.guardian import CloseReason, Side
from edge.lines.contract import LineClass
from edge.lines.line import ManagedLine
from ext.pump import ENDED, HALF, METER
from shared.wire import ForwardConnection

#: CCEE's octets kept while the line is not ours yet; beyond them the network holds the sender up (F5).
EARLY: Final = 4096
#: One end has said its last word: the other gets so many seconds of silence to end too.
HALF_CLOSED: Final = 2.0


@dataclass(frozen=True)
class Route:
    """How a meter is reached. ``gather``: s of silence after which a serial line's octets go on; 0 on networks."""

    line: ManagedLine
    gather: float


@dataclass(eq=False)
class Connection:
    """A client that was let in. ``run`` once; ``end`` from outside; ``opened`` is what is known at the beginning."""

    opened: ForwardConnection
    sock: socket.socket
    route: Route
    limits: Settings
    tap: Tap
    slot: int
    ear: Ear
    state: str = "waiting"  # waiting, connected, ended
    error: str = ""
    reason: CloseReason | None = None
    _early: bytearray = field(default_factory=bytearray)
    _ended: bool = False  # the client says no more
    _term: asyncio.Timeout | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _counts: tuple[int, ...] = (0,) * 8

    @property
    def client_gone(self) -> bool:
        """The client has said its last word; a new one need not wait for this one's end."""
        if self.sock.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)  # known to the kernel before anybody has read up to it
        return bool(poll.poll(0))

    def end(self, reason: CloseReason) -> None:
        """Cut it off, wherever it is; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            if self._term is not None:
                self._term.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> ForwardConnection:
        """Serve the client to the end; returns the record. Never raises for what clients, meters and lines do."""
        loop = asyncio.get_running_loop()
        began = time.monotonic_ns()
        loop.add_reader(self.sock, self._hear_early)
        who = f"{self.opened.meter} {self.opened.source}"
        rest = 0.0 if self.opened.mode == record.SELF_TEST else float(self.limits.resume_seconds)
        try:
            async with asyncio.timeout(self.limits.idle_seconds) as self._term:
                if self.reason is not None:
                    self._term.reschedule(loop.time())
                async with self.route.line.claim(LineClass.CCEE, who, rest) as claim, claim.lent() as meter:
                    if self.reason is None:
                        self._term.reschedule(None)
                    await self._forward(meter)
        except TimeoutError:
            self.reason = self.reason or CloseReason.IDLE
        except EdgeError as error:
            self.reason, self.error = self.reason or CloseReason.REFUSED_LINE, str(error)
        finally:
            loop.remove_reader(self.sock)
            self.sock.close()
            self.state = "ended"
        return self._record(began, self.reason or CloseReason.ERROR)

    def _hear_early(self) -> None:
        """Take what the client says while the line is not ours."""
        try:
            data = self.sock.recv(EARLY - len(self._early))
        except BlockingIOError:
            return
        except OSError:
            self.end(CloseReason.CLIENT)
            data = b""
        if data:
            self._early += data
            self.ear.hear(time.time(), Side.CLIENT, data)
        else:
            self._ended = True
            if not self._early:
                self.end(CloseReason.CLIENT)
        if self._ended or len(self._early) == EARLY:
            asyncio.get_running_loop().remove_reader(self.sock)

    async def _forward(self, meter: int) -> None:
        asyncio.get_running_loop().remove_reader(self.sock)
        pump, slot = self.tap.pump, self.slot
        self.tap.attach(slot, self.ear, self._changed.set)
        pump.add(
            slot, self.sock.fileno(), meter, bytes(self._early), self._ended,
            gather=self.route.gather, tap=self.ear.listener is not None,
        )  # fmt: skip
        self.state = "connected"
        try:
            await self._watch()
        finally:
            pump.stop(slot)
            while True:
                self._changed.clear()
                if pump.look(slot)[0] == ENDED:
                    break
                await self._changed.wait()
            self._counts = pump.look(slot)
            self.state = "ended"
            self.tap.detach(slot)
            pump.free(slot)

    async def _watch(self) -> None:
        """Return when the conversation has ended, or must."""
        began = time.monotonic_ns()
        while True:
            self._changed.clear()
            state, cause, _, _, _, last, _, _ = self.tap.pump.look(self.slot)
            now = time.monotonic_ns()
            quiet = (now - last) / 1e9
            ending = CloseReason.METER if cause == METER else CloseReason.CLIENT
            limits = [
                (self.limits.idle_seconds - quiet, CloseReason.IDLE),
                (self.limits.total_seconds - (now - began) / 1e9, CloseReason.TOTAL),
            ]
            if state == ENDED:
                limits = [(0.0, ending)]
            elif state == HALF:
                limits.append((HALF_CLOSED - quiet, ending))
            left, reason = min(limits)
            if left <= 0:
                self.reason = self.reason or reason
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    def _record(self, began: int, reason: CloseReason) -> ForwardConnection:
        _, _, sent, received, first, last, longest, _ = self._counts
        now = time.monotonic_ns()
        finding = self.ear.finish(time.time(), reason)
        if self.error:
            finding.facts["error"] = self.error[:2000]
        return record.complete(
            self.opened,
            int(time.time() * 1000),
            finding,
            sent=sent or len(self._early),
            received=received,
            first_byte_ms=(first - began) // 1_000_000 if first else None,
            longest_silence_ms=max(longest, now - (last or began)) // 1_000_000,
            close_reason=str(reason),
        )
