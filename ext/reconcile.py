"""Register readings against the load profile between them (dossier abnt-nbr-14522 §8.1).

The registers of two instants differ by what the whole intervals between them sum to, and by some of the two intervals
that the instants cut: so the profile gives a lower and an upper bound. All sums are exact.
"""

from array import array
from collections.abc import Sequence
from enum import Enum
from fractions import Fraction
from itertools import pairwise
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

#: Counts are up to this and a series has so many intervals, ten years of five minutes, so that every sum is exact.
MAX_COUNT: Final = 1 << 42
MAX_TERMS: Final = 1_100_000

#: Instants stay exact far beyond every calendar.
_LAST_INSTANT: Final = 1 << 53


class ReconcileError(ValueError):
    """A series, readings or ranges that do not fit together, or counts whose sums would not be exact."""


class Verdict(Enum):
    AGREES = "agrees"
    DIFFERS = "differs"
    UNKNOWN = "unknown"


class Check(NamedTuple):
    """Two successive readings and the profile between them; sums in counts of the profile.

    UNKNOWN: an interval does not count or is not in the series, or a register without modulus went backwards.
    """

    first_at: int
    last_at: int
    difference: int  # of the registers, in their own counts
    low: int
    high: int
    gaps: int  # intervals, whole or cut, that do not count or are not there
    verdict: Verdict


class Words(NamedTuple):
    """What a range of one channel's words comes to."""

    total: int
    highest: int
    invalid: int  # words that hold the invalid mark; they are in neither


