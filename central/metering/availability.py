"""How complete a local day is (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from shared.intervals import ceil, day_range, floor


@dataclass(frozen=True, slots=True)
class DayAvailability:
    """``expected`` intervals have ended by now, ``whole`` are in the day (quarter hours: 96, or 92 and 100)."""

    day: date
    expected: int
    whole: int
    held: int
    flags: int  # all quality flags of the day together
    registers: bool
    step: int

    @property
    def missing(self) -> int:
        return max(0, self.expected - self.held)

    @property
    def share(self) -> float | None:
        """Share held, 0..1; None for a day that has not begun."""
        return min(1.0, self.held / self.expected) if self.expected else None


def day_availability(
    day: date, tz: ZoneInfo, held: Sequence[tuple[int, int, int]], registers: bool, step: int, now: int
) -> DayAvailability:
    """Judge one day from its stored blocks (step, intervals held, flags); ``step`` stands in where there is none."""
    step = max((part[0] for part in held), default=step)
    start, end = day_range(day, tz)
    first, last = ceil(start, step), ceil(end, step)
    whole = (last - first) // step
    expected = max(0, min(last, floor(now, step)) - first) // step
    flags = 0
    for _, _, more in held:
        flags |= more
    seconds = sum(part_step * count for part_step, count, _ in held)
    return DayAvailability(day, expected, whole, min(whole, seconds // step), flags, registers, step)
