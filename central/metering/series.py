"""Stored days of one channel stitched into one series of NumPy arrays (pure)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd, lcm
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ext.profile import unpack
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
    step = reduce(lcm, (block.step for block in blocks)) if blocks else DEFAULT_STEP
    around = aligned_around(start, end, step)
    count = (around.end - around.start) // step
    if count > MAX_INTERVALS:
        raise SeriesError(f"{count} intervals are too many for one series: ask for at most {MAX_INTERVALS}")
    scale = common_scale(Fraction(block.num, block.den) for block in blocks) if blocks else Fraction(1)
    values, flags = np.zeros(count, np.int64), np.full(count, MISSING, np.uint16)
    for fine in sorted({block.step for block in blocks}):
        part = _grid([block for block in blocks if block.step == fine], around.start, fine, count * step // fine, scale)
        _fill(values, flags, *_coarse(*part, step // fine))
    total = scale * multiplier
    return Series(quantity, around.start, step, values, flags, total.numerator, total.denominator)


def common_scale(scales: Iterable[Fraction]) -> Fraction:
    """Return the largest scale of which all are whole multiples."""
    return reduce(lambda a, b: Fraction(gcd(a.numerator * b.denominator, b.numerator * a.denominator),
                                        a.denominator * b.denominator), scales)  # fmt: skip


def _grid(
    blocks: Sequence[Block], start: int, step: int, count: int, scale: Fraction
) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    values, flags = np.zeros(count, np.int64), np.full(count, MISSING, np.uint16)
    for block in blocks:
        packed_values, packed_flags, _ = unpack(block.data)
        block_values = np.frombuffer(packed_values, np.int64)
        block_flags = np.frombuffer(packed_flags, np.uint16)
        factor = Fraction(block.num, block.den) / scale
        if factor != 1:
            block_values = _scaled(block_values, int(factor))
        at = (block.start - start) // step
        low, high = max(0, -at), min(len(block_values), count - at)
        if low < high:
            values[at + low : at + high] = block_values[low:high]
            flags[at + low : at + high] = block_flags[low:high]
    return values, flags


def _scaled(values: NDArray[np.int64], factor: int) -> NDArray[np.int64]:
    largest = max(abs(int(values.max(initial=0))), abs(int(values.min(initial=0))))
    if largest * factor >= 1 << 63:
        raise SeriesError(f"count {largest} times {factor}, to bring several scales together, is beyond 64 bits")
    return values * factor


def _coarse(values: Any, flags: Any, times: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    if times == 1:
        return values, flags
    rows = flags.reshape(-1, times)
    return values.reshape(-1, times).sum(axis=1), np.bitwise_or.reduce(rows, axis=1)


def _fill(values: Any, flags: Any, other_values: Any, other_flags: Any) -> None:
    """Take the other's intervals where nothing is held."""
    take = (flags & MISSING) != 0
    values[take] = np.where((other_flags[take] & MISSING) == 0, other_values[take], 0)
    flags[take] = np.where((other_flags[take] & MISSING) == 0, other_flags[take], flags[take] | other_flags[take])
