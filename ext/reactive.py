"""Hourly reactive excess: UFER energy and DMCR demand of group A (dossier brazil-billing §6).

For each hour T with active energy E and reactive energy Q, f_T = E / sqrt(E² + Q²) and the reference f_R:

    UFER_T = f_R x sqrt(E² + Q²) - E        where f_T < f_R, else 0 (as E x (f_R / f_T - 1), without a division)
    DMCR   = highest f_R x sqrt(E² + Q²) / 1 h of the hours of a slot with f_T < f_R

Q is inductive or capacitive as the hour says; the other direction does not count in it. Whether f_T < f_R is decided
exactly, in integers. The root is irrational: each hour's is rounded down to 1/65536 of a common count of both scales,
so that an hour's UFER is never too high, nor too low by more than that; nothing else is rounded.
"""

from array import array
from collections.abc import Iterator
from enum import IntEnum
from fractions import Fraction
from math import gcd, isqrt
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ext._views import int64, octets, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ext import _plain as cython
else:
    try:
        import cython
    except ImportError:  # only a compiler needs it
        from ext import _plain as cython
if not cython.compiled:  # else it is C's, from the .pxd
    from math import sqrt

#: f_R in force (REN 1000 art. 302; effective-dated configuration in §19).
REFERENCE: Final = Fraction(92, 100)

#: f_R has a denominator up to this, as its square is multiplied by that of an hour's energy.
MAX_DENOMINATOR: Final = 1000

#: Hours of one series: almost four years, so that sums of roots stay exact.
MAX_HOURS: Final = 1 << 15

#: An hour's energy is below this in common counts, so that the sum of two squares fits 63 bits.
MAX_ENERGY: Final = 1 << 31

#: An interval's counts are below this, so that an hour's sum is exact.
MAX_COUNT: Final = 1 << 42

#: More intervals per hour than it has seconds is a mistake.
MAX_PER_HOUR: Final = 3600

#: Slots are below this, as in ``ext.billing``.
MAX_SLOTS: Final = 16 * 1200

_POLICIES: Final = {"zero_active": ("limit", "zero"), "reverse": ("absolute", "skip"), "direction": ("own", "net")}

#: Roots have so many bits behind the point.
_POINT: Final = 16

#: Kept per slot: hours, excess, incomplete, zero active, reverse, sum of roots, of active, highest square, its hour.
_WIDTH: Final = 9


class ReactiveError(ValueError):
    """Series and hours that do not fit together, or counts whose sums would not be exact."""


class Counted(IntEnum):
    """What counts in an hour: nothing (outside the cycle), inductive or capacitive energy."""

    NOTHING = 0
    INDUCTIVE = 1
    CAPACITIVE = 2


class Hours(NamedTuple):
    """Consecutive hours of ``intervals`` intervals each: slot (array('H')) and :class:`Counted` (an octet) of each.

    ``slots`` are month and post as in ``shared.slots``. The capacitive hours are six in a row that the distributor
    sets between 23:30 and 06:30, all others are inductive.
    """

    intervals: int
    slots: "array[int]"
    counted: bytes


class SlotExcess(NamedTuple):
    """What one slot came to; ``energy`` and ``demand`` in the unit of the scales (kWh, kW), rounded down as above."""

    slot: int
    hours: int  # whole ones, judged
    excess: int  # of those, with f_T < f_R
    incomplete: int  # with an interval of active or counted reactive energy that does not count; not judged
    zero_active: int  # with reactive energy alone, treated by the policy
    reverse: int  # with active energy below 0, treated by the policy
    energy: Fraction  # UFER
    demand: Fraction | None  # DMCR; None without an hour with excess
    demand_at: int | None  # that hour; the earliest of equals


