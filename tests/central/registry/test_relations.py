"""Dated relations: exchanges keep history, corrections are checked, a point's customer is that of its open supply."""

import pytest
from sqlalchemy import select

from central.errors import Refused
from central.registry import changes, relations
from central.registry.kinds import CUSTOMER, METER, MODULE, POINT
from central.registry.models import Installation, MeteringPoint, Supply
from central.store.engine import Database
from tests.central.samples import enter_tenant, person


async def enter(database: Database) -> tuple[int, dict[str, int]]:
    tenant = await enter_tenant(database)
    ids = {}
    async with database.write() as db:
        for kind, keys in ((CUSTOMER, ("c1", "c2")), (MODULE, ("d1", "d2")), (POINT, ("p",)), (METER, ("m1", "m2"))):
            for key in keys:
                ids[key] = (await changes.put(db, person(tenant), kind, key, {})).id
    return tenant, ids


async def test_exchange_of_meter_and_module_keep_history(database: Database) -> None:
    tenant, ids = await enter(database)
    who = person(tenant)
    async with database.write() as db:
        await relations.install(db, who, ids["m1"], point_id=ids["p"], module_id=ids["d1"], starts_at=100)
        row = await relations.exchange_meter(db, who, ids["p"], ids["m2"], 200, module_id=None, reason="broken")
        assert (row.module_id, row.reason) == (ids["d1"], "broken")
        await relations.change_module(db, who, ids["m2"], ids["d2"], 300)
        await relations.take_out(db, who, ids["m2"], 400, "to the laboratory")
        with pytest.raises(Refused, match="overlaps"):
            await relations.install(db, who, ids["m1"], point_id=ids["p"], starts_at=250)
    async with database.read() as db:
        found = await relations.history(db, tenant, Installation, "point_id", ids["p"])
        assert [(row.meter_id, row.module_id, row.starts_at, row.ends_at) for row in found] == [
            (ids["m2"], ids["d2"], 300, 400), (ids["m2"], ids["d1"], 200, 300), (ids["m1"], ids["d1"], 100, 200),
        ]  # fmt: skip


async def test_the_points_customer_is_that_of_its_open_supply(database: Database) -> None:
    tenant, ids = await enter(database)
    who = person(tenant)

    async def now(db: object) -> int | None:
        table = MeteringPoint.__table__
        found: int | None = await db.scalar(select(table.c.customer_id).where(table.c.id == ids["p"]))  # type: ignore[attr-defined]
        return found

    async with database.write() as db:
        first = await relations.supply(db, who, ids["p"], ids["c1"], 100)
        second = await relations.supply(db, who, ids["p"], ids["c2"], 200)
        assert first is not None
        assert second is not None
        assert (await now(db), first.ends_at) == (ids["c2"], 200)
        await relations.correct(db, who, second, 250, 300, "late")
        assert await now(db) is None
        with pytest.raises(Refused, match="overlaps"):
            await relations.correct(db, who, second, 150, 300, "")
        with pytest.raises(Refused, match="ends before"):
            await relations.correct(db, who, second, 300, 300, "")
        await relations.remove(db, who, second)
        await relations.correct(db, who, first, 100, None, "")
        assert await now(db) == ids["c1"]
        await changes.patch(db, who, POINT, "p", {"customer": "c2"})
        assert await now(db) == ids["c2"]
    async with database.read() as db:
        rows = await relations.history(db, tenant, Supply, "point_id", ids["p"])
        assert [(row.customer_id, row.ends_at is None) for row in rows] == [(ids["c2"], True), (ids["c1"], False)]
        assert rows[1].ends_at == rows[0].starts_at
