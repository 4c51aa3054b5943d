"""The aggregator's connection to a broker with TLS and client certificates, made by ``openssl``."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest
from sqlalchemy import select

from central.check import check_all
from central.ingest.run import run_ingest
from central.mqtt import client
from central.registry.models import Gateway
from central.settings import BrokerSettings, DatabaseSettings, Settings
from central.store.engine import open_database
from central.store.migrate import migrate
from shared.wire import AckCursor, Batch, MeterEvent, decode, encode
from tests.brokers import Broker
from tests.pki import OPENSSL, Authority, Pair

pytestmark = [
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl"),
    # paho drops the socket of a failed handshake without closing it
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]

SPOOL = b"0123456789abcdef"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Broker]:
    """Takes the name in a client's certificate as its user; nobody comes in without one."""
    server = authority.issue("server", "IP:127.0.0.1")
    rules = tmp_path / "acl"
    rules.write_text("user central\ntopic readwrite mg/1/#\npattern readwrite mg/1/acme/%u/#\n")
    it = Broker(
        tmp_path / "broker",
        (
            f"cafile {authority.cert}", f"certfile {server.cert}", f"keyfile {server.key}", f"acl_file {rules}",
            "require_certificate true", "use_identity_as_username true",
        ),
    )  # fmt: skip
    it.start()
    yield it
    it.kill()


def settings(folder: Path, port: int, ca_file: Path, own: Pair | None) -> Settings:
    return Settings(
        tenant="acme",
        database=DatabaseSettings(url=f"sqlite+aiosqlite:///{folder / 'central.sqlite'}"),
        broker=BrokerSettings(
            port=port,
            ca_file=str(ca_file),
            cert_file=str(own.cert) if own else "",
            key_file=str(own.key) if own else "",
        ),
    )


async def test_rows_come_in_and_cursors_go_out(tmp_path: Path, authority: Authority, broker: Broker) -> None:
    chosen = settings(tmp_path, broker.port, authority.cert, authority.issue("central"))
    database = open_database(chosen)
    stop = asyncio.Event()
    try:
        await migrate(database)
        ingest = asyncio.create_task(run_ingest(chosen, stop))
        gateway = settings(tmp_path, broker.port, authority.cert, authority.issue("gw1")).broker
        async with client(gateway) as connection:
            await connection.subscribe("mg/1/acme/gw1/ack", qos=1)
            batch = encode(Batch(SPOOL, 1, [MeterEvent("m1", int(time.time()), "battery")]))
            async with asyncio.timeout(30):
                cursor = None
                while cursor is None:
                    await connection.publish("mg/1/acme/gw1/up", batch, qos=1)
                    cursor = await _next(connection)
        assert cursor == AckCursor(SPOOL, 1, [])
        stop.set()
        await ingest
        async with database.read() as session:
            assert await session.scalar(select(Gateway.key)) == "gw1"
    finally:
        await database.close()


async def _next(connection: aiomqtt.Client) -> AckCursor | None:
    """The next message, None when a second brings none."""
    try:
        async with asyncio.timeout(1):
            async for message in connection.messages:
                assert isinstance(message.payload, bytes)
                return decode(message.payload, AckCursor)
    except TimeoutError:
        pass
    return None


async def test_check_says_who_is_accepted(
    tmp_path: Path, authority: Authority, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.mqtt.CONNECT_SECONDS", 1.0)
    central, stranger = authority.issue("central"), Authority(tmp_path / "stranger", "Another CA")

    async def found(ca_file: Path, own: Pair | None) -> tuple[bool, str]:
        finding = (await check_all(settings(tmp_path, broker.port, ca_file, own)))[-1]
        assert finding.what == "broker"
        return finding.good, finding.text

    assert await found(authority.cert, central) == (True, f"127.0.0.1:{broker.port} accepts us")
    good, text = await found(stranger.cert, central)
    assert not good
    assert "certificate verify failed" in text
    assert not (await found(authority.cert, None))[0]
    assert not (await found(authority.cert, stranger.issue("central")))[0]
    good, text = await found(tmp_path / "none.pem", central)
    assert not good
    assert "its TLS files cannot be used" in text
