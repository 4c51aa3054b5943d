"""A TCP proxy that writes down what passes, as a forward's inspector would hear it."""

import asyncio
import time
from types import TracebackType
from typing import Self

from edge.guardian import Side


class Recorder:
    """Forwards 127.0.0.1:``port`` to ``target`` (a port of 127.0.0.1) and keeps (UTC seconds, side, octets)."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.talk: list[tuple[float, Side, bytes]] = []
        self.began = time.time()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection("127.0.0.1", self.target)
        for side, source, sink in ((Side.CLIENT, reader, onward[1]), (Side.METER, onward[0], writer)):
            task = asyncio.create_task(self._pump(side, source, sink), name=f"recorder {side.name}")
            self._tasks.add(task)

    async def _pump(self, side: Side, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(4096):
                self.talk.append((time.time(), side, data))
                sink.write(data)
        except OSError:
            pass
        finally:
            sink.close()
