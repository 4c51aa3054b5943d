"""Stored days stitched into one series, against the same made interval by interval."""

from array import array
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.metering.series import MISSING, SeriesError, stitch
from ext.profile import pack
from shared.quality import Quality
from shared.quantities import Quantity

ACTIVE = Quantity(1, 29)
START = 1_772_420_400  # a midnight in America/Sao_Paulo
SCALES = (Fraction(1, 10), Fraction(1, 4), Fraction(1, 10), Fraction(1, 10))


@dataclass
class Day:
    start: int
    step: int
    count: int
    num: int
    den: int
    data: bytes


def day(start: int, rows: list[tuple[int, int]], step: int = 900, scale: Fraction = SCALES[0]) -> Day:
    data = pack(array("q", [row[0] for row in rows]), array("H", [row[1] for row in rows]), step)
    return Day(start, step, len(rows), scale.numerator, scale.denominator, data)


row = st.tuples(
    st.integers(-9, 9999), st.sampled_from([0, 0, 0, MISSING, int(Quality.ESTIMATED), int(Quality.OVERFLOW)])
)


@given(
    days=st.lists(st.tuples(st.booleans(), st.sampled_from(SCALES), st.lists(row, min_size=8, max_size=8)), max_size=6),
    low=st.integers(-10, 40),
    size=st.integers(1, 60),
)
def test_days_against_single_intervals(
    days: list[tuple[bool, Fraction, list[tuple[int, int]]]], low: int, size: int
) -> None:
    """ "Days" of eight quarter hours, some not held, in several scales; the range cuts through them."""
    held = [(8 * n, scale, rows) for n, (there, scale, rows) in enumerate(days) if there]
    blocks = [day(START + 900 * at, rows, scale=scale) for at, scale, rows in held]
    series = stitch(ACTIVE, blocks, START + 900 * low, START + 900 * (low + size), Fraction(3))
    every = {at + i: (value * scale * 3, flags) for at, scale, rows in held for i, (value, flags) in enumerate(rows)}
    assert (series.start, series.step, len(series.values)) == (START + 900 * low, 900, size)
    for i, (value, flags) in enumerate(zip(series.values.tolist(), series.flags.tolist(), strict=True), low):
        expected, marks = every.get(i, (Fraction(0), MISSING))
        assert flags == marks
        assert value * Fraction(series.num, series.den) == (0 if marks & MISSING else expected)


def test_finer_days_count_where_they_are_whole() -> None:
    estimated = int(Quality.ESTIMATED)
    fine = [(1, 0), (2, estimated), (3, 0), (4, 0), (0, MISSING), (5, 0)]
    blocks = [day(START, [(70, 0), (80, 2)]), day(START, fine, step=300)]
    series = stitch(ACTIVE, blocks, START, START + 1800)
    assert (series.values.tolist(), series.flags.tolist()) == ([6, 80], [estimated, 2])


def test_refuses_what_cannot_be_one_series() -> None:
    with pytest.raises(SeriesError, match="too many"):
        stitch(ACTIVE, [], 0, 2_000_000_000)
    with pytest.raises(SeriesError, match="interval 1 has 4398046511105 counts"):
        stitch(
            ACTIVE, [day(START, [(1, 0), (2**42 + 1, 0), (0, 0)], step=300), day(START, [(1, 0)])], START, START + 900
        )
    with pytest.raises(SeriesError, match="beyond 64 bits"):
        stitch(ACTIVE, [day(START, [(2**62, 0)]), day(START + 900, [(1, 0)], scale=SCALES[1])], START, START + 1800)
    wrong = day(START, [(1, 0), (2, 0)])
    wrong.count = 3
    with pytest.raises(SeriesError, match=r"hold \[2\] intervals"):
        stitch(ACTIVE, [wrong], START, START + 1800)
