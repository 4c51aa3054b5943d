"""A meter's months are the same whatever order its readings come in, and the same as the schema's migration makes."""

import importlib
import random
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, select, update

from central.errors import Refused
from central.ingest.commit import Committer
from central.metering.models import MeterMonth, RegisterSet
from central.metering.month_rows import Month, energy_total, keep_months, month_number
from central.registry import changes
from central.registry.kinds import METER
from central.registry.models import Meter
from central.store.engine import Database
from shared.intervals import local_date, zone
from shared.wire import Item, RegisterReading, RegisterValue
from tests.central.samples import MIDNIGHT, TOPIC, delivery, enter_tenant, person

migration = importlib.import_module("central.store.migrations.versions.0004_rights_and_registry")
ZONES = {"m0": "", "m1": "Asia/Tokyo", "m2": "America/Noronha"}


async def months(database: Database) -> list[tuple[Any, ...]]:
    async with database.read() as session:
        columns = [getattr(MeterMonth, column.key) for column in MeterMonth.__table__.columns]
        return sorted(tuple(row) for row in await session.execute(select(*columns)))


async def worked_out(database: Database) -> list[tuple[Any, ...]]:
    """The months as the migration works them out from all readings that are stored."""

    def anew(connection: Connection) -> None:
        connection.execute(delete(MeterMonth))
        migration._months(connection)

    async with database.engine.begin() as connection:
        await connection.run_sync(anew)
    return await months(database)


def readings(rng: random.Random) -> list[Item]:
    """Readings of three meters around the ends of months, some of one instant, some without the total."""
    found: list[Item] = []
    for _ in range(60):
        at = MIDNIGHT + rng.choice((-1, 0, 1, 29, 30, 31, 60)) * 86400 + rng.choice((-3600, -1, 0, 1, 7200))
        total = RegisterValue("1.8.0", rng.choice((0, -5, 7, rng.randrange(10**9), (1 << 63) - 1)), 1, 1000)
        values = [RegisterValue("1.8.1", rng.randrange(100))] + [total] * (rng.random() < 0.8)
        found.append(RegisterReading(rng.choice(list(ZONES)), at, at + 5, rng.randrange(2), values))
    return found


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_and_partition_gives_the_same_months(database: Database, seed: int) -> None:
    rng = random.Random(seed)
    tenant = await enter_tenant(database)
    async with database.write() as session:
        session.add_all(
            Meter(tenant_id=tenant, key=key, serial=key, zone=name, created_at=0) for key, name in ZONES.items()
        )
    committer = Committer(database)
    items = readings(rng)
    again = items + rng.sample(items, 20)
    rng.shuffle(again)
    at = 0
    while at < len(again):
        some = again[at : at + rng.randint(1, 25)]
        await committer.commit([delivery(some, spool=rng.randbytes(16))])
        at += len(some)
    kept = await months(database)
    assert len(kept) >= 6
    assert kept == await worked_out(database)


async def _fail_after(database: Database, tenant: int, reading: RegisterReading) -> None:
    async with database.write() as session:
        meter = (await session.scalars(select(Meter.id))).one()
        await keep_months(session, [(tenant, meter, "UTC", reading)])
        raise RuntimeError("fails")


async def test_a_transaction_that_fails_leaves_the_months_as_they_were(database: Database) -> None:
    tenant = await enter_tenant(database)
    committer = Committer(database)
    first = RegisterReading("m", MIDNIGHT, MIDNIGHT, 0, [RegisterValue("1.8.0", 5)])
    await committer.commit([delivery([first])])
    before = await months(database)
    with pytest.raises(RuntimeError, match="fails"):
        await _fail_after(database, tenant, msgspec.structs.replace(first, at=MIDNIGHT + 86400))
    assert await months(database) == before
    # of a batch with a row that cannot be stored the others count, that one not
    bad = RegisterReading("m", MIDNIGHT + 86400, MIDNIGHT, 0, [RegisterValue("not a code", 9)])
    good = RegisterReading("m", MIDNIGHT + 2 * 86400, MIDNIGHT, 0, [RegisterValue("1.8.0", 9)])
    await committer.commit([delivery([bad, good], 2)])
    (row,) = await months(database)
    assert (bin(row[3]), row[4]) == ("0b1010", MIDNIGHT + 2 * 86400)
    assert [row] == await worked_out(database)


