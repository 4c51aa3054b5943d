"""A tariff calendar as a grid of half hours by kind of day, for those calendars that are as simple as that."""

from dataclasses import dataclass
from datetime import time
from itertools import groupby
from typing import Any, Final

import msgspec

from central.registry import faults
from central.registry.faults import Wrong
from shared.calendar import CalendarError, Slot, TariffCalendar, Version
from shared.calendar_builders import ALWAYS, brazil_calendar
from shared.intervals import IntervalError
from shared.quantities import Post

#: Kinds of day, in the order of the grid's rows.
DAYS: Final = ("weekday", "saturday", "sunday", "holiday")
CELLS: Final = 48
#: Letter of each post in what the grid sends.
LETTERS: Final = {
    Post.PEAK: "P", Post.INTERMEDIATE: "I", Post.OFF_PEAK: "O", Post.RESERVED: "R",
}  # fmt: skip
_POSTS: Final = {letter: post for post, letter in LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Grid:
    """``rows``: 48 letters for each kind of day. ``national``: the days without peak in Brazil are holidays."""

    rows: dict[str, str]
    national: bool


def grid_of(text: str) -> Grid | None:
    """The grid of a calendar (``""``: of the Brazilian default); None: it says more than a grid can show."""
    try:
        calendar = msgspec.json.decode(text, type=TariffCalendar) if text else brazil_calendar()
    except (msgspec.MsgspecError, CalendarError, IntervalError, UnicodeDecodeError):
        return None
    (version, *more) = calendar.versions
    plain = brazil_calendar()
    national = calendar.groups == plain.groups
    if (
        more or version.valid_to is not None or len(set(version.week[:5])) != 1 or calendar.dst is not None
        or calendar.dst_policy != "shift_clock" or (calendar.groups and not national)
    ):  # fmt: skip
        return None
    plans = (version.week[0], version.week[5], version.week[6], version.holiday_plan)
    rows = {day: _letters(version.plans[plan]) for day, plan in zip(DAYS, plans, strict=True)}
    return None if "" in rows.values() else Grid(rows, national)


def compiled(sent: Any, name: str, title: str, zone: str) -> str:
    """JSON of the calendar that the grid's fields say; raises :class:`Wrong`."""
    plans = {}
    for day in DAYS:
        letters = str(sent.get(f"{name}-{day}", ""))
        if len(letters) != CELLS or not set(letters) <= _POSTS.keys():
            raise Wrong(faults.CALENDAR, reason=f"{day}: {letters[:60]!r}")
        plans[day] = _slots(letters)
    national = bool(sent.get(f"{name}-national"))
    version = Version(
        valid_from=ALWAYS, plans=plans, week=["weekday"] * 5 + ["saturday", "sunday"], holiday_plan="holiday",
        groups=["national"] if national else [],
    )  # fmt: skip
    groups = brazil_calendar().groups if national else {}
    return msgspec.json.encode(TariffCalendar(title[:200], zone, [version], groups)).decode()


def _letters(slots: list[Slot]) -> str:
    """48 letters; ``""``: a post begins at another minute than a half hour's."""
    if any(slot.at.minute % 30 or slot.at.second or slot.post not in LETTERS for slot in slots):
        return ""
    cells = []
    for cell in range(CELLS):
        at = time(cell // 2, cell % 2 * 30)
        cells.append(LETTERS[[slot for slot in slots if slot.at <= at][-1].post])
    return "".join(cells)


def _slots(letters: str) -> list[Slot]:
    found, at = [], 0
    for letter, run in groupby(letters):
        found.append(Slot(time(at // 2, at % 2 * 30), _POSTS[letter]))
        at += len(list(run))
    return found
