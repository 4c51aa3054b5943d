"""A database as operators meet it: real load curves, two gateways, and every trouble a page has to show."""

import csv
import math
import random
import struct
from array import array
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.accounts.service import TenantOf, create_user, ensure_tenant
from central.alarms.models import AlarmSubscription
from central.ccee.jobs import look
from central.fleet.models import FleetCommand, GatewayHealth, GatewayLive, ModuleHealth
from central.metering.models import Event, MeterMonth, RegisterSet, Snapshot
from central.metering.months import month_of
from central.metering.registers import encode_values
from central.metering.stored import number as day_number
from central.registry import words
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
    MeterModel,
)
from central.settings import CceeSettings
from central.store.engine import Database
from edge.errors import WrongMeterError
from ext.profile import pack
from shared.intervals import day_range, local_date
from shared.quality import Quality
from shared.quantities import Quantity
from shared.wire import (
    ApplyConfig,
    Command,
    GatewayState,
    GatewayTelemetry,
    InstantSnapshot,
    LineState,
    MeterState,
    ModuleTelemetry,
    ReadNow,
    RegisterValue,
    Result,
    encode,
)
from tests.central.enrolment.requests import enrolment
from tests.central.samples import add_day
from tests.central.web import seed_ccee

LOGIN: Final = "ana"
OPERATOR: Final = "rui"
PASSWORD: Final = "quatro cavalos azuis"
CURVE: Final = Path(__file__).parents[3] / "edge" / "simulators" / "data" / "steel_works_26_weeks.csv"
CHANNELS: Final = (Quantity(1, 29), Quantity(5, 29), Quantity(8, 29))
STEP: Final = 900
DAYS: Final = 100
#: What both gateways say is in force.
CONFIG: Final = (
    """gateway = "GATEWAY"
tenant = "demo"

[uplink]
host = "broker.example"
password = "********"

[schedule]
profile = 900
"""
    + seed_ccee.TABLES
)
CONFIG_HASH: Final = "9f2c41aa07b355d1"
ZONE: Final = ZoneInfo("America/Sao_Paulo")

