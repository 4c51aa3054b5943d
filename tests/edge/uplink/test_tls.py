"""TLS with mosquitto and certificates of our own: who is let in, and what everybody else is told."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edge.errors import ConfigError
from edge.spool import Spool
from edge.uplink import LinkState, Uplink, UplinkSettings, probe
from shared.wire import AckCursor, GatewayConfig, GatewayState, MeterEvent, encode
from tests.brokers import Broker
from tests.pki import OPENSSL, Authority, Pair
from tests.ports import free_port, until

pytestmark = [
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl"),
    # paho drops the socket of a failed handshake without closing it
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]

HERE = "IP:127.0.0.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "Another CA")


@pytest.fixture
def serve(tmp_path: Path, authority: Authority) -> Iterator[Callable[..., int]]:
    """Start a broker with a certificate and further settings; returns its port."""
    brokers: list[Broker] = []

    def start(server: Pair, *settings: str) -> int:
        lines = (f"cafile {authority.cert}", f"certfile {server.cert}", f"keyfile {server.key}")
        broker = Broker(tmp_path / f"broker{len(brokers)}", (*lines, *(settings or ("allow_anonymous true",))))
        brokers.append(broker)
        broker.start()
        return broker.port

    yield start
    for broker in brokers:
        broker.kill()


def settings(port: int, authority: Authority | None, own: Pair | None = None, **more: Any) -> UplinkSettings:
    return UplinkSettings(
        **{
            "host": "127.0.0.1", "port": port, "timeout_seconds": 1.0, "tls": authority is not None,
            "ca_file": str(authority.cert) if authority else None, "cert_file": str(own.cert) if own else None,
            "key_file": str(own.key) if own else None, **more,
        }
    )  # fmt: skip


@asynccontextmanager
async def running(folder: Path, chosen: UplinkSettings) -> AsyncIterator[Uplink]:
    """The uplink of gateway gw1, on its own."""
    folder.mkdir(exist_ok=True)
    async with Spool(folder / "spool.db", "gw1") as spool:
        uplink = Uplink(
            spool, "acme", chosen, state=lambda: GatewayState(int(time.time()), True),
            config=lambda: GatewayConfig(0, "", ""), on_command=lambda command: asyncio.sleep(0),
        )  # fmt: skip
        task = asyncio.create_task(uplink.run())
        try:
            yield uplink
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def confirm(chosen: UplinkSettings, spool: Spool) -> None:
    """Say as the aggregator that all rows are there."""
    context = chosen.tls_context()
    async with aiomqtt.Client(chosen.host, chosen.port, identifier="central", tls_context=context) as client:
        await client.publish("mg/1/acme/gw1/ack", encode(AckCursor(spool.spool_id, spool.last_seq)), qos=1)


async def test_gateway_with_its_certificate_delivers_under_its_name(
    tmp_path: Path, authority: Authority, serve: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker takes the name in the certificate as the user, and lets it use the topics of that name only."""
    monkeypatch.setattr("edge.uplink._uplink.UNCONFIRMED_SECONDS", 0.5)
    rules = tmp_path / "acl"
    rules.write_text("user central\ntopic readwrite mg/1/#\npattern readwrite mg/1/acme/%u/#\n")
    port = serve(
        authority.issue("server", HERE),
        "require_certificate true",
        "use_identity_as_username true",
        f"acl_file {rules}",
    )
    async with running(tmp_path / "1", settings(port, authority, authority.issue("gw1"))) as uplink:
        await uplink.spool.add([MeterEvent("m1", 1_700_000_000, "battery")])
        await until(lambda: uplink.counters.rows > 0, 10, "the row on its way")
        await confirm(settings(port, authority, authority.issue("central")), uplink.spool)
        await until(lambda: uplink.spool.cursor == 1, 10, "the cursor")
        assert uplink.alarms == []
    async with running(tmp_path / "2", settings(port, authority, authority.issue("gw2"))) as uplink:
        await uplink.spool.add([MeterEvent("m1", 1_700_000_000, "battery")])
        await until(lambda: bool(uplink.alarms), 10, "the alarm")  # mosquitto takes it, says nothing, and drops it
        assert uplink.alarms[0].startswith("uplink_unconfirmed: ")
        assert "let this gateway use mg/1/acme/gw1/up and mg/1/acme/gw1/ack" in uplink.alarms[0]
        assert uplink.spool.cursor == 0


async def test_missing_and_foreign_client_certificates(
    authority: Authority, stranger: Authority, serve: Callable[..., int]
) -> None:
    """With TLS 1.3 these come after the handshake, where aiomqtt only sees a time-out."""
    port = serve(authority.issue("server", HERE), "require_certificate true", "allow_anonymous true")
    assert await probe(settings(port, authority, authority.issue("gw1")), "gw1") == ""
    told = await probe(settings(port, authority), "gw1")
    assert told.startswith("it asks for this gateway's certificate")
    assert "uplink.cert_file" in told
    for own in (stranger.issue("gw1"), authority.issue("old", days=-1)):
        told = await probe(settings(port, authority, own), "gw1")
        assert told.startswith("it does not accept this gateway's certificate")
        assert "uplink.cert_file" in told