def check(
    values: "Buffer",
    flags: "Buffer",
    start: int,
    step: int,
    mask: int,
    instants: Sequence[int],
    registers: Sequence[int],
    *,
    ratio: Fraction = Fraction(1),
    modulus: int | None = None,
    slack: Fraction = Fraction(1),
) -> list[Check]:
    """Judge every two successive readings of a cumulative register against its profile.

    ``values`` array('q') counts and ``flags`` array('H') of intervals of ``step`` s from ``start`` UTC; those with a
    flag of ``mask`` do not count. ``instants`` ascend. A register count is ``ratio`` profile counts;
    ``modulus`` is where the register begins again (None: it does not). A difference may lie ``slack`` register counts
    outside the bounds, as both readings are rounded down. Raises :class:`ReconcileError`.
    """
    value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
    count = len(value_view)
    if len(flag_view) != count or count > MAX_TERMS:
        raise ReconcileError(f"{count} values and {len(flag_view)} flags: one each per interval, up to {MAX_TERMS}")
    if not 0 <= mask <= 0xFFFF:
        raise ReconcileError(f"mask {mask:X} is no set of 16 flags")
    if step < 1 or any(abs(at) > _LAST_INSTANT for at in (start, *instants)):
        raise ReconcileError(f"intervals of {step} s from {start}, or a reading's instant, are beyond every calendar")
    if len(instants) != len(registers):
        raise ReconcileError(f"{len(instants)} instants and {len(registers)} registers: one each per reading")
    if ratio <= 0 or slack < 0 or (modulus is not None and modulus < 1):
        raise ReconcileError(f"ratio {ratio}, slack {slack}, modulus {modulus}: above 0, 0 or more, none or above 0")
    for before, after in pairwise(instants):
        if after <= before:
            raise ReconcileError(f"a reading at {after} comes after one at {before}: instants ascend")
    edges = array("q")
    for at in instants:  # the interval that an instant cuts lies between its two edges
        edges.extend(((at - start) // step, -((start - at) // step)))
    found = array("q", bytes(8 * 3 * max(0, len(instants) - 1)))
    bad = _check(value_view, flag_view, mask, memoryview(edges), MAX_COUNT, memoryview(found))
    if bad >= 0:
        raise ReconcileError(f"interval {bad} has {value_view[bad]} counts: sums stay exact up to {MAX_COUNT} each")
    return _judged(instants, registers, found, ratio, slack, modulus)


def release(flags: "Buffer", start: int, step: int, checks: Sequence[Check], flag: int) -> None:
    """Set ``flag`` in the intervals of checks that differ and take it from those that are proven, in place.

    ``flags`` array('H') of intervals of ``step`` s from ``start`` UTC. An interval is proven when it lies wholly
    between the first and last reading of successive checks that agree; one that a differing check touches is set.
    What is unknown stays as it is. Raises :class:`ReconcileError`.
    """
    view = uint16(flags, "flags")
    if view.readonly:
        raise TypeError("flags must be writable")
    if step < 1 or not 0 <= flag <= 0xFFFF:
        raise ReconcileError(f"flag {flag:X} in intervals of {step} s is none")
    since: int | None = None
    for i, one in enumerate(checks):
        if one.verdict is not Verdict.AGREES:
            continue
        if since is None:
            since = one.first_at
        follows = i + 1 < len(checks) and checks[i + 1].first_at == one.last_at
        if not follows or checks[i + 1].verdict is not Verdict.AGREES:
            begin, end = _clipped(view, -((start - since) // step), (one.last_at - start) // step)
            _mark(view, begin, end, 0xFFFF ^ flag, 0)
            since = None
    for one in checks:
        if one.verdict is Verdict.DIFFERS:
            begin, end = _clipped(view, (one.first_at - start) // step, -((start - one.last_at) // step))
            _mark(view, begin, end, 0xFFFF, flag)


def words(data: "Buffer", channel: int, channels: int, first: int, last: int, invalid: int) -> Words:
    """Return what intervals [first, last) of one channel come to.

    ``data`` array('H') of words, interval by interval, ``channels`` of each; ``invalid`` marks a word that is none.
    Raises :class:`ReconcileError` for a range outside.
    """
    view = uint16(data, "data")
    if not 0 <= channel < channels or not 0 <= first <= last <= len(view) // channels:
        raise ReconcileError(
            f"intervals [{first}, {last}) of channel {channel} are not in {len(view)} words of {channels} channels"
        )
    found = array("q", (0, 0, 0))
    _words(view, channels * first + channel, channels * last, channels, invalid, memoryview(found))
    return Words(*found)


def roughness(data: "Buffer", channels: int) -> int:
    """Return the sum of the steps between neighbouring intervals of each of ``channels`` interleaved in array('H')."""
    if channels < 1:
        raise ReconcileError(f"{channels} channels are none")
    return _roughness(uint16(data, "data"), channels)


def _judged(
    instants: Sequence[int],
    registers: Sequence[int],
    found: "array[int]",
    ratio: Fraction,
    slack: Fraction,
    modulus: int | None,
) -> list[Check]:
    # in one common denominator: a profile count is ``count``, a register count ``per``
    count, per = ratio.denominator * slack.denominator, ratio.numerator * slack.denominator
    tolerance = slack.numerator * ratio.numerator
    checks = []
    pairs = zip(pairwise(instants), pairwise(registers), found[0::3], found[1::3], found[2::3], strict=True)
    for (first_at, last_at), (before, after), low, high, gaps in pairs:
        difference = after - before if modulus is None else (after - before) % modulus
        if gaps or difference < 0:
            verdict = Verdict.UNKNOWN
        elif low * count - tolerance <= difference * per <= high * count + tolerance:
            verdict = Verdict.AGREES
        else:
            verdict = Verdict.DIFFERS
        checks.append(Check(first_at, last_at, difference, low, high, gaps, verdict))
    return checks


def _clipped(view: memoryview, first: int, last: int) -> tuple[int, int]:
    first = min(max(first, 0), len(view))
    return first, min(max(last, first), len(view))


@cython.cdivision(True)
def _check(values: memoryview, flags: memoryview, mask: int, edges: memoryview, limit: int, found: memoryview) -> int:
    """Write (low, high, gaps) between every two readings into ``found``; return -1 or a refused interval.

    ``edges`` holds for each reading the first interval that does not end by then, and the first that begins from then.
    """
    with cython.nogil:
        for pair in range(len(found) // 3):
            row = 3 * pair
            first, last = edges[2 * pair], edges[2 * pair + 3]  # whole and cut ones
            begin, end = edges[2 * pair + 1], edges[2 * pair + 2]  # whole ones
            found[row + 2] = last - first
            bad = _add(values, flags, mask, max(begin, 0), min(end, len(values)), True, limit, found, row)
            if bad < 0 and first < begin:
                bad = _add(values, flags, mask, max(first, 0), min(first + 1, len(values)), False, limit, found, row)
            if bad < 0 and end < last and (end > first or first == begin):  # else both cut the same one
                bad = _add(values, flags, mask, max(end, 0), min(last, len(values)), False, limit, found, row)
            if bad >= 0:
                return bad
    return -1


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _add(
    values: memoryview,
    flags: memoryview,
    mask: int,
    first: int,
    last: int,
    whole: bool,
    limit: int,
    found: memoryview,
    row: int,
) -> int:
    """Add intervals [first, last) to (low, high) and take them from the gaps at ``row``; return -1 or a refused one."""
    seen, wide, total, gaps = 0, 0, 0, 0
    for i in range(first, last):
        seen |= flags[i]
        wide |= values[i] + limit
        total += values[i]
    if seen & mask != 0 or wide < 0 or wide >= 2 * limit:
        total = 0
        for i in range(first, last):
            if flags[i] & mask != 0:
                gaps += 1
            elif values[i] < -limit or values[i] > limit:
                return i
            else:
                total += values[i]
    if whole or total < 0:
        found[row] += total
    if whole or total > 0:
        found[row + 1] += total
    if first < last:
        found[row + 2] -= last - first - gaps
    return -1


def _mark(flags: memoryview, first: int, last: int, keep: int, more: int) -> None:
    with cython.nogil:
        for i in range(first, last):
            flags[i] = (flags[i] & keep) | more


def _words(data: memoryview, first: int, last: int, step: int, invalid: int, found: memoryview) -> None:
    """Write (sum, highest, invalid ones) of every ``step``-th word of [first, last) into ``found``."""
    total, highest, none = 0, 0, 0
    with cython.nogil:
        i = first
        while i < last:
            word = data[i]
            if word == invalid:
                none += 1
            else:
                total += word
                highest = max(highest, word)
            i += step
    found[0] = total
    found[1] = highest
    found[2] = none


def _roughness(data: memoryview, channels: int) -> int:
    total = 0
    with cython.nogil:
        for i in range(channels, len(data)):
            step = data[i] - data[i - channels]
            total += step if step > 0 else -step
    return total
