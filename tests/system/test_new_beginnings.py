"""Database restored or begun anew, broker come back empty, gateway hardware replaced, a card copied: end to end."""

import asyncio
import contextlib
import shutil
import sqlite3
import time
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from central.ingest.models import Rejected, Stream
from central.ingest.run import run_ingest
from central.metering.models import Event, ProfileVersion, RegisterSet
from central.metering.stored import ever, stored_days
from central.registry.models import Meter
from central.settings import BrokerSettings, DatabaseSettings, Settings
from central.store.engine import Database, open_url
from central.store.migrate import migrate
from edge.spool import Spool, _schema, _spool
from edge.uplink import Uplink, UplinkSettings, _window
from ext.profile import pack, unpack
from shared.quality import Quality
from shared.wire import GatewayConfig, GatewayState, Item, MeterEvent, ProfileBlock, RegisterReading, RegisterValue
from tests.brokers import Broker
from tests.ports import until

#: 2026-03-02T03:00:00Z, a midnight in São Paulo.
MIDNIGHT = 1_772_420_400
VALUES = [7 * i % 501 for i in range(96)]


def interval(n: int) -> Item:
    """Interval ``n`` of a meter, whatever gateway and stream it comes by."""
    return ProfileBlock("m1", "1.29.0", MIDNIGHT + 900 * n, 900, 1, pack(array("q", [VALUES[n]]), array("H", [0]), 900))


def reading(n: int) -> Item:
    at = MIDNIGHT + 900 * n
    return RegisterReading("m1", at, at + 5, 0, [RegisterValue("1.8.0", sum(VALUES[:n]))])


@dataclass
class Central:
    """Ingest in this process over one SQLite file, which can be taken away between two lives."""

    folder: Path
    port: int

    @property
    def file(self) -> Path:
        return self.folder / "central.sqlite"

    @property
    def url(self) -> str:
        return f"sqlite+aiosqlite:///{self.file}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Database]:
        database = open_url(self.url)
        await migrate(database)
        settings = Settings(database=DatabaseSettings(url=self.url), broker=BrokerSettings(port=self.port))
        stop, ready = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(run_ingest(settings, stop, ready))
        try:
            async with asyncio.timeout(20):
                await ready.wait()
            yield database
        finally:
            stop.set()
            await task
            await database.close()

    def backup(self, to: Path) -> None:
        with contextlib.closing(sqlite3.connect(self.file)) as here, contextlib.closing(sqlite3.connect(to)) as there:
            here.backup(there)

    def restore(self, backup: Path | None) -> None:
        for file in self.folder.glob("central.sqlite*"):
            file.unlink()
        if backup is not None:
            shutil.copy(backup, self.file)


@asynccontextmanager
async def gateway(path: Path, port: int, name: str = "gw1") -> AsyncIterator[Spool]:
    """A spool and its uplink."""
    if not path.exists():
        _schema.migrate(path)
    async with Spool(path, name) as spool:
        uplink = Uplink(
            spool,
            "default",
            UplinkSettings(host="127.0.0.1", port=port, ack_seconds=0.5, reconnect_max_seconds=0.5, batch_rows=8),
            state=lambda: GatewayState(int(time.time()), online=True, spool_id=spool.spool_id),
            config=lambda: GatewayConfig(int(time.time()), "hash", ""),
            on_command=lambda command: asyncio.sleep(0),
        )
        task = asyncio.create_task(uplink.run())
        try:
            yield spool
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def delivered(spool: Spool, seconds: float = 20) -> None:
    await until(lambda: spool.cursor == spool.last_seq, seconds, "delivery")


async def assert_once(database: Database, intervals: int, registers: int) -> None:
    """All intervals and register readings are there once and unchanged, and nothing stood in their way."""
    async with database.read() as session:
        held: dict[int, int] = {}
        for row in await stored_days(session, ever()):
            values, flags, step = unpack(row.data)
            for i, (value, flag) in enumerate(zip(values, flags, strict=True)):
                if not flag & Quality.MISSING:
                    held[(row.start + i * step - MIDNIGHT) // 900] = value
        assert held == dict(enumerate(VALUES[:intervals]))
        for table, number in ((RegisterSet, registers), (ProfileVersion, 0), (Rejected, 0), (Meter, 1)):
            assert (table, await session.scalar(select(func.count()).select_from(table))) == (table, number)


@pytest.fixture
def quick_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_window, "DOUBT_SECONDS", 0.3)


@pytest.fixture
def central(tmp_path: Path, broker: Broker) -> Central:
    return Central(tmp_path, broker.port)


