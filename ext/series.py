"""What is computed over block series beside billing: sums of meters, resampling, gaps, sliding demand, load factor.

A series is raw counts, array('q'), and quality flags, array('H'), one of each per interval. Intervals with a flag of
``mask`` do not count.
"""

from array import array
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from ext._views import int64, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ext import _plain as cython
else:
    try:
        import cython
    except ImportError:  # only a compiler needs it
        from ext import _plain as cython

#: Raw counts are up to this, so that a sum of ``MAX_TERMS`` of them is exact.
MAX_COUNT: Final = 1 << 42

#: Intervals of one group or window: ten years of five minutes.
MAX_TERMS: Final = 1_100_000

#: A total from here on takes no further value.
_FULL: Final = 1 << 61


class SeriesError(ValueError):
    """Series that do not fit together, or counts whose sums would not be exact."""


class Sliding(NamedTuple):
    """The highest demand over windows that begin at every sub-interval; None where no window is complete."""

    maximum: int | None
    at: int | None  # first interval of the earliest such window
    windows: int  # complete ones


def add(total: "Buffer", coverage: "Buffer", values: "Buffer", flags: "Buffer", mask: int, sign: int = 1) -> None:
    """Add (``sign`` 1) or subtract (-1) a series to ``total``, array('q'), and count it in ``coverage``, array('H').

    All as long and aligned by the caller; where the series does not count, neither changes. A sum over meters is
    complete where coverage equals their number. Raises :class:`SeriesError`, nothing having changed.
    """
    total_view, coverage_view = int64(total, "total"), uint16(coverage, "coverage")
    value_view, flag_view = _series(values, flags, mask)
    if not len(total_view) == len(coverage_view) == len(value_view):
        raise SeriesError(
            f"total of {len(total_view)}, coverage of {len(coverage_view)} and {len(value_view)} values: one each"
        )
    if sign not in (1, -1):
        raise SeriesError(f"sign {sign} is neither 1 nor -1")
    _check(_beyond(value_view, flag_view, mask, MAX_COUNT), value_view)
    bad = _full(total_view, coverage_view)
    if bad >= 0:
        raise SeriesError(f"interval {bad} already holds {total_view[bad]} of {coverage_view[bad]}: the sum is full")
    _add(total_view, coverage_view, value_view, flag_view, mask, sign)


def resample(
    values: "Buffer", flags: "Buffer", ends: "Buffer", mask: int
) -> "tuple[array[int], array[int], array[int]]":
    """Return (sums array('q'), flags array('H'), counted intervals array('q')) of groups such as hours or local days.

    Group i is the intervals from the end of the one before it (the first: from 0) up to, not including, ``ends[i]``
    (array('q'), never descending, none beyond the series). A group's flags are all flags of its intervals, so that one
    that does not count shows. Raises :class:`SeriesError`.
    """
    value_view, flag_view = _series(values, flags, mask)
    end_view = int64(ends, "ends")
    bad = _misplaced(end_view, len(value_view), MAX_TERMS)
    if bad >= 0:
        raise SeriesError(
            f"group {bad} ends at interval {end_view[bad]}: ends never descend, are 0..{len(value_view)}, and a group "
            f"has up to {MAX_TERMS}"
        )
    _check(_beyond(value_view, flag_view, mask, MAX_COUNT), value_view)
    groups = len(end_view)
    sums, merged, counts = array("q", bytes(8 * groups)), array("H", bytes(2 * groups)), array("q", bytes(8 * groups))
    _resample(value_view, flag_view, end_view, mask, memoryview(sums), memoryview(merged), memoryview(counts))
    return sums, merged, counts


def gaps(flags: "Buffer", mask: int) -> list[tuple[int, int]]:
    """Return the ranges [first, end) of intervals with a flag of ``mask``, in order, as long as they can be."""
    flag_view = uint16(flags, "flags")
    _check_mask(mask)
    edges = array("q", bytes(8 * (len(flag_view) + 1)))
    count = _gaps(flag_view, mask, memoryview(edges))
    found = edges[:count].tolist()
    return list(zip(found[::2], found[1::2], strict=True))


def sliding(values: "Buffer", flags: "Buffer", mask: int, window: int, every: int = 1, lead: int = 0) -> Sliding:
    """Return the highest sum of ``window`` consecutive intervals, the window moving on by ``every`` intervals.

    With minutes, a window of 15 and every 5 this is 15-minute demand with five-minute sub-intervals. The first ``lead``
    intervals (of a series from ``start``: ``-(start // step) % every``) belong to a sub-interval that began before. A
    window with an interval that does not count is none. Raises :class:`SeriesError`.
    """
    value_view, flag_view = _series(values, flags, mask)
    if not 1 <= window <= MAX_TERMS:
        raise SeriesError(f"window of {window} intervals is not 1..{MAX_TERMS}")
    if not 1 <= every <= window or window % every:
        raise SeriesError(f"a window of {window} intervals has no whole sub-intervals of {every}")
    if not 0 <= lead < every:
        raise SeriesError(f"{lead} intervals before the first sub-interval are not 0..{every - 1}")
    _check(_beyond(value_view, flag_view, mask, MAX_COUNT), value_view)
    found = array("q", (0, 0, 0))
    _sliding(value_view, flag_view, mask, window, every, lead, memoryview(found))
    maximum, at, windows = found
    return Sliding(maximum, at, windows) if windows else Sliding(None, None, 0)


def load_factor(energy: int, intervals: int, maximum: int, window: int = 1) -> Fraction | None:
    """Return mean demand / maximum demand, exact; None without a positive maximum.

    ``energy`` counts of ``intervals`` intervals, ``maximum`` counts of the highest ``window`` of them.
    """
    if intervals < 0 or window < 1:
        raise SeriesError(f"{intervals} intervals with windows of {window} are none")
    return Fraction(energy * window, intervals * maximum) if intervals and maximum > 0 else None


