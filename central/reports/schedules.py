"""Reports made regularly: when the next one is due, which days it is about, and who has which."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.accounts.principal import Principal
from central.audit.service import record
from central.errors import Conflict, NotFound, Refused
from central.reports.catalogue import report_of
from central.reports.jobs import Order, Wanted, check, decode, encode
from central.reports.models import ReportJob, ReportSchedule
from central.reports.parameters import Filters
from central.reports.periods import Form
from central.reports.table import Scope
from central.store.engine import Database
from shared.intervals import local_date
from shared.intervals import zone as zone_of

Cadence = Literal["daily", "weekly", "monthly"]
CADENCES: Final[tuple[Cadence, ...]] = ("daily", "weekly", "monthly")
#: Regular reports of one person.
MOST: Final = 50


class When(msgspec.Struct, frozen=True):
    """``day``: of the week (0 Monday) or of the month (1..31, at most its last); ``hour`` is local."""

    cadence: Cadence
    day: int
    hour: int


def check_when(when: When) -> None:
    """Raise :class:`Refused` for a time that does not come."""
    if when.cadence not in CADENCES:
        raise Refused("cadence", f"{when.cadence[:16]!r} is not one of {', '.join(CADENCES)}")
    low, high = {"daily": (0, 0), "weekly": (0, 6), "monthly": (1, 31)}[when.cadence]
    if when.cadence != "daily" and not low <= when.day <= high:
        raise Refused("day", f"{when.day} is outside {low} to {high}")
    if not 0 <= when.hour <= 23:
        raise Refused("hour", f"{when.hour} is outside 0 to 23")


def next_at(when: When, zone: str, after: int) -> int:
    """The first instant after ``after`` at which it is due (pure). An hour that is skipped comes with the clock."""
    tz = zone_of(zone)
    day = local_date(after, tz)
    while True:
        at = int(datetime(day.year, day.month, day.day, when.hour, tzinfo=tz).timestamp())
        if at > after and _is_due(when, day):
            return at
        day += timedelta(days=1)


def _is_due(when: When, day: date) -> bool:
    if when.cadence == "weekly":
        return day.weekday() == when.day
    if when.cadence == "monthly":
        last = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        return day.day == min(when.day, last.day)
    return True


def moved(filters: Filters, form: Form, cadence: Cadence, run_on: date) -> Filters:
    """The filters for a run: the day, the seven days or the month before (pure)."""
    last = run_on - timedelta(days=1)
    plain = filters.replaced(month="", first="", last="", date="")
    if cadence == "monthly":
        last = run_on.replace(day=1) - timedelta(days=1)
    if form == "day":
        return plain.replaced(date=last.isoformat())
    if form == "month" or cadence == "monthly":
        return plain.replaced(month=last.isoformat()[:7])
    first = last - timedelta(days=6 if cadence == "weekly" else 0)
    return plain.replaced(first=first.isoformat(), last=last.isoformat())


async def enter(
    session: AsyncSession, principal: Principal, scope: Scope, key: str, wanted: Wanted, order: Order, when: When
) -> ReportSchedule:
    """Enter a regular report; raises :class:`Refused`, :class:`NotFound`, :class:`Conflict`."""
    check_when(when)
    if not order.title.strip():
        raise Refused("name", "it needs a name")
    await check(session, scope, key, wanted, order)
    held = select(func.count()).where(ReportSchedule.user_id == principal.user_id)
    if (await session.scalar(held) or 0) >= MOST:
        raise Conflict(f"You have {MOST} regular reports already; remove some.")
    row = ReportSchedule(
        tenant_id=principal.tenant_id, user_id=principal.user_id, name=order.title.strip()[:200], report=key,
        format=order.form, language=order.language, parameters=encode(wanted), recipients=" ".join(order.recipients),
        cadence=when.cadence, day=when.day, hour=when.hour, enabled=True,
        next_at=next_at(when, scope.zone, scope.now), created_at=scope.now,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    record(
        session, principal, "created", "report_schedule", row.name, object_id=row.id,
        after={"report": key, "cadence": when.cadence, "recipients": row.recipients},
    )  # fmt: skip
    return row


async def find(session: AsyncSession, principal: Principal) -> Sequence[ReportSchedule]:
    """A person's regular reports, oldest first."""
    query = select(ReportSchedule).where(
        ReportSchedule.tenant_id == principal.tenant_id, ReportSchedule.user_id == principal.user_id
    )
    return (await session.scalars(query.order_by(ReportSchedule.id))).all()


async def get(session: AsyncSession, principal: Principal, schedule_id: int) -> ReportSchedule:
    """One of a person's regular reports; raises :class:`NotFound`."""
    row = await session.get(ReportSchedule, schedule_id)
    if row is None or (row.tenant_id, row.user_id) != (principal.tenant_id, principal.user_id):
        raise NotFound("regular report", schedule_id)
    return row


async def switch(
    session: AsyncSession, principal: Principal, schedule_id: int, enabled: bool, scope: Scope
) -> ReportSchedule:
    """Pause a regular report, or take it up again from its next time on."""
    row = await get(session, principal, schedule_id)
    record(
        session, principal, "changed", "report_schedule", row.name, object_id=row.id,
        before={"enabled": row.enabled}, after={"enabled": enabled},
    )  # fmt: skip
    row.enabled = enabled
    if enabled:
        row.next_at = next_at(_when(row), scope.zone, scope.now)
    await session.flush()
    return row


async def remove(session: AsyncSession, principal: Principal, schedule_id: int) -> None:
    """Remove a regular report; what it made stays."""
    row = await get(session, principal, schedule_id)
    record(
        session, principal, "deleted", "report_schedule", row.name, object_id=row.id, before={"report": row.report}
    )  # fmt: skip
    await session.delete(row)
    await session.flush()


async def queue_due(database: Database, now: int) -> int:
    """Queue what is due, each once however late; returns how many."""
    query = select(ReportSchedule, Tenant.zone).join(Tenant, Tenant.id == ReportSchedule.tenant_id)
    async with database.read() as session:
        due = (
            await session.execute(query.where(ReportSchedule.enabled.is_(True), ReportSchedule.next_at <= now))
        ).all()
    queued = 0
    for row, zone in due:
        async with database.write() as session:
            claimed: Any = await session.execute(
                update(ReportSchedule)
                .where(ReportSchedule.id == row.id, ReportSchedule.next_at == row.next_at, ReportSchedule.enabled)
                .values(next_at=next_at(_when(row), zone, now))
            )
            if claimed.rowcount:
                session.add(_job(row, zone, now))
                queued += 1
    return queued


def _job(row: ReportSchedule, zone: str, now: int) -> ReportJob:
    wanted = decode(row.parameters)
    run_on = local_date(row.next_at, zone_of(zone))
    filters = moved(wanted.filters, report_of(row.report).form, _when(row).cadence, run_on)
    return ReportJob(
        tenant_id=row.tenant_id, user_id=row.user_id, schedule_id=row.id, report=row.report, title=row.name,
        format=row.format, language=row.language, recipients=row.recipients, state="queued", created_at=now,
        parameters=encode(Wanted(filters, wanted.columns, wanted.sort)),
    )  # fmt: skip


def _when(row: ReportSchedule) -> When:
    return When(msgspec.convert(row.cadence, Cadence), row.day, row.hour)
