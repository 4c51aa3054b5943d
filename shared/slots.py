"""A tariff calendar compiled for one step: which local month and post every interval has, without calendar arithmetic.

Months are compiled one by one and kept, as billing asks for the same ones for every meter.
"""

from array import array
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from shared.calendar import CalendarError, TariffCalendar
from shared.intervals import ceil, day_start, local_date, split_days, zone

#: Slot = month of the lookup x SLOTS_PER_MONTH + post.
SLOTS_PER_MONTH: Final = 16

#: A lookup of more months than a century has is a mistake.
MAX_MONTHS: Final = 1200

#: Months end where local dates exist in every zone.
_LAST_YEAR: Final = 9997

#: Months kept, each of some 2 kB: two years of the calendars and steps of a large utility.
_KEPT: Final = 4096


class SlotLookup(NamedTuple):
    """Segments of equal slot over local months, in intervals counted from the epoch in steps.

    Segment i has ``slots[i]`` up to, not including, interval ``ends[i]``, from the end of the one before it, the first
    from ``begin``. An interval belongs to the month and post of its start.
    """

    step: int
    begin: int
    ends: "array[int]"  # 'q', ascending
    slots: "array[int]"  # 'H'
    months: tuple[date, ...]  # first days

    def key(self, slot: int) -> tuple[date, int]:
        """Return (first day of the local month, post) of a slot."""
        return self.months[slot // SLOTS_PER_MONTH], slot % SLOTS_PER_MONTH

    def dense(self) -> "array[int]":
        """Return the slot of every interval from ``begin`` on, array('H')."""
        every = array("H")
        before = self.begin
        for end, slot in zip(self.ends, self.slots, strict=True):
            every.extend(array("H", (slot,)) * (end - before))
            before = end
        return every


def month_lookup(calendar: TariffCalendar, step: int, first: date, months: int = 1) -> SlotLookup:
    """Return the slots of ``months`` local months from the one of ``first``, in intervals of ``step`` s.

    Raises :class:`CalendarError` for a step below 1 s, months out of bounds, or outside the calendar's validity; where
    that ends within the last month, the lookup ends with it.
    """
    if step < 1 or not 1 <= months <= MAX_MONTHS:
        raise CalendarError(f"{months} months in steps of {step} s: 1..{MAX_MONTHS} months, 1 s or more")
    if not 1970 <= first.year <= _LAST_YEAR - months // 12:
        raise CalendarError(f"{months} months from {first} are not within 1970 to {_LAST_YEAR}")
    firsts = tuple(_month(first, i) for i in range(months))
    content = msgspec.msgpack.encode(calendar)
    ends, slots = array("q"), array("H")
    begin = None
    for i, day in enumerate(firsts):
        at, month_ends, posts = _compiled(content, step, day)
        begin = at if begin is None else begin
        ends.extend(month_ends)
        slots.extend(SLOTS_PER_MONTH * i + post for post in posts)
    return SlotLookup(step, begin or 0, ends, slots, firsts)


def lookup_for(calendar: TariffCalendar, step: int, start: int, end: int) -> SlotLookup:
    """Return the slots of all local months that [start, end) UTC touches; raises like :func:`month_lookup`."""
    if not 0 <= start < end:
        raise CalendarError(f"[{start}, {end}) is no range of UTC seconds from 1970 on")
    tz = zone(calendar.zone)
    first, last = local_date(start, tz), local_date(end - 1, tz)
    calendar.version_on(last)
    return month_lookup(calendar, step, first, (last.year - first.year) * 12 + last.month - first.month + 1)


def day_ends(tz: ZoneInfo, step: int, start: int, count: int) -> "array[int]":
    """Return where each local day ends, array('q'), among ``count`` intervals of ``step`` s from ``start`` UTC.

    Groups for ``ext.series.resample``; an interval belongs to the day of its start, the first and last day may be cut.
    """
    ends = array("q")
    for _, part in split_days(start, start + count * step, tz):
        end = -((start - part.end) // step)
        if end > (ends[-1] if ends else 0):  # else no interval starts on this day
            ends.append(end)
    return ends


def hour_ends(tz: ZoneInfo, step: int, start: int, count: int) -> "array[int]":
    """Return the same for hours, which are counted from each local midnight."""
    ends = array("q")
    for day, part in split_days(start, start + count * step, tz):
        midnight = day_start(day, tz)
        for at in range(midnight + ((part.start - midnight) // 3600 + 1) * 3600, part.end + 3600, 3600):
            end = -((start - min(at, part.end)) // step)
            if end > (ends[-1] if ends else 0):
                ends.append(end)
    return ends


def _month(first: date, later: int) -> date:
    months = first.year * 12 + first.month - 1 + later
    return date(months // 12, months % 12 + 1, 1)


@lru_cache(maxsize=64)
def _calendar(content: bytes) -> TariffCalendar:
    return msgspec.msgpack.decode(content, type=TariffCalendar)


@lru_cache(maxsize=_KEPT)
def _compiled(content: bytes, step: int, first: date) -> tuple[int, "array[int]", bytes]:
    """Return (first interval, end of each segment, its post) of one local month."""
    calendar = _calendar(content)
    tz = zone(calendar.zone)
    start, end = day_start(first, tz), day_start(_month(first, 1), tz)
    valid_to = calendar.versions[-1].valid_to
    if valid_to is not None and first < valid_to:
        end = min(end, day_start(valid_to, tz))
    begin = before = ceil(start, step) // step
    ends, posts = array("q"), bytearray()
    for _, stop, post in calendar.segments(start, end):
        after = ceil(stop, step) // step
        if after > before:  # else no interval starts in this segment
            ends.append(after)
            posts.append(post)
            before = after
    return begin, ends, bytes(posts)
