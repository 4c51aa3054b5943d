"""A restart storm: thousands of gateways come back at once, each with days of backlog. Ingest takes it and stays flat.

    python -m benchmarks.central.storm [--gateways 10000] [--days 7] [--postgresql]

The broker is mosquitto as docs/central.md sets it up, ingest a process as users start it. Each gateway has one meter;
each hour it spooled three blocks of four quarter hours and a register reading. It sends as the uplink does (its window,
its batches, its waiting times), but shares one of ``--connections`` connections with others. The storm is over when
every gateway has heard a cursor that covers all its rows; then the database must hold each reading once.
"""

import asyncio
import random
import shutil
import tempfile
import time
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiomqtt
import click
import msgspec
import psutil  # type: ignore[import-untyped]
from sqlalchemy import text

from central.metering.models import DAYS
from central.store.engine import Database, open_url
from edge.uplink._window import Window
from edge.uplink.settings import UplinkSettings
from ext.profile import pack
from metergate.processes import Child, metergate
from shared.ids import Topic
from shared.wire import (
    AckCursor,
    GatewayState,
    ProfileBlock,
    RawBatch,
    RegisterReading,
    RegisterValue,
    decode,
    encode,
)
from tests.brokers import Broker
from tests.central.samples import MIDNIGHT
from tests.postgres import Cluster

CHANNELS: Final = ("1.29.0", "5.29.0", "8.29.0")
LENGTH: Final = 4  # intervals of a block, an hour
TENANT: Final = "default"
#: As in docs/central.md.
MOSQUITTO: Final = ("allow_anonymous true", "max_packet_size 1052672", "max_queued_messages 10000")
UPLINK: Final = UplinkSettings()
#: Messages of one connection that the broker has not answered.
IN_FLIGHT: Final = 20
#: A meter's name in the rows, to be replaced by each gateway's own of the same length.
NOBODY: Final = b"m-------"


class Backlog:
    """The rows of one gateway, and what the database should make of them."""

    def __init__(self, days: int) -> None:
        rng = random.Random(1)
        self.rows: list[bytes] = []
        self.total = self.intervals = 0
        self.registers = days * 24
        for hour in range(days * 24):
            start = MIDNIGHT + 3600 * hour
            for channel in CHANNELS:
                values = array("q", [rng.randrange(2000) for _ in range(LENGTH)])
                data = pack(values, array("H", bytes(2 * LENGTH)), 900)
                self.rows.append(encode(ProfileBlock(NOBODY.decode(), channel, start, 900, LENGTH, data, 1, 100)))
                self.total += sum(values)
                self.intervals += LENGTH
            values_ = [RegisterValue(f"1.8.{post}", 1000 * hour + post, 1, 100) for post in range(5)]
            self.rows.append(encode(RegisterReading(NOBODY.decode(), start + 3600, start + 3605, 0, values_)))

    def batch(self, number: int, first: int, last: int) -> bytes:
        """Rows ``first`` .. of gateway ``number`` as the spool and uplink would put them into one message."""
        items: list[msgspec.Raw] = []
        size = 0
        for row in self.rows[first - 1 : min(last, first + UPLINK.batch_rows - 1)]:
            size += len(row)
            if items and size > UPLINK.batch_bytes:
                break
            items.append(msgspec.Raw(row))
        payload = encode(RawBatch(spool_of(number), first, items))
        return payload.replace(NOBODY, b"m%07d" % number)

    def count(self, payload: bytes) -> int:
        return len(decode(payload, RawBatch).items)


def spool_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def topic_of(number: int, kind: str) -> str:
    return f"mg/1/{TENANT}/g{number:07}/{kind}"


