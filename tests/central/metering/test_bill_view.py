"""Bills of single periods, against figures made by hand."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from central.metering.bill_view import NEAR, Maximum, PeriodBill, bill, enough, register_bill
from central.metering.registers import Register, RegisterReadingView
from central.metering.series import Series
from shared.calendar_builders import brazil_calendar
from shared.intervals import Range
from shared.quantities import ACTIVE_DELIVERED, ACTIVE_PROFILE, Quantity

F = Fraction
CALENDAR = brazil_calendar(zone="America/Sao_Paulo")
HOUR, DAY = 3600, 86400
#: Sunday 1 March 2026, midnight in São Paulo, and the thirty days from it.
START = 1_772_334_000
SPAN = Range(START, START + 30 * DAY)
#: Peak, off-peak: as on the reference product's screen.
SEED = {1: F(359), 2: F(4067), 3: F(0), 4: F(0)}


def reading(
    at: int,
    energies: Mapping[int, Fraction | int],
    maxima: Mapping[int, tuple[Fraction | int, int | None]] | None = None,
    **more: Any,
) -> RegisterReadingView:
    found = [Register(ACTIVE_DELIVERED.with_post(post), 0, F(value), None) for post, value in energies.items()]
    found += [Register(Quantity(1, 6, post), 0, F(value), when) for post, (value, when) in (maxima or {}).items()]
    fields = {"period": 0, "resets": None, "reset_at": None} | more
    return RegisterReadingView(0, at, at, registers=found, **fields)


def profile(values: Sequence[int | None], step: int = 900) -> Series:
    """kWh per quarter hour from the beginning of the period."""
    return Series(
        ACTIVE_PROFILE, START, step,
        np.array([value or 0 for value in values], np.int64),
        np.array([value is None for value in values], np.uint16), 1, 1,
    )  # fmt: skip


def made(readings: list[RegisterReadingView], series: Series | None = None, now: int = SPAN.end) -> PeriodBill:
    return bill(SPAN, readings, series, CALENDAR, ACTIVE_DELIVERED, now)


def test_closed_period_by_registers() -> None:
    found = made([
        reading(START - HOUR, {1: 100, 2: 1000, 3: 0, 4: 7, 0: 1107}),
        reading(START + 40 * HOUR, {1: 150, 2: 1100, 3: 0, 4: 7, 0: 1257}),
        reading(SPAN.end + 2 * HOUR, {1: 459, 2: 5067, 3: 0, 4: 7, 0: 5533}, {1: (F(2), START + DAY), 2: (3, START)}),
    ], now=SPAN.end + DAY)  # fmt: skip
    assert (found.open, found.source, found.demand_source, found.partial) == (False, "registers", "registers", False)
    assert (found.since, found.until) == (START - HOUR, SPAN.end + 2 * HOUR)
    assert {post: each.energy for post, each in found.posts.items()} == {0: F(4426), **SEED}
    assert found.posts[1].maximum == Maximum(F(2), START + DAY)
    assert found.posts[0].maximum == Maximum(F(3), START)  # the highest of the posts
    assert found.posts[3].maximum is None
    assert all(each.projected is None for each in found.posts.values())
    assert enough(found)


def test_open_period_is_projected() -> None:
    """Nine of thirty days: everything grows by 30/9."""
    now = START + 9 * DAY + 5 * HOUR
    found = made([reading(START, {1: 0, 2: 0}), reading(START + 9 * DAY, {1: 359, 2: 4067})], now=now)
    assert found.open
    assert found.factor == F(30, 9)
    assert found.posts[1].projected == F(359 * 30, 9)
    assert found.posts[0].energy == 4426  # without a register of its own: the sum
    assert found.posts[0].projected == F(4426 * 30, 9)


def test_nothing_is_projected_from_less_than_a_day() -> None:
    readings = [reading(START, {1: 0}), reading(START + DAY - 1, {1: 5})]
    assert made(readings, now=START + 2 * DAY).posts[1].projected is None
    readings.append(reading(START + DAY, {1: 5}))
    assert made(readings, now=START + 2 * DAY).posts[1].projected == 150


def test_a_reading_too_far_from_the_beginning_makes_it_partial() -> None:
    readings = [reading(START - NEAR - 1, {1: 0}), reading(START + 3 * DAY, {1: 10}), reading(SPAN.end, {1: 40})]
    found = made(readings)
    assert found.partial
    assert (found.since, found.posts[1].energy) == (START + 3 * DAY, F(30))
    readings[0] = reading(START - NEAR, {1: 0})
    assert not made(readings).partial
    assert made(readings).posts[1].energy == 40


def test_registers_that_went_backwards_give_nothing() -> None:
    readings = [reading(START, {1: 99_990, 2: 5}), reading(SPAN.end, {1: 10, 2: 7})]
    assert register_bill(SPAN, readings, ACTIVE_DELIVERED, SPAN.end) is None
    found = made(readings, profile([1] * 96 * 30))
    assert found.source == "profile"
    assert found.posts[0].energy == 96 * 30


def test_two_periods_share_the_reading_between_them() -> None:
    """Whatever instants the readings have, two bills add up to the difference of the outer registers."""
    after = Range(SPAN.end, SPAN.end + 31 * DAY)
    readings = [reading(START, {1: 1}), reading(SPAN.end - 5 * HOUR, {1: 11}), reading(SPAN.end + 5 * HOUR, {1: 12}),
                reading(after.end, {1: 30})]  # fmt: skip
    bills = [bill(span, readings, None, CALENDAR, ACTIVE_DELIVERED, after.end) for span in (SPAN, after)]
    assert [each.posts[1].energy for each in bills] == [10, 19]


def test_maxima_kept_from_before_the_period_do_not_count() -> None:
    opening, at = reading(START, {1: 0, 2: 0}), START + 5 * DAY
    old = reading(SPAN.end, {1: 9, 2: 9}, {1: (8, START - 1), 2: (5, at)})
    assert {post: each.maximum for post, each in made([opening, old]).posts.items()} == {
        0: Maximum(F(5), at), 1: None, 2: Maximum(F(5), at)
    }  # fmt: skip
    silent = {1: (F(8), None)}
    assert made([opening, reading(SPAN.end, {1: 9}, silent)]).posts[1].maximum is None
    since = reading(SPAN.end, {1: 9}, silent, reset_at=START + HOUR)
    assert made([opening, since]).posts[1].maximum == Maximum(F(8), None)


def test_a_reset_after_the_end_has_closed_the_maximum() -> None:
    reset = SPAN.end + HOUR
    readings = [
        reading(START, {1: 0}),
        reading(reset, {1: 9}, {1: (7, START + DAY)}, period=1, reset_at=reset),
        reading(reset + 60, {1: 9}, {1: (1, reset + 30)}, reset_at=reset),
    ]
    assert made(readings, now=reset + DAY).posts[1].maximum == Maximum(F(7), START + DAY)


def test_profile_where_registers_are_not_by_post() -> None:
    """Ten days: six working days of peak 18 to 21 (12 intervals of 3), the rest 1; 2 intervals missing."""
    values: list[int | None] = [1 for _ in range(960)]
    for day in (1, 2, 3, 4, 5, 8, 9):
        for at in range(day * 96 + 72, day * 96 + 84):
            values[at] = 3
    values[96 + 72] = None
    values[5] = None
    values[200] = 9
    now = START + 10 * DAY
    found = made([reading(START, {0: 0}), reading(now, {0: 2000})], profile(values), now)
    assert (found.source, found.demand_source, found.gaps) == ("profile", "profile", 2)
    assert found.posts[1].energy == 7 * 12 * 3 - 3
    assert found.posts[2].energy == 960 - 84 - 1 + 8
    assert found.posts[2].maximum == Maximum(F(36), START + 200 * 900)
    assert found.counted == 958 * 900
    assert found.until == now
    assert found.posts[1].projected == F((7 * 36 - 3) * 30 * 96, 958)


def test_maxima_come_from_the_profile_where_registers_have_none() -> None:
    readings = [reading(START, {1: 0, 2: 0}), reading(START + 2 * DAY, {1: 50, 2: 100})]
    found = made(readings, profile([2] * 192), START + 2 * DAY)
    assert (found.source, found.demand_source) == ("registers", "profile")
    assert found.posts[2].energy == 100
    assert found.posts[2].maximum == Maximum(F(8), START)


def test_nothing_at_all() -> None:
    found = made([])
    assert (found.source, found.demand_source, dict(found.posts), found.factor) == ("", "", {}, None)
    assert made([], profile([None] * 96)).source == ""


@given(
    st.lists(st.tuples(st.integers(0, 32 * DAY), st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=40),
    st.integers(1, 30 * DAY),
)
def test_what_always_holds(steps: list[tuple[int, int, int]], elapsed: int) -> None:
    """Energies are never negative and add up; the estimate is no less than what is counted, and in proportion."""
    peak = off_peak = 0
    readings = []
    for at, more, other in sorted(steps):
        peak, off_peak = peak + more, off_peak + other
        readings.append(reading(START - DAY + at, {1: F(peak, 3), 2: F(off_peak, 7)}))
    found = made(readings, now=START + elapsed)
    posts = found.posts
    if not posts:
        return
    assert found.since is not None
    assert found.until is not None
    assert found.since < found.until <= START + elapsed or not found.open
    assert posts[0].energy == sum(each.energy or 0 for post, each in posts.items() if post)
    for each in posts.values():
        assert each.energy is not None
        assert each.energy >= 0
        if found.factor is not None:
            assert each.projected == each.energy * found.factor
            assert found.factor >= 1


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), min_size=96, max_size=96 * 8))
def test_posts_of_a_profile_add_up(values: list[int | None]) -> None:
    found = made([], profile(values), START + len(values) * 900)
    held = [value for value in values if value is not None]
    if not held:
        assert found.source == ""
        return
    assert found.posts[0].energy == sum(held)
    assert sum(each.energy or 0 for post, each in found.posts.items() if post) == sum(held)
    assert found.gaps == len(values) - len(held)
    top = found.posts[0].maximum
    assert top is not None
    assert top.value == 4 * max(held)
