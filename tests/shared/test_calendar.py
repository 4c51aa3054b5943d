from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.calendar import MAX_INTERVALS, CalendarError, DstPeriod, Slot, TariffCalendar, Version
from shared.calendar_builders import brazil_calendar, meter_calendar
from shared.holidays import Annual, HolidayGroup, Single
from shared.intervals import IntervalError
from shared.quantities import Post

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
PEAK, MIDDLE, OFF, RESERVED = Post.PEAK, Post.INTERMEDIATE, Post.OFF_PEAK, Post.RESERVED


def at(text: str, tz: ZoneInfo = SAO_PAULO) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=tz).timestamp())


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


# -- the Brazilian default -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "binomial", "white"),
    [
        ("2026-11-18 17:15", OFF, MIDDLE),  # Wednesday
        ("2026-11-18 16:59", OFF, OFF),
        ("2026-11-18 17:59", OFF, MIDDLE),
        ("2026-11-18 18:00", PEAK, PEAK),
        ("2026-11-18 18:30", PEAK, PEAK),
        ("2026-11-18 20:59", PEAK, PEAK),
        ("2026-11-18 21:00", OFF, MIDDLE),
        ("2026-11-18 22:00", OFF, OFF),
        ("2026-11-21 19:00", OFF, OFF),  # Saturday
        ("2026-11-22 19:00", OFF, OFF),  # Sunday
        ("2026-02-17 19:00", OFF, OFF),  # Carnival Tuesday
        ("2026-02-18 19:00", PEAK, PEAK),  # Ash Wednesday is none
        ("2026-04-03 19:00", OFF, OFF),  # Good Friday
        ("2026-06-04 19:00", OFF, OFF),  # Corpus Christi
        ("2026-11-20 19:00", OFF, OFF),
        ("2023-11-20 19:00", PEAK, PEAK),  # a Monday, before it became a holiday
    ],
)
def test_examples_of_the_dossier(local: str, binomial: Post, white: Post) -> None:
    assert brazil_calendar().post_at(at(local)) is binomial
    assert brazil_calendar(intermediate_minutes=60).post_at(at(local)) is white


def test_boundary_intervals_are_18_00_to_20_45() -> None:
    posts = brazil_calendar().posts_for(at("2026-11-18 00:00"), 900, 96)
    assert [i for i, post in enumerate(posts) if post == PEAK] == list(range(72, 84))


def test_an_interval_belongs_to_the_post_of_its_start() -> None:
    calendar = brazil_calendar(peak_start=time(18, 10))
    posts = calendar.posts_for(at("2026-11-18 18:00"), 900, 2)
    assert posts == bytes([OFF, PEAK])


def test_reserved_windows_pass_midnight_and_leave_the_peak_alone() -> None:
    calendar = brazil_calendar(reserved=[(time(20), time(6))])
    posts = calendar.posts_for(at("2026-11-18 00:00"), 3600, 24)
    assert list(posts) == [RESERVED] * 6 + [OFF] * 12 + [PEAK] * 3 + [RESERVED] * 3
    assert calendar.post_at(at("2026-11-21 20:30")) is RESERVED  # Saturday


@pytest.mark.parametrize(
    "wrong",
    [
        {"peak_minutes": 0},
        {"peak_start": time(22)},
        {"peak_start": time(0, 30), "intermediate_minutes": 60},
        {"peak_start": time(20, 30), "intermediate_minutes": 60},
    ],
)
def test_a_peak_that_leaves_the_day(wrong: dict[str, Any]) -> None:
    with pytest.raises(CalendarError, match="leaves the day"):
        brazil_calendar(**wrong)


# -- daylight saving -------------------------------------------------------------------------------------------------


