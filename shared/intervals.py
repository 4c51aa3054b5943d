"""Half-open ranges [start, end) of UTC seconds: sets of them, alignment to a step, and local days.

An interval belongs to the local day of its start. Steps are counted from the epoch, so quarter hours stay quarter hours
in every zone whose offset is a multiple of one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo


class IntervalError(ValueError):
    """A range that ends before it starts, a step that is none, a zone that does not exist."""


class Range(NamedTuple):
    """Half-open [start, end) in UTC seconds."""

    start: int
    end: int


class IntervalSet:
    """Disjoint ranges in ascending order; those that touch join. ``s | t``, ``s & t``, ``s - t`` make new sets."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(ranges):
            _check(start, end)
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            elif start < end:
                self._starts.append(start)
                self._ends.append(end)

    def add(self, start: int, end: int) -> None:
        """Add [start, end); an empty range adds nothing."""
        _check(start, end)
        if start == end:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def remove(self, start: int, end: int) -> None:
        """Remove [start, end), held or not."""
        _check(start, end)
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        if first >= last or start == end:
            return
        rest = [(self._starts[first], start), (end, self._ends[last - 1])]
        kept = [part for part in rest if part[0] < part[1]]
        self._starts[first:last] = [part[0] for part in kept]
        self._ends[first:last] = [part[1] for part in kept]

    def within(self, start: int, end: int) -> list[Range]:
        """Return what is held of [start, end)."""
        _check(start, end)
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        return [Range(max(self._starts[i], start), min(self._ends[i], end)) for i in range(first, last)]

    def missing(self, start: int, end: int) -> list[Range]:
        """Return what is not held of [start, end)."""
        missing = []
        for held in self.within(start, end):
            if start < held.start:
                missing.append(Range(start, held.start))
            start = held.end
        if start < end:
            missing.append(Range(start, end))
        return missing

    def contains(self, start: int, end: int) -> bool:
        """Say whether all of [start, end) is held; an empty range always is."""
        _check(start, end)
        at = bisect_right(self._starts, start) - 1
        return start == end or (at >= 0 and end <= self._ends[at])

    def __contains__(self, instant: int) -> bool:
        return self.contains(instant, instant + 1)

    @property
    def total(self) -> int:
        """Seconds held."""
        return sum(self._ends) - sum(self._starts)

    @property
    def span(self) -> Range | None:
        """From the first start to the last end; None when empty."""
        return Range(self._starts[0], self._ends[-1]) if self._starts else None

    def __iter__(self) -> Iterator[Range]:
        return map(Range, self._starts, self._ends)

    def __len__(self) -> int:
        """Return the number of ranges."""
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalSet):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"IntervalSet({[tuple(part) for part in self]})"

    def __or__(self, other: "IntervalSet") -> "IntervalSet":
        return IntervalSet([*self, *other])

    def __and__(self, other: "IntervalSet") -> "IntervalSet":
        fewer, more = (self, other) if len(self) < len(other) else (other, self)
        return IntervalSet(part for each in fewer for part in more.within(*each))

    def __sub__(self, other: "IntervalSet") -> "IntervalSet":
        return IntervalSet(part for each in self for part in other.missing(*each))

    def dump(self) -> list[int]:
        """Return a compact list: first start, its length, then gap and length of each further range."""
        flat = []
        before = 0
        for start, end in self:
            flat += [start - before, end - start]
            before = end
        return flat

    @classmethod
    def load(cls, flat: Sequence[int]) -> "IntervalSet":
        """Make a set from what :meth:`dump` returned; anything else raises :class:`IntervalError`."""
        if len(flat) % 2 or any(not isinstance(n, int) for n in flat):
            raise IntervalError(f"a stored set is pairs of integers (gap, length), not {len(flat)} items")
        made = cls()
        before = 0
        for i in range(0, len(flat), 2):
            gap, length = flat[i], flat[i + 1]
            if length <= 0 or (i > 0 and gap <= 0):
                raise IntervalError(
                    f"a stored set has the range {i // 2} with gap {gap} and length {length}: both above 0"
                )
            made._starts.append(before + gap)
            before += gap + length
            made._ends.append(before)
        return made


def _check(start: int, end: int) -> None:
    if end < start:
        raise IntervalError(f"range [{start}, {end}) ends before it starts")


def _check_step(step: int) -> None:
    if step < 1:
        raise IntervalError(f"a step of {step} s is none: it is at least 1")


# -- alignment to a step ---------------------------------------------------------------------------------------------


def floor(instant: int, step: int) -> int:
    """Return the last multiple of ``step`` that is not after ``instant``."""
    _check_step(step)
    return instant - instant % step


def ceil(instant: int, step: int) -> int:
    """Return the first multiple of ``step`` that is not before ``instant``."""
    _check_step(step)
    return instant + -instant % step


def aligned_inside(start: int, end: int, step: int) -> Range:
    """Return the whole intervals inside [start, end); empty at the aligned start when there is none."""
    _check(start, end)
    first = ceil(start, step)
    return Range(first, max(first, floor(end, step)))


def aligned_around(start: int, end: int, step: int) -> Range:
    """Return the smallest aligned range that holds [start, end)."""
    _check(start, end)
    return Range(floor(start, step), ceil(end, step))


# -- local days ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """Return a zone of the zone database; raises :class:`IntervalError` naming it when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise IntervalError(
            f"time zone {name!r} is not in the zone database: names look like 'America/Sao_Paulo'"
        ) from None


def local_date(instant: int, tz: ZoneInfo) -> date:
    """Return the local date on which ``instant`` lies."""
    return datetime.fromtimestamp(instant, tz).date()


def day_start(day: date, tz: ZoneInfo) -> int:
    """Return the first instant of a local day, also where midnight is skipped or comes twice."""
    return int(datetime(day.year, day.month, day.day, tzinfo=tz).timestamp())


def day_range(day: date, tz: ZoneInfo) -> Range:
    """Return a local day: 24 hours, 23 or 25 where the clock changes, none where the zone skips the day."""
    return Range(day_start(day, tz), day_start(day + timedelta(days=1), tz))


def split_days(start: int, end: int, tz: ZoneInfo) -> Iterator[tuple[date, Range]]:
    """Yield (local date, its part of [start, end)) in order; the parts join without gap."""
    _check(start, end)
    if start == end:
        return
    day = local_date(start, tz)
    while start < end:
        following = day_start(day + timedelta(days=1), tz)
        if following > start:
            yield day, Range(start, min(following, end))
            start = following
        day += timedelta(days=1)


def intervals_in_day(day: date, tz: ZoneInfo, step: int) -> int:
    """Return how many intervals of ``step`` seconds start on a local day (quarter hours: 96, or 92 and 100)."""
    start, end = day_range(day, tz)
    return (ceil(end, step) - ceil(start, step)) // step


def utc_offset(instant: int, tz: ZoneInfo) -> int:
    """Return the seconds to add to UTC for local time at ``instant``."""
    return round((datetime.fromtimestamp(instant, tz).utcoffset() or timedelta()).total_seconds())


def standard_offset(instant: int, tz: ZoneInfo) -> int:
    """Return the same without daylight saving."""
    local = datetime.fromtimestamp(instant, tz)
    return round(((local.utcoffset() or timedelta()) - (local.dst() or timedelta())).total_seconds())


def iso(instant: int) -> str:
    """Return an instant for people and messages: ``2026-11-21T03:00:00Z``."""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
