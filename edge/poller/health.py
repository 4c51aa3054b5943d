"""How a meter is doing, as a state machine over what its visits bring: each transition gives one event, once. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from edge.errors import BusyError, LinkError, NoiseError, PreemptedError, SilenceError, WrongMeterError
from shared.wire import MeterEvent

#: A meter is unreachable after so many failures in a row that span at least so many seconds.
FAILURES: Final = 3
FAILING_SECONDS: Final = 120
#: A reachable meter is stale when its last good reading is older than so many of its periods.
STALE_PERIODS: Final = 3


class State(StrEnum):
    """The words of ``MeterState.state``."""

    NEW = "new"
    OK = "ok"
    STALE = "stale"
    UNREACHABLE = "unreachable"
    WRONG_SERIAL = "wrong_serial"
    UNRECONCILED = "unreconciled"


@dataclass
class Health:
    """State of one meter; survives a restart through :meth:`dump` and :meth:`load`."""

    meter: str
    state: State = State.NEW
    last_ok: int | None = None
    error: str = ""
    unreconciled: bool = False
    failures: int = 0
    failing_since: float = 0.0

    def succeeded(self, now: float) -> list[MeterEvent]:
        """A reading came home."""
        before = self.state
        self.state, self.error, self.failures, self.last_ok = State.OK, "", 0, int(now)
        if before in (State.UNREACHABLE, State.WRONG_SERIAL):
            return [self._event(now, "meter_back", after=before.value, since=int(self.failing_since))]
        return []

    def failed(self, now: float, error: Exception) -> list[MeterEvent]:
        """A reading failed."""
        if isinstance(error, PreemptedError):
            return []
        self.error = str(error)[:2000]
        if isinstance(error, WrongMeterError):
            if self.state is State.WRONG_SERIAL:
                return []
            self.state, self.failing_since = State.WRONG_SERIAL, now
            return [self._event(now, "wrong_serial", expected=error.expected, found=error.found)]
        if not isinstance(error, LinkError | SilenceError | NoiseError | BusyError):
            return []  # it answers, if not to our liking
        if self.failures == 0 or self.failing_since > now:
            self.failing_since = now if self.state is not State.UNREACHABLE else self.failing_since
        self.failures += 1
        long = now - self.failing_since >= FAILING_SECONDS
        if self.state is State.UNREACHABLE or self.failures < FAILURES or not long:
            return []
        self.state = State.UNREACHABLE
        return [self._event(now, "meter_unreachable", reason=self.error, since=int(self.failing_since))]

    def count(self, after: "Health") -> None:
        """Failures led to ``after``, but their events were not taken: count them, so that the next one tells again."""
        self.error, self.failures, self.failing_since = after.error, after.failures, after.failing_since

    def notice(self, events: list[MeterEvent]) -> None:
        """Follow what the driver found out about reconciliation."""
        for event in events:
            if event.kind in ("unreconciled", "reconciled"):
                self.unreconciled = event.kind == "unreconciled"

    def shown(self, now: float, period: int) -> State:
        """The state to report at ``now``, for a meter read every ``period`` s."""
        if self.state is not State.OK:
            return self.state
        if period and self.last_ok is not None and now - self.last_ok > STALE_PERIODS * period:
            return State.STALE
        return State.UNRECONCILED if self.unreconciled else State.OK

    def dump(self) -> dict[str, Any]:
        return {
            "state": self.state.value,
            "last_ok": self.last_ok,
            "error": self.error,
            "unreconciled": self.unreconciled,
            "since": int(self.failing_since),
        }

    def load(self, stored: dict[str, Any]) -> None:
        """Take over what :meth:`dump` gave; an unknown state means a fresh start."""
        if stored.get("state") in set(State):
            self.state = State(stored["state"])
            self.last_ok = stored.get("last_ok")
            self.error = str(stored.get("error", ""))
            self.unreconciled = bool(stored.get("unreconciled"))
            self.failing_since = float(stored.get("since", 0))

    def _event(self, now: float, kind: str, **detail: Any) -> MeterEvent:
        return MeterEvent(self.meter, int(now), kind, detail=detail)
