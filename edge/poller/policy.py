"""What an error costs: how long whom is left alone (edge.errors: retry, report, stop)."""

from enum import Enum
from typing import Final, NamedTuple

from edge.backoff import Backoff
from edge.errors import (
    BusyError,
    EdgeError,
    LinkError,
    NoiseError,
    PreemptedError,
    ReportError,
    RetryError,
    SilenceError,
    StopError,
    UnreconciledError,
    WrongMeterError,
)


class Scope(Enum):
    """Who waits: nobody, one kind of reading, or all readings of the meter."""

    NOBODY = "nobody"
    KIND = "kind"
    METER = "meter"


class Penalty(NamedTuple):
    scope: Scope
    backoff: Backoff
    quarantine: bool = False  # trying again soon changes nothing; a person should look


_NOTHING: Final = Backoff(0.0, 0.0)

#: First match by class, so special before general. A line that is down backs off by itself (edge.lines.line).
PENALTIES: Final[tuple[tuple[type[Exception], Penalty], ...]] = (
    (PreemptedError, Penalty(Scope.NOBODY, _NOTHING)),
    (LinkError, Penalty(Scope.NOBODY, _NOTHING)),
    (SilenceError, Penalty(Scope.METER, Backoff(15.0, 900.0))),
    (NoiseError, Penalty(Scope.METER, Backoff(15.0, 900.0))),
    (BusyError, Penalty(Scope.METER, Backoff(60.0, 1800.0))),
    (RetryError, Penalty(Scope.KIND, Backoff(15.0, 900.0))),  # the spool's: no room, replaced file
    (WrongMeterError, Penalty(Scope.METER, Backoff(300.0, 3600.0), quarantine=True)),
    (UnreconciledError, Penalty(Scope.KIND, Backoff(900.0, 6 * 3600.0), quarantine=True)),
    (ReportError, Penalty(Scope.KIND, Backoff(1800.0, 24 * 3600.0), quarantine=True)),
    (StopError, Penalty(Scope.KIND, Backoff(3600.0, 24 * 3600.0), quarantine=True)),
    (EdgeError, Penalty(Scope.KIND, Backoff(60.0, 3600.0))),
    (Exception, Penalty(Scope.KIND, Backoff(600.0, 6 * 3600.0), quarantine=True)),  # our own mistake
)


def penalty_of(error: Exception) -> Penalty:
    """The penalty of an error, by its class."""
    return next(penalty for kind, penalty in PENALTIES if isinstance(error, kind))
