"""A reader written from the dossier's rules alone: it shares no code with the driver, the layouts or the kernels."""

import asyncio
import os
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

ENQ, ACK, WAIT, NAK, ALO = b"\x05", b"\x06", b"\x10", b"\x15", b"\xff"
PATIENCE = 5.0


def crc(data: bytes, value: int = 0) -> bytes:
    """CRC-16, reflected A001, low octet first; ``value`` FFFF makes it Modbus."""
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def command(code: int, parameters: str = "", reader: str = "123456") -> bytes:
    body = (bytes([code]) + bytes.fromhex(reader) + bytes.fromhex(parameters)).ljust(64, b"\0")
    return body + crc(body)


def octets(answer: bytes, first: int, last: int) -> bytes:
    """Octets counted from 1, as the standard prints them."""
    return answer[first - 1 : last]


def number(answer: bytes, first: int, last: int) -> int:
    return int(octets(answer, first, last).hex())


def words(blocks: list[bytes], count: int, low_first: bool = False) -> list[int]:
    digits = b"".join(octets(block, 8, 256) for block in blocks).hex()
    if low_first:  # AB CD EF -> DAB, EFC
        groups = (digits[i : i + 6] for i in range(0, len(digits) - 5, 6))
        flat = [w for g in groups for w in (g[3] + g[0:2], g[4:6] + g[2])]
    else:
        flat = [digits[i : i + 3] for i in range(0, len(digits) - 2, 3)]
    return [int(word, 16) for word in flat[:count]]


class RawReader:
    """Talks over anything with ``send`` and ``receive`` (which returns at least one octet, or b"" after a timeout)."""

    def __init__(self, send: Callable[[bytes], None], wait: Callable[[], "asyncio.Future[bytes]"]) -> None:
        self.send = send
        self._wait = wait
        self.buffer = b""

    @classmethod
    async def tcp(cls, port: int) -> "TcpReader":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return TcpReader(reader, writer)

    async def octet(self, timeout: float = PATIENCE) -> bytes:
        """Next octet, b"" when the other side hung up; ``TimeoutError`` after ``timeout``."""
        if not self.buffer:
            async with asyncio.timeout(timeout):
                self.buffer = await self._wait()
        first, self.buffer = self.buffer[:1], self.buffer[1:]
        return first

    async def take(self, size: int, timeout: float = PATIENCE) -> bytes:
        taken = b""
        while len(taken) < size:
            piece = await self.octet(timeout)
            if not piece:
                break
            taken += piece
        return taken

    async def enq(self) -> None:
        while await self.octet() != ENQ:
            pass

    async def answer(self, size: int = 258) -> bytes:
        """One block; ENQs before it are skipped (§5.3 b)."""
        first = await self.octet()
        while first == ENQ:
            first = await self.octet()
        return first + (await self.take(size - 1) if first not in (NAK, WAIT, b"") else b"")

    async def ask(self, code: int, parameters: str = "", sync: bool = True) -> bytes:
        """A simple command: ENQ, command, answer with good CRC, ACK."""
        if sync:
            self.buffer = b""
            await self.enq()
        self.send(command(code, parameters))
        answer = await self.answer()
        assert len(answer) == 258
        assert crc(answer) == b"\0\0"
        self.send(ACK)
        return answer

    async def ask_blocks(self, code: int) -> list[bytes]:
        """A composite command to its last block."""
        blocks = [await self.ask(code)]
        while not blocks[-1][5] & 0x10:
            blocks.append(await self.answer())
            assert crc(blocks[-1]) == b"\0\0"
            self.send(ACK)
        return blocks


class TcpReader(RawReader):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(writer.write, lambda: asyncio.ensure_future(reader.read(4096)))
        self.writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()


class PtyReader(RawReader):
    """Opens a terminal as any program would: raw, 9600 8N1."""

    def __init__(self, path: str | Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        attributes = termios.tcgetattr(self.fd)
        attributes[4] = attributes[5] = termios.B9600
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        super().__init__(lambda data: self._send(data), lambda: asyncio.ensure_future(self._read()))

    def _send(self, data: bytes) -> None:
        assert os.write(self.fd, data) == len(data)

    async def _read(self) -> bytes:
        while True:
            try:
                return os.read(self.fd, 4096)
            except BlockingIOError:
                await asyncio.sleep(0.002)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)
