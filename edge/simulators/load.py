"""Replay of a real load curve: the same value for the same meter, channel and interval, whenever and wherever asked.

The curve shipped in ``data/`` is a whole number of weeks beginning on a Monday; it repeats for ever, so every instant
has a value, weekdays stay weekdays, and a restart changes nothing that was already measured. Meters differ by an exact
choice made from their serial: by how many weeks the curve is shifted, how many 0.01 kWh make a pulse, and what a pulse
is worth.
"""

import csv
import zlib
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Final

from edge.simulators.excerpt import HEADER, QUARTER, WEEKS, CurveError

CURVE_FILE: Final = Path(__file__).with_name("data") / "steel_works_26_weeks.csv"
CURVE_STEP: Final = 900  # seconds
WEEK: Final = 7 * 86400
#: Local midnight of a Monday; the curve's first interval falls on it and on every whole cycle after.
ANCHOR: Final = int(datetime(2018, 1, 1, tzinfo=UTC).timestamp())
#: Largest count of an interval: 12 bits, of which FFF marks overflow (dossier abnt-nbr-14522 §8.1).
MAX_PULSES: Final = 0xFFE
#: How large the site is compared with the plant of the curve.
_SIZES: Final = tuple(Fraction(n, d) for n, d in ((1, 1), (1, 2), (1, 4), (1, 5), (3, 2), (2, 1), (3, 4), (1, 10)))


class Channel(IntEnum):
    """Columns of the curve: energies that every meter measures."""

    ACTIVE = 0  # kWh delivered
    INDUCTIVE = 1  # kvarh
    CAPACITIVE = 2  # kvarh


#: Three columns of one length, a value per quarter hour from a Monday 0:00, in 0.01 kWh or kvarh.
Curve = tuple["array[int]", "array[int]", "array[int]"]


def load_curve(path: Path = CURVE_FILE) -> Curve:
    """Read a curve file.

    Gaps, doubled rows, unreadable values and broken weeks raise :class:`CurveError` with row and value.
    """
    columns: Curve = (array("H"), array("H"), array("H"))
    expected: datetime | None = None
    with path.open(encoding="ascii", newline="") as file:
        reader = csv.reader(file)
        header = tuple(next(reader, ()))
        if header != HEADER:
            raise CurveError(f"{path.name}, line 1: header {','.join(header)!r}, expected {','.join(HEADER)!r}")
        for number, row in enumerate(reader, start=2):
            start = _take(path, number, row, columns)
            if expected is None and (start.weekday() or start.hour or start.minute):
                raise CurveError(f"{path.name}, line {number}: starts {row[0]}, expected a Monday 00:00")
            if expected is not None and start != expected:
                what = "a doubled or misplaced row" if start < expected else "a gap"
                raise CurveError(f"{path.name}, line {number}: {row[0]}, expected {expected:%Y-%m-%d %H:%M} ({what})")
            expected = start + QUARTER
    rows = len(columns[0])
    if not rows or rows % (WEEK // CURVE_STEP):
        raise CurveError(f"{path.name}: {rows} rows are no whole number of weeks of {WEEK // CURVE_STEP}")
    return columns


def _take(path: Path, number: int, row: list[str], columns: Curve) -> datetime:
    try:
        start = datetime.strptime(row[0], "%Y-%m-%d %H:%M")  # noqa: DTZ007 - the curve's own wall clock
        values = [int(text) for text in row[1:]]
        if len(values) != len(columns):
            raise ValueError(f"{len(values)} values instead of {len(columns)}")
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    except (ValueError, OverflowError, IndexError) as error:
        raise CurveError(f"{path.name}, line {number}: {','.join(row)!r}: {error}") from error
    return start


@cache
def shipped_curve() -> Curve:
    """Return the curve of the package, read once."""
    return load_curve()


class LoadReplay:
    """What one meter counts in each interval.

    ``serial`` chooses shift, pulse and size; ``step`` is the interval in seconds (300, 900, 1800 or 3600, say);
    ``utc_offset`` the seconds the meter's wall clock is ahead of UTC; ``variation`` gives one meter further loads.
    """

    def __init__(self, serial: str, step: int = CURVE_STEP, utc_offset: int = -10800, variation: int = 0) -> None:
        if step < 60 or 86400 % step or (CURVE_STEP % step and step % CURVE_STEP):
            raise ValueError(f"interval of {step} s: it must divide a day, and {CURVE_STEP} s or be a multiple of it")
        self.step = step
        self.utc_offset = utc_offset
        seed = zlib.crc32(f"{serial}/{variation}".encode())
        smallest = _smallest_divisor(step)
        #: units of 0.01 kWh in one pulse
        self.divisor = smallest + (seed >> 8) % (smallest + 2)
        worth = _SIZES[(seed >> 16) % len(_SIZES)] * self.divisor / 100
        #: kWh (kvarh) a pulse is worth
        self.constant = (worth.numerator, worth.denominator)
        #: whole weeks by which this meter's curve is shifted
        self.shift = seed % WEEKS
        self._turn = self.shift * WEEK // step
        self._length = WEEKS * WEEK // step

    def cycle(self, channel: int) -> "array[int]":
        """Pulses of one whole cycle of the curve, from a Monday midnight on; shared by meters, not to be changed."""
        return pulses(channel, self.step, self.divisor)

    def index(self, local: int) -> int:
        """Place in :meth:`cycle` of the interval that holds the wall-clock instant ``local``."""
        return ((local - ANCHOR) // self.step + self._turn) % self._length

    def value(self, channel: int, start: int) -> int:
        """Pulses of the interval that starts at ``start`` (UTC seconds, on the meter's grid)."""
        local = start + self.utc_offset
        if local % self.step:
            when = datetime.fromtimestamp(start, UTC)
            raise ValueError(f"{when:%Y-%m-%d %H:%M:%S} UTC is no interval start of {timedelta(seconds=self.step)}")
        return self.cycle(channel)[self.index(local)]


@cache
def pulses(channel: int, step: int, divisor: int) -> "array[int]":
    """Count whole pulses of ``divisor`` units; the rest of a pulse is carried into the next interval, as in a meter."""
    counts, total = array("H"), 0
    for value in _resample(shipped_curve()[channel], step):
        before, total = total // divisor, total + value
        counts.append(total // divisor - before)
    return counts


@cache
def _smallest_divisor(step: int) -> int:
    """Fewest units a pulse may hold for every interval to fit 12 bits."""
    return -(-max(max(_resample(column, step)) for column in shipped_curve()) // MAX_PULSES)


def _resample(column: "array[int]", step: int) -> Sequence[int]:
    """Units per ``step``: quarters are added up, or parted so that their parts sum to the whole."""
    if step >= CURVE_STEP:
        many = step // CURVE_STEP
        return [sum(column[i : i + many]) for i in range(0, len(column), many)]
    parts = CURVE_STEP // step
    return [value * (i + 1) // parts - value * i // parts for value in column for i in range(parts)]
