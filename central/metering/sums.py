"""Profiles of many meters added up interval by interval, with how many meters each sum has in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, reduce
from math import lcm
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.metering.day_rows import packed_days, series_of_meters
from central.metering.models import DAYS
from central.metering.series import DEFAULT_STEP, MAX_INTERVALS, SeriesError, common_scale, stitch
from central.metering.stored import StoredDay
from central.registry.service import MeterView
from central.store.chunks import chunks
from ext import series as kernels
from ext.profile import header, unpack_into
from shared.intervals import aligned_around, local_date
from shared.intervals import zone as zone_of
from shared.quality import NOT_BILLABLE, Quality
from shared.quantities import Quantity

_DAY: Final = 86400
#: The longest local day, s: room for any stored block.
_LONGEST_DAY: Final = 26 * 3600
#: Packed days held in memory at once, and of those unpacked at once: half a megabyte of quarter hours.
_ROWS: Final = 20_000
_BLOCKS: Final = 512


@dataclass(frozen=True, slots=True)
class Sum:
    """``values[i]`` adds up the counts of ``coverage[i]`` of ``meters`` meters over [start + i * step, + step).

    Count x ``num``/``den`` = unit of the quantity, transformers' ratios included.
    """

    quantity: Quantity
    start: int
    step: int
    values: NDArray[np.int64]
    coverage: NDArray[np.uint16]
    num: int
    den: int
    meters: int

    @property
    def end(self) -> int:
        return self.start + self.step * len(self.values)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which intervals have all meters in them."""
        complete: NDArray[np.bool_] = np.equal(self.coverage, self.meters)
        return complete

    def units(self) -> NDArray[np.float64]:
        """Values in the quantity's unit for pictures; NaN where no meter counts."""
        return np.where(self.coverage > 0, self.values * (self.num / self.den), np.nan)


class _Kind(NamedTuple):
    """A stored series; ``scale`` in lowest terms, with the transformers' ratio in it."""

    meter_id: int
    step: int
    shift: int
    scale: tuple[int, int]


