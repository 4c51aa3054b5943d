"""Rows per second into the spool with fsync, out of it, and up through a real broker."""

import asyncio
import contextlib
from pathlib import Path

import aiomqtt
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from edge.spool import Spool
from edge.uplink import Uplink, UplinkSettings
from shared.wire import AckCursor, Command, GatewayConfig, GatewayState, ProfileBlock, RawBatch, decode, encode
from tests.brokers import Broker
from tests.ports import until

ROWS = 6000


def block(number: int, meter: str) -> ProfileBlock:
    """One quarter hour of one channel, as a meter polled each interval gives it."""
    return ProfileBlock(meter, "1.29.0", 1_700_000_000 + 900 * number, 900, 1, number.to_bytes(4, "big"))


async def visits(path: Path, meters: int, total: int) -> None:
    """``total`` visits of three rows each, one transaction awaited per visit."""

    async def meter(name: str) -> None:
        for n in range(total // meters):
            await spool.add([block(n, name)] * 3)

    async with Spool(path, "gw1") as spool:
        await asyncio.gather(*(meter(f"m{n}") for n in range(meters)))


@pytest.mark.parametrize("meters", [1, 32])
def test_visits(benchmark: BenchmarkFixture, tmp_path: Path, meters: int) -> None:
    """320 visits, each on the disk before the next of its meter; the file is opened within the time measured."""
    path = tmp_path / "spool.db"
    asyncio.run(visits(path, 1, 1))
    benchmark.extra_info |= {"items": 960, "unit": "rows"}
    benchmark(lambda: asyncio.run(visits(path, meters, 320)))


async def upload(folder: Path, port: int) -> None:
    """A backlog of :data:`ROWS` rows through the broker until the last is acknowledged."""
    ready = asyncio.Event()

    async def central() -> None:
        async with aiomqtt.Client("127.0.0.1", port, identifier="central") as client:
            await client.subscribe("mg/1/acme/gw1/up", 1)
            ready.set()
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                batch = decode(message.payload, RawBatch)
                answer = AckCursor(batch.spool_id, batch.first_seq + len(batch.items) - 1)
                await client.publish("mg/1/acme/gw1/ack", encode(answer), qos=1, retain=True)

    async def ignore(command: Command) -> None:
        raise AssertionError(command)

    (folder / "spool.db").unlink(missing_ok=True)
    async with Spool(folder / "spool.db", "gw1") as spool:
        await spool.add([block(n, "m1") for n in range(ROWS)])
        uplink = Uplink(
            spool,
            "acme",
            UplinkSettings(host="127.0.0.1", port=port),
            state=lambda: GatewayState(1, online=True),
            config=lambda: GatewayConfig(1, "", ""),
            on_command=ignore,
        )
        tasks = [asyncio.create_task(central())]
        await ready.wait()
        tasks.append(asyncio.create_task(uplink.run()))
        await until(lambda: spool.cursor == spool.last_seq, 60, "the last acknowledgement")
        for task in reversed(tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def test_backlog_up(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Includes connecting, and up to a second of waiting for a retained cursor."""
    broker = Broker(tmp_path / "broker")
    broker.start()
    try:
        benchmark.extra_info |= {"items": ROWS, "unit": "rows"}
        benchmark.pedantic(lambda: asyncio.run(upload(tmp_path, broker.port)), rounds=3)  # type: ignore[no-untyped-call]
    finally:
        broker.kill()
