"""What was measured, and the figures made from it. A meter comes as ``registry.service.get_meter`` returns it."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.errors import Refused
from central.metering.availability import DayAvailability, day_availability
from central.metering.calendars import calendar_in_force
from central.metering.consumption import MonthConsumption, month_consumption, month_range, months_back
from central.metering.models import Event, ProfileDay, ProfileSeries, ProfileVersion, RegisterSet, Snapshot
from central.metering.registers import RegisterCheck, RegisterReadingView, check_registers, decode_set
from central.metering.series import Series, SeriesError, stitch
from central.metering.snapshots import SnapshotView, decode_snapshot
from central.metering.stored import DAY, between, date_of, days, ever, number, series_of, stored_days
from central.registry.models import Gateway, Meter
from central.registry.service import MeterView
from central.store.pages import Page, bounded, place
from ext.billing import BillingError
from shared.intervals import day_range, intervals_in_day, local_date
from shared.intervals import zone as zone_of
from shared.quantities import ACTIVE_DELIVERED, ACTIVE_PROFILE, Process, Quantity


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A recorded channel of a meter: first and last local day held, and the newest step."""

    quantity: Quantity
    first: date
    last: date
    step: int


@dataclass(frozen=True, slots=True)
class EventView:
    """An event with its meter's and gateway's key, ``detail`` decoded."""

    id: int
    meter: str | None
    gateway: str | None
    kind: str
    at: int
    until: int | None
    detail: dict[str, Any]
    received_at: int


@dataclass(frozen=True, slots=True)
class DayTotal:
    """Billable sum of one local day, exact in the unit; ``held`` of ``count`` intervals have a value."""

    day: date
    value: Fraction
    held: int
    count: int
    flags: int


async def channels(session: AsyncSession, view: MeterView) -> Sequence[ChannelInfo]:
    """Channels of which something is held, in order of their code."""
    query = (
        days(ProfileSeries.channel, func.min(DAY), func.max(DAY), func.min(ProfileSeries.step), within=ever())
        .where(*series_of(view.meter.tenant_id, view.meter.id))
        .group_by(ProfileSeries.channel)
        .order_by(ProfileSeries.channel)
    )
    return [
        ChannelInfo(Quantity.from_code(code), date_of(first), date_of(last), step)
        for code, first, last, step in (await session.execute(query)).all()
    ]


async def profile(session: AsyncSession, view: MeterView, channel: Quantity, start: int, end: int) -> Series:
    """The load profile over the aligned range around [start, end), what is not held marked missing.

    Raises :class:`Refused` when the range is empty or too long for one answer.
    """
    if start >= end:
        raise Refused("start", "has to be before end")
    tz = zone_of(view.zone)
    first, last = local_date(max(0, start - 86400), tz), local_date(end, tz)
    blocks = await stored_days(session, between(first, last), *_series(view, channel))
    try:
        return stitch(channel, blocks, start, end, multiplier(view.meter))
    except SeriesError as error:
        raise Refused("range", str(error)) from error


async def day_totals(
    session: AsyncSession, view: MeterView, channel: Quantity, first: date, last: date
) -> Sequence[DayTotal]:
    """Sums of the local days ``first`` to ``last``, without unpacking a block; days without data are left out."""
    columns = DAY, ProfileSeries.step, ProfileSeries.num, ProfileSeries.den
    figures = ProfileDay.total, ProfileDay.held, ProfileDay.flags
    query = days(*columns, *figures, within=between(first, last)).where(*_series(view, channel)).order_by(DAY)
    ratio, tz = multiplier(view.meter), zone_of(view.zone)
    return [
        DayTotal(
            date_of(day), total * Fraction(num, den) * ratio, held, intervals_in_day(date_of(day), tz, step), flags
        )
        for day, step, num, den, total, held, flags in (await session.execute(query)).all()
    ]


