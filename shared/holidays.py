"""Holidays: fixed, movable with Easter, and single dates, in named groups."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated

from msgspec import Meta, Struct

Year = Annotated[int, Meta(ge=1583, le=9999)]  # Gregorian calendar


class HolidayError(ValueError):
    """A holiday that never comes."""


class Annual(Struct, frozen=True, forbid_unknown_fields=True, tag="annual"):
    """The same day every year, from ``since`` to ``until`` where given (both inclusive)."""

    label: str
    month: Annotated[int, Meta(ge=1, le=12)]
    day: Annotated[int, Meta(ge=1, le=31)]
    since: Year | None = None
    until: Year | None = None

    def __post_init__(self) -> None:
        try:
            date(2000, self.month, self.day)
        except ValueError:
            raise HolidayError(f"holiday {self.label!r}: month {self.month} has no day {self.day}") from None


class Movable(Struct, frozen=True, forbid_unknown_fields=True, tag="movable"):
    """``offset`` days after Easter Sunday (negative: before)."""

    label: str
    offset: Annotated[int, Meta(ge=-80, le=250)]
    since: Year | None = None
    until: Year | None = None


class Single(Struct, frozen=True, forbid_unknown_fields=True, tag="single"):
    """One date, as a meter's own holiday list has them."""

    label: str
    on: date


Holiday = Annual | Movable | Single


class HolidayGroup(Struct, frozen=True, forbid_unknown_fields=True):
    """A named set of holidays. ``plan``: day plan for them; empty = the calendar's holiday plan."""

    holidays: list[Holiday]
    plan: str = ""

    def on(self, day: date) -> Holiday | None:
        """Return the holiday that falls on ``day``."""
        return _by_date(self, day.year).get(day)


def easter(year: int) -> date:
    """Return Easter Sunday of a Gregorian year (anonymous algorithm, Nature 1876)."""
    if not 1583 <= year <= 9999:
        raise HolidayError(f"Easter of the year {year} is not known: 1583 to 9999")
    golden = year % 19
    century, rest = divmod(year, 100)
    leap_centuries, leap_rest = divmod(century, 4)
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - moon_shift + 15) % 30
    weekday = (32 + 2 * leap_rest + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _falls(holiday: Holiday, year: int) -> date | None:
    if isinstance(holiday, Single):
        return holiday.on if holiday.on.year == year else None
    if (holiday.since and year < holiday.since) or (holiday.until and year > holiday.until):
        return None
    if isinstance(holiday, Movable):
        return easter(year) + timedelta(days=holiday.offset)
    try:
        return date(year, holiday.month, holiday.day)
    except ValueError:  # 29 February
        return None


def in_year(group: HolidayGroup, year: int) -> Iterator[tuple[date, Holiday]]:
    """Yield (date, holiday) of one year in calendar order."""
    yield from sorted(_by_date(group, year).items())


def _by_date(group: HolidayGroup, year: int) -> dict[date, Holiday]:
    return _cached(tuple(group.holidays), year)


@lru_cache(maxsize=256)
def _cached(holidays: tuple[Holiday, ...], year: int) -> dict[date, Holiday]:
    found: dict[date, Holiday] = {}
    for holiday in holidays:
        day = _falls(holiday, year)
        if day is not None:
            found.setdefault(day, holiday)
    return found


def brazil(consciousness_since: int | None = 2024) -> HolidayGroup:
    """Days without peak in Brazil (dossier brazil-billing §2).

    20 November became a national holiday by law from 2024; whether the tariff rules' own list was amended is not
    established, so its first year can be given, or None for never.
    """
    holidays: list[Holiday] = [
        Annual("New Year", 1, 1),
        Movable("Carnival Tuesday", -47),
        Movable("Good Friday", -2),
        Annual("Tiradentes", 4, 21),
        Annual("Labour Day", 5, 1),
        Movable("Corpus Christi", 60),
        Annual("Independence", 9, 7),
        Annual("Our Lady of Aparecida", 10, 12),
        Annual("All Souls", 11, 2),
        Annual("Republic", 11, 15),
        Annual("Christmas", 12, 25),
    ]
    if consciousness_since is not None:
        holidays.append(Annual("Black Consciousness", 11, 20, since=consciousness_since))
    return HolidayGroup(holidays)
