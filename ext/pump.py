"""The byte pump: pairs of descriptors served by one thread, octets unchanged both ways, a tap beside the path.

Compiled (``pump.pyx``), the thread never takes the interpreter's lock: what the event loop does meanwhile does not
delay an octet. The tap is a bounded ring that the thread fills *after* it has handed octets on; a full ring makes a
pair go on unheard, never wait. A pair belongs to the thread from :meth:`Pump.add` until :meth:`Pump.look` says
``ENDED``; both descriptors must be non-blocking and stay open until then. All other methods belong to the thread that
made the pump.
"""

import os
import select
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ext._pump_words import CAPACITY, CLIENT, ENDED, GATHERED, HALF, METER, RUNNING, STOPPED, TAKEN

__all__ = ("CLIENT", "ENDED", "HALF", "METER", "RUNNING", "STOPPED", "Pump")

#: What a piece costs in the ring besides its octets, as in C.
_MARK: Final = 24


@dataclass
class _Way:
    """One direction. ``gather``: s of silence after which gathered octets go on, 0: at once."""

    source: int
    sink: int
    pass_end: bool
    gather: float
    waiting: bytearray = field(default_factory=bytearray)
    ended: bool = False
    passed: bool = False
    due: float = 0.0
    octets: int = 0


@dataclass
class _Pair:
    ways: tuple[_Way, _Way]
    tap: bool
    last: int
    state: int = RUNNING
    cause: int = CLIENT
    interest: list[int] = field(default_factory=lambda: [0, 0])
    first: int = 0
    longest: int = 0
    lost: int = 0


