"""Energy and maximum demand by post and month (pure). Intervals that may not be billed never count; they are told."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from central.metering.series import Series
from ext.billing import SlotTotal, bill_series
from ext.series import load_factor
from shared.calendar import TariffCalendar
from shared.intervals import ceil, day_start
from shared.intervals import zone as zone_of
from shared.quality import NOT_BILLABLE
from shared.quantities import Post
from shared.slots import SLOTS_PER_MONTH, lookup_for

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
    """One post of one month. ``raw`` counts x the month's scale = ``energy`` in its unit, exact.

    ``load_factor`` is mean demand of the intervals that counted / ``maximum`` (dossier brazil-billing §7), exact.
    """

    post: int
    raw: int
    energy: Fraction
    intervals: int
    gaps: int  # of those that should be there by now: missing, overflow or unreconciled
    maximum: Demand | None
    load_factor: Fraction | None = None


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
    found, count = range_consumption(series, start, end, calendar, now)
    return MonthConsumption(first, start, end, found, count, series.unit, series.quantity.with_process(6).unit)


def range_consumption(
    series: Series, start: int, end: int, calendar: TariffCalendar, now: int
) -> tuple[dict[int, PostConsumption], int]:
    """Integrate the part of ``series`` in [start, end) that has ended by ``now``: by post, and how many intervals."""
    part = series.part(start, max(start, min(end, ceil(now - series.step + 1, series.step))))
    count = len(part.values)
    window = max(1, DEMAND_WINDOW // part.step)
    rows: list[SlotTotal] = []
    if count:
        values: Any = part.values
        flags: Any = part.flags
        lookup = lookup_for(calendar, part.step, part.start, part.end)
        rows = list(bill_series(values, flags, part.start, lookup, int(NOT_BILLABLE), window).rows())
    posts: dict[int, list[SlotTotal]] = {Post.TOTAL: rows} if rows else {}
    for row in rows:  # of several months where a period or the calendar's zone has parts of them
        posts.setdefault(row.slot % SLOTS_PER_MONTH, []).append(row)
    return {post: _post(post, mine, part, window * part.step) for post, mine in posts.items()}, count


def _post(post: int, rows: list[SlotTotal], part: Series, seconds: int) -> PostConsumption:
    scale = Fraction(part.num, part.den)
    raw = sum(row.energy for row in rows)
    intervals, gaps = sum(row.intervals for row in rows), sum(row.gaps for row in rows)
    tops = [(row.maximum, -row.maximum_at) for row in rows if row.maximum is not None and row.maximum_at is not None]
    maximum = factor = None
    if tops:
        value, at = max(tops)  # of equals the earliest
        maximum = Demand(value * scale * 3600 / seconds, -at, seconds)
        factor = load_factor(raw, intervals, value, seconds // part.step)
    return PostConsumption(post, raw, raw * scale, intervals, gaps, maximum, factor)
