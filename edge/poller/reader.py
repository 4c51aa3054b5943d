"""One visit to a meter: claim its line, ask its driver, store everything it brought in one transaction."""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from edge.drivers.contract import Readout
from edge.errors import EdgeError, PreemptedError
from edge.lines.contract import Claim, LineClass, OnProgress
from edge.poller.health import Health
from edge.poller.policy import Scope, penalty_of
from edge.poller.schedule import Kind
from edge.poller.unit import Harvest, Unit
from edge.spool import Spool
from shared.intervals import Range
from shared.wire import Item, MeterEvent, Progress

log = structlog.get_logger("edge.poller")

Publish = Callable[[Progress], None]
Results = Callable[["Outcome"], Iterable[Item]]
Ask = Callable[[Claim, Harvest, "Outcome"], Awaitable[None]]

#: Live progress of one reading goes out at most so often (s).
PROGRESS_EVERY: Final = 0.5


@dataclass
class Outcome:
    """What became of a visit: kinds read, errors by kind (None: one that ended the visit), items stored.

    ``answered``: the meter was asked something and answered. ``drift``: of its clock in s, where that was read.
    """

    done: list[Kind] = field(default_factory=list)
    errors: list[tuple[Kind | None, Exception]] = field(default_factory=list)
    items: Sequence[Item] = ()
    answered: bool = False
    drift: float | None = None
    committed: bool = False

    @property
    def error(self) -> Exception | None:
        return self.errors[0][1] if self.errors else None


def _nothing(outcome: Outcome) -> Iterable[Item]:
    return ()


@dataclass
class Reader:
    """Reads meters for the plan and for commands alike. ``publish`` gets live progress and must not block."""

    spool: Spool
    publish: Publish
    wall: Callable[[], float] = time.time

    async def visit(
        self,
        unit: Unit,
        kinds: Sequence[Kind],
        line_class: LineClass,
        command: str | None = None,
        results: Results = _nothing,
    ) -> Outcome:
        """Read ``kinds`` in order. An error of the meter or the line ends the visit; what was read by then is kept.

        ``results`` are items about the outcome that belong into the same transaction.
        """

        async def ask(claim: Claim, harvest: Harvest, outcome: Outcome) -> None:
            for kind in kinds:
                if outcome.done and claim.must_yield:
                    raise PreemptedError(f"a higher class waits for line {unit.line.name}")
                try:
                    await self._read(kind, unit, claim, harvest, outcome, command)
                    outcome.done.append(kind)
                except Exception as error:
                    if penalty_of(error).scope is not Scope.KIND:
                        raise
                    outcome.errors.append((kind, error))

        return await self._run(unit, line_class, command, ask, results)

    async def read_range(
        self,
        unit: Unit,
        wanted: Range,
        line_class: LineClass,
        command: str | None = None,
        results: Results = _nothing,
    ) -> Outcome:
        """Read the profile of ``wanted``, held or not."""

        async def ask(claim: Claim, harvest: Harvest, outcome: Outcome) -> None:
            readout = await unit.driver.read_profile(claim, *wanted, self._progress(unit, Kind.PROFILE, command))
            outcome.answered = True
            harvest.add_profile(readout, wanted, self.wall())
            outcome.done.append(Kind.PROFILE)

        return await self._run(unit, line_class, command, ask, results)

    async def act(
        self, unit: Unit, action: Callable[[Claim], Awaitable[Readout]], command: str, results: Results
    ) -> Outcome:
        """Do something to a meter on behalf of a command; what it reports is stored."""

        async def ask(claim: Claim, harvest: Harvest, outcome: Outcome) -> None:
            harvest.add(await action(claim))
            outcome.answered = True

        return await self._run(unit, LineClass.COMMAND, command, ask, results)

    async def _run(self, unit: Unit, line_class: LineClass, command: str | None, ask: Ask, results: Results) -> Outcome:
        """Claim, ask, store. All errors land in the outcome, the spool's too: then nothing counts as read."""
        await self._refresh(unit)
        harvest, outcome = Harvest(unit), Outcome()
        owner = f"{unit.id} {command}" if command else unit.id
        remembered: dict[str, Any] | None = None
        try:
            async with unit.line.claim(line_class, owner) as claim:
                remembered = unit.driver.state()
                await ask(claim, harvest, outcome)
        except EdgeError as error:
            outcome.errors.append((None, error))
        except Exception as error:
            log.exception("our own mistake while reading", meter=unit.id, line=unit.line.name)
            outcome.errors.append((None, error))
        now, errors = self.wall(), [error for _, error in outcome.errors]
        harvest.judge(lambda health: _verdict(health, outcome.answered, errors, now))
        async with unit.storing:
            try:
                await self.spool.commit(harvest.visit(results(outcome)))
            except EdgeError as error:
                log.debug("visit not stored", meter=unit.id, error=str(error))
                if remembered is not None:  # what the driver found new it has to find again
                    unit.driver.restore(remembered)
                if not outcome.answered:
                    unit.health.count(harvest.health)
                outcome.errors.insert(0, (None, error))
                outcome.done.clear()
                return outcome
            harvest.settle()
        outcome.items, outcome.committed = harvest.items, True
        return outcome

    async def _read(
        self, kind: Kind, unit: Unit, claim: Claim, harvest: Harvest, outcome: Outcome, command: str | None
    ) -> None:
        progress = self._progress(unit, kind, command)
        if kind is Kind.PROFILE:
            wanted = unit.memory.live(self.wall(), max(unit.backfill_days, 1))
            if wanted is None:
                return
            harvest.add_profile(await unit.driver.read_profile(claim, *wanted, progress), wanted, self.wall())
        elif kind is Kind.CLOCK:
            reading = await unit.driver.read_clock(claim)
            outcome.drift = reading.drift
            if abs(reading.drift) > unit.schedule.clock_tolerance:
                detail = {"drift": round(reading.drift, 1)}
                harvest.events([MeterEvent(unit.id, int(reading.gateway), "clock_drift", detail=detail)])
        elif kind is Kind.INSTANTANEOUS:
            harvest.add(await unit.driver.read_instantaneous(claim))
        elif kind is Kind.REGISTERS:
            harvest.add(await unit.driver.read_registers(claim))
        else:
            harvest.add(await unit.driver.read_events(claim))
        outcome.answered = True
        if command:
            progress(1, 1)

    async def _refresh(self, unit: Unit) -> None:
        """Rows that the spool has lost are not held any more: take its interval maps afresh."""
        losses = self.spool.losses
        if unit.losses != losses:
            unit.recall(await self.spool.intervals.get(unit.id))
            unit.losses = losses

    def _progress(self, unit: Unit, kind: Kind, command: str | None) -> OnProgress:
        said = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal said
            now = self.wall()
            if done < total and 0 <= now - said < PROGRESS_EVERY:
                return
            said = now
            self.publish(Progress(int(now), unit.line.name, unit.id, kind.value, done, total, command))

        return tell


def _verdict(health: Health, answered: bool, errors: Sequence[Exception], now: float) -> list[MeterEvent]:
    events = health.succeeded(now) if answered else []
    for error in errors:
        events += health.failed(now, error)
    return events


async def load_unit(spool: Spool, unit: Unit) -> None:
    """Give a unit what the spool has stored of it. A state that its driver refuses is reported and forgotten."""
    stored = await spool.state.get(unit.id)
    if stored is not None:
        try:
            unit.restore(stored)
        except EdgeError as error:
            log.warning("stored state not usable, beginning afresh", meter=unit.id, error=str(error))
    unit.recall(await spool.intervals.get(unit.id))
    unit.losses = spool.losses
