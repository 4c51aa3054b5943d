"""Ingest against a real broker: cursors come back, gaps are asked for, broker and database may vanish meanwhile."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import pytest
from sqlalchemy import func, select

from central.fleet import service as fleet
from central.fleet.models import FleetCommand, GatewayLive
from central.ingest.decode import decode_delivery
from central.ingest.models import Rejected
from central.ingest.run import run_ingest
from central.registry.models import Gateway
from central.registry.service import get_meter
from central.settings import BrokerSettings, DatabaseSettings, IngestSettings, Settings
from central.store.engine import Database
from shared.ids import Topic
from shared.wire import (
    AckCursor,
    Batch,
    Command,
    GatewayConfig,
    GatewayState,
    Item,
    MeterState,
    ReadNow,
    Result,
    decode,
    encode,
)
from tests.brokers import Broker
from tests.central.ingest.test_commit import assert_equals, cursor
from tests.central.samples import MIDNIGHT, SPOOL, TOPIC, block, stream, tenant_id
from tests.postgres import Cluster

ACK = str(TOPIC._replace(kind="ack"))


def settings_of(url: str, broker: Broker, **ingest: object) -> Settings:
    return Settings(
        database=DatabaseSettings(url=url),
        broker=BrokerSettings(port=broker.port),
        ingest=IngestSettings(**ingest),  # type: ignore[arg-type]
    )


@asynccontextmanager
async def ingesting(settings: Settings) -> AsyncIterator[None]:
    """Ingest inside this process for as long as the block lasts."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run_ingest(settings, stop, ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield
    finally:
        stop.set()
        await task


@dataclass
class FakeGateway:
    """Sends its rows until the cursor covers them: what a spool and uplink do, in few lines."""

    broker: Broker
    items: list[Item]
    rng: random.Random
    spool: bytes = SPOOL
    acked: int = 0
    wanted: list[tuple[int, int]] = field(default_factory=list)
    sent: int = 0
    asked: int = 0

    async def run(self) -> None:
        """Return once everything is acknowledged; reconnects for as long as it takes."""
        while self.acked < len(self.items):
            try:
                async with aiomqtt.Client("127.0.0.1", self.broker.port, timeout=5) as client:
                    await client.subscribe(ACK, qos=1)
                    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                        listening = group.create_task(self._listen(client))
                        await self._send(client)
                        listening.cancel()
            except (aiomqtt.MqttError, ExceptionGroup, TimeoutError, OSError):
                await asyncio.sleep(0.2)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            ack = decode(message.payload, AckCursor)
            if ack.spool_id == self.spool:
                self.acked = max(self.acked, ack.seq)
                self.wanted += ack.want
                self.asked += len(ack.want)

    async def _send(self, client: aiomqtt.Client) -> None:
        """Everything once, then what is asked for; all over again when nothing has moved for a while."""
        following, before, moved = self.acked + 1, self.acked, time.monotonic()
        while self.acked < len(self.items):
            if self.wanted:
                first, last = self.wanted.pop(0)
                await self._publish(client, first, last - first + 1)
            elif following <= len(self.items):
                count = self.rng.randint(1, 7)
                await self._publish(client, following, count)
                following += count
            await asyncio.sleep(0.005)
            if self.acked != before:
                before, moved = self.acked, time.monotonic()
            elif time.monotonic() - moved > 2.0:
                following, moved = self.acked + 1, time.monotonic()

    async def _publish(self, client: aiomqtt.Client, first: int, count: int) -> None:
        if self.rng.random() < 0.9:  # else lost on the way
            payload = encode(Batch(self.spool, first, self.items[first - 1 : first - 1 + count]))
            await client.publish(str(TOPIC), payload, qos=self.rng.choice((0, 1)))
            self.sent += 1


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    """Wait for a condition in the database or in another process."""
    deadline = time.monotonic() + seconds
    for _ in iter(lambda: time.monotonic() < deadline, False):
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"it did not come true within {seconds:g} s")


async def test_stream_with_losses(database: Database, database_url: str, broker: Broker) -> None:
    made = stream(random.Random(11), meters=2, hours=30)
    gateway = FakeGateway(broker, made.items, random.Random(1))
    async with ingesting(settings_of(database_url, broker)):
        async with asyncio.timeout(40):
            await gateway.run()
    assert await cursor(database) == (len(made.items), 0)
    assert gateway.asked > 0
    await assert_equals(database, made)


