"""Two tenants with everything a request can ask for, and a client of the whole application."""

import time
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar.testing import AsyncTestClient
from sqlalchemy import select

from central.accounts import keys
from central.accounts.models import Grant, Role, Tenant, User
from central.accounts.principal import Principal
from central.accounts.roles import grant, make_roles
from central.accounts.sessions import NewSession, open_session
from central.accounts.tokens import digest
from central.alarms.models import Alarm, AlarmSubscription
from central.ccee.models import CceeConnection
from central.ccee.store import store_captures, store_connections
from central.fleet.models import GatewayHealth, GatewayLive, ModuleHealth
from central.fleet.service import enqueue
from central.metering.models import Event, RegisterSet, Snapshot
from central.registry import changes, records, relations, words
from central.registry.kinds import CUSTOMER, HOLIDAY, KINDS, LOT, MODEL, POINT, TARIFF
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
from central.reports.models import ReportJob, ReportSchedule, SavedView
from central.settings import DatabaseSettings, Settings
from central.store.engine import Database
from central.webhooks.models import Webhook, WebhookDelivery
from ext.profile import pack
from shared.calendar_builders import brazil_calendar
from shared.intervals import day_range
from shared.quality import Quality
from shared.quantities import ACTIVE_PROFILE
from shared.wire import (
    GatewayState,
    GatewayTelemetry,
    InstantSnapshot,
    LineState,
    MeterState,
    ReadNow,
    RegisterValue,
    encode,
)
from tests.central.application import application
from tests.central.ccee.samples import capture
from tests.central.ccee.samples import connection as sample
from tests.central.enrolment.requests import enrolment
from tests.central.samples import add_day

ZONE = "America/Sao_Paulo"
DAY = date(2026, 3, 10)
#: Raw counts of the one stored day: interval 5 is missing, 6 is estimated.
COUNTS = [i * 7 for i in range(96)]
MISSING_AT, ESTIMATED_AT = 5, 6
NUM, DEN, RATIO = 1, 1000, 40
START = day_range(DAY, ZoneInfo(ZONE)).start


@dataclass
class Side:
    """One tenant: keys and sessions to come in with, and names of what it has."""

    tenant: Tenant
    admin: User
    viewer: User
    write_key: str = ""
    read_key: str = ""
    session: NewSession = field(default_factory=lambda: NewSession("", "", 0))
    viewer_session: NewSession = field(default_factory=lambda: NewSession("", "", 0))
    ids: dict[str, Any] = field(default_factory=dict)


def bearer(key: str) -> dict[str, str]:
    """Headers of a program."""
    return {"Authorization": f"Bearer {key}"}


def person(session: NewSession) -> dict[str, str]:
    """Headers of a browser that sends unsafe requests."""
    return {"Cookie": f"mg_session={session.token}", "X-CSRF-Token": session.csrf}


@asynccontextmanager
async def running(database_url: str, **settings: Any) -> AsyncIterator[AsyncTestClient[Any]]:
    """The application with its lifespan, over one database."""
    with TemporaryDirectory(prefix="metergate-") as folder:
        app = application(Settings(database=DatabaseSettings(url=database_url), data_dir=folder, **settings))
        async with AsyncTestClient(app, raise_server_exceptions=False) as client:
            yield client


async def make_side(database: Database, name: str, *, filled: bool = True) -> Side:
    """Enter a tenant with users, keys and sessions; ``filled``: with one of everything in registry and readings too."""
    now = int(time.time())
    async with database.write() as db:
        tenant = Tenant(key=name, name=name.title(), zone=ZONE)
        db.add(tenant)
        await db.flush()
        users = []
        for role in ("admin", "viewer"):
            user = User(
                tenant_id=tenant.id,
                login=f"{role}@{name}",
                name=role,
                password_hash="",
                created_at=now,
            )
            db.add(user)
            users.append(user)
        await make_roles(db, tenant.id)
        for user, role in zip(users, ("administrator", "operator"), strict=True):
            await db.flush()
            await grant(db, user, role)
            await db.refresh(user)
        admin, viewer = users
        side = Side(tenant, admin, viewer)
        who = Principal.of_session(side.admin, "", b"")
        _, side.write_key = await keys.create_key(db, who, "writes", permissions="", expires_at=None, now=now)
        _, side.read_key = await keys.create_key(db, who, "reads", permissions="read", expires_at=None, now=now)
        side.session = await open_session(db, side.admin, "127.0.0.1", "test", now)
        side.viewer_session = await open_session(db, side.viewer, "127.0.0.1", "test", now)
        if filled:
            await _fill(db, side, now)
            await db.flush()
            await words.rebuild(db, tenant.id)
            await _lists(db, side, who)
    return side


