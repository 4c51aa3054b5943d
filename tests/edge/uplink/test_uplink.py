"""The uplink against a real broker: delivery, resending, loss of queues, links that break."""

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.spool import Spool, _schema, _spool
from edge.uplink import LinkState, Uplink, UplinkSettings
from shared.wire import (
    Command,
    GatewayConfig,
    GatewayState,
    MeterEvent,
    Progress,
    ReadNow,
    decode,
    decode_item,
    encode,
)
from tests.brokers import Broker
from tests.edge.spool.items import event, mixed
from tests.edge.uplink.central import Central
from tests.ports import until
from tests.proxy import Proxy


class Gateway:
    """A spool and its uplink, with what commands came."""

    def __init__(self, spool: Spool, settings: UplinkSettings) -> None:
        self.spool = spool
        self.commands: list[Command] = []
        self.uplink = Uplink(
            spool,
            "acme",
            settings,
            state=lambda: GatewayState(int(time.time()), online=True, version="1", spool_id=spool.spool_id),
            config=lambda: GatewayConfig(int(time.time()), "hash", "a = 1"),
            on_command=self._on_command,
        )

    async def _on_command(self, command: Command) -> None:
        self.commands.append(command)
        if command.id == "bad":
            raise RuntimeError("callback failed")


@contextlib.asynccontextmanager
async def gateway(folder: Path, port: int, **settings: float | str) -> AsyncIterator[Gateway]:
    values: dict[str, float | str] = {"ack_seconds": 0.5, "timeout_seconds": 1.0, "reconnect_max_seconds": 0.5}
    merged = UplinkSettings(host="127.0.0.1", port=port, **(values | settings))  # type: ignore[arg-type]
    if not (folder / "spool.db").exists():
        _schema.migrate(folder / "spool.db")  # here rather than in a child process, to save time
    async with Spool(folder / "spool.db", "gw1") as spool:
        it = Gateway(spool, merged)
        task = asyncio.create_task(it.uplink.run())
        try:
            yield it
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def complete(central: Central, spool: Spool) -> bool:
    return central.cursor(spool.spool_id) == spool.last_seq == spool.cursor


async def test_rows_arrive_once_and_in_order(tmp_path: Path, broker: Broker) -> None:
    async with gateway(tmp_path, broker.port) as gw, Central(broker.port) as central:
        await central.connected.wait()
        items = [mixed(n) for n in range(3000)]
        for start in range(0, 3000, 100):
            await gw.spool.add(items[start : start + 100])
        await until(lambda: complete(central, gw.spool), 20, "delivery")
        assert [decode_item(central.rows[gw.spool.spool_id, n + 1]) for n in range(3000)] == items
        assert central.again == central.changed == 0


async def test_a_lone_row_is_there_within_a_second(tmp_path: Path, broker: Broker) -> None:
    async with gateway(tmp_path, broker.port) as gw, Central(broker.port) as central:
        await central.connected.wait()
        await gw.spool.add([event(0)])
        await until(lambda: complete(central, gw.spool))
        for n in range(3):
            began = time.monotonic()
            await gw.spool.add([event(n)])
            await until(lambda: complete(central, gw.spool))
            assert time.monotonic() - began < 1.0


async def test_state_conf_progress_and_commands(tmp_path: Path, broker: Broker) -> None:
    async with Central(broker.port) as central:
        await central.connected.wait()
        async with gateway(tmp_path, broker.port) as gw:
            assert await gw.uplink.connected(5)
            await until(lambda: set(central.retained) == {"state", "conf"})
            assert decode(central.retained["state"], GatewayState).online
            assert decode(central.retained["conf"], GatewayConfig).toml == "a = 1"
            gw.uplink.progress(Progress(1, "l1", "m1", "profile", 3, 10))
            await until(lambda: bool(central.progress))
            await central.publish("cmd", b"\xff\x00 not a command")
            for name in ("bad", "c1"):
                await central.publish("cmd", encode(Command(name, 1, 2, "ann", ReadNow("m1", ["profile"]))))
            await until(
                lambda: [c.id for c in gw.commands] == ["bad", "c1"], what="both commands, in spite of failures"
            )
        await until(lambda: not decode(central.retained["state"], GatewayState).online, what="the goodbye")


async def test_commands_sent_while_the_link_was_down_wait(tmp_path: Path, broker: Broker) -> None:
    async with Central(broker.port) as central:
        await central.connected.wait()
        async with gateway(tmp_path, broker.port) as gw:
            await gw.uplink.connected(5)
        await central.publish("cmd", encode(Command("c1", 1, 2, "ann", ReadNow("m1", ["profile"]))))
        async with gateway(tmp_path, broker.port) as gw:
            await until(lambda: [c.id for c in gw.commands] == ["c1"])