def test_legal_time_or_standard_time() -> None:
    # 2018-01-15, a Monday in summer time (UTC-2); the shifted post is one hour later on the legal clock
    clock, post = brazil_calendar(), brazil_calendar(dst_policy="shift_post")
    assert [calendar.post_at(at("2018-01-15 18:30")) for calendar in (clock, post)] == [PEAK, OFF]
    assert [calendar.post_at(at("2018-01-15 21:30")) for calendar in (clock, post)] == [OFF, PEAK]
    assert [calendar.post_at(at("2018-07-16 18:30")) for calendar in (clock, post)] == [PEAK, PEAK]


def test_days_of_change_have_all_their_intervals() -> None:
    # clocks went back at 24:00 of 2018-02-17 (Saturday), forward at 00:00 of 2018-11-04 (Sunday)
    slots = [Slot(time(0), OFF), Slot(time(1, 30), RESERVED), Slot(time(23), PEAK), Slot(time(23, 30), MIDDLE)]
    version = Version(date(2000, 1, 1), {"day": slots}, ["day"] * 7, "day")
    calendar = TariffCalendar("t", "America/Sao_Paulo", [version])
    long = calendar.posts_for(at("2018-02-17 00:00"), 1800, 50)
    assert list(long) == [OFF] * 3 + [RESERVED] * 43 + [PEAK, MIDDLE, PEAK, MIDDLE]
    short = calendar.posts_for(at("2018-11-04 01:00"), 1800, 46)
    assert list(short) == [OFF] + [RESERVED] * 43 + [PEAK, MIDDLE]


def test_explicit_periods_replace_the_zone_database() -> None:
    version = Version(
        date(2000, 1, 1), {"day": [Slot(time(0), OFF), Slot(time(18), PEAK), Slot(time(21), OFF)]}, ["day"] * 7, "day"
    )
    none = TariffCalendar("t", "America/Sao_Paulo", [version], dst=[])
    own = TariffCalendar("t", "America/Sao_Paulo", [version], dst=[DstPeriod(date(2030, 10, 15), date(2031, 2, 16))])
    for calendar, edges in ((none, (21, 21)), (own, (20, 21))):
        first = next(
            part for part in calendar.segments(utc("2030-10-15 12:00"), utc("2030-10-16 12:00")) if part[2] == PEAK
        )
        last = next(
            part for part in calendar.segments(utc("2031-02-16 12:00"), utc("2031-02-17 12:00")) if part[2] == PEAK
        )
        assert [datetime.fromtimestamp(part[0], UTC).hour for part in (first, last)] == list(edges)
    # from 00:00 standard to 00:00 summer time
    midnight = Version(date(2000, 1, 1), {"day": [Slot(time(0), OFF), Slot(time(0, 30), PEAK)]}, ["day"] * 7, "day")
    change = TariffCalendar(
        "t", "America/Sao_Paulo", [midnight], dst=[DstPeriod(date(2030, 10, 15), date(2031, 2, 16))]
    )
    assert list(change.segments(utc("2030-10-15 02:00"), utc("2030-10-15 04:00"))) == [
        (utc("2030-10-15 02:00"), utc("2030-10-15 04:00"), PEAK)  # 23:00 to 24:00, then 01:00 to 02:00
    ]
    assert list(change.segments(utc("2031-02-16 00:30"), utc("2031-02-16 04:00"))) == [
        (utc("2031-02-16 00:30"), utc("2031-02-16 03:00"), PEAK),  # 22:30 to 24:00 and 23:00 to 24:00 again
        (utc("2031-02-16 03:00"), utc("2031-02-16 03:30"), OFF),
        (utc("2031-02-16 03:30"), utc("2031-02-16 04:00"), PEAK),
    ]


# -- against a slow and plain definition ------------------------------------------------------------------------------


def plain_post(calendar: TariffCalendar, instant: int) -> Post:
    """What the calendar says, from a wall clock and nothing else."""
    local = datetime.fromtimestamp(instant, ZoneInfo(calendar.zone))
    return [slot.post for slot in calendar.plan_on(local.date()) if slot.at <= local.time()][-1]


