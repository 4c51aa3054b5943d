"""A wire in memory and a tiny meter at its other end, scripted to be nasty; nothing here uses the driver's code."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge.lines.contract import Transport

ENQ, ACK, WAIT, NAK = b"\x05", b"\x06", b"\x10", b"\x15"


def crc16(octets: bytes) -> bytes:
    """CRC-16/ARC, bit by bit, low octet first."""
    value = 0
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


def answer(code: int, data: bytes = b"", serial: str = "12345678") -> bytes:
    """One sealed answer of 258 octets."""
    body = bytes((code,)) + bytes.fromhex(serial) + data.ljust(251, b"\0")
    return body + crc16(body)


def block(code: int, number: int, last: bool, fill: int = 0, serial: str = "12345678") -> bytes:
    """One profile block whose words are all made of the octet ``fill``."""
    sequence = (0x10 if last else 0) | number // 100
    return answer(code, bytes((sequence, number % 100 // 10 << 4 | number % 10)) + bytes([fill]) * 249, serial)


class Wire:
    """``Transport`` of the reader. ``chunk``: most octets one read gives; ``lose``: octet by octet, both ways."""

    def __init__(self, chunk: int = 4096, lose: Callable[[], bool] = lambda: False) -> None:
        self.chunk, self.lose = chunk, lose
        self.meter: TinyMeter | None = None
        self.written: list[bytes] = []
        self._inbox = bytearray()
        self._more = asyncio.Event()

    def deliver(self, octets: bytes) -> None:
        """Meter to reader."""
        self._inbox += bytes(octet for octet in octets if not self.lose())
        self._more.set()

    async def read(self, limit: int, timeout: float) -> bytes:
        if not self._inbox:
            self._more.clear()
            try:
                await asyncio.wait_for(self._more.wait(), timeout)
            except TimeoutError:
                return b""
        size = min(limit, self.chunk)
        taken = bytes(self._inbox[:size])
        del self._inbox[:size]
        return taken

    async def write(self, data: bytes) -> None:
        self.written.append(data)
        if self.meter is not None:
            self.meter.hear(bytes(octet for octet in data if not self.lose()))

    def purge(self) -> int:
        purged = len(self._inbox)
        self._inbox.clear()
        return purged

    async def close(self) -> None: ...


@dataclass
class FakeClaim:
    transport: Transport
    must_yield: bool = False


@dataclass
class TinyMeter:
    """Answers a command code with sealed blocks, as the scripts say.

    ``on_command`` is consumed one word per command: answer, nak, wait, silent, damage, half, gap, junk, mangle (no
    octet of the block is what it was), forget (half a block, then idle). ``on_ack`` one per ACK: hear, drop, repeat,
    wait, mangle (of the next block), forget. Empty scripts mean answer and hear.
    """

    wire: Wire
    answers: dict[int, Sequence[bytes]]
    on_command: deque[str] = field(default_factory=deque)
    on_ack: deque[str] = field(default_factory=deque)
    enq: float | None = 0.01
    strict: bool = False  # a command counts only as the next thing after an ENQ
    commands: list[bytes] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)
    _pending: list[bytes] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None
    _mute_until: float = 0.0
    _heard_at: float = 0.0

    async def __aenter__(self) -> "TinyMeter":
        self.wire.meter = self
        if self.enq is not None:
            self._task = asyncio.create_task(self._call(self.enq), name="tiny meter's ENQ")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _call(self, period: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(period)
            if loop.time() - self._heard_at > 0.02:
                self._buffer.clear()
            if not self._buffer and loop.time() >= self._mute_until:
                self.wire.deliver(ENQ)

    def hear(self, octets: bytes) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        for octet in octets:
            if not self._buffer and octet == ACK[0]:
                self._acknowledged()
            elif not self._buffer and octet == NAK[0]:
                self._send_pending()
            else:
                self._buffer.append(octet)
                if len(self._buffer) == 66:
                    command = bytes(self._buffer)
                    self._buffer.clear()
                    self._command(command)

    def _mute(self, seconds: float) -> None:
        self._mute_until = asyncio.get_running_loop().time() + seconds

    def _send_pending(self) -> None:
        if self._pending:
            self._mute(0.03)
            self.wire.deliver(self._pending[0])

    def _acknowledged(self) -> None:
        word = self.on_ack.popleft() if self.on_ack and self._pending else "hear"
        if word == "drop":
            return
        if word == "repeat":
            self._send_pending()
            return
        if word == "wait":
            self.wire.deliver(WAIT)
            self._mute(0.03)
            return
        if word == "forget":
            self._pending = []
            return
        self._pending = self._pending[1:]
        if word == "mangle" and self._pending:
            self._mute(0.03)
            self.wire.deliver(mangled(self._pending[0]))
        else:
            self._send_pending()

    def _command(self, command: bytes) -> None:
        word = self.on_command.popleft() if self.on_command else "answer"
        if crc16(command[:64]) != command[64:]:
            self.wire.deliver(NAK)
            return
        self.commands.append(command)
        self._mute(0.03)
        if word == "nak":
            self.wire.deliver(NAK)
        elif word == "wait":
            self.wire.deliver(WAIT)
        elif word != "silent":
            self._pending = list(self.answers[command[0]])
            first = self._pending[0]
            if word == "damage":
                self.wire.deliver(first[:100] + bytes((first[100] ^ 0x40,)) + first[101:])
            elif word == "half":
                self.wire.deliver(first[:129])
            elif word == "mangle":
                self.wire.deliver(mangled(first))
            elif word == "forget":
                self._pending = []
                self.wire.deliver(first[:129])
            elif word == "gap":
                self.wire.deliver(first[:50])
                asyncio.get_running_loop().call_later(0.2, self.wire.deliver, first[50:])
                self._mute(0.25)
            elif word == "junk":
                self.wire.deliver(ENQ + b"\x00\x7e\x05\x05" + first)
            else:
                self.wire.deliver(first)


def mangled(octets: bytes) -> bytes:
    """As many octets, none of them a signal or the beginning of an answer, then what looks like signals."""
    return b"\x7e" * (len(octets) - 3) + WAIT + ENQ + NAK


def lossy(seed: int, probability: float) -> Callable[[], bool]:
    source = random.Random(seed)
    return lambda: source.random() < probability
