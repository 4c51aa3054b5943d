"""What goes into the guardian and what comes out (dossier ccee-ons §13); values only, nothing is done here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

#: Protocols that are understood, and the word for all others.
ABNT: Final = "abnt"
DLMS: Final = "dlms"
MODBUS: Final = "modbus"
IEC62056_21: Final = "iec62056-21"
UNKNOWN: Final = "unknown"


class Side(IntEnum):
    """Who sent the octets."""

    CLIENT = 0  # CCEE to meter
    METER = 1  # meter to CCEE


class CloseReason(StrEnum):
    """Who ended a connection, or why we did."""

    CLIENT = "client"
    METER = "meter"
    IDLE = "idle"
    TOTAL = "total"
    RESTART = "restart"
    REFUSED_LINE = "refused_line"
    PREEMPTED = "preempted"
    ERROR = "error"
    STOPPED = "stopped"


class Result(StrEnum):
    """How one exchange ended."""

    OK = "ok"
    PARTIAL = "partial"  # a composite or segmented answer without its end
    UNSUPPORTED = "unsupported"  # the meter does not know the command, or not with these parameters
    OPAQUE = "opaque"  # answered in cipher: what, nobody here can read
    DENIED = "denied"  # password or access right
    REFUSED = "refused"  # another condition in the meter
    BROKEN = "broken"  # nothing but damaged octets came
    SILENT = "silent"  # nothing came
    UNANSWERED = "unanswered"  # none is due: a break, a broadcast, the last word before hanging up


class Kind(StrEnum):
    """What an exchange is about, the same words for every protocol."""

    ACCESS = "access"  # sign-on, association, password
    PARAMETERS = "parameters"
    REGISTERS = "registers"
    MEMORY = "memory"
    AUDIT = "audit"  # logs of changes, outages, connections
    CLOCK = "clock"
    WRITE = "write"
    OTHER = "other"


class Verdict(StrEnum):
    """What a connection came to. I01 and I11 need several connections: central and forwarder give them."""

    NOT_UNDERSTOOD = "I00"  # octets passed both ways, of no protocol known here: neither good nor bad is claimed
    NO_REQUEST = "I02"
    NO_ANSWER = "I03"
    BROKEN = "I04"
    WRONG_SERIAL = "I05"
    REFUSED = "I06"
    UNSUPPORTED = "I07"
    PARTIAL = "I08"
    CLOCK = "I09"
    CONSTANTS = "I10"
    INSPECTION = "I12"
    CUT = "I13"
    GOOD = "I14"


@dataclass(frozen=True)
class Expected:
    """What is known of the meter, and the limits of verdicts. Seconds and shares; defaults are the dossier's or [ours].

    ``constants``: as a former :class:`Finding` had them; names missing on either side are not compared.
    ``utc_offset``: of the meter's wall clock, where its answers do not carry their own.
    ``daily``: codes (as in :attr:`Exchange.code`) of audit data that daily collection reads too: no inspection then.
    """

    serial: str = ""
    protocol: str = ""
    constants: Mapping[str, str] | None = None
    clock_tolerance: float = 30.0
    clock_alarm: float = 120.0
    utc_offset: int = -10800
    broken_share: float = 0.02
    broken_least: int = 2  # a single damaged frame that was repeated well accuses nobody
    patience: float = 3.0  # silence shorter than this after a last request is no missing answer
    daily: frozenset[str] = frozenset()


@dataclass
class Exchange:
    """One request with all its repeats and answers. ``seconds``: from request to the end of its answer."""

    at: float
    code: str
    command: str
    kind: Kind
    result: Result = Result.SILENT
    asked: int = 0  # octets of the client
    answered: int = 0  # octets of the meter
    seconds: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """What the guardian says of a connection. ``also``: further verdicts that hold, most important first.

    ``range_*``: UTC seconds of the memory asked for and the end of what was delivered; None where no stamps were seen.
    ``more``: exchanges beyond those listed. ``meter_clock_offset``: meter minus ours, seconds.
    """

    protocol: str
    verdict: Verdict
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)
    also: list[tuple[Verdict, str]] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    more: int = 0
    serial: str = ""
    meter_clock_offset: float | None = None
    range_start: int | None = None
    range_end: int | None = None
    range_delivered: int | None = None
    constants: dict[str, str] = field(default_factory=dict)