async def test_broker_lost_with_its_queues(database: Database, database_url: str, broker: Broker) -> None:
    made = stream(random.Random(12), meters=2, hours=30)
    gateway = FakeGateway(broker, made.items, random.Random(2))
    async with ingesting(settings_of(database_url, broker)):
        task = asyncio.create_task(gateway.run())
        for _ in range(3):
            await asyncio.sleep(0.4)
            broker.kill(lose_queues=True)
            await asyncio.sleep(0.2)
            broker.start()
        async with asyncio.timeout(60):
            await task
        await until(lambda: retained(broker))
    await assert_equals(database, made)


async def retained(broker: Broker) -> bool:
    """Whether the broker, come back empty, has been told the cursor anew."""
    try:
        async with aiomqtt.Client("127.0.0.1", broker.port, timeout=5) as client, asyncio.timeout(1):
            await client.subscribe(ACK, qos=1)
            async for message in client.messages:
                return message.retain
    except (TimeoutError, aiomqtt.MqttError):
        return False
    return False


async def test_rubbish_does_not_stop_it(database: Database, database_url: str, broker: Broker) -> None:
    """Random and mutated payloads on every topic, then an honest batch."""
    rng = random.Random(3)
    good = encode(Batch(SPOOL, 1, [block("m1", MIDNIGHT, [1, 2, 3])]))
    async with ingesting(settings_of(database_url, broker)), aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe(ACK, qos=1)
        await asyncio.sleep(0.3)
        for number in range(300):
            mutated = bytearray(good)
            for _ in range(rng.randint(1, 5)):
                mutated[rng.randrange(22, len(mutated))] = rng.randrange(256)
            payload = bytes(mutated) if number % 2 else rng.randbytes(rng.randint(0, 200))
            kind = rng.choice(("up", "up", "up", "state", "conf"))
            await client.publish(f"mg/1/default/noise{number % 40}/{kind}", payload, qos=1)
        await client.publish("mg/1/default/no good/up", good, qos=1)
        await client.publish("mg/1/nobody/gw1/up", encode(Batch(bytes(16), 1, [block("m1", MIDNIGHT, [1])])), qos=1)
        honest = Batch(b"honest spool 16b", 1, [block("m9", MIDNIGHT, [4, 5])])
        await client.publish(str(TOPIC), encode(honest), qos=1)
        async with asyncio.timeout(20):
            async for message in client.messages:
                ack = decode(message.payload, AckCursor)
                if ack.spool_id == honest.spool_id:
                    assert ack.seq == 1
                    break
    async with database.read() as session:
        assert (await session.scalar(select(func.count()).select_from(Rejected)) or 0) > 20
        assert (await get_meter(session, await tenant_id(session), "m9")).meter.registered is False


async def test_state_and_commands(database: Database, database_url: str, broker: Broker) -> None:
    """A gateway comes online, gets a command until it answers, goes offline by its last will."""
    topic = Topic("default", "gw1", "state")
    off = encode(GatewayState(MIDNIGHT, False))
    meters = [MeterState("m1", "line1", "ok", "abnt", MIDNIGHT, module="modem")]
    settings = settings_of(database_url, broker, resend_seconds=1)
    async with ingesting(settings), aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("mg/1/default/gw1/cmd", qos=1)
        await client.publish(str(topic), encode(GatewayState(MIDNIGHT, True, meters=meters)), qos=1, retain=True)
        config = GatewayConfig(MIDNIGHT, "abc", "gateway = 'gw1'\n")
        await client.publish(str(topic._replace(kind="conf")), encode(config), qos=1, retain=True)
        await until(lambda: live(database, online=True, config_hash="abc"))
        async with database.write() as session:
            tenant = await tenant_id(session)
            gateway = (await session.execute(select(Gateway))).scalar_one()
            row = await fleet.enqueue(session, tenant, gateway, ReadNow("m1", ["registers"]), by="test")
        async with asyncio.timeout(20):
            message = await anext(aiter(client.messages))
            again = await anext(aiter(client.messages))
        assert message.payload == again.payload
        command = decode(message.payload, Command)
        assert (command.id, command.by, command.action) == (row.id, "test", ReadNow("m1", ["registers"]))
        answer = Result(command.id, MIDNIGHT, True, "done", "3 registers")
        strange = Result("never", MIDNIGHT, True, "done")
        await client.publish(str(TOPIC), encode(Batch(SPOOL, 1, [answer, strange])), qos=1)
        await until(lambda: finished(database, row.id))
        await client.publish(str(topic), off, qos=1, retain=True)
        await until(lambda: live(database, online=False, config_hash="abc"))
    async with database.read() as session:
        view = await fleet.get_command(session, tenant, row.id)
        assert (view.row.status, view.meter, view.result) == ("done", "m1", answer)
        assert view.row.sends >= 2
        meter = await get_meter(session, tenant, "m1")
        assert meter.gateway is not None
        assert (meter.gateway.key, meter.module.key if meter.module else "", meter.online) == ("gw1", "modem", False)
        assert meter.live == meters[0]
        assert "never given" in (await session.execute(select(Rejected.reason))).scalar_one()