def excess(
    active: "tuple[Buffer, Buffer]",
    inductive: "tuple[Buffer, Buffer]",
    capacitive: "tuple[Buffer, Buffer]",
    hours: Hours,
    mask: int,
    *,
    scales: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1)),
    reference: Fraction = REFERENCE,
    zero_active: Literal["limit", "zero"] = "limit",
    reverse: Literal["absolute", "skip"] = "absolute",
    direction: Literal["own", "net"] = "own",
) -> list[SlotExcess]:
    """Return the excess of every slot that occurs, in ascending order.

    The three series are (values array('q') of counts, flags array('H')), all of ``len(hours.slots) x hours.intervals``
    intervals; ``scales`` are the units of a count of active and of both reactive series. Intervals with a flag of
    ``mask`` do not count, and an hour counts only when it is whole. Other threads run meanwhile. What the dossier
    leaves open is a policy, its default named first:

    - ``zero_active``, hours with Q and no E: ``limit`` f_R x Q, or ``zero``.
    - ``reverse``, hours with E below 0 (delivered less received): the ``absolute`` value, or ``skip``, not judged.
    - ``direction``, hours with both directions: the counted one's ``own`` energy, as a meter counts its pulses
      (dossier abnt-nbr-14522 §10), or ``net``, what it is more than the other.

    Raises :class:`ReactiveError`.
    """
    slots, counted = uint16(hours.slots, "slots"), octets(hours.counted)
    _check_hours(hours, slots, counted)
    _check_rules(mask, scales, reference, (zero_active, reverse, direction))
    count = len(slots) * hours.intervals
    common = _common(*scales)
    times, reactive_times = int(scales[0] / common), int(scales[1] / common)
    if max(times, reactive_times) >= MAX_ENERGY:
        raise ReactiveError(f"scales {scales[0]} and {scales[1]} have no common count within {MAX_ENERGY}")
    energy, reactive = array("q", bytes(8 * len(slots))), array("q", bytes(8 * len(slots)))
    states = array("H", bytes(2 * len(slots)))
    against = -1 if direction == "net" else 0
    for series, sums, signs in (
        (_series("active", active, count), energy, (1, 1)),
        (_series("inductive", inductive, count), reactive, (1, against)),
        (_series("capacitive", capacitive, count), reactive, (against, 1)),
    ):
        _sum(
            series[0],
            series[1],
            counted,
            hours.intervals,
            mask,
            MAX_COUNT,
            signs[0],
            signs[1],
            memoryview(sums),
            memoryview(states),
        )
    totals = array("q", bytes(8 * _WIDTH * (_highest(slots) + 1)))
    bad = _judge(
        memoryview(energy),
        memoryview(reactive),
        memoryview(states),
        slots,
        counted,
        times,
        reactive_times,
        reference.numerator,
        reference.denominator,
        zero_active == "zero",
        reverse == "skip",
        memoryview(totals),
    )
    if bad >= 0:
        raise ReactiveError(
            f"hour {bad} has counts from {MAX_COUNT} or energy from {MAX_ENERGY} common counts of {common} on"
        )
    return list(_rows(totals, reference, common))


def _series(name: str, series: "tuple[Buffer, Buffer]", count: int) -> tuple[memoryview, memoryview]:
    values, flags = int64(series[0], f"{name} values"), uint16(series[1], f"{name} flags")
    if not len(values) == len(flags) == count:
        raise ReactiveError(f"{len(values)} {name} values and {len(flags)} flags, the hours have {count} intervals")
    return values, flags


def _common(scale: Fraction, other: Fraction) -> Fraction:
    """Return the largest scale of which both are whole multiples."""
    left, right = scale.numerator * other.denominator, other.numerator * scale.denominator
    return Fraction(gcd(left, right), scale.denominator * other.denominator)


def _check_rules(
    mask: int, scales: tuple[Fraction, Fraction], reference: Fraction, policies: tuple[str, str, str]
) -> None:
    if not 0 <= mask <= 0xFFFF:
        raise ReactiveError(f"mask {mask:X} is no set of 16 flags")
    if min(scales) <= 0:
        raise ReactiveError(f"scales {scales[0]} and {scales[1]} are not above 0")
    if not 0 < reference < 1 or reference.denominator > MAX_DENOMINATOR:
        raise ReactiveError(f"reference factor {reference} is not between 0 and 1, in steps of 1/{MAX_DENOMINATOR}")
    for (name, known), policy in zip(_POLICIES.items(), policies, strict=True):
        if policy not in known:
            raise ReactiveError(f"{name} {policy!r} is neither {known[0]!r} nor {known[1]!r}")


def _check_hours(hours: Hours, slots: memoryview, counted: memoryview) -> None:
    if len(slots) != len(counted) or len(slots) > MAX_HOURS:
        raise ReactiveError(f"{len(slots)} slots and {len(counted)} counted: one each per hour, up to {MAX_HOURS}")
    if not 1 <= hours.intervals <= MAX_PER_HOUR:
        raise ReactiveError(f"{hours.intervals} intervals per hour are not 1..{MAX_PER_HOUR}")
    if _highest(slots) >= MAX_SLOTS:
        raise ReactiveError(f"slot {_highest(slots)} is not below {MAX_SLOTS}")
    if counted.tobytes().translate(None, bytes(Counted)):
        raise ReactiveError(f"an hour counts 0 nothing, 1 inductive or 2 capacitive, not {max(counted)}")