async def test_database_restored_from_an_older_backup(
    tmp_path: Path, broker: Broker, central: Central, quick_doubt: None
) -> None:
    """The gateway is quiet when it happens: the aggregator's cursor alone tells that rows are gone."""
    async with gateway(tmp_path / "spool.db", broker.port) as spool:
        async with central.running():
            await spool.add([interval(n) for n in range(20)] + [reading(1)])
            await delivered(spool)
        central.backup(tmp_path / "backup.sqlite")
        async with central.running():
            await spool.add([interval(n) for n in range(20, 60)] + [reading(2), reading(3)])
            await delivered(spool)
        central.restore(tmp_path / "backup.sqlite")
        name = spool.spool_id
        async with central.running() as database:
            await until(lambda: spool.cursor < spool.last_seq, 20, "the gateway going back")
            await delivered(spool)
            await assert_once(database, 60, 3)
        assert spool.spool_id == name


async def test_database_begun_anew_long_after(
    tmp_path: Path, broker: Broker, central: Central, quick_doubt: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first rows were deleted after their retention: all that is still held arrives, under a new name."""
    monkeypatch.setattr(_spool, "MEND_ROWS", 10)
    async with gateway(tmp_path / "spool.db", broker.port) as spool:
        async with central.running():
            await spool.add([MeterEvent("m1", n, "change") for n in range(100)])
            await spool.add([interval(n) for n in range(60)] + [reading(1)])
            await delivered(spool)
        await spool.write(lambda tx: tx.connection.execute("DELETE FROM items WHERE number <= 100"))
        central.restore(None)
        name = spool.spool_id
        async with central.running() as database:
            await spool.add([reading(2)])
            await until(lambda: spool.spool_id != name, 20, "the new stream")
            await delivered(spool)
            await assert_once(database, 60, 2)
            async with database.read() as session:
                kinds = (await session.scalars(select(Event.kind))).all()
            assert kinds == ["profile_lost"], "said once, not for each row"


async def test_broker_comes_back_empty_while_the_gateway_is_away(
    tmp_path: Path, broker: Broker, central: Central
) -> None:
    """No session, no queue, no retained cursor is left, and the ingest that knew is another process by then."""
    path = tmp_path / "spool.db"
    async with central.running():
        async with gateway(path, broker.port) as spool:
            await spool.add([interval(n) for n in range(30)])
            await delivered(spool)
        async with Spool(path, "gw1") as spool:
            await spool.add([interval(n) for n in range(30, 60)] + [reading(1)])
            assert spool.cursor == 30
        broker.kill(lose_queues=True)
    broker.start()
    async with gateway(path, broker.port) as spool:
        await spool.add([reading(2)])
        await asyncio.sleep(1.5)  # it sends into the void
        async with central.running() as database:
            await delivered(spool)
            await assert_once(database, 60, 2)


async def test_gateway_replaced_in_front_of_the_same_meter(tmp_path: Path, broker: Broker, central: Central) -> None:
    """A new file under the same id reads the meter's memory once more, half of it delivered before."""
    async with central.running() as database:
        async with gateway(tmp_path / "old.db", broker.port) as spool:
            await spool.add([interval(n) for n in range(40)] + [reading(1)])
            await delivered(spool)
        async with gateway(tmp_path / "new.db", broker.port) as spool:
            await spool.add([interval(n) for n in range(10, 80)] + [reading(1), reading(2)])
            await delivered(spool)
            await assert_once(database, 80, 2)
        async with gateway(tmp_path / "old.db", broker.port) as spool:  # and back, as technicians do
            await spool.add([interval(n) for n in range(70, 96)])
            await delivered(spool)
            await assert_once(database, 96, 2)


@pytest.mark.parametrize("copied", [True, False])
async def test_a_card_under_another_id(tmp_path: Path, broker: Broker, central: Central, copied: bool) -> None:
    """A copied card, or a gateway that was given another id: it delivers under a name of its own."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    async with central.running() as database:
        async with gateway(first, broker.port) as spool:
            await spool.add([interval(n) for n in range(20)])
            await delivered(spool)
        async with Spool(first, "gw1") as spool:
            await spool.add([interval(n) for n in range(20, 40)])
        shutil.copy(first, second)
        async with gateway(second, broker.port, "gw2") as other:
            await other.add([interval(n) for n in range(40, 60)] + [reading(2)])
            await delivered(other)
            renamed = other.spool_id
        if copied:
            async with gateway(first, broker.port) as spool:
                await spool.add([reading(1)])
                await delivered(spool)
                assert spool.spool_id != renamed
        async with database.read() as session:
            assert await session.scalar(select(func.count()).select_from(Stream)) == 2
            reasons = (await session.scalars(select(Rejected.reason))).all()
            assert reasons
            assert all("belongs to another gateway" in reason for reason in reasons)
        async with database.write() as session:
            for row in (await session.scalars(select(Rejected))).all():
                await session.delete(row)
        await assert_once(database, 60, 2 if copied else 1)
