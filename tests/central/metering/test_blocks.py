"""Cutting into local days and merging by quality: pure, checked against a slow model."""

import random
from array import array
from functools import reduce
from operator import or_

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.metering.blocks import BlockError, Day, cut, figures, merge
from shared.intervals import IntervalSet
from shared.quality import Quality, rank
from shared.wire import ProfileBlock
from tests.central.samples import MIDNIGHT, block

ZONE = "America/Sao_Paulo"
NEW_YORK = "America/New_York"


def days_of(blocks: list[ProfileBlock], zone: str = ZONE) -> dict[int, Day]:
    days: dict[int, Day] = {}
    for each in blocks:
        for part in cut(each, zone):
            merge(days.setdefault(part.day, Day.empty(part)), part)
    return days


def test_a_block_over_three_days_is_cut_at_local_midnights() -> None:
    parts = cut(block("m", MIDNIGHT - 1800, list(range(2 + 96 + 5))), ZONE)
    assert [(part.at, len(part.values), part.count, part.start) for part in parts] == [
        (94, 2, 96, MIDNIGHT - 86400),
        (0, 96, 96, MIDNIGHT),
        (0, 5, 96, MIDNIGHT + 86400),
    ]
    assert [list(part.values[:2]) for part in parts] == [[0, 1], [2, 3], [98, 99]]


@pytest.mark.parametrize(
    ("start", "count", "zone"),
    [
        (1_772_946_000, 92, NEW_YORK),  # 2026-03-08 has 23 hours
        (1_793_505_600, 100, NEW_YORK),  # 2026-11-01 has 25
        (1_518_832_800, 100, ZONE),  # 2018-02-17, its last hour comes twice
        (1_541_300_400, 92, ZONE),  # 2018-11-04, which has no midnight
        (1_743_289_200, 92, "Europe/Berlin"),  # 2025-03-30
        (1_761_429_600, 100, "Europe/Berlin"),  # 2025-10-26
    ],
)
def test_days_of_the_clock_change(start: int, count: int, zone: str) -> None:
    """Days of 23 and 25 hours, by the tz database."""
    parts = cut(block("m", start, [7] * (count + 1)), zone)
    assert [(part.count, part.at, len(part.values)) for part in parts] == [(count, 0, count), (96, 0, 1)]


@pytest.mark.parametrize(
    "bad",
    [
        block("m", MIDNIGHT + 60, [1]),
        block("m", MIDNIGHT, [1], step=7),
        block("m", MIDNIGHT, [1], channel="1.8.0"),
        block("m", MIDNIGHT, [1], channel="kWh"),
        ProfileBlock("m", "1.29.0", MIDNIGHT, 900, 2, block("m", MIDNIGHT, [1]).data),
        ProfileBlock("m", "1.29.0", MIDNIGHT, 300, 1, block("m", MIDNIGHT, [1]).data),
        ProfileBlock("m", "1.29.0", MIDNIGHT, 900, 1, b"rubbish"),
        block("m", 0, [1]),  # a local day before 1970
        block("m", 7_000_000_200, [1] * 96),  # in 2191, beyond the days that have a key
    ],
)
def test_bad_blocks_are_refused_whole(bad: ProfileBlock) -> None:
    with pytest.raises(BlockError):
        cut(bad, ZONE)


FLAGS = st.sampled_from([0, 1, 2, 8, 64, 256, int(Quality.MISSING | Quality.OUTAGE), 16])


@given(st.lists(st.tuples(st.integers(0, 90), st.lists(st.tuples(st.integers(0, 3), FLAGS), min_size=1, max_size=6))))
@settings(max_examples=200, deadline=None)
def test_merge_is_the_rank_rule(blocks: list[tuple[int, list[tuple[int, int]]]]) -> None:
    """Interval by interval: higher rank wins, equal rank and other value is a correction, equal values join flags."""
    wanted: dict[int, tuple[int, int]] = {}
    day: Day | None = None
    corrections = 0
    for at, intervals in blocks:
        corrected = False
        for i, (value, flags) in enumerate(intervals, at):
            held_value, held_flags = wanted.get(i, (0, 1))
            value = 0 if flags & 1 else value
            if rank(flags) < rank(held_flags):
                continue
            if rank(flags) == rank(held_flags) and (value == held_value or flags & 1):
                wanted[i] = (held_value, held_flags | flags)
                continue
            corrected |= rank(held_flags) > 0 and value != held_value
            wanted[i] = (value, flags)
        values = array("q", [0 if flags & 1 else value for value, flags in intervals])
        (part,) = cut(block("m", MIDNIGHT + 900 * at, list(values)), ZONE)
        part.flags = array("H", [flags for _, flags in intervals])
        day = day or Day.empty(part)
        outcome = merge(day, part)
        assert outcome.corrected == corrected
        corrections += corrected
    if day is not None:
        expected = [wanted.get(i, (0, 1)) for i in range(96)]
        assert list(zip(day.values, day.flags, strict=True)) == expected
        held, flags, total = figures(day.values, day.flags, array("q", [96]))[0]
        assert held == sum(not flag & 1 for _, flag in expected)
        assert total == sum(value for value, flag in expected if not flag & (64 | 256 | 1))
        assert flags == reduce(or_, (flag for _, flag in expected))


def test_order_does_not_matter_without_contradiction() -> None:
    rng = random.Random(1)
    truth = [rng.randint(0, 100) for _ in range(300)]
    blocks = []
    for _ in range(120):
        at = rng.randint(0, 290)
        count = rng.randint(1, min(10, 300 - at))
        estimated = rng.random() < 0.3
        values = [0] * count if estimated else truth[at : at + count]
        blocks.append(block("m", MIDNIGHT + 900 * at, values, flags=8 if estimated else 0))
    first = days_of(blocks)
    for _ in range(5):
        rng.shuffle(blocks)
        again = days_of(blocks)
        assert {day: (each.values, each.flags) for day, each in again.items()} == {
            day: (each.values, each.flags) for day, each in first.items()
        }


def test_scales_are_brought_together_exactly() -> None:
    days = days_of([block("m", MIDNIGHT, [3], num=1, den=100), block("m", MIDNIGHT + 900, [2], num=1, den=40)])
    (day,) = days.values()
    assert (day.num, day.den, list(day.values[:2])) == (1, 200, [6, 10])


def test_late_fills_and_never_corrects() -> None:
    (part,) = cut(block("m", MIDNIGHT, [1, None, 3]), ZONE)
    day = Day.empty(part)
    merge(day, part)
    (late,) = cut(block("m", MIDNIGHT, [9, 2, 9]), ZONE)
    outcome = merge(day, late, late=True)
    assert (list(day.values[:3]), outcome.changed, outcome.corrected) == ([1, 2, 3], True, False)


@given(st.integers(0, 2**31), st.integers(1, 400), st.sampled_from([60, 300, 900, 1800, 3600, 86400]))
@settings(max_examples=150, deadline=None)
def test_cuts_cover_the_block_once(start: int, count: int, step: int) -> None:
    """In a zone with changes and quarter-hour offsets every interval lands in exactly one day, at its place."""
    start -= start % step
    covered = IntervalSet()
    for part in cut(block("m", start, list(range(count)), step=step), "Australia/Lord_Howe"):
        first = part.start + part.at * step
        assert covered.within(first, first + len(part.values) * step) == []
        covered.add(first, first + len(part.values) * step)
        assert list(part.values) == list(range((first - start) // step, (first - start) // step + len(part.values)))
        assert part.at + len(part.values) <= part.count
    assert [tuple(each) for each in covered] == [(start, start + count * step)]
