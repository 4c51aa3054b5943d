"""Whole conversations over real sockets and pseudo-terminals, with a reader that shares no code with the project."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from edge.drivers.abnt.frames import Variant
from edge.simulators.abnt.clock import MeterClock
from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.server import PtyPort, TcpPort
from edge.simulators.abnt.session import SessionSetup
from edge.simulators.abnt.setup import MeterSetup
from edge.simulators.faults import FaultKind, FaultPlan
from edge.simulators.ports import PtyPipe
from tests.edge.simulators.rawreader import ACK, ALO, ENQ, NAK, WAIT, PtyReader, RawReader, command, crc, number, words
from tests.edge.simulators.simmeter import SERIAL, Bench, local

FAST = SessionSetup(enq_period=0.03)


async def verification(reader: RawReader, bench: Bench) -> None:
    """The usual reading set of §6, compared value for value."""
    parameters = await reader.ask(0x21)
    assert parameters[1:5].hex() == bench.meter.serial
    count = number(parameters, 75, 77)
    registers = await reader.ask(0x23)
    assert number(registers, 6, 10) == bench.meter.measurement.current()[0].total
    for code in (0x80, 0x14, 0x44, 0x45, 0x46, 0x25, 0x28):
        assert (await reader.ask(code))[0] == code
    blocks = await reader.ask_blocks(0x26)
    assert len(blocks) == -(-count // 166)
    replay = bench.meter.replays[0]
    end = bench.meter.memory()[1]
    assert words(blocks, count) == [
        replay.value(channel, start) for start in range(end - count // 3 * 900, end, 900) for channel in range(3)
    ]


async def test_reading_over_tcp() -> None:
    bench = Bench()
    async with TcpPort([bench.meter], setup=FAST) as port, await RawReader.tcp(port.port) as reader:
        await verification(reader, bench)


async def test_reading_over_a_terminal(tmp_path: Path) -> None:
    bench = Bench()
    link = tmp_path / "meter"
    async with PtyPort([bench.meter], link=link, setup=FAST) as port:
        assert link.resolve() == Path(port.path)
        async with PtyReader(link) as reader:
            await verification(reader, bench)
        async with PtyReader(port.path) as reader:  # a port is opened again and again
            assert (await reader.ask(0x14))[0] == 0x14
    assert not link.is_symlink()


async def test_strict_meter_serves_a_prompt_reader() -> None:
    bench = Bench(days=3)
    setup = SessionSetup(strict=True, enq_period=0.3, sync_limit=0.28)
    async with TcpPort([bench.meter], setup=setup) as port, await RawReader.tcp(port.port) as reader:
        await verification(reader, bench)


async def test_connections_one_after_the_other_and_taking_over() -> None:
    async with TcpPort([Bench().meter], setup=FAST) as port:
        for _ in range(3):
            async with await RawReader.tcp(port.port) as reader:
                await reader.ask(0x14)
        async with await RawReader.tcp(port.port) as old:
            await old.enq()
            async with await RawReader.tcp(port.port) as new:
                await new.ask(0x14)
                while await old.octet():  # b"": the older one is hung up
                    pass
                await port.hang_up()
                while await new.octet():
                    pass
        assert port.connections == 5


async def test_taken_port_is_said(unused_port: int) -> None:
    async with TcpPort([Bench().meter], port=unused_port):
        with pytest.raises(OSError, match=str(unused_port)):
            await TcpPort([Bench().meter], port=unused_port).start()


async def test_link_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "meter"
    file.write_text("mine")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counting, not walking
    with pytest.raises(OSError, match="cannot name the pseudo-terminal"):
        await PtyPort([Bench().meter], link=file).start()
    assert file.read_text() == "mine"
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    stale = tmp_path / "stale"
    stale.symlink_to("/dev/nothing")
    async with PtyPort([Bench().meter], link=stale) as port:
        assert stale.resolve() == Path(port.path)


async def test_unread_terminal_holds_one_enq() -> None:
    """Nobody listens for a while: a reader that comes later must not find a heap of old ENQs."""
    async with PtyPort([Bench().meter], setup=FAST) as port:
        await asyncio.sleep(0.3)  # ten of them would be due
        fd = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            assert os.read(fd, 4096) in (ENQ, ENQ + ENQ)
        finally:
            os.close(fd)


async def test_paced_terminal_takes_its_time() -> None:
    async with PtyPort([Bench().meter], setup=FAST, baud=9600) as port, PtyReader(port.path) as reader:
        await reader.enq()
        began = time.monotonic()
        reader.send(command(0x14))
        answer = await reader.answer()
        assert crc(answer) == b"\0\0"
        assert time.monotonic() - began > 0.95 * 258 * 10 / 9600
        reader.send(ACK)


async def test_pipe_survives_a_closed_reader() -> None:
    pipe = PtyPipe()
    try:
        async with PtyReader(pipe.path) as reader:
            reader.send(b"abc")
            assert await pipe.read(1) == b"abc"
        assert await pipe.read(0.01) == b""
        assert not pipe.unread()
        await pipe.write(b"xyz")
        async with asyncio.timeout(5):
            while not pipe.unread():  # noqa: ASYNC110 - the kernel hands over in its own time
                await asyncio.sleep(0.001)
    finally:
        pipe.close()


async def test_bus_on_one_port() -> None:
    benches = [Bench(serial=serial, days=2) for serial in ("00000001", "00000002", "00000003")]
    async with (
        TcpPort([b.meter for b in benches]) as port,
        await RawReader.tcp(port.port) as reader,
    ):
        for bench in (*benches, *reversed(benches)):
            reader.send(b"\x99" + bytes.fromhex(bench.meter.serial) + command(0x23))
            answer = await reader.answer()
            assert number(answer, 6, 10) == bench.meter.measurement.current()[0].total
            reader.send(ACK)
        with pytest.raises(TimeoutError):
            await reader.octet(0.6)  # no ENQ


async def test_directional_over_tcp() -> None:
    complement = bytes(255 - i for i in range(256))
    setup = SessionSetup(variant=Variant.DIRECTIONAL, enq_period=0.03)
    async with TcpPort([Bench().meter], setup=setup) as port, await RawReader.tcp(port.port) as reader:
        with pytest.raises(TimeoutError):
            await reader.octet(0.2)
        reader.send(ALO)
        await reader.enq()
        reader.send(command(0x21).translate(complement))
        answer = (await reader.answer()).translate(complement)
        assert answer[:5].hex() == f"21{SERIAL}"
        reader.send(ACK)


@pytest.mark.parametrize("kind", list(FaultKind))
async def test_every_fault_over_tcp(kind: FaultKind) -> None:
    """A patient reader gets the same registers whatever happens once."""
    bench = Bench(days=2)
    plan = FaultPlan()
    arguments = {FaultKind.SILENCE: 0.3, FaultKind.GAP: 0.2, FaultKind.BATTERY: 1.0, FaultKind.WAIT: 2.0}
    async with TcpPort([bench.meter], setup=FAST, faults=plan) as port:
        plan.arm(kind, arguments.get(kind))
        assert await patient(port.port, 0x23) == bench.meter.measurement.current()[0].total
        assert plan.fired == {kind: 1}


async def patient(tcp_port: int, code: int) -> int:
    for _ in range(5):
        async with await RawReader.tcp(tcp_port) as reader:
            try:
                await reader.enq()
                reader.send(command(code))
                async with asyncio.timeout(1):
                    answer = await reader.answer()
                    while answer in (NAK, WAIT):
                        if answer == WAIT:
                            await reader.enq()
                        reader.send(command(code))
                        answer = await reader.answer()
                    while len(answer) == 258 and crc(answer) != b"\0\0":
                        reader.send(NAK)
                        answer = await reader.answer()
            except TimeoutError:
                continue
            if len(answer) < 258 or answer[0] != code or answer[1:5].hex() != SERIAL:
                continue
            reader.send(ACK)
            if await reader.octet() == ENQ:  # the ACK was heard, or is asked for
                reader.send(ACK)
            return number(answer, 6, 10)
    raise AssertionError("no answer after five attempts")


async def test_accelerated_meter_fills_its_memory_while_running() -> None:
    clock = MeterClock(start=local("2026-03-18 10:07:30"), speed=20_000)
    meter = Meter(MeterSetup(SERIAL, automatic_reset=(17, 0)), clock)
    async with TcpPort([meter], setup=FAST) as port, await RawReader.tcp(port.port) as reader:
        before = number(await reader.ask(0x21), 75, 77)
        await asyncio.sleep(0.3)  # a hundred minutes
        parameters = await reader.ask(0x21)
        count = number(parameters, 75, 77)
        got = words(await reader.ask_blocks(0x26), count)
    assert count >= before + 6 * 3
    assert parameters[12:14].hex()[2:] in ("00", "15", "30", "45")
    first = local("2026-03-17 00:00")
    replay = meter.replays[0]
    assert got == [replay.value(channel, first + i * 900) for i in range(count // 3) for channel in range(3)]
