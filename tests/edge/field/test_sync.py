"""Offline first, then a real broker and the aggregator's own committer: everything counted once."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import func, select

from central.ingest.commit import Committer
from central.ingest.decode import decode_delivery
from central.metering.models import Event, RegisterSet, Snapshot
from central.registry.models import Gateway, Meter
from central.store.engine import Database, open_url
from central.store.migrate import migrate
from edge.errors import ConfigError, LinkError
from edge.field.folder import Folder
from edge.field.place import Options, parse
from edge.field.reading import Stamp, read
from edge.field.sync import central, sync
from edge.spool import inspection
from shared.ids import Topic
from shared.wire import MeterEvent, RawBatch, encode
from tests.brokers import Broker
from tests.central.samples import enter_tenant
from tests.edge.field.conftest import SERIAL, address, meter_port
from tests.edge.uplink.central import Central

STAMP = Stamp("ana", "month end")


async def take_some(folder: Folder) -> int:
    async with meter_port() as port:
        brought = await read(parse(address(port)), folder, Options(), ("registers", "instantaneous", "profile"), STAMP)
    return brought.stored


def quiet(done: int, total: int) -> None:
    """Nobody looks."""


async def test_delivered_once_after_a_broker_that_lost_everything(folder: Folder, broker: Broker) -> None:
    stored = await take_some(folder)
    where = central(f"mqtt://127.0.0.1:{broker.port}/acme", "")
    async with Central(broker.port, folder.laptop) as aggregator:
        await aggregator.connected.wait()
        aggregator.deaf = 1  # a batch is lost behind the broker's back
        done = await sync(folder, where, quiet)
        assert (done.sent, done.left) == (stored, 0)
        assert len(aggregator.rows) == stored
        assert aggregator.changed == 0
        assert (await sync(folder, where, quiet)).sent == 0
        state = aggregator.retained["state"]
        assert state


async def test_without_a_confirmation_everything_stays(folder: Folder, broker: Broker) -> None:
    stored = await take_some(folder)
    where = central(f"mqtt://127.0.0.1:{broker.port}/acme", "")
    with pytest.raises(LinkError, match=f"{stored} readings stay on this laptop: .*does not confirm"):
        await sync(folder, where, quiet, patience=1.5)
    broker.kill()
    with pytest.raises(LinkError, match="stay on this laptop"):
        await sync(folder, where, quiet, patience=1.5)
    assert inspection.overview(folder.spool_path).pending == stored


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An aggregator's database with this program's schema."""
    found = open_url(f"sqlite+aiosqlite:///{tmp_path / 'central.sqlite'}")
    await migrate(found)
    yield found
    await found.close()


async def test_the_aggregator_counts_everything_once(folder: Folder, broker: Broker, database: Database) -> None:
    """What went over the broker, batches twice and turned around, through the aggregator's own transaction."""
    stored = await take_some(folder)
    async with Central(broker.port, folder.laptop) as aggregator:
        await aggregator.connected.wait()
        await sync(folder, central(f"mqtt://127.0.0.1:{broker.port}/acme", ""), quiet)
        rows = dict(aggregator.rows)
    await enter_tenant(database, "acme")
    topic = Topic("acme", folder.laptop, "up")
    committer = Committer(database)
    deliveries = [
        decode_delivery(topic, encode(RawBatch(spool, seq, [msgspec.Raw(row)]))) for (spool, seq), row in rows.items()
    ]
    for delivery in [*reversed(deliveries), *deliveries]:
        await committer.commit([delivery])
    async with database.read() as session:
        assert [g.key for g in await session.scalars(select(Gateway))] == [folder.laptop]
        assert [m.key for m in await session.scalars(select(Meter))] == [SERIAL]
        items = [row.item for row in inspection.stored_items(folder.spool_path)]
        events = [item for item in items if isinstance(item, MeterEvent)]
        assert await session.scalar(select(func.count()).select_from(Event)) == len(events)
        assert await session.scalar(select(func.count()).select_from(Snapshot)) == 1
        assert await session.scalar(select(func.count()).select_from(RegisterSet)) == 2
        said = [e.detail for e in await session.scalars(select(Event).where(Event.kind == "field_reading"))]
        assert len(said) == 3
        assert all(STAMP.why in str(detail) and STAMP.who in str(detail) for detail in said)
    assert stored == len(items)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "no broker"),
        ("https://x/acme", "no broker"),
        ("mqtt://host", "no broker with a tenant"),
        ("mqtt://host:99999/acme", "out of range|Port"),
        ("mqtt://host/a/b", "tenant"),
        ("mqtt://ana:secret@host/acme", "does not belong"),
    ],
)
def test_addresses_that_are_none(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        central(url, "")
    assert "secret" not in str(caught.value)


def test_an_address() -> None:
    where = central("mqtts://ana@broker.example.net/acme", "key")
    settings = where.settings
    assert (where.tenant, settings.host, settings.port, settings.tls) == ("acme", "broker.example.net", 8883, True)
    assert (settings.username, settings.password) == ("ana", "key")