async def test_a_broken_link_leaves_the_last_will(tmp_path: Path, broker: Broker) -> None:
    async with Proxy(broker.port) as proxy, Central(broker.port) as central:
        await central.connected.wait()
        async with gateway(tmp_path, proxy.port) as gw:
            await gw.uplink.connected(5)
            await until(lambda: "state" in central.retained)
            await proxy.cut()
            await until(lambda: not decode(central.retained["state"], GatewayState).online, what="the last will")
            await gw.spool.add([event(1)])
            await proxy.mend()
            await until(lambda: complete(central, gw.spool))
            await until(lambda: decode(central.retained["state"], GatewayState).online)


async def test_cuts_lose_nothing(tmp_path: Path, broker: Broker) -> None:
    async with Proxy(broker.port) as proxy, Central(broker.port) as central:
        await central.connected.wait()
        async with gateway(tmp_path, proxy.port, batch_rows=20) as gw:
            for n in range(8):
                await gw.spool.add([event(100 * n + m) for m in range(100)])
                await asyncio.sleep(0.15 * (n % 3))
                await proxy.cut()
                await proxy.mend()
            await until(lambda: complete(central, gw.spool), 20)
            assert central.changed == 0


async def test_a_half_open_link_is_noticed_and_left(tmp_path: Path, broker: Broker) -> None:
    async with Proxy(broker.port) as proxy, Central(broker.port) as central:
        await central.connected.wait()
        async with gateway(tmp_path, proxy.port) as gw:
            await gw.spool.add([event(0)])
            await until(lambda: complete(central, gw.spool))
            proxy.freeze()
            await gw.spool.add([event(1)])
            await until(lambda: gw.uplink.link.state is not LinkState.CONNECTED, what="the timeout")
            proxy.thaw()
            await until(lambda: complete(central, gw.spool))


async def test_a_broker_that_lost_everything(tmp_path: Path, broker: Broker) -> None:
    async with gateway(tmp_path, broker.port, batch_rows=10) as gw, Central(broker.port) as central:
        await central.connected.wait()
        for n in range(5):
            await gw.spool.add([event(100 * n + m) for m in range(100)])
            await asyncio.sleep(0.25)
            broker.restart(lose_queues=True)
            central.connected.clear()
        await until(lambda: complete(central, gw.spool), 30)
        assert central.changed == 0


async def test_a_broker_that_drops_queued_messages(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "b", ("allow_anonymous true", "max_queued_messages 2", "max_inflight_messages 1"))
    broker.start()
    try:
        async with Central(broker.port) as central:
            await central.connected.wait()
        async with gateway(tmp_path, broker.port, batch_rows=10, window=8) as gw:
            await gw.spool.add([event(n) for n in range(200)])
            await until(lambda: gw.uplink.counters.batches >= 4, what="batches into the queue of nobody")
            async with Central(broker.port) as central:
                await until(lambda: complete(central, gw.spool), 20)
    finally:
        broker.kill()


async def test_lost_batches_are_asked_for_and_sent_again(tmp_path: Path, broker: Broker) -> None:
    async with Central(broker.port) as central:
        await central.connected.wait()
        central.deaf = 1
        async with gateway(tmp_path, broker.port, batch_rows=10, ack_seconds=60.0) as gw:
            await gw.spool.add([event(n) for n in range(100)])
            await until(lambda: complete(central, gw.spool), 20, "delivery without any waiting time running out")
            assert central.batches[-1][0] == 1 or (1, 10) in central.batches


async def test_nobody_answers(tmp_path: Path, broker: Broker) -> None:
    """Unanswered, the window fills; after the waiting time rows are sent again, fewer; nothing is deleted."""
    async with gateway(tmp_path, broker.port, batch_rows=10) as gw, Central(broker.port) as central:
        central.mute = True
        await gw.spool.add([event(n) for n in range(1000)])
        await asyncio.sleep(1.2)
        assert 2 <= gw.uplink.counters.batches <= 5
        assert gw.spool.cursor == 0
        central.mute = False
        await until(lambda: complete(central, gw.spool), 20)


async def test_the_aggregator_was_restored_from_a_backup(tmp_path: Path, broker: Broker, quick_doubt: None) -> None:
    async with gateway(tmp_path, broker.port, batch_rows=10) as gw, Central(broker.port) as central:
        await central.connected.wait()
        await gw.spool.add([event(n) for n in range(100)])
        await until(lambda: complete(central, gw.spool))
        before = dict(central.rows)
        central.forget(gw.spool.spool_id, 30)
        await central.ack(gw.spool.spool_id)
        await until(lambda: bool(gw.uplink.alarms), what="the alarm")
        assert gw.uplink.alarms[0].startswith("uplink_rewound: ")
        await until(lambda: complete(central, gw.spool), 20)
        assert central.rows == before
        await until(lambda: not gw.uplink.alarms, what="the end of the alarm")


