"""CCEE comes at every point of our own conversation with the meter: neither conversation is ever corrupted (F5)."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import pytest

from edge.errors import PreemptedError
from edge.lines import line as lines
from edge.lines.contract import LineClass
from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.server import TcpPort
from edge.simulators.abnt.setup import MeterSetup
from edge.simulators.faults import FaultKind
from shared.intervals import Range
from tests.edge.forwarder.benches import Bench, bench, serving
from tests.edge.simulators.rawreader import RawReader
from tests.ports import until

DAYS = 2


class Gate:
    """Between line and meter: says when ``mark`` octets of the meter have passed, and holds the rest of them.

    ``hold`` seconds the rest is kept back; a line that is opened anew is not held.
    """

    def __init__(self, target: int, mark: int, hold: float) -> None:
        self.target, self.mark, self.hold = target, mark, hold
        self.reached = asyncio.Event()
        self.port = 0
        self._passed = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Gate":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        up = asyncio.create_task(self._pump(reader, far_writer, False))
        try:
            await self._pump(far_reader, writer, not self.reached.is_set())
        finally:
            up.cancel()
            writer.close()
            far_writer.close()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watched: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                if watched and not self.reached.is_set() and self._passed + len(data) >= self.mark:
                    cut = self.mark - self._passed
                    writer.write(data[:cut])
                    self.reached.set()
                    await asyncio.sleep(self.hold)
                    data = data[cut:]
                self._passed += len(data)
                if data:
                    writer.write(data)
        with suppress(OSError):
            writer.close()


async def ccee_reads(it: Bench, meter: Meter) -> float:
    """A whole collection as CCEE makes it; returns how long its first octet took."""
    began = time.monotonic()
    async with await RawReader.tcp(it.port) as ccee:
        await ccee.enq()
        waited = time.monotonic() - began
        identity = await ccee.ask(0x21)
        blocks = await ccee.ask_blocks(0x52)
    assert identity[1:5].hex() == meter.serial
    assert [block[0] for block in blocks] == [0x52] * len(blocks)
    assert [int(block[5:7].hex()) % 1000 for block in blocks][-1] == len(blocks) or blocks[-1][5] & 0x10
    return waited


async def own_reading(it: Bench) -> object:
    """The meter's whole memory by our own driver; returns the outcome."""
    unit = it.fleet.units["m1"]
    now = int(time.time())
    return await it.reader.read_range(unit, Range(now - DAYS * 86400, now), LineClass.BACKFILL)


async def held_is_true(it: Bench, meter: Meter) -> None:
    """Nothing of our own reading is lost: what is missing is asked for again and then is what the meter recorded."""
    outcome = await asyncio.wait_for(own_reading(it), 30)
    assert outcome.error is None  # type: ignore[attr-defined]
    unit = it.fleet.units["m1"]
    begin, end = meter.memory()
    assert unit.memory.share(begin + 900, end - 1800) == 1.0


#: ENQ; the answer to 21 (258 octets) and its ENQs; then blocks of 52.
MARKS = [1, 2, 3, 60, 258, 259, 260, 262, 300, 400, 516, 517, 518, 520, 600, 775, 777, 1000, 1034, 1300, 2000]


@pytest.mark.parametrize("mark", MARKS)
async def test_a_frame_ends_then_ccee_is_through(spool_path: Path, mark: int) -> None:
    meter = Meter(MeterSetup("10000001", days=DAYS))
    async with TcpPort([meter]) as port, Gate(port.port, mark, 0.05) as gate:
        port_of_gate = TcpPort([meter], port=gate.port)  # only its address: the gate stands there
        async with bench(spool_path, port_of_gate, resume_seconds=0) as it:
            own = asyncio.create_task(own_reading(it))
            await asyncio.wait_for(gate.reached.wait(), 10)
            waited = await ccee_reads(it, meter)
            assert waited < 3.5
            await asyncio.wait_for(own, 30)
            (record,) = await it.records(1)
            assert (record.close_reason, record.verdict) == ("client", "I14"), record.reason
            await held_is_true(it, meter)


@pytest.mark.parametrize("mark", [1, 100, 259, 400, 800])
async def test_a_conversation_that_hangs_is_cut_after_its_term(
    spool_path: Path, mark: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "CCEE_PATIENCE", 0.4)
    meter = Meter(MeterSetup("10000001", days=DAYS))
    async with (
        TcpPort([meter]) as port,
        Gate(port.port, mark, 60) as gate,
        bench(spool_path, TcpPort([meter], port=gate.port), resume_seconds=0) as it,
    ):
        own = asyncio.create_task(own_reading(it))
        await asyncio.wait_for(gate.reached.wait(), 10)
        await ccee_reads(it, meter)
        outcome = await asyncio.wait_for(own, 30)
        assert isinstance(outcome.error, PreemptedError)  # type: ignore[attr-defined]
        (record,) = await it.records(1)
        assert record.verdict == "I14", record.reason
        await held_is_true(it, meter)


async def test_while_the_meter_asks_us_to_wait(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=DAYS))
    async with TcpPort([meter]) as port, bench(spool_path, port, resume_seconds=0) as it:
        port.faults.arm(FaultKind.WAIT, 12)
        own = asyncio.create_task(own_reading(it))
        await until(lambda: port.faults.fired[FaultKind.WAIT] > 0)
        assert await ccee_reads(it, meter) < 3.5
        await own
        await held_is_true(it, meter)


async def test_own_reading_rests_after_ccee_and_ccee_may_come_back(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=DAYS))
    async with TcpPort([meter]) as port, bench(spool_path, port, resume_seconds=2) as it:
        await ccee_reads(it, meter)
        gone = time.monotonic()
        own = asyncio.create_task(own_reading(it))
        await asyncio.sleep(0.2)
        await ccee_reads(it, meter)
        assert not own.done()
        back = time.monotonic()
        await asyncio.wait_for(own, 10)
        assert time.monotonic() - back >= 1.5 > back - gone - 1


async def test_commands_are_refused_while_ccee_is_connected(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=DAYS))
    async with (
        TcpPort([meter]) as port,
        bench(spool_path, port, resume_seconds=0) as it,
        await RawReader.tcp(it.port) as ccee,
    ):
        await ccee.ask(0x21)
        outcome = await it.reader.visit(it.fleet.units["m1"], [], LineClass.COMMAND)
        assert isinstance(outcome.error, PreemptedError)
        assert "CCEE reads over line line" in str(outcome.error)
        await ccee.ask(0x21)


async def test_what_ccee_says_before_the_line_is_free_is_kept_to_the_octet(spool_path: Path) -> None:
    """4 kB at once, and more behind them: the network waits, nothing is lost."""
    heard = bytearray()

    async def meter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                heard.extend(data)
        writer.close()

    sent = bytes(i * 31 & 0xFF for i in range(20_000))
    async with serving(meter) as number, bench(spool_path, number) as it:
        line = it.fleet.lines["line"]
        async with line.claim(LineClass.PLANNED, "we") as claim:
            _, writer = await asyncio.open_connection("127.0.0.1", it.port)
            writer.write(sent)
            await until(lambda: claim.must_yield)
            await asyncio.sleep(0.1)
            assert not heard
            assert it.forward.active is not None
            assert len(it.forward.active._early) == 4096
        await until(lambda: len(heard) == len(sent))
        writer.close()
        await it.records(1)
    assert bytes(heard) == sent