async def test_another_zone_has_the_months_worked_out_anew(database: Database) -> None:
    """23:30 of a month's last day in Sao Paulo is the next month in Lisbon."""
    tenant = await enter_tenant(database)
    at = MIDNIGHT + 30 * 86400 - 1800  # 2026-03-31 23:30
    items: list[Item] = [
        RegisterReading(meter, at + 86400 * day, at, 0, [RegisterValue("1.8.0", 10 + day)])
        for meter in ("m1", "m2")
        for day in (-3, 0)
    ]
    await Committer(database).commit([delivery(items)])
    march = 2026 * 12 + 2
    assert [row[1] for row in await months(database)] == [march, march]
    async with database.write() as session:
        meter = (await session.scalars(select(Meter.id).where(Meter.key == "m1"))).one()
        await changes.patch(session, person(tenant), METER, "m1", {"zone": "Europe/Lisbon"})
    assert sorted((row[2] == meter, row[1]) for row in await months(database)) == [
        (False, march), (True, march), (True, march + 1),
    ]  # fmt: skip
    kept = await months(database)
    assert kept == await worked_out(database)
    async with database.write() as session:
        with pytest.raises(Refused):
            await changes.patch(session, person(tenant), METER, "m1", {"zone": "Europe/Nowhere"})
    assert await months(database) == kept


async def test_rows_of_another_tenant_are_not_touched(database: Database) -> None:
    one, other = await enter_tenant(database), await enter_tenant(database, "other", "Asia/Tokyo")
    item = RegisterReading("m", MIDNIGHT, MIDNIGHT, 0, [RegisterValue("1.8.0", 5)])
    committer = Committer(database)
    await committer.commit(
        [delivery([item], topic=TOPIC), delivery([item], topic=TOPIC._replace(tenant="other"), spool=b"o" * 16)]
    )
    assert [(row[0], row[1]) for row in await months(database)] == [(one, 24314), (other, 24314)]
    async with database.write() as session:
        meter = (await session.scalars(select(Meter.id).where(Meter.tenant_id == one))).one()
        await session.execute(update(RegisterSet).where(RegisterSet.meter_id == meter).values(at=MIDNIGHT + 40 * 86400))
        await changes.patch(session, person(one), METER, "m", {"zone": "Asia/Tokyo"})
    assert [(row[0], row[1]) for row in await months(database)] == [(one, 24315), (other, 24314)]


async def test_one_statement_takes_all_meters(database: Database) -> None:
    tenant = await enter_tenant(database)
    async with database.write() as session:
        session.add_all(Meter(tenant_id=tenant, key=f"m{n}", serial=f"{n}", created_at=0) for n in range(3000))
        await session.flush()
        meters = (await session.scalars(select(Meter.id))).all()
        item = RegisterReading("m", MIDNIGHT, MIDNIGHT, 0, [RegisterValue("1.8.0", 5)])
        await keep_months(session, [(tenant, meter, "UTC", item) for meter in meters])
    assert len(await months(database)) == 3000


def test_the_total_is_in_millionths() -> None:
    assert energy_total([RegisterValue("2.8.0", 1), RegisterValue("1.8.0", 7, 1, 3)]) == 2_333_333
    assert energy_total([RegisterValue("1.8.0", -1, 1, 3)]) == -333_334, "rounded down"
    assert energy_total([RegisterValue("1.8.0", 1 << 60)]) is None, "beyond 64 bits"
    assert energy_total([RegisterValue("1.8.1", 1)]) is None
    month = Month()
    month.add(31, 5, None)
    assert (month.days, month.first) == (1 << 30, None)
    assert month_number(local_date(MIDNIGHT - 1, zone("America/Sao_Paulo"))) == 24314
