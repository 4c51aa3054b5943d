"""What is out of reach does not exist: for lists, single objects, joins and updates."""

import time

import pytest
from sqlalchemy import func, select, update

from central.accounts.models import Tenant
from central.accounts.reach import EVERYWHERE, NOWHERE, Reach
from central.registry.models import Customer, CustomerGroup, Gateway, Installation, Meter, MeteringPoint
from central.registry.service import find_gateways, find_meters
from central.store.engine import Database


async def _utility(database: Database) -> tuple[int, dict[str, int]]:
    """Groups North > Near and South, with a customer, point and meter each; gateways A (North, Near) and B (South)."""
    at = {"created_at": int(time.time())}
    ids: dict[str, int] = {}
    async with database.write() as db:
        tenant = Tenant(key="t", name="T", zone="UTC")
        db.add(tenant)
        await db.flush()
        for name in "AB":
            gateway = Gateway(tenant_id=tenant.id, key=name, name=name, **at)
            db.add(gateway)
            await db.flush()
            ids[name] = gateway.id
        for name, parent, read_by in (("North", None, "A"), ("Near", "North", "A"), ("South", None, "B")):
            group = CustomerGroup(tenant_id=tenant.id, name=name, parent_id=ids[parent] if parent else None)
            db.add(group)
            await db.flush()
            ids[name] = group.id
            customer = Customer(tenant_id=tenant.id, external_key=name, name=name, group_id=group.id, **at)
            db.add(customer)
            await db.flush()
            point = MeteringPoint(tenant_id=tenant.id, key=name, name=name, customer_id=customer.id, **at)
            meter = Meter(tenant_id=tenant.id, key=name, serial=name, gateway_id=ids[read_by], **at)
            db.add_all([point, meter])
            await db.flush()
            db.add(Installation(tenant_id=tenant.id, meter_id=meter.id, point_id=point.id, starts_at=1))
    return tenant.id, ids


@pytest.mark.parametrize(
    ("groups", "gateways", "meters", "seen"),
    [
        (["North"], [], ["Near", "North"], ["A"]),
        (["Near"], [], ["Near"], ["A"]),
        ([], ["B"], ["South"], ["B"]),
        (["Near"], ["B"], ["Near", "South"], ["A", "B"]),
        ([], [], [], []),
    ],
)
async def test_lists_end_where_the_reach_ends(
    database: Database, groups: list[str], gateways: list[str], meters: list[str], seen: list[str]
) -> None:
    tenant, ids = await _utility(database)
    reach = Reach(groups=frozenset(ids[name] for name in groups), gateways=frozenset(ids[name] for name in gateways))
    async with database.read(reach=reach) as db:
        found = (await find_meters(db, tenant)).items
        assert [view.meter.key for view in found] == meters
        assert [view.customer.name for view in found if view.customer] == meters
        assert [view.gateway.key for view in (await find_gateways(db, tenant)).items] == seen
        assert await db.scalar(select(func.count(Customer.id))) == len(meters)
        assert await db.scalar(select(func.count()).select_from(MeteringPoint)) == len(meters)


async def test_single_objects_and_updates_too(database: Database) -> None:
    _, ids = await _utility(database)
    async with database.write(reach=Reach(groups=frozenset([ids["South"]]))) as db:
        assert await db.get(CustomerGroup, ids["North"]) is None
        assert await db.get(Gateway, ids["B"]) is not None
        await db.execute(update(Customer).values(name="changed"))
    async with database.read() as db:
        assert set(await db.scalars(select(Customer.name))) == {"North", "Near", "changed"}


async def test_everywhere_and_nowhere(database: Database) -> None:
    await _utility(database)
    for reach, count in ((EVERYWHERE, 3), (None, 3), (NOWHERE, 0)):
        async with database.read(reach=reach) as db:
            assert await db.scalar(select(func.count(Meter.id))) == count