async def consumption_by_post(
    session: AsyncSession,
    view: MeterView,
    *,
    months: int = 3,
    channel: Quantity = ACTIVE_PROFILE,
    now: int | None = None,
) -> Sequence[MonthConsumption]:
    """Energy and maximum demand (with its instant) by post for the last local months, oldest first."""
    if not 1 <= months <= 60:
        raise Refused("months", f"{months} is outside 1 to 60")
    at = int(time.time()) if now is None else now
    firsts = list(months_back(local_date(at, zone_of(view.zone)), months))
    series = await profile(session, view, channel, month_range(firsts[0], view.zone)[0], at + 1)
    calendar = await calendar_in_force(session, view.meter, view.zone)
    try:
        return [month_consumption(series, first, view.zone, calendar, at) for first in firsts]
    except BillingError as error:  # counts that no meter has
        raise Refused("channel", str(error)) from error


async def availability(
    session: AsyncSession,
    view: MeterView,
    year: int,
    month: int,
    *,
    channel: Quantity = ACTIVE_PROFILE,
    now: int | None = None,
) -> Sequence[DayAvailability]:
    """Each local day of a month: intervals held of those expected by now, and whether registers were read."""
    first = date(year, month, 1)
    start, end = month_range(first, view.zone)
    at = int(time.time()) if now is None else now
    tz = zone_of(view.zone)
    following = local_date(end, tz)
    columns = DAY, ProfileSeries.step, ProfileDay.held, ProfileDay.flags
    query = days(*columns, within=between(first, following - timedelta(days=1))).where(*_series(view, channel))
    held: dict[date, list[tuple[int, int, int]]] = {}
    for day, step, count, flags in (await session.execute(query)).all():
        held.setdefault(date_of(day), []).append((step, count, flags))
    reads = select(RegisterSet.at).where(*_of(view, RegisterSet), RegisterSet.at >= start, RegisterSet.at < end)
    read_days = {local_date(instant, tz) for instant in await session.scalars(reads)}
    steps = [step for parts in held.values() for step, _, _ in parts]
    return [
        day_availability(day, tz, held.get(day, []), day in read_days, max(steps, default=900), at)
        for day in (first + timedelta(days=n) for n in range((following - first).days))
        if day_range(day, tz).start < day_range(day, tz).end
    ]


async def last_snapshot(session: AsyncSession, view: MeterView) -> SnapshotView | None:
    """The newest instantaneous values; None when there are none."""
    query = select(Snapshot).where(*_of(view, Snapshot)).order_by(Snapshot.at.desc()).limit(1)
    row = await session.scalar(query)
    return None if row is None else decode_snapshot(row)


async def snapshots(
    session: AsyncSession, view: MeterView, start: int, end: int, limit: int = 2000
) -> Sequence[SnapshotView]:
    """Instantaneous values of [start, end), oldest first; of more than ``limit`` the newest."""
    query = select(Snapshot).where(*_of(view, Snapshot), Snapshot.at >= start, Snapshot.at < end)
    rows = (await session.scalars(query.order_by(Snapshot.at.desc()).limit(limit))).all()
    return [decode_snapshot(row) for row in reversed(rows)]


