"""One worker per line: does what the plan says, tells the plan how it went."""

import asyncio
import time
from collections.abc import Callable, Sequence
from random import Random

import structlog

from edge.errors import EdgeError, LinkError, PreemptedError
from edge.lines.contract import LineClass
from edge.lines.line import ManagedLine
from edge.poller.health import Health, State
from edge.poller.plan import LONGEST_SLEEP, Backfill, Plan, Visit
from edge.poller.reader import Outcome, Reader
from edge.poller.schedule import Kind, periods
from edge.poller.series import Series
from edge.poller.unit import Unit
from shared.wire import MeterEvent

log = structlog.get_logger("edge.poller")


class LineWorker:
    """Reads the meters of one line by their schedules until cancelled; ``changed``: a meter's state has."""

    def __init__(
        self,
        line: ManagedLine,
        units: Sequence[Unit],
        reader: Reader,
        changed: Callable[[], None],
        *,
        random: Random | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.line = line
        self.plan = Plan(random)
        self._units = {unit.id: unit for unit in units}
        self._reader = reader
        self._changed = changed
        self._wall = wall
        self._series = Series()
        for unit in units:
            # back-fill begins after the first live reading
            self.plan.add(unit.id, periods(unit.schedule), wall(), unit.free)

    async def run(self) -> None:
        while True:
            pause = self.line.retry_at - time.monotonic()
            if pause > 0:  # the line backs off; whoever else gets it open ends the pause
                await asyncio.sleep(min(pause, 1.0))
                continue
            step = self.plan.next(self._wall())
            if isinstance(step, Visit):
                await self._visit(self._units[step.meter], step.kinds)
            elif isinstance(step, Backfill):
                await self._backfill(self._units[step.meter])
            else:
                await asyncio.sleep(min(step.seconds, LONGEST_SLEEP))

    async def _visit(self, unit: Unit, kinds: tuple[Kind, ...]) -> None:
        before = self._shown(unit)
        outcome = await self._reader.visit(unit, kinds, LineClass.PLANNED)
        now = self._wall()
        for kind in outcome.done:
            self.plan.done(unit.id, kind, now)
            self._series.succeeded((unit.id, kind.value), meter=unit.id, line=self.line.name)
        failed: set[Kind] = set()
        for known, error in outcome.errors:
            # an error that ended the visit belongs to the kind it was at; what was not asked for stays due
            left = [kind for kind in kinds if kind not in outcome.done and kind not in failed]
            kind = known or next(iter(left), kinds[0])
            failed.add(kind)
            delay = self.plan.failed(unit.id, kind, now, error)
            self._log(unit, kind, error, delay)
        if Kind.PROFILE in outcome.done:
            self._want_backfill(unit)
        await self._after(unit, outcome, before != self._shown(unit))

    async def _backfill(self, unit: Unit) -> None:
        wanted = unit.next_chunk(self._wall())
        if wanted is None:
            self.plan.want_backfill(unit.id, False)
            return
        before = self._shown(unit)
        began = time.monotonic()
        outcome = await self._reader.read_range(unit, wanted, LineClass.BACKFILL)
        unit.learn_chunk(time.monotonic() - began, isinstance(outcome.error, PreemptedError))
        if outcome.error is None:
            self.plan.backfilled(unit.id)
            self._series.succeeded((unit.id, "backfill"), meter=unit.id, line=self.line.name)
        else:
            delay = self.plan.failed(unit.id, None, self._wall(), outcome.error)
            self._log(unit, None, outcome.error, delay)
        self._want_backfill(unit)
        whole = unit.next_chunk(self._wall()) is None  # the count of missing intervals is news too
        await self._after(unit, outcome, whole or before != self._shown(unit))

    async def _after(self, unit: Unit, outcome: Outcome, turned: bool) -> None:
        """A line that is down is everybody's trouble; let others run between two visits."""
        for _, error in outcome.errors:
            if isinstance(error, LinkError):
                turned |= await self._line_down(unit, error)
        if turned:
            self._changed()
        if outcome.errors:
            await asyncio.sleep(0.05)

    async def _line_down(self, visited: Unit, error: LinkError) -> bool:
        """Count the failure for all meters of the line, whose turn did not come; True when one became unreachable."""
        events: list[MeterEvent] = []
        turned: list[tuple[Health, State]] = []
        for unit in self._units.values():
            before = unit.health.state
            if unit is not visited and (told := unit.health.failed(self._wall(), error)):
                events += told
                turned.append((unit.health, before))
        if events:
            try:
                await self._reader.spool.add(events)
            except EdgeError as full:
                log.debug("events not stored", error=str(full))
                for health, state in turned:
                    health.state = state  # the next failure tells it again
                return False
        return bool(events)

    def _shown(self, unit: Unit) -> State:
        return unit.shown(self._wall())

    def _want_backfill(self, unit: Unit) -> None:
        self.plan.want_backfill(unit.id, unit.next_chunk(self._wall()) is not None)

    def _log(self, unit: Unit, kind: Kind | None, error: Exception, delay: float) -> None:
        if isinstance(error, PreemptedError):  # nothing is wrong: its turn comes again
            log.debug("reading gave way", error=str(error), meter=unit.id, line=self.line.name)
            return
        name = kind.value if kind else "backfill"
        self._series.failed((unit.id, name), error, meter=unit.id, line=self.line.name, pause=round(delay))
