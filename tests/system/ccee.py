"""The CCEE before a meter, and what can go wrong: a line whose far end can be exchanged, and a reader's habits."""

import asyncio
import contextlib
import random
import socket
from types import TracebackType
from typing import Self

from tests.edge.simulators.rawreader import NAK, RawReader, command, crc

#: Silence of this length after a request is a missing answer; the guardian's patience is 3 s.
NO_ANSWER = 3.4
#: Meters refuse with these answers: occurrence, and command not known.
OCCURRENCE, UNKNOWN_COMMAND = 0x40, 0x39


class Link:
    """127.0.0.1:``port`` is the meter's line. ``switch`` hangs another meter, or none, at its end, unheard in front."""

    def __init__(self, home: int) -> None:
        self.home = home
        self.port = 0
        self._target: int | None = home
        self._ways: set[Way] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [way.task for way in self._ways]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def switch(self, target: int | None) -> None:
        """Let the line end at this port of 127.0.0.1; None: nobody is there, and no octet passes."""
        self._target = target
        for way in list(self._ways):
            await way.reach(target)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        way = Way(writer, task)
        self._ways.add(way)
        try:
            await way.reach(self._target)
            while data := await reader.read(65536):
                way.send(data)
        except (OSError, asyncio.CancelledError):
            pass  # the gateway hung up hard, or the test ends
        finally:
            self._ways.discard(way)
            writer.close()
            await way.reach(None)


class Way:
    """One connection of the gateway over the line."""

    def __init__(self, near: asyncio.StreamWriter, task: "asyncio.Task[None]") -> None:
        self.near, self.task = near, task
        self._far: asyncio.StreamWriter | None = None
        self._down: asyncio.Task[None] | None = None
        self._one = asyncio.Lock()

    def send(self, data: bytes) -> None:
        if self._far is not None and not self._far.is_closing():
            self._far.write(data)

    async def reach(self, target: int | None) -> None:
        async with self._one:
            far, down, self._far, self._down = self._far, self._down, None, None
            if far is not None and down is not None:
                down.cancel()
                await asyncio.gather(down, return_exceptions=True)
                far.close()
            if target is not None and not self.near.is_closing():
                reader, self._far = await asyncio.open_connection("127.0.0.1", target)
                self._down = asyncio.create_task(self._pass(reader))

    async def _pass(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while (data := await reader.read(65536)) and not self.near.is_closing():
                self.near.write(data)
        self.near.close()  # the meter hung up


def free_ports(number: int) -> list[int]:
    """So many different ports of 127.0.0.1, none of those that the system gives to connections in the meantime."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == number:
            return found
    raise AssertionError(f"only {len(found)} of {number} free ports")


# -- one session each: what the reader does, and what stands at the end of the line ------------------------------------


async def nothing(ccee: RawReader, link: Link) -> None:
    """Connects, hears the meter call, says nothing."""
    await ccee.enq()
    await asyncio.sleep(0.5)


async def daily(ccee: RawReader, link: Link) -> None:
    """Daily collection as it should be: parameters and the whole memory."""
    for code in (0x21, 0x80):
        assert (await ccee.ask(code))[0] == code
    assert len(await ccee.ask_blocks(0x26)) > 1


async def mute(ccee: RawReader, link: Link) -> None:
    """The meter loses its voice as soon as the reader is there."""
    await ccee.enq()
    await link.switch(None)
    for _ in range(2):
        ccee.send(command(0x21))
        await asyncio.sleep(NO_ANSWER)


async def noisy(ccee: RawReader, link: Link) -> None:
    """Every answer is damaged, three times in a row; then the reader gives up."""
    ccee.send(command(0x21))
    for _ in range(3):
        answer = await ccee.answer()
        assert crc(answer) != b"\0\0"
        ccee.send(NAK)


async def refused(ccee: RawReader, link: Link) -> None:
    """The meter has an occurrence and answers nothing else."""
    assert (await ccee.ask(0x21))[0] == OCCURRENCE


async def unknown(ccee: RawReader, link: Link) -> None:
    """Parameters, then a command that the meter does not know."""
    await ccee.ask(0x21)
    assert (await ccee.ask(0x60))[0] == UNKNOWN_COMMAND


async def broken_off(ccee: RawReader, link: Link) -> None:
    """The reader hangs up within the memory."""
    await ccee.ask(0x21)
    await ccee.ask(0x26)
    assert len(await ccee.answer()) == 258


async def inspection(ccee: RawReader, link: Link) -> None:
    """Parameters and audit data beside the memory."""
    for code in (0x21, 0x80, 0x28, 0x25):
        assert (await ccee.ask(code))[0] == code
    await ccee.ask_blocks(0x26)


async def left_hanging(ccee: RawReader, link: Link) -> None:
    """The line dies within the memory and the reader waits, until it is cut off."""
    await ccee.ask(0x21)
    await ccee.ask(0x26)
    await link.switch(None)
    while await ccee.octet(30):  # what was on its way, then the end
        pass
