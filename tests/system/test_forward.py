"""CCEE at a real gateway process: without broker and aggregator, over a SIGKILL, and by command."""

import asyncio
import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from edge.simulators.abnt.server import PtyPort, TcpPort
from edge.spool import Kind, inspection
from shared.wire import (
    Command,
    ForwardConnection,
    MeterEvent,
    ProfileBlock,
    Result,
    SetForward,
    TestForward,
    decode,
    encode,
)
from shared.wire import GatewayState as State
from tests.brokers import Broker
from tests.edge.gateways import GatewayProcess, edge, meters, toml, until
from tests.edge.simulators.rawreader import RawReader
from tests.edge.uplink.central import Central
from tests.ports import free_port, wait_for_port

pytestmark = pytest.mark.system


def forwarding(folder: Path, broker: int, ports: list[TcpPort | PtyPort], number: int, more: str = "") -> str:
    forward = f'[meters.forward]\nport = {number}\nlisten = "127.0.0.1"\nallow = ["127.0.0.1"]\n'
    return toml(folder, broker, ports) + forward + "resume_seconds = 0\nself_test_hours = 0\n" + more


def records(folder: Path) -> list[ForwardConnection]:
    found = inspection.stored_items(folder / "spool.db", kinds=(Kind.CONNECTION,))
    return [row.item for row in found if isinstance(row.item, ForwardConnection)]


def journal(folder: Path) -> set[str]:
    """Where the connections noted as open come from."""
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'spool.db'}?mode=ro", uri=True)) as spool:
        rows = spool.execute("SELECT opened FROM connections").fetchall()
    return {decode(row[0], ForwardConnection).source for row in rows}


async def listens(number: int) -> None:
    await asyncio.to_thread(wait_for_port, number, 20.0)


@pytest.mark.parametrize("kind", ["tcp", "pty"])
async def test_killed_in_a_session_and_back_within_five_seconds(tmp_path: Path, kind: str) -> None:
    """No broker at all. The record of the cut session is written once, by the restart; own readings go on as well."""
    config, number = tmp_path / "gateway.toml", free_port()
    async with meters(kind) as ports:
        config.write_text(forwarding(tmp_path, free_port(), ports, number, '[schedule]\nccee_window = ""\n'))
        with GatewayProcess(config) as gateway:
            await listens(number)
            ccee = await RawReader.tcp(number)
            await ccee.ask(0x21)
            host, port = ccee.writer.get_extra_info("sockname")
            await until(lambda: f"{host}:{port}" in journal(tmp_path))  # before, nobody would know of it
            gateway.stop(signal.SIGKILL)
            with contextlib.suppress(ConnectionResetError):
                assert await ccee.octet() in (b"", b"\x05")
            ccee.writer.close()
            began = time.monotonic()
            await asyncio.to_thread(edge, "check", config)
            slow = time.monotonic() - began  # how long a start takes where many other things run
            began = time.monotonic()
            gateway.start()
            await listens(number)
            assert time.monotonic() - began < max(5, 4 * slow)
            await until(lambda: any(record.source == f"{host}:{port}" for record in records(tmp_path)))
            async with await RawReader.tcp(number) as again:
                await again.ask(0x21)
                await again.ask_blocks(0x52)
            await until(lambda: any(record.verdict == "I14" for record in records(tmp_path)))
            shown = await asyncio.to_thread(edge, "forwards", config, "--json")
            (forward,) = json.loads(shown.stdout)
            assert (forward["state"], forward["mode"]) == ("listening", "shared")
            assert abs(forward["last_ccee_ok"] - time.time()) < 20
            assert "Forwards" in (await asyncio.to_thread(edge, "status", config)).stdout
            gateway.stop(signal.SIGKILL)
            gateway.start()
            await listens(number)
            gateway.stop()
            cut = [record for record in records(tmp_path) if record.source == f"{host}:{port}"]
            assert [(record.close_reason, record.verdict) for record in cut] == [("restart", "I13")]
            assert "Traceback" not in gateway.log
    profile = list(inspection.stored_items(tmp_path / "spool.db", kinds=(Kind.PROFILE,)))
    assert all(isinstance(row.item, ProfileBlock) for row in profile)


async def test_a_foreign_bridge_in_between(tmp_path: Path) -> None:
    """CCEE's side through socat, as a VPN concentrator with a relay would stand there."""
    if shutil.which("socat") is None:
        pytest.skip("socat is not installed")
    config, number, bridge = tmp_path / "gateway.toml", free_port(), free_port()
    async with meters("pty") as ports:
        config.write_text(forwarding(tmp_path, free_port(), ports, number))
        with GatewayProcess(config) as gateway:
            await listens(number)
            relay = subprocess.Popen(  # noqa: ASYNC220
                ["socat", f"TCP-LISTEN:{bridge},bind=127.0.0.1,reuseaddr", f"TCP:127.0.0.1:{number}"]
            )
            try:
                await asyncio.sleep(0.3)
                async with await RawReader.tcp(bridge) as ccee:
                    await ccee.ask(0x21)
                    assert await ccee.ask_blocks(0x52)
                await until(lambda: any(record.verdict == "I14" for record in records(tmp_path)))
            finally:
                relay.kill()
                relay.wait()
            assert gateway.stop() == 0


async def test_forwards_by_command(tmp_path: Path, broker: Broker) -> None:
    config, number = tmp_path / "gateway.toml", free_port()

    async def order(central: Central, name: str, action: SetForward | TestForward) -> Result:
        now = int(time.time())
        await central.publish("cmd", encode(Command(name, now, now + 60, "test", action)))

        def found() -> Result | None:
            rows = inspection.stored_items(tmp_path / "spool.db", kinds=(Kind.RESULT,))
            return next((r.item for r in rows if isinstance(r.item, Result) and r.item.command == name), None)

        await until(found, 40)
        answer = found()
        assert answer is not None
        return answer

    async with meters("tcp") as ports, Central(broker.port) as central:
        config.write_text(toml(tmp_path, broker.port, ports))
        with GatewayProcess(config) as gateway:
            await until(lambda: "state" in central.retained and decode(central.retained["state"], State).online)
            table = f'port = {number}\nlisten = "127.0.0.1"\nallow = ["127.0.0.1"]\nself_test_hours = 0\n'
            opened = await order(central, "open", SetForward("m-10000001", table))
            assert opened.ok, opened
            assert table in config.read_text()
            tested = await order(central, "test", TestForward("m-10000001"))
            assert tested.ok, tested
            assert tested.data["serial"] == "10000001"
            await until(lambda: any(record.mode == "self_test" for record in records(tmp_path)))
            await until(lambda: decode(central.retained["state"], State).forwards[0].last_own_ok)
            async with await RawReader.tcp(number) as ccee:
                await ccee.ask(0x21)
                busy = await order(central, "close now", SetForward("m-10000001"))
                assert (busy.ok, busy.code) == (False, "busy")
                await ccee.ask(0x21)
            await until(lambda: len(records(tmp_path)) == 2)
            closed = await order(central, "close", SetForward("m-10000001"))
            assert closed.ok, closed
            with pytest.raises(OSError, match=r"Connect|refused"):
                await asyncio.open_connection("127.0.0.1", number)
            assert gateway.stop() == 0
            assert "Traceback" not in gateway.log
    events = inspection.stored_items(tmp_path / "spool.db", kinds=(Kind.EVENT,))
    assert not [r.item for r in events if isinstance(r.item, MeterEvent) and r.item.kind == "forward_trouble"]
