"""Profile blocks cut into local days and merged into the day in force by quality (pure).

A later delivery replaces what is worth less (``shared.quality.rank``) and, when its value differs, what is worth the
same: that is a correction, and the caller keeps the block that stood there. Equal values only join their flags. So the
order in which blocks arrive does not matter unless they contradict each other.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from central.metering.models import DAYS
from central.metering.series import common_scale
from ext import days
from ext.profile import ProfileError, pack, unpack
from shared.intervals import ceil, day_range, split_days
from shared.intervals import zone as zone_of
from shared.quality import NOT_BILLABLE, Quality, rank
from shared.quantities import Process, Quantity, QuantityError
from shared.wire import ProfileBlock

if TYPE_CHECKING:
    from typing_extensions import Buffer

DAY: Final = 86400
MAX_INTEGER: Final = (1 << 63) - 1

_MISSING: Final = int(Quality.MISSING)
_NOT_BILLABLE: Final = int(NOT_BILLABLE)
_RANKS: Final = bytes(rank(flags) for flags in range(512))
_EPOCH: Final = date(1970, 1, 1)
#: Intervals in the longest local day of one-second steps.
_ALL_MISSING: Final = array("H", [_MISSING]) * (26 * 3600)


class BlockError(ValueError):
    """A block that cannot be stored; the text says why."""


@dataclass(slots=True)
class Cut:
    """What a block says about one local day: intervals ``at`` .. of the day's grid."""

    channel: int
    day: int
    step: int
    num: int
    den: int
    start: int  # of the day's first interval
    count: int  # intervals in the day
    at: int
    values: "array[int]"
    flags: "array[int]"


@dataclass(slots=True)
class Day:
    """One day in force, unpacked. ``version`` grows with each correction."""

    start: int
    step: int
    num: int
    den: int
    values: "array[int]"
    flags: "array[int]"
    version: int = 1

    @classmethod
    def empty(cls, cut: Cut) -> "Day":
        """A day of which nothing is held."""
        values = array("q", bytes(8 * cut.count))
        return cls(cut.start, cut.step, cut.num, cut.den, values, _ALL_MISSING[: cut.count])

    def packed(self) -> bytes:
        return pack(self.values, self.flags, self.step)

    def copy(self) -> "Day":
        """The day as it is now."""
        return Day(self.start, self.step, self.num, self.den, self.values[:], self.flags[:], self.version)


def figures(values: "Buffer", flags: "Buffer", ends: "array[int]") -> list[tuple[int, int, int]]:
    """Return (intervals held, all flags together, sum of billable counts) of days that stand one after the other.

    The i-th goes up to interval ``ends[i]``. Raises :class:`BlockError` for a sum beyond 64 bits.
    """
    try:
        found = days.figures(values, flags, ends, _MISSING, _NOT_BILLABLE)
    except days.DayError as error:
        raise BlockError(str(error)) from error
    return list(zip(*found, strict=True))


class Merged(NamedTuple):
    """``changed``: the day is another than before. ``corrected``: it replaces values that somebody may have used.

    ``contradicted``: a late block says something else than what is held at the same rank. ``before``: the day as it
    was; None where nothing of it could be replaced.
    """

    changed: bool
    corrected: bool
    contradicted: bool = False
    before: Day | None = None


class Frame(NamedTuple):
    """What a block says about its intervals before it is unpacked; the scale in lowest terms."""

    channel: int
    step: int
    num: int
    den: int


def frame(block: ProfileBlock) -> Frame:
    """Check what stands around a block's data; raises :class:`BlockError` when anything about it cannot be."""
    if block.start % block.step:
        raise BlockError(f"intervals of {block.step} s cannot begin at {block.start}: that is no multiple")
    return _frame(block.channel, block.step, block.num, block.den)


@lru_cache(maxsize=4096)
def _frame(channel: str, step: int, num: int, den: int) -> Frame:
    try:
        quantity = Quantity.parse(channel)
    except QuantityError as error:
        raise BlockError(str(error)) from error
    if quantity.d != Process.PROFILE:
        raise BlockError(f"channel {channel} is no profile channel: those are C.{int(Process.PROFILE)}.E")
    if DAY % step:
        raise BlockError(f"intervals of {step} s do not divide a day")
    if num > MAX_INTEGER or den > MAX_INTEGER:
        raise BlockError(f"scale {num}/{den} is beyond 64 bits")
    scale = Fraction(num, den)
    return Frame(quantity.code, step, scale.numerator, scale.denominator)


