"""What hangs on a thing is found in every table; what has readings is never deleted."""

import pytest
from sqlalchemy import func, select

from central.audit.models import AuditEntry
from central.errors import Refused
from central.ingest.commit import Committer
from central.registry import changes, dependents, relations
from central.registry.dependents import PARTS, Occupied, references
from central.registry.history import changes_of
from central.registry.kinds import CUSTOMER, GATEWAY, GROUP, HOLIDAY, HOLIDAYS, KINDS, LOT, METER, POINT
from central.registry.models import LotDate, SearchWord, Supply
from central.store.engine import Database
from central.store.tables import metadata
from central.web.registry_words import TABLES
from tests.central.samples import MIDNIGHT, block, delivery, enter_tenant, person


def test_every_foreign_key_to_a_deletable_table_is_looked_at() -> None:
    looked = {column for kind in KINDS for column in references(kind.model.__table__)}
    deletable = {kind.model.__table__ for kind in KINDS}
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column.table in deletable:
                assert key.parent in looked, key.parent
        for name in ("meter_id", "gateway_id", "module_id"):
            assert name not in table.c or table.c[name] in looked, f"{table.name}.{name}"
    assert {column.table.name for column in looked - PARTS} <= TABLES.keys(), "a table without words"


async def test_readings_are_never_orphaned(database: Database) -> None:
    tenant = await enter_tenant(database)
    who = person(tenant)
    await Committer(database).commit([delivery([block("m1", MIDNIGHT, [1] * 96)])])
    async with database.write() as db:
        with pytest.raises(Occupied) as caught:
            await dependents.remove(db, who, METER, "m1")
        assert "profile_series" in {one.table for one in caught.value.hanging}
        with pytest.raises(Occupied) as caught:
            await dependents.remove(db, who, GATEWAY, "gw1")
        assert {"meter", "stream"} <= {one.table for one in caught.value.hanging}


async def test_what_nothing_hangs_on_goes_with_its_parts_and_words(database: Database) -> None:
    tenant = await enter_tenant(database)
    who = person(tenant)
    async with database.write() as db:
        await changes.put(db, who, LOT, "10", {"dates": {"2026-04": "2026-04-28"}})
        day = await changes.put(db, who, HOLIDAY, None, {"name": "Natal", "month": 12, "day": 25})
        await changes.put(db, who, HOLIDAYS, "h", {"holidays": [day.id]})
        group = await changes.put(db, who, GROUP, None, {"name": "Norte"})
        await changes.put(db, who, CUSTOMER, "c", {"group": group.id, "lot": "10"})
        point = await changes.put(db, who, POINT, "p", {"customer": "c"})
        for kind, key in ((LOT, "10"), (GROUP, group.id), (CUSTOMER, "c"), (POINT, "p"), (HOLIDAY, day.id)):
            with pytest.raises(Occupied):
                await dependents.remove(db, who, kind, key)
        for row in await relations.history(db, tenant, Supply, "point_id", point.id):
            await relations.remove(db, who, row)
        rest = (POINT, "p"), (CUSTOMER, "c"), (LOT, "10"), (GROUP, group.id), (HOLIDAYS, "h"), (HOLIDAY, day.id)
        for kind, key in rest:
            await dependents.remove(db, who, kind, key)
    async with database.read() as db:
        assert await db.scalar(select(func.count()).select_from(LotDate)) == 0
        assert await db.scalar(select(func.count()).select_from(SearchWord)) == 0
        deleted = select(func.count(AuditEntry.id)).where(AuditEntry.action == "deleted")
        assert await db.scalar(deleted) == 6


async def test_history_has_what_was_before_and_after(database: Database) -> None:
    tenant = await enter_tenant(database)
    who = person(tenant)
    async with database.write() as db:
        row = await changes.put(db, who, CUSTOMER, "c", {"name": "Ana"})
        await changes.put(db, who, CUSTOMER, "c", {"name": "Ana Maria", "phone": ""})
        await changes.put(db, who, CUSTOMER, "c", {"name": "Ana Maria"})
        with pytest.raises(Refused):
            await changes.put(db, who, CUSTOMER, "c", {"name": ""})
    async with database.read() as db:
        found = (await changes_of(db, tenant, CUSTOMER, row.id)).items
    assert [change.action for change in found] == ["changed", "created"]
    assert (found[0].before, found[0].after) == ({"name": "Ana"}, {"name": "Ana Maria"})
    assert found[0].author == "ana"
