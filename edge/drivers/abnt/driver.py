"""The common driver contract for one NBR 14522 meter."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final

import msgspec
import structlog

from edge.drivers.abnt import commands
from edge.drivers.abnt.billing import read_period, reset_bill
from edge.drivers.abnt.clock import wait_before_setting
from edge.drivers.abnt.convert import snapshot
from edge.drivers.abnt.events import (
    battery_event,
    change_events,
    change_key,
    outage_events,
    reset_event,
)
from edge.drivers.abnt.layout import Instantaneous, Measurement
from edge.drivers.abnt.layout.requests import SetDate, SetTime
from edge.drivers.abnt.memory import Memory
from edge.drivers.abnt.reading import ProfileReading
from edge.drivers.abnt.settings import AbntSettings
from edge.drivers.abnt.trace import Trace
from edge.drivers.abnt.visit import GroupView, Visit, restoring
from edge.drivers.contract import ClockReading, Evidence, Identity, Readout
from edge.errors import (
    BusyError,
    ConfigError,
    EdgeError,
    NotPermittedError,
    PreemptedError,
    ProtocolError,
    RefusedError,
)
from edge.lines.contract import Claim, OnProgress
from shared.wire import MeterEvent

#: A clock this close is right: the meter shows whole seconds.
CLOCK_TOLERANCE: Final = 1
#: What a clock may be off right after it was set: whole seconds and the wait for ENQ.
SET_TOLERANCE: Final = 2
#: Longest wait on the line for a safe moment to set a clock; beyond, the line is given back.
MAX_CLOCK_WAIT: Final = 45

_log = structlog.get_logger(__name__)


class AbntDriver:
    """Reads one meter. Between visits it holds :class:`Memory` (stored by the gateway) and nothing of the line."""

    protocol: ClassVar[str] = "abnt"

    def __init__(self, meter: str, settings: AbntSettings, now: Callable[[], float] = time.time) -> None:
        settings.zone_info()  # an unknown zone is refused here, not at the first reading
        self.meter = meter
        self.settings = settings
        self._now = now
        self._memory = Memory()
        self._pending: list[MeterEvent] = []
        self._barred: dict[int, tuple[float, RefusedError]] = {}
        self._failing = False

    # -- reading -----------------------------------------------------------------------------------------------------

    async def identify(self, claim: Claim) -> Identity:
        async with self._visit(claim) as visit:
            view = await visit.parameters(commands.PARAMETERS)
            body = await visit.ask_optional(commands.MEASUREMENT)
            measurement = None if body is None else Measurement.decode(body)
        return Identity(
            visit.session.link.serial or "",
            f"ABNT {view.parameters.model}",
            self.protocol,
            _detail(view, visit, measurement),
        )

    async def read_clock(self, claim: Claim) -> ClockReading:
        async with self._visit(claim) as visit:
            view = await visit.parameters(commands.PARAMETERS)
        return ClockReading(_meter_now(view), view.at)

    async def read_registers(self, claim: Claim) -> Readout:
        """Registers of all groups, running period; those of the closed period too when a reset was not yet seen."""
        async with self._visit(claim) as visit:
            view = await visit.parameters(commands.PARAMETERS)
            async with restoring(visit):
                running = await read_period(visit, view, closed=False)
                closed = await read_period(visit, view, closed=True) if running.closed_is_new else None
            readings = running.readings + (closed.readings if closed else [])
            events = self._conditions(view)
            if closed is not None:
                self._memory.closed = running.reset_key
        evidence = [self._evidence("registers", visit)]
        return Readout(registers=readings, events=self._events(events), evidence=evidence)

    async def read_instantaneous(self, claim: Claim) -> Readout:
        async with self._visit(claim) as visit:
            body = await visit.ask(commands.INSTANTANEOUS)
            values = Instantaneous.decode(body)
            at = int(visit.answered_at)
        return Readout(snapshots=[snapshot(values, self.meter, at)], events=self._events([]))

    async def read_profile(self, claim: Claim, start: int, end: int, progress: OnProgress | None = None) -> Readout:
        if start >= end:
            raise ValueError(f"profile from {start} to {end}: nothing lies between")
        async with self._visit(claim) as visit:
            view = await visit.parameters(commands.PARAMETERS)
            async with restoring(visit):
                reading = ProfileReading(visit, view, (start, end), progress)
                await reading.run()
            events = self._conditions(view) + reading.events
        evidence = [self._evidence("profile", visit)] if reading.blocks else []
        return Readout(profile=reading.blocks, events=self._events(events), evidence=evidence)

    async def read_events(self, claim: Claim) -> Readout:
        async with self._visit(claim) as visit:
            view = await visit.parameters(commands.PARAMETERS)
            outages = await visit.outages()
            log = await visit.change_log()
            events = self._conditions(view)
            events += outage_events(outages, self.meter, view.clock, self._memory)
            events += change_events(log.found, self.meter, view.clock, self._memory)
        return Readout(events=self._events(events))

    # -- changing ----------------------------------------------------------------------------------------------------

    async def set_clock(self, claim: Claim, max_shift: int) -> Readout:
        """Set the clock by 30, and 29 when the date differs; never across an interval's end where that can be helped.

        A clock that is right stays alone. Raises :class:`NotPermittedError` beyond ``max_shift``, :class:`BusyError`
        when the safe moment is far, :class:`ProtocolError` when the meter took the order and kept its time.
        """
        async with self._visit(claim) as visit:
            view = await self._before_setting(visit, max_shift)
            before = _meter_now(view) - view.at
            if abs(before) <= CLOCK_TOLERANCE:
                return Readout(events=self._events([]))
            target = view.clock.show(self._now() + 0.5)
            shown = view.parameters.now
            if shown is None or shown.date() != target.date():
                await visit.ask(commands.SET_DATE, SetDate.to(target.date()).parameters)
                target = view.clock.show(self._now() + 0.5)
            time_of_day = SetTime(hour=target.hour, minute=target.minute, second=target.second)
            await visit.ask(commands.SET_TIME, time_of_day.parameters)
            view = await visit.parameters(commands.PARAMETERS)
            after = _meter_now(view) - view.at
            await self._own_changes(visit)
        if abs(after) > SET_TOLERANCE:
            raise ProtocolError(
                f"meter {self.meter}: clock was {before:+.0f} s off, was set, and is {after:+.0f} s off: "
                "the meter acknowledged the order without following it"
            )
        detail = {"before": round(before, 1), "after": round(after, 1), "reader": self.settings.reader_serial}
        return Readout(events=self._events([MeterEvent(self.meter, int(view.at), "clock_set", None, detail)]))

    async def _before_setting(self, visit: Visit, max_shift: int) -> GroupView:
        view = await visit.parameters(commands.PARAMETERS)
        drift = _meter_now(view) - view.at
        if abs(drift) > max_shift:
            raise NotPermittedError(
                f"meter {self.meter}: clock is {drift:+.0f} s off, more than the {max_shift} s allowed: "
                "repeat with a larger limit if the meter is really to be set"
            )
        wait = wait_before_setting(_meter_now(view), int(view.at), view.parameters.profile_step or 900)
        if abs(drift) <= CLOCK_TOLERANCE or not wait:
            return view
        if wait > MAX_CLOCK_WAIT:
            raise BusyError(f"meter {self.meter}: clock can be set without cutting an interval in {wait} s: try then")
        for _ in range(wait):
            if visit.claim.must_yield:
                raise PreemptedError(f"meter {self.meter}: setting the clock gave way to a higher class")
            await asyncio.sleep(1)
        return await visit.parameters(commands.PARAMETERS)

    async def _own_changes(self, visit: Visit) -> None:
        """Remember the change-log entries that our own order made, so that they are not reported a second time."""
        keys = [change_key(change) for change in (await visit.change_log()).found if change.when is not None]
        if self._memory.changes is not None:  # else nothing was reported yet: the next reading reports the whole log
            own = f"/{self.settings.reader_serial}/"
            mine = [key for key in keys if own in key and int(key[:2], 16) in (commands.SET_DATE, commands.SET_TIME)]
            self._memory.changes += [key for key in mine if key not in self._memory.changes]

    async def close_bill(self, claim: Claim) -> Readout:
        """Demand reset (20): sent once, never repeated; returns the frozen registers."""
        if not self.settings.permit_close_bill:
            raise NotPermittedError(
                f"meter {self.meter}: closing the bill (command 20) is not permitted (setting permit_close_bill)"
            )
        async with self._visit(claim) as visit:
            async with restoring(visit):
                view, closed = await reset_bill(visit)
            events = self._conditions(view)
            self._memory.closed = closed.reset_key
        return Readout(
            registers=closed.readings, events=self._events(events), evidence=[self._evidence("demand reset", visit)]
        )

    # -- memory ------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return msgspec.to_builtins(self._memory)  # type: ignore[no-any-return]

    def restore(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state` gave; a state that is none raises :class:`ConfigError` and changes nothing.

        What was remembered of another meter, exchanged since, is forgotten.
        """
        try:
            memory = msgspec.convert(state, Memory)
        except msgspec.ValidationError as error:
            raise ConfigError(f"stored state of meter {self.meter} is no state of the abnt driver: {error}") from error
        if self.settings.serial is not None and memory.serial not in (None, self.settings.serial):
            _log.info("meter exchanged, its state is forgotten", meter=self.meter, old=memory.serial)
            memory = Memory()
        self._memory = memory

    @property
    def reconciled(self) -> bool | None:
        """Whether profile and registers agree; None while not looked at."""
        return self._memory.reconciled

    # -- common ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _visit(self, claim: Claim) -> AsyncIterator[Visit]:
        trace = Trace()
        visit = Visit(claim, self.meter, self.settings, self._memory, trace, self._pending, self._barred, self._now)
        try:
            yield visit
        except PreemptedError:
            raise
        except EdgeError as error:
            level = _log.debug if self._failing else _log.warning
            counted = msgspec.to_builtins(visit.session.statistics)
            level("reading failed", meter=self.meter, error=str(error), frames=list(trace.lines()), **counted)
            self._failing = True
            raise
        else:
            self._failing = False

    def _conditions(self, view: GroupView) -> list[MeterEvent]:
        events = battery_event(view.parameters, self.meter, int(view.at), self._memory)
        return events + reset_event(view.parameters, self.meter, view.clock, self._memory)

    def _events(self, events: list[MeterEvent]) -> list[MeterEvent]:
        """Add what was met on the way, in this visit or in one that failed afterwards."""
        pending = list(self._pending)
        self._pending.clear()
        return pending + events

    def _evidence(self, what: str, visit: Visit) -> Evidence:
        return Evidence(self.meter, int(self._now()), what, tuple(visit.frames))