async def live(database: Database, **wanted: object) -> bool:
    async with database.read() as session:
        row = await session.scalar(select(GatewayLive))
    return row is not None and all(getattr(row, name) == value for name, value in wanted.items())


async def finished(database: Database, command: str) -> bool:
    async with database.read() as session:
        row = await session.get(FleetCommand, command)
    return row is not None and row.finished_at is not None


class Process:
    """``metergate central ingest`` as its own process."""

    def __init__(self, url: str, broker: Broker, folder: Path, share: str = "", number: int = 0) -> None:
        self._env = {
            **os.environ,
            "METERGATE_DATABASE_URL": url,
            "METERGATE_BROKER_PORT": str(broker.port),
            "METERGATE_INGEST_SHARE": share,
            "METERGATE_DATA_DIR": str(folder),
        }
        self._log = folder / f"ingest{number}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "metergate", "central", "--log-json", "ingest"]
            self.process = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    async def runs(self) -> bool:
        """Whether it has come up since its last start."""
        return "ingest runs" in self.text

    @property
    def text(self) -> str:
        return self._log.read_text(errors="replace")


async def test_killed_at_any_moment(
    database: Database, database_url: str, broker: Broker, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """kill -9 of ingest, again and again, and a crash of the database server: nothing lost, nothing twice."""
    rng = random.Random(4)
    made = stream(rng, meters=3, hours=100)
    gateway = FakeGateway(broker, made.items, random.Random(5))
    shared = database.dialect == "postgresql"
    share = "ingest" if shared else ""
    workers = [Process(database_url, broker, tmp_path, share, number) for number in range(2 if shared else 1)]
    for worker in workers:
        worker.start()
    task = asyncio.create_task(gateway.run())
    try:
        for number in range(2):
            await asyncio.sleep(rng.uniform(1.2, 1.6))
            if number == 1 and shared:
                cluster: Cluster = request.getfixturevalue("postgres")
                await asyncio.to_thread(cluster.stop, True)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(cluster.start)
            victim = rng.choice(workers)
            victim.end()
            victim.start()
        async with asyncio.timeout(60):
            await task
        for worker in workers:
            await until(worker.runs)
        assert [worker.end(signal.SIGTERM) for worker in workers] == [0] * len(workers), workers[0].text
    finally:
        task.cancel()
        for worker in workers:
            if worker.process is not None and worker.process.poll() is None:
                worker.end()
    await database.engine.dispose()
    assert await cursor(database) == (len(made.items), 0)
    await assert_equals(database, made)


def test_size_of_a_delivery_is_the_memory_it_takes() -> None:
    """So that ``ingest.queue_bytes`` bounds the process, whatever gateways send."""
    for values in ([1] * 4, list(range(96))):
        items: list[Item] = [block("meter-1", MIDNIGHT + 3600 * hour, values) for hour in range(400)]
        payload = encode(Batch(SPOOL, 1, items))
        tracemalloc.start()
        try:
            delivery = decode_delivery(TOPIC, payload)
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 0.7 * taken < delivery.size < 1.6 * taken
