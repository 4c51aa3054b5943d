"""One meter of the gateway: its configuration, its driver, and everything that is remembered of it between visits."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from edge.config.model import Meter, Schedule
from edge.drivers.contract import Driver, Evidence, Readout
from edge.lines.line import ManagedLine
from edge.poller.health import Health, State
from edge.poller.memory import DAY, ProfileMemory
from edge.poller.schedule import after_window, periods
from edge.poller.seen import Seen
from edge.spool import Ranges, Visit
from shared.intervals import Range
from shared.wire import Item, MeterEvent, MeterState

#: A chunk of back-fill should keep the line about this long (s): planned readings wait for it.
CHUNK_SECONDS: Final = 25.0
LONGEST_CHUNK: Final = 64 * DAY
#: An answer repeats what the one before it said of the period; as proof one a day (s) is kept, and all around a close.
EVIDENCE_EVERY: Final = DAY


@dataclass
class Unit:
    """A meter while the gateway runs. What changes in a visit is replaced only when the spool has taken it."""

    config: Meter
    schedule: Schedule
    driver: Driver
    line: ManagedLine
    health: Health
    memory: ProfileMemory = field(default_factory=ProfileMemory)
    seen: Seen = field(default_factory=Seen)
    losses: int = 0  # the spool's, when the memory was read from it
    chunk: int = DAY  # of back-fill, s
    proven: dict[str, int] = field(default_factory=dict)  # what -> instant of the last evidence kept
    zone: ZoneInfo = ZoneInfo("UTC")  # noqa: RUF009  # of the gateway
    shared: bool = False  # CCEE reads over the same line
    storing: asyncio.Lock = field(default_factory=asyncio.Lock)  # held from building a visit until it is settled

    @property
    def id(self) -> str:
        return self.config.id

    def free(self, at: float) -> float:
        """When mass memory may be read from ``at`` on: outside CCEE's window where CCEE reads over the same line."""
        return after_window(at, self.schedule.ccee_window, self.zone) if self.shared else at

    @property
    def backfill_days(self) -> int:
        return self.schedule.backfill_days if self.schedule.profile else 0

    def next_chunk(self, now: float) -> Range | None:
        """What back-fill should ask for next."""
        return self.memory.backfill(now, self.backfill_days, self.chunk) if self.backfill_days else None

    def learn_chunk(self, seconds: float, preempted: bool) -> None:
        """Fit the chunk to what the last one cost: some protocols read a month as fast as a day, others do not."""
        if preempted or seconds > 2 * CHUNK_SECONDS:
            self.chunk = max(self.chunk // 2, DAY)
        elif seconds < CHUNK_SECONDS:
            self.chunk = min(self.chunk * 2, LONGEST_CHUNK)

    def shown(self, now: float) -> State:
        """The state to report; a meter is late by the shortest of its periods."""
        return self.health.shown(now, min(periods(self.schedule).values(), default=0))

    def state(self, now: float) -> MeterState:
        return MeterState(
            meter=self.id,
            line=self.config.line,
            state=self.shown(now).value,
            protocol=self.config.protocol,
            last_ok=self.health.last_ok,
            error=self.health.error,
            module=self.config.module,
            missing=self.memory.count(now, self.backfill_days) if self.backfill_days else 0,
        )

    def stored(self) -> dict[str, Any]:
        """What goes into the spool's state table; :meth:`restore` takes it back."""
        return {"driver": self.driver.state(), "health": self.health.dump(), "seen": self.seen.dump()}

    def restore(self, stored: dict[str, Any]) -> None:
        self.driver.restore(stored.get("driver") or {})
        self.health.load(stored.get("health") or {})
        self.seen = Seen(stored.get("seen") or ())

    def recall(self, intervals: dict[str, list[tuple[int, int]]]) -> None:
        """Take over the interval maps as stored."""
        self.memory = ProfileMemory.load(intervals)


@dataclass
class Harvest:
    """What one visit has brought so far; :meth:`visit` is what the spool stores of it, whole or not at all.

    A visit may have waited long for its line while another changed what is remembered: everything is taken in only by
    :meth:`visit`, on top of what is remembered then.
    """

    unit: Unit
    items: list[Item] = field(default_factory=list)
    memory: ProfileMemory = field(default_factory=ProfileMemory)
    seen: Seen = field(default_factory=Seen)
    health: Health = field(init=False)
    evidence: list[Evidence] = field(default_factory=list)
    proven: dict[str, int] = field(default_factory=dict)
    profiled: bool = False
    _parts: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.health = replace(self.unit.health)

    def add(self, readout: Readout) -> None:
        """Take in everything of a readout but its profile."""
        self._parts.append(partial(self._take, readout))

    def add_profile(self, readout: Readout, asked: Range | None, now: float) -> None:
        """Take in a readout with profile; what the meter has lost of ``asked`` becomes events."""
        self._parts.append(partial(self._take_profile, readout, asked, now))

    def events(self, events: Sequence[MeterEvent]) -> None:
        """Add events as they are."""
        self._parts.append(partial(self._take_events, events))

    def judge(self, verdict: Callable[[Health], list[MeterEvent]]) -> None:
        """Let ``verdict`` move the meter's health; the events are those of its transitions."""
        self._parts.append(lambda: self._take_events(verdict(self.health)))

    def visit(self, more: Iterable[Item] = ()) -> Visit:
        """One transaction: items, interval maps, state, evidence. Held in ``unit.storing`` until it is settled."""
        unit = self.unit
        self.memory, self.seen, self.proven = unit.memory.copy(), unit.seen.copy(), dict(unit.proven)
        self.health = replace(unit.health)
        self.items, self.evidence = [], []
        for take in self._parts:
            take()
        stored = unit.stored() | {"seen": self.seen.dump(), "health": self.health.dump()}
        maps: dict[tuple[str, str], Ranges] = {}
        if self.profiled:
            for name, ranges in self.memory.maps():
                maps[unit.id, name] = list(ranges)
        return Visit([*self.items, *more], {unit.id: stored}, maps, self.evidence)

    def settle(self) -> None:
        """The spool has it: from now on it counts as held."""
        self.unit.memory, self.unit.seen, self.unit.proven = self.memory, self.seen, self.proven
        self.unit.health = self.health

    def _take(self, readout: Readout) -> None:
        self.items += self.seen.fresh(readout.registers)
        self.items += readout.snapshots
        self._take_events(self.seen.fresh(readout.events))
        closed = any(reading.period for reading in readout.registers)
        if closed or any(event.kind == "demand_reset" for event in readout.events):
            self.proven.clear()  # a period was closed: what comes now proves its end
        for proof in readout.evidence:
            if not 0 <= proof.at - self.proven.get(proof.what, 0) < EVIDENCE_EVERY:
                self.proven[proof.what] = proof.at
                self.evidence.append(proof)

    def _take_profile(self, readout: Readout, asked: Range | None, now: float) -> None:
        self._take(replace(readout, profile=()))
        self.items += readout.profile
        lost = self.memory.absorb(asked, readout.profile, now)
        if any(event.kind == "reconciled" for event in readout.events):
            self.memory.ask_doubtful_again()
        self.memory.prune(now, self.unit.backfill_days)
        self.items += [MeterEvent(self.unit.id, part.start, "profile_lost", part.end) for part in lost]
        self.profiled = True

    def _take_events(self, events: Sequence[MeterEvent]) -> None:
        self.health.notice(list(events))
        self.items += events