def _meter_now(view: GroupView) -> int:
    if view.parameters.now is None:
        raise ProtocolError("the meter's clock is blank: it must be set by hand before anything can be read")
    return view.clock.present(view.parameters.now)


def _detail(view: GroupView, visit: Visit, measurement: Measurement | None) -> dict[str, Any]:
    parameters = view.parameters
    detail: dict[str, Any] = {
        "variant": visit.session.link.variant.value,
        "firmware": parameters.firmware,
        "battery": "bad" if parameters.battery else "good",
        "groups": parameters.groups,
        "quantities": [channel.code for channel in view.channels],
        "constants": [[channel.num, channel.den] for channel in view.channels],
        "demand_minutes": parameters.demand_minutes,
        "profile_step": parameters.profile_step,
        "tariff": parameters.tariff,
        "summer_time": parameters.summer_time == 1,
        "resets": parameters.resets,
        "posts": {
            name: [start.isoformat("minutes") for start in starts or ()]
            for name, starts in (
                ("peak", parameters.peak_starts),
                ("off_peak", parameters.off_peak_starts),
                ("reserved", parameters.reserved_starts),
            )
        },
    }
    if measurement is not None:
        detail["ratios"] = [[ratio.numerator, ratio.denominator] for ratio in measurement.ratios]
        detail["connection"] = measurement.connection
        detail["consumer"] = measurement.consumer
    return detail
