"""Logs for the person in the field: the first failure of a series at warning, the rest at debug, its end at info."""

from typing import Any

import structlog

log = structlog.get_logger("edge.poller")


class Series:
    """Failures by key; a series ends with the first success or changes with another error class."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], tuple[str, int]] = {}

    def failed(self, key: tuple[str, str], error: Exception, **context: Any) -> None:
        """A failure of ``key``; ``context`` goes into the line."""
        name = type(error).__name__
        known, count = self._running.get(key, ("", 0))
        first = known != name
        self._running[key] = (name, 1 if first else count + 1)
        (log.warning if first else log.debug)("reading failed", error=str(error), kind=key[1], **context)

    def succeeded(self, key: tuple[str, str], **context: Any) -> None:
        """A success of ``key``."""
        known = self._running.pop(key, None)
        if known is not None:
            log.info("reading again", kind=key[1], after=known[0], failures=known[1], **context)
