"""What is kept for a limited time is forgotten; readings never are."""

import asyncio

from sqlalchemy import func, select

from central.ingest.commit import Committer
from central.ingest.models import Rejected
from central.metering.models import Event, ProfileDay, RegisterSet, Snapshot
from central.settings import RetentionSettings
from central.store.engine import Database
from central.store.jobs import forget
from central.store.lease import while_leading
from shared.wire import InstantSnapshot, Item, MeterEvent, RegisterReading
from tests.central.samples import MIDNIGHT, block, delivery, enter_tenant


async def test_forget(database: Database) -> None:
    await enter_tenant(database)
    old: list[Item] = [InstantSnapshot("m", MIDNIGHT + i, [], b"") for i in range(2500)]
    kept: list[Item] = [
        block("m", MIDNIGHT, [1]),
        MeterEvent("m", MIDNIGHT, "outage"),
        RegisterReading("m", MIDNIGHT, MIDNIGHT, 0, []),
        InstantSnapshot("m", MIDNIGHT + 90 * 86400, [], b""),
    ]
    await Committer(database).commit([delivery([*old, *kept])])
    counts = await forget(database, RetentionSettings(snapshots=90), MIDNIGHT + 90 * 86400 + 2500)
    assert counts["snapshot"] == 2500
    async with database.read() as session:
        for table, count in ((Snapshot, 1), (ProfileDay, 1), (Event, 1), (RegisterSet, 1), (Rejected, 0)):
            assert await session.scalar(select(func.count()).select_from(table)) == count, table


async def test_one_leads_at_a_time(database: Database) -> None:
    """On PostgreSQL a second process gets the lease when the first has ended; on SQLite there is one process."""
    leading: list[int] = []

    async def work(number: int) -> None:
        leading.append(number)
        assert database.dialect == "sqlite" or len(leading) == number + 1
        await asyncio.sleep(0.05)

    for number in range(2):
        await while_leading(database, "fleet", lambda number=number: work(number))  # type: ignore[misc]
    assert leading == [0, 1]
