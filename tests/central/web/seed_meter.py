"""A small utility whose meters show all that a meter's page has: registers by post of every day, a lot, histories."""

import math
from array import array
from datetime import timedelta
from fractions import Fraction
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.accounts.service import TenantOf, create_user, ensure_tenant
from central.fleet.models import GatewayLive, ModuleHealth
from central.metering.models import MeterMonth, RegisterSet
from central.metering.registers import encode_values
from central.registry.models import (
    CommunicationModule,
    Customer,
    CustomerGroup,
    Gateway,
    Installation,
    Lot,
    Meter,
    MeteringPoint,
    MeterModel,
    Supply,
)
from central.store.engine import Database
from ext.profile import pack
from shared.intervals import day_range, local_date
from shared.quality import Quality
from shared.quantities import ACTIVE_PROFILE, Quantity
from shared.wire import GatewayState, LineState, MeterState, RegisterValue, encode
from tests.central.samples import add_day
from tests.central.web.seed import LOGIN, OPERATOR, PASSWORD, ZONE

DAYS: Final = 130
#: kWh of a day by post: peak, intermediate, off-peak.
DAILY: Final = {1: Fraction(11, 10), 4: Fraction(7, 10), 2: Fraction(52, 10)}
#: Days back from today without a register reading.
MISSED: Final = (5, 12, 13)
DUE_DAY: Final = 28


async def seed_meter(database: Database, now: int) -> None:
    """Fill an empty database; ``now`` is the instant at which everything ends."""
    ours = TenantOf("demo", "Distribuidora Demonstração", ZONE.key)
    await create_user(database, ours, LOGIN, "Ana Souza", PASSWORD, role="administrator", now=now)
    await create_user(database, ours, OPERATOR, "Rui Lima", PASSWORD, role="viewer", now=now)
    async with database.write() as db:
        tenant = await ensure_tenant(db, ours)
        first = {"tenant_id": tenant.id, "created_at": now - DAYS * 86400}
        gateway = Gateway(key="gw-mooca", name="Mooca 01", place="SE Mooca", **first)
        model = MeterModel(tenant_id=tenant.id, key="mep2", maker="ELO", name="MEP-2", protocol="abnt")
        lot = Lot(tenant_id=tenant.id, key="vermelho", name="Lote vermelho", reading_day=DUE_DAY)
        group = CustomerGroup(tenant_id=tenant.id, name="Mooca")
        db.add_all([gateway, model, lot, group])
        await db.flush()
        db.add(GatewayLive(gateway_id=gateway.id, online=True, contact_at=now - 4, changed_at=now - 86400, state=_state(
            now, ("r-0001", "r-0002", "i-0001", "n-0001")
        )))  # fmt: skip
        homes = Customer(
            external_key="UC400071234", name="Condomínio Jardim das Acácias", contract="78987799", group_id=group.id,
            lot_id=lot.id, email="sindico@example.org", **first,
        )  # fmt: skip
        before = Customer(external_key="UC400070001", name="Construtora Acácias", **first)
        mill = Customer(external_key="UC400080001", name="Moinho São Jorge", **first)
        db.add_all([homes, before, mill])
        await db.flush()
        old = Meter(key="r-0000", serial="07581000", model_id=model.id, ends_on=0, **first)
        db.add(old)
        for number, (key, serial, customer) in enumerate(
            (("r-0001", "07582095", homes), ("r-0002", "07582096", homes), ("i-0001", "06647671", mill))
        ):
            meter = Meter(key=key, serial=serial, model_id=model.id, gateway_id=gateway.id, can_cut=True, **first)
            module = CommunicationModule(
                key=f"modem-{key}", name="Modem 4G", gateway_id=gateway.id, model="MC-4G", serial=f"880{serial}",
                address="10.64.3.17", **first,
            )  # fmt: skip
            point = MeteringPoint(
                key=f"P-{key}", name=f"Entrada {number + 1}", customer_id=customer.id,
                address="Rua da Mooca, 1200, São Paulo", latitude=-23.5558 + number / 900, longitude=-46.6025, **first,
            )  # fmt: skip
            db.add_all([meter, module, point])
            await db.flush()
            at = {"tenant_id": tenant.id, "point_id": point.id}
            db.add(Installation(meter_id=meter.id, module_id=module.id, starts_at=now - DAYS * 86400, **at))
            if number == 0:
                db.add(Installation(
                    meter_id=old.id, starts_at=now - 900 * 86400, ends_at=now - DAYS * 86400, reason="Exchange", **at
                ))  # fmt: skip
                db.add(Supply(
                    customer_id=before.id, starts_at=now - 900 * 86400, ends_at=now - 400 * 86400, reason="Moved", **at
                ))  # fmt: skip
                db.add(Supply(customer_id=homes.id, starts_at=now - 400 * 86400, **at))
            _module(db, tenant, module, now)
            _registers(db, tenant, meter, now, 1 + number, daily=DAYS if number < 2 else 3)
            if key == "i-0001":
                await _profile(db, meter, now)
        db.add(Meter(key="n-0001", serial="05622103", gateway_id=gateway.id, **first | {"created_at": now - 3600}))


