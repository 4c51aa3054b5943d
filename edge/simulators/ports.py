"""Where simulated devices are reached: TCP connections and pseudo-terminals, with the same few verbs."""

import asyncio
import fcntl
import os
import struct
import termios
import tty
from pathlib import Path
from typing import Final, Protocol

#: A conversation partner sends at most a command and some signals; more waits in the kernel.
READ_SIZE: Final = 512
BITS_PER_OCTET: Final = 10  # 8N1
#: Paced writing hands over about a hundredth of a second at a time.
PACES_PER_SECOND: Final = 100


class Pipe(Protocol):
    """Octets to and from one partner."""

    async def read(self, timeout: float | None) -> bytes | None:
        """What has come; b"" when ``timeout`` seconds brought nothing; None when the partner has gone."""
        ...

    async def write(self, data: bytes) -> None:
        """Send; ``ConnectionError`` when the partner has gone."""
        ...

    def unread(self) -> bool:
        """The partner has not taken what was sent last: more would only pile up."""
        ...


class TcpPipe:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, timeout: float | None) -> bytes | None:
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(READ_SIZE) or None
        except TimeoutError:
            return b""
        except OSError:
            return None

    async def write(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._writer.write(data)
        await self._writer.drain()

    def unread(self) -> bool:
        return False  # the kernel throttles, and drain() waits


class PtyPipe:
    """The device end of a pseudo-terminal, raw; ``path`` is what a reader opens, ``link`` an additional name for it.

    ``baud`` paces writing as a serial line would; None writes at once. The reader's end stays open on this side, so
    readers come and go unnoticed, as at a real serial port.
    """

    def __init__(self, link: Path | None = None, baud: int | None = None) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._link = link
        self._pace = None if baud is None else max(1, baud // BITS_PER_OCTET // PACES_PER_SECOND)
        self._octet_time = 0.0 if baud is None else BITS_PER_OCTET / baud
        if link is not None:
            try:
                if link.is_symlink():
                    link.unlink()
                link.symlink_to(self.path)
            except OSError as error:
                self._close_ends()
                raise OSError(error.errno, f"cannot name the pseudo-terminal {link}: {error.strerror}") from error

    async def read(self, timeout: float | None) -> bytes | None:
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await self._ready(writing=False)
                    try:
                        return os.read(self._master, READ_SIZE)
                    except BlockingIOError:
                        continue
        except TimeoutError:
            return b""
        except OSError:
            return None

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            piece = view[: self._pace] if self._pace else view
            try:
                sent = os.write(self._master, piece)
            except BlockingIOError:
                await self._ready(writing=True)
                continue
            view = view[sent:]
            if self._pace:
                await asyncio.sleep(sent * self._octet_time)

    def unread(self) -> bool:
        waiting: int = struct.unpack("i", fcntl.ioctl(self._slave, termios.FIONREAD, b"\0" * 4))[0]
        return waiting > 0

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        add(self._master, _settle, ready)
        try:
            await ready
        finally:
            remove(self._master)

    def close(self) -> None:
        """Give the terminal back and take the link away."""
        if self._link is not None and self._link.is_symlink() and str(self._link.readlink()) == self.path:
            self._link.unlink()
        self._close_ends()

    def _close_ends(self) -> None:
        os.close(self._master)
        os.close(self._slave)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
