"""The calendar of a month on a meter's page: was it read, how much of its profile is there, when is it billed."""

import calendar
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from babel.dates import get_day_names

from central.metering.availability import DayAvailability
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
class MonthCalendar:
    """``days`` begins with None for the weekdays before the first; ``after`` is "" for the running month.

    ``read`` of ``expected`` days have a register reading (today counts once it has one); ``share`` of the profile.
    """

    first: date
    before: str
    after: str
    weekdays: Sequence[str]
    days: Sequence[DayCell | None]
    read: int
    expected: int
    share: float | None
    bills: bool

    @property
    def availability(self) -> float | None:
        """Days with at least one register reading / days (dossier brazil-billing §9)."""
        return self.read / self.expected if self.expected else None


def month(
    days: Sequence[DayAvailability], today: date, since: date, bill_days: Collection[date], *, profile: bool
) -> MonthCalendar:
    """Arrange a month; nothing is expected before ``since``, and of a meter without ``profile`` no intervals."""
    first = days[0].day
    cells = [_cell(day, today, since, day.day in bill_days, profile=profile) for day in days]
    counted = [day for day in days if day.expected and day.day >= since]
    intervals = sum(day.expected * day.step for day in counted)
    expected = [cell for cell in cells if cell.state]
    names = get_day_names("abbreviated", "stand-alone", current().locale)
    return MonthCalendar(
        first=first,
        before=(first - timedelta(days=1)).strftime("%Y-%m"),
        after=(first + timedelta(days=31)).strftime("%Y-%m")
        if (first.year, first.month) < (today.year, today.month)
        else "",
        weekdays=[names[number].rstrip(".") for number in calendar.Calendar().iterweekdays()],
        days=[*([None] * first.weekday()), *cells],
        read=sum(cell.state == "read" for cell in expected),
        expected=len(expected),
        share=min(1.0, sum(day.held * day.step for day in counted) / intervals) if profile and intervals else None,
        bills=any(cell.bill for cell in cells),
    )


def _cell(day: DayAvailability, today: date, since: date, bill: bool, *, profile: bool) -> DayCell:
    begun = since <= day.day <= today
    state = "read" if day.registers else "missed" if begun and day.day < today else ""
    share = day.share if profile and begun else None
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
    if day.day == today:
        said.append(gettext("today"))
    return DayCell(
        day.day.day, day.day.isoformat(), state, css(share) if share is not None else "", " · ".join(said),
        day.day == today, bill,
    )  # fmt: skip