zones = st.sampled_from(
    ["America/Sao_Paulo", "America/Havana", "Europe/Moscow", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]
)
minutes = st.integers(0, 1439)


@st.composite
def day_plans(draw: st.DrawFn) -> list[Slot]:
    starts = sorted({0, *draw(st.lists(minutes, max_size=5))})
    return [
        Slot(time(minute // 60, minute % 60), draw(st.sampled_from([PEAK, MIDDLE, OFF, RESERVED]))) for minute in starts
    ]


@settings(max_examples=60)
@given(
    plans=st.lists(day_plans(), min_size=3, max_size=3),
    zone=zones,
    start=st.integers(utc("2011-10-01 00:00"), utc("2019-06-01 00:00")),
    step=st.sampled_from([60, 300, 900, 1800, 3600, 86_400, 7]),
    count=st.integers(0, 300),
)
def test_segments_agree_with_the_wall_clock(
    plans: list[list[Slot]], zone: str, start: int, step: int, count: int
) -> None:
    version = Version(
        date(2000, 1, 1),
        {"work": plans[0], "rest": plans[1], "party": plans[2]},
        ["work"] * 5 + ["rest"] * 2,
        "party",
        ["some"],
    )
    calendar = TariffCalendar("t", zone, [version], {"some": HolidayGroup([Annual("x", 2, 18), Annual("y", 11, 4)])})
    posts = calendar.posts_for(start, step, count)
    assert list(posts) == [plain_post(calendar, start + i * step) for i in range(count)]
    parts = list(calendar.segments(start, start + step * count))
    assert all(left[1] == right[0] and left[2] != right[2] for left, right in pairwise(parts))
    if count:
        assert (parts[0][0], parts[-1][1]) == (start, start + step * count)
        assert calendar.post_at(start) == posts[0]


def test_a_year_of_quarter_hours() -> None:
    # 261 days from Monday to Friday, of the 12 holidays only 15 November is a Sunday
    posts = brazil_calendar().posts_for(at("2026-01-01 00:00"), 900, 365 * 96)
    assert posts.count(PEAK) == 12 * (261 - 11)
    assert posts.count(OFF) == 365 * 96 - posts.count(PEAK)


# -- validity, groups ------------------------------------------------------------------------------------------------


def day_of(post: Post) -> list[Slot]:
    return [Slot(time(0), post)]


def test_versions_follow_each_other_at_local_midnight() -> None:
    first = Version(date(2025, 1, 1), {"all": day_of(OFF)}, ["all"] * 7, "all", valid_to=date(2026, 7, 1))
    second = Version(date(2026, 7, 1), {"all": day_of(PEAK)}, ["all"] * 7, "all", valid_to=date(2027, 1, 1))
    calendar = TariffCalendar("area", "America/Sao_Paulo", [first, second])
    assert list(calendar.posts_for(at("2026-06-30 23:45"), 900, 2)) == [OFF, PEAK]
    with pytest.raises(CalendarError, match=r"'area' begins on 2025-01-01, asked for 2024-12-31"):
        calendar.post_at(at("2024-12-31 23:59"))
    with pytest.raises(CalendarError, match="ends before 2027-01-01, asked for 2027-01-01: add a version"):
        calendar.posts_for(at("2026-12-31 00:00"), 900, 97)


def test_groups_have_plans_of_their_own_and_the_first_decides() -> None:
    version = Version(
        date(2025, 1, 1),
        {"work": day_of(PEAK), "rest": day_of(OFF), "harvest": day_of(RESERVED)},
        ["work"] * 7,
        "rest",
        ["local", "national"],
    )
    groups = {
        "local": HolidayGroup([Single("harvest festival", date(2026, 5, 1))], plan="harvest"),
        "national": HolidayGroup([Annual("Labour Day", 5, 1), Annual("New Year", 1, 1)]),
        "unused": HolidayGroup([Annual("other", 3, 3)]),
    }
    calendar = TariffCalendar("t", "America/Sao_Paulo", [version], groups)
    assert calendar.post_at(at("2026-05-01 12:00")) is RESERVED
    assert calendar.post_at(at("2027-05-01 12:00")) is OFF
    assert calendar.post_at(at("2026-03-03 12:00")) is PEAK
    assert calendar.holiday_label(date(2026, 5, 1)) == "harvest festival"
    assert calendar.holiday_label(date(2026, 5, 2)) is None


GOOD_PLAN = day_of(OFF)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"plans": {"all": []}}, "gap: its first slot must begin at 00:00"),
        ({"plans": {"all": [Slot(time(0, 1), OFF)]}}, "gap"),
        (
            {"plans": {"all": [Slot(time(0), OFF), Slot(time(9), PEAK), Slot(time(8), OFF)]}},
            "08:00:00 comes after 09:00:00",
        ),
        ({"plans": {"all": [Slot(time(0), OFF), Slot(time(0), PEAK)]}}, "overlapping"),
        ({"plans": {"all": [Slot(time(0), Post.TOTAL)]}}, "no post"),
        ({"week": ["all"] * 6 + ["sunday"]}, "'sunday' is used and not defined: there are all"),
        ({"holiday_plan": "x"}, "'x' is used and not defined"),
        ({"valid_to": date(2025, 1, 1)}, "ends before it starts"),
    ],
)
def test_versions_that_are_refused(change: dict[str, Any], says: str) -> None:
    good: dict[str, Any] = {
        "valid_from": date(2025, 1, 1),
        "plans": {"all": GOOD_PLAN},
        "week": ["all"] * 7,
        "holiday_plan": "all",
    }
    Version(**good)
    with pytest.raises(CalendarError, match=says):
        Version(**(good | change))


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ([("2025-01-01", None), ("2026-01-01", None)], "overlap: one is valid to ever, the next from 2026-01-01"),
        ([("2025-01-01", "2026-02-01"), ("2026-01-01", None)], "overlap: one is valid to 2026-02-01"),
        ([("2025-01-01", "2025-12-01"), ("2026-01-01", None)], "gap from 2025-12-01 to 2026-01-01"),
        ([("2026-01-01", "2027-01-01"), ("2025-01-01", "2026-01-01")], "overlap"),
    ],
)
def test_versions_without_gap_and_overlap(bounds: list[tuple[str, str | None]], says: str) -> None:
    versions = [
        Version(
            date.fromisoformat(low),
            {"all": GOOD_PLAN},
            ["all"] * 7,
            "all",
            valid_to=date.fromisoformat(high) if high else None,
        )
        for low, high in bounds
    ]
    with pytest.raises(CalendarError, match=says):
        TariffCalendar("t", "America/Sao_Paulo", versions)


