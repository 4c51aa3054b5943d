"""Readings on the spot: kept at once with who and why, through the line or a running gateway, killed or not."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from edge import control
from edge.errors import ConfigError, LinkError, WrongMeterError
from edge.export import named
from edge.field.audit import audit
from edge.field.folder import Folder
from edge.field.place import Options, parse
from edge.field.reading import Stamp, read, revived
from edge.simulators.abnt.server import TcpPort
from edge.simulators.faults import Fault, FaultKind, FaultPlan
from edge.spool import inspection
from metergate.processes import metergate
from shared.wire import InstantSnapshot, MeterEvent, ProfileBlock, RegisterReading
from tests.brokers import Broker
from tests.edge.field.conftest import SERIAL, address, meter_port
from tests.edge.gateways import GatewayProcess, toml, until

STAMP = Stamp("ana", "border meter, month end")
ALL = ("registers", "instantaneous", "profile", "events")


def kept(folder: Folder) -> list[object]:
    return [row.item for row in inspection.stored_items(folder.spool_path)]


async def test_everything_is_kept_with_who_when_and_why(folder: Folder) -> None:
    before = int(time.time())
    async with meter_port() as port:
        brought = await read(parse(address(port)), folder, Options(name="MG-1"), ALL, STAMP)
        assert (brought.meter, brought.serial, brought.done) == ("MG-1", SERIAL, list(ALL))
        assert brought.drift is not None
        assert abs(brought.drift) < 3
        rows = kept(folder)
        assert brought.stored == len(rows)
        events = [item for item in rows if isinstance(item, MeterEvent) and item.kind == "field_reading"]
        assert [event.detail["kinds"] for event in events] == list(ALL)
        for event in events:
            assert (event.detail["who"], event.detail["why"]) == (STAMP.who, STAMP.why)
            assert event.detail["place"] == address(port)
            assert event.meter == "MG-1"
            assert event.at >= before
        assert {type(item) for item in rows} == {RegisterReading, InstantSnapshot, ProfileBlock, MeterEvent}
        again = await read(parse(address(port)), folder, Options(name="MG-1"), ("events",), STAMP)
        assert not again.items  # the driver remembers what was reported


async def test_a_range(folder: Folder) -> None:
    end = int(time.time()) // 900 * 900 - 7200
    async with meter_port() as port:
        brought = await read(parse(address(port)), folder, Options(), ("profile",), STAMP, (end - 3600, end))
    blocks = [item for item in brought.items if isinstance(item, ProfileBlock)]
    assert {(block.start, block.count) for block in blocks} == {(end - 3600, 4)}
    assert len(blocks) == 3


async def test_another_meter_than_asked_for(folder: Folder) -> None:
    async with meter_port() as port:
        with pytest.raises(WrongMeterError):
            await read(parse(address(port)), folder, Options(serial="11111111"), ("registers",), STAMP)
    assert not kept(folder)


async def test_what_was_read_before_the_line_broke_is_kept(folder: Folder) -> None:
    """Parameters come whole; the profile's blocks do not."""
    async with meter_port() as port:
        assert isinstance(port, TcpPort)

        def spoil(done: int, total: int) -> None:
            port.faults.set(Fault(FaultKind.DROP, 1.0))

        brought = await read(parse(address(port)), folder, Options(), ("registers", "profile"), STAMP, None, spoil)
    assert brought.done == ["registers"]
    assert brought.errors[0].startswith("profile: ")
    assert any(isinstance(item, RegisterReading) for item in kept(folder))


async def test_a_kill_loses_nothing_that_was_read(folder: Folder) -> None:
    """SIGKILL while the profile is on its way: registers are in the spool, the trace holds what passed."""
    slow = FaultPlan(Fault(FaultKind.GAP, 1.0, 0.3))
    async with meter_port(faults=slow, days=35) as port:
        command = metergate(
            "field", "--folder", str(folder.path), "read", address(port), "--kind", "registers", "--kind", "profile",
            "--why", "kill",
        )  # fmt: skip
        child = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.DEVNULL)
        await until(lambda: any(isinstance(item, RegisterReading) for item in kept(folder)), 60)
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.to_thread(child.wait)
        rows = kept(folder)
        assert [e.detail["kinds"] for e in rows if isinstance(e, MeterEvent) and e.kind == "field_reading"] == [
            "registers"
        ]
        assert folder.traces
        assert " > 23 " in folder.traces[0].read_text()
        port.faults.clear()
        brought = await read(parse(address(port)), folder, Options(), ("profile",), STAMP)
        assert brought.done == ["profile"]


async def answering(socket: Path) -> None:
    """Wait until the gateway takes requests; its socket's file is there a moment earlier."""
    for _ in range(400):
        with contextlib.suppress(LinkError, OSError):
            async for _ in control.ask(socket, {"op": "status"}):
                return
        await asyncio.sleep(0.05)
    raise AssertionError("the gateway never answered")


async def test_through_a_gateway_that_runs_and_one_that_does_not(
    folder: Folder, tmp_path: Path, broker: Broker
) -> None:
    async with meter_port() as port:
        config = tmp_path / "gateway.toml"
        config.write_text(toml(tmp_path, broker.port, [port]))
        place = f"{config}#m-{SERIAL}"
        with GatewayProcess(config) as gateway:
            await answering(tmp_path / "spool.db.sock")
            brought = await read(parse(place), folder, Options(), ("registers", "instantaneous"), STAMP)
            assert (brought.through, brought.meter) == ("gateway", f"m-{SERIAL}")
            assert any(isinstance(item, InstantSnapshot) for item in brought.items)
            (event,) = kept(folder)  # readings are the gateway's to deliver: nothing twice
            assert isinstance(event, MeterEvent)
            assert event.detail["kinds"] == "registers, instantaneous"
            with pytest.raises(ConfigError, match="not a range"):
                await read(parse(place), folder, Options(), ("profile",), STAMP, (0, 900))
            with pytest.raises(ConfigError, match="runs and owns its lines"):
                await audit(parse(place), folder, Options(), lambda step: None)
            gateway.stop()
        brought = await read(parse(place), folder, Options(), ("registers",), STAMP)
        assert (brought.through, brought.done) == ("line", ["registers"])


async def test_nobody_there(folder: Folder, unused_port: int) -> None:
    with pytest.raises(LinkError, match="nothing listens"):
        await read(parse(f"127.0.0.1:{unused_port}"), folder, Options(), ("registers",), STAMP)


async def test_items_survive_the_gateways_socket(folder: Folder) -> None:
    async with meter_port() as port:
        brought = await read(parse(address(port)), folder, Options(), ALL, STAMP)
    shown = json.loads(json.dumps([named(item) for item in brought.items]))
    assert [revived(each) for each in shown] == brought.items
    assert revived({"type": "GatewayTelemetry"}) is None
