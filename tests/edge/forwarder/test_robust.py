"""Floods, slow clients, garbage, half-open peers, a guardian that fails: counts stay bounded, others unharmed."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.guardian import CloseReason, Expected, Finding, Inspector, Side
from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.server import TcpPort
from edge.simulators.abnt.setup import MeterSetup
from tests.edge.forwarder.benches import bench, serving
from tests.edge.simulators.rawreader import RawReader
from tests.ports import until


@contextmanager
def clients(port: int, number: int) -> Iterator[list[socket.socket]]:
    """So many connections that say nothing."""
    made: list[socket.socket] = []
    try:
        for _ in range(number):
            sock = socket.socket()
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.connect(("127.0.0.1", port))
            made.append(sock)
        yield made
    finally:
        for sock in made:
            sock.close()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_a_flood_of_connections_leaves_nothing_behind(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=1))
    async with TcpPort([meter]) as port, bench(spool_path, port) as it:
        async with await RawReader.tcp(it.port) as ccee:
            await ccee.ask(0x21)
            before, tasks = descriptors(), len(asyncio.all_tasks())
            for _ in range(10):
                with clients(it.port, 40):
                    await asyncio.sleep(0.05)
                    assert len(asyncio.all_tasks()) <= tasks
                await ccee.ask(0x21)
            assert 100 <= it.forward.turned_away <= 400  # the kernel drops what comes while nobody looks
            await until(lambda: descriptors() <= before)
        assert len(await it.records(1)) == 1  # those that were refused are counted, not recorded
        assert it.forward.shown(None).live.get("turned_away", 0) == it.forward.turned_away


async def test_a_flood_of_strangers_is_one_alarm(spool_path: Path) -> None:
    async with TcpPort([Meter(MeterSetup("10000001", days=1))]) as port, bench(spool_path, port, allow=[]) as it:
        for _ in range(10):
            with clients(it.port, 30):
                await asyncio.sleep(0.03)
        await until(lambda: it.forward.admission.refused >= 100)
        await asyncio.sleep(0.1)
        assert len(await it.events("ccee_unknown_source", 1)) == 1
        assert not await it.records(0)


async def test_slow_loris_is_cut_by_the_idle_limit_and_the_next_comes_in(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=1))
    async with TcpPort([meter]) as port, bench(spool_path, port, target=True) as it:
        it.forward.settings = msgspec.structs.replace(it.forward.settings, total_seconds=0.5)
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
        for _ in range(100):
            writer.write(b"\x21")
            await asyncio.sleep(0.02)
            if reader.at_eof():
                break
        writer.close()
        (record,) = await it.records(1)
        assert record.close_reason == "total"
        async with await RawReader.tcp(it.port) as ccee:
            await ccee.ask(0x21)


async def test_ten_megabytes_of_garbage(spool_path: Path) -> None:
    """The meter's way is slow, ours does not swell; another meter's forward does not notice."""
    taken = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        while data := await reader.read(65536):
            taken += len(data)
            await asyncio.sleep(0)
        writer.close()

    garbage = os.urandom(1 << 20) * 10
    async with serving(slow) as number, bench(spool_path, number, target=True) as it:
        _, writer = await asyncio.open_connection("127.0.0.1", it.port)
        writer.write(garbage)
        await writer.drain()
        writer.close()
        (record,) = await it.records(1)
        assert record.sent == len(garbage) == taken
        held = sum(len(part.data) for part in await it.captures())
        assert held <= 80 * 1024
    assert len(record.exchanges) <= 512


async def test_a_peer_that_falls_silent_for_good_is_looked_for(spool_path: Path) -> None:
    """Keep-alive stands on both sockets of a forward: half-open peers are noticed by the kernel."""
    meter = Meter(MeterSetup("10000001", days=1))
    async with (
        TcpPort([meter]) as port,
        bench(spool_path, port, target=True) as it,
        await RawReader.tcp(it.port) as ccee,
    ):
        await ccee.ask(0x21)
        assert it.forward.active is not None
        sock = it.forward.active.sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


class Broken(Inspector):
    """Fails at the place it is told."""

    where = "heard"

    def heard(self, at: float, side: Side, data: bytes) -> bytes:
        if self.where == "heard":
            raise RuntimeError("a mistake")
        return super().heard(at, side, data)

    def live(self) -> dict[str, Any]:
        if self.where == "live":
            raise RuntimeError("a mistake")
        return super().live()

    def finish(self, at: float, reason: CloseReason) -> Finding:
        if self.where == "finish":
            raise RuntimeError("a mistake")
        return super().finish(at, reason)


@pytest.mark.parametrize("where", ["make", "heard", "live", "finish"])
async def test_a_guardian_that_fails_does_not_touch_the_connection(
    spool_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inspect(expected: Expected, began: float) -> Inspector:
        if where == "make":
            raise RuntimeError("a mistake")
        made = Broken(expected, began)
        made.where = where
        return made

    said: list[str] = []
    for room in ("forward", "tap"):
        to = f"edge.forwarder.{room}.log.warning"
        monkeypatch.setattr(to, lambda words, **_: said.append(words), raising=False)
    meter = Meter(MeterSetup("10000001", days=1))
    async with TcpPort([meter]) as port, bench(spool_path, port, inspect=inspect) as it:
        async with await RawReader.tcp(it.port) as ccee:
            await ccee.ask(0x21)
            it.forward.shown(None)
            assert await ccee.ask_blocks(0x52)
        (record,) = await it.records(1)
        assert record.verdict == "I00"
        assert record.sent > 2 * 66
        assert said == ["connection goes on unobserved"]


async def test_without_inspector_octets_pass(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=1))
    async with TcpPort([meter]) as port, bench(spool_path, port, inspect=None) as it:
        async with await RawReader.tcp(it.port) as ccee:
            await ccee.ask(0x21)
        (record,) = await it.records(1)
        assert (record.verdict, record.reason) == ("I00", "Not observed: nobody listens.")
