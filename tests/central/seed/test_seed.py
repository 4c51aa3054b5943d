"""A generated fleet on both databases: whole, consistent, the same for the same seed, and resumable."""

import importlib
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from central.accounts.models import Tenant
from central.accounts.service import TenantOf, ensure_tenant
from central.cli import cli
from central.fleet.models import GatewayLive, ModuleHealth
from central.fleet.states import decode_state
from central.metering import service as metering
from central.metering.models import MeterMonth, ProfileSeries, RegisterSet
from central.metering.registers import check_registers, decode_set
from central.registry.models import (
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Lot,
    LotDate,
    Meter,
    MeteringPoint,
    SearchWord,
    Supply,
)
from central.registry.service import get_meter
from central.seed import service
from central.seed.bulk import insert_dicts
from central.seed.chance import uniform
from central.seed.energy import running_maximum
from central.seed.plan import Parameters, Plan
from central.seed.service import SeedRefused, seed
from central.store.engine import Database
from shared.quantities import ACTIVE_DELIVERED, ACTIVE_PROFILE, Quantity

migration = importlib.import_module("central.store.migrations.versions.0004_rights_and_registry")
NOW = 1_795_600_000  # 2026-11-25 10:26 in Sao Paulo
FLEET = Parameters(customers=260, months=3, seed=7, profiles=3, now=NOW, zone="America/Sao_Paulo")


async def enter(database: Database, key: str = "default") -> Tenant:
    async with database.write() as session:
        return await ensure_tenant(session, TenantOf(key, key, "America/Sao_Paulo"))


def nobody(_done: int, _total: int) -> None: ...


async def rows(database: Database, model: Any) -> list[tuple[Any, ...]]:
    """All rows but the ids that the database gave; tenant and meter come first."""
    columns = [column for column in model.__table__.columns if column.name != "id" or model is not RegisterSet]
    columns.sort(key=lambda column: {"tenant_id": 0, "meter_id": 1}.get(column.name, 2))
    async with database.read() as session:
        return sorted(tuple(row) for row in await session.execute(select(*columns)))


async def count(database: Database, model: Any) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


async def test_a_fleet_is_whole(database: Database) -> None:
    tenant = await enter(database)
    outcome = await seed(database, tenant, FLEET, told=nobody)
    assert outcome.registers == await count(database, RegisterSet) > 260 * 70
    plan = Plan(FLEET)
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Customer)) == 260 + len(plan.followed)
        sizes = Counter(await session.scalars(select(Customer.group_id).where(Customer.group_id.is_not(None))))
        assert (sum(sizes.values()), len(sizes)) == (260, plan.tree[2])
        parents = {group.id: group.parent_id for group in await session.scalars(select(CustomerGroup))}
        assert all(parents.get(parents[group] or 0) in parents for group in sizes if group), "region, district, feeder"
        for key in ("UC400000007", "UC400000005"):
            customer = (await session.scalars(select(Customer).where(Customer.external_key == key))).one()
            point = (await session.scalars(select(MeteringPoint).where(MeteringPoint.customer_id == customer.id))).one()
            installed = (
                await session.scalars(
                    select(Installation).where(Installation.point_id == point.id).order_by(Installation.starts_at)
                )
            ).all()
            supplied = (
                await session.scalars(select(Supply).where(Supply.point_id == point.id).order_by(Supply.starts_at))
            ).all()
            assert supplied[-1].customer_id == customer.id
            if key.endswith("7"):  # had the meter exchanged
                assert [each.ends_at for each in installed] == [installed[1].starts_at, None]
            else:  # took the place over
                assert [each.ends_at for each in supplied] == [supplied[1].starts_at, None]
        word = "uc400000123"
        found = (await session.scalars(select(SearchWord.object_id).where(SearchWord.word == word))).one()
        assert await session.scalar(select(Customer.external_key).where(Customer.id == found)) == word.upper()
        assert await session.scalar(select(func.count()).select_from(LotDate)) == plan.lots * len(plan.due_months)
        assert await session.scalar(select(func.count()).select_from(ModuleHealth)) == 260 * 14
        gateways = (await session.scalars(select(Gateway).order_by(Gateway.id))).all()
        told = 0
        for gateway in gateways:
            state = decode_state(await session.get(GatewayLive, gateway.id))
            assert state is not None
            told += len(state.meters)
        assert told == 260
        next_lot = Lot(tenant_id=tenant.id, key="own", name="own")  # ids go on after those that were given
        session.add(next_lot)
        await session.flush()
        assert next_lot.id > plan.lots
    missing = 260 + len(plan.exchanged) - len({row[1] for row in await rows(database, MeterMonth)})
    assert 0 < missing < 20, "some meters were never read"


