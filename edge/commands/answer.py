"""From what happened to the code and the words of a ``Result``. Pure."""

from typing import Any, Final

from edge.errors import (
    BusyError,
    ConfigError,
    LinkError,
    NoiseError,
    NotPermittedError,
    PreemptedError,
    RefusedError,
    SilenceError,
    WrongMeterError,
)
from edge.spool import SpoolFullError
from shared.wire import Result

#: First match by class.
CODES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (SpoolFullError, "spool_full"),
    (WrongMeterError, "wrong_serial"),
    (RefusedError, "refused"),
    (NotPermittedError, "not_permitted"),
    (PreemptedError, "preempted"),
    (BusyError, "busy"),
    (LinkError, "unreachable"),
    (SilenceError, "unreachable"),
    (NoiseError, "unreachable"),
    (ConfigError, "invalid"),
)


def code_of(error: Exception) -> str:
    """The code for an error; ``failed`` where no other fits."""
    return next((code for kind, code in CODES if isinstance(error, kind)), "failed")


def success(command: str, now: float, message: str = "", **data: Any) -> Result:
    return Result(command, int(now), True, "done", message[:2000], data)


def failure(command: str, now: float, code: str, message: str, **data: Any) -> Result:
    return Result(command, int(now), False, code, message[:2000], data)


def error_result(command: str, now: float, error: Exception, **data: Any) -> Result:
    return failure(command, now, code_of(error), str(error) or type(error).__name__, **data)
