"""What can go wrong with the spool, by what the caller does next.

RetryError
├── SpoolFullError      no room: pause reading, it is tried again; nothing of the visit was kept
├── SpoolDamagedError   the file was damaged and has been replaced just now: offer the visit again
└── SpoolDiskError      the disk refused for another reason
ReportError
└── SpoolItemError      an item that the aggregator would refuse: nothing of its visit was kept
ConfigError
├── SpoolLockedError    another process has the file open for writing
└── SpoolNewerError     the file was made by a newer version of the program
"""

from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigError, ReportError, RetryError


@dataclass
class SpoolFullError(RetryError):
    """No room for more rows. ``used`` and ``limit`` of the file and ``free`` of its disk in bytes."""

    path: Path
    used: int
    limit: int
    free: int

    def __str__(self) -> str:
        return (
            f"spool {self.path} is full: {self.used} of {self.limit} bytes used, {self.free} bytes free on its disk; "
            "readings pause and stay in the meters. Restore the connection to the broker, free space on the disk, "
            "or raise spool.limit_bytes"
        )


@dataclass
class SpoolDamagedError(RetryError):
    """The file was damaged and has been replaced by what could be read of it."""

    path: Path
    aside: Path

    def __str__(self) -> str:
        return f"spool {self.path} was damaged: kept as {self.aside.name}, replaced by what could be read; try again"


@dataclass
class SpoolDiskError(RetryError):
    path: Path
    reason: str

    def __str__(self) -> str:
        return f"spool {self.path} cannot be written: {self.reason}; check the disk and the folder's permissions"


@dataclass
class SpoolItemError(ReportError):
    """An item that can never be delivered."""

    kind: str
    meter: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.meter or 'the gateway'} cannot be sent: {self.reason}"


class SpoolLockedError(ConfigError):
    pass


class SpoolNewerError(ConfigError):
    pass
