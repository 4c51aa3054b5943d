"""Simulated meters behind TCP ports and pseudo-terminals (dossier abnt-nbr-14522 §2, §5.3).

A TCP port serves one connection at a time, as a serial server does; a newer one takes over from an older one.
"""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge.drivers.abnt.frames import Signal
from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.session import Action, Hangup, MeterSession, Pause, SessionSetup
from edge.simulators.faults import FaultPlan
from edge.simulators.ports import Pipe, PtyPipe, TcpPipe

#: Seconds before a terminal begins a new session after one that ended.
REOPEN: Final = 0.2
_ENQ: Final = bytes((Signal.ENQ,))


async def converse(pipe: Pipe, session: MeterSession) -> None:
    """Run ``session`` over ``pipe`` until one side hangs up."""
    clock = asyncio.get_running_loop().time
    while True:
        timeout = None if session.deadline is None else max(0.0, session.deadline - clock())
        data = await pipe.read(timeout)
        if data is None:
            return
        began = clock()
        actions = session.feed(data, began) if data else session.tick(began)
        if not actions:
            continue
        if not await _perform(pipe, actions):
            return
        session.delay(clock() - began)


async def _perform(pipe: Pipe, actions: Sequence[Action]) -> bool:
    """Do ``actions`` in order; False when the conversation is over."""
    for action in actions:
        if isinstance(action, Hangup):
            return False
        if isinstance(action, Pause):
            await asyncio.sleep(action.seconds)
        elif action != _ENQ or not pipe.unread():
            try:
                await pipe.write(action)
            except OSError:
                return False
    return True


#: Rounds of the event loop in which a connection that was accepted just before is told to go, and is gone.
_ROUNDS = 10


class TcpPort:
    """Meters behind one TCP port: one meter, or several on a bus. Use as ``async with``; port 0 takes a free one."""

    def __init__(
        self,
        meters: Sequence[Meter],
        host: str = "127.0.0.1",
        port: int = 0,
        setup: SessionSetup | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        self.meters = list(meters)
        self.host, self.port = host, port
        self.setup = setup or SessionSetup(bus=len(self.meters) > 1)
        self.faults = faults or FaultPlan()
        self.connections = 0  # accepted so far
        self._server: asyncio.Server | None = None
        self._conversation: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._accepting = asyncio.Lock()

    @property
    def address(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen; ``OSError`` when the port is taken."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port, backlog=8)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up and stop listening."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        async with self._accepting:
            await self.hang_up()
        if server is not None:
            await server.wait_closed()
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    async def hang_up(self) -> None:
        """Cut the present connection, if there is one."""
        task, self._conversation = self._conversation, None
        writer, self._writer = self._writer, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if writer is not None:  # a task that is cancelled before its first step closes nothing
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._accepting:
            await self.hang_up()
            if self._server is None:  # stopped meanwhile
                writer.close()
                return
            self.connections += 1
            self._writer = writer
            name = f"meter {self.meters[0].serial} at {self.address}"
            self._conversation = asyncio.create_task(self._serve(reader, writer), name=name)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            now = asyncio.get_running_loop().time()
            await converse(TcpPipe(reader, writer), MeterSession(self.meters, self.setup, self.faults, now))
        finally:
            writer.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class PtyPort:
    """Meters behind a pseudo-terminal; ``path`` is the device to open. Use as ``async with``.

    ``link``: symbolic link to make for it; ``baud``: speed to imitate, None for as fast as it goes.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        link: Path | None = None,
        setup: SessionSetup | None = None,
        faults: FaultPlan | None = None,
        baud: int | None = None,
    ) -> None:
        self.meters = list(meters)
        self.link, self.baud = link, baud
        self.setup = setup or SessionSetup(bus=len(self.meters) > 1)
        self.faults = faults or FaultPlan()
        self.path = ""
        self._pipe: PtyPipe | None = None
        self._conversation: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return f"pty:{self.link or self.path}"

    async def start(self) -> None:
        """Make the terminal; ``OSError`` when it or its link cannot be made."""
        self._pipe = PtyPipe(self.link, self.baud)
        self.path = self._pipe.path
        self._conversation = asyncio.create_task(self._serve(self._pipe), name=f"meter at {self.address}")

    async def stop(self) -> None:
        """End the conversation and take the terminal away."""
        if self._conversation is not None:
            self._conversation.cancel()
            await asyncio.wait([self._conversation])
            self._conversation = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    async def _serve(self, pipe: PtyPipe) -> None:
        while True:  # a terminal cannot hang up: what would end a connection only ends a session
            now = asyncio.get_running_loop().time()
            await converse(pipe, MeterSession(self.meters, self.setup, self.faults, now))
            await asyncio.sleep(REOPEN)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