class Pump:
    """``slots`` pairs at most; ``ring``: octets that the tap holds until they are taken, a power of two."""

    def __init__(self, slots: int, ring: int = 1 << 20) -> None:
        if ring < 1 << 16 or ring & (ring - 1):
            raise ValueError(f"a ring of {ring} octets is not a power of two of at least 65536")
        self._slots = slots
        self._ring = ring
        self._pairs: dict[int, _Pair] = {}
        self._heard: deque[tuple[int, int, int, bytes]] = deque()
        self._put = self._took = 0
        self._quit = False
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._notice = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._asked: deque[tuple[str, _Pair]] = deque()
        self._sides: dict[int, tuple[_Pair, int]] = {}

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):
            self._epoll.close()
            os.close(self._wake)
            os.close(self._notice)

    @property
    def notice(self) -> int:
        """A descriptor (eventfd) that is readable when a pair is half closed, has ended or filled half the ring."""
        return self._notice

    def add(
        self,
        slot: int,
        client: int,
        meter: int,
        begin: bytes = b"",
        ended: bool = False,
        pass_end: bool = True,
        gather: float = 0.0,
        tap: bool = True,
    ) -> None:
        """Serve a pair. ``begin``: what the client has said already, ``ended``: and that it says no more.

        ``pass_end``: tell the meter's socket so. ``gather``: the meter's octets go on after so many seconds of silence
        or 512 octets; 0: at once. ``tap``: let :meth:`taken` hear it. ValueError when the slot is taken.
        """
        if not 0 <= slot < self._slots:
            raise IndexError(f"slot {slot} is not within 0..{self._slots - 1}")
        if slot in self._pairs:
            raise ValueError(f"slot {slot} is taken")
        if len(begin) > CAPACITY:
            raise ValueError(f"{len(begin)} octets to begin with are more than {CAPACITY}")
        there = _Way(client, meter, pass_end, 0.0, bytearray(begin), ended, octets=len(begin))
        back = _Way(meter, client, True, gather)
        self._pairs[slot] = pair = _Pair((there, back), tap, time.monotonic_ns(), HALF if ended else RUNNING)
        self._asked.append(("start", pair))
        self._signal(self._wake)

    def stop(self, slot: int) -> None:
        """Ask for the end of a pair; what waits is still written as far as the other end takes it at once."""
        if (pair := self._pairs.get(slot)) is not None:
            self._asked.append(("stop", pair))
        self._signal(self._wake)

    def look(self, slot: int) -> tuple[int, int, int, int, int, int, int, int]:
        """State, who ended it, octets of the client, of the meter, then monotonic ns, then pieces the tap lost.

        The ns: the meter's first octet (0: none), the last octet of any side, the longest silence.
        """
        pair = self._pairs[slot]
        there, back = pair.ways
        return pair.state, pair.cause, there.octets, back.octets, pair.first, pair.last, pair.longest, pair.lost

    def free(self, slot: int) -> None:
        """Give the slot of an ended pair back. ValueError while it is served."""
        if slot in self._pairs and self._pairs[slot].state != ENDED:
            raise ValueError(f"slot {slot} is still served: stop it first")
        self._pairs.pop(slot, None)

    def taken(self) -> list[tuple[int, int, int, bytes]]:
        """Take pieces out of the tap, oldest first: slot, UTC ns, side, octets. Empty when there are none."""
        found = [self._heard.popleft() for _ in range(min(len(self._heard), TAKEN))]
        self._took += sum(_MARK + len(piece[3]) for piece in found)
        return found

    def close(self) -> None:
        """Make :meth:`run` stop every pair and return."""
        self._quit = True
        self._signal(self._wake)

    # -- in the pump's thread ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until :meth:`close`; the body of a thread."""
        while not self._quit:
            for descriptor, what in self._epoll.poll(self._patience()):
                if descriptor == self._wake:
                    os.eventfd_read(self._wake)
                elif descriptor in self._sides:  # else it ended earlier in this round
                    self._ready(*self._sides[descriptor], what)
            self._orders()  # last: no event of this round may meet a new pair in an old one's place
            self._flush_due()
        for pair in list(self._pairs.values()):
            if pair.state != ENDED:
                self._finish(pair, STOPPED)

    def _orders(self) -> None:
        while self._asked:
            order, pair = self._asked.popleft()
            if order == "start":
                self._start(pair)
            elif pair.state != ENDED:
                self._finish(pair, STOPPED)

    def _start(self, pair: _Pair) -> None:
        for side, way in enumerate(pair.ways):
            try:
                self._epoll.register(way.source, 0)
            except OSError:
                self._finish(pair, side)
                return
            self._sides[way.source] = pair, side
        if self._push(pair.ways[0]):
            self._settle(pair)
        else:
            self._finish(pair, METER)

    def _ready(self, pair: _Pair, side: int, what: int) -> None:
        """``side`` 0: the client's descriptor is ready; what it sends goes way 0, what it gets comes by way 1."""
        if what & select.EPOLLOUT and not self._push(pair.ways[1 - side]):
            self._finish(pair, side)
            return
        if pair.interest[side] & select.EPOLLIN:
            if what & ~select.EPOLLOUT and not self._carry(pair, side):
                return
        elif what & (select.EPOLLHUP | select.EPOLLERR):  # gone for good; there is nobody left to deliver to
            self._finish(pair, side)
            return
        self._settle(pair)

    def _carry(self, pair: _Pair, side: int) -> bool:
        """Read once and hand on; False when the pair has ended."""
        way = pair.ways[side]
        try:
            data = os.read(way.source, CAPACITY - len(way.waiting))
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            self._finish(pair, side)
            return False
        if not data:
            way.ended = True
            if pair.state == RUNNING:
                pair.state, pair.cause = HALF, side
                self._signal(self._notice)
            return True
        way.waiting += data
        full = not way.gather or len(way.waiting) >= GATHERED
        way.due = 0.0 if full else time.monotonic() + way.gather
        if full and not self._push(way):
            self._finish(pair, 1 - side)
            return False
        now = time.monotonic_ns()
        way.octets += len(data)
        pair.longest, pair.last = max(pair.longest, now - pair.last), now
        if side == METER and not pair.first:
            pair.first = now
        if pair.tap:
            self._hear(pair, time.time_ns(), side, data)
        return True

    def _push(self, way: _Way) -> bool:
        """Write what waits; False when the sink is broken."""
        while way.waiting:
            try:
                put = os.write(way.sink, way.waiting)
            except InterruptedError:
                continue
            except BlockingIOError:
                break
            except OSError:
                return False
            del way.waiting[:put]
        return True

    def _settle(self, pair: _Pair) -> None:
        """Wait for what each way needs next; pass an end on when all before it is through."""
        wanted = [0, 0]
        for side, way in enumerate(pair.ways):
            if way.waiting and not way.due:
                wanted[1 - side] |= select.EPOLLOUT
            elif not way.ended:
                wanted[side] |= select.EPOLLIN
            elif not way.passed:
                way.due, way.passed = 0.0, True
                self._push(way)
                if way.pass_end:
                    _end_writing(way.sink)
        if all(way.passed for way in pair.ways):
            self._finish(pair, pair.cause)
            return
        for side, way in enumerate(pair.ways):
            if wanted[side] != pair.interest[side]:
                pair.interest[side] = wanted[side]
                self._epoll.modify(way.source, wanted[side])

    def _patience(self) -> float:
        """Seconds until the next gathered octets are due; -1 without."""
        due = min((pair.ways[1].due for pair in list(self._pairs.values()) if pair.ways[1].due), default=0.0)
        return max(due - time.monotonic(), 0.0) if due else -1.0

    def _flush_due(self) -> None:
        now = time.monotonic()
        for pair in list(self._pairs.values()):
            way = pair.ways[1]
            if way.due and way.due <= now:
                way.due = 0.0
                if self._push(way):
                    self._settle(pair)
                else:
                    self._finish(pair, CLIENT)

    def _finish(self, pair: _Pair, cause: int) -> None:
        for way in pair.ways:
            way.due = 0.0
            self._push(way)  # what the other end can still take
            if self._sides.pop(way.source, None):
                with suppress(OSError):
                    self._epoll.unregister(way.source)
        if pair.state == RUNNING:
            pair.cause = cause
        pair.state = ENDED
        self._signal(self._notice)

    def _hear(self, pair: _Pair, now: int, side: int, data: bytes) -> None:
        """Tell the tap. Where it has no room the pair goes on unheard: half a conversation would mislead."""
        used, size = self._put - self._took, _MARK + len(data)
        if used + size > self._ring:
            pair.lost, pair.tap = pair.lost + 1, False
            self._signal(self._notice)
            return
        slot = next(number for number, each in self._pairs.items() if each is pair)
        self._heard.append((slot, now, side, data))
        self._put += size
        if used <= self._ring >> 1 < used + size:
            self._signal(self._notice)

    @staticmethod
    def _signal(descriptor: int) -> None:
        os.eventfd_write(descriptor, 1)


def _end_writing(descriptor: int) -> None:
    """Shut a socket down for writing; a terminal has no such thing."""
    with suppress(OSError):
        end = socket.socket(fileno=descriptor)
        try:
            end.shutdown(socket.SHUT_WR)
        finally:
            end.detach()
