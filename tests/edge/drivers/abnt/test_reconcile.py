"""The choice of nibble order, on real-looking loads, with every kind of register evidence."""

import random
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.drivers.abnt.reconcile import MIN_INTERVALS, Outcome, Pair, Stream, reconcile, roughness
from ext.nibbles import ORDERS, Order, pack

STEP = 900
END = 1_795_230_000 // STEP * STEP
ENERGY = (True, True, True)


def load(seed: int, count: int, scale: int = 300) -> list[tuple[int, int, int]]:
    dice = random.Random(seed)
    level, found = scale, []
    for _ in range(count):
        level = min(4094, max(0, level + dice.randint(-scale // 10 - 1, scale // 10 + 1)))
        found.append((level, level // 3, dice.randint(0, 2)))
    return found


def stream(intervals: Sequence[Sequence[int]], order: Order) -> Stream:
    words = array("H", [word for interval in intervals for word in interval])
    return Stream(pack(words, order), len(intervals), END, STEP)


def pair(intervals: Sequence[Sequence[int]], first: int, last: int, halves: bool = False, after: int = 0) -> Pair:
    """Registers around intervals [first, last); with halves of both neighbours, or ``after`` pulses more."""
    begin = [10**10 - 500, 123, 0]  # the first total wraps
    sums = [sum(interval[c] for interval in intervals[first:last]) + after for c in range(3)]
    if halves:
        sums = [s + intervals[first - 1][c] // 2 + intervals[last][c] // 2 for c, s in enumerate(sums)]
    start, half = END - len(intervals) * STEP, STEP // 2 if halves else 0
    ends = [(b + s) % 10**10 for b, s in zip(begin, sums, strict=True)]
    return Pair(start + first * STEP - half, begin, start + last * STEP + half, ends, ENERGY)


@settings(max_examples=60)
@given(
    st.integers(0, 10**6), st.sampled_from(ORDERS), st.integers(MIN_INTERVALS, 300), st.sampled_from([5, 40, 300, 1200])
)
def test_the_right_order_is_found_or_nothing_is_claimed(seed: int, order: Order, count: int, scale: int) -> None:
    intervals = load(seed, count, scale)
    verdict = reconcile(stream(intervals, order), [pair(intervals, 0, count, after=1)])
    assert verdict.order in (order, None)
    assert verdict.outcome is not Outcome.MISMATCH
    if count > 40 and scale >= 40:
        assert (verdict.outcome, verdict.order) == (Outcome.MATCH, order)


@pytest.mark.parametrize("order", ORDERS)
def test_a_pair_in_the_middle_of_the_stream(order: Order) -> None:
    intervals = load(1, 200)
    verdict = reconcile(stream(intervals, order), [pair(intervals, 50, 150, halves=True)])
    assert (verdict.outcome, verdict.order) == (Outcome.MATCH, order)


@pytest.mark.parametrize("order", ORDERS)
def test_profile_that_is_not_the_registers(order: Order) -> None:
    intervals = load(2, 100)
    doubled = [tuple(2 * word for word in interval) for interval in intervals]
    verdict = reconcile(stream(intervals, order), [pair(doubled, 0, 100)])
    assert verdict.outcome is Outcome.MISMATCH
    assert verdict.detail["misses"]


def test_one_contradicting_pair_is_enough() -> None:
    intervals = load(3, 100)
    other = load(4, 100)
    verdict = reconcile(stream(intervals, "high_first"), [pair(intervals, 0, 100), pair(other, 20, 90)])
    assert verdict.outcome is Outcome.MISMATCH


@given(st.integers(0, 10**6), st.sampled_from(ORDERS), st.integers(MIN_INTERVALS, 60), st.integers(0, 4094))
def test_a_jump_in_the_interval_under_way_is_no_contradiction(seed: int, order: Order, count: int, jump: int) -> None:
    intervals = load(seed, count, 40)
    verdict = reconcile(stream(intervals, order), [pair(intervals, 0, count, after=jump)])
    assert verdict.outcome is not Outcome.MISMATCH
    assert verdict.order in (order, None)


def test_no_evidence() -> None:
    intervals = load(5, 100)
    held = stream(intervals, "high_first")
    assert reconcile(held, []).outcome is Outcome.UNDECIDED
    short = pair(intervals, 0, MIN_INTERVALS - 1)
    assert reconcile(held, [short]).outcome is Outcome.UNDECIDED
    early = Pair(held.start - 10 * STEP, (0, 0, 0), END, (0, 0, 0), ENERGY)
    assert reconcile(held, [early]).outcome is Outcome.UNDECIDED
    voltages = Pair(held.start, (0, 0, 0), END, (0, 0, 0), (False, False, False))
    assert reconcile(held, [voltages]).outcome is Outcome.UNDECIDED


def test_an_idle_meter_matches_without_an_order() -> None:
    intervals = [(0, 0, 0)] * 50
    verdict = reconcile(stream(intervals, "high_first"), [pair(intervals, 0, 50)])
    assert (verdict.outcome, verdict.order) == (Outcome.MATCH, None)


def test_channels_that_count_no_energy_are_not_summed() -> None:
    intervals = [(w, v, 4000) for w, v, _ in load(6, 100)]
    held = pair(intervals, 0, 100)
    ignoring = Pair(held.first_at, held.first, held.second_at, (*held.second[:2], 0), (True, True, False))
    assert reconcile(stream(intervals, "low_first"), [ignoring]).order == "low_first"


def test_overflow_words_spoil_their_channel_only() -> None:
    intervals: list[tuple[int, int, int]] = load(7, 100)
    registers = pair(intervals, 0, 100)
    intervals[10] = (0xFFF, intervals[10][1], intervals[10][2])
    verdict = reconcile(stream(intervals, "high_first"), [registers])
    assert (verdict.outcome, verdict.order) == (Outcome.MATCH, "high_first")


def test_roughness_counts_steps_of_each_channel() -> None:
    assert roughness(array("H", [1, 10, 100, 4, 10, 90])) == 3 + 0 + 10