def _rows(sums: "array[int]", reference: Fraction, common: Fraction) -> Iterator[SlotExcess]:
    for slot in range(len(sums) // _WIDTH):
        row = sums[_WIDTH * slot : _WIDTH * slot + _WIDTH].tolist()
        hours, over, incomplete, zero, reverse, roots, active, square, at = row
        if hours or incomplete or reverse:
            energy = (reference * Fraction(roots, 1 << _POINT) - active) * common
            demand = reference * Fraction(isqrt(square << 2 * _POINT), 1 << _POINT) * common if over else None
            yield SlotExcess(
                slot, hours, over, incomplete, zero, reverse, max(energy, Fraction(0)), demand, at if over else None
            )


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _highest(slots: memoryview) -> int:
    most = -1
    for i in range(len(slots)):
        most = max(most, slots[i])
    return most


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _sum(
    values: memoryview,
    flags: memoryview,
    counted: memoryview,
    per_hour: int,
    mask: int,
    limit: int,
    inductive_sign: int,
    capacitive_sign: int,
    sums: memoryview,
    states: memoryview,
) -> None:
    """Add each hour's counts, by the sign of what counts in it, and to its state 1: incomplete, 2: counts too large."""
    with cython.nogil:
        for hour in range(len(counted)):
            kind = counted[hour]
            sign = inductive_sign if kind == 1 else capacitive_sign
            if kind == 0 or sign == 0:
                continue
            seen, wide, total = 0, 0, 0
            for i in range(per_hour * hour, per_hour * hour + per_hour):
                seen |= flags[i]
                wide |= values[i] + limit
                total += values[i]
            if seen & mask != 0:
                states[hour] |= 1
            elif wide < 0 or wide >= 2 * limit:
                states[hour] |= 2
            else:
                sums[hour] += sign * total


@cython.boundscheck(False)
@cython.initializedcheck(False)
@cython.cdivision(True)
def _judge(
    energies: memoryview,
    reactives: memoryview,
    states: memoryview,
    slots: memoryview,
    counted: memoryview,
    times: int,
    reactive_times: int,
    num: int,
    den: int,
    zero_policy: bool,
    skip_policy: bool,
    totals: memoryview,
) -> int:
    """Add every hour into its slot; return -1 or a refused hour."""
    with cython.nogil:
        for hour in range(len(slots)):
            if counted[hour] == 0:
                continue
            row = 9 * slots[hour]
            if states[hour] & 1:
                totals[row + 2] += 1
                continue
            energy, reactive = energies[hour], max(reactives[hour], 0)
            if energy < 0:
                totals[row + 4] += 1
                if skip_policy:
                    continue
                energy = -energy
            if states[hour] != 0 or energy > 2147483647 // times or reactive > 2147483647 // reactive_times:
                return hour
            totals[row] += 1
            _add(totals, row, hour, energy * times, reactive * reactive_times, num, den, zero_policy)
    return -1


@cython.boundscheck(False)
@cython.initializedcheck(False)
def _add(
    totals: memoryview, row: int, hour: int, energy: int, reactive: int, num: int, den: int, zero_policy: bool
) -> None:
    """Add the excess of an hour with ``energy`` and ``reactive`` common counts, if it has any."""
    if reactive == 0 or not _below(energy, reactive, num, den):
        return
    if energy == 0:
        totals[row + 3] += 1
        if zero_policy:
            return
    square = energy * energy + reactive * reactive
    if totals[row + 1] == 0 or square > totals[row + 7]:
        totals[row + 7] = square
        totals[row + 8] = hour
    totals[row + 1] += 1
    totals[row + 5] += _root(square)
    totals[row + 6] += energy


def _below(energy: int, reactive: int, num: int, den: int) -> bool:
    """Say whether E / sqrt(E² + Q²) < num / den, that is (den² - num²) E² < num² Q², in two limbs of 31 bits."""
    left, right = energy * energy, reactive * reactive
    left_times, right_times = den * den - num * num, num * num
    left_low = (left & 0x7FFFFFFF) * left_times
    right_low = (right & 0x7FFFFFFF) * right_times
    left_high = (left >> 31) * left_times + (left_low >> 31)
    right_high = (right >> 31) * right_times + (right_low >> 31)
    if left_high != right_high:
        return left_high < right_high
    return (left_low & 0x7FFFFFFF) < (right_low & 0x7FFFFFFF)


def _root(square: int) -> int:
    """Return sqrt(square) x 2^16, rounded down; ``square`` is below 2^63."""
    root = cython.cast(cython.ulonglong, sqrt(square) * 65536)
    # root is at most one off, so the rest fits 63 bits although both terms overflow
    rest = (square << 32) - root * root
    if rest >> 63 != 0:
        root -= 1
    elif rest > 2 * root:
        root += 1
    return root
