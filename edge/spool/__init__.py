"""The spool: everything read is kept here until the aggregator has it, and some time longer."""

from edge.spool._clock import Clock
from edge.spool._errors import (
    SpoolDamagedError,
    SpoolDiskError,
    SpoolFullError,
    SpoolItemError,
    SpoolLockedError,
    SpoolNewerError,
)
from edge.spool._room import Level
from edge.spool._rows import Kind
from edge.spool._spool import Spool, SpoolStatus, Visit
from edge.spool._stores import Ranges
from edge.spool.settings import SpoolSettings

__all__ = [
    "Clock",
    "Kind",
    "Level",
    "Ranges",
    "Spool",
    "SpoolDamagedError",
    "SpoolDiskError",
    "SpoolFullError",
    "SpoolItemError",
    "SpoolLockedError",
    "SpoolNewerError",
    "SpoolSettings",
    "SpoolStatus",
    "Visit",
]
