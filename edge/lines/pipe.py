"""A byte pipe over any asyncio transport: the one implementation of ``Transport`` for TCP and serial ports."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from edge.errors import LinkError

#: Bytes kept for a reader that does not come; the largest answer of any protocol spoken is far below.
BUFFER_LIMIT: Final = 64 * 1024
WRITE_TIMEOUT: Final = 10.0  # s; 64 KiB at 110 bit/s nobody writes, so this is a stuck port
CLOSE_TIMEOUT: Final = 2.0  # s


class Pipe(asyncio.Protocol):
    """``Transport`` (edge.lines.contract) of one open connection; ``name`` is what error texts call the other end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()
        self._reason = "is not open"
        self._paused = False

    @property
    def lost(self) -> bool:
        """Whether the connection has ended, from either side."""
        return self._transport is None

    async def read(self, limit: int, timeout: float) -> bytes:
        if not self._buffer:
            await self._wait_for_bytes(timeout)
        if not self._buffer:
            if self._transport is None:
                raise LinkError(f"{self.name} {self._reason}")
            return b""
        data = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        if self._paused and self._transport is not None and len(self._buffer) < BUFFER_LIMIT:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        if self._transport is None:
            raise LinkError(f"{self.name} {self._reason}")
        try:
            self._transport.write(data)
            async with asyncio.timeout(WRITE_TIMEOUT):
                await self._writable.wait()
        except TimeoutError:
            raise LinkError(f"{self.name} has taken no data for {WRITE_TIMEOUT:.0f} s") from None
        except OSError as error:
            raise LinkError(f"{self.name}: {error}") from error
        if self._transport is None:
            raise LinkError(f"{self.name} {self._reason}")

    def purge(self) -> int:
        thrown = len(self._buffer)
        self._buffer.clear()
        return thrown

    @contextmanager
    def lent(self) -> Iterator[int]:
        """Give the descriptor to somebody else, who reads and writes it until the block ends; it stays non-blocking.

        What had arrived and was not read is thrown away: it was not meant for the borrower.
        """
        if self._transport is None:
            raise LinkError(f"{self.name} {self._reason}")
        port = self._transport.get_extra_info("socket") or self._transport.get_extra_info("serial")
        self.purge()
        if not self._paused:
            self._transport.pause_reading()
        self._paused = True
        try:
            yield port.fileno()
        finally:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()

    async def close(self) -> None:
        if self._transport is not None:
            self._reason = "was closed"
            transport = self._transport
            transport.close()
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._gone.wait()
            except TimeoutError:
                transport.abort()
                await self._gone.wait()

    async def _wait_for_bytes(self, timeout: float) -> None:
        """Wait for the first byte, the end of the connection, or ``timeout`` s."""
        if self._transport is None or timeout <= 0:
            return
        loop = asyncio.get_running_loop()
        arrived = self._arrived = loop.create_future()
        timer = loop.call_later(timeout, _settle, arrived)
        try:
            await arrived
        finally:
            timer.cancel()
            self._arrived = None

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # a protocol of another kind is our own mistake
        self._transport = transport
        transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= BUFFER_LIMIT and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        _settle(self._arrived)

    def eof_received(self) -> bool:
        self._reason = "closed the connection"
        return False

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if exc is not None:
            self._reason = f"broke: {exc}"
        self._writable.set()
        self._gone.set()
        _settle(self._arrived)


def _settle(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
