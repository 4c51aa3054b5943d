"""Energy, intervals and highest demand per meter, local month and post from columns of readings: a billing run.

An interval belongs to the slot (local month and post) of its start. A demand window is ``window`` consecutive intervals
aligned to the clock (three for five-minute data); it belongs to the slot of its first interval and counts only when
every interval in it is there (dossier brazil-billing §2, §5). Which slot an interval has is compiled once into a
:class:`Lookup`, so that a row costs no calendar arithmetic.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ext._views import int32, int64, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ext import _plain as cython
else:
    try:
        import cython
    except ImportError:  # only a compiler needs it
        from ext import _plain as cython

#: More intervals per window than a day of minutes has is a mistake.
MAX_WINDOW: Final = 1440

#: More threads than the largest machines have cores.
MAX_THREADS: Final = 256

#: Shares of the meters per thread, so that one on a busy core does not keep the others waiting.
_SHARES: Final = 6

#: Slots are below this: sixteen posts in each month of a century.
MAX_SLOTS: Final = 16 * 1200

#: Numbers kept per meter and slot, in this order: energy, intervals, windows, maximum, its first instant (UTC s).
WIDTH: Final = 5

#: Instants stay exact far beyond every calendar.
_LAST_INSTANT: Final = 1 << 53


class BillingError(ValueError):
    """Columns that do not fit together, rows out of order, or a lookup that does not cover them."""


class Lookup(Protocol):
    """The slot of every interval, in segments (``shared.slots.SlotLookup``).

    Intervals are counted from the epoch in steps. Segment i has ``slots[i]`` from the end of the one before it
    (the first: from ``begin``) up to, not including, ``ends[i]``.
    """

    @property
    def step(self) -> int: ...
    @property
    def begin(self) -> int: ...
    @property
    def ends(self) -> "array[int]": ...
    @property
    def slots(self) -> "array[int]": ...


class SlotTotal(NamedTuple):
    """What one slot of one meter came to. Energy in counts; demand is ``maximum`` x scale x 3600 / window seconds."""

    meter: int
    slot: int
    energy: int
    intervals: int
    windows: int  # complete demand windows
    maximum: int | None  # largest sum of one complete window
    maximum_at: int | None  # that window's first instant, UTC s; the earliest of equals
    gaps: int  # intervals of a block series that did not count; rows that are not there cannot be told


class SlotTotals(NamedTuple):
    """Totals of many meters: ``sums`` is array('q') of len(meters) x slots x ``WIDTH``, zero where nothing occurred.

    ``expected`` of a block series is array('q') of how many of its intervals each slot has, counting or not.
    """

    meters: "array[int]"
    slots: int
    sums: "array[int]"
    expected: "array[int] | None" = None

    def rows(self) -> Iterator[SlotTotal]:
        """Yield what occurs, by meter and slot."""
        for cell in range(len(self.meters) * self.slots):
            energy, intervals, windows, maximum, at = self.sums[WIDTH * cell : WIDTH * cell + WIDTH].tolist()
            gaps = self.expected[cell] - intervals if self.expected else 0
            if intervals or gaps:
                meter, slot = self.meters[cell // self.slots], cell % self.slots
                best, best_at = (maximum, at) if windows else (None, None)
                yield SlotTotal(meter, slot, energy, intervals, windows, best, best_at, gaps)


def bill(
    meters: "Buffer", starts: "Buffer", values: "Buffer", lookup: Lookup, window: int = 1, threads: int = 1
) -> SlotTotals:
    """Return the totals of every meter and slot.

    ``meters`` array('i'), ``starts`` array('q') of UTC s, ``values`` array('i') of counts, all as long, or NumPy arrays
    of these widths: one row per interval of ``lookup.step`` s, by meter and start ascending; a missing interval has no
    row. Other threads run meanwhile; ``threads`` of our own share the meters. Raises :class:`BillingError`.
    """
    meter_view, start_view, value_view = int32(meters, "meters"), int64(starts, "starts"), int32(values, "values")
    if not len(meter_view) == len(start_view) == len(value_view):
        raise BillingError(
            f"{len(meter_view)} meters, {len(start_view)} starts and {len(value_view)} values: one each per row"
        )
    if not 1 <= window <= MAX_WINDOW:
        raise BillingError(f"window of {window} intervals is not 1..{MAX_WINDOW}")
    if not 1 <= threads <= MAX_THREADS:
        raise BillingError(f"{threads} threads are not 1..{MAX_THREADS}")
    ends, slots = _segments(lookup)
    offsets = _offsets(meter_view)
    count, width = len(offsets) - 1, WIDTH * (max(slots) + 1)
    sums = array("q", bytes(8 * width * count))
    shares = 1 if threads == 1 else _SHARES * threads
    cuts = [_cut(offsets, share, shares) for share in range(shares + 1)]
    parts = [
        partial(
            _bill,
            meter_view,
            start_view,
            value_view,
            memoryview(offsets),
            first,
            last,
            lookup.begin,
            ends,
            slots,
            lookup.step,
            window,
            width,
            memoryview(sums),
        )
        for first, last in pairwise(cuts)
    ]
    bad = [parts[0]()] if threads == 1 else _in_parallel(parts, threads)
    refused = [row for row in bad if row >= 0]
    if refused:
        raise _refusal(min(refused), meter_view, start_view, lookup)
    return SlotTotals(array("i", [meter_view[at] for at in offsets[:count]]), max(slots) + 1, sums)


def bill_series(
    values: "Buffer", flags: "Buffer", start: int, lookup: Lookup, mask: int, window: int = 1, meter: int = 0
) -> SlotTotals:
    """Return the totals of every slot of one meter's block series, as :func:`bill` does from columns.

    ``values`` array('q') raw counts and ``flags`` array('H') of intervals of ``lookup.step`` s from ``start`` UTC;
    those with a flag of ``mask`` count as missing and are the slots' gaps. Other threads run meanwhile. Raises
    :class:`BillingError`.
    """
    value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
    if len(value_view) != len(flag_view):
        raise BillingError(f"{len(value_view)} values and {len(flag_view)} flags: one each per interval")
    if not 0 <= mask <= 0xFFFF:
        raise BillingError(f"mask {mask:X} is no set of 16 flags")
    if not 1 <= window <= MAX_WINDOW:
        raise BillingError(f"window of {window} intervals is not 1..{MAX_WINDOW}")
    ends, slots = _segments(lookup)
    step, count = lookup.step, len(value_view)
    first, last = lookup.begin * step, ends[len(ends) - 1] * step
    if start % step or not first <= start <= last - count * step:
        raise BillingError(
            f"series of {count} intervals of {step} s from {start} is off the step or outside [{first}, {last})"
        )
    limit = 1 << (62 - count.bit_length())
    segment = bisect_right(ends, start // step)
    width = max(slots) + 1
    sums = array("q", bytes(8 * WIDTH * width))
    bad = _dense(
        value_view, flag_view, mask, start // step, ends, slots, segment, step, window, limit, memoryview(sums)
    )
    if bad >= 0:
        at = next(i for i in range(bad, count) if not flag_view[i] & mask and not -limit <= value_view[i] < limit)
        raise BillingError(f"interval {at} has {value_view[at]} counts: sums of {count} stay exact below {limit} each")
    expected = array("q", bytes(8 * width))
    _expect(ends, slots, segment, start // step, count, memoryview(expected))
    return SlotTotals(array("i", (meter,)), width, sums, expected)


def _in_parallel(parts: "list[partial[int]]", threads: int) -> list[int]:
    with ThreadPoolExecutor(threads, "bill") as pool:
        return [done.result() for done in [pool.submit(part) for part in parts]]


def _segments(lookup: Lookup) -> tuple[memoryview, memoryview]:
    ends, slots = int64(lookup.ends, "ends"), uint16(lookup.slots, "slots")
    if len(ends) != len(slots) or not len(ends):
        raise BillingError(f"lookup of {len(ends)} ends and {len(slots)} slots: one each per segment, at least one")
    if lookup.step < 1 or lookup.begin < 0 or ends[len(ends) - 1] * lookup.step > _LAST_INSTANT:
        raise BillingError(
            f"lookup in steps of {lookup.step} s from interval {lookup.begin}: 1 s or more, from 1970 on"
        )
    bad = _descending(ends, lookup.begin)
    if bad >= 0:
        before = ends[bad - 1] if bad else lookup.begin
        raise BillingError(f"segment {bad} of the lookup ends at interval {ends[bad]}, not after {before}")
    if max(slots) >= MAX_SLOTS:
        raise BillingError(f"slot {max(slots)} of the lookup is not below {MAX_SLOTS}")
    return ends, slots


def _offsets(meters: memoryview) -> "array[int]":
    """Return where each meter's rows begin, then their number; `_bill` sees to it that they are what this says."""
    offsets = array("q", (0,))
    at, rows = 0, len(meters)
    while at < rows:
        meter = meters[at]
        at = bisect_right(meters, meter, at)
        if at < rows and meters[at] <= meter:
            raise _unordered(at, meters)
        offsets.append(at)
    return offsets


