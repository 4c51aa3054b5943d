from array import array
from fractions import Fraction
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.quality import Quality

MISSING = int(Quality.MISSING)
DOUBT = int(Quality.UNRECONCILED)
START, STEP = 9000, 900


def good(count: int, *gone: int) -> "array[int]":
    return array("H", [MISSING if i in gone else 0 for i in range(count)])


def run(reconcile: ModuleType, values: list[int], readings: list[tuple[int, int]], **rules: Any) -> list[Any]:
    flags = rules.pop("flags", good(len(values)))
    instants, registers = [at for at, _ in readings], [value for _, value in readings]
    return reconcile.check(array("q", values), flags, START, STEP, MISSING, instants, registers, **rules)  # type: ignore[no-any-return]


def test_whole_intervals_are_the_least_and_cut_ones_the_most(reconcile: ModuleType) -> None:
    verdict = reconcile.Verdict
    # from the middle of interval 1 to the middle of 4: 30 + 40 whole, 20 and 50 cut
    for difference, judged in (
        (68, verdict.DIFFERS),
        (69, verdict.AGREES),
        (141, verdict.AGREES),
        (142, verdict.DIFFERS),
    ):
        readings = [(START + 1350, 1000), (START + 4050, 1000 + difference)]
        (found,) = run(reconcile, [10, 20, 30, 40, 50, 60], readings)
        assert found == (START + 1350, START + 4050, difference, 70, 140, 0, judged)
    (found,) = run(reconcile, [10, 20, 30], [(START + 900, 5), (START + 2700, 55)], slack=Fraction(0))
    assert found[2:] == (50, 50, 50, 0, verdict.AGREES)
    (found,) = run(reconcile, [10, 20, 30], [(START + 1000, 5), (START + 1300, 15)])
    assert (found.low, found.high, found.verdict) == (0, 20, verdict.AGREES)


def test_rollover_scales_and_what_is_not_known(reconcile: ModuleType) -> None:
    verdict = reconcile.Verdict
    around = [(START, 10**10 - 40), (START + 1800, 20)]
    assert run(reconcile, [30, 30], around, modulus=10**10)[0].verdict is verdict.AGREES
    (backwards,) = run(reconcile, [30, 30], around)
    assert (backwards.difference, backwards.verdict) == (60 - 10**10, verdict.UNKNOWN)
    # a register count is 3/2 profile counts, so 40 of them are 60
    assert run(reconcile, [30, 30], [(START, 0), (START + 1800, 40)], ratio=Fraction(3, 2))[0].verdict is verdict.AGREES
    assert (
        run(reconcile, [30, 30], [(START, 0), (START + 1800, 42)], ratio=Fraction(3, 2))[0].verdict is verdict.DIFFERS
    )
    for flags, readings, gaps in (
        (good(2, 1), [(START, 0), (START + 1800, 60)], 1),
        (good(2), [(START - 1800, 0), (START + 1800, 60)], 2),
        (good(2), [(START, 0), (START + 1801, 60)], 1),
        (good(2), [(START - 1800, 0), (START - 900, 0)], 1),
        (good(2), [(START + 2700, 0), (START + 4500, 0)], 2),
    ):
        (found,) = run(reconcile, [30, 30], readings, flags=flags)
        assert (found.gaps, found.verdict) == (gaps, verdict.UNKNOWN)
    assert run(reconcile, [], []) == run(reconcile, [1], [(START, 5)]) == []


@given(
    rows=st.lists(
        st.tuples(st.integers(-(2**42), 2**42) | st.integers(-2, 9), st.sampled_from([0, 0, 0, 1, 2])), max_size=40
    ),
    offsets=st.lists(st.integers(-3000, 40_000), min_size=2, max_size=6, unique=True).map(sorted),
    modulus=st.sampled_from([None, 1000]),
    data=st.data(),
)
def test_against_plain_python(
    reconcile: ModuleType, rows: list[tuple[int, int]], offsets: list[int], modulus: int | None, data: st.DataObject
) -> None:
    registers = data.draw(st.lists(st.integers(0, 99), min_size=len(offsets), max_size=len(offsets)))
    readings = [(START + offset, register) for offset, register in zip(offsets, registers, strict=True)]
    found = run(
        reconcile, [row[0] for row in rows], readings, flags=array("H", [row[1] for row in rows]), modulus=modulus
    )
    for one, ((first, before), (last, after)) in zip(found, pairwise(readings), strict=True):
        low = high = gaps = 0
        for i in range(-10, 60):
            begin, end = START + i * STEP, START + (i + 1) * STEP
            if end <= first or begin >= last:
                continue
            if not 0 <= i < len(rows) or rows[i][1] & MISSING:
                gaps += 1
                continue
            whole = first <= begin and end <= last
            low += rows[i][0] if whole else min(rows[i][0], 0)
            high += rows[i][0] if whole else max(rows[i][0], 0)
        difference = after - before if modulus is None else (after - before) % modulus
        assert one[:6] == (first, last, difference, low, high, gaps)
        known = not gaps and difference >= 0
        agrees = "agrees" if low <= difference + 1 and difference - 1 <= high else "differs"
        assert one.verdict.value == (agrees if known else "unknown")


