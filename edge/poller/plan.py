"""The plan of one line: which meter is visited next, for what, and when. Pure: time comes in, decisions go out.

Due instants lie on the wall clock's grid (edge.poller.schedule). When the wall clock is set back, penalties keep their
length and what is due is planned anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from edge.poller.policy import Scope, penalty_of
from edge.poller.schedule import Kind, next_due, offset_of

#: However busy the line, a chunk of back-fill has its turn after so long: the meter's memory does not wait.
BACKFILL_SHARE: Final = 300.0  # s
#: The worker looks again at least so often, so that a clock that jumped is noticed.
LONGEST_SLEEP: Final = 30.0  # s


class Visit(NamedTuple):
    """Read these kinds of a meter, in this order."""

    meter: str
    kinds: tuple[Kind, ...]


class Backfill(NamedTuple):
    """Ask a meter for one chunk of its missing intervals."""

    meter: str


class Wait(NamedTuple):
    seconds: float


Step = Visit | Backfill | Wait

#: When mass memory may be read: the instant itself, or a later one.
Free = Callable[[float], float]


def always(at: float) -> float:
    return at


@dataclass
class _Entry:
    """One kind of reading of one meter."""

    kind: Kind
    period: int
    due: float
    failures: int = 0
    hold: float = 0.0
    quarantined: bool = False


@dataclass
class _Meter:
    name: str
    offset: int
    entries: list[_Entry]
    failures: int = 0
    hold: float = 0.0
    backfill: bool = False
    backfill_failures: int = 0
    backfill_hold: float = 0.0
    backfill_at: float = 0.0  # last chunk
    visited: float = 0.0  # last turn
    quarantined: bool = False
    free: Free = always


class Plan:
    """The meters of one line. All instants are UTC seconds of the wall clock."""

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311  # jitter, not cryptography
        self._meters: dict[str, _Meter] = {}
        self._backfilled_at = 0.0
        self._now = 0.0

    def add(self, meter: str, periods: dict[Kind, int], now: float, free: Free = always) -> None:
        """Take a meter in; what it reads is due within the spread of the grid, not all at once.

        Profile and back-fill are moved to where ``free`` says: CCEE has its hours.
        """
        offset = offset_of(meter)
        first = now + offset % 5  # a new meter shows life at once
        entries = [_Entry(kind, period, min(first, next_due(now, period, offset))) for kind, period in periods.items()]
        for entry in entries:
            entry.due = free(entry.due) if entry.kind is Kind.PROFILE else entry.due
        self._meters[meter] = _Meter(meter, offset, entries, free=free)

    def next(self, now: float) -> Step:
        """What to do now. A visit that is due goes first, except for the share of back-fill (``BACKFILL_SHARE``)."""
        self._heal(now)
        due = self._due(now)
        hungry = self._hungry(now)
        if hungry and (due is None or now - self._backfilled_at >= BACKFILL_SHARE):
            self._backfilled_at = now
            hungry.backfill_at = now
            return Backfill(hungry.name)
        if due is not None:
            self._meters[due.meter].visited = now
            return due
        return Wait(min(max(self._wake(now) - now, 0.05), LONGEST_SLEEP))

    def done(self, meter: str, kind: Kind, now: float) -> None:
        """A kind was read: next time is on the grid; what was missed meanwhile is not made up for."""
        unit = self._meters[meter]
        unit.failures, unit.hold, unit.quarantined = 0, 0.0, False
        for entry in unit.entries:
            if entry.kind is kind:
                due = next_due(now, entry.period, unit.offset)
                entry.due = unit.free(due) if kind is Kind.PROFILE else due
                entry.failures, entry.hold, entry.quarantined = 0, 0.0, False

    def failed(self, meter: str, kind: Kind | None, now: float, error: Exception) -> float:
        """A kind (None: back-fill) could not be read; returns the seconds for which somebody is left alone."""
        unit = self._meters[meter]
        penalty = penalty_of(error)
        if penalty.scope is Scope.NOBODY:
            return 0.0
        if penalty.scope is Scope.METER:
            unit.failures += 1
            delay = penalty.backoff.delay(unit.failures, self._random)
            unit.hold, unit.quarantined = now + delay, penalty.quarantine
            return delay
        if kind is None:
            unit.backfill_failures += 1
            delay = penalty.backoff.delay(unit.backfill_failures, self._random)
            unit.backfill_hold = now + delay
            return delay
        delay = 0.0
        for entry in unit.entries:
            if entry.kind is kind:
                entry.failures += 1
                delay = penalty.backoff.delay(entry.failures, self._random)
                entry.hold, entry.quarantined = now + delay, penalty.quarantine
        return delay

    def backfilled(self, meter: str) -> None:
        """A chunk came home: its penalties are over."""
        unit = self._meters[meter]
        unit.failures, unit.hold, unit.quarantined = 0, 0.0, False
        unit.backfill_failures, unit.backfill_hold = 0, 0.0

    def want_backfill(self, meter: str, wanted: bool) -> None:
        """Say whether a meter misses intervals that it may still hold."""
        self._meters[meter].backfill = wanted

    def quarantined(self, meter: str) -> list[str]:
        """Kinds that are read rarely because of errors that only a person can end."""
        unit = self._meters[meter]
        return [entry.kind.value for entry in unit.entries if unit.quarantined or entry.quarantined]

    def shortest_period(self, meter: str) -> int:
        """Seconds between visits as scheduled; 0 when nothing is."""
        return min((entry.period for entry in self._meters[meter].entries), default=0)

    def _due(self, now: float) -> Visit | None:
        """The meter whose last turn is longest ago, with all that is due there: on a full line all come round alike."""
        ready = [
            u for u in self._meters.values() if u.hold <= now and any(max(e.due, e.hold) <= now for e in u.entries)
        ]
        best = min(ready, key=lambda unit: unit.visited, default=None)
        if best is None:
            return None
        kinds = {entry.kind for entry in best.entries if max(entry.due, entry.hold) <= now}
        return Visit(best.name, tuple(kind for kind in Kind if kind in kinds))

    def _hungry(self, now: float) -> _Meter | None:
        """The meter whose turn for back-fill it is."""
        ready = [
            u
            for u in self._meters.values()
            if u.backfill and u.hold <= now and u.backfill_hold <= now and u.free(now) <= now
        ]
        return min(ready, key=lambda unit: unit.backfill_at, default=None)

    def _wake(self, now: float) -> float:
        """When something may be due next."""
        instants = [max(e.due, e.hold, u.hold) for u in self._meters.values() for e in u.entries]
        instants += [u.free(max(u.backfill_hold, u.hold, now)) for u in self._meters.values() if u.backfill]
        return min(instants, default=now + LONGEST_SLEEP)

    def _heal(self, now: float) -> None:
        """Where the clock was set back, move along what was measured by it."""
        back, self._now = now - self._now, now
        if back >= 0:
            return
        self._backfilled_at += back
        for unit in self._meters.values():
            unit.hold += back
            unit.backfill_hold += back
            unit.backfill_at += back
            unit.visited += back
            for entry in unit.entries:
                entry.hold += back
                entry.due = min(entry.due, next_due(now, entry.period, unit.offset))
