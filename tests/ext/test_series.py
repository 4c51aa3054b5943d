from array import array
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.quality import ALL_FLAGS, NOT_BILLABLE, Quality

MASK = int(NOT_BILLABLE)
LIMIT = 1 << 42

Row = tuple[int, int]  # value, flags

#: Mostly good intervals, so that long runs occur.
flags_of_one = st.one_of(st.just(0), st.just(0), st.just(0), st.integers(0, ALL_FLAGS))
rows_of = st.lists(st.tuples(st.integers(-LIMIT, LIMIT) | st.integers(-2, 2), flags_of_one), max_size=80)


def arrays(rows: list[Row]) -> tuple["array[int]", "array[int]"]:
    return array("q", [row[0] for row in rows]), array("H", [row[1] for row in rows])


def counts(row: Row) -> bool:
    return not row[1] & MASK


# -- sums of many meters ---------------------------------------------------------------------------------------------


def test_a_balance_of_three_meters(series: ModuleType) -> None:
    total, coverage = array("q", [0, 0, 0]), array("H", [0, 0, 0])
    missing = int(Quality.MISSING)
    for values, flags, sign in (([9, 8, 7], [0, 0, 0], 1), ([1, 2, 3], [0, missing, 0], -1), ([5, 5, 5], [0, 0, 4], 1)):
        series.add(total, coverage, array("q", values), array("H", flags), missing, sign)
    assert (total.tolist(), coverage.tolist()) == ([13, 13, 9], [3, 2, 3])


@given(
    meters=st.lists(st.lists(st.tuples(st.integers(-LIMIT, LIMIT), flags_of_one), min_size=70, max_size=70), max_size=3)
)
def test_sums_against_plain_python(series: ModuleType, meters: list[list[Row]]) -> None:
    total, coverage = array("q", bytes(560)), array("H", bytes(140))
    for rows in meters:
        series.add(total, coverage, *arrays(rows), MASK)
    for rows in meters:  # the same again and away: nothing but coverage remains of it
        series.add(total, coverage, *arrays(rows), MASK)
        series.add(total, array("H", bytes(140)), *arrays(rows), MASK, -1)
    for i in range(70):
        counted = [rows[i][0] for rows in meters if counts(rows[i])]
        assert (total[i], coverage[i]) == (sum(counted), 2 * len(counted))


def test_a_refused_series_changes_nothing(series: ModuleType) -> None:
    one = array("q", [1]), array("H", [0])
    for total, coverage, values, message in (
        ([5, 5], [1, 1], [1, LIMIT + 1], "interval 1 has"),
        ([5, 5], [1, 1], [-LIMIT - 1, 0], "interval 0 has"),
        ([5, 2**62], [1, 1], [1, 1], "interval 1 already holds"),
        ([5, 5], [1, 65535], [1, 1], "interval 1 already holds 5 of 65535"),
    ):
        kept, counted = array("q", total), array("H", coverage)
        with pytest.raises(series.SeriesError, match=message):
            series.add(kept, counted, array("q", values), array("H", [0, 0]), MASK)
        assert (kept.tolist(), counted.tolist()) == (total, coverage)
    with pytest.raises(series.SeriesError, match="total of 2, coverage of 1 and 1 values"):
        series.add(array("q", [0, 0]), array("H", [0]), *one, MASK)
    with pytest.raises(series.SeriesError, match="sign 2"):
        series.add(array("q", [0]), array("H", [0]), *one, MASK, 2)


# -- resampling ------------------------------------------------------------------------------------------------------


@given(rows=rows_of, data=st.data())
def test_groups_against_plain_python(series: ModuleType, rows: list[Row], data: st.DataObject) -> None:
    ends = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=8)))
    sums, merged, counted = series.resample(*arrays(rows), array("q", ends), MASK)
    for i, (first, end) in enumerate(zip([0, *ends], ends, strict=False)):
        part = rows[first:end]
        assert sums[i] == sum(row[0] for row in part if counts(row))
        assert counted[i] == sum(map(counts, part))
        assert merged[i] == int(np.bitwise_or.reduce([row[1] for row in part], dtype=np.int64))
    assert len(sums) == len(merged) == len(counted) == len(ends)


def test_refuses_groups_that_do_not_fit(series: ModuleType) -> None:
    for ends, bad in (([1, 3], 1), ([-1], 0), ([2, 1], 1)):
        with pytest.raises(series.SeriesError, match=f"group {bad} ends"):
            series.resample(*arrays([(1, 0), (2, 0)]), array("q", ends), MASK)


# -- gaps ------------------------------------------------------------------------------------------------------------


@given(rows=rows_of)
def test_gaps_against_plain_python(series: ModuleType, rows: list[Row]) -> None:
    found = series.gaps(arrays(rows)[1], MASK)
    assert [i for first, end in found for i in range(first, end)] == [i for i, r in enumerate(rows) if not counts(r)]
    edges = [edge for gap in found for edge in gap]
    assert edges == sorted(set(edges))  # none empty, no two that touch