async def events(
    session: AsyncSession,
    tenant_id: int,
    *,
    meter_id: int | None = None,
    gateway_id: int | None = None,
    kind: str | None = None,
    start: int | None = None,
    end: int | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Page[EventView]:
    """Events, newest first; ``after`` is the ``next`` of the page before."""
    limit = bounded(limit)
    query = (
        select(Event, Meter.key, Gateway.key)
        .outerjoin(Meter, Meter.id == Event.meter_id)
        .outerjoin(Gateway, Gateway.id == Event.gateway_id)
        .where(Event.tenant_id == tenant_id)
    )
    # "+ 0": the index of the whole tenant has the order of "at, id", and would be walked through for one meter
    query = query.order_by(Event.at.desc(), (Event.id if meter_id is None else Event.id + 0).desc())
    for column, value in ((Event.meter_id, meter_id), (Event.gateway_id, gateway_id), (Event.kind, kind)):
        if value is not None:
            query = query.where(column == value)
    if start is not None:
        query = query.where(Event.at >= start)
    if end is not None:
        query = query.where(Event.at < end)
    if after is not None:
        at, row_id = place(after)
        query = query.where((Event.at < at) | ((Event.at == at) & (Event.id < row_id)))
    rows = (await session.execute(query.limit(limit + 1))).all()
    items = [
        EventView(e.id, meter, gateway, e.kind, e.at, e.until, msgspec.json.decode(e.detail), e.received_at)
        for e, meter, gateway in rows[:limit]
    ]
    return Page(items, f"{items[-1].at}-{items[-1].id}" if len(rows) > limit else None)


async def register_readings(
    session: AsyncSession,
    view: MeterView,
    *,
    start: int | None = None,
    end: int | None = None,
    period: int | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Page[RegisterReadingView]:
    """Register readings, newest first; ``period`` 0 running, 1 closed by a reset."""
    limit = bounded(limit)
    query = select(RegisterSet).where(*_of(view, RegisterSet))
    if start is not None:
        query = query.where(RegisterSet.at >= start)
    if end is not None:
        query = query.where(RegisterSet.at < end)
    if period is not None:
        query = query.where(RegisterSet.period == period)
    if after is not None:
        at, row_id = place(after)
        query = query.where((RegisterSet.at < at) | ((RegisterSet.at == at) & (RegisterSet.id < row_id)))
    rows = (await session.scalars(query.order_by(RegisterSet.at.desc(), RegisterSet.id.desc()).limit(limit + 1))).all()
    ratio = multiplier(view.meter)
    following = f"{rows[limit - 1].at}-{rows[limit - 1].id}" if len(rows) > limit else None
    return Page([decode_set(row, ratio) for row in rows[:limit]], following)


async def last_registers(session: AsyncSession, view: MeterView, period: int = 0) -> RegisterReadingView | None:
    """The newest register reading; None when there is none."""
    page = await register_readings(session, view, period=period, limit=1)
    return page.items[0] if page.items else None


async def register_check(
    session: AsyncSession, view: MeterView, start: int, end: int, quantity: Quantity = ACTIVE_DELIVERED
) -> RegisterCheck | None:
    """Compare the first and last running reading of [start, end) with the profile between; None without two."""
    query = select(RegisterSet).where(
        *_of(view, RegisterSet), RegisterSet.period == 0, RegisterSet.at >= start, RegisterSet.at < end
    )
    first = await session.scalar(query.order_by(RegisterSet.at, RegisterSet.id).limit(1))
    last = await session.scalar(query.order_by(RegisterSet.at.desc(), RegisterSet.id.desc()).limit(1))
    if first is None or last is None or first.at == last.at:
        return None
    series = await profile(session, view, quantity.with_process(Process.PROFILE), first.at, last.at)
    ratio = multiplier(view.meter)
    return check_registers(decode_set(first, ratio), decode_set(last, ratio), quantity, series)


async def versions(session: AsyncSession, view: MeterView, channel: Quantity, day: date) -> Sequence[ProfileVersion]:
    """Blocks of a local day that corrections replaced, newest first."""
    query = select(ProfileVersion).where(
        *_of(view, ProfileVersion), ProfileVersion.channel == channel.code, ProfileVersion.day == number(day)
    )
    return (await session.scalars(query.order_by(ProfileVersion.version.desc()))).all()


def multiplier(meter: Meter) -> Fraction:
    """Ratio of the transformers, where the meter's constant has it not."""
    return Fraction(meter.multiplier_num, meter.multiplier_den)


def _of(view: MeterView, table: Any) -> tuple[Any, Any]:
    return table.tenant_id == view.meter.tenant_id, table.meter_id == view.meter.id


def _series(view: MeterView, channel: Quantity) -> Iterator[ColumnElement[bool]]:
    return series_of(view.meter.tenant_id, view.meter.id, channel.code)
