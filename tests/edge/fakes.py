"""A meter that exists only as a driver, on a line that leads to a mute TCP port: for what lies above the protocol."""

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from edge.config.model import Meter, MeterSchedule, Schedule
from edge.drivers.contract import ClockReading, Identity, Readout
from edge.errors import NotPermittedError, PreemptedError
from edge.lines.contract import Claim, OnProgress
from edge.lines.line import ManagedLine
from edge.lines.tcp import open_tcp
from edge.poller.health import Health
from edge.poller.unit import Unit
from ext.profile import pack
from shared.wire import InstantSnapshot, MeterEvent, ProfileBlock, RegisterReading, RegisterValue

STEP = 900


@dataclass
class FakeDriver:
    """Holds ``days`` of profile up to now. ``trouble`` may raise when asked; ``calls`` says what was asked."""

    protocol: ClassVar[str] = "fake"
    meter: str = "m1"
    days: int = 10
    trouble: Callable[[str], None] = lambda what: None
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    permit_close_bill: bool = False
    events: list[MeterEvent] = field(default_factory=list)
    quality: int = 0
    drift: float = 0.0
    memory: dict[str, Any] = field(default_factory=dict)
    slow: float = 0.0

    async def _asked(self, claim: Claim, what: str, *more: Any) -> None:
        self.calls.append((what, *more))
        self.trouble(what)
        for _ in range(int(self.slow / 0.01)):
            await asyncio.sleep(0.01)
            if claim.must_yield:
                raise PreemptedError("made way")

    async def identify(self, claim: Claim) -> Identity:
        await self._asked(claim, "identify")
        return Identity("12345678", "fake", "fake")

    async def read_clock(self, claim: Claim) -> ClockReading:
        await self._asked(claim, "clock")
        now = time.time()
        return ClockReading(int(now + self.drift), now)

    async def read_registers(self, claim: Claim) -> Readout:
        await self._asked(claim, "registers")
        now = int(time.time())
        return Readout(registers=[RegisterReading(self.meter, now, now, 0, [RegisterValue("1.8.0", 42)])])

    async def read_instantaneous(self, claim: Claim) -> Readout:
        await self._asked(claim, "instantaneous")
        return Readout(snapshots=[InstantSnapshot(self.meter, int(time.time()), ["32.7.0"], b"\0\0\xe6B")])

    async def read_profile(self, claim: Claim, start: int, end: int, progress: OnProgress | None = None) -> Readout:
        await self._asked(claim, "profile", start, end)
        newest = int(time.time()) // STEP * STEP
        start, end = max(start, newest - self.days * 86400), min(end, newest)
        if progress:
            progress(1, 1)
        if start >= end:
            return Readout()
        count = (end - start) // STEP
        data = pack(array("q", range(count)), array("H", [self.quality] * count), STEP)
        return Readout(profile=[ProfileBlock(self.meter, "1.29.0", start, STEP, count, data)], events=self.events)

    async def read_events(self, claim: Claim) -> Readout:
        await self._asked(claim, "events")
        return Readout(events=self.events)

    async def set_clock(self, claim: Claim, max_shift: int) -> Readout:
        await self._asked(claim, "set_clock", max_shift)
        if abs(self.drift) > max_shift:
            raise NotPermittedError(f"{self.drift} s is more than {max_shift} s")
        return Readout(events=[MeterEvent(self.meter, int(time.time()), "clock_set")])

    async def close_bill(self, claim: Claim) -> Readout:
        await self._asked(claim, "close_bill")
        if not self.permit_close_bill:
            raise NotPermittedError("permit_close_bill is off")
        return Readout(events=[MeterEvent(self.meter, int(time.time()), "demand_reset")])

    def state(self) -> dict[str, Any]:
        return dict(self.memory)

    def restore(self, state: dict[str, Any]) -> None:
        self.memory = state


@asynccontextmanager
async def mute_line() -> AsyncIterator[ManagedLine]:
    """A line to a TCP port that accepts and says nothing."""

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = ManagedLine("line1", lambda: open_tcp("127.0.0.1", port, 2.0))
    try:
        yield line
    finally:
        await line.close()
        server.close()
        await asyncio.sleep(0.01)


def make_unit(line: ManagedLine, driver: FakeDriver, schedule: Schedule | None = None) -> Unit:
    config = Meter(id=driver.meter, serial="12345678", line=line.name, schedule=MeterSchedule())
    return Unit(config, schedule or Schedule(), driver, line, Health(driver.meter))