_CUSTOMERS: Final = (
    "Cerâmica Três Irmãos", "Frigorífico Vale Verde", "Hospital São Lucas", "Shopping Ipê", "Metalúrgica Horizonte",
    "Laticínios Serra Azul", "Prefeitura Municipal",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """One seeded meter: the state its gateway tells, and how its curve differs from the others."""

    key: str
    serial: str
    gateway: int
    state: str
    shift_weeks: int
    scale: float
    gaps: str = ""  # "" none, "hours" some of two days, "days" three whole days, "now" the last two days
    error: str = ""
    registered: bool = True


#: As the gateway says why it does not read.
_SILENT: Final = "meter 08910754: command 21 was sent 7 times without an answer"
_REFUSED: Final = "10.2.0.17:5000 refused the connection: nothing listens on port 5000 there"

PLANS: Final = (
    Plan("m-0001", "06647671", 0, "ok", 0, 1.0),
    Plan("m-0002", "06647673", 0, "ok", 3, 2.6, "hours"),
    Plan("m-0003", "08910754", 0, "unreachable", 6, 0.7, "now", _SILENT),
    Plan("m-0004", "07408071", 0, "wrong_serial", 2, 0.4, "days", str(WrongMeterError("07408071", "07408072"))),
    Plan("m-0005", "05622103", 0, "unreconciled", 5, 1.4),
    Plan("m-0006", "06647683", 1, "ok", 1, 3.1, "hours"),
    Plan("m-0007", "07582095", 1, "ok", 4, 0.2, registered=False),
)

#: Households of the group Vila Prudente, more than one page of a tree: customers and points without meters.
HOUSEHOLDS: Final = 75
#: Meter key -> group of its customer, its lot, how far its point lies from the first (degrees).
HOMES: Final = {
    "m-0001": ("Mooca", 0, 0.000, 0.000), "m-0002": ("Mooca", 0, 0.004, 0.006), "m-0003": ("Mooca", 1, -0.006, 0.003),
    "m-0004": ("Vila Prudente", 1, -0.021, 0.018), "m-0005": ("Vila Prudente", 2, -0.028, 0.012),
    "m-0006": ("Lapa", 2, 0.033, -0.102),
}  # fmt: skip
#: Group -> the group it lies in.
GROUPS: Final = {"Região Leste": "", "Mooca": "Região Leste", "Vila Prudente": "Região Leste", "Lapa": ""}
#: Days from today on which the lots are due.
LOTS: Final = (-6, 1, 8, 15, 22)

#: (code, what the gateway said) of configurations applied to the first gateway, as ``conf-<code>``.
APPLIED: Final = (
    ("done", "in force; the broker was reached with it"),
    (
        "invalid",
        (
            "the new configuration is not a usable configuration:\n"
            "  line 9, schedule.profle: unknown key 'profle'; did you mean 'profile'?\n"
            "  line 2, tenant: expected `str`, got `int`"
        ),
    ),
    (
        "rolled_back",
        "the previous configuration is back: the broker was not reached within 20 s: [Errno 111] Connection refused",
    ),
    ("not_permitted", "permissions.apply_config is off in the gateway's configuration"),
)


async def seed(database: Database, now: int) -> None:
    """Fill an empty database; ``now`` is the instant at which everything ends."""
    ours = TenantOf("demo", "Distribuidora Demonstração", ZONE.key)
    theirs = TenantOf("other", "Another utility", ZONE.key)
    await create_user(database, ours, LOGIN, "Ana Souza", PASSWORD, role="administrator", now=now)
    await create_user(database, ours, OPERATOR, "Rui Lima", PASSWORD, role="operator", now=now)
    await create_user(database, theirs, "bob", "Bob", PASSWORD, role="administrator", now=now)
    async with database.write() as db:
        tenant, other = await ensure_tenant(db, ours), await ensure_tenant(db, theirs)
        db.add(Meter(tenant_id=other.id, key="secret-1", serial="99999999", created_at=now))
        db.add(Gateway(tenant_id=other.id, key="secret-gw", name="Not yours", created_at=now))
        gateways = await _gateways(db, tenant, now)
        model = MeterModel(tenant_id=tenant.id, key="saga1000", maker="Landis+Gyr", name="SAGA 1000", protocol="abnt")
        db.add(model)
        await db.flush()
        meters = {
            plan.key: await _meter(db, tenant, gateways[plan.gateway], model, plan, customer, now)
            for plan, customer in zip(PLANS, _CUSTOMERS, strict=True)
        }
        await _business(db, tenant, meters, now)
        await _commands(db, tenant, gateways[0], now)
        db.add(AlarmSubscription(
            tenant_id=tenant.id, kind="email", target="plantao@example.org", least=3, created_at=now, created_by=LOGIN
        ))  # fmt: skip
        await seed_ccee.seed_ccee(db, tenant, meters, ZONE, now)
        db.add(enrolment(tenant.id, gateways[1].id, "7KQ2M", now))
        await db.flush()
        await words.rebuild(db, tenant.id)
    await look(database, CceeSettings(), now)  # nobody came to a meter: I01


async def _business(db: AsyncSession, tenant: Tenant, meters: dict[str, Meter], now: int) -> None:
    """Groups, lots with their calendar, positions, households, and what is kept of each month."""
    today = local_date(now, ZONE)
    groups: dict[str, CustomerGroup] = {}
    for name, parent in GROUPS.items():
        groups[name] = CustomerGroup(tenant_id=tenant.id, name=name, parent_id=groups[parent].id if parent else None)
        db.add(groups[name])
        await db.flush()
    lots = [
        Lot(tenant_id=tenant.id, key=f"L{n + 1:02}", name=f"Lote {n + 1:02}", reading_day=5 * n + 2)
        for n in range(len(LOTS))
    ]
    db.add_all(lots)
    await db.flush()
    for lot, days in zip(lots, LOTS, strict=True):
        due = today + timedelta(days=days)
        db.add(LotDate(lot_id=lot.id, month=month_of(due), due_on=day_number(due)))
    for plan in PLANS:
        _months(db, tenant, meters[plan.key], plan, now)
        if plan.key not in HOMES:
            continue
        name, lot_number, north, east = HOMES[plan.key]
        point = (await db.scalars(select(MeteringPoint).where(MeteringPoint.key == f"P-{plan.key}"))).one()
        point.latitude, point.longitude = -23.5505 + north, -46.5997 + east
        owner = await db.get_one(Customer, point.customer_id)
        owner.group_id, owner.lot_id = groups[name].id, lots[lot_number].id
    for house in range(HOUSEHOLDS):
        owner = Customer(
            tenant_id=tenant.id, external_key=f"UC9{house:05}", name=f"Residência {house + 1:03}",
            group_id=groups["Vila Prudente"].id, lot_id=lots[3].id, created_at=now,
        )  # fmt: skip
        db.add(owner)
    await db.flush()


def _months(db: AsyncSession, tenant: Tenant, meter: Meter, plan: Plan, now: int) -> None:
    """A reading a day but for the plan's gaps, 1800 kWh x scale a day."""
    today = local_date(now, ZONE)
    gone = {"days": (3, 4, 5), "now": (0, 1), "hours": (11,)}.get(plan.gaps, ())
    total = int(3_091_427 * plan.scale)
    found: dict[int, list[int]] = {}
    for back in range(DAYS):
        if back not in gone:
            found.setdefault(month_of(today - timedelta(days=back)), []).append(back)
    for month, backs in found.items():
        days = [(today - timedelta(days=back)).day for back in backs]
        last, first = min(backs), max(backs)
        ends = [total - int(1800 * plan.scale) * back for back in (first, last)]
        at = [(now - 240 - 86400 * back) for back in (first, last)]
        db.add(MeterMonth(
            tenant_id=tenant.id, meter_id=meter.id, month=month, days=sum(1 << (day - 1) for day in days),
            read_at=at[1], first_at=at[0], first_total=ends[0] * 1_000_000, last_at=at[1],
            last_total=ends[1] * 1_000_000,
        ))  # fmt: skip


async def _gateways(db: AsyncSession, tenant: Tenant, now: int) -> list[Gateway]:
    first = Gateway(
        tenant_id=tenant.id, key="gw-mooca", name="Mooca 01", place="SE Mooca, sala de medição", created_at=now
    )
    second = Gateway(tenant_id=tenant.id, key="gw-lapa", name="Lapa 02", place="SE Lapa", created_at=now)
    db.add_all([first, second])
    await db.flush()
    for number, gateway in enumerate((first, second)):
        online = number == 0
        contact = now - (4 if online else 5 * 3600)
        state = GatewayState(
            contact, online, "0.1.0", bytes(16), "9f2c41aa", now - 86400 * 9, 3 if online else 1840,
            [
                LineState("rs485-1", "busy", "m-0001", 2, "", now - 2),
                LineState("tcp-2", "idle", "", 0, "", now - 40),
                LineState("optical-3", "backing_off", "", 1, _REFUSED, now - 900),
            ] if online else [LineState("tcp-1", "idle")],
            [_state(plan, now) for plan in PLANS if plan.gateway == number],
            [] if online else ["spool_full: the spool is full: readings pause"],
            seed_ccee.states(now, number),
        )  # fmt: skip
        db.add(
            GatewayLive(
                gateway_id=gateway.id,
                online=online,
                contact_at=contact,
                changed_at=now - 86400 if online else contact,
                state=encode(state),
                config=(CONFIG if online else CONFIG.replace(seed_ccee.TABLES, "")).replace("GATEWAY", gateway.key),
                config_hash=CONFIG_HASH,
            )
        )
        for back in range(0, 3 * 86400, 600):
            at = contact - back
            rows = int(8 + 6 * math.sin(at / 4000) + (500 if 30_000 < back < 40_000 else 0))
            telemetry = GatewayTelemetry(
                at, 86400 * 9 - back, 46_000_000 + at % 2_000_000, 300 << 20, 21 << 30, 0.2, rows, rows * 150,
                3.0 * math.sin(at / 9000), [ModuleTelemetry("modem-1", 41.0, -71.0)],
            )  # fmt: skip
            db.add(
                GatewayHealth(
                    tenant_id=tenant.id,
                    gateway_id=gateway.id,
                    at=at,
                    spool_rows=rows,
                    rss_bytes=telemetry.rss_bytes,
                    clock_offset_ms=telemetry.clock_offset_ms,
                    data=encode(telemetry),
                )
            )
    return [first, second]


def _state(plan: Plan, now: int) -> MeterState:
    late = {"unreachable": 2 * 86400, "wrong_serial": 3 * 86400}.get(plan.state, 240)
    return MeterState(
        plan.key, "rs485-1", plan.state, "abnt", now - late, plan.error, "modem-1", 40 if plan.gaps else 0
    )


async def _meter(
    db: AsyncSession, tenant: Tenant, gateway: Gateway, model: MeterModel, plan: Plan, customer: str, now: int
) -> Meter:
    meter = Meter(
        tenant_id=tenant.id, key=plan.key, serial=plan.serial, model_id=model.id, gateway_id=gateway.id,
        registered=plan.registered, created_at=now - DAYS * 86400,
    )  # fmt: skip
    db.add(meter)
    module = CommunicationModule(
        tenant_id=tenant.id, key=f"modem-{plan.key}", name="Modem 4G", gateway_id=gateway.id, created_at=now
    )
    db.add(module)
    point_id = None
    if plan.registered:
        owner = Customer(tenant_id=tenant.id, external_key=f"UC4000{plan.serial[-5:]}", name=customer, created_at=now)
        db.add(owner)
        await db.flush()
        point = MeteringPoint(
            tenant_id=tenant.id, key=f"P-{plan.key}", name=f"Entrada {plan.serial[-3:]}", customer_id=owner.id,
            address="Rua da Mooca, 1200, São Paulo", created_at=now,
        )  # fmt: skip
        db.add(point)
        await db.flush()
        point_id = point.id
    await db.flush()
    db.add(
        Installation(
            tenant_id=tenant.id, meter_id=meter.id, point_id=point_id, module_id=module.id, starts_at=now - 300 * 86400
        )
    )
    for back in range(0, 7 * 86400, 1800):
        db.add(
            ModuleHealth(
                tenant_id=tenant.id,
                module_id=module.id,
                at=now - back,
                signal_percent=None,
                temperature=round(36 + 7 * math.sin((now - back) / 86400 * math.tau), 1),
                signal_dbm=round(-72 + 4 * math.sin(back / 7000), 1),
            )
        )
    await _profile(db, tenant, meter, plan, now)
    _values(db, tenant, meter, plan, now)
    for kind, at, until, detail in (
        ("outage", now - 4 * 86400, now - 4 * 86400 + 5400, {}),
        ("clock_set", now - 9 * 86400, None, {"shift_s": -12}),
        ("demand_reset", now - 20 * 86400, None, {"count": 41}),
    ):
        db.add(
            Event(
                tenant_id=tenant.id,
                meter_id=meter.id,
                gateway_id=gateway.id,
                at=at + meter.id * 977,
                until=until and until + meter.id * 977,
                kind=kind,
                detail=msgspec.json.encode(detail).decode(),
                received_at=at + 60,
            )
        )
    return meter


async def _profile(db: AsyncSession, tenant: Tenant, meter: Meter, plan: Plan, now: int) -> None:
    rows = _curve()
    today = local_date(now, ZONE)
    whole = len(rows)
    for back in range(DAYS):
        day = today - timedelta(days=back)
        start, end = day_range(day, ZONE)
        count = (end - start) // STEP
        flags = array("H", (_flags(plan, day, start + i * STEP, back, now) for i in range(count)))
        weekday_start = (plan.shift_weeks * 7 + day.weekday() + 7 * ((today - day).days // 7 % 12)) * 96
        for column, channel in enumerate(CHANNELS):
            values = array("q", (
                0 if flags[i] & Quality.MISSING else int(rows[(weekday_start + i) % whole][column] * plan.scale)
                for i in range(count)
            ))  # fmt: skip
            held = sum(1 for flag in flags if not flag & Quality.MISSING)
            bits = 0
            for flag in flags:
                bits |= flag
            data = pack(values, flags, STEP)
            await add_day(
                db, meter, channel, day, start, data, step=STEP, held=held, flags=bits, total=sum(values), den=100
            )


def _flags(plan: Plan, day: date, at: int, back: int, now: int) -> int:
    hour = (at // 3600 - 3) % 24
    missing = (
        at + STEP > now
        or (plan.gaps == "hours" and back in (2, 11) and 9 <= hour < 14)
        or (plan.gaps == "days" and 3 <= back < 6)
        or (plan.gaps == "now" and at > now - 2 * 86400)
    )
    if missing:
        return int(Quality.MISSING)
    if plan.state == "unreconciled" and back < 3:
        return int(Quality.UNRECONCILED)
    if back == 4 and hour == 3:
        return int(Quality.OUTAGE)
    if back == 3 and 10 <= hour < 12 and plan.gaps == "hours":
        return int(Quality.ESTIMATED)
    return 0


def _values(db: AsyncSession, tenant: Tenant, meter: Meter, plan: Plan, now: int) -> None:
    pick = random.Random(plan.key)
    registers = []
    for c, size in ((1, 309_142_780), (5, 88_014_000), (8, 4_120_700)):
        shares = {1: 0.11, 2: 0.89, 3: 0.0}
        registers += [
            RegisterValue(str(Quantity(c, 8, post)), int(size * plan.scale * share), 1, 100)
            for post, share in shares.items()
        ]
        registers.append(RegisterValue(str(Quantity(c, 8, 0)), int(size * plan.scale), 1, 100))
    registers += [
        RegisterValue(
            str(Quantity(1, 6, post)), int(12_000 * plan.scale * share), 1, 100, now - 86400 * 3 - post * 4500
        )
        for post, share in ((1, 0.8), (2, 1.0))
    ]
    db.add(
        RegisterSet(
            tenant_id=tenant.id,
            meter_id=meter.id,
            at=now - 240,
            read_at=now - 238,
            period=0,
            resets=41,
            reset_at=now - 20 * 86400,
            data=encode_values(registers),
        )
    )
    volts = [127 + pick.uniform(-2, 2) for _ in range(3)]
    amps = [182 * plan.scale * pick.uniform(0.85, 1.1) for _ in range(3)]
    shifts = [pick.uniform(12, 31) for _ in range(3)]
    powers = [v * a * math.cos(math.radians(s)) for v, a, s in zip(volts, amps, shifts, strict=True)]
    reactive = [v * a * math.sin(math.radians(s)) for v, a, s in zip(volts, amps, shifts, strict=True)]
    values: dict[int, float] = {
        **dict(zip((32, 52, 72), volts, strict=True)), **dict(zip((31, 51, 71), amps, strict=True)), 91: 3.1,
        **dict(zip((21, 41, 61), powers, strict=True)), 16: sum(powers),
        **dict(zip((23, 43, 63), reactive, strict=True)), 3: sum(reactive),
        **{c: math.cos(math.radians(s)) for c, s in zip((33, 53, 73), shifts, strict=True)}, 13: 0.93,
        141: 0.0, 142: 240.2, 143: 119.7, **dict(zip((151, 152, 153), shifts, strict=True)), 14: 60.01, 160: 38.5,
    }  # fmt: skip
    codes = [str(Quantity(c, 7)) for c in values]
    data = encode(InstantSnapshot(plan.key, now - 30, codes, struct.pack(f"<{len(codes)}f", *values.values())))
    db.add(Snapshot(tenant_id=tenant.id, meter_id=meter.id, at=now - 30, data=data))


async def _commands(db: AsyncSession, tenant: Tenant, gateway: Gateway, now: int) -> None:
    action = encode(Command("done-1", now - 4000, now - 400, LOGIN, ReadNow("m-0001", ["registers"])))
    result = Result("done-1", now - 3990, True, "done", "4 kinds read in 3.1 s")
    meter = await db.get_one(Meter, 2)
    db.add(
        FleetCommand(
            id="done-1",
            tenant_id=tenant.id,
            gateway_id=gateway.id,
            meter_id=meter.id,
            kind="read_now",
            by=LOGIN,
            action=action,
            issued_at=now - 4000,
            expires_at=now - 400,
            status="done",
            sends=1,
            sent_at=now - 3999,
            finished_at=now - 3990,
            code="done",
            message=result.message,
            result=encode(result),
        )
    )

    for number, (code, message) in enumerate(APPLIED):
        text = CONFIG.replace("GATEWAY", gateway.key).replace("profile", "profle")
        command = Command(f"conf-{code}", now - 9000 - number, now - 5400, LOGIN, ApplyConfig(text, CONFIG_HASH))
        ended = Result(command.id, now - 8990, code == "done", code, message)
        db.add(
            FleetCommand(
                id=command.id,
                tenant_id=tenant.id,
                gateway_id=gateway.id,
                kind="apply_config",
                by=LOGIN,
                action=encode(command),
                issued_at=command.issued_at,
                expires_at=command.expires_at,
                status="done" if ended.ok else "failed",
                sends=1,
                sent_at=now - 8999,
                finished_at=now - 8990,
                code=code,
                message=message,
                result=encode(ended),
            )
        )


def _curve() -> list[tuple[int, int, int]]:
    with CURVE.open(newline="") as source:
        return [(int(row["active"]), int(row["inductive"]), int(row["capacitive"])) for row in csv.DictReader(source)]
