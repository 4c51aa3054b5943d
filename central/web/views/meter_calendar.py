"""The calendar of a month on a meter's page: was it read, how much of its profile is there, when is it billed."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from babel.dates import get_day_names

from central.metering.availability import DayAvailability
from central.metering.calendar_month import CalendarMonth
from central.web.i18n import current, gettext
from central.web.views.availability import css


@dataclass(frozen=True, slots=True)
class DayCell:
    """One day. ``state`` read, missed, or "": nothing is expected; ``profile`` a colour class of shares, or ""."""

    number: int
    iso: str
    state: str
    profile: str
    title: str
    today: bool
    bill: bool

    @property
    def known(self) -> bool:
        return bool(self.state or self.profile)


@dataclass(frozen=True, slots=True)
class MonthGrid:
    """``days`` begins with None for the weekdays before the first; ``after`` is "" for the running month."""

    first: date
    before: str
    after: str
    weekdays: Sequence[str]
    days: Sequence[DayCell | None]
    month: CalendarMonth


def grid(month: CalendarMonth) -> MonthGrid:
    """Arrange a month in weeks from Monday on."""
    first, today = month.days[0].day, month.today
    names = get_day_names("abbreviated", "stand-alone", current().locale)
    return MonthGrid(
        first=first,
        before=(first - timedelta(days=1)).strftime("%Y-%m"),
        after=(first + timedelta(days=31)).strftime("%Y-%m")
        if (first.year, first.month) < (today.year, today.month)
        else "",
        weekdays=[names[number].rstrip(".") for number in calendar.Calendar().iterweekdays()],
        days=[*([None] * first.weekday()), *(_cell(month, day) for day in month.days)],
        month=month,
    )


def _cell(month: CalendarMonth, day: DayAvailability) -> DayCell:
    state = "read" if day.registers else "missed" if month.missed(day) else ""
    share = day.share if month.profile and month.since <= day.day <= month.today else None
    bill, today = day.day in month.bill_days, day.day == month.today
    said = [current().day(day.day, "full")]
    if state:
        said.append(gettext("registers read") if state == "read" else gettext("registers not read"))
    if share is not None:
        said.append(
            gettext("%(held)s of %(expected)s intervals held")
            % {"held": min(day.held, day.expected), "expected": day.expected}
        )
    if bill:
        said.append(gettext("billing date"))
    if today:
        said.append(gettext("today"))
    colour = css(share) if share is not None else ""
    return DayCell(day.day.day, day.day.isoformat(), state, colour, " · ".join(said), today, bill)
