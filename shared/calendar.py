"""Tariff calendar: which post is in force when, for gateway and aggregator alike (dossier brazil-billing §2).

A calendar has versions by local date; a version has day plans, a plan for each weekday and one for holidays; a plan is
a list of posts with the local time from which each is in force. An interval belongs to the post of its start.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, time, timedelta
from itertools import pairwise
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from shared.holidays import HolidayGroup
from shared.intervals import standard_offset, utc_offset, zone
from shared.quantities import Post

#: posts_for() of more than this is a mistake: ten years of five-minute intervals.
MAX_INTERVALS: Final = 1_100_000

#: Instants from 1970 to the end of 9998, where local dates exist in every zone.
_LAST: Final = 253_370_764_800

_EPOCH = date(1970, 1, 1)
_DAY = 86_400


class CalendarError(ValueError):
    """A calendar with a gap, an overlap or a name that leads nowhere; or an instant outside its validity."""


class Slot(Struct, frozen=True, forbid_unknown_fields=True):
    """From local time ``at`` until the next slot of the day this post is in force."""

    at: Annotated[time, Meta(tz=False)]
    post: Post


class DstPeriod(Struct, frozen=True, forbid_unknown_fields=True):
    """Daylight saving from 00:00 standard time of ``start`` to 00:00 summer time of ``end``, both local dates."""

    start: date
    end: date
    shift: Annotated[int, Meta(ge=-7200, le=7200)] = 3600

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise CalendarError(f"daylight saving from {self.start} to {self.end} ends before it starts")


class Version(Struct, frozen=True, forbid_unknown_fields=True):
    """The rules from local date ``valid_from`` to the day before ``valid_to`` (None: open).

    ``week`` names a plan for Monday to Sunday. ``groups`` names the holiday groups in force; the first that knows a
    date decides. Their days follow the group's own plan or ``holiday_plan``.
    """

    valid_from: date
    plans: dict[str, list[Slot]]
    week: Annotated[list[str], Meta(min_length=7, max_length=7)]
    holiday_plan: str
    groups: list[str] = []
    valid_to: date | None = None

    def __post_init__(self) -> None:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise CalendarError(f"version from {self.valid_from} to {self.valid_to} ends before it starts")
        for name, slots in self.plans.items():
            _check_plan(name, slots)
        for name in {*self.week, self.holiday_plan}:
            if name not in self.plans:
                raise CalendarError(
                    f"day plan {name!r} is used and not defined: there are {', '.join(sorted(self.plans))}"
                )


class TariffCalendar(Struct, frozen=True, forbid_unknown_fields=True):
    """Posts of one concession area, customer or meter.

    ``dst`` None takes daylight saving from the zone database; a list (also an empty one) replaces it, as for a meter
    with dates of its own. ``dst_policy``: ``shift_clock``, plans are in legal time; ``shift_post``, the meter stays on
    standard time all year, so that in legal time every post comes later by the shift.
    """

    name: str
    zone: str
    versions: Annotated[list[Version], Meta(min_length=1)]
    groups: dict[str, HolidayGroup] = {}
    dst: list[DstPeriod] | None = None
    dst_policy: Literal["shift_clock", "shift_post"] = "shift_clock"

    def __post_init__(self) -> None:
        zone(self.zone)
        for before, after in pairwise(self.versions):
            _check_succession(before, after)
        for version in self.versions:
            self._check_groups(version)
        for earlier, later in pairwise(self.dst or ()):
            if later.start < earlier.end:
                raise CalendarError(
                    f"daylight saving from {later.start} begins before the one until {earlier.end} ends"
                )

    def post_at(self, instant: int) -> Post:
        """Return the post in force at a UTC instant; raises :class:`CalendarError` outside the validity."""
        return next(self.segments(instant, instant + 1))[2]

    def posts_for(self, start: int, step: int, count: int) -> bytes:
        """Return one octet (its :class:`Post`) for each of ``count`` intervals of ``step`` s from ``start`` UTC."""
        if step < 1 or not 0 <= count <= MAX_INTERVALS:
            raise CalendarError(
                f"{count} intervals of {step} s are out of bounds: up to {MAX_INTERVALS}, 1 s or more each"
            )
        posts = bytearray()
        for _, end, post in self.segments(start, start + step * count):
            posts += bytes((post,)) * (-((start - end) // step) - len(posts))
        return bytes(posts)

    def segments(self, start: int, end: int) -> Iterator[tuple[int, int, Post]]:
        """Yield (start, end, post) over [start, end) UTC in order, without gap; neighbours have different posts."""
        if not 0 <= start <= end <= _LAST:
            raise CalendarError(f"[{start}, {end}) is no range of UTC seconds from 1970 to 9998")
        running: tuple[int, int, Post] | None = None
        for begin, stop, offset in self._offsets(start, end):
            for low, high, post in self._local_segments(begin + offset, stop + offset):
                if running is not None and running[2] == post:
                    running = (running[0], high - offset, post)
                else:
                    if running is not None:
                        yield running
                    running = (low - offset, high - offset, post)
        if running is not None:
            yield running

    def holiday_label(self, day: date) -> str | None:
        """Return the name of the holiday that decides the posts of a local date, None on other days."""
        version = self.version_on(day)
        for name in version.groups:
            holiday = self.groups[name].on(day)
            if holiday is not None:
                return holiday.label
        return None

    def plan_on(self, day: date) -> list[Slot]:
        """Return the day plan of a local date; raises :class:`CalendarError` outside the validity."""
        version = self.version_on(day)
        for name in version.groups:
            group = self.groups[name]
            if group.on(day) is not None:
                return version.plans[group.plan or version.holiday_plan]
        return version.plans[version.week[day.weekday()]]

    def version_on(self, day: date) -> Version:
        """Return the version valid on a local date; raises :class:`CalendarError` when none is."""
        at = bisect_right(self.versions, day, key=lambda version: version.valid_from) - 1
        if at < 0:
            raise CalendarError(f"calendar {self.name!r} begins on {self.versions[0].valid_from}, asked for {day}")
        version = self.versions[at]
        if version.valid_to is not None and day >= version.valid_to:
            raise CalendarError(
                f"calendar {self.name!r} ends before {version.valid_to}, asked for {day}: add a version"
            )
        return version

    def _check_groups(self, version: Version) -> None:
        for name in version.groups:
            if name not in self.groups:
                raise CalendarError(f"holiday group {name!r} is used from {version.valid_from} and not defined")
            plan = self.groups[name].plan
            if plan and plan not in version.plans:
                raise CalendarError(
                    f"holiday group {name!r} wants day plan {plan!r}, not defined from {version.valid_from}"
                )

    def _local_segments(self, start: int, end: int) -> Iterator[tuple[int, int, Post]]:
        """Yield the slots over [start, end) in seconds of the local clock, which runs evenly here."""
        number = start // _DAY
        while number * _DAY < end:
            midnight = number * _DAY
            slots = self.plan_on(_EPOCH + timedelta(days=number))
            for i, slot in enumerate(slots):
                low = max(start, midnight + _seconds(slot.at))
                high = min(end, midnight + (_seconds(slots[i + 1].at) if i + 1 < len(slots) else _DAY))
                if low < high:
                    yield low, high, slot.post
            number += 1

    def _offset(self, instant: int) -> int:
        tz = zone(self.zone)
        if self.dst_policy == "shift_post":
            return standard_offset(instant, tz)
        if self.dst is None:
            return utc_offset(instant, tz)
        standard = standard_offset(instant, tz)
        for period in self.dst:
            begin = (period.start - _EPOCH).days * _DAY - standard
            end = (period.end - _EPOCH).days * _DAY - standard - period.shift
            if begin <= instant < end:
                return standard + period.shift
        return standard

    def _offsets(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, UTC offset) over [start, end): daily probes, and a search where two differ."""
        while start < end:
            offset = self._offset(start)
            at = start
            while at < end and self._offset(min(at + _DAY, end - 1)) == offset:
                at += _DAY
            stop = end if at >= end else self._change(at, min(at + _DAY, end - 1), offset)
            yield start, stop, offset
            start = stop

    def _change(self, low: int, high: int, offset: int) -> int:
        """Return the first instant in (low, high] whose offset is another; low has ``offset``, high has not."""
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == offset:
                low = middle
            else:
                high = middle
        return high


def _seconds(at: time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second


def _check_plan(name: str, slots: list[Slot]) -> None:
    if not slots or slots[0].at != time():
        raise CalendarError(f"day plan {name!r} has a gap: its first slot must begin at 00:00")
    for slot in slots:
        if slot.post == Post.TOTAL or slot.at.microsecond:
            raise CalendarError(f"day plan {name!r} has a slot at {slot.at} that is no post at a whole second")
    for before, after in pairwise(slots):
        if after.at <= before.at:
            raise CalendarError(f"day plan {name!r} has overlapping slots: {after.at} comes after {before.at}")


def _check_succession(before: Version, after: Version) -> None:
    if before.valid_to is None or before.valid_to > after.valid_from:
        raise CalendarError(
            f"versions overlap: one is valid to {before.valid_to or 'ever'}, the next from {after.valid_from}"
        )
    if before.valid_to < after.valid_from:
        raise CalendarError(f"versions leave a gap from {before.valid_to} to {after.valid_from}")