@dataclass
class Gateway:
    """One gateway's uplink; ``done`` when the aggregator has confirmed all."""

    number: int
    backlog: Backlog
    window: Window = field(default_factory=lambda: Window(0, limit=UPLINK.window, wait=UPLINK.ack_seconds))
    news: asyncio.Event = field(default_factory=asyncio.Event)
    batches: int = 0

    async def run(self, connection: aiomqtt.Client, turn: asyncio.Semaphore) -> None:
        last = len(self.backlog.rows)
        state = GatewayState(int(time.time()), online=True, spool_id=spool_of(self.number))
        async with turn:
            await connection.publish(topic_of(self.number, "state"), encode(state), qos=1, retain=True)
        while self.window.cursor < last:
            self.news.clear()
            span = self.window.next(last, time.monotonic())
            if span is None:
                await self._wait()
                continue
            payload = self.backlog.batch(self.number, *span)
            self.window.sent(span[0], span[0] + self.backlog.count(payload) - 1, time.monotonic())
            self.batches += 1
            async with turn:
                await connection.publish(topic_of(self.number, "up"), payload, qos=1, timeout=60)

    async def _wait(self) -> None:
        due = self.window.due()
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - time.monotonic())):
                await self.news.wait()
        except TimeoutError:
            pass

    def hear(self, cursor: AckCursor) -> None:
        self.window.on_cursor(cursor.seq, cursor.want, len(self.backlog.rows), time.monotonic())
        self.news.set()


async def connection_of(port: int, gateways: dict[str, Gateway]) -> None:
    """Everything that some gateways do, over one connection."""
    turn = asyncio.Semaphore(IN_FLIGHT)
    async with aiomqtt.Client("127.0.0.1", port, timeout=60) as connection:
        names = [(topic_of(each.number, "ack"), 1) for each in gateways.values()]
        for at in range(0, len(names), 100):
            await connection.subscribe(names[at : at + 100])

        async def listen() -> None:
            async for message in connection.messages:
                gateway = gateways.get(Topic.parse(str(message.topic)).gateway)
                if gateway is not None:
                    gateway.hear(decode(message.payload, AckCursor))

        listening = asyncio.create_task(listen())
        async with asyncio.TaskGroup() as group:
            for each in gateways.values():
                group.create_task(each.run(connection, turn))
        listening.cancel()


@dataclass
class Memory:
    """Resident sets in MiB, sampled each second."""

    processes: dict[str, int]
    samples: dict[str, list[float]] = field(default_factory=dict)

    async def watch(self) -> None:
        while True:
            for name, pid in self.processes.items():
                rss = psutil.Process(pid).memory_info().rss / (1 << 20)
                self.samples.setdefault(name, []).append(rss)
            await asyncio.sleep(1)

    def told(self, name: str) -> str:
        samples = self.samples[name]
        half = len(samples) // 2
        tenths = [
            f"{max(samples[i * len(samples) // 10 : (i + 1) * len(samples) // 10] or [0]):.0f}" for i in range(10)
        ]
        return (
            f"{name}: peak of the first half {max(samples[:half]):.0f} MiB, of the last {max(samples[half:]):.0f}; "
            f"by tenths {' '.join(tenths)}"
        )


async def faults(database: Database, gateways: int, backlog: Backlog) -> list[str]:
    """What the database holds, against what was sent."""
    days = len(CHANNELS) * gateways * backlog.registers // 24
    questions = {
        "days": ("SELECT count(*) FROM profile_day", days),
        "intervals": ("SELECT sum(held) FROM profile_day", gateways * backlog.intervals),
        "sum of all counts": ("SELECT sum(total) FROM profile_day", gateways * backlog.total),
        "register readings": ("SELECT count(*) FROM register_set", gateways * backlog.registers),
        "meters whose sum is another": (
            f"""SELECT count(*) FROM (
                SELECT s.meter_id FROM profile_series s
                JOIN profile_day d ON d.id BETWEEN s.id * {DAYS} AND s.id * {DAYS} + {DAYS - 1}
                GROUP BY s.meter_id HAVING sum(d.total) <> {backlog.total}) AS odd""",
            0,
        ),
        "streams done": (f"SELECT count(*) FROM stream WHERE cursor = {len(backlog.rows)}", gateways),
        "parts": ("SELECT count(*) FROM stream_part", 0),
        "replaced versions": ("SELECT count(*) FROM profile_version", 0),
        "rejected": ("SELECT count(*) FROM rejected", 0),
    }
    found = []
    async with database.read() as session:
        for what, (question, wanted) in questions.items():
            have = int(await session.scalar(text(question)) or 0)
            if have != wanted:
                found.append(f"{what}: {have}, not {wanted}")
    return found