def test_calendars_that_are_refused() -> None:
    version = Version(date(2025, 1, 1), {"all": GOOD_PLAN}, ["all"] * 7, "all", ["national"])
    with pytest.raises(CalendarError, match="group 'national' is used from 2025-01-01 and not defined"):
        TariffCalendar("t", "America/Sao_Paulo", [version])
    with pytest.raises(CalendarError, match="wants day plan 'feast'"):
        TariffCalendar("t", "America/Sao_Paulo", [version], {"national": HolidayGroup([], plan="feast")})
    with pytest.raises(IntervalError, match="Sao_Paolo"):
        TariffCalendar("t", "America/Sao_Paolo", [version], {"national": HolidayGroup([])})
    with pytest.raises(CalendarError, match="ends before it starts"):
        DstPeriod(date(2030, 2, 2), date(2030, 2, 2))
    periods = [DstPeriod(date(2030, 10, 1), date(2031, 2, 1)), DstPeriod(date(2031, 1, 1), date(2031, 3, 1))]
    with pytest.raises(CalendarError, match="begins before the one until 2031-02-01 ends"):
        TariffCalendar("t", "UTC", [version], {"national": HolidayGroup([])}, dst=periods)


@pytest.mark.parametrize(
    ("start", "step", "count"),
    [(0, 0, 1), (0, -1, 1), (0, 1, -1), (0, 1, MAX_INTERVALS + 1), (-1, 1, 1), (10**12, 1, 1)],
)
def test_questions_that_are_refused(start: int, step: int, count: int) -> None:
    with pytest.raises(CalendarError):
        brazil_calendar().posts_for(start, step, count)


