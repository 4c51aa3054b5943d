"""Ingest as a process or inside another one: worker and fleet around one database, until told to stop."""

import asyncio
import gc
from typing import Final

import structlog
from sqlalchemy.exc import IntegrityError

from central.accounts.service import TenantOf, ensure_tenant
from central.fleet.loop import Fleet
from central.ingest.worker import Worker
from central.settings import Settings
from central.store.engine import Database, open_database
from central.store.faults import is_passing, reason_of
from central.store.lease import while_leading
from central.store.migrate import require_current

log = structlog.get_logger("metergate.ingest")

_RETRY: Final = 2.0


async def run_ingest(settings: Settings, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
    """Ingest until ``stop`` is set. ``ready`` is set once the database has been met and the tasks run.

    Raises :class:`central.store.migrate.SchemaError` when the database needs a migration or is newer; waits for a
    database or broker that is out of reach.
    """
    database = open_database(settings)
    try:
        await _meet(database, settings, stop)
        if stop.is_set():
            return
        spare_the_collector()
        worker, fleet = Worker(settings, database), Fleet(settings, database)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(worker.run(), name="ingest"),
                group.create_task(while_leading(database, "fleet", fleet.run), name="fleet"),
            ]
            log.info("ingest runs", database=database.dialect, share=settings.ingest.share or None)
            if ready is not None:
                ready.set()
            await stop.wait()
            for task in tasks:
                task.cancel()
        totals = worker.committer.totals
        log.info("ingest ended", batches=totals.batches, items=totals.items, rejected=totals.rejected)
    finally:
        await database.close()


def spare_the_collector() -> None:
    """Have Python look for reference cycles more rarely.

    A transaction makes thousands of objects that live until its end; by default all are searched again and again, which
    takes a third of ingest's time. What is there by now is not searched any more.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _meet(database: Database, settings: Settings, stop: asyncio.Event) -> None:
    """Wait for the database, check its schema, enter the default tenant."""
    first = True
    while not stop.is_set():
        try:
            await require_current(database)
            async with database.write() as session:
                await ensure_tenant(session, TenantOf(settings.tenant, settings.tenant_name, settings.zone))
            return
        except IntegrityError:
            continue  # another worker has just entered it
        except Exception as error:
            if not is_passing(error):
                raise
            if first:
                log.warning("the database is out of reach, trying again", error=reason_of(error))
            first = False
        await asyncio.sleep(_RETRY)
