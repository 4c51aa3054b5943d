"""Availability on screen: colour classes, the strip of the last days, the calendar of a month."""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import get_day_names

from central.metering.availability import DayAvailability
from central.web.i18n import current, gettext
from shared.intervals import day_range

STRIP_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Cell:
    """One day: its colour class, what the tooltip says, and for a calendar how it is reached."""

    css: str
    title: str
    number: int = 0
    iso: str = ""
    known: bool = False
    today: bool = False


@dataclass(frozen=True, slots=True)
class MonthCalendar:
    """``days`` begins with None for the weekdays before the first; ``after`` is "" for the running month."""

    first: date
    before: str
    after: str
    weekdays: Sequence[str]
    days: Sequence[Cell | None]
    share: float | None


def css(share: float | None) -> str:
    """Colour class of a share held: a4 all, a3 from 95 %, a2 from half, a1 something, a0 nothing; an: none told."""
    if share is None:
        return "an"
    for name, limit in (("a4", 1.0), ("a3", 0.95), ("a2", 0.5)):
        if share >= limit:
            return name
    return "a1" if share > 0 else "a0"


def strip(held: Mapping[date, int], today: date, since: date | None, tz: ZoneInfo, now: int) -> list[Cell]:
    """Cells of the last days, today last; days before ``since`` are blank, today counts up to the last full hour."""
    cells = []
    for day in (today - timedelta(days=n) for n in range(STRIP_DAYS - 1, -1, -1)):
        start, end = day_range(day, tz)
        length = min(end, now // 3600 * 3600) - start
        expected = since is not None and day >= since and length > 0
        share = min(1.0, held.get(day, 0) / length) if expected else None
        cells.append(Cell(css(share), f"{current().day(day)}: {current().percent(share)}"))
    return cells


def month(days: Sequence[DayAvailability], today: date, since: date | None) -> MonthCalendar:
    """The calendar of one month; days before ``since`` (first day of the meter) are blank."""
    first = days[0].day
    cells: list[Cell | None] = [None] * first.weekday()
    cells += [_cell(day, today, since) for day in days]
    counted = [day for day in days if day.expected and (since is None or day.day >= since)]
    expected = sum(day.expected * day.step for day in counted)
    names = get_day_names("abbreviated", "stand-alone", current().locale)
    return MonthCalendar(
        first=first,
        before=(first - timedelta(days=1)).strftime("%Y-%m"),
        after=(first + timedelta(days=31)).strftime("%Y-%m")
        if (first.year, first.month) < (today.year, today.month)
        else "",
        weekdays=[names[number].rstrip(".") for number in calendar.Calendar().iterweekdays()],
        days=cells,
        share=min(1.0, sum(day.held * day.step for day in counted) / expected) if expected else None,
    )


def _cell(day: DayAvailability, today: date, since: date | None) -> Cell:
    share = None if since is not None and day.day < since else day.share
    title = current().day(day.day, "full")
    if share is not None:
        title += ": " + gettext("%(held)s of %(expected)s intervals held") % {
            "held": min(day.held, day.expected), "expected": day.expected,
        }  # fmt: skip
    if day.registers:
        title += " · " + gettext("registers read")
    return Cell(css(share), title, day.day.day, day.day.isoformat(), share is not None, day.day == today)