async def _fill(db: Any, side: Side, now: int) -> None:
    tenant, at = side.tenant.id, {"created_at": now}
    gateway = Gateway(tenant_id=tenant, key="gw-1", name="Substation", **at)
    model = MeterModel(tenant_id=tenant, key="m300", name="M 300", maker="Maker", protocol="abnt")
    group = CustomerGroup(tenant_id=tenant, name="Industry")
    lot = Lot(tenant_id=tenant, key="lot-1", name="First", reading_day=5)
    db.add_all([gateway, model, group, lot])
    await db.flush()
    module = CommunicationModule(tenant_id=tenant, key="mod-1", name="Modem", gateway_id=gateway.id, **at)
    customer = Customer(
        tenant_id=tenant, external_key="c-1", name="Açougue São João", group_id=group.id, lot_id=lot.id, **at
    )
    db.add_all([module, customer])
    await db.flush()
    point = MeteringPoint(tenant_id=tenant, key="p-1", name="Main", customer_id=customer.id, address="Rua A", **at)
    meter = Meter(
        tenant_id=tenant, key="meter-1", serial="12345678", name="", model_id=model.id, gateway_id=gateway.id,
        multiplier_num=RATIO, multiplier_den=1, **at,
    )  # fmt: skip
    db.add_all([point, meter])
    await db.flush()
    installation = Installation(
        tenant_id=tenant, meter_id=meter.id, point_id=point.id, module_id=module.id, starts_at=START - 86400
    )
    db.add(installation)
    await _readings(db, tenant, gateway, module, meter, now)
    key = await keys.create_key(
        db, Principal.of_session(side.admin, "", b""), "spare", permissions="read", expires_at=None, now=now
    )
    command = await enqueue(db, tenant, gateway, ReadNow(meter.key, ["registers"]), by="test", now=now)
    db.add(Role(tenant_id=tenant, key="spare", name="Spare", permissions="read", builtin=False))
    grants = (await db.scalars(select(Grant).where(Grant.user_id == side.viewer.id))).all()
    spare = digest((await open_session(db, side.admin, "127.0.0.1", "spare", now)).token).hex()[:16]
    await db.flush()
    connection, alarm, subscription = await _ccee(db, tenant, gateway, meter, now)
    webhook = Webhook(
        tenant_id=tenant, url="https://example.org/hook", kinds="", secret="s" * 64, enabled=True, created_at=now,
        created_by="test",
    )  # fmt: skip
    db.add(webhook)
    await db.flush()
    delivery = WebhookDelivery(
        webhook_id=webhook.id, kind="ping", body='{"id":"1","kind":"ping","at":"2026-03-10T00:00:00Z","data":{}}',
        state="failed", tries=3, next_at=now, status=404, error="answered 404",
    )  # fmt: skip
    db.add(delivery)
    asked = enrolment(tenant, gateway.id, "AAAAA", now)
    db.add(asked)
    mine = {"user_id": side.admin.id, "report": "availability"}
    made = {"tenant_id": tenant, "format": "csv", "language": "en", "parameters": "{}", **at}
    job = ReportJob(state="queued", **mine, **made)
    schedule = ReportSchedule(name="spare", cadence="daily", next_at=now + 86400, **mine, **made)
    view = SavedView(name="spare", data="{}", **mine)
    db.add_all([job, schedule, view])
    await db.flush()
    side.ids = {
        "webhook": webhook.id, "delivery": delivery.id,
        "connection": connection.id, "alarm": alarm.id, "subscription": subscription.id, "enrolment": asked.id,
        "group": group.id, "installation": installation.id, "key": key[0].id, "command": command.id,
        "meter": meter.id, "customer": customer.id, "module": module.id, "gateway": gateway.id,
        "grant": grants[0].id, "session": spare,
        "job": job.id, "schedule": schedule.id, "view": view.id,
    }  # fmt: skip


