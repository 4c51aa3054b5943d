"""What the clock has to say of the CCEE: which meters have a forward, and where nobody came in the window (I01)."""

import asyncio
import contextlib
import time
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.alarms.models import Alarm
from central.alarms.service import Condition, raise_once
from central.ccee.days import due, window
from central.ccee.expectation import heard, is_expected, note_forwards
from central.ccee.models import CceeConnection, CceeMeter
from central.ccee.verdicts import NO_CONNECTION, SELF_TEST, SOURCE, Outcome, verdict
from central.registry.models import Meter
from central.settings import CceeSettings
from central.store.chunks import chunks
from central.store.engine import Database
from central.store.faults import is_passing, reason_of
from shared.intervals import local_date
from shared.intervals import zone as zone_of

log = structlog.get_logger("metergate.ccee")

EVERY: Final = 60.0
#: Windows of so many days back are looked at again: a gateway may not have told everything before.
LOOK_BACK: Final = 3
_CHUNK: Final = 200


async def watch(database: Database, settings: CceeSettings, stop: asyncio.Event) -> None:
    """Look every minute until ``stop`` is set."""
    while not stop.is_set():
        try:
            raised = await look(database, settings, int(time.time()))
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("the CCEE's windows wait: the database is out of reach", error=reason_of(error))
        else:
            if raised:
                log.warning("no connection of the CCEE in its window", meters=raised)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY)


async def look(database: Database, settings: CceeSettings, now: int) -> int:
    """Note forwards, raise I01 where a window has passed without a session; returns how many alarms are new."""
    async with database.write() as session:
        await note_forwards(session, now)
    async with database.read() as session:
        late = await _late(session, settings, now)
    raised = 0
    for some in chunks(sorted(late), _CHUNK):
        async with database.write() as session:
            for meter_id, tenant_id, start, end in some:
                raised += await _raise(session, tenant_id, meter_id, start, end, now)
    return raised


async def _late(session: AsyncSession, settings: CceeSettings, now: int) -> set[tuple[int, int, int, int]]:
    """(meter, tenant, start, end) of the last window of each meter that has passed without a session being known."""
    query = select(CceeMeter, Meter.zone, Tenant.zone, Meter.gateway_id)
    query = query.join(Meter, Meter.id == CceeMeter.meter_id).join(Tenant, Tenant.id == CceeMeter.tenant_id)
    rows = (await session.execute(query)).all()
    told: dict[int, int] = {}
    for tenant_id in {row[0].tenant_id for row in rows}:
        told |= await heard(session, tenant_id, now)
    last = await _last_sessions(session, now)
    raised = select(Alarm.meter_id).where(Alarm.source == SOURCE, Alarm.code == NO_CONNECTION, Alarm.state != "closed")
    known_already = set(await session.scalars(raised))
    found = set()
    for known, zone, tenant_zone, gateway_id in rows:
        tz = zone_of(zone or tenant_zone)
        today = local_date(now, tz)
        for day in (today - timedelta(days=n) for n in range(LOOK_BACK + 1)):
            start, end = window(day, tz, settings)
            limit = due(end, settings)
            if limit > now or limit > told.get(gateway_id or 0, 0):
                continue
            if (
                known.meter_id not in known_already
                and is_expected(known, start)
                and last.get(known.meter_id, 0) < start * 1000
            ):
                found.add((known.meter_id, known.tenant_id, start, end))
            break
    return found


async def _last_sessions(session: AsyncSession, now: int) -> dict[int, int]:
    """When (ms) the CCEE last came to each meter, as far as it matters here."""
    since = (now - (LOOK_BACK + 2) * 86400) * 1000
    query = (
        select(CceeConnection.meter_id, func.max(CceeConnection.started_ms))
        .where(CceeConnection.started_ms >= since, CceeConnection.mode != SELF_TEST)
        .group_by(CceeConnection.meter_id)
    )
    return {row[0]: row[1] for row in (await session.execute(query)).all()}


async def _raise(session: AsyncSession, tenant_id: int, meter_id: int, start: int, end: int, now: int) -> bool:
    """Raise it, unless ingest has been quicker: the meter is locked against it, and looked at again."""
    await session.execute(select(Meter.id).where(Meter.id == meter_id).with_for_update(key_share=True))
    each = CceeConnection
    in_window = each.started_ms < end * 1000
    settled: Any = select(each.id).where(
        each.tenant_id == tenant_id, each.meter_id == meter_id, each.mode != SELF_TEST,
        each.started_ms >= start * 1000, in_window | (each.outcome == str(Outcome.OK)),
    )  # fmt: skip
    if await session.scalar(settled.limit(1)) is not None:
        return False
    severity = verdict(NO_CONNECTION).severity
    assert severity is not None  # noqa: S101 - the table says so
    condition = Condition(NO_CONNECTION, severity, start, start, start + 1, end, None, "")
    return await raise_once(session, tenant_id, SOURCE, meter_id, condition, now)
