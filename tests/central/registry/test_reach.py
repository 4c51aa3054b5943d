"""Who may change a part of the tenant changes only that, and enters nothing outside of it."""

import pytest

from central.accounts.reach import REACH, Reach
from central.errors import NotFound, Refused
from central.registry import changes, dependents
from central.registry.kinds import CUSTOMER, GROUP, LOT, METER
from central.registry.plans import Entry, plan
from central.registry.search import search
from central.store.engine import Database
from tests.central.samples import enter_tenant, person


async def test_changes_keep_to_the_reach(database: Database) -> None:
    tenant = await enter_tenant(database)
    who = person(tenant)
    async with database.write() as db:
        mine = await changes.put(db, who, GROUP, None, {"name": "Mine"})
        other = await changes.put(db, who, GROUP, None, {"name": "Other"})
        await changes.put(db, who, CUSTOMER, "in", {"name": "Inside", "group": mine.id})
        await changes.put(db, who, CUSTOMER, "out", {"name": "Outside", "group": other.id})
        await changes.put(db, who, LOT, "10", {})
    async with database.write(**{REACH: Reach(groups=frozenset({mine.id}))}) as db:
        await changes.put(db, who, CUSTOMER, "in", {"name": "Inside still", "lot": "10"})
        await changes.put(db, who, CUSTOMER, "new", {"group": mine.id})
        with pytest.raises(Refused, match="where you may not change it"):
            await changes.put(db, who, CUSTOMER, "out", {"name": "x"})
        with pytest.raises(NotFound):
            await changes.patch(db, who, CUSTOMER, "out", {"name": "x"})
        with pytest.raises(NotFound):
            await dependents.remove(db, who, CUSTOMER, "out")
        for values in ({}, {"group": other.id}):
            with pytest.raises(Refused):
                await changes.put(db, who, CUSTOMER, "stray", values)
        with pytest.raises(Refused, match="no customer group"):
            await changes.put(db, who, CUSTOMER, "in", {"group": other.id})
        for kind, key in ((LOT, "11"), (METER, "m-1")):
            with pytest.raises(Refused):
                await changes.put(db, who, kind, key, {})
        made = await plan(db, tenant, CUSTOMER, [Entry("out", {}, 1), Entry("in", {}, 2)])
        assert [row.status for row in made.rows] == ["refused", "same"]
        assert [hit.key for hit in await search(db, tenant, "inside")] == ["in"]
        assert await search(db, tenant, "outside") == []
        await db.rollback()