def test_intervals_are_released_or_held_back(reconcile: ModuleType) -> None:
    verdict = reconcile.Verdict
    edges = [0, 1350, 2700, 4050, 5400, 6300, 8100]
    judged = [verdict.AGREES, verdict.AGREES, verdict.DIFFERS, verdict.UNKNOWN, verdict.AGREES, verdict.AGREES]
    checks = [
        reconcile.Check(START + first, START + last, 0, 0, 0, 0, one)
        for (first, last), one in zip(pairwise(edges), judged, strict=True)
    ]
    flags = array("H", [DOUBT | 2] * 10)
    reconcile.release(flags, START, STEP, checks, DOUBT)
    # 1 is cut by two that agree; 3 and the cut 4 differ; 5 is not known; 6 to 8 agree; 9 is not touched
    assert [bool(flag & DOUBT) for flag in flags] == [False] * 3 + [True] * 3 + [False] * 3 + [True]
    assert all(flag & 2 for flag in flags)
    clean = array("H", bytes(6))
    reconcile.release(clean, START + 2700, STEP, checks, DOUBT)
    assert clean.tolist() == [DOUBT, DOUBT, 0]
    with pytest.raises(reconcile.ReconcileError, match="flag 10000"):
        reconcile.release(clean, START, STEP, checks, 65536)
    with pytest.raises(TypeError, match="writable"):
        reconcile.release(memoryview(clean).toreadonly(), START, STEP, checks, DOUBT)


@given(
    data=st.lists(st.integers(0, 0xFFFF) | st.sampled_from([0, 5, 0xFFF]), max_size=60),
    channels=st.integers(1, 4),
    draw=st.data(),
)
def test_words_against_plain_python(reconcile: ModuleType, data: list[int], channels: int, draw: st.DataObject) -> None:
    count = len(data) // channels
    first = draw.draw(st.integers(0, count))
    last = draw.draw(st.integers(first, count))
    channel = draw.draw(st.integers(0, channels - 1))
    own = data[channel::channels][first:last]
    sound = [word for word in own if word != 0xFFF]
    found = reconcile.words(array("H", data), channel, channels, first, last, 0xFFF)
    assert found == (sum(sound), max(sound, default=0), len(own) - len(sound))
    steps = [abs(data[i] - data[i - channels]) for i in range(channels, len(data))]
    assert reconcile.roughness(array("H", data), channels) == sum(steps)


def test_refuses_what_does_not_fit(reconcile: ModuleType) -> None:
    two = [(START, 0), (START + 900, 0)]
    for message, values, readings, rules in (
        ("2 values and 1 flags", [1, 2], two, {"flags": good(1)}),
        ("a reading at 9000 comes after one at 9000", [1], [two[0], two[0]], {}),
        ("ratio 0", [1], two, {"ratio": Fraction(0)}),
        ("slack -1", [1], two, {"slack": Fraction(-1)}),
        ("modulus 0", [1], two, {"modulus": 0}),
        ("beyond every calendar", [1], [(START, 0), (2**60, 0)], {}),
        (f"interval 0 has {2**42 + 1} counts", [2**42 + 1], two, {}),
    ):
        with pytest.raises(reconcile.ReconcileError, match=message):
            run(reconcile, values, readings, **rules)
    with pytest.raises(reconcile.ReconcileError, match="2 instants and 1 registers"):
        reconcile.check(array("q"), array("H"), 0, 900, 1, [1, 2], [1])
    with pytest.raises(reconcile.ReconcileError, match="mask 10000"):
        reconcile.check(array("q"), array("H"), 0, 900, 65536, [], [])
    with pytest.raises(reconcile.ReconcileError, match="intervals of 0 s"):
        reconcile.check(array("q"), array("H"), 0, 0, 1, [], [])
    for channel, first, last in ((3, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 2, 1), (0, 0, 3)):
        with pytest.raises(reconcile.ReconcileError, match=f"channel {channel} are not in 6 words"):
            reconcile.words(array("H", bytes(12)), channel, 3, first, last, 0xFFF)
    with pytest.raises(reconcile.ReconcileError, match="0 channels"):
        reconcile.roughness(array("H"), 0)
    with pytest.raises(TypeError, match="data must be"):
        reconcile.words(array("q", [1]), 0, 1, 0, 1, 5)


def test_takes_numpy(reconcile: ModuleType) -> None:
    flags = np.full(3, DOUBT, np.uint16)
    checks = reconcile.check(np.full(3, 7), flags, START, STEP, MISSING, (START, START + 2700), (0, 21))
    reconcile.release(flags, START, STEP, checks, DOUBT)
    assert flags.tolist() == [0, 0, 0]