async def storm(url: str, folder: Path, broker: Broker, gateways: Iterable[Gateway], connections: int) -> None:
    """Let it come, and say how it went."""
    env = {"METERGATE_DATABASE_URL": url, "METERGATE_BROKER_PORT": str(broker.port), "METERGATE_TENANT": TENANT}
    env |= {"METERGATE_DATA_DIR": str(folder)}
    Child("migrate", metergate("central", "migrate"), folder / "migrate.log", env).require_success()
    ingest = Child("ingest", metergate("central", "ingest"), folder / "ingest.log", env)
    assert broker.process is not None
    memory = Memory({"ingest": ingest.pid, "broker": broker.process.pid})
    all_gateways = list(gateways)
    backlog = all_gateways[0].backlog
    try:
        while "ingest runs" not in ingest.log.read_text():
            ingest.require_running()
            await asyncio.sleep(0.1)
        watching = asyncio.create_task(memory.watch())
        telling = asyncio.create_task(tell(all_gateways))
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for at in range(connections):
                some = {f"g{each.number:07}": each for each in all_gateways[at::connections]}
                group.create_task(connection_of(broker.port, some))
        seconds = time.monotonic() - began
        used = psutil.Process(ingest.pid).cpu_times()
        watching.cancel()
        telling.cancel()
    finally:
        ingest.stop(60)
    count = len(all_gateways)
    rows, readings = count * len(backlog.rows), count * backlog.intervals
    busy, sent = used.user + used.system, sum(each.batches for each in all_gateways)
    needed = sum(1 for _ in batches_of(backlog)) * count
    print(f"{count} gateways, {rows / 1e6:.2f} M rows, {readings / 1e6:.2f} M readings in {seconds:.0f} s")
    print(f"{rows / seconds:.0f} rows/s, {readings / seconds:.0f} readings/s; per core of ingest {readings / busy:.0f}")
    print(f"{sent} batches sent, {needed} would do")
    print(memory.told("ingest"), memory.told("broker"), sep="\n")
    database = open_url(url)
    wrong = await faults(database, count, backlog)
    await database.close()
    print("each reading is there once" if not wrong else f"WRONG: {wrong}")
    if wrong:
        raise SystemExit(1)


def batches_of(backlog: Backlog) -> Iterable[int]:
    """First rows of the batches of one gateway when nothing is lost."""
    first = 1
    while first <= len(backlog.rows):
        yield first
        first += backlog.count(backlog.batch(0, first, len(backlog.rows)))


async def tell(gateways: list[Gateway]) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(10)
        last = len(gateways[0].backlog.rows)
        done = sum(each.window.cursor for each in gateways)
        print(f"{time.monotonic() - began:4.0f} s: {100 * done / (last * len(gateways)):.1f} % confirmed", flush=True)


@click.command()
@click.option("--gateways", default=10_000, show_default=True)
@click.option("--days", default=7, show_default=True)
@click.option("--connections", default=50, show_default=True)
@click.option("--postgresql", is_flag=True, help="A private PostgreSQL server instead of SQLite.")
def main(gateways: int, days: int, connections: int, postgresql: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    cluster = Cluster() if postgresql else None
    url = cluster.new_database() if cluster is not None else f"sqlite+aiosqlite:///{folder}/central.sqlite"
    broker = Broker(folder / "broker", MOSQUITTO)
    backlog = Backlog(days)
    try:
        broker.start()
        asyncio.run(storm(url, folder, broker, [Gateway(i, backlog) for i in range(gateways)], connections))
    finally:
        broker.kill()
        if cluster is not None:
            cluster.remove()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
