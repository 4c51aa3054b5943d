"""Figures of days and merging by rank, against plain Python; as source and compiled."""

from array import array
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.quality import NOT_BILLABLE, Quality, rank

MISSING = int(Quality.MISSING)
UNBILLABLE = int(NOT_BILLABLE)
RANKS = bytes(rank(flags) for flags in range(512))

FLAGS = st.sampled_from([0, 0, 0, 1, 2, 8, 16, 64, 128, 256, 3, 0x8000])
DAYS = st.lists(st.lists(st.tuples(st.integers(-(1 << 45), 1 << 45), FLAGS), max_size=12), max_size=6)


@given(DAYS)
def test_figures_of_many_days(days: ModuleType, made: list[list[tuple[int, int]]]) -> None:
    values = array("q", [value for day in made for value, _ in day])
    flags = array("H", [flag for day in made for _, flag in day])
    ends = array("q", [sum(len(day) for day in made[: i + 1]) for i in range(len(made))])
    found = days.figures(values, flags, ends, MISSING, UNBILLABLE)
    for day, held, union, total in zip(made, *found, strict=True):
        assert held == sum(not flag & MISSING for _, flag in day)
        assert total == sum(value for value, flag in day if not flag & UNBILLABLE)
        assert {bit for bit in range(16) if union >> bit & 1} == {
            bit for _, flag in day for bit in range(16) if flag >> bit & 1
        }


def test_sums_are_exact_to_64_bits_and_refused_beyond(days: ModuleType) -> None:
    largest = (1 << 63) - 1
    values, flags = array("q", [largest, -largest, 7, largest, 1, 5]), array("H", [0, 0, 0, 0, MISSING, 0])
    assert days.figures(values, flags, array("q", [3, 5, 6]), MISSING, UNBILLABLE).totals.tolist() == [7, largest, 5]
    with pytest.raises(days.DayError, match=f"sum {largest + 5} is beyond 64 bits") as refusal:
        days.figures(values, flags, array("q", [3, 6]), MISSING, UNBILLABLE)
    assert refusal.value.day == 1


@pytest.mark.parametrize("ends", [[4], [3, 2], [-1]])
def test_days_that_do_not_fit_are_refused(days: ModuleType, ends: list[int]) -> None:
    with pytest.raises(days.DayError, match=rf"day {len(ends) - 1} ends at interval {ends[-1]}"):
        days.figures(array("q", [1, 2, 3]), array("H", [0, 0, 0]), array("q", ends), MISSING, UNBILLABLE)


def slow_merge(
    held: list[tuple[int, int]], new: list[tuple[int, int]], late: bool
) -> tuple[list[tuple[int, int]], int]:
    """The rule in words: worth more wins; worth the same and different corrects, or, late, is only told."""
    result, found = [], 0
    for (old, before), (value, flag) in zip(held, new, strict=True):
        kept = (old, before)
        if rank(flag) > rank(before):
            kept = (value, flag)
            found |= 2 if rank(before) > 0 and value != old else 0
        elif rank(flag) == rank(before) and (value == old or flag & MISSING):
            if value == old or not late:
                kept = (old, before | flag)
        elif rank(flag) == rank(before):
            if late:
                found |= 4
            else:
                kept = (value, flag)
                found |= 2
        found |= 1 if kept != (old, before) else 0
        result.append(kept)
    return result, found


INTERVALS = st.tuples(st.integers(0, 2), FLAGS).map(lambda each: (0 if each[1] & MISSING else each[0], each[1]))


@given(st.lists(st.tuples(INTERVALS, INTERVALS), max_size=20), st.integers(0, 3), st.booleans())
def test_merge_is_the_rank_rule(
    days: ModuleType, pairs: list[tuple[tuple[int, int], tuple[int, int]]], at: int, late: bool
) -> None:
    wanted, bits = slow_merge([held for held, _ in pairs], [new for _, new in pairs], late)
    values = array("q", [9] * at + [held[0] for held, _ in pairs] + [9])
    flags = array("H", [2] * at + [held[1] for held, _ in pairs] + [2])
    new = array("q", [each[0] for _, each in pairs]), array("H", [each[1] for _, each in pairs])
    assert days.merge(values, flags, at, *new, RANKS, MISSING, late) == bits
    assert list(zip(values, flags, strict=True)) == [(9, 2)] * at + wanted + [(9, 2)]


def test_a_delivery_outside_the_day_is_refused(days: ModuleType) -> None:
    day = array("q", [1, 2]), array("H", [0, 0])
    for at, new in ((1, ([1, 2], [0, 0])), (-1, ([1], [0])), (0, ([1, 2], [0]))):
        with pytest.raises(days.DayError, match="do not lie within a day of 2 values"):
            days.merge(*day, at, array("q", new[0]), array("H", new[1]), RANKS, MISSING, False)
    with pytest.raises(days.DayError, match="there are 512 ranks"):
        days.merge(*day, 0, array("q", [1]), array("H", [0]), RANKS[:-1], MISSING, False)
    with pytest.raises(TypeError, match="values must be"):
        days.merge(np.zeros(2), day[1], 0, array("q", [1]), array("H", [0]), RANKS, MISSING, False)
