"""The window of a night, drawn: one strip per meter, sessions as marks on it; and the last nights of one meter."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from central.ccee.days import DayStatus, MeterDay, Span
from central.ccee.overview import BoardLine
from central.ccee.verdicts import SELF_TEST
from central.web import ccee_words as words
from central.web.i18n import current, gettext
from central.web.views.availability import Cell
from shared.intervals import zone as zone_of

#: Units of a strip's whole window, and the narrowest mark that a finger still hits.
WIDTH: Final = 1000
_NARROWEST: Final = 9
#: Days that say something is wrong.
TROUBLE: Final = (DayStatus.FAILED, DayStatus.NONE, DayStatus.PARTIAL, DayStatus.UNCLEAR)
_SEEN: Final = (DayStatus.COMPLETE, DayStatus.PARTIAL, DayStatus.FAILED, DayStatus.UNCLEAR)
#: Filter of the page -> statuses it shows; "" shows all.
SHOWN: Final = {
    "trouble": TROUBLE,
    "good": (DayStatus.COMPLETE,),
    "partial": (DayStatus.PARTIAL,),
    "failed": (DayStatus.FAILED, DayStatus.UNCLEAR),
    "missing": (DayStatus.NONE,),
    "waiting": (DayStatus.PENDING, DayStatus.UNHEARD),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A session: place and width in units of the strip, tone, the row it leads to."""

    id: int
    x: float
    width: float
    tone: str
    test: bool
    title: str


@dataclass(frozen=True, slots=True)
class Night:
    """A meter's window. ``now``: where we stand in it, None when it is over; ``later``: sessions after it."""

    line: BoardLine
    marks: Sequence[Mark]
    now: float | None
    later: int
    words: str
    tone: str
    note: str


@dataclass(frozen=True, slots=True)
class Totals:
    """A day in numbers: meters at which the CCEE is expected, was seen, and how many of each status."""

    meters: int
    expected: int
    seen: int
    complete: int
    counts: dict[str, int]

    def shown(self, name: str) -> int:
        """How many a filter of the page shows."""
        return sum(self.counts.get(status, 0) for status in SHOWN[name]) if name else self.meters


def totals(lines: Iterable[BoardLine]) -> Totals:
    """Count a whole board."""
    counts: dict[str, int] = {}
    meters = expected = 0
    for line in lines:
        meters += 1
        expected += line.day.expected
        counts[line.day.status] = counts.get(line.day.status, 0) + 1
    seen = sum(counts.get(status, 0) for status in _SEEN)
    return Totals(meters, expected, seen, counts.get(DayStatus.COMPLETE, 0), counts)


def night(line: BoardLine, now: int) -> Night:
    """Draw one meter's window."""
    day, tz = line.day, zone_of(line.zone)
    inside = [each for each in day.spans if day.start * 1000 <= each.started_ms < day.end * 1000]
    later = sum(1 for each in day.spans if each.started_ms >= day.end * 1000 and each.mode != SELF_TEST)
    said, tone = words.day(day.status)
    note = ""
    if day.status is DayStatus.NONE:
        note = words.title(day.verdict)
    elif day.status is DayStatus.UNHEARD:
        note = gettext("Its gateway has not told of this night yet")
    where = (now - day.start) / (day.end - day.start) * WIDTH
    return Night(
        line, [_mark(each, day, tz) for each in inside], round(where, 1) if 0 <= where < WIDTH else None, later, said,
        tone, note,
    )  # fmt: skip


def hours(first: int, last: int) -> list[str]:
    """Labels of the axis, one an hour."""
    return [f"{hour:02}:00" for hour in range(first, last + 1)]


def cells(days: Sequence[MeterDay]) -> list[Cell]:
    """The last nights of one meter as a strip."""
    found = []
    for day in days:
        said, tone = words.day(day.status)
        quiet = day.status in (DayStatus.PENDING, DayStatus.UNHEARD, DayStatus.NOT_EXPECTED)
        code = f" ({day.verdict})" if day.verdict and day.status is not DayStatus.COMPLETE else ""
        name = "tone-quiet" if quiet else f"tone-{tone}"
        found.append(Cell(name, f"{current().day(day.day)}: {said}{code}", iso=day.day.isoformat()))
    return found


def nearest(text: str, today: date) -> date:
    """The day a reader chose; anything else, and the future, is today."""
    try:
        return min(date.fromisoformat(text), today)
    except ValueError:
        return today


def _mark(each: Span, day: MeterDay, tz: ZoneInfo) -> Mark:
    unit = WIDTH / (day.end - day.start)
    x = (each.started_ms / 1000 - day.start) * unit
    width = max(_NARROWEST, (each.ended_ms - each.started_ms) / 1000 * unit)
    x = min(x, WIDTH - _NARROWEST)
    test = each.mode == SELF_TEST
    start, end = each.started_ms // 1000, each.ended_ms // 1000
    title = f"{current().clock(start, tz)}–{current().clock(end, tz)} · {each.verdict} {words.title(each.verdict)}"
    if test:
        title += " · " + gettext("Self-test")
    return Mark(
        each.id, round(x, 1), round(min(width, WIDTH - x), 1), words.tone(each.verdict, each.outcome), test, title
    )