#: Stands in every key and name of what :func:`add_far` enters.
FAR = "zz-far"


async def add_far(database: Database, side: Side) -> dict[str, Any]:
    """Enter a second group with a customer, point, meter, module and gateway of the tenant; returns their ids.

    A third meter of that group hangs on the first gateway: who reaches the first group reaches the gateway, not it.
    """
    now = int(time.time())
    tenant, at = side.tenant.id, {"created_at": now}
    async with database.write() as db:
        group = CustomerGroup(tenant_id=tenant, name=f"{FAR} group")
        gateway = Gateway(tenant_id=tenant, key=f"{FAR}-gw", name=f"{FAR} gateway", **at)
        db.add_all([group, gateway])
        await db.flush()
        asked = enrolment(tenant, gateway.id, "ZZZZZ", now)
        db.add(asked)
        module = CommunicationModule(
            tenant_id=tenant, key=f"{FAR}-mod", name=f"{FAR} module", gateway_id=gateway.id, **at
        )
        db.add(module)
        await db.flush()
        ids: dict[str, Any] = {}
        for key, gateway_id in ((f"{FAR}-m", gateway.id), (f"{FAR}-m2", side.ids["gateway"])):
            customer = Customer(
                tenant_id=tenant, external_key=f"{key}-c", name=f"{key}-customer", group_id=group.id, **at
            )
            db.add(customer)
            await db.flush()
            point = MeteringPoint(
                tenant_id=tenant, key=f"{key}-p", name=key, customer_id=customer.id, address=f"{key}-street",
                latitude=-10.5, longitude=-50.5, **at,
            )  # fmt: skip
            meter = Meter(tenant_id=tenant, key=key, serial=f"{key}-serial", name="", gateway_id=gateway_id, **at)
            db.add_all([point, meter])
            await db.flush()
            installation = Installation(
                tenant_id=tenant, meter_id=meter.id, point_id=point.id, starts_at=START - 86400,
                module_id=module.id if gateway_id == gateway.id else None,
            )  # fmt: skip
            db.add(installation)
            await db.flush()
            supply = Supply(tenant_id=tenant, point_id=point.id, customer_id=customer.id, starts_at=START - 86400)
            db.add(supply)
            await db.flush()
            ids.setdefault("supply", supply.id)
            ids.setdefault("customer", customer.id)
            ids.setdefault("module", module.id)
            ids.setdefault("installation", installation.id)
            ids.setdefault("meter", meter.id)
            if gateway_id == gateway.id:
                await _readings(db, tenant, gateway, module, meter, now)
                command = await enqueue(db, tenant, gateway, ReadNow(key, ["registers"]), by=f"{FAR} person", now=now)
                connection, alarm = await _ccee_trouble(db, tenant, gateway, meter, now)
                ids |= {"command": command.id, "connection": connection.id, "alarm": alarm.id}
            else:
                shared = await db.get_one(Gateway, gateway_id)
                await enqueue(db, tenant, shared, ReadNow(key, ["registers"]), by=f"{FAR} person", now=now)
        states = [
            MeterState("meter-1", "line-1", "ok", "simulated"),
            MeterState(f"{FAR}-m2", "line-1", "stale", "simulated", error=f"{FAR} trouble"),
        ]
        told = GatewayState(
            now, True, lines=[LineState("line-1", "busy", owner=f"{FAR}-m2", error=f"{FAR} noise")], meters=states
        )
        db.add(
            GatewayLive(
                gateway_id=side.ids["gateway"], online=True, contact_at=now, changed_at=now, state=encode(told),
                config=f'[gateway]\nid = "gw-1"\n[[meters]]\nid = "{FAR}-m2"\n', config_hash="abc",
            )
        )  # fmt: skip
    return ids | {"group": group.id, "gateway": gateway.id, "enrolment": asked.id}


