"""The driver over serial ports: pseudo-terminals, 9600 baud, and a bridge by somebody else between port and network."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.drivers import open_driver
from edge.drivers.abnt.driver import AbntDriver
from edge.errors import LinkError, WrongMeterError
from edge.lines.contract import Claim, LineClass
from edge.lines.line import ManagedLine
from edge.lines.pipe import Pipe
from edge.lines.serial import SerialSettings, open_serial
from edge.lines.tcp import open_tcp
from edge.simulators.abnt.server import PtyPort, TcpPort
from edge.simulators.abnt.session import SessionSetup
from edge.simulators.faults import Fault, FaultKind, FaultPlan
from ext import profile as codec
from shared.wire import ProfileBlock
from tests.edge.simulators.simmeter import SERIAL, Bench
from tests.ports import free_port, until, wait_for_port

DAY = 86_400
CHANNELS = {"1.29.0": 0, "5.29.0": 1, "8.29.0": 2}
SOCAT = shutil.which("socat")


def reader(bench: Bench, link: str, serial: str = SERIAL) -> AbntDriver:
    """A driver whose clock is the bench's."""
    driver = open_driver("abnt", "m1", {"serial": serial, "link": link})
    assert isinstance(driver, AbntDriver)
    return AbntDriver("m1", driver.settings, bench.hand)


@asynccontextmanager
async def claimed(opener: Any) -> AsyncIterator[Claim]:
    line = ManagedLine("line", opener)
    try:
        async with line.claim(LineClass.PLANNED, "test") as claim:
            yield claim
    finally:
        await line.close()


def terminal(path: object) -> Any:
    async def opener() -> Pipe:
        return await open_serial(SerialSettings(str(path)))

    return opener


async def everything(driver: AbntDriver, claim: Claim, bench: Bench) -> None:
    """A day of profile, value for value, and one answer of each other kind."""
    end = int(bench.hand.now) // 900 * 900
    read = await driver.read_profile(claim, end - DAY, end)
    intervals = 0
    for block in read.profile:
        assert isinstance(block, ProfileBlock)
        values, _, step = codec.unpack(block.data)
        for i, value in enumerate(values):
            assert value == bench.meter.recorded(CHANNELS[block.channel], block.start + i * step)
            intervals += 1
    assert intervals == 3 * 96
    assert (await driver.identify(claim)).serial == SERIAL
    assert abs((await driver.read_clock(claim)).drift) <= 1
    running = (await driver.read_registers(claim)).registers[0]
    totals = {value.quantity: value.value for value in running.values}
    assert totals["1.8.0"] == bench.meter.measurement.current()[0].total
    assert (await driver.read_instantaneous(claim)).snapshots


@pytest.mark.parametrize("link", ["strict", "serial", "usb"])
async def test_reading_over_a_terminal(link: str) -> None:
    bench = Bench(days=5)
    setup = SessionSetup(enq_period=0.022, answer_limit=0.03)
    async with PtyPort([bench.meter], setup=setup) as port, claimed(terminal(port.path)) as claim:
        await everything(reader(bench, link), claim, bench)


async def test_reading_over_a_noisy_terminal() -> None:
    bench = Bench(days=5)
    plan = FaultPlan(*map(Fault.parse, ("noise:0.1", "drop-ack:0.05", "wait:0.1:1", "nak:0.05", "half:0.02")), seed=5)
    setup = SessionSetup(enq_period=0.022, answer_limit=0.03)
    async with PtyPort([bench.meter], setup=setup, faults=plan) as port, claimed(terminal(port.path)) as claim:
        driver = reader(bench, "serial")
        for _ in range(2):
            await everything(driver, claim, bench)
    assert len(plan.fired) >= 4


async def test_reading_at_9600_baud() -> None:
    """A burst takes 269 ms to arrive: no timer of the reader may call that a gap."""
    bench = Bench(days=1)
    async with PtyPort([bench.meter], baud=9600) as port, claimed(terminal(port.path)) as claim:
        driver = reader(bench, "serial")
        await driver.identify(claim)
        began = time.monotonic()
        read = await driver.read_instantaneous(claim)
        took = time.monotonic() - began
    assert read.snapshots
    assert 258 * 10 / 9600 * 0.95 < took < 2.0


async def test_wrong_meter_at_a_terminal() -> None:
    bench = Bench(days=1)
    async with PtyPort([bench.meter]) as port, claimed(terminal(port.path)) as claim:
        with pytest.raises(WrongMeterError, match=f"meter {SERIAL} answers where meter 87654321 is configured"):
            await reader(bench, "serial", "87654321").read_registers(claim)


async def test_terminal_that_vanishes_in_the_middle_of_a_block() -> None:
    bench = Bench(days=5)
    plan = FaultPlan()
    port = PtyPort([bench.meter], setup=SessionSetup(enq_period=0.022), faults=plan)
    await port.start()
    try:
        plan.arm(FaultKind.GAP, 60.0)  # half a block, then nothing
        async with claimed(terminal(port.path)) as claim:
            task = asyncio.create_task(reader(bench, "usb").read_registers(claim))
            await until(lambda: bool(plan.fired), 5, "the first half of a block")
            await port.stop()
            with pytest.raises(LinkError, match=port.path):
                await task
    finally:
        await port.stop()


@asynccontextmanager
async def socat(*ends: str) -> AsyncIterator[None]:
    if SOCAT is None:
        pytest.skip("socat is not installed: apt-get install socat")
    process = await asyncio.create_subprocess_exec(SOCAT, *ends)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_network_meter_behind_a_foreign_serial_port(tmp_path: Path) -> None:
    bench = Bench(days=5)
    name = tmp_path / "ttyMeter"
    async with (
        TcpPort([bench.meter], setup=SessionSetup(enq_period=0.022)) as port,
        socat(f"PTY,link={name},rawer,wait-slave", f"TCP:127.0.0.1:{port.port},nodelay"),
    ):
        await until(name.is_symlink, 5, "socat's terminal")
        async with claimed(terminal(name)) as claim:
            await everything(reader(bench, "usb"), claim, bench)


async def test_serial_meter_behind_a_foreign_serial_server(tmp_path: Path) -> None:
    bench = Bench(days=5)
    number = free_port()
    async with (
        PtyPort([bench.meter], setup=SessionSetup(enq_period=0.022)) as port,
        socat(f"TCP-LISTEN:{number},bind=127.0.0.1,reuseaddr,fork,nodelay", f"FILE:{port.path},rawer"),
    ):
        await asyncio.to_thread(wait_for_port, number)
        async with claimed(lambda: open_tcp("127.0.0.1", number)) as claim:
            await everything(reader(bench, "tcp"), claim, bench)
