"""A month day by day: share of meters read, as a strip and as a calendar."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from babel.dates import get_day_names

from central.metering.months import DayCount
from central.web.i18n import current, ngettext
from central.web.views.availability import css


@dataclass(frozen=True, slots=True)
class Day:
    """One day: its colour class, its share as a word, what the tooltip says."""

    day: date
    css: str
    share: str
    title: str
    today: bool


def month_days(days: Sequence[DayCount], today: date) -> list[Day]:
    """Draw the days; those that have not come yet are blank."""
    return [_day(each, today) for each in days]


def month_grid(days: Sequence[Day]) -> tuple[list[str], list[Day | None]]:
    """Names of the weekdays, and the days behind as many blanks as the month begins after Monday."""
    names = get_day_names("abbreviated", "stand-alone", current().locale)
    weekdays = [names[number].rstrip(".") for number in calendar.Calendar().iterweekdays()]
    return weekdays, [None] * days[0].day.weekday() + list(days)


def _day(each: DayCount, today: date) -> Day:
    title = current().day(each.day, "full")
    if each.day > today or each.share is None:
        return Day(each.day, "an", "", title, each.day == today)
    words = ngettext("%(read)s of %(num)s meter read", "%(read)s of %(num)s meters read", each.expected) % {
        "read": current().number(each.read), "num": current().number(each.expected),
    }  # fmt: skip
    return Day(each.day, css(each.share), current().percent(each.share), f"{title}: {words}", each.day == today)
