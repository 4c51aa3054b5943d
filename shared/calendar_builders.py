"""Ready-made tariff calendars: the Brazilian default, and one from a meter's own start times."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, time
from typing import Literal

from shared.calendar import CalendarError, DstPeriod, Slot, TariffCalendar, Version
from shared.holidays import HolidayGroup, Single, brazil
from shared.quantities import Post

#: A calendar without a beginning: before any load profile.
ALWAYS = date(1900, 1, 1)

_MINUTES = 1440


def brazil_calendar(
    name: str = "brazil-a4",
    *,
    zone: str = "America/Sao_Paulo",
    peak_start: time = time(18),
    peak_minutes: int = 180,
    intermediate_minutes: int = 0,
    reserved: Sequence[tuple[time, time]] = (),
    valid_from: date = ALWAYS,
    consciousness_since: int | None = 2024,
    dst_policy: Literal["shift_clock", "shift_post"] = "shift_clock",
) -> TariffCalendar:
    """Return the default of group A (verde, azul): peak 18 to 21 on working days, else off-peak.

    The peak is set per concession area. ``intermediate_minutes`` before and after it are for branca only (60 in most
    areas). ``reserved`` are windows of every day in which off-peak becomes reserved; they may pass midnight.
    """
    begin = peak_start.hour * 60 + peak_start.minute
    if peak_minutes <= 0 or begin - intermediate_minutes < 0 or begin + peak_minutes + intermediate_minutes > _MINUTES:
        raise CalendarError(
            f"peak of {peak_minutes} minutes from {peak_start} with {intermediate_minutes} around leaves the day"
        )
    rest = [Post.OFF_PEAK] * _MINUTES
    for low, high in reserved:
        _paint(rest, low.hour * 60 + low.minute, high.hour * 60 + high.minute, Post.RESERVED)
    working = rest.copy()
    end = begin + peak_minutes
    _paint(working, begin - intermediate_minutes, end + intermediate_minutes, Post.INTERMEDIATE)
    _paint(working, begin, end, Post.PEAK)
    version = Version(
        valid_from=valid_from,
        plans={"working": _slots(working), "rest": _slots(rest)},
        week=["working"] * 5 + ["rest"] * 2,
        holiday_plan="rest",
        groups=["national"],
    )
    return TariffCalendar(
        name=name,
        zone=zone,
        versions=[version],
        groups={"national": brazil(consciousness_since)},
        dst_policy=dst_policy,
    )


def meter_calendar(
    name: str,
    starts: Mapping[Post, Sequence[time]],
    *,
    zone: str = "America/Sao_Paulo",
    holidays: Collection[date] = (),
    saturday: Collection[Post] = (Post.OFF_PEAK,),
    sunday: Collection[Post] = (Post.OFF_PEAK,),
    holiday: Collection[Post] = (Post.OFF_PEAK,),
    dst: Sequence[DstPeriod] = (),
    valid_from: date = ALWAYS,
) -> TariffCalendar:
    """Return the calendar that a meter itself applies, from the start times of its posts (dossier abnt-nbr-14522 §7.1).

    A start that repeats another of the same post is unused; before the day's first start the last one still holds. On
    Saturdays, Sundays and holidays only the posts given take place, the time of others is off-peak. ``dst`` are the
    meter's own summer times; by default its clock never changes.
    """
    every_day = _day_from_starts(starts)
    plans = {"working": every_day}
    for plan, allowed in (("saturday", saturday), ("sunday", sunday), ("holiday", holiday)):
        plans[plan] = _restricted(every_day, allowed)
    version = Version(
        valid_from=valid_from,
        plans={plan: _slots(posts) for plan, posts in plans.items()},
        week=["working"] * 5 + ["saturday", "sunday"],
        holiday_plan="holiday",
        groups=["meter"],
    )
    singles = [Single(f"meter's holiday {day}", day) for day in sorted(set(holidays))]
    return TariffCalendar(
        name=name,
        zone=zone,
        versions=[version],
        groups={"meter": HolidayGroup([*singles])},
        dst=list(dst),
    )


def _day_from_starts(starts: Mapping[Post, Sequence[time]]) -> list[Post]:
    beginning: dict[int, Post] = {}
    for post, times in starts.items():
        for at in times:
            minute = at.hour * 60 + at.minute
            if beginning.setdefault(minute, post) != post:
                raise CalendarError(f"posts {beginning[minute].name} and {post.name} both begin at {at:%H:%M}")
    if not beginning:
        raise CalendarError("no post has a start time: give off-peak one at 00:00")
    posts = []
    running = beginning[max(beginning)]
    for minute in range(_MINUTES):
        running = beginning.get(minute, running)
        posts.append(running)
    return posts


def _restricted(posts: list[Post], allowed: Collection[Post]) -> list[Post]:
    return [post if post in allowed else Post.OFF_PEAK for post in posts]


def _paint(posts: list[Post], begin: int, end: int, post: Post) -> None:
    """Set the minutes from ``begin`` to ``end``; an end at or before the begin is on the next day."""
    for minute in range(begin, end if end > begin else end + _MINUTES):
        posts[minute % _MINUTES] = post


def _slots(posts: list[Post]) -> list[Slot]:
    return [
        Slot(time(minute // 60, minute % 60), posts[minute])
        for minute in range(_MINUTES)
        if minute == 0 or posts[minute] != posts[minute - 1]
    ]
