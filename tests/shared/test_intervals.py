from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared import intervals
from shared.intervals import IntervalError, IntervalSet, Range, zone

SAO_PAULO = zone("America/Sao_Paulo")

edges = st.integers(-5, 40)
ranges = st.tuples(edges, edges).map(lambda pair: (min(pair), max(pair)))
lists = st.lists(ranges, max_size=8)


def seconds(parts: Iterable[tuple[int, int]]) -> set[int]:
    return {second for start, end in parts for second in range(start, end)}


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class AgainstSetOfSeconds(RuleBasedStateMachine):
    """Every operation, compared with a plain set of seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.ours = IntervalSet()
        self.theirs: set[int] = set()

    @rule(part=ranges)
    def add(self, part: tuple[int, int]) -> None:
        self.ours.add(*part)
        self.theirs |= seconds([part])

    @rule(part=ranges)
    def remove(self, part: tuple[int, int]) -> None:
        self.ours.remove(*part)
        self.theirs -= seconds([part])

    @rule(part=ranges)
    def ask(self, part: tuple[int, int]) -> None:
        asked = seconds([part])
        assert seconds(self.ours.within(*part)) == asked & self.theirs
        assert seconds(self.ours.missing(*part)) == asked - self.theirs
        assert self.ours.contains(*part) == (asked <= self.theirs)
        assert (part[0] in self.ours) == (part[0] in self.theirs)
        held, missing = self.ours.within(*part), self.ours.missing(*part)
        joined = sorted([*held, *missing])
        assert all(left.end == right.start for left, right in pairwise(joined))

    @rule(other=lists)
    def combine(self, other: list[tuple[int, int]]) -> None:
        more = IntervalSet(other)
        assert seconds(self.ours | more) == self.theirs | seconds(other)
        assert seconds(self.ours & more) == self.theirs & seconds(other)
        assert seconds(self.ours - more) == self.theirs - seconds(other)
        assert (self.ours | more) - more == self.ours - more

    @invariant()
    def is_in_order(self) -> None:
        parts = list(self.ours)
        assert all(part.start < part.end for part in parts)
        assert all(left.end < right.start for left, right in pairwise(parts))
        assert self.ours.total == len(self.theirs)
        assert len(self.ours) == len(parts)
        assert IntervalSet.load(self.ours.dump()) == self.ours == IntervalSet(parts)
        assert self.ours.span == (Range(min(self.theirs), max(self.theirs) + 1) if self.theirs else None)


TestAgainstSetOfSeconds = AgainstSetOfSeconds.TestCase
TestAgainstSetOfSeconds.settings = settings(max_examples=60, stateful_step_count=25)


def test_compact_form_is_small_numbers() -> None:
    held = IntervalSet([(1_795_000_200, 1_795_003_800), (1_795_004_700, 1_795_005_600)])
    assert held.dump() == [1_795_000_200, 3600, 900, 900]
    assert repr(held) == "IntervalSet([(1795000200, 1795003800), (1795004700, 1795005600)])"


@pytest.mark.parametrize("flat", [[1], [1, 0], [1, -1], [1, 2, 0, 3], [1, 2, -1, 3], ["1", 2]])
def test_a_damaged_compact_form_is_refused(flat: list[int]) -> None:
    with pytest.raises(IntervalError):
        IntervalSet.load(flat)


def test_reversed_ranges_are_refused() -> None:
    held = IntervalSet()
    for ask in (held.add, held.remove, held.within, held.missing, held.contains):
        with pytest.raises(IntervalError, match="ends before it starts"):
            ask(2, 1)
    with pytest.raises(IntervalError):
        IntervalSet([(2, 1)])


def test_a_set_that_changes_has_no_hash_and_equals_only_sets() -> None:
    with pytest.raises(TypeError):
        hash(IntervalSet())
    assert IntervalSet() != []


# -- alignment -------------------------------------------------------------------------------------------------------


@given(instant=st.integers(-(10**12), 10**12), step=st.integers(1, 86_400))
def test_floor_and_ceil(instant: int, step: int) -> None:
    low, high = intervals.floor(instant, step), intervals.ceil(instant, step)
    assert low % step == high % step == 0
    assert low <= instant < low + step
    assert high - step < instant <= high


@given(part=ranges, step=st.integers(1, 12))
def test_aligned_inside_and_around(part: tuple[int, int], step: int) -> None:
    inside, around = intervals.aligned_inside(*part, step), intervals.aligned_around(*part, step)
    whole = [at for at in range(-60, 60) if at % step == 0 and part[0] <= at and at + step <= part[1]]
    assert list(range(inside.start, inside.end, step)) == whole
    assert around.start <= part[0] <= part[1] <= around.end
    assert around.end - around.start < part[1] - part[0] + 2 * step


@pytest.mark.parametrize("step", [0, -900])
def test_steps_that_are_none(step: int) -> None:
    for ask in (intervals.floor, intervals.ceil):
        with pytest.raises(IntervalError, match="step"):
            ask(1, step)


# -- local days ------------------------------------------------------------------------------------------------------

# Brazil changed its clocks at midnight until 2019; the dates are those of the decrees.
LONG, SHORT = date(2018, 2, 17), date(2018, 11, 4)


def test_days_of_brazil() -> None:
    assert intervals.day_range(date(2026, 11, 21), SAO_PAULO) == (utc("2026-11-21 03:00"), utc("2026-11-22 03:00"))
    assert intervals.day_range(LONG, SAO_PAULO) == (utc("2018-02-17 02:00"), utc("2018-02-18 03:00"))
    assert intervals.day_range(SHORT, SAO_PAULO) == (utc("2018-11-04 03:00"), utc("2018-11-05 02:00"))
    assert [intervals.intervals_in_day(day, SAO_PAULO, 900) for day in (LONG, SHORT, date(2026, 1, 1))] == [100, 92, 96]
    assert [intervals.intervals_in_day(day, SAO_PAULO, 300) for day in (LONG, SHORT)] == [300, 276]


def test_half_an_hour_and_a_skipped_day() -> None:
    lord_howe, apia = zone("Australia/Lord_Howe"), zone("Pacific/Apia")
    assert intervals.intervals_in_day(date(2026, 4, 5), lord_howe, 900) == 98
    assert intervals.intervals_in_day(date(2026, 10, 4), lord_howe, 900) == 94
    assert intervals.intervals_in_day(date(2011, 12, 30), apia, 900) == 0
    parts = dict(intervals.split_days(utc("2011-12-29 10:00"), utc("2012-01-01 10:00"), apia))
    assert list(parts) == [date(2011, 12, 29), date(2011, 12, 31), date(2012, 1, 1)]


@settings(max_examples=60)
@given(
    start=st.integers(utc("2011-12-01 00:00"), utc("2019-12-31 00:00")),
    length=st.integers(0, 12 * 86_400),
    name=st.sampled_from(
        ["America/Sao_Paulo", "America/Havana", "Pacific/Apia", "Europe/Moscow", "Australia/Lord_Howe"]
    ),
)
def test_split_days_joins_and_agrees_with_the_clock(start: int, length: int, name: str) -> None:
    tz = zone(name)
    parts = list(intervals.split_days(start, start + length, tz))
    assert sum(part.end - part.start for _, part in parts) == length
    edge = start
    for day, part in parts:
        assert part.start == edge
        edge = part.end
        for instant in (part.start, part.end - 1):
            assert intervals.local_date(instant, tz) == day
    for day, _ in parts[1:-1]:
        assert intervals.day_range(day, tz) == dict(parts)[day]
    assert [day for day, _ in parts] == sorted({day for day, _ in parts})


def test_days_of_a_year_count_all_its_intervals() -> None:
    days = [date(2018, 1, 1) + timedelta(days=i) for i in range(365)]
    start, end = intervals.day_start(days[0], SAO_PAULO), intervals.day_start(date(2019, 1, 1), SAO_PAULO)
    assert sum(intervals.intervals_in_day(day, SAO_PAULO, 900) for day in days) == (end - start) // 900 == 365 * 96


def test_offsets() -> None:
    summer, winter = utc("2018-01-15 12:00"), utc("2018-07-15 12:00")
    assert [intervals.utc_offset(at, SAO_PAULO) for at in (summer, winter)] == [-7200, -10800]
    assert [intervals.standard_offset(at, SAO_PAULO) for at in (summer, winter)] == [-10800, -10800]


@pytest.mark.parametrize("name", ["America/Sao_Paolo", "", "../etc/passwd", "/etc/passwd", "Am\0erica"])
def test_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(IntervalError, match="not in the zone database"):
        zone(name)


def test_iso() -> None:
    assert intervals.iso(1_795_000_000) == "2026-11-18T11:06:40Z"