async def test_months_profiles_and_registers_agree(database: Database) -> None:
    tenant = await enter(database)
    await seed(database, tenant, FLEET, told=nobody)
    kept = await rows(database, MeterMonth)
    async with database.engine.begin() as connection:
        await connection.execute(delete(MeterMonth))
        await connection.run_sync(migration._months)
    assert kept == await rows(database, MeterMonth)
    async with database.read() as session:
        meters = (await session.scalars(select(ProfileSeries.meter_id).distinct())).all()
        assert len(meters) == 3
        for meter in meters:
            key = await session.scalar(select(Meter.key).where(Meter.id == meter))
            view = await get_meter(session, tenant.id, key or "")
            of_meter = select(RegisterSet).where(RegisterSet.meter_id == meter, RegisterSet.period == 0)
            sets = [decode_set(each, Fraction(1)) for each in await session.scalars(of_meter.order_by(RegisterSet.at))]
            first, last = sets[1], sets[-1]
            series = await metering.profile(session, view, ACTIVE_PROFILE, first.at, last.at)
            check = check_registers(first, last, ACTIVE_DELIVERED, series)
            assert check is not None
            assert (check.verdict, check.missing, check.difference > 0) == ("agrees", 0, True)
            for each in sets:  # posts sum to the total
                values = [register.raw for post in (1, 2, 4) if (register := each.value(Quantity(1, 8, post)))]
                total = each.value(ACTIVE_DELIVERED)
                assert total is not None
                assert abs(sum(values) - total.raw) == 0


async def test_the_same_seed_makes_the_same_fleet_and_goes_on_where_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "METERS", 40)
    one, other = await enter(database), await enter(database, "other")
    await seed(database, one, FLEET, told=nobody)

    def stop(done: int, _total: int) -> None:
        if done >= 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await seed(database, other, FLEET, told=stop)
    assert len({row[1] for row in await rows(database, MeterMonth) if row[0] == other.id}) in range(110, 121)
    later = Parameters(**{name: getattr(FLEET, name) for name in FLEET.__struct_fields__} | {"now": NOW + 99_999})
    outcome = await seed(database, other, later, told=nobody)
    assert not outcome.complete
    async with database.read() as session:
        base = {
            tenant.id: await session.scalar(select(func.min(Meter.id)).where(Meter.tenant_id == tenant.id)) or 0
            for tenant in (one, other)
        }
    for model in (RegisterSet, MeterMonth):
        each: dict[int, list[Any]] = {one.id: [], other.id: []}
        for tenant, meter, *rest in await rows(database, model):
            each[tenant].append((meter - base[tenant], *rest))
        assert each[one.id] == each[other.id]
    again = await seed(database, other, later, told=nobody)
    assert again == service.Outcome(0, complete=True)


async def test_it_is_not_mixed_with_what_is_there(database: Database) -> None:
    tenant = await enter(database)
    async with database.write() as session:
        session.add(Meter(tenant_id=tenant.id, key="own", serial="1", created_at=0))
    with pytest.raises(SeedRefused, match="has 1 meters"):
        await seed(database, tenant, FLEET, told=nobody)
    await seed(database, tenant, FLEET, beside=True, told=nobody)
    with pytest.raises(SeedRefused, match="has a fleet of 260 customers, 3 months, seed 7"):
        await seed(database, tenant, Parameters(261, 3, 7, 3, NOW, FLEET.zone), told=nobody)


