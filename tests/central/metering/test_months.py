"""Figures from what is kept of months, on both databases, against hand-made counts."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import pytest

from central.accounts.models import Tenant
from central.accounts.reach import Reach
from central.metering import months
from central.metering.models import MeterMonth
from central.metering.months import DayCount, Selection, Totals, first_of, month_of
from central.metering.stored import number
from central.registry.groups import with_groups_below
from central.registry.models import (
    CommunicationModule,
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Lot,
    LotDate,
    Meter,
    MeteringPoint,
)
from central.store.engine import Database

DAY = date(2026, 3, 10)
ENTERED = 86400 * number(date(2026, 1, 1))
KWH = 1_000_000


def bits(*days: int) -> int:
    return sum(1 << (day - 1) for day in days)


@dataclass
class Utility:
    tenant: int
    gateways: list[int]
    north: int
    near: int
    south: int
    lots: list[int]


@pytest.fixture
async def utility(database: Database) -> Utility:
    """Groups North > Near and South; six meters m0..m5 at two gateways; m5 is not monitored, another tenant has one."""
    async with database.write() as db:
        ours, theirs = Tenant(key="ours", name="Ours", zone="UTC"), Tenant(key="theirs", name="Theirs", zone="UTC")
        db.add_all([ours, theirs])
        await db.flush()
        gateways = [Gateway(tenant_id=ours.id, key=f"g{n}", name=f"g{n}", created_at=ENTERED) for n in range(2)]
        north, south = (CustomerGroup(tenant_id=ours.id, name=name) for name in ("North", "South"))
        lots = [
            Lot(tenant_id=ours.id, key=f"L{day:02}", name=f"Lot {day}", reading_day=day) for day in (5, 9, 12, 20, 31)
        ]
        db.add_all([*gateways, north, south, *lots])
        await db.flush()
        near = CustomerGroup(tenant_id=ours.id, name="Near", parent_id=north.id)
        db.add(near)
        await db.flush()
        db.add(LotDate(lot_id=lots[0].id, month=month_of(DAY), due_on=number(date(2026, 3, 25))))
        meters = []
        for n, (group, lot) in enumerate(
            ((north, 1), (near, 1), (near, 2), (south, 2), (None, None), (south, 3))
        ):  # fmt: skip
            customer = Customer(
                tenant_id=ours.id, external_key=f"c{n}", name=f"Customer {n}", group_id=group.id if group else None,
                lot_id=lots[lot].id if lot is not None else None, created_at=ENTERED,
            )  # fmt: skip
            module = CommunicationModule(
                tenant_id=ours.id, key=f"x{n}", name=f"x{n}", gateway_id=gateways[n % 2].id, created_at=ENTERED
            )
            db.add_all([customer, module])
            await db.flush()
            point = MeteringPoint(
                tenant_id=ours.id, key=f"p{n}", name=f"p{n}", customer_id=customer.id, created_at=ENTERED
            )
            meter = Meter(
                tenant_id=ours.id, key=f"m{n}", serial=f"s{n}", gateway_id=gateways[n % 2].id, monitored=n != 5,
                multiplier_num=40 if n == 1 else 1, created_at=ENTERED,
                starts_on=number(date(2026, 3, 8)) if n == 4 else None,
            )  # fmt: skip
            db.add_all([point, meter])
            await db.flush()
            meters.append(meter)
            db.add(
                Installation(
                    tenant_id=ours.id, meter_id=meter.id, point_id=point.id, module_id=module.id, starts_at=ENTERED
                )
            )
        stranger = Meter(tenant_id=theirs.id, key="m0", serial="m0", created_at=ENTERED)
        db.add(stranger)
        await db.flush()
        feb, march = month_of(DAY) - 1, month_of(DAY)

        def held(meter: Meter, month: int, days: int, first: int | None, last: int | None) -> None:
            read_at = 86400 * (number(first_of(month)) + days.bit_length())  # the midnight after its last day
            db.add(MeterMonth(
                tenant_id=meter.tenant_id, meter_id=meter.id, month=month, days=days, read_at=read_at,
                first_at=0, first_total=first, last_at=0, last_total=last,
            ))  # fmt: skip

        held(meters[0], feb, bits(1, 28), 0, 100 * KWH)
        held(meters[0], march, bits(8, 9, 10), 101 * KWH, 130 * KWH)  # 30 since February's last
        held(meters[1], march, bits(9, 31), 10 * KWH, 12 * KWH + 500_000)  # 2.5 x 40, no February
        held(meters[2], march, bits(10), 500 * KWH, 400 * KWH)  # went backwards
        held(meters[3], march, bits(1, 10), None, None)  # registers without the total
        held(meters[4], march, bits(9, 10), 7 * KWH, 8 * KWH)
        held(meters[5], march, bits(10), 0, 900 * KWH)
        held(stranger, march, bits(9, 10), 0, 999 * KWH)
        return Utility(ours.id, [each.id for each in gateways], north.id, near.id, south.id, [each.id for each in lots])


async def test_availability_by_day(database: Database, utility: Utility) -> None:
    async with database.read() as db:
        found = await months.availability_by_day(db, utility.tenant, date(2026, 2, 28), date(2026, 3, 10))
        assert [(each.read, each.expected) for each in found] == [
            (1, 4), (1, 4), (0, 4), (0, 4), (0, 4), (0, 4), (0, 4), (0, 4), (1, 5), (3, 5), (4, 5),
        ]  # fmt: skip
        assert found[-1].share == 0.8
        assert await months.day_availability(db, utility.tenant, DAY) == (4, 5)
        assert await months.day_availability(db, utility.tenant, DAY, Selection(gateways=(utility.gateways[1],))) == (
            1,
            2,
        )
        north = Selection(groups=await with_groups_below(db, (utility.north,)))
        assert await months.day_availability(db, utility.tenant, DAY, north) == (2, 3)
        assert await months.day_availability(db, utility.tenant, DAY, Selection(groups=(utility.near,))) == (1, 2)
        assert await months.day_availability(db, utility.tenant, DAY, Selection(lots=(utility.lots[2],))) == (2, 2)
        (before,) = await months.availability_by_day(db, utility.tenant, date(2025, 12, 1), date(2025, 12, 1))
        assert before == DayCount(date(2025, 12, 1), 0, 0)
        assert before.share is None


async def test_energy_of_month(database: Database, utility: Utility) -> None:
    async with database.read() as db:
        energy = await months.energy_of_month(db, utility.tenant, DAY)
        assert (energy.energy, energy.meters) == (Fraction(30 + 100 + 1 + 900), 4)
        near = await months.energy_of_month(db, utility.tenant, DAY, Selection(groups=(utility.near,)))
        assert (near.energy, near.meters) == (Fraction(100), 1)
        assert (await months.energy_of_month(db, utility.tenant, date(2026, 2, 1))).energy == 100
        assert (await months.energy_of_month(db, utility.tenant, date(2027, 2, 1))).meters == 0


async def test_largest(database: Database, utility: Utility) -> None:
    async with database.read() as db:
        found, whole = await months.largest(db, utility.tenant, DAY)
        assert [(each.serial, each.customer, each.energy) for each in found] == [
            ("s5", "Customer 5", 900.0), ("s1", "Customer 1", 100.0), ("s0", "Customer 0", 30.0),
            ("s4", "Customer 4", 1.0),
        ]  # fmt: skip
        few, part = await months.largest(db, utility.tenant, DAY, Selection(gateways=(utility.gateways[0],)), limit=1)
        assert ([each.serial for each in few], whole, part) == (["s0"], 1031.0, 31.0)
        assert await months.largest(db, utility.tenant, date(2027, 2, 1)) == ([], 0.0)


async def test_totals(database: Database, utility: Utility) -> None:
    async with database.read() as db:
        assert await months.totals(db, utility.tenant) == Totals(3, 6, 6, 6, 6, 2)
        of_one = await months.totals(db, utility.tenant, Selection(gateways=(utility.gateways[1],)))
        assert of_one == Totals(2, 3, 3, 3, 3, 1)
    async with database.read(reach=Reach(groups=frozenset([utility.north]))) as db:
        assert await months.totals(db, utility.tenant) == Totals(2, 3, 3, 3, 6, 2)


async def test_lots_in_evidence(database: Database, utility: Utility) -> None:
    async with database.read() as db:
        lots = await months.lot_availability(db, utility.tenant, DAY)
        assert [(each.key, each.due.day, each.day.read, each.day.expected, each.pending) for each in lots] == [
            ("L09", 9, 1, 2, 0),  # both were read on the 9th, one of them on the 10th
            ("L12", 12, 2, 2, 0), ("L20", 20, 0, 0, 0), ("L05", 25, 0, 0, 0),
        ]  # fmt: skip
        lots = await months.lot_availability(db, utility.tenant, date(2026, 3, 13))
        assert (lots[0].key, lots[0].pending, lots[0].pending_on.day) == ("L12", 2, 12)
        end = await months.lots_in_evidence(db, utility.tenant, date(2026, 2, 28))
        assert [(lot.key, due) for lot, due in end][:2] == [("L20", date(2026, 2, 20)), ("L31", date(2026, 2, 28))]


async def test_longest_silent(database: Database, utility: Utility) -> None:
    async with database.read() as db:
        found = await months.longest_silent(db, utility.tenant, 86400 * number(date(2026, 3, 12)), DAY)
        assert [each.serial for each in found] == ["s0", "s2", "s3", "s4"]
        few = await months.longest_silent(db, utility.tenant, 86400 * number(date(2026, 3, 1)), date(2026, 2, 20))
        assert [(each.serial, each.last) for each in few] == [("s1", None), ("s2", None), ("s3", None)]


async def test_reach_limits_figures(database: Database, utility: Utility) -> None:
    async with database.read(reach=Reach(groups=frozenset([utility.near]))) as db:
        assert await months.day_availability(db, utility.tenant, DAY) == (1, 2)
        assert (await months.energy_of_month(db, utility.tenant, DAY)).energy == 100
        assert [each.serial for each in (await months.largest(db, utility.tenant, DAY))[0]] == ["s1"]
