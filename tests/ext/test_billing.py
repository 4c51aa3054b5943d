import sys
import threading
import time
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calendar_builders import brazil_calendar
from shared.quality import NOT_BILLABLE, Quality
from shared.slots import SlotLookup, lookup_for, month_lookup
from tests.ext.builds import load_compiled, load_source

Row = tuple[int, int, int]  # meter, start, value


class Segments(NamedTuple):
    step: int
    begin: int
    ends: "array[int]"
    slots: "array[int]"


#: Intervals 10 to 29 in steps of 300 s; the boundary at 20 lies inside a quarter hour.
LOOKUP = Segments(300, 10, array("q", [12, 20, 30]), array("H", [1, 2, 17]))


def columns(rows: list[Row]) -> tuple["array[int]", "array[int]", "array[int]"]:
    return array("i", [r[0] for r in rows]), array("q", [r[1] for r in rows]), array("i", [r[2] for r in rows])


def plain(rows: list[Row], lookup: Segments | SlotLookup, window: int) -> list[tuple[int | None, ...]]:
    """Return what a person would compute, row by row from dictionaries."""
    slot_of, before = {}, lookup.begin
    for end, slot in zip(lookup.ends, lookup.slots, strict=True):
        slot_of.update(dict.fromkeys(range(before, end), slot))
        before = end
    values = {(meter, start // lookup.step): value for meter, start, value in rows}
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    windows: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for (meter, index), value in values.items():
        cells[meter, slot_of[index]].append(value)
        every = [(meter, i) for i in range(index, index + window)]
        if index % window == 0 and all(key in values for key in every):
            windows[meter, slot_of[index]].append((sum(values[key] for key in every), -index))
    found = []
    for (meter, slot), counted in sorted(cells.items()):
        best = max(windows[meter, slot], default=None)
        top = (None, None) if best is None else (best[0], -best[1] * lookup.step)
        found.append((meter, slot, sum(counted), len(counted), len(windows[meter, slot]), *top, 0))
    return found


def test_quarter_hours_of_five_minutes(billing: ModuleType) -> None:
    # interval 14 of meter 7 is missing, so only 15..17 and 18..20 are whole, the latter over a boundary
    rows = [(7, 300 * i, 10 * i) for i in (10, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21)] + [(9, 300 * 29, -5)]
    totals = billing.bill(*columns(rows), LOOKUP, 3)
    assert list(totals.rows()) == [
        (7, 1, 210, 2, 0, None, None, 0),
        (7, 2, 1100, 7, 2, 570, 5400, 0),
        (7, 17, 410, 2, 0, None, None, 0),
        (9, 17, -5, 1, 0, None, None, 0),
    ]
    assert totals.meters.tolist() == [7, 9]
    assert totals.slots == 18
    assert len(totals.sums) == 2 * 18 * billing.WIDTH


def test_the_earliest_of_equal_demands_counts_and_negative_ones_too(billing: ModuleType) -> None:
    rows = [(1, 300 * i, value) for i, value in zip(range(12, 18), (-4, 0, 0, 0, 0, -4), strict=True)]
    assert [total[4:] for total in billing.bill(*columns(rows), LOOKUP, 3).rows()] == [(2, -4, 3600, 0)]


def test_extremes_stay_exact(billing: ModuleType) -> None:
    for value in (2**31 - 1, -(2**31)):
        rows = [(2**31 - 1, 300 * i, value) for i in range(12, 20)]
        (total,) = billing.bill(*columns(rows), LOOKUP, 3).rows()
        assert total == (2**31 - 1, 2, 8 * value, 8, 2, 3 * value, 3600, 0)


def test_nothing(billing: ModuleType) -> None:
    totals = billing.bill(array("i"), array("q"), array("i"), LOOKUP, 3, 2)
    assert (list(totals.rows()), len(totals.sums)) == ([], 0)


@st.composite
def readings(draw: st.DrawFn, begin: int, end: int) -> list[Row]:
    """Draw rows of a few meters: long runs with single intervals and ranges missing."""
    rows = []
    for meter in sorted(draw(st.sets(st.integers(-3, 2**31 - 1), max_size=4))):
        first = draw(st.integers(begin, end - 1))
        last = draw(st.integers(first, min(first + 150, end)))
        gone = draw(st.sets(st.integers(first, last), max_size=6))
        low = draw(st.integers(first, last))
        gone.update(range(low, low + draw(st.integers(0, 40))))
        least, size = (-1, 3) if draw(st.booleans()) else (-(2**31), 2**32)  # many equal demands, or none
        kept = (index for index in range(first, last) if index not in gone)
        rows += [(meter, index, least + index * 2_654_435_761 % size) for index in kept]
    return rows


@given(data=st.data(), window=st.sampled_from([1, 2, 3, 4, 15]), step=st.sampled_from([60, 300, 900, 7]))
def test_against_plain_python(billing: ModuleType, data: st.DataObject, window: int, step: int) -> None:
    begin = data.draw(st.integers(0, 40))
    ends = sorted(data.draw(st.sets(st.integers(begin + 1, begin + 300), min_size=1, max_size=12)))
    slots = data.draw(st.lists(st.integers(0, 40), min_size=len(ends), max_size=len(ends)))
    lookup = Segments(step, begin, array("q", ends), array("H", slots))
    rows = [(meter, index * step, value) for meter, index, value in data.draw(readings(begin, ends[-1]))]
    threads = data.draw(st.integers(1, 3))
    assert list(billing.bill(*columns(rows), lookup, window, threads).rows()) == plain(rows, lookup, window)


@given(data=st.data(), window=st.sampled_from([1, 2, 3, 15]))
def test_a_block_series_comes_to_what_its_rows_do(billing: ModuleType, data: st.DataObject, window: int) -> None:
    begin = data.draw(st.integers(0, 40))
    ends = sorted(data.draw(st.sets(st.integers(begin + 1, begin + 300), min_size=1, max_size=12)))
    slots = data.draw(st.lists(st.integers(0, 40), min_size=len(ends), max_size=len(ends)))
    lookup = Segments(900, begin, array("q", ends), array("H", slots))
    first = data.draw(st.integers(begin, ends[-1]))
    count = data.draw(st.integers(0, ends[-1] - first))
    gone = data.draw(st.sets(st.integers(0, 300), max_size=8))
    values = array("q", [i * 2_654_435_761 % 2**32 - 2**31 for i in range(count)])
    flags = array("H", [0b101 if i in gone else 0b010 for i in range(count)])
    totals = billing.bill_series(values, flags, first * 900, lookup, 0b100, window, 8)
    rows = [(8, (first + i) * 900, value) for i, value in enumerate(values) if i not in gone]
    found = list(totals.rows())
    assert [total[:7] for total in found if total.intervals] == [row[:7] for row in plain(rows, lookup, window)]
    every = [slots[bisect_right(ends, first + i)] for i in range(count)]
    gaps = Counter(slot for i, slot in enumerate(every) if i in gone)
    assert {total.slot: total.gaps for total in found} == {slot: gaps[slot] for slot in set(every)}


def test_intervals_that_do_not_count_are_the_gaps_of_their_slot(billing: ModuleType) -> None:
    # one interval before the first aligned window, a whole one, one with a gap, one cut off by the end
    values = array("q", [900, 1, 2, 3, 500, 4095, 500, 800, 800])
    flags = array("H", [0, 0, Quality.ESTIMATED, 0, 0, Quality.MISSING, 0, 0, 0])
    lookup = Segments(300, 0, array("q", [3, 100, 200]), array("H", [1, 2, 4]))
    totals = billing.bill_series(values, flags, 600, lookup, int(NOT_BILLABLE), 3)
    assert list(totals.rows()) == [(0, 1, 900, 1, 0, None, None, 0), (0, 2, 2606, 7, 1, 6, 900, 1)]
    assert totals.expected.tolist() == [0, 1, 8, 0, 0]
    nothing = array("H", [Quality.MISSING, Quality.OVERFLOW, Quality.UNRECONCILED | Quality.OUTAGE] * 3)
    (total,) = billing.bill_series(values, nothing, 900, lookup, int(NOT_BILLABLE), 3).rows()
    assert total == (0, 2, 0, 0, 0, None, None, 9)
    assert list(billing.bill_series(array("q"), array("H"), 900, lookup, 1).rows()) == []


def test_a_block_series_stays_exact_or_is_refused(billing: ModuleType) -> None:
    flags, limit = array("H", bytes(6)), 2**60
    (total,) = billing.bill_series(array("q", [limit - 1] * 3), flags, 3600, LOOKUP, 1, 3).rows()
    assert total == (0, 2, 3 * (limit - 1), 3, 1, 3 * (limit - 1), 3600, 0)
    (total,) = billing.bill_series(array("q", [-limit] * 3), flags, 3600, LOOKUP, 1, 3).rows()
    assert total[2:6] == (-3 * limit, 3, 1, -3 * limit)
    for value in (limit, -limit - 1, 2**63 - 1, -(2**63)):
        values = array("q", [0, 0, value])
        with pytest.raises(billing.BillingError, match=f"interval 2 has {value} counts"):
            billing.bill_series(values, flags, 3600, LOOKUP, 1, 3)
        (total,) = billing.bill_series(values, array("H", [0, 0, 1]), 3600, LOOKUP, 1, 3).rows()
        assert total[2:5] == (0, 2, 0)


def test_refuses_a_block_series_that_does_not_fit(billing: ModuleType) -> None:
    values, flags = array("q", [1, 2]), array("H", [0, 0])
    for start in (2700, 3001, 8700, 9000, -300):
        with pytest.raises(billing.BillingError, match=f"2 intervals of 300 s from {start}"):
            billing.bill_series(values, flags, start, LOOKUP, 1)
    with pytest.raises(billing.BillingError, match="2 values and 1 flags"):
        billing.bill_series(values, array("H", [0]), 3000, LOOKUP, 1)
    with pytest.raises(billing.BillingError, match="mask 10000"):
        billing.bill_series(values, flags, 3000, LOOKUP, 0x10000)
    with pytest.raises(billing.BillingError, match="window of 0"):
        billing.bill_series(values, flags, 3000, LOOKUP, 1, 0)


@pytest.mark.parametrize("change", [date(2018, 2, 1), date(2018, 11, 1)])
def test_the_months_of_daylight_saving(billing: ModuleType, change: date) -> None:
    lookup = month_lookup(brazil_calendar(intermediate_minutes=60), 300, change, 2)
    rows = [(3, 300 * i, i * i % 9973) for i in range(lookup.begin, lookup.ends[-1]) if i % 211]
    assert list(billing.bill(*columns(rows), lookup, 3).rows()) == plain(rows, lookup, 3)


BROKEN: list[tuple[list[Row], str]] = [
    (
        [(1, 3000, 1), (1, 3300, 1), (1, 3300, 1)],
        "row 2 of meter 1 starts at 3300, not after the row before it at 3300",
    ),
    ([(1, 3300, 1), (1, 3000, 1)], "row 1 of meter 1 starts at 3000, not after"),
    ([(1, 3300, 1), (1, 3601, 1)], "row 1 of meter 1 starts at 3601, which is no multiple of 300 s"),
    ([(1, 2700, 1)], r"row 0 of meter 1 starts at 2700, outside the lookup \[3000, 9000\)"),
    ([(1, 300 * i, 1) for i in range(28, 32)], "row 2 of meter 1 starts at 9000, outside"),
    ([(1, -(2**63), 1)], "outside|multiple"),
    ([(1, 2**63 - 1, 1)], "outside|multiple"),
    ([(2, 3000, 1), (1, 3000, 1)], "row 1 has meter 1 after 2: sort rows"),
    ([(1, 3000, 1), (2, 3000, 1), (1, 3300, 1)], "row 2 has meter 1 after 2"),
    ([(1, 300 * i, 1) for i in range(10, 20)] + [(0, 6000, 1), (1, 6300, 1)], "meter"),
]


@pytest.mark.parametrize(("rows", "message"), BROKEN)
@pytest.mark.parametrize("threads", [1, 2])
def test_refuses_rows_out_of_place(billing: ModuleType, rows: list[Row], message: str, threads: int) -> None:
    with pytest.raises(billing.BillingError, match=message):
        billing.bill(*columns(rows), LOOKUP, 3, threads)


@given(swap=st.tuples(st.integers(0, 79), st.integers(0, 79)).filter(lambda pair: pair[0] != pair[1]))
def test_any_two_rows_in_the_wrong_place_are_noticed(billing: ModuleType, swap: tuple[int, int]) -> None:
    rows = [(meter, 300 * index, 1) for meter in range(4) for index in range(10, 30)]
    left, right = swap
    rows[left], rows[right] = rows[right], rows[left]
    with pytest.raises(billing.BillingError, match="row"):
        billing.bill(*columns(rows), LOOKUP, 3)


def test_refuses_columns_and_numbers_that_do_not_fit(billing: ModuleType) -> None:
    meters, starts, values = columns([(1, 3000, 1)])
    with pytest.raises(billing.BillingError, match="1 meters, 1 starts and 0 values"):
        billing.bill(meters, starts, array("i"), LOOKUP)
    for window in (0, 1441):
        with pytest.raises(billing.BillingError, match=f"window of {window}"):
            billing.bill(meters, starts, values, LOOKUP, window)
    for threads in (0, 257):
        with pytest.raises(billing.BillingError, match=f"{threads} threads"):
            billing.bill(meters, starts, values, LOOKUP, 1, threads)
    with pytest.raises(TypeError, match="values must be"):
        billing.bill(meters, starts, array("d", [1.0]), LOOKUP)


@pytest.mark.parametrize(
    ("lookup", "message"),
    [
        (Segments(300, 10, array("q"), array("H")), "at least one"),
        (Segments(300, 10, array("q", [12]), array("H", [1, 2])), "1 ends and 2 slots"),
        (Segments(300, 12, array("q", [12]), array("H", [1])), "segment 0 .* not after 12"),
        (Segments(300, 10, array("q", [14, 12]), array("H", [1, 2])), "segment 1 .* not after 14"),
        (Segments(0, 10, array("q", [12]), array("H", [1])), "steps of 0 s"),
        (Segments(300, -1, array("q", [12]), array("H", [1])), "interval -1"),
        (Segments(300, 10, array("q", [2**62]), array("H", [1])), "steps of 300 s"),
        (Segments(300, 10, array("q", [12]), array("H", [19_200])), "slot 19200"),
    ],
)
def test_refuses_a_lookup_that_is_none(billing: ModuleType, lookup: Segments, message: str) -> None:
    with pytest.raises(billing.BillingError, match=message):
        billing.bill(*columns([(1, 3000, 1)]), lookup)


def test_takes_numpy(billing: ModuleType) -> None:
    totals = billing.bill(np.array([1, 2], np.int32), np.array([3000, 3300]), np.array([5, 6], np.int32), LOOKUP)
    assert np.frombuffer(totals.sums, np.int64).reshape(2, 18, 5)[:, 1].tolist() == [
        [5, 1, 1, 5, 3000],
        [6, 1, 1, 6, 3300],
    ]


def test_the_source_needs_no_cython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cython", None)
    rows = [(1, 300 * i, i) for i in range(10, 30)]
    assert list(load_source("billing").bill(*columns(rows), LOOKUP, 3).rows()) == plain(rows, LOOKUP, 3)


def test_other_threads_run_while_a_bill_is_computed() -> None:
    billing = load_compiled("billing")
    starts = np.arange(10_000_000) * 60 + 60 * 24_000_000
    meters = np.zeros(len(starts), np.int32)
    lookup = lookup_for(brazil_calendar(), 60, int(starts[0]), int(starts[-1]) + 1)
    assert min(_longest_wait(lambda: billing.bill(meters, starts, meters, lookup, 15)) for _ in range(5)) < 0.5


def _longest_wait(work: Callable[[], object]) -> float:
    """Return for how much of the time that ``work`` takes in another thread this one cannot run."""
    worker = threading.Thread(target=work)
    began = before = time.perf_counter()
    longest = 0.0
    worker.start()
    while worker.is_alive():
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest / (time.perf_counter() - began)