async def test_only_readings_of_bills(database: Database) -> None:
    tenant = await enter(database)
    monthly = Parameters(60, 3, 1, 0, NOW, FLEET.zone, daily=False)
    outcome = await seed(database, tenant, monthly, told=nobody)
    assert outcome.registers < 60 * 10
    kept = await rows(database, MeterMonth)
    async with database.engine.begin() as connection:
        await connection.execute(delete(MeterMonth))
        await connection.run_sync(migration._months)
    assert kept == await rows(database, MeterMonth)


@pytest.mark.parametrize("customers", [1, 8])
async def test_a_small_fleet_of_one_month(database: Database, customers: int) -> None:
    tenant = await enter(database)
    wanted = Parameters(customers, 1, 3, customers, 1_793_502_300, "America/Sao_Paulo")  # an hour into a month
    await seed(database, tenant, wanted, told=nobody)
    async with database.read() as session:
        newest = await session.scalar(select(func.max(RegisterSet.read_at)))
    assert newest is None or newest <= wanted.now, "nothing is read in the future"


async def test_rows_of_bulk_inserts_are_of_the_transaction(database: Database) -> None:
    tenant = await enter(database)
    lots = [{"id": n, "tenant_id": tenant.id, "key": str(n), "name": "é", "reading_day": 1} for n in range(1, 9)]

    async def fail() -> None:
        async with database.write() as session:
            assert await insert_dicts(session, Lot, lots) == 8
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await fail()
    assert await count(database, Lot) == 0


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERGATE_DATA_DIR", str(tmp_path))
    runner = CliRunner()
    arguments = ["central", "seed", "--customers", "5", "--months", "1"][1:]
    assert "run 'metergate central migrate'" in runner.invoke(cli, arguments).output
    runner.invoke(cli, ["migrate"])
    assert "5 customers" in runner.invoke(cli, arguments).output
    assert "was there already" in runner.invoke(cli, arguments).output
    refused = runner.invoke(cli, ["seed", "--customers", "6"])
    assert (refused.exit_code, "has a fleet of 5 customers" in refused.output) == (1, True)
    assert "6 customers" in runner.invoke(cli, ["seed", "--customers", "6", "--months", "1", "--tenant", "two"]).output


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=12, max_size=12), min_size=1, max_size=3), st.sets(st.integers(0, 11))
)
def test_running_maxima(peaks: list[list[int]], due: set[int]) -> None:
    since = [max((day for day in due if day <= d), default=0) for d in range(12)]
    highest, reached = running_maximum(np.array(peaks), np.array(since))
    for row, values in enumerate(peaks):
        for d in range(12):
            expected = max(values[since[d] : d], default=0)
            assert highest[row, d] == expected
            if since[d] < d:
                assert values[reached[row, d]] == expected
                assert since[d] <= reached[row, d] < d


def test_chance_depends_on_nothing_else() -> None:
    numbers = np.arange(10_000)
    found = uniform(3, "kind", numbers)
    assert (uniform(3, "kind", numbers[500:600]) == found[500:600]).all()
    assert 0 <= found.min() < found.max() < 1
    assert abs(found.mean() - 0.5) < 0.02
    assert abs(float(np.corrcoef(found, uniform(3, "solar", numbers))[0, 1])) < 0.05
    assert abs(float(np.corrcoef(found, uniform(4, "kind", numbers))[0, 1])) < 0.05
    assert len(np.unique(found)) == len(found)


def test_a_large_fleet_is_planned_in_parts() -> None:
    plan = Plan(Parameters(10_000_000, 13, 1, 0, NOW, "America/Sao_Paulo"))
    traits = plan.traits(np.arange(9_999_000, 10_000_000))
    assert traits.feeder[-1] == plan.tree[2] - 1
    assert traits.gateway[-1] == len(plan.gateway_ends) - 1
    assert plan.gateway_ends[-1] == plan.ends[-1] == 10_000_000
