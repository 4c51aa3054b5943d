"""Energy and maximum demand by post and month (pure). Intervals that may not be billed never count; they are told."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from central.metering.series import Series
from ext.demand import PostTotal, integrate, intervals_before_window
from shared.calendar import TariffCalendar
from shared.intervals import ceil, day_start
from shared.intervals import zone as zone_of
from shared.quality import NOT_BILLABLE

#: Demand is the mean over this many seconds; data of a longer step gives the mean over its step.
DEMAND_WINDOW = 900


@dataclass(frozen=True, slots=True)
class Demand:
    """A maximum: mean power over ``seconds`` from ``at``, exact in the demand unit (kW)."""

    value: Fraction
    at: int
    seconds: int


@dataclass(frozen=True, slots=True)
class PostConsumption:
    """One post of one month. ``raw`` counts x the month's scale = ``energy`` in its unit, exact."""

    post: int
    raw: int
    energy: Fraction
    intervals: int
    gaps: int  # of those that should be there by now: missing, overflow or unreconciled
    maximum: Demand | None


@dataclass(frozen=True, slots=True)
class MonthConsumption:
    """A local month up to now; ``posts`` has 0 (all together) and every post that occurs."""

    first: date
    start: int
    end: int
    posts: dict[int, PostConsumption]
    expected: int  # intervals by now
    unit: str
    demand_unit: str

    @property
    def complete(self) -> bool:
        return 0 in self.posts and self.posts[0].gaps == 0


def months_back(today: date, count: int) -> Iterator[date]:
    """First days of ``count`` months up to the one of ``today``, oldest first."""
    for back in range(count - 1, -1, -1):
        months = today.year * 12 + today.month - 1 - back
        yield date(months // 12, months % 12 + 1, 1)


def month_range(first: date, zone: str) -> tuple[int, int]:
    """[start, end) of the local month that begins on ``first``, UTC."""
    tz = zone_of(zone)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return day_start(first, tz), day_start(following, tz)


def month_consumption(series: Series, first: date, zone: str, calendar: TariffCalendar, now: int) -> MonthConsumption:
    """Integrate the part of ``series`` that lies in a local month and has ended by ``now``."""
    start, end = month_range(first, zone)
    part = series.part(start, max(start, min(end, ceil(now - series.step + 1, series.step))))
    count = len(part.values)
    window = max(1, DEMAND_WINDOW // part.step)
    totals = {}
    if count:
        values: Any = part.values
        flags: Any = part.flags
        posts_of = calendar.posts_for(part.start, part.step, count)
        before = intervals_before_window(part.start, part.step, window)
        totals = integrate(values, flags, posts_of, int(NOT_BILLABLE), window, before)
    scale = Fraction(series.num, series.den)
    posts = {post: _post(post, total, part, scale, window) for post, total in totals.items()}
    return MonthConsumption(first, start, end, posts, count, series.unit, series.quantity.with_process(6).unit)


def _post(post: int, total: PostTotal, part: Series, scale: Fraction, window: int) -> PostConsumption:
    maximum = None
    if total.maximum is not None and total.maximum_at is not None:
        seconds = window * part.step
        value = total.maximum * scale * 3600 / seconds
        maximum = Demand(value, part.start + total.maximum_at * part.step, seconds)
    return PostConsumption(post, total.energy, total.energy * scale, total.intervals, total.gaps, maximum)
