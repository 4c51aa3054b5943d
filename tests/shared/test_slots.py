from datetime import date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.calendar import CalendarError, DstPeriod, Slot, TariffCalendar, Version
from shared.calendar_builders import brazil_calendar
from shared.holidays import Annual, HolidayGroup
from shared.intervals import day_start
from shared.quantities import Post
from shared.slots import MAX_MONTHS, SlotLookup, day_ends, hour_ends, lookup_for, month_lookup
from tests.shared.test_calendar import day_plans, plain_post, utc, zones

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
STEPS = [60, 300, 600, 900, 1800, 3600]


def check(lookup: SlotLookup, calendar: TariffCalendar) -> None:
    """Compare every interval with the wall clock at its start, and its neighbours outside."""
    tz = ZoneInfo(calendar.zone)
    slots = lookup.dense()
    assert len(slots) == lookup.ends[-1] - lookup.begin
    for index, slot in enumerate(slots, lookup.begin):
        local = datetime.fromtimestamp(index * lookup.step, tz)
        assert lookup.key(slot) == (local.date().replace(day=1), plain_post(calendar, index * lookup.step))
    before = datetime.fromtimestamp((lookup.begin - 1) * lookup.step, tz).date()
    after = datetime.fromtimestamp(lookup.ends[-1] * lookup.step, tz).date()
    assert before < lookup.months[0]
    assert after == (lookup.months[-1] + timedelta(days=31)).replace(day=1)


@settings(max_examples=25)
@given(
    plans=st.lists(day_plans(), min_size=3, max_size=3),
    zone=zones,
    year=st.integers(2011, 2018),
    month=st.integers(1, 12),
    months=st.integers(1, 2),
    step=st.sampled_from([*STEPS[1:], 7200]),
)
def test_random_calendars_agree_with_the_wall_clock(
    plans: list[list[Slot]], zone: str, year: int, month: int, months: int, step: int
) -> None:
    names = {"work": plans[0], "rest": plans[1], "party": plans[2]}
    version = Version(date(2000, 1, 1), names, ["work"] * 5 + ["rest"] * 2, "party", ["some"])
    calendar = TariffCalendar("t", zone, [version], {"some": HolidayGroup([Annual("x", 2, 18), Annual("y", 11, 4)])})
    check(month_lookup(calendar, step, date(year, month, 17), months), calendar)


@settings(max_examples=25)
@given(
    plans=st.lists(day_plans(), min_size=2, max_size=2),
    zone=zones,
    policy=st.sampled_from(["shift_clock", "shift_post", "own"]),
    month=st.dates(date(2011, 1, 1), date(2019, 3, 1)),
    step=st.sampled_from(STEPS),
    data=st.data(),
)
def test_every_kind_of_daylight_saving_and_a_change_of_version(
    plans: list[list[Slot]], zone: str, policy: str, month: date, step: int, data: st.DataObject
) -> None:
    """Compiled slots against the post of single instants, among them both sides of every change."""
    change = month.replace(day=1) + timedelta(days=data.draw(st.integers(1, 27)))
    versions = [
        Version(date(2000, 1, 1), {"a": plans[0]}, ["a"] * 7, "a", valid_to=change),
        Version(change, {"a": plans[1]}, ["a"] * 7, "a"),
    ]
    own = [DstPeriod(change - timedelta(days=1), change + timedelta(days=9))] if policy == "own" else None
    calendar = TariffCalendar(
        "t", zone, versions, dst=own, dst_policy="shift_post" if policy == "shift_post" else "shift_clock"
    )
    lookup = month_lookup(calendar, step, month)
    slots = lookup.dense()
    before = lookup.begin
    seen = {lookup.begin, lookup.ends[-1] - 1}
    for end in lookup.ends:
        seen |= {before, end - 1}
        before = end
    seen |= set(data.draw(st.lists(st.integers(lookup.begin, lookup.ends[-1] - 1), max_size=40)))
    for index in seen:
        instant = index * step
        assert slots[index - lookup.begin] % 16 == calendar.post_at(instant)
        if policy == "shift_clock":
            assert calendar.post_at(instant) == plain_post(calendar, instant)
    assert bytes(slot % 16 for slot in slots) == calendar.posts_for(lookup.begin * step, step, len(slots))


@pytest.mark.parametrize("step", STEPS)
def test_posts_over_midnight(step: int) -> None:
    """Reserved from 21:30 to 06:00, each night of the month in which the clock is put forward at midnight."""
    calendar = brazil_calendar(reserved=[(time(21, 30), time(6))])
    lookup = month_lookup(calendar, step, date(2018, 11, 1))
    check(lookup, calendar)
    reserved = sum(slot % 16 == Post.RESERVED for slot in lookup.dense()) * step
    if 1800 % step == 0:
        assert reserved == (30 * 17 - 2) * 1800  # the hour from 0:00 on 4 November is not there
    else:
        assert reserved == (30 * 8 - 1) * 3600  # hours that start in it


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("month", [2, 11])
def test_both_changes_of_2018(step: int, month: int) -> None:
    calendar = brazil_calendar(intermediate_minutes=60)
    lookup = month_lookup(calendar, step, date(2018, month, 1))
    check(lookup, calendar)
    hours = 28 * 24 + 1 if month == 2 else 30 * 24 - 1
    assert lookup.ends[-1] - lookup.begin == hours * 3600 // step
    posts = [slot % 16 for slot in lookup.dense()]
    working = 19 if month == 2 else 20  # Monday to Friday, less Carnival Tuesday; less 2 and 15 November
    assert posts.count(Post.PEAK) == working * 3 * 3600 // step
    assert posts.count(Post.INTERMEDIATE) == working * 2 * 3600 // step