async def test_an_aggregator_begun_anew_gets_what_is_still_held(
    tmp_path: Path, broker: Broker, quick_doubt: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for rows that were delivered and deleted long ago: they do not hold up the others."""
    monkeypatch.setattr(_spool, "MEND_ROWS", 10)
    async with gateway(tmp_path, broker.port, batch_rows=10) as gw, Central(broker.port) as central:
        await central.connected.wait()
        await gw.spool.add([event(n) for n in range(100)])
        await until(lambda: complete(central, gw.spool))
        await gw.spool.write(lambda tx: tx.connection.execute("DELETE FROM items WHERE number <= 60"))
        old = gw.spool.spool_id
        central.forget(old, 0)
        central.rows.clear()
        await central.ack(old, 0)
        await until(lambda: gw.spool.spool_id != old, 10, "the new stream")
        await until(lambda: complete(central, gw.spool), 20)
        held = [decode_item(central.rows[gw.spool.spool_id, seq]) for seq in range(1, gw.spool.last_seq + 1)]
        assert held[:40] == [event(n) for n in range(60, 100)]
        assert [item.kind for item in held[40:] if isinstance(item, MeterEvent)] == ["profile_lost"]


async def test_a_probe_does_not_mourn_what_was_deleted(tmp_path: Path, broker: Broker, quick_doubt: None) -> None:
    """An old retained cursor of rows that are gone since: the probe takes others, and nothing counts as lost."""
    async with gateway(tmp_path, broker.port, batch_rows=10) as gw, Central(broker.port) as central:
        await central.connected.wait()
        await gw.spool.add([event(n) for n in range(100)])
        await until(lambda: complete(central, gw.spool))
        await gw.spool.write(lambda tx: tx.connection.execute("DELETE FROM items WHERE number <= 95"))
        await central.ack(gw.spool.spool_id, 30)
        await until(lambda: central.again == 5, what="the probe")
        assert (gw.spool.cursor, gw.spool.last_seq, gw.spool.losses) == (100, 100, 0)
        await gw.spool.write(lambda tx: tx.connection.execute("DELETE FROM items"))
        await central.ack(gw.spool.spool_id, 30)
        await asyncio.sleep(1.0)  # nothing to probe with, and nothing happens
        await gw.spool.add([event(100)])
        await until(lambda: complete(central, gw.spool))
        assert (gw.spool.cursor, gw.spool.last_seq, gw.spool.losses) == (101, 101, 0)


async def test_an_old_retained_cursor_is_not_believed(tmp_path: Path, broker: Broker, quick_doubt: None) -> None:
    async with gateway(tmp_path, broker.port, batch_rows=10) as gw, Central(broker.port) as central:
        await central.connected.wait()
        await gw.spool.add([event(n) for n in range(100)])
        await until(lambda: complete(central, gw.spool))
        await central.ack(gw.spool.spool_id, 30)
        await until(lambda: central.again == 10, what="the probe")
        await asyncio.sleep(1.0)
        assert gw.spool.cursor == 100
        assert central.again == 10


async def test_a_cursor_beyond_the_spool_starts_a_new_stream(tmp_path: Path, broker: Broker) -> None:
    async with gateway(tmp_path, broker.port) as gw, Central(broker.port) as central:
        await central.connected.wait()
        await gw.spool.add([event(n) for n in range(20)])
        await until(lambda: complete(central, gw.spool))
        old = gw.spool.spool_id
        await central.ack(old, 500)
        await until(lambda: gw.spool.spool_id != old)
        await gw.spool.add([event(77)])
        await until(lambda: complete(central, gw.spool) and gw.spool.last_seq == 2)
        told, last = (decode_item(central.rows[gw.spool.spool_id, seq]) for seq in (1, 2))
        assert isinstance(told, MeterEvent)
        assert (told.meter, told.kind) == ("gw1", "spool_damaged")
        assert last == event(77)
        assert len([key for key in central.rows if key[0] == old]) == 20


async def test_wrong_password_is_told_apart_from_a_dead_link(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    broker = Broker(tmp_path / "b", ("allow_anonymous false", f"password_file {passwords}"))
    broker.start()
    try:
        async with gateway(tmp_path, broker.port, username="gw1", password="wrong") as gw:
            await until(lambda: gw.uplink.link.state is LinkState.REFUSED)
            assert gw.uplink.alarms[0].startswith(f"uplink_refused: broker 127.0.0.1:{broker.port} refuses this")
            assert "uplink.username" in gw.uplink.alarms[0]
    finally:
        broker.kill()
    (tmp_path / "2").mkdir()
    late = Broker(tmp_path / "late")
    async with gateway(tmp_path / "2", late.port) as gw:
        await until(lambda: gw.uplink.link.failures >= 3)
        assert gw.uplink.link.state in (LinkState.WAITING, LinkState.CONNECTING)
        assert gw.uplink.alarms[0].startswith(f"uplink_unreachable: broker 127.0.0.1:{late.port} out of reach (")
        assert not await gw.uplink.connected(0.1)
        late.start()
        try:
            assert await gw.uplink.connected(10)
            assert gw.uplink.alarms == []
        finally:
            late.kill()


CHILD = """
import asyncio, sys, time
from pathlib import Path
from edge.spool import Spool
from edge.uplink import Uplink, UplinkSettings
from shared.wire import GatewayConfig, GatewayState
from tests.edge.spool.items import event
async def nothing(command): pass
async def main():
    async with Spool(Path(sys.argv[1]), "gw1") as spool:
        uplink = Uplink(
            spool, "acme", UplinkSettings(host="127.0.0.1", port=int(sys.argv[2]), batch_rows=7),
            state=lambda: GatewayState(1, True), config=lambda: GatewayConfig(1, "", ""), on_command=nothing,
        )
        task = asyncio.create_task(uplink.run())
        while True:
            seqs = await spool.add([event(spool.last_seq + 1)])
            print(seqs[0], flush=True)
            await asyncio.sleep(0.002)
asyncio.run(main())
"""


def start_child(path: Path, port: int) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[3]
    return subprocess.Popen([sys.executable, "-c", CHILD, path, str(port)], stdout=subprocess.PIPE, cwd=root)


async def test_a_gateway_killed_again_and_again(tmp_path: Path, broker: Broker) -> None:
    """Every row it said was taken is at the aggregator in the end, once, under its number, unchanged."""
    path = tmp_path / "spool.db"
    _schema.migrate(path)
    told: set[int] = set()
    async with Central(broker.port) as central:
        await central.connected.wait()
        for n in range(4):
            before = len(central.rows)
            child = start_child(path, broker.port)
            assert child.stdout is not None
            await until(lambda b=before: len(central.rows) > b, what="rows of this life")  # type: ignore[misc]
            await asyncio.sleep(0.13 * n)
            child.kill()
            output = await asyncio.to_thread(child.stdout.read)
            child.wait()
            child.stdout.close()
            lines = output.splitlines(keepends=True)  # among them the log's
            told.update(int(line) for line in lines if line[:-1].isdigit() and line.endswith(b"\n"))
        async with gateway(tmp_path, broker.port) as gw:
            await until(lambda: complete(central, gw.spool), 20)
            rows = {seq: decode_item(row) for (_, seq), row in central.rows.items()}
            assert set(rows) == set(range(1, gw.spool.last_seq + 1)) >= told
            # each row says the number it expected to get
            assert all(item == event(seq) for seq, item in rows.items())
            assert central.changed == 0
            assert {name for name, _ in central.rows} == {gw.spool.spool_id}


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, *names, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return certificate, key


@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket"
)  # paho drops the socket of a failed handshake
async def test_tls_and_a_broker_that_is_somebody_else(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "broker")
    other, _ = make_certificate(tmp_path, "other")
    broker = Broker(tmp_path / "b", ("allow_anonymous true", f"certfile {certificate}", f"keyfile {key}"))
    broker.start()
    try:
        async with gateway(tmp_path, broker.port, tls=True, ca_file=str(certificate)) as gw:
            assert await gw.uplink.connected(5)
        async with gateway(tmp_path, broker.port, tls=True, ca_file=str(other)) as gw:
            await until(lambda: gw.uplink.link.state is LinkState.REFUSED)
            assert "certificate" in gw.uplink.alarms[0]
    finally:
        broker.kill()
        gc.collect()
    with pytest.raises(ConfigError, match=r"uplink\.ca_file .*nowhere: No such file"):
        UplinkSettings(tls=True, ca_file=str(tmp_path / "nowhere")).tls_context()
    with pytest.raises(ConfigError, match=r"need uplink\.tls = true"):
        UplinkSettings(ca_file=str(certificate)).tls_context()


async def test_failed_connections_leave_no_descriptors(tmp_path: Path) -> None:
    """A listener that takes connections and never answers."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(-1)  # to the end
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with gateway(tmp_path, port, timeout_seconds=0.5, reconnect_max_seconds=0.1) as gw:
        seen = []
        for failures in range(1, 7):
            await until(lambda n=failures: gw.uplink.link.failures >= n)  # type: ignore[misc]
            seen.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208
        assert max(seen) - min(seen) <= 3, f"at most the try that is under way: {seen}"
    server.close()


@pytest.fixture
def quick_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.uplink._window.DOUBT_SECONDS", 0.5)


@pytest.fixture(autouse=True)
def _quick_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.uplink._uplink.CURSOR_SECONDS", 0.1)