async def test_a_certificate_that_is_missing_is_a_refusal(
    tmp_path: Path, authority: Authority, serve: Callable[..., int]
) -> None:
    """The gateway stays away longer, as after a wrong password, and says why instead of calling it a time-out."""
    port = serve(authority.issue("server", HERE), "require_certificate true", "allow_anonymous true")
    async with running(tmp_path, settings(port, authority)) as uplink:
        await until(lambda: uplink.link.state is LinkState.REFUSED, 10, "refusal")
        assert uplink.alarms[0].startswith(f"uplink_refused: broker 127.0.0.1:{port} refuses this gateway: it asks")


@pytest.mark.parametrize(
    ("name", "days", "start", "way_out"),
    [
        ("DNS:elsewhere.example", 30, "its certificate is another's", "set uplink.host to a name in it"),
        (HERE, -1, "its certificate is not valid today (certificate has expired)", "this gateway's clock"),
    ],
)
async def test_certificates_of_the_broker(
    authority: Authority, serve: Callable[..., int], name: str, days: int, start: str, way_out: str
) -> None:
    told = await probe(settings(serve(authority.issue("server", name, days)), authority), "gw1")
    assert told.startswith(start)
    assert way_out in told


async def test_an_authority_nobody_knows(authority: Authority, stranger: Authority, serve: Callable[..., int]) -> None:
    port = serve(authority.issue("server", HERE))
    for ca_file in (str(stranger.cert), None):  # None: the system's
        told = await probe(settings(port, stranger, ca_file=ca_file), "gw1")
        assert told.startswith("its certificate comes from an authority unknown here")
        assert "uplink.ca_file" in told


async def test_tls_on_one_side_only(broker: Broker, authority: Authority, serve: Callable[..., int]) -> None:
    assert "try without (uplink.tls)" in await probe(settings(broker.port, authority), "gw1")
    assert "try with (uplink.tls)" in await probe(settings(serve(authority.issue("server", HERE)), None), "gw1")


async def test_out_of_reach_and_refused(tmp_path: Path) -> None:
    told = await probe(settings(free_port(), None), "gw1")
    assert told.startswith("connection refused, nothing listens there: check uplink.host and port")
    told = await probe(settings(1883, None, host="nowhere.invalid"), "gw1")
    assert told.startswith("its name cannot be resolved: check uplink.host")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = await probe(settings(silent.getsockname()[1], None), "gw1")
    assert told.startswith("no answer within 1 s: check uplink.host and port")
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed")
    passwords = tmp_path / "passwords"
    command = [tool, "-b", "-c", str(passwords), "gw1", "right"]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    broker = Broker(tmp_path / "broker", ("allow_anonymous false", f"password_file {passwords}"))
    broker.start()
    try:
        assert await probe(settings(broker.port, None, username="gw1", password="right"), "gw1") == ""
        told = await probe(settings(broker.port, None, username="gw1", password="wrong"), "gw1")
        assert "Not authorized: check uplink.username and its password" in told
    finally:
        broker.kill()


async def test_a_certificate_may_come_later(tmp_path: Path, authority: Authority, serve: Callable[..., int]) -> None:
    """A gateway that is not enrolled yet runs and says what it lacks; it connects once the files are there."""
    port = serve(authority.issue("server", HERE), "require_certificate true", "use_identity_as_username true")
    issued, place = authority.issue("gw1"), tmp_path / "pki"
    place.mkdir()
    own = Pair(place / "gateway.pem", place / "gateway.key")
    async with running(tmp_path / "1", settings(port, authority, own, reconnect_max_seconds=0.3)) as uplink:
        await until(lambda: uplink.link.failures > 1, 10, "tries without a certificate")
        assert f"uplink.cert_file {own.cert} with key_file {own.key}: No such file" in uplink.link.error
        shutil.copy(issued.key, own.key)
        shutil.copy(issued.cert, own.cert)
        assert await uplink.connected(10)
        assert uplink.link.error == ""


def test_files_that_cannot_be_used(tmp_path: Path, authority: Authority, stranger: Authority) -> None:
    own, other = authority.issue("gw1"), stranger.issue("gw1")
    empty = tmp_path / "empty.pem"
    empty.touch()
    for given, named in (
        ({"ca_file": str(tmp_path / "none.pem")}, f"uplink.ca_file {tmp_path}/none.pem: No such file"),
        ({"ca_file": str(empty)}, f"uplink.ca_file {empty}"),
        ({"cert_file": str(own.cert), "key_file": str(other.key)}, f"key_file {other.key}: .*mismatch"),
        ({"cert_file": str(own.cert), "key_file": str(tmp_path / "none.key")}, "none.key: No such file"),
    ):
        with pytest.raises(ConfigError, match=named):
            settings(1, authority, **given).tls_context()  # type: ignore[arg-type]