async def _lists(db: Any, side: Side, who: Principal) -> None:
    """One of each list, called ``k-1``, and who is supplied at the point."""
    calendar = msgspec.json.encode(brazil_calendar()).decode()
    day = await changes.put(db, who, HOLIDAY, None, {"name": "Christmas", "month": 12, "day": 25})
    for kind in KINDS:
        if kind.group != "business" and not kind.numbered and kind not in (LOT, MODEL):
            await changes.put(db, who, kind, "k-1", {"calendar": calendar} if kind is TARIFF else {})
    point = (await records.get(db, who.tenant_id, POINT, "p-1")).id
    customer = (await records.get(db, who.tenant_id, CUSTOMER, "c-1")).id
    supplied = await relations.supply(db, who, point, customer, START - 86400)
    assert supplied is not None
    side.ids |= {"holiday": day.id, "supply": supplied.id}


async def _ccee(
    db: Any, tenant: int, gateway: Gateway, meter: Meter, now: int
) -> tuple[CceeConnection, Alarm, AlarmSubscription]:
    """A connection that failed twice in a row, with the octets of the second, and who is told of it."""
    subscription = AlarmSubscription(
        tenant_id=tenant, kind="email", target="spare@example.org", least=1, created_at=now, created_by="test"
    )
    db.add(subscription)
    await db.flush()
    row, alarm = await _ccee_trouble(db, tenant, gateway, meter, now)
    return row, alarm, subscription


async def _ccee_trouble(db: Any, tenant: int, gateway: Gateway, meter: Meter, now: int) -> tuple[CceeConnection, Alarm]:
    first, second = (sample(meter.key, START + 3600 * n, "I03") for n in (1, 2))
    await store_connections(db, [(tenant, meter.id, gateway.id, each) for each in (first, second)], now)
    await store_captures(db, [(tenant, meter.id, capture(second))])
    row = await db.scalar(
        select(CceeConnection).where(
            CceeConnection.started_ms == second.started_ms, CceeConnection.meter_id == meter.id
        )
    )
    alarm = await db.scalar(select(Alarm).where(Alarm.code == "I11", Alarm.meter_id == meter.id))
    return row, alarm


async def _readings(
    db: Any, tenant: int, gateway: Gateway, module: CommunicationModule, meter: Meter, now: int
) -> None:
    flags = array("H", [0] * 96)
    flags[MISSING_AT], flags[ESTIMATED_AT] = int(Quality.MISSING), int(Quality.ESTIMATED)
    await add_day(
        db, meter, ACTIVE_PROFILE, DAY, START, pack(array("q", COUNTS), flags, 900), held=95,
        flags=int(Quality.MISSING | Quality.ESTIMATED), total=sum(COUNTS) - COUNTS[MISSING_AT], num=NUM, den=DEN,
    )  # fmt: skip
    values = [RegisterValue("1.8.0", 123456, 1, 1000), RegisterValue("1.6.1", 77, 1, 10, at=START + 900)]
    now -= 1
    for index in range(3):
        db.add(
            RegisterSet(
                tenant_id=tenant, meter_id=meter.id, at=START + index * 3600, read_at=START + index * 3600 + 5,
                period=index // 2, resets=4, reset_at=START - 86400, digest=index, data=msgspec.msgpack.encode(values),
            )
        )  # fmt: skip
        db.add(
            Event(
                tenant_id=tenant, meter_id=meter.id, at=START + index, kind="outage", until=START + index + 60,
                detail='{"phase": "A"}', received_at=now,
            )
        )  # fmt: skip
        snapshot = InstantSnapshot(
            meter.key, now - 60 * index, ["32.7.0", "52.7.0"], array("f", [127.5, float("nan")]).tobytes()
        )
        db.add(Snapshot(tenant_id=tenant, meter_id=meter.id, at=snapshot.at, data=encode(snapshot)))
        telemetry = GatewayTelemetry(now - 60 * index, 5, 1 << 20, 1 << 30, 1 << 30, 0.5, index, 4096)
        db.add(
            GatewayHealth(
                tenant_id=tenant, gateway_id=gateway.id, at=telemetry.at, spool_rows=index, rss_bytes=1 << 20,
                clock_offset_ms=1.5, data=encode(telemetry),
            )
        )  # fmt: skip
        db.add(
            ModuleHealth(
                tenant_id=tenant, module_id=module.id, at=telemetry.at, temperature=41.5, signal_dbm=-71.0,
                signal_percent=None,
            )
        )  # fmt: skip
