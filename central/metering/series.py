"""Stored days of one channel stitched into one series of NumPy arrays (pure)."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import accumulate
from math import gcd, lcm
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ext import series as kernels
from ext.profile import unpack_into
from shared.intervals import aligned_around
from shared.quality import NOT_BILLABLE, Quality
from shared.quantities import Quantity

#: A series of more intervals than this is a mistake: ten years of five-minute intervals.
MAX_INTERVALS: Final = 1_100_000
#: The step of a series that holds nothing.
DEFAULT_STEP: Final = 900

MISSING: Final = int(Quality.MISSING)


class SeriesError(ValueError):
    """A range too long for one series, or counts beyond 64 bits."""


class Block(Protocol):
    """A stored day, as far as it is needed here."""

    @property
    def start(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def num(self) -> int: ...
    @property
    def den(self) -> int: ...
    @property
    def data(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Series:
    """``values[i]`` (raw counts) and ``flags[i]`` of [start + i * step, + step); count x ``num``/``den`` = unit.

    Where ``flags`` says missing the value is 0 and means nothing.
    """

    quantity: Quantity
    start: int
    step: int
    values: NDArray[np.int64]
    flags: NDArray[np.uint16]
    num: int
    den: int

    @property
    def end(self) -> int:
        return self.start + self.step * len(self.values)

    @property
    def unit(self) -> str:
        return self.quantity.unit

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which intervals have a value."""
        held: NDArray[np.bool_] = np.equal(self.flags & MISSING, 0)
        return held

    @property
    def billable(self) -> NDArray[np.bool_]:
        """Which intervals may be billed."""
        billable: NDArray[np.bool_] = np.equal(self.flags & int(NOT_BILLABLE), 0)
        return billable

    def instants(self) -> NDArray[np.int64]:
        """Starts of the intervals, UTC seconds."""
        return np.arange(self.start, self.end, self.step, dtype=np.int64)

    def units(self) -> NDArray[np.float64]:
        """Values in the quantity's unit for pictures; NaN where missing."""
        return np.where(self.held, self.values * (self.num / self.den), np.nan)

    def power(self) -> NDArray[np.float64]:
        """Mean power of each interval (unit per hour: kW of kWh) for pictures; NaN where missing."""
        return self.units() * (3600 / self.step)

    def part(self, start: int, end: int) -> "Series":
        """Return the whole intervals that begin within [start, end), without copying."""
        first = min(max(0, -((self.start - start) // self.step)), len(self.values))
        last = max(first, min(len(self.values), -((self.start - end) // self.step)))
        return Series(
            self.quantity, self.start + first * self.step, self.step, self.values[first:last], self.flags[first:last],
            self.num, self.den,
        )  # fmt: skip


def stitch(
    quantity: Quantity, blocks: Sequence[Block], start: int, end: int, multiplier: Fraction = Fraction(1)
) -> Series:
    """Join stored days into the series over the aligned range around [start, end).

    Blocks of several steps come out in their least common one: a finer block's intervals are added up, and count only
    when all of them are there; where a finer block has no value, the coarser one's stands. Several scales come out in
    the largest that keeps all exact. Raises :class:`SeriesError`.
    """
    steps = {block.step for block in blocks}
    step = lcm(*steps) if steps else DEFAULT_STEP
    around = aligned_around(start, end, step)
    count = (around.end - around.start) // step
    if count > MAX_INTERVALS:
        raise SeriesError(f"{count} intervals are too many for one series: ask for at most {MAX_INTERVALS}")
    scales = {(block.num, block.den) for block in blocks}
    scale = common_scale(Fraction(*each) for each in scales) if scales else Fraction(1)
    if len(steps) == 1:
        values, flags = _grid(blocks, around.start, step, count, scale)
    else:
        values, flags = np.zeros(count, np.int64), np.full(count, MISSING, np.uint16)
        for fine in sorted(steps):
            own = [block for block in blocks if block.step == fine]
            part = _grid(own, around.start, fine, count * step // fine, scale)
            _fill(values, flags, *_coarse(*part, step // fine))
    total = scale * multiplier
    return Series(quantity, around.start, step, values, flags, total.numerator, total.denominator)


def common_scale(scales: Iterable[Fraction]) -> Fraction:
    """Return the largest scale of which all are whole multiples."""
    return reduce(lambda a, b: Fraction(gcd(a.numerator * b.denominator, b.numerator * a.denominator),
                                        a.denominator * b.denominator), scales)  # fmt: skip


def _grid(
    blocks: Iterable[Block], start: int, step: int, count: int, scale: Fraction
) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Unpack blocks of one step into ``count`` intervals from ``start``: each run of days without a gap at once."""
    end = start + count * step
    held = [block for block in blocks if block.start < end and block.start + block.count * step > start]
    before = max(0, (start - min((block.start for block in held), default=start)) // step)
    after = max(0, (max((block.start + block.count * step for block in held), default=end) - end) // step)
    values, flags = np.zeros(before + count + after, np.int64), np.full(before + count + after, MISSING, np.uint16)
    for run in _runs(held, step):
        first = before + (run[0].start - start) // step
        last = first + sum(block.count for block in run)
        part: Any = values[first:last]
        part_flags: Any = flags[first:last]
        ends = unpack_into([block.data for block in run], part, part_flags, step)
        if ends != array("q", accumulate(block.count for block in run)):
            raise SeriesError(
                f"blocks from {run[0].start} hold {ends.tolist()} intervals in turn, not what their rows say"
            )
        factor = Fraction(run[0].num, run[0].den) / scale
        if factor != 1:
            part[:] = _scaled(part, int(factor))
    return values[before : before + count], flags[before : before + count]


def _runs(blocks: Sequence[Block], step: int) -> Iterator[list[Block]]:
    """Cut blocks, in order, into runs in which one follows the other in the same scale."""
    run: list[Block] = []
    end, num, den = 0, 0, 0
    for block in blocks:
        if run and (block.start != end or block.num != num or block.den != den):
            yield run
            run = []
        run.append(block)
        end, num, den = block.start + block.count * step, block.num, block.den
    if run:
        yield run


def _scaled(values: NDArray[np.int64], factor: int) -> NDArray[np.int64]:
    largest = max(abs(int(values.max(initial=0))), abs(int(values.min(initial=0))))
    if largest * factor >= 1 << 63:
        raise SeriesError(f"count {largest} times {factor}, to bring several scales together, is beyond 64 bits")
    return values * factor


def _coarse(values: Any, flags: Any, times: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    if times == 1:
        return values, flags
    ends: Any = np.arange(times, len(values) + 1, times, dtype=np.int64)
    try:
        sums, merged, _ = kernels.resample(values, flags, ends, MISSING)
    except kernels.SeriesError as error:
        raise SeriesError(str(error)) from error
    return np.frombuffer(sums, np.int64), np.frombuffer(merged, np.uint16)


def _fill(values: Any, flags: Any, other_values: Any, other_flags: Any) -> None:
    """Take the other's intervals where nothing is held."""
    take = (flags & MISSING) != 0
    values[take] = np.where((other_flags[take] & MISSING) == 0, other_values[take], 0)
    flags[take] = np.where((other_flags[take] & MISSING) == 0, other_flags[take], flags[take] | other_flags[take])
