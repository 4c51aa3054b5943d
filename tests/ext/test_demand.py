from array import array
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.quality import ALL_FLAGS, NOT_BILLABLE, Quality
from shared.quantities import Post

MASK = int(NOT_BILLABLE)
P, F, I = Post.PEAK, Post.OFF_PEAK, Post.INTERMEDIATE  # noqa: E741


def flags_of(*flags: int) -> "array[int]":
    return array("H", flags)


def test_quarter_hours(demand: ModuleType) -> None:
    values = array("q", [10, 40, 30, 40, 5])
    totals = demand.integrate(values, flags_of(0, 0, 0, 0, 0), bytes([F, P, P, P, F]), MASK)
    assert totals[Post.PEAK] == (110, 3, 0, 3, 40, 1)  # ties: the earliest
    assert totals[Post.OFF_PEAK] == (15, 2, 0, 2, 10, 0)
    assert totals[demand.TOTAL] == (125, 5, 0, 5, 40, 1)
    assert set(totals) == {0, Post.PEAK, Post.OFF_PEAK}


def test_flags_that_are_not_billed_are_gaps(demand: ModuleType) -> None:
    values = array("q", [1, 99, 4095, 50, 2])
    flags = flags_of(0, Quality.MISSING, Quality.OVERFLOW, Quality.UNRECONCILED | Quality.OUTAGE, Quality.ESTIMATED)
    totals = demand.integrate(values, flags, bytes([F] * 5), MASK)
    assert totals[Post.OFF_PEAK] == (3, 2, 3, 2, 2, 4)


def test_five_minute_values_in_quarter_hours(demand: ModuleType) -> None:
    # one interval before the first aligned window, a complete one, one with a gap, one cut off by the end
    values = array("q", [900, 1, 2, 3, 500, 0, 500, 800, 800])
    flags = flags_of(0, 0, 0, 0, 0, Quality.MISSING, 0, 0, 0)
    totals = demand.integrate(values, flags, bytes([P] * 3 + [F] * 6), MASK, 3, 1)
    assert totals[Post.PEAK] == (903, 3, 0, 1, 6, 1)  # the window belongs to the post of its first interval
    assert totals[Post.OFF_PEAK] == (2603, 5, 1, 0, None, None)
    assert totals[0] == (3506, 8, 1, 1, 6, 1)


def test_negative_demand_has_a_maximum_too(demand: ModuleType) -> None:
    totals = demand.integrate(array("q", [-5, -3, -4]), flags_of(0, 0, 0), bytes([I] * 3), MASK)
    assert totals[Post.INTERMEDIATE] == (-12, 3, 0, 3, -3, 1)


def test_intervals_before_window(demand: ModuleType) -> None:
    quarter = 1_700_000_100  # a whole quarter hour
    assert quarter % 900 == 0
    assert [demand.intervals_before_window(quarter + 300 * i, 300, 3) for i in range(4)] == [0, 2, 1, 0]
    assert demand.intervals_before_window(quarter, 900, 1) == 0


def test_empty(demand: ModuleType) -> None:
    assert demand.integrate(array("q"), flags_of(), b"", MASK) == {0: (0, 0, 0, 0, None, None)}


@given(
    rows=st.lists(
        st.tuples(st.integers(-(10**9), 10**9), st.integers(0, ALL_FLAGS), st.sampled_from([1, 2, 3, 4])), max_size=80
    ),
    window=st.integers(1, 6),
    data=st.data(),
)
def test_against_a_plain_sum(
    demand: ModuleType, rows: list[tuple[int, int, int]], window: int, data: st.DataObject
) -> None:
    lead = data.draw(st.integers(0, window - 1))
    values, flags = array("q", [row[0] for row in rows]), array("H", [row[1] for row in rows])
    posts = bytes(row[2] for row in rows)
    totals = demand.integrate(values, flags, posts, MASK, window, lead)
    windows = [(i, rows[i : i + window]) for i in range(lead, len(rows) - window + 1, window)]
    whole = [(sum(row[0] for row in part), i) for i, part in windows if not any(row[1] & MASK for row in part)]
    for post in {0, *posts}:
        mine = [row for row in rows if post in (0, row[2])]
        counted = [row[0] for row in mine if not row[1] & MASK]
        sums = [(energy, i) for energy, i in whole if post in (0, posts[i])]
        best = max(sums, key=lambda found: (found[0], -found[1]), default=(None, None))
        assert totals[post] == (sum(counted), len(counted), len(mine) - len(counted), len(sums), *best)
    assert set(totals) == {0, *posts}


def test_sums_stay_exact_or_are_refused(demand: ModuleType) -> None:
    limit = (2**63 - 1) // 2
    totals = demand.integrate(array("q", [limit, limit]), flags_of(0, 0), bytes([P, P]), MASK, 2)
    assert totals[0].maximum == 2 * limit
    for values in ([limit + 1, 0], [0, -limit - 1]):
        with pytest.raises(demand.DemandError, match=f"{values[0] or values[1]} counts"):
            demand.integrate(array("q", values), flags_of(0, 0), bytes([P, P]), MASK)
    ignored = demand.integrate(array("q", [2**63 - 1, 7]), flags_of(Quality.OVERFLOW, 0), bytes([P, P]), MASK)
    assert ignored[0].energy == 7


@pytest.mark.parametrize(("posts", "bad"), [(bytes([2, 0]), 1), (bytes([16, 2]), 0), (bytes([255, 2]), 0)])
def test_refuses_posts(demand: ModuleType, posts: bytes, bad: int) -> None:
    with pytest.raises(demand.DemandError, match=f"interval {bad} has post {posts[bad]}"):
        demand.integrate(array("q", [1, 2]), flags_of(0, 0), posts, MASK)


def test_refuses_series_that_do_not_fit(demand: ModuleType) -> None:
    values = array("q", [1, 2])
    for flags, posts in ((flags_of(0), bytes([1, 1])), (flags_of(0, 0), bytes([1]))):
        with pytest.raises(demand.DemandError, match="one each per interval"):
            demand.integrate(values, flags, posts, MASK)
    for window, lead in ((0, 0), (1441, 0), (3, 3), (3, -1)):
        with pytest.raises(demand.DemandError, match="window"):
            demand.integrate(values, flags_of(0, 0), bytes([1, 1]), MASK, window, lead)
    for mask in (-1, 0x10000):
        with pytest.raises(demand.DemandError, match="mask"):
            demand.integrate(values, flags_of(0, 0), bytes([1, 1]), mask)


def test_takes_numpy(demand: ModuleType) -> None:
    totals = demand.integrate(np.array([1, 2], np.int64), np.zeros(2, np.uint16), np.array([1, 1], np.uint8), MASK)
    assert totals[1].energy == 3
