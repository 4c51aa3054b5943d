"""A forwarder on the loopback before simulated meters, without broker and aggregator."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.config import Config, parse
from edge.fleet import Fleet, build_fleet
from edge.forwarder import Forwarder
from edge.forwarder.forward import Forward
from edge.forwarder.service import Inspect
from edge.guardian import Inspector
from edge.poller.reader import Reader
from edge.simulators.abnt.server import PtyPort, TcpPort
from edge.spool import Spool
from shared.wire import ForwardCapture, ForwardConnection, Item, MeterEvent, decode_item
from tests.ports import free_port, until


@dataclass
class Bench:
    """``port`` is the forward's of the first meter."""

    config: Config
    spool: Spool
    fleet: Fleet
    forwarder: Forwarder
    port: int

    @property
    def forward(self) -> Forward:
        return next(iter(self.forwarder.forwards.values()))

    @property
    def reader(self) -> Reader:
        return Reader(self.spool, lambda progress: None)

    async def items(self) -> list[Item]:
        return [decode_item(row) for row in await self.spool.batch(1, 10_000, 1 << 24)]

    async def records(self, number: int) -> list[ForwardConnection]:
        """Wait for so many records."""
        found: list[ForwardConnection] = []
        for _ in range(200):
            found = [item for item in await self.items() if isinstance(item, ForwardConnection)]
            if len(found) >= number:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{len(found)} records, not {number}")

    async def captures(self) -> list[ForwardCapture]:
        return [item for item in await self.items() if isinstance(item, ForwardCapture)]

    async def events(self, kind: str, number: int = 0) -> list[MeterEvent]:
        """Events of a kind; waits for so many."""
        for _ in range(200):
            found = [item for item in await self.items() if isinstance(item, MeterEvent) and item.kind == kind]
            if len(found) >= number:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{len(found)} events {kind}, not {number}")


@asynccontextmanager
async def serving(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A stand-in for a meter on a TCP port; every conversation has ended behind it."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0, limit=65536)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=5)
            assert not left


def text(spool: Path, line: str, forward: str, meter: str = 'serial = "10000001"\nline = "line"') -> str:
    return f"""
gateway = "gw1"
tenant = "acme"
[uplink]
host = "127.0.0.1"
tls = false
[spool]
path = "{spool}"
{line}
[[meters]]
id = "m1"
{meter}
[meters.forward]
{forward}
"""


@asynccontextmanager
async def bench(
    spool_path: Path,
    meter: TcpPort | PtyPort | int,
    *,
    inspect: Inspect | None = Inspector,
    target: bool = False,
    **settings: Any,
) -> AsyncIterator[Bench]:
    """Forward a port of the loopback to ``meter``: a simulator, or the TCP port of something else."""
    port = free_port()
    settings = {"port": port, "listen": "127.0.0.1", "allow": ["127.0.0.1"], "self_test_hours": 0} | settings
    if isinstance(meter, PtyPort):
        line = f'[[lines]]\nname = "line"\nkind = "serial"\naddress = "{meter.path}"'
    else:
        number = meter if isinstance(meter, int) else meter.port
        line = f'[[lines]]\nname = "line"\nkind = "tcp"\naddress = "127.0.0.1:{number}"'
        if target:
            line, settings = "", settings | {"target": f"127.0.0.1:{number}", "mode": "exclusive"}
    serial = meter.meters[0].serial if not isinstance(meter, int) else "10000001"
    lines = "\n".join(f"{key} = {_toml(value)}" for key, value in settings.items())
    own = f'serial = "{serial}"' + ("" if target else '\nline = "line"')
    config = parse(text(spool_path, line, lines, own)).config
    async with Spool(spool_path, "gw1") as spool:
        fleet = await build_fleet(config, spool)
        try:
            async with Forwarder(config, fleet, spool, inspect=inspect) as forwarder:
                await until(lambda: not forwarder.alarms(), what="listening")
                yield Bench(config, spool, fleet, forwarder, port)
        finally:
            await fleet.close()


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else repr(value).replace("'", '"')