def _state(now: int, keys: tuple[str, ...]) -> bytes:
    meters = [MeterState(key, "rs485-1", "ok", "abnt", now - 240, "", "", 0) for key in keys]
    lines = [LineState("rs485-1", "idle", "", 0, "", now - 40)]
    return encode(GatewayState(now - 4, True, "0.1.0", bytes(16), "9f2c41aa", now - 86400, 3, lines, meters, [], []))


def _module(db: AsyncSession, tenant: Tenant, module: CommunicationModule, now: int) -> None:
    for back in range(0, 7 * 86400, 3600):
        db.add(ModuleHealth(
            tenant_id=tenant.id, module_id=module.id, at=now - back, signal_percent=None,
            temperature=round(36 + 7 * math.sin((now - back) / 86400 * math.tau), 1),
            signal_dbm=round(-72 + 4 * math.sin(back / 7000), 1),
        ))  # fmt: skip


def _registers(db: AsyncSession, tenant: Tenant, meter: Meter, now: int, times: int, *, daily: int) -> None:
    """A reading at 00:10 of each day but the missed ones; the maximum of a post is kept since the last due day."""
    today = local_date(now, ZONE)
    totals = {post: 1000 * energy for post, energy in DAILY.items()}
    maxima: dict[int, tuple[int, int]] = {}
    months: dict[int, MeterMonth] = {}
    for back in range(daily, -1, -1):
        day = today - timedelta(days=back)
        at = day_range(day, ZONE).start + 600
        grown = Fraction(times) * (100 + 20 * (day.weekday() > 4) + back % 9) / 100
        totals = {post: total + DAILY[post] * grown for post, total in totals.items()}
        if day.day == DUE_DAY:
            maxima = {}
        for post in DAILY:
            value = times * (100 * (2 if post == 2 else 1) + day.day % 7 * 12 + post * 3)
            maxima[post] = max(maxima.get(post, (0, 0)), (value, at - 6 * 3600), key=lambda each: each[0])
        if at > now or back in MISSED:
            continue
        values = [
            RegisterValue(str(Quantity(1, 8, post)), int(total * 1000), 1, 1000) for post, total in totals.items()
        ]
        values.append(RegisterValue("1.8.0", sum(value.value for value in values), 1, 1000))
        values += [RegisterValue("1.8.3", 0, 1, 1000), RegisterValue("2.8.0", 4_000 + 17 * (daily - back), 1, 1000)]
        values += [RegisterValue(str(Quantity(1, 6, p)), v, 1, 100, when) for p, (v, when) in maxima.items()]
        db.add(RegisterSet(
            tenant_id=tenant.id, meter_id=meter.id, at=at, read_at=at + 3, period=0, data=encode_values(values)
        ))  # fmt: skip
        total = int(sum(totals.values()) * 1_000_000)
        number = day.year * 12 + day.month - 1
        row = months.setdefault(
            number,
            MeterMonth(tenant_id=tenant.id, meter_id=meter.id, month=number, days=0, first_at=at, first_total=total),
        )
        row.days |= 1 << (day.day - 1)
        row.read_at, row.last_at, row.last_total = at, at, total
    db.add_all(months.values())


async def _profile(db: AsyncSession, meter: Meter, now: int) -> None:
    """Quarter hours in Wh up to now; nine hours of one day are missing."""
    today = local_date(now, ZONE)
    for back in range(95):
        day = today - timedelta(days=back)
        start, end = day_range(day, ZONE)
        count = (end - start) // 900
        flags = array("H", (
            int(Quality.MISSING) if start + 900 * (i + 1) > now or (back == 3 and 36 <= i < 72) else 0
            for i in range(count)
        ))  # fmt: skip
        values = array("q", (
            0 if flags[i] else int(9000 + 4000 * math.sin((i - 30) / 96 * math.tau) + back % 7 * 300)
            for i in range(count)
        ))  # fmt: skip
        held = sum(not flag for flag in flags)
        await add_day(
            db, meter, ACTIVE_PROFILE, day, start, pack(values, flags, 900), held=held,
            flags=int(Quality.MISSING) if held < count else 0, total=sum(values), den=1000,
        )  # fmt: skip
