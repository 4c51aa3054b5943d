"""The days a report is about (pure). Days are local to each meter; a period counts up to the day that has begun."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from central.errors import Refused
from central.reports.parameters import Filters
from shared.intervals import Range, day_start
from shared.intervals import zone as zone_of

#: How a report's days are said: a month or from-to, one day, a month.
Form = Literal["period", "day", "month"]
_EARLIEST: Final = date(1971, 1, 1)
_LATEST: Final = date(2149, 6, 5)


@dataclass(frozen=True, slots=True)
class Period:
    """The local days ``first`` to ``last``, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range(self.days))

    def span(self, zone: str) -> Range:
        """[start, end) in UTC seconds for a zone."""
        tz = zone_of(zone)
        return Range(day_start(self.first, tz), day_start(self.last + timedelta(days=1), tz))

    def until(self, today: date) -> "Period":
        """The part that has begun by ``today``; of a period to come its first day."""
        return Period(self.first, max(self.first, min(self.last, today)))


def month_number(day: date) -> int:
    """Year x 12 + month - 1, as ``MeterMonth`` and ``LotDate`` count months."""
    return day.year * 12 + day.month - 1


def month_of(number: int) -> Period:
    """The days of a month of that number."""
    first, following = divmod(number, 12), divmod(number + 1, 12)
    return Period(date(first[0], first[1] + 1, 1), date(following[0], following[1] + 1, 1) - timedelta(days=1))


def resolve(filters: Filters, form: Form, today: date, longest: int) -> Period:
    """The period asked for; without a word the running month, or today. A date is that one day, or its month.

    Raises :class:`Refused`.
    """
    if filters.month and (filters.first or filters.last):
        raise Refused("month", "a month and from/to exclude each other")
    if filters.date and (filters.month or filters.first or filters.last):
        raise Refused("date", "a date and a month or from/to exclude each other")
    if form == "day" or filters.date:
        day = _day(filters.date, "date") if filters.date else today
        return month_of(month_number(day)) if form == "month" else Period(day, day)
    if filters.first or filters.last:
        last = _day(filters.last, "to") if filters.last else today
        first = _day(filters.first, "from") if filters.first else last.replace(day=1)
        if first > last:
            raise Refused("from", f"{first} is after 'to' {last}")
        period = Period(first, last)
    else:
        period = month_of(month_number(_day(f"{filters.month}-01", "month") if filters.month else today))
    if period.days > longest:
        raise Refused("from", f"{period.days} days are over this report's limit of {longest}")
    return period


def _day(text: str, name: str) -> date:
    try:
        if len(text) != 10:
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        example = "2026-06" if name == "month" else "2026-06-15"
        raise Refused(name, f"{text[:32].removesuffix('-01')!r} is no {name}: write {example}") from None
    if not _EARLIEST <= day <= _LATEST:
        raise Refused(name, f"{day} is outside {_EARLIEST} to {_LATEST}")
    return day
