"""All forwards of a gateway, and the way of their records into the spool."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog

from edge.config import Config, driver_settings
from edge.config.model import Meter, SerialLine, TcpLine
from edge.drivers import open_driver
from edge.drivers.contract import Driver
from edge.errors import ConfigError, EdgeError
from edge.fleet import Fleet
from edge.forwarder.connection import Route
from edge.forwarder.forward import Forward
from edge.forwarder.selftest import Passed
from edge.forwarder.tap import Listener, Tap
from edge.guardian import CloseReason, Expected, Inspector
from edge.lines.factory import build_line
from edge.lines.line import ManagedLine
from edge.spool import Spool, Visit
from ext.pump import Pump
from shared.wire import ForwardCapture, ForwardConnection, ForwardState, Item

log = structlog.get_logger("edge.forwarder")

#: What the spool does not take now is offered again after so many seconds.
AGAIN: Final = 5.0
#: Items kept for a spool that takes nothing; beyond, captures go first, then the oldest.
WAITING: Final = 2000

#: Whatever a self-test reads, it is no inspection.
_ALL_CODES: Final = frozenset(f"{code:02X}" for code in range(256))

Inspect = Callable[[Expected, float], Listener]


def state_key(meter: str) -> str:
    """Where the spool keeps what a forward remembers; no meter is called so."""
    return f"forward {meter}"


class Forwarder:
    """``async with`` it: listens inside, and has stored every record behind it."""

    def __init__(
        self,
        config: Config,
        fleet: Fleet,
        spool: Spool,
        touch: Callable[[], None] = lambda: None,
        inspect: Inspect | None = Inspector,
    ) -> None:
        self.reason = CloseReason.STOPPED  # of connections that are open at the end
        self._config, self._fleet, self._spool = config, fleet, spool
        self._own_lines: list[ManagedLine] = []
        meters = [meter for meter in config.meters if meter.enabled and meter.forward is not None]
        self._tap = Tap(Pump(max(len(meters), 1))) if meters else None
        self.forwards: dict[str, Forward] = {}
        for slot, meter in enumerate(meters):
            assert self._tap is not None  # noqa: S101
            self.forwards[meter.id] = Forward(
                meter, self._route(meter), self._tap, slot, self, self._driver_maker(meter), inspect,
                self._expectation(meter), touch,
            )  # fmt: skip
        self._queue: deque[tuple[list[Item], dict[str, dict[str, Any]]]] = deque()
        self._filled = asyncio.Event()
        self._closing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._journal: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Forwarder":
        if self._tap is None:
            return self
        for meter, forward in self.forwards.items():
            forward.state.update(await self._spool.state.get(state_key(meter)) or {})
        for opened in await self._spool.connections.unfinished():
            cut = self.forwards.get(opened.meter)
            if cut is not None:
                cut.cut_before(opened, time.time())
        self._tap.start()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(), name="forwards to spool")]
        for meter, forward in self.forwards.items():
            self._tasks.append(loop.create_task(forward.run(), name=f"listen {meter}"))
            self._tasks.append(loop.create_task(forward.test_on_schedule(), name=f"self-test {meter}"))
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._tap is None:
            return
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks[1:], return_exceptions=True)
        await asyncio.gather(*(forward.close(self.reason) for forward in self.forwards.values()))
        self._tap.close()
        for line in self._own_lines:
            await line.close()
        self._closing.set()
        self._filled.set()
        await self._tasks[0]  # never cancelled: what is on its way to the spool would be offered a second time
        await asyncio.gather(*self._journal)

    @property
    def connected(self) -> list[str]:
        """Meters to which somebody other than we is connected now."""
        return [
            meter for meter, forward in self.forwards.items()
            if forward.active is not None and forward.active.opened.mode == forward.settings.mode
        ]  # fmt: skip

    def states(self) -> list[ForwardState]:
        units = self._fleet.units
        return [
            forward.shown(units[meter].health.last_ok if meter in units else None)
            for meter, forward in self.forwards.items()
        ]

    def alarms(self) -> list[str]:
        """``code: words`` for an operator."""
        found = [f"forward_trouble: {meter}: {each.trouble}" for meter, each in self.forwards.items() if each.trouble]
        return found + [
            f"ccee_repeated_failure: {meter}: {each.state['failures']} sessions of CCEE in a row failed"
            for meter, each in self.forwards.items()
            if each.state.get("failures", 0) >= 2
        ]

    async def test(self, meter: str) -> Passed:
        """Self-test of a meter's forward now; :class:`ConfigError` when it has none."""
        forward = self.forwards.get(meter)
        if forward is None:
            raise ConfigError(f"meter {meter} has no forward here; there are: {', '.join(self.forwards) or 'none'}")
        return await forward.test()

    # -- records -------------------------------------------------------------------------------------------------------

    def opened(self, connection: ForwardConnection) -> None:
        """Note an open connection in the spool's journal; a spool that cannot take it does not hold CCEE up."""

        async def note() -> None:
            try:
                await self._spool.connections.open(connection)
            except EdgeError as error:
                log.warning("connection not in the journal", meter=connection.meter, error=str(error))

        task = asyncio.get_running_loop().create_task(note())
        self._journal.add(task)
        task.add_done_callback(self._journal.discard)

    def store(self, items: Sequence[Item], state: Mapping[str, Any] | None = None) -> None:
        """Queue for the spool; ``state`` is kept with the items, whole or not at all."""
        meter = next((getattr(item, "meter", "") for item in items), "")
        if state is not None and not meter:
            meter = next(name for name, forward in self.forwards.items() if forward.state is state)
        if len(self._queue) >= WAITING:
            self._queue[0][0][:] = [item for item in self._queue[0][0] if not isinstance(item, ForwardCapture)]
            self._queue.popleft()
        self._queue.append((list(items), {} if state is None else {state_key(meter): dict(state)}))
        self._filled.set()

    async def _keep(self) -> None:
        while not self._closing.is_set():
            await self._filled.wait()
            try:
                await self._store_all()
            except EdgeError as error:
                log.warning("records of forwards not stored, offered again", error=str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN):
                        await self._closing.wait()
        try:
            await self._store_all()
        except EdgeError as error:  # their rows in the journal stay: the next start tells of them
            log.error("records of forwards not stored", waiting=len(self._queue), error=str(error))

    async def _store_all(self) -> None:
        while self._queue:
            items, states = self._queue[0]
            await asyncio.gather(*self._journal)  # the journal's row comes before the record that removes it
            await self._spool.commit(Visit(items, states))
            self._queue.popleft()
        self._filled.clear()

    # -- building ------------------------------------------------------------------------------------------------------

    def _route(self, meter: Meter) -> Route:
        forward = meter.forward
        assert forward is not None  # noqa: S101
        target = forward.target or meter.line
        if ":" in target:
            line = build_line(TcpLine(name=f"{meter.id}-ccee"[:48], address=target))
            self._own_lines.append(line)
            return Route(line, 0.0)
        config = next(line for line in self._config.lines if line.name == target)
        return Route(self._fleet.lines[target], forward.flush_ms / 1000 if isinstance(config, SerialLine) else 0.0)

    def _driver_maker(self, meter: Meter) -> Callable[[], Driver]:
        def make() -> Driver:
            driver = open_driver(meter.protocol, meter.id, driver_settings(self._config, meter) | _over_tcp(meter))
            unit = self._fleet.units.get(meter.id)
            if unit is not None:
                driver.restore(unit.driver.state())
            return driver

        return make

    def _expectation(self, meter: Meter) -> Callable[[Mapping[str, str], bool], Expected]:
        zone, schedule = ZoneInfo(self._config.zone), self._config.schedule_of(meter)

        def expected(constants: Mapping[str, str], self_test: bool) -> Expected:
            offset = datetime.now(zone).utcoffset()
            return Expected(
                meter.serial, meter.protocol, constants or None, float(schedule.clock_tolerance),
                utc_offset=0 if offset is None else int(offset.total_seconds()),
                daily=_ALL_CODES if self_test else frozenset(),
            )  # fmt: skip

        return expected


def _over_tcp(meter: Meter) -> dict[str, Any]:
    """The self-test speaks over a network, whatever the meter's own line is."""
    return {"link": "tcp"} if meter.protocol == "abnt" else {}
