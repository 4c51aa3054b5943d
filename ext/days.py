"""What ingest does to the intervals of local days: figures of many at once; merging a delivery into a day in force."""

from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

from ext._views import int64, octets, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ext import _plain as cython
else:
    try:
        import cython
    except ImportError:  # only a compiler needs it
        from ext import _plain as cython

#: Ranks are looked up by the low bits of the flags.
RANKS: Final = 512

_LARGEST: Final = (1 << 63) - 1

#: Bits of what :func:`merge` returns: the day is another than before; values that somebody may have used were replaced;
#: a late delivery said something else than what stands at the same rank.
CHANGED: Final = 1
CORRECTED: Final = 2
CONTRADICTED: Final = 4


class DayError(ValueError):
    """Series that do not fit together, or a sum beyond 64 bits; ``day``: index of the bad day, -1 for none."""

    def __init__(self, message: str, day: int = -1) -> None:
        super().__init__(message)
        self.day = day


class Figures(NamedTuple):
    """One entry per day: intervals held, all flags together, sum of the counts that may be billed."""

    held: "array[int]"  # 'q'
    flags: "array[int]"  # 'H'
    totals: "array[int]"  # 'q'


def figures(values: "Buffer", flags: "Buffer", ends: "Buffer", missing: int, unbillable: int) -> Figures:
    """Return the figures of days that stand one after the other, day i up to, not including, interval ``ends[i]``.

    ``values`` array('q') raw counts, ``flags`` array('H'), as many at least; ``ends`` array('q') ascending, as
    ``ext.profile.unpack_into`` returns them. Raises :class:`DayError` when they do not fit or a sum is beyond 64 bits.
    """
    value_view, flag_view, end_view = int64(values, "values"), uint16(flags, "flags"), int64(ends, "ends")
    if not 0 <= missing <= 0xFFFF or not 0 <= unbillable <= 0xFFFF:
        raise DayError(f"masks {missing:X} and {unbillable:X} are no sets of 16 flags")
    bad = _misplaced(end_view, min(len(value_view), len(flag_view)))
    if bad >= 0:
        raise DayError(
            f"day {bad} ends at interval {end_view[bad]}, before the last one or behind {len(value_view)} values "
            f"and {len(flag_view)} flags",
            bad,
        )
    count = len(end_view)
    found = Figures(array("q", bytes(8 * count)), array("H", bytes(2 * count)), array("q", bytes(8 * count)))
    held, merged, totals = memoryview(found.held), memoryview(found.flags), memoryview(found.totals)
    wide = _figures(value_view, flag_view, end_view, 0, missing, unbillable, held, merged, totals)
    while wide >= 0:
        first = end_view[wide - 1] if wide else 0
        found.totals[wide] = _exact(value_view, flag_view, first, end_view[wide], unbillable, wide)
        wide = _figures(value_view, flag_view, end_view, wide + 1, missing, unbillable, held, merged, totals)
    return found


def merge(
    values: "Buffer",
    flags: "Buffer",
    at: int,
    new_values: "Buffer",
    new_flags: "Buffer",
    ranks: "Buffer",
    missing: int,
    late: bool,
) -> int:
    """Merge a delivery into the intervals from ``at`` on, in place; return bits of what happened.

    ``ranks`` holds the worth of an interval, one octet for each of the ``RANKS`` lowest flag patterns. What is worth
    more replaces; what is worth the same replaces when it differs, unless it is ``late`` (sent before what is held):
    then it only fills. Equal values join their flags, and so does what has no value. Raises :class:`DayError` when the
    delivery does not lie within the day.
    """
    value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
    new_value_view, new_flag_view, rank_view = int64(new_values, "values"), uint16(new_flags, "flags"), octets(ranks)
    count = len(new_value_view)
    if len(rank_view) != RANKS or not 0 <= missing <= 0xFFFF:
        raise DayError(f"{len(rank_view)} ranks and mask {missing:X}: there are {RANKS} ranks and 16 flags")
    if len(value_view) != len(flag_view) or count != len(new_flag_view) or not 0 <= at <= len(value_view) - count:
        raise DayError(
            f"{count} values and {len(new_flag_view)} flags from interval {at} do not lie within a day of "
            f"{len(value_view)} values and {len(flag_view)} flags"
        )
    return _merge(value_view, flag_view, at, new_value_view, new_flag_view, rank_view, missing, late)


def _exact(values: memoryview, flags: memoryview, first: int, end: int, unbillable: int, day: int) -> int:
    total = sum(values[i] for i in range(first, end) if not flags[i] & unbillable)
    if not -_LARGEST <= total <= _LARGEST:
        raise DayError(f"the day's sum {total} is beyond 64 bits", day)
    return total


def _misplaced(ends: memoryview, last: int) -> int:
    """Return the first day that ends before the one before it or after ``last``, -1 if none."""
    before = 0
    for i in range(len(ends)):
        if ends[i] < before or ends[i] > last:
            return i
        before = ends[i]
    return -1


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _figures(
    values: memoryview,
    flags: memoryview,
    ends: memoryview,
    day: int,
    missing: int,
    unbillable: int,
    held: memoryview,
    merged: memoryview,
    totals: memoryview,
) -> int:
    """Fill the three from ``day`` on; return -1, or the first day whose counts may sum up beyond 64 bits."""
    i = ends[day - 1] if day > 0 else 0
    while day < len(ends):
        end = ends[day]
        limit = 1 << 40  # sums of 2^22 such counts are exact; a day has fewer
        seen, wide, total, count = 0, 0, 0, 0
        for k in range(i, end):
            seen |= flags[k]
            wide |= values[k] + limit
            total += values[k]
        count = end - i
        if seen & (missing | unbillable) != 0:
            total, count = 0, 0
            for k in range(i, end):
                if flags[k] & missing == 0:
                    count += 1
                if flags[k] & unbillable == 0:
                    total += values[k]
        i = end
        held[day] = count
        merged[day] = seen
        if wide < 0 or wide >= 2 * limit:
            return day
        totals[day] = total
        day += 1
    return -1


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _merge(
    values: memoryview,
    flags: memoryview,
    at: int,
    new_values: memoryview,
    new_flags: memoryview,
    ranks: memoryview,
    missing: int,
    late: bool,
) -> int:
    found = 0
    for k in range(len(new_values)):
        i = at + k
        value, flag = new_values[k], new_flags[k]
        old, before = values[i], flags[i]
        rank, held = ranks[flag & 511], ranks[before & 511]
        if rank < held:
            continue
        if rank == held and late and value != old:
            if rank > 0:
                found |= 4
            continue
        if (rank == held and value == old) or flag & missing != 0:
            flag |= before
            value = old
        elif before & missing == 0 and value != old:
            found |= 2
        if value != old or flag != before:
            found |= 1
            values[i] = value
            flags[i] = flag
    return found