def _cut(offsets: "array[int]", part: int, parts: int) -> int:
    """Return the first meter of a part, so that all have about as many rows."""
    last = len(offsets) - 1
    return min(bisect_left(offsets, offsets[last] * part // parts), last)


def _unordered(row: int, meters: memoryview) -> BillingError:
    return BillingError(f"row {row} has meter {meters[row]} after {meters[row - 1]}: sort rows by meter and start")


def _refusal(row: int, meters: memoryview, starts: memoryview, lookup: Lookup) -> BillingError:
    meter, start, step = meters[row], starts[row], lookup.step
    first, last = lookup.begin * step, lookup.ends[len(lookup.ends) - 1] * step
    if row and meters[row - 1] > meter:
        return _unordered(row, meters)
    if start % step:
        return BillingError(f"row {row} of meter {meter} starts at {start}, which is no multiple of {step} s")
    if not first <= start < last:
        return BillingError(f"row {row} of meter {meter} starts at {start}, outside the lookup [{first}, {last})")
    return BillingError(
        f"row {row} of meter {meter} starts at {start}, not after the row before it at {starts[row - 1]}: "
        "sort rows by meter and start, one per interval"
    )


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _bill(
    meters: memoryview,
    starts: memoryview,
    values: memoryview,
    offsets: memoryview,
    first: int,
    last: int,
    begin: int,
    ends: memoryview,
    slots: memoryview,
    step: int,
    window: int,
    width: int,
    sums: memoryview,
) -> int:
    """Add the rows of meters [first, last) into ``sums``; return -1 or a refused row."""
    with cython.nogil:
        for meter in range(first, last):
            bad = _meter(
                meters,
                starts,
                values,
                offsets[meter],
                offsets[meter + 1],
                begin,
                ends,
                slots,
                step,
                window,
                width * meter,
                sums,
            )
            if bad >= 0:
                return bad
    return -1


@cython.boundscheck(False)
@cython.initializedcheck(False)
@cython.cdivision(True)
def _meter(
    meters: memoryview,
    starts: memoryview,
    values: memoryview,
    first: int,
    last: int,
    begin: int,
    ends: memoryview,
    slots: memoryview,
    step: int,
    window: int,
    base: int,
    sums: memoryview,
) -> int:
    """Add rows [first, last) of one meter, run by run of rows without a gap, and each run segment by segment."""
    meter = meters[first]
    latest = begin * step  # no row may start before this
    limit = ends[len(ends) - 1] * step
    segment = 0
    i = first
    while i < last:
        at = starts[i]
        if at < latest or at >= limit or at % step != 0 or meters[i] != meter:
            return i
        j = i + 1
        while j + 16 <= last:  # no branch inside, so that the compiler takes several rows at once
            odd = 0
            for k in range(j, j + 16):
                odd |= (starts[k] - starts[k - 1]) ^ step
                odd |= meters[k] ^ meter
            if odd != 0:
                break
            j += 16
        while j < last and starts[j] - starts[j - 1] == step and meters[j] == meter:
            j += 1
        latest = at + (j - i) * step
        if latest > limit:
            return i + (limit - at) // step
        shift = at // step - i  # from row to interval
        window_at = i + (window - (i + shift) % window) % window
        while i < j:
            while ends[segment] <= i + shift:
                segment += 1
            stop = min(j, ends[segment] - shift)
            row = base + 5 * slots[segment]
            energy = 0
            for k in range(i, stop):
                energy += values[k]
            sums[row] += energy
            sums[row + 1] += stop - i
            window_at = _windows(values, window_at, min(stop, j - window + 1), window, shift, step, row, sums)
            i = stop
    return -1


def _descending(ends: memoryview, begin: int) -> int:
    """Return the first segment that does not end after the one before it, -1 if none."""
    before = begin
    for i in range(len(ends)):
        if ends[i] <= before:
            return i
        before = ends[i]
    return -1


def _expect(ends: memoryview, slots: memoryview, segment: int, first: int, count: int, expected: memoryview) -> None:
    """Add to each slot how many of ``count`` intervals from ``first``, in ``segment``, are its own."""
    last = first + count
    while first < last:
        stop = min(last, ends[segment])
        expected[slots[segment]] += stop - first
        first = stop
        segment += 1


@cython.boundscheck(False)
@cython.initializedcheck(False)
@cython.cdivision(True)
def _dense(
    values: memoryview,
    flags: memoryview,
    mask: int,
    shift: int,
    ends: memoryview,
    slots: memoryview,
    segment: int,
    step: int,
    window: int,
    limit: int,
    sums: memoryview,
) -> int:
    """Add a series whose first interval is ``shift``, in ``segment``, as `_meter` does.

    Return -1, or where to look for a value outside [-limit, limit), a power of two.
    """
    with cython.nogil:
        i = 0
        while i < len(values):
            if flags[i] & mask != 0:
                i += 1
                continue
            j = i + 1
            while j + 16 <= len(values):
                seen = 0
                for k in range(j, j + 16):
                    seen |= flags[k]
                if seen & mask != 0:
                    break
                j += 16
            while j < len(values) and flags[j] & mask == 0:
                j += 1
            window_at = i + (window - (i + shift) % window) % window
            while i < j:
                while ends[segment] <= i + shift:
                    segment += 1
                stop = min(j, ends[segment] - shift)
                row = 5 * slots[segment]
                energy, wide = 0, 0
                for k in range(i, stop):
                    energy += values[k]
                    wide |= values[k] + limit
                if wide < 0 or wide >= 2 * limit:
                    return i
                sums[row] += energy
                sums[row + 1] += stop - i
                window_at = _windows(values, window_at, min(stop, j - window + 1), window, shift, step, row, sums)
                i = stop
    return -1


@cython.boundscheck(False)
@cython.initializedcheck(False)
@cython.cdivision(True)
def _windows(
    values: memoryview, begin: int, end: int, window: int, shift: int, step: int, row: int, sums: memoryview
) -> int:
    """Add the windows that begin at ``begin`` and every ``window`` rows before ``end``; return the next."""
    if begin >= end:
        return begin
    best = sums[row + 3] if sums[row + 2] != 0 else -(1 << 62)
    best_at = -1
    i = begin
    if window == 3:  # written out, as most data has it: twice as fast
        while i < end:
            demand = 0
            demand += values[i]
            demand += values[i + 1]
            demand += values[i + 2]
            if demand > best:
                best = demand
                best_at = i
            i += 3
    else:
        while i < end:
            demand = 0
            for k in range(i, i + window):
                demand += values[k]
            if demand > best:
                best = demand
                best_at = i
            i += window
    sums[row + 2] += (i - begin) // window
    if best_at >= 0:
        sums[row + 3] = best
        sums[row + 4] = (best_at + shift) * step
    return i
