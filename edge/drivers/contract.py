"""The common contract of all drivers: what a meter can be asked, whatever it speaks (design §7)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from edge.lines.contract import Claim, OnProgress
from shared.wire import InstantSnapshot, MeterEvent, ProfileBlock, RegisterReading


@dataclass(frozen=True)
class Identity:
    """Who answered. ``detail`` holds what the protocol tells besides (firmware, constants, posts, ratios)."""

    serial: str
    model: str
    protocol: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ClockReading:
    """Meter's instant and the gateway's instant at which it was true (UTC seconds); drift = meter - gateway."""

    meter: int
    gateway: float

    @property
    def drift(self) -> float:
        return self.meter - self.gateway


@dataclass(frozen=True)
class Evidence:
    """Raw frames that gave a billing value, to be kept as proof. ``frames`` without CRC, in reading order."""

    meter: str
    at: int
    what: str
    frames: tuple[bytes, ...]


@dataclass(frozen=True)
class Readout:
    """What one visit to a meter brought home."""

    registers: Sequence[RegisterReading] = ()
    profile: Sequence[ProfileBlock] = ()
    snapshots: Sequence[InstantSnapshot] = ()
    events: Sequence[MeterEvent] = ()
    evidence: Sequence[Evidence] = ()


class Driver(Protocol):
    """One meter of one protocol; holds what must survive between visits (reconciled order, channels), no I/O state."""

    protocol: ClassVar[str]
    meter: str  # id on the wire

    async def identify(self, claim: Claim) -> Identity: ...

    async def read_clock(self, claim: Claim) -> ClockReading: ...

    async def read_registers(self, claim: Claim) -> Readout: ...

    async def read_instantaneous(self, claim: Claim) -> Readout: ...

    async def read_profile(self, claim: Claim, start: int, end: int, progress: OnProgress | None = None) -> Readout:
        """Intervals inside [start, end) UTC that the meter still holds, all channels, with quality flags."""
        ...

    async def read_events(self, claim: Claim) -> Readout: ...

    async def set_clock(self, claim: Claim, max_shift: int) -> Readout:
        """Set the meter to the gateway's time if it is off by at most ``max_shift`` s, read back, report as event."""
        ...

    async def close_bill(self, claim: Claim) -> Readout:
        """Demand reset; raises ``NotPermittedError`` unless the meter's own setting permits it."""
        ...

    def state(self) -> dict[str, Any]:
        """What the gateway should store for the next start (JSON-able)."""
        ...

    def restore(self, state: dict[str, Any]) -> None: ...