def whole_day(block: ProfileBlock, zone: str) -> tuple[int, int] | None:
    """Return (day number, start) of the local day that a block holds from its first interval to its last one, or None.

    A block over several days, or less than one, is for :func:`cut`.
    """
    day, start, count = _day_of(block.start // DAY * DAY, zone, block.step)
    return (day, start) if start == block.start and count == block.count else None


def cut(block: ProfileBlock, zone: str) -> list[Cut]:
    """Cut a block into the local days of ``zone``; raises :class:`BlockError` when anything about it cannot be."""
    about = frame(block)
    try:
        values, flags, step = unpack(block.data)
    except ProfileError as error:
        raise BlockError(str(error)) from error
    check_announced(block, len(values), step)
    found = []
    for day, start, count, first, last in _days(block.start, step, block.count, zone):
        low, high = (first - block.start) // step, (last - block.start) // step
        found.append(
            Cut(
                channel=about.channel,
                day=day,
                step=step,
                num=about.num,
                den=about.den,
                start=start,
                count=count,
                at=(first - start) // step,
                values=values[low:high],
                flags=flags[low:high],
            )
        )
    return found


def check_announced(block: ProfileBlock, count: int, step: int) -> None:
    """Raise :class:`BlockError` when a block holds other intervals than its sender says."""
    if (count, step) != (block.count, block.step):
        raise BlockError(f"{block.count} intervals of {block.step} s announced, {count} of {step} s packed")


def unpack_day(start: int, num: int, den: int, version: int, data: bytes) -> Day:
    """A stored day."""
    values, flags, step = unpack(data)
    return Day(start, step, num, den, values, flags, version)


def merge(day: Day, new: Cut, late: bool = False) -> Merged:
    """Merge ``new`` into ``day`` in place. ``late``: it was sent before what is held, so it fills, never corrects."""
    low, high = new.at, new.at + len(new.values)
    free = day.flags[low:high] == _ALL_MISSING[: high - low]
    before = None if free else day.copy()
    if (day.num, day.den) != (new.num, new.den):
        _rescale(day, new)
    if free and not any(new.flags):
        day.values[low:high] = new.values
        day.flags[low:high] = new.flags
        return Merged(True, False)
    found = days.merge(day.values, day.flags, low, new.values, new.flags, _RANKS, _MISSING, late)
    return Merged(bool(found & days.CHANGED), bool(found & days.CORRECTED), bool(found & days.CONTRADICTED), before)


def _rescale(day: Day, new: Cut) -> None:
    old_scale, new_scale = Fraction(day.num, day.den), Fraction(new.num, new.den)
    scale = common_scale((old_scale, new_scale))
    old_values = _times(day.values, int(old_scale / scale))
    new.values = _times(new.values, int(new_scale / scale))
    day.values, day.num, day.den = old_values, scale.numerator, scale.denominator
    new.num, new.den = day.num, day.den


def _times(values: "array[int]", factor: int) -> "array[int]":
    if factor == 1:
        return values
    try:
        return array("q", [value * factor for value in values])
    except OverflowError as error:
        raise BlockError(f"counts times {factor}, to bring two scales together, are beyond 64 bits") from error


def _days(start: int, step: int, count: int, zone: str) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (day number, the day's first interval, its intervals, first and end of the block's part)."""
    end = start + step * count
    guess = _day_of(start // DAY * DAY, zone, step)
    if guess[1] <= start and end <= guess[1] + guess[2] * step:
        yield *guess, start, end
        return
    for day, part in split_days(start, end, zone_of(zone)):
        number, first, intervals = _grid(day, zone, step)
        low, high = max(ceil(part.start, step), start), ceil(part.end, step)
        if low < min(high, end):
            yield number, first, intervals, low, min(high, end)


@lru_cache(maxsize=4096)
def _day_of(instant: int, zone: str, step: int) -> tuple[int, int, int]:
    """Grid of the local day that holds noon UTC of ``instant``'s day: a guess that is right for most small blocks."""
    day, _ = next(split_days(instant + DAY // 2, instant + DAY // 2 + 1, zone_of(zone)))
    return _grid(day, zone, step)


@lru_cache(maxsize=4096)
def _grid(day: date, zone: str, step: int) -> tuple[int, int, int]:
    """Return (day number, first interval, intervals) of a local day; :class:`BlockError` for one that has no key."""
    number = (day - _EPOCH).days
    if not 0 <= number < DAYS:
        raise BlockError(f"local day {day} is outside {_EPOCH} to {_EPOCH + timedelta(days=DAYS - 1)}: a wrong clock?")
    start, end = day_range(day, zone_of(zone))
    first = ceil(start, step)
    return number, first, (ceil(end, step) - first) // step