def test_survives_json_and_names_the_place_of_an_error() -> None:
    calendar = brazil_calendar(intermediate_minutes=60, reserved=[(time(21, 30), time(6))])
    text = msgspec.json.encode(calendar)
    assert msgspec.json.decode(text, type=TariffCalendar) == calendar
    with pytest.raises(msgspec.ValidationError, match=r"overlapping slots.* - at `\$\.versions\[0\]`"):
        msgspec.json.decode(text.replace(b'"17:00:00"', b'"19:30:00"'), type=TariffCalendar)
    with pytest.raises(msgspec.ValidationError, match="unknown field `zona`"):
        msgspec.json.decode(text.replace(b'"zone"', b'"zona"'), type=TariffCalendar)


# -- a meter's own posts ---------------------------------------------------------------------------------------------


def test_meter_start_times() -> None:
    # octets 51-74 of an ABNT parameter block: four starts each, unused ones repeat the first
    starts = {
        PEAK: [time(18)] * 4,
        OFF: [time(6), time(21), time(21), time(21)],
        RESERVED: [time(21, 30)] * 4,
    }
    calendar = meter_calendar("12345678", starts, holidays=[date(2026, 11, 20)])
    posts = calendar.posts_for(at("2026-11-18 00:00"), 1800, 48)
    assert list(posts) == [RESERVED] * 12 + [OFF] * 24 + [PEAK] * 6 + [OFF] + [RESERVED] * 5
    for day in ("2026-11-20", "2026-11-21", "2026-11-22"):
        assert set(calendar.posts_for(at(f"{day} 00:00"), 1800, 48)) == {OFF}


def test_meter_rules_for_saturday_sunday_holiday() -> None:
    starts = {PEAK: [time(18)], OFF: [time(6), time(21)], RESERVED: [time(22)]}
    calendar = meter_calendar(
        "m",
        starts,
        holidays=[date(2026, 11, 20)],
        saturday=[PEAK, OFF],
        sunday=[OFF, RESERVED],
        holiday=[PEAK, OFF, RESERVED],
    )
    days = {
        day: calendar.posts_for(at(f"{day} 00:00"), 3600, 24)
        for day in ("2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22")
    }
    assert days["2026-11-20"] == days["2026-11-19"]
    assert list(days["2026-11-21"]) == [OFF] * 18 + [PEAK] * 3 + [OFF] * 3
    assert list(days["2026-11-22"]) == [RESERVED] * 6 + [OFF] * 16 + [RESERVED] * 2


def test_a_meters_clock_has_no_summer_time_but_its_own() -> None:
    starts = {PEAK: [time(18)], OFF: [time(21)]}
    plain = meter_calendar("m", starts)
    own = meter_calendar("m", starts, dst=[DstPeriod(date(2017, 10, 15), date(2018, 2, 18))])
    # 18:30 legal summer time is 17:30 on a clock that never changes
    assert plain.post_at(at("2018-01-15 18:30")) is OFF
    assert own.post_at(at("2018-01-15 18:30")) is PEAK


def test_meter_posts_that_contradict_each_other() -> None:
    with pytest.raises(CalendarError, match="PEAK and OFF_PEAK both begin at 18:00"):
        meter_calendar("m", {PEAK: [time(18)], OFF: [time(18)]})
    with pytest.raises(CalendarError, match="no post has a start time"):
        meter_calendar("m", {})