def test_posts_over_midnight_are_one_segment_and_months_two() -> None:
    lookup = month_lookup(brazil_calendar(), 900, date(2026, 11, 1), 2)
    first_of_december = day_start(date(2026, 12, 1), SAO_PAULO) // 900
    assert first_of_december in lookup.ends
    assert all(len(list(same)) == 1 for _, same in groupby(lookup.slots))
    assert lookup.months == (date(2026, 11, 1), date(2026, 12, 1))
    assert lookup.key(18) == (date(2026, 12, 1), 2)


def test_posts_between_two_starts_of_intervals_take_place_nowhere() -> None:
    calendar = brazil_calendar(peak_minutes=20)  # 18:00 to 18:20
    posts = {slot % 16 for slot in month_lookup(calendar, 86_400, date(2026, 11, 1)).slots}
    assert posts == {Post.OFF_PEAK}


def test_months_are_compiled_once() -> None:
    calendar = brazil_calendar("kept")
    first = month_lookup(calendar, 300, date(2026, 1, 1), 12)
    again = month_lookup(brazil_calendar("kept"), 300, date(2026, 1, 31), 12)
    assert first == again
    assert month_lookup(brazil_calendar("kept", peak_minutes=60), 300, date(2026, 1, 1), 12) != first
    first.ends[0] = 0  # what a caller holds is its own
    assert month_lookup(calendar, 300, date(2026, 1, 1), 12) == again


def test_the_months_a_range_touches() -> None:
    calendar = brazil_calendar()
    start, end = day_start(date(2018, 1, 1), SAO_PAULO), day_start(date(2018, 3, 1), SAO_PAULO)
    assert lookup_for(calendar, 300, start, end).months == (date(2018, 1, 1), date(2018, 2, 1))
    assert len(lookup_for(calendar, 300, start - 1, end + 1).months) == 4
    assert lookup_for(calendar, 300, utc("2018-01-31 23:00"), utc("2018-01-31 23:01")).months == (date(2018, 1, 1),)


@pytest.mark.parametrize(("step", "months"), [(0, 1), (-1, 1), (300, 0), (300, MAX_MONTHS + 1)])
def test_refuses_steps_and_months(step: int, months: int) -> None:
    with pytest.raises(CalendarError, match=f"{months} months in steps of {step} s"):
        month_lookup(brazil_calendar(), step, date(2026, 1, 1), months)


def test_a_lookup_ends_with_the_calendar() -> None:
    calendar = brazil_calendar()
    (version,) = calendar.versions
    ending = msgspec.structs.replace(calendar, versions=[msgspec.structs.replace(version, valid_to=date(2026, 11, 20))])
    last = day_start(date(2026, 11, 20), SAO_PAULO)
    assert month_lookup(ending, 900, date(2026, 10, 1), 2).ends[-1] == last // 900
    assert lookup_for(ending, 900, last - 900, last).ends[-1] == last // 900
    for first, months in ((date(2026, 11, 1), 2), (date(2026, 12, 1), 1)):
        with pytest.raises(CalendarError, match="ends before 2026-11-20"):
            month_lookup(ending, 900, first, months)
    with pytest.raises(CalendarError, match="ends before 2026-11-20"):
        lookup_for(ending, 900, last - 900, last + 1)


def test_refuses_time_outside() -> None:
    with pytest.raises(CalendarError, match="begins on 2026-06-01"):
        month_lookup(brazil_calendar(valid_from=date(2026, 6, 1)), 300, date(2026, 5, 1))
    for year in (1969, 9998):
        with pytest.raises(CalendarError, match="1970 to 9997"):
            month_lookup(brazil_calendar(), 300, date(year, 12, 1))
    for start, end in ((5, 5), (-1, 5)):
        with pytest.raises(CalendarError, match="no range"):
            lookup_for(brazil_calendar(), 300, start, end)


@given(
    zone=zones,
    start=st.integers(utc("2011-12-20 00:00"), utc("2019-03-01 00:00")),
    step=st.sampled_from([300, 900, 3600, 7200]),
    count=st.integers(0, 400),
)
def test_days_and_hours_of_a_series(zone: str, start: int, step: int, count: int) -> None:
    tz, start = ZoneInfo(zone), start - start % step
    starts = [start + i * step for i in range(count)]
    days = [datetime.fromtimestamp(at, tz).date() for at in starts]
    hours = [(day, (at - day_start(day, tz)) // 3600) for day, at in zip(days, starts, strict=True)]
    for found, keys in ((day_ends(tz, step, start, count), days), (hour_ends(tz, step, start, count), hours)):
        assert found.tolist() == [i + 1 for i in range(count) if i + 1 == count or keys[i] != keys[i + 1]]


def test_days_of_23_and_25_hours() -> None:
    start = day_start(date(2018, 11, 3), SAO_PAULO)
    assert day_ends(SAO_PAULO, 900, start, 96 + 92).tolist() == [96, 188]
    assert len(hour_ends(SAO_PAULO, 900, start, 96 + 92)) == 47
    start = day_start(date(2018, 2, 17), SAO_PAULO)
    assert day_ends(SAO_PAULO, 3600, start, 25).tolist() == [25]
