"""What a simulated meter is when it is made."""

from dataclasses import dataclass, field
from typing import Final

from edge.simulators.abnt.posts import PostPlan
from ext.nibbles import Order

#: 2025-01-01 00:00 UTC: registers count from here, so they go on where they were when a simulation is started again.
INSTALLED: Final = 1735689600
#: Quantity codes (§8.3) of the channel groups that can be simulated.
GROUP_QUANTITIES: Final = ((1, 10, 11), (14, 15, 16))


@dataclass(frozen=True)
class MeterSetup:
    """Settings of one meter; instants in UTC seconds, lengths in seconds."""

    serial: str  # 8 digits
    step: int = 900  # profile and demand interval
    utc_offset: int = -10800
    days: int = 35  # depth of the profile memory; older intervals are overwritten
    installed: int = INSTALLED
    groups: int = 1
    posts: PostPlan = field(default_factory=PostPlan)
    automatic_reset: tuple[int, int] | None = (1, 0)  # day of month, hour
    reset_protection: int = 60  # a second demand reset within is refused with occurrence 45
    order: Order = "high_first"  # of the 12-bit profile words
    outages: tuple[tuple[int, int], ...] = ()  # (start, end), in order
    nominal_voltage: float = 220.0
    firmware: str = "0100"
    model: str = "0001"
    consumer: str = ""

    def __post_init__(self) -> None:
        if len(self.serial) != 8 or not self.serial.isascii() or not self.serial.isdigit():
            raise ValueError(f"meter serial {self.serial!r} is not 8 digits")
        if self.step not in (300, 900, 1800, 3600):
            raise ValueError(f"interval of {self.step} s: a simulated meter records 300, 900, 1800 or 3600 s")
        if not 1 <= self.groups <= len(GROUP_QUANTITIES):
            raise ValueError(f"{self.groups} channel groups: 1 to {len(GROUP_QUANTITIES)} can be simulated")
        if not 1 <= self.days * 86400 // self.step * 3 <= 999 * 166:
            raise ValueError(f"{self.days} days of {self.step} s do not fit the 999 blocks of a profile answer")
        if self.automatic_reset and not (1 <= self.automatic_reset[0] <= 28 and 0 <= self.automatic_reset[1] <= 23):
            raise ValueError(f"automatic reset {self.automatic_reset}: day of month 1 to 28, hour 0 to 23")