def test_gaps_at_both_ends(series: ModuleType) -> None:
    assert series.gaps(array("H", [2, 2, 0, 1, 2]), 2) == [(0, 2), (4, 5)]
    assert series.gaps(array("H"), 2) == []
    assert series.gaps(array("H", [2]), 2) == [(0, 1)]


# -- sliding demand, load factor -------------------------------------------------------------------------------------


@given(rows=rows_of, parts=st.integers(1, 6), every=st.integers(1, 4), data=st.data())
def test_sliding_demand_against_plain_python(
    series: ModuleType, rows: list[Row], parts: int, every: int, data: st.DataObject
) -> None:
    window, lead = parts * every, data.draw(st.integers(0, every - 1))
    whole = [
        (sum(row[0] for row in rows[i : i + window]), -i)
        for i in range(lead, len(rows) - window + 1, every)
        if all(map(counts, rows[i : i + window]))
    ]
    best = max(whole, default=None)
    expected = (None, None, 0) if best is None else (best[0], -best[1], len(whole))
    assert series.sliding(*arrays(rows), MASK, window, every, lead) == expected


def test_quarter_hours_of_minutes_in_sub_intervals_of_five(series: ModuleType) -> None:
    values = array("q", [0] * 60)
    values[7:22] = array("q", [1] * 15)  # 15 minutes that no window of five-minute sub-intervals holds whole
    flags = array("H", bytes(120))
    assert series.sliding(values, flags, MASK, 15) == (15, 7, 46)
    assert series.sliding(values, flags, MASK, 15, 5) == (13, 5, 10)
    assert series.sliding(values, flags, MASK, 15, 5, 2) == (15, 7, 9)
    assert series.sliding(values, flags, MASK, 15, 15) == (8, 0, 4)  # block demand; the earlier of 8 and 7


def test_load_factor(series: ModuleType) -> None:
    # a month of quarter hours: 7200 kWh over 720 h is 10 kW in the mean, the highest 40 kW
    assert series.load_factor(7200, 2880, 10) == Fraction(1, 4)
    assert series.load_factor(7200, 8640, 10, 3) == Fraction(1, 4)  # the same from five minutes
    assert series.load_factor(0, 2880, 0) is None
    assert series.load_factor(0, 0, 5) is None
    with pytest.raises(series.SeriesError, match="windows of 0"):
        series.load_factor(1, 1, 1, 0)


# -- what all refuse -------------------------------------------------------------------------------------------------


def test_refuses_what_is_no_series(series: ModuleType) -> None:
    values, flags = arrays([(1, 0), (2, 0)])
    with pytest.raises(series.SeriesError, match="2 values and 1 flags: one each per interval"):
        series.sliding(values, array("H", [0]), MASK, 1)
    with pytest.raises(series.SeriesError, match="1 values and 2 flags: one each per interval"):
        series.resample(array("q", [1]), flags, array("q"), MASK)
    with pytest.raises(series.SeriesError, match="mask 10000 is no set of 16 flags"):
        series.gaps(flags, 65536)
    with pytest.raises(series.SeriesError, match="mask -1 is no set of 16 flags"):
        series.sliding(values, flags, -1, 1)
    for window in (0, series.MAX_TERMS + 1):
        with pytest.raises(series.SeriesError, match=f"window of {window}"):
            series.sliding(values, flags, MASK, window)
    for window, every in ((3, 0), (3, 2), (3, 6)):
        with pytest.raises(series.SeriesError, match=f"no whole sub-intervals of {every}"):
            series.sliding(values, flags, MASK, window, every)
    for lead in (-1, 3):
        with pytest.raises(series.SeriesError, match=f"{lead} intervals before the first"):
            series.sliding(values, flags, MASK, 3, 3, lead)
    with pytest.raises(TypeError, match="flags must be"):
        series.gaps(values, MASK)


def test_a_group_is_bounded_a_series_is_not(series: ModuleType) -> None:
    count = series.MAX_TERMS + 1
    values, flags = np.full(count, LIMIT), np.zeros(count, np.uint16)
    sums, _, counted = series.resample(values, flags, array("q", [count - 1, count]), MASK)
    assert (sums.tolist(), counted.tolist()) == ([LIMIT * (count - 1), LIMIT], [count - 1, 1])
    assert series.sliding(-values[1:], flags[1:], MASK, count - 1) == (-LIMIT * (count - 1), 0, 1)
    with pytest.raises(series.SeriesError, match=f"group 0 ends at interval {count}"):
        series.resample(values, flags, array("q", [count]), MASK)


def test_counts_beyond_the_limit_are_refused_unless_they_do_not_count(series: ModuleType) -> None:
    values = array("q", [1, 2**63 - 1, 2])
    assert series.sliding(values, array("H", [0, Quality.OVERFLOW, 0]), MASK, 1) == (2, 2, 2)
    good = array("H", bytes(6))
    with pytest.raises(series.SeriesError, match="interval 1 has 9223372036854775807"):
        series.sliding(values, good, MASK, 2)
    with pytest.raises(series.SeriesError, match="interval 1 has 9223372036854775807"):
        series.resample(values, good, array("q", [3]), MASK)
