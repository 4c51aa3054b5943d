"""Days and weeks: what was expected of the CCEE at each meter, what was seen, and how often it succeeded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.ccee.days import MeterDay, Span, judge_day, span, window
from central.ccee.expectation import heard, is_expected
from central.ccee.models import CceeConnection, CceeMeter
from central.ccee.verdicts import SELF_TEST
from central.errors import Refused
from central.registry.models import Gateway, Installation, Meter, MeteringPoint
from central.registry.service import MeterView
from central.settings import CceeSettings
from central.store.lists import is_one_of
from central.store.pages import Page, bounded
from shared.intervals import day_range, day_start, local_date
from shared.intervals import zone as zone_of

#: Longest list of days and of weeks.
MAX_DAYS: Final = 366
MAX_WEEKS: Final = 104
#: No local day begins or ends further from its UTC date, s.
_OFFSET: Final = 15 * 3600


@dataclass(frozen=True, slots=True)
class BoardLine:
    """A meter on the board of a day, with its names."""

    meter: str
    meter_name: str
    point: str
    gateway: str
    zone: str
    day: MeterDay


@dataclass(slots=True)
class Week:
    """Sessions of the CCEE (self-tests apart) begun in the week of Monday ``first``; ``verdicts``: how often each."""

    first: date
    ok: int = 0
    failed: int = 0
    unclear: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """Share of good ones among those that could be judged, 0..1; None without any."""
        judged = self.ok + self.failed
        return self.ok / judged if judged else None

    def count(self, code: str, outcome: str, number: int) -> None:
        """Add sessions."""
        self.verdicts[code] = self.verdicts.get(code, 0) + number
        setattr(self, outcome, getattr(self, outcome) + number)


@dataclass(frozen=True, slots=True)
class MeterWeek:
    """A week of one meter."""

    meter: str
    meter_name: str
    week: Week


async def board(
    session: AsyncSession,
    tenant_id: int,
    day: date,
    settings: CceeSettings,
    now: int,
    *,
    after: str | None = None,
    limit: int = 50,
) -> Page[BoardLine]:
    """A local day of every meter at which the CCEE is expected or was seen, in order of the meter's key."""
    limit = bounded(limit)
    low, high = _around(day, day)
    seen = (
        select(CceeConnection.id)
        .where(CceeConnection.meter_id == Meter.id, CceeConnection.started_ms >= low, CceeConnection.started_ms < high)
        .exists()
    )
    by_forward = CceeMeter.expected.is_(None) & CceeMeter.forward_since.is_not(None)
    query = (
        select(Meter, CceeMeter, Gateway.key, Tenant.zone)
        .join(Tenant, Tenant.id == Meter.tenant_id)
        .outerjoin(CceeMeter, CceeMeter.meter_id == Meter.id)
        .outerjoin(Gateway, Gateway.id == Meter.gateway_id)
        .where(Meter.tenant_id == tenant_id, or_(CceeMeter.expected.is_(True), by_forward, seen))
        .order_by(Meter.key)
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(Meter.key > after)
    rows = (await session.execute(query)).all()
    ids = [row[0].id for row in rows[:limit]]
    spans = await _spans(session, tenant_id, ids, low, high)
    points = await _points(session, ids)
    told = await heard(session, tenant_id, now)
    lines: list[BoardLine] = []
    for meter, known, gateway, zone in rows[:limit]:
        tz = zone_of(meter.zone or zone)
        begun = [each for each in spans.get(meter.id, []) if local_date(each.started_ms // 1000, tz) == day]
        judged = judge_day(
            day, tz, settings, begun, expected=is_expected(known, window(day, tz, settings)[0]),
            heard=told.get(meter.gateway_id or 0, 0), now=now,
        )  # fmt: skip
        name = meter.name or meter.serial
        lines.append(BoardLine(meter.key, name, points.get(meter.id, ""), gateway or "", meter.zone or zone, judged))
    return Page(lines, lines[-1].meter if len(rows) > limit else None)


async def meter_days(
    session: AsyncSession, view: MeterView, first: date, last: date, settings: CceeSettings, now: int
) -> Sequence[MeterDay]:
    """The local days ``first`` to ``last`` of one meter, oldest first; raises :class:`Refused` for too many."""
    if not 0 <= (last - first).days < MAX_DAYS:
        raise Refused("from", f"{first} to {last} are not 1 to {MAX_DAYS} days")
    meter, tz = view.meter, zone_of(view.zone)
    spans = (await _spans(session, meter.tenant_id, [meter.id], *_around(first, last))).get(meter.id, [])
    begun: dict[date, list[Span]] = {}
    for each in spans:
        begun.setdefault(local_date(each.started_ms // 1000, tz), []).append(each)
    known = await session.get(CceeMeter, meter.id)
    told = (await heard(session, meter.tenant_id, now)).get(meter.gateway_id or 0, 0)
    return [
        judge_day(
            day, tz, settings, begun.get(day, []), expected=is_expected(known, window(day, tz, settings)[0]),
            heard=told, now=now,
        )
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1))
    ]  # fmt: skip


async def weeks(
    session: AsyncSession, tenant_id: int, zone: str, last: date, count: int, meter_id: int | None = None
) -> Sequence[Week]:
    """The week of the local day ``last`` and those before it, oldest first: of all meters, or of one."""
    if not 1 <= count <= MAX_WEEKS:
        raise Refused("weeks", f"{count} is outside 1 to {MAX_WEEKS}")
    found = []
    for first in (monday(last) - timedelta(weeks=n) for n in reversed(range(count))):
        week = Week(first)
        query = _counts(tenant_id, zone, first)
        if meter_id is not None:
            query = query.where(CceeConnection.meter_id == meter_id)
        for code, outcome, number in (await session.execute(query)).all():
            week.count(code, outcome, number)
        found.append(week)
    return found


async def weeks_by_meter(
    session: AsyncSession, tenant_id: int, zone: str, day: date, *, after: str | None = None, limit: int = 50
) -> Page[MeterWeek]:
    """The week of a local day of every meter that had sessions in it, in order of the meter's key."""
    limit, first = bounded(limit), monday(day)
    low, high = _week(zone, first)
    seen = select(CceeConnection.id).where(
        CceeConnection.meter_id == Meter.id, CceeConnection.mode != SELF_TEST, CceeConnection.started_ms >= low,
        CceeConnection.started_ms < high,
    )  # fmt: skip
    meters = select(Meter.id, Meter.key, Meter.name, Meter.serial).where(Meter.tenant_id == tenant_id, seen.exists())
    if after is not None:
        meters = meters.where(Meter.key > after)
    rows = (await session.execute(meters.order_by(Meter.key).limit(limit + 1))).all()
    found = {row[0]: MeterWeek(row[1], row[2] or row[3], Week(first)) for row in rows[:limit]}
    query = _counts(tenant_id, zone, first, CceeConnection.meter_id)
    query = query.where(is_one_of(session, CceeConnection.meter_id, list(found)))
    for meter_id, code, outcome, number in (await session.execute(query)).all():
        found[meter_id].week.count(code, outcome, number)
    lines = list(found.values())
    return Page(lines, lines[-1].meter if len(rows) > limit else None)


def monday(day: date) -> date:
    """The first day of a date's week."""
    return day - timedelta(days=day.weekday())


def days_before(day: date, count: int) -> date:
    """The date so many days before another; the first there is at the least."""
    return date.fromordinal(max(1, day.toordinal() - count))


def _counts(tenant_id: int, zone: str, first: date, *by: Any) -> Any:
    low, high = _week(zone, first)
    each = CceeConnection
    columns = (*by, each.verdict, each.outcome)
    return (
        select(*columns, func.count())
        .where(
            each.tenant_id == tenant_id, each.started_ms >= low, each.started_ms < high, each.mode != SELF_TEST
        )
        .group_by(*columns)
    )  # fmt: skip


def _week(zone: str, first: date) -> tuple[int, int]:
    """A local week in UTC milliseconds."""
    tz = zone_of(zone)
    return day_start(first, tz) * 1000, day_start(first + timedelta(days=7), tz) * 1000


def _around(first: date, last: date) -> tuple[int, int]:
    """Milliseconds that hold these local days in every zone."""
    utc = zone_of("UTC")
    return (day_range(first, utc).start - _OFFSET) * 1000, (day_range(last, utc).end + _OFFSET) * 1000


async def _spans(
    session: AsyncSession, tenant_id: int, meter_ids: Iterable[int], low: int, high: int
) -> dict[int, list[Span]]:
    each = CceeConnection
    query = select(
        each.meter_id, each.id, each.started_ms, each.ended_ms, each.mode, each.verdict, each.outcome,
        each.range_start, each.range_end, each.delivered_end,
    ).where(
        each.tenant_id == tenant_id, each.started_ms >= low, each.started_ms < high,
        is_one_of(session, each.meter_id, list(meter_ids)),
    )  # fmt: skip
    found: dict[int, list[Span]] = {}
    for meter_id, *rest in (await session.execute(query.order_by(each.started_ms, each.id))).all():
        found.setdefault(meter_id, []).append(span(*rest))
    return found


async def _points(session: AsyncSession, meter_ids: Sequence[int]) -> dict[int, str]:
    query = (
        select(Installation.meter_id, MeteringPoint.key)
        .join(MeteringPoint, MeteringPoint.id == Installation.point_id)
        .where(is_one_of(session, Installation.meter_id, meter_ids), Installation.ends_at.is_(None))
    )
    return {row[0]: row[1] for row in (await session.execute(query)).all()}