def _series(values: "Buffer", flags: "Buffer", mask: int) -> tuple[memoryview, memoryview]:
    value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
    if len(value_view) != len(flag_view):
        raise SeriesError(f"{len(value_view)} values and {len(flag_view)} flags: one each per interval")
    _check_mask(mask)
    return value_view, flag_view


def _check_mask(mask: int) -> None:
    if not 0 <= mask <= 0xFFFF:
        raise SeriesError(f"mask {mask:X} is no set of 16 flags")


def _check(bad: int, values: memoryview) -> None:
    if bad >= 0:
        raise SeriesError(f"interval {bad} has {values[bad]} counts: sums stay exact up to {MAX_COUNT} each")


def _beyond(values: memoryview, flags: memoryview, mask: int, limit: int) -> int:
    """Return the first interval that counts and is beyond ``limit``, a power of two; -1 if none."""
    if not _wide(values, limit):
        return -1
    for i in range(len(values)):
        if (values[i] > limit or values[i] < -limit) and flags[i] & mask == 0:
            return i
    return -1


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _wide(values: memoryview, limit: int) -> bool:
    """Say whether any value may be outside [-limit, limit); no branch, so that the compiler takes several at once."""
    wide = 0
    for i in range(len(values)):
        wide |= values[i] + limit
    return not 0 <= wide < 2 * limit


def _misplaced(ends: memoryview, last: int, most: int) -> int:
    before = 0
    for i in range(len(ends)):
        end = ends[i]
        if end < before or end > last or end - before > most:
            return i
        before = end
    return -1


def _full(total: memoryview, coverage: memoryview) -> int:
    """Return the first interval whose sum can take no further value, -1 if none."""
    if not _wide(total, _FULL) and not _saturated(coverage):
        return -1
    for i in range(len(total)):
        if total[i] >= _FULL or total[i] < -_FULL or coverage[i] == 0xFFFF:
            return i
    return -1


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _saturated(coverage: memoryview) -> bool:
    most = 0
    for i in range(len(coverage)):
        most = max(most, coverage[i])
    return most == 0xFFFF


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _add(total: memoryview, coverage: memoryview, values: memoryview, flags: memoryview, mask: int, sign: int) -> None:
    turn = -1 if sign < 0 else 0  # (value ^ -1) - -1 is -value
    i = 0
    with cython.nogil:
        while i < len(values):
            stop = min(i + 32, len(values))
            seen = 0
            for k in range(i, stop):
                seen |= flags[k]
            if seen & mask == 0:  # no branch inside, so that the compiler takes several intervals at once
                for k in range(i, stop):
                    total[k] += (values[k] ^ turn) - turn
                    coverage[k] += 1
            else:
                for k in range(i, stop):
                    if flags[k] & mask == 0:
                        total[k] += (values[k] ^ turn) - turn
                        coverage[k] += 1
            i = stop


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _resample(
    values: memoryview,
    flags: memoryview,
    ends: memoryview,
    mask: int,
    sums: memoryview,
    merged: memoryview,
    counts: memoryview,
) -> None:
    """Write each group's sum, flags and count; `_misplaced` has seen to it that the ends are sound."""
    first = 0
    with cython.nogil:
        for group in range(len(ends)):
            end = ends[group]
            seen = 0
            for i in range(first, end):
                seen |= flags[i]
            energy, count = 0, end - first
            if seen & mask == 0:
                for i in range(first, end):
                    energy += values[i]
            else:
                for i in range(first, end):
                    if flags[i] & mask == 0:
                        energy += values[i]
                    else:
                        count -= 1
            first = end
            sums[group] = energy
            merged[group] = seen
            counts[group] = count


def _gaps(flags: memoryview, mask: int, edges: memoryview) -> int:
    """Write every change between counting and not into ``edges``; return how many."""
    count, inside = 0, False
    with cython.nogil:
        for i in range(len(flags)):
            if (flags[i] & mask != 0) != inside:
                inside = not inside
                edges[count] = i
                count += 1
        if inside:
            edges[count] = len(flags)
            count += 1
    return count


@cython.boundscheck(False)
@cython.initializedcheck(False)
@cython.cdivision(True)
def _sliding(
    values: memoryview, flags: memoryview, mask: int, window: int, every: int, lead: int, found: memoryview
) -> None:
    """Write (maximum, its first interval, windows) into ``found``, run by run of intervals that count."""
    windows, best, best_at = 0, 0, -1
    i = 0
    with cython.nogil:
        while i < len(values):
            if flags[i] & mask != 0:
                i += 1
                continue
            j = _run(flags, mask, i)
            begin = i + (every - (i + every - lead) % every) % every
            i = j
            if begin + window > j:
                continue
            demand = 0
            for k in range(begin, begin + window):
                demand += values[k]
            last = j - window  # where the run's last window may begin
            windows += (last - begin) // every + 1
            if best_at < 0:
                best = demand
                best_at = begin
            while True:
                if demand > best:
                    best = demand
                    best_at = begin
                if begin + every > last:
                    break
                for k in range(begin, begin + every):
                    demand += values[k + window] - values[k]
                begin += every
    found[0] = best
    found[1] = best_at
    found[2] = windows


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _run(flags: memoryview, mask: int, first: int) -> int:
    """Return where the run of intervals that count ends, of which ``first`` is one."""
    j = first + 1
    while j + 16 <= len(flags):
        seen = 0
        for k in range(j, j + 16):
            seen |= flags[k]
        if seen & mask != 0:
            break
        j += 16
    while j < len(flags) and flags[j] & mask == 0:
        j += 1
    return j
