"""The last days of a page of meters: of the profile, of registers where there is none, and of nobody else."""

from datetime import date, timedelta

from central.accounts.models import Tenant
from central.metering.last_days import last_days
from central.metering.models import MeterMonth
from central.metering.months import month_of
from central.registry.models import Meter
from central.store.engine import Database
from tests.central.metering.test_overview import DAY, NOW, tenant

__all__ = ["tenant"]


async def test_by_profile_or_by_registers(database: Database, tenant: Tenant) -> None:
    async with database.write() as db:
        bare = Meter(tenant_id=tenant.id, key="bare", serial="bare", created_at=NOW)
        db.add(bare)
        await db.flush()
        for meter, month, days in (
            (bare.id, month_of(date(2026, 2, 1)), (27, 28)),
            (bare.id, month_of(DAY), (1, 9, 10, 11)),
            (1, month_of(DAY), (3,)),
        ):
            mask = sum(1 << (day - 1) for day in days)
            db.add(MeterMonth(tenant_id=tenant.id, meter_id=meter, month=month, days=mask, read_at=NOW))
        number = bare.id
    async with database.read() as db:
        found = await last_days(db, tenant.id, (1, 3, number), date(2026, 2, 28), DAY)
    yesterday = DAY - timedelta(days=1)
    assert found.registers == {3, number}
    assert found.held[1] == {yesterday: 96 * 900, DAY: 24 * 900}  # the registers of who has a profile say nothing
    assert 3 not in found.held
    assert sorted(found.held[number]) == [date(2026, 2, 28), date(2026, 3, 1), yesterday, DAY]
    assert min(found.held[number].values()) >= 25 * 3600  # whole, on the longest day too
