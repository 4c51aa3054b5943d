"""Regular work: old rows are forgotten, missing CCEE sessions found, alarms told, webhooks sent, reports made."""

import asyncio
import contextlib
import time
from typing import Any, Final

import structlog
from sqlalchemy import delete, select, tuple_

from central.accounts.models import LoginSession
from central.alarms.email import Render
from central.alarms.jobs import senders, tell
from central.api.idempotency import KEPT
from central.api.models import IdempotencyKey
from central.ccee.jobs import watch
from central.ccee.models import CceeCapture
from central.enrolment.models import Enrolment
from central.fleet.models import GatewayHealth, ModuleHealth
from central.ingest.models import Rejected
from central.metering.models import Snapshot
from central.reports.making import Letter, Maker, Word
from central.settings import RetentionSettings, Settings
from central.store.engine import Database, open_database
from central.store.faults import is_passing, reason_of
from central.store.lease import while_leading
from central.store.migrate import require_current
from central.webhooks.models import WebhookDelivery
from central.webhooks.sending import Sender

log = structlog.get_logger("metergate.jobs")

#: Rows deleted with one commit, so that nobody waits long behind it.
CHUNK: Final = 2000
EVERY: Final = 3600.0
_DAY: Final = 86400


async def run_jobs(settings: Settings, stop: asyncio.Event, mail: Render, words: Word, letter: Letter) -> None:
    """Do the regular work until ``stop`` is set; of several processes one does it.

    ``mail`` words alarms' e-mails, ``words`` reports in a language, ``letter`` the e-mails about them.
    """
    database = open_database(settings)
    maker = Maker(database, settings, words, letter)

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_forget_for_ever(database, settings.retention, maker, stop), name="jobs-forget")
            group.create_task(watch(database, settings.ccee, stop), name="jobs-ccee")
            group.create_task(
                tell(database, senders(settings.alarms, settings.webhooks, mail), settings.alarms.tries, stop),
                name="jobs-alarms",
            )
            group.create_task(Sender(database, settings.webhooks).run(stop), name="jobs-webhooks")
            group.create_task(maker.run(stop), name="jobs-reports")

    try:
        await require_current(database)
        task = asyncio.create_task(while_leading(database, "jobs", work), name="jobs")
        stopped = asyncio.create_task(stop.wait(), name="jobs-stop")
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        await database.close()


async def _forget_for_ever(database: Database, retention: RetentionSettings, maker: Maker, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            counts = await forget(database, retention, int(time.time()))
            counts["report_job"] = await maker.forget(int(time.time()))
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("regular work waits: the database is out of reach", error=reason_of(error))
        else:
            log.info("old rows forgotten", **counts)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY)


async def forget(database: Database, retention: RetentionSettings, now: int) -> dict[str, int]:
    """Delete rows past their retention; returns how many of each table. Readings are never among them."""
    limits: list[tuple[Any, Any, int]] = [
        (Snapshot, Snapshot.at, now - retention.snapshots * _DAY),
        (GatewayHealth, GatewayHealth.at, now - retention.health * _DAY),
        (ModuleHealth, ModuleHealth.at, now - retention.health * _DAY),
        (Rejected, Rejected.at, now - retention.rejected * _DAY),
        (CceeCapture, CceeCapture.started_ms, (now - retention.captures * _DAY) * 1000),
        (LoginSession, LoginSession.expires_at, now),
        (WebhookDelivery, WebhookDelivery.next_at, now - retention.deliveries * _DAY),
        (Enrolment, Enrolment.created_at, now - retention.enrolments * _DAY),
        (IdempotencyKey, IdempotencyKey.created_at, now - KEPT),
    ]
    return {table.__tablename__: await _forget(database, table, at, limit) for table, at, limit in limits}


async def _forget(database: Database, table: Any, at: Any, limit: int) -> int:
    keys = list(table.__table__.primary_key)
    old = select(*keys).where(at < limit).limit(CHUNK)
    total = 0
    while True:
        async with database.write() as session:
            rows = (await session.execute(old)).all()
            if rows:
                await session.execute(delete(table.__table__).where(tuple_(*keys).in_([tuple(row) for row in rows])))
        total += len(rows)
        if len(rows) < CHUNK:
            return total
        await asyncio.sleep(0)