async def sum_of(
    session: AsyncSession,
    views: Sequence[MeterView],
    channel: Quantity,
    start: int,
    end: int,
    without: Quality = NOT_BILLABLE,
) -> Sum:
    """Add up one channel of meters over the aligned range around [start, end).

    What is not held, and what has a flag of ``without``, is neither in a sum nor in its coverage. Several steps come
    out in their least common one, where a meter counts when all its intervals do; several scales in the largest that
    keeps all exact. Raises :class:`Refused` when the range is empty or too long, a meter is named twice, or counts are
    too large to be added.
    """
    if start >= end:
        raise Refused("start", "has to be before end")
    if len({view.meter.id for view in views}) != len(views):
        raise Refused("meters", "each meter can be in a sum once")
    kinds = await _kinds(session, views, channel)
    step = reduce(lcm, {kind.step for kind in kinds.values()}) if kinds else DEFAULT_STEP
    scale = common_scale(Fraction(*each) for each in {kind.scale for kind in kinds.values()} or {(1, 1)})
    around = aligned_around(start, end, step)
    count = (around.end - around.start) // step
    if count > MAX_INTERVALS:
        raise Refused("range", f"{count} intervals are too many for one sum: ask for at most {MAX_INTERVALS}")
    total = _Total(channel, around.start, step, scale, int(without | Quality.MISSING), count, kinds)
    zones = {zone_of(view.zone) for view in views}
    most = max(1, _ROWS // ((end - start) // _DAY + 2))
    for some in chunks(_by_meter(kinds), most):
        first = min(local_date(max(0, start - _DAY), tz) for tz in zones)
        last = max(local_date(end, tz) for tz in zones)
        rows = await packed_days(session, [series for each in some for series in each], first, last)
        try:
            total.add(sorted(rows))
        except (SeriesError, kernels.SeriesError) as error:
            raise Refused("meters", f"cannot be added up: {error}") from error
    return Sum(
        channel, around.start, step, total.values, total.coverage, scale.numerator, scale.denominator, len(views)
    )


async def _kinds(session: AsyncSession, views: Sequence[MeterView], channel: Quantity) -> dict[int, _Kind]:
    """The series of a channel of all these meters, by their id."""
    meters = {view.meter.id: view.meter for view in views}
    ratios = {meter_id: (meter.multiplier_num, meter.multiplier_den) for meter_id, meter in meters.items()}
    found = {}
    for tenant_id in {meter.tenant_id for meter in meters.values()}:
        for series_id, meter_id, step, shift, num, den in await series_of_meters(
            session, tenant_id, channel.code, meters
        ):
            found[series_id] = _Kind(meter_id, step, shift, _product(num, den, *ratios[meter_id]))
    return found


@lru_cache(maxsize=4096)
def _product(num: int, den: int, ratio_num: int, ratio_den: int) -> tuple[int, int]:
    return (Fraction(num, den) * Fraction(ratio_num, ratio_den)).as_integer_ratio()


def _by_meter(kinds: Mapping[int, _Kind]) -> list[list[int]]:
    """Ids of series, those of a meter together."""
    found: dict[int, list[int]] = {}
    for series_id, kind in kinds.items():
        found.setdefault(kind.meter_id, []).append(series_id)
    return list(found.values())


class _Total:
    """A sum being made. Meters of the sum's step go in as they are unpacked, run by run of days without a gap."""

    def __init__(
        self,
        channel: Quantity,
        start: int,
        step: int,
        scale: Fraction,
        mask: int,
        count: int,
        kinds: Mapping[int, _Kind],
    ) -> None:
        self.values: Any = np.zeros(count, np.int64)
        self.coverage: Any = np.zeros(count, np.uint16)
        self._channel = channel
        self._start = start
        self._step = step
        self._scale = scale
        self._mask = mask
        self._kinds = kinds
        self._factors = {each: int(Fraction(*each) / scale) for each in {kind.scale for kind in kinds.values()}}
        self._others = {kind.meter_id for kind in kinds.values() if kind.step != step}

    def add(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Add days in the order of their key: all of a meter, or none."""
        if self._others:
            of_others = [row for row in rows if self._kinds[row[0] // DAYS].meter_id in self._others]
            self._add_stitched(of_others)
            rows = [row for row in rows if self._kinds[row[0] // DAYS].meter_id not in self._others]
        room = min(_BLOCKS, len(rows)) * (_LONGEST_DAY // self._step)
        values: Any = np.empty(room, np.int64)
        flags: Any = np.empty(room, np.uint16)
        for some in chunks(rows, _BLOCKS):
            ids, blocks = zip(*some, strict=True)
            ends = np.frombuffer(unpack_into(blocks, values, flags, self._step), np.int64)
            for series_id, start, low, high in self._runs(np.array(ids), ends):
                factor = self._factors[self._kinds[series_id].scale]
                self._add_run(factor, start, values[low:high], flags[low:high])

    def _runs(self, ids: Any, ends: Any) -> Iterator[tuple[int, int, int, int]]:
        """Yield (series, start, first and end of the unpacked intervals) of days that join without a gap."""
        series, number = ids // DAYS, ids % DAYS
        own, times = np.unique(series, return_counts=True)
        shifts = [self._kinds[each].shift for each in own.tolist()]
        starts = number * _DAY + np.repeat(shifts, times)
        firsts = np.concatenate(([0], ends[:-1]))
        joined = (starts + (ends - firsts) * self._step)[:-1] == starts[1:]
        at = np.concatenate(([0], np.flatnonzero(~joined | (series[1:] != series[:-1])) + 1))
        lows = firsts[at]
        highs = np.append(lows[1:], ends[-1])
        return zip(series[at].tolist(), starts[at].tolist(), lows.tolist(), highs.tolist(), strict=True)

    def _add_stitched(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Add meters of another step than the sum's, or of several."""
        by_meter: dict[int, list[StoredDay]] = {}
        for row_id, data in rows:
            series_id, number = divmod(row_id, DAYS)
            meter_id, step, shift, scale = self._kinds[series_id]
            day = StoredDay(number * _DAY + shift, step, header(data)[0], *scale, data)
            by_meter.setdefault(meter_id, []).append(day)
        for blocks in by_meter.values():
            part = stitch(self._channel, blocks, self._start, self._start + self._step * len(self.values))
            fine = len(part.values) // len(self.values)
            values, flags = part.values.reshape(-1, fine).sum(1), np.bitwise_or.reduce(part.flags.reshape(-1, fine), 1)
            self._add_run(int(Fraction(part.num, part.den) / self._scale), self._start, values, flags)

    def _add_run(self, factor: int, start: int, values: Any, flags: Any) -> None:
        at = (start - self._start) // self._step
        low, high = max(0, -at), min(len(values), len(self.values) - at)
        if low >= high:
            return
        values, flags = values[low:high], flags[low:high]
        if factor != 1:
            if max(int(values.max()), -int(values.min())) * factor > kernels.MAX_COUNT:
                raise SeriesError(f"counts times {factor}, to bring several scales together, are beyond 2^42")
            values = values * factor
        here = slice(at + low, at + high)
        kernels.add(self.values[here], self.coverage[here], values, flags, self._mask)
