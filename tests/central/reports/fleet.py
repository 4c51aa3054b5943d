"""A small utility with everything a report shows: groups in a tree, lots, gateways, models, daily registers, module
health, events. Figures are regular, so that tests can say what a cell has to be.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from central.fleet.models import ModuleHealth
from central.metering.models import Event, MeterMonth, RegisterSet
from central.metering.registers import encode_values
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
from central.reports.periods import month_number
from central.store.upsert import upsert
from shared.intervals import day_start
from shared.quantities import Quantity
from shared.wire import RegisterValue

ZONE = ZoneInfo("America/Sao_Paulo")
#: The last day with readings, its hour of reading, and the instant at which everybody looks.
TODAY = date(2026, 6, 15)
NOW = day_start(TODAY, ZONE) + 12 * 3600
HOUR = 5400  # 01:30
#: Counts a day of each post of active energy, times meter number; one count is 1/1000 kWh.
POSTS = {1: 500, 2: 4000, 3: 0, 4: 300}
RATIO = 40


@dataclass
class Fleet:
    """Ids by key of what was entered; ``days`` of each meter on which it was read."""

    tenant_id: int
    meters: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    gateways: dict[str, int] = field(default_factory=dict)
    lots: dict[str, int] = field(default_factory=dict)
    days: dict[str, list[date]] = field(default_factory=dict)


def total(number: int, day: date, post: int, first: date) -> int:
    """Counts of a register of meter ``number`` on a day."""
    days = (day - first).days + 100
    each = POSTS if post == 0 else {post: POSTS[post]}
    return sum(each.values()) * number * days


def values(number: int, day: date, first: date, reverse: bool = False) -> list[RegisterValue]:
    """The registers of a reading: active by post and all together, inductive all together, maxima of two posts."""
    found = [
        RegisterValue(str(Quantity(c, 8, post)), total(number, day, post, first) // part, 1, 1000)
        for c, part in ((1, 1), (5, 4), (8, 50), *(((2, 10),) if reverse else ()))
        for post in (*POSTS, 0)
    ]
    at = day_start(day, ZONE) - 8 * 3600
    found += [RegisterValue(str(Quantity(1, 6, post)), 100 * number + post, 1, 1000, at) for post in (1, 2, 0)]
    found += [RegisterValue(str(Quantity(1, 2, post)), 900 * number + post, 1, 1000) for post in (1, 2, 0)]
    return [*found, RegisterValue("1.5.0", 7 * number, 1, 1000)]


async def make_fleet(
    db: AsyncSession, tenant_id: int, count: int = 12, days: int = 45, last: date = TODAY, names: bool = False
) -> Fleet:
    """Meter ``n`` (1 on) is read daily at 01:30 but every n-th day when n is 3, 5 or 7; meter 4 never, 6 not today."""
    fleet = Fleet(tenant_id)
    created = day_start(last - timedelta(days=days), ZONE)
    model = [
        MeterModel(tenant_id=tenant_id, key=f"model-{i}", maker="Maker", name=name) for i, name in enumerate(("A", "B"))
    ]
    gateways = [Gateway(tenant_id=tenant_id, key=f"rgw-{i}", name=f"Gateway {i}", created_at=created) for i in range(3)]
    lots = [
        Lot(tenant_id=tenant_id, key=str(key), name=f"Lote {key}", reading_day=day)
        for key, day in ((10, 5), (11, 12), (13, 31))
    ]
    region = CustomerGroup(tenant_id=tenant_id, name="Região Sul")
    db.add_all([*model, *gateways, *lots, region])
    await db.flush()
    groups = [CustomerGroup(tenant_id=tenant_id, name=f"Bairro {i}", parent_id=region.id) for i in range(3)]
    db.add_all(groups)
    db.add(LotDate(lot_id=lots[1].id, month=month_number(last), due_on=(last.replace(day=9) - date(1970, 1, 1)).days))
    await db.flush()
    fleet.groups = {"south": region.id} | {f"b{i}": group.id for i, group in enumerate(groups)}
    fleet.gateways = {gateway.key: gateway.id for gateway in gateways}
    fleet.lots = {lot.key: lot.id for lot in lots}
    for number in range(1, count + 1):
        key = f"r-{number:04d}"
        customer = Customer(
            tenant_id=tenant_id, external_key=f"UC{4000 + number}", contract=f"K{number}", created_at=created,
            name=f"{_NAMES[number % len(_NAMES)]} {number}" if names else f"Customer {number:03d}",
            group_id=groups[number % 3].id, lot_id=lots[number % 3].id if number != 8 else None,
        )  # fmt: skip
        module = CommunicationModule(
            tenant_id=tenant_id, key=f"rmod-{number}", name=f"Módulo {number}", gateway_id=gateways[number % 3].id,
            created_at=created,
        )  # fmt: skip
        meter = Meter(
            tenant_id=tenant_id, key=key, serial=f"{7_000_000 + number * 37}", model_id=model[number % 2].id,
            gateway_id=gateways[number % 3].id, created_at=created, multiplier_num=RATIO if number == 2 else 1,
        )  # fmt: skip
        db.add_all([customer, module, meter])
        await db.flush()
        point = MeteringPoint(
            tenant_id=tenant_id, key=f"P-{key}", name=f"Entrada {number}", customer_id=customer.id, created_at=created
        )
        db.add(point)
        await db.flush()
        db.add(Installation(
            tenant_id=tenant_id, meter_id=meter.id, point_id=point.id, module_id=module.id, starts_at=created
        ))  # fmt: skip
        fleet.meters[key] = meter.id
        first = last - timedelta(days=days - 1)
        read = [first + timedelta(days=n) for n in range(days) if _read(number, n, days)]
        fleet.days[key] = read
        await read_on(db, tenant_id, meter.id, {day: values(number, day, first, number == 9) for day in read})
        await _health(db, tenant_id, module.id, number, last)
        await _events(db, tenant_id, meter, number, last)
    return fleet


def _read(number: int, n: int, days: int) -> bool:
    if number == 4 or (number == 6 and n == days - 1):
        return False
    return number not in (3, 5, 7) or n % number == 0


async def read_on(
    db: AsyncSession, tenant_id: int, meter_id: int, readings: dict[date, list[RegisterValue]], period: int = 0
) -> None:
    """Enter readings at 01:30 of their days, and keep the months of the meter."""
    rows = [
        {
            "tenant_id": tenant_id, "meter_id": meter_id, "at": day_start(day, ZONE) + HOUR, "period": period,
            "read_at": day_start(day, ZONE) + HOUR + 5, "resets": 3, "digest": 0, "data": encode_values(found),
        }
        for day, found in readings.items()
    ]  # fmt: skip
    if rows:
        await db.execute(insert(RegisterSet), rows)
        await mark_days(db, tenant_id, meter_id, readings)


async def mark_days(db: AsyncSession, tenant_id: int, meter_id: int, days: Iterable[date]) -> None:
    """What ingest does with ``MeterMonth`` for register readings of these days."""
    months: dict[int, int] = {}
    for day in days:
        months[month_number(day)] = months.get(month_number(day), 0) | 1 << day.day - 1
    rows = [
        {"tenant_id": tenant_id, "meter_id": meter_id, "month": month, "days": bits, "read_at": 0}
        for month, bits in months.items()
    ]
    await db.execute(upsert(db, MeterMonth, update=("days",)), rows)


async def _health(db: AsyncSession, tenant_id: int, module_id: int, number: int, last: date) -> None:
    if number == 5:
        return
    end = day_start(last, ZONE) + HOUR
    rows: list[dict[str, Any]] = [
        {"tenant_id": tenant_id, "module_id": module_id, "at": end - n * 3600, "temperature": 30.0 + number + n % 12,
         "signal_dbm": -70.0 - number - n % 6, "signal_percent": None}
        for n in range(72)
    ]  # fmt: skip
    await db.execute(insert(ModuleHealth), rows)


async def _events(db: AsyncSession, tenant_id: int, meter: Meter, number: int, last: date) -> None:
    at = day_start(last - timedelta(days=number % 5), ZONE)
    for kind, until, detail in (("outage", at + 900, {}), ("clock_set", None, {"shift_s": -number})):
        db.add(Event(
            tenant_id=tenant_id, meter_id=meter.id, gateway_id=meter.gateway_id, at=at + number, until=until, kind=kind,
            detail=msgspec.json.encode(detail).decode(), received_at=at + 60,
        ))  # fmt: skip


def kwh(counts: int) -> Fraction:
    """Counts of the fleet's registers in their unit."""
    return Fraction(counts, 1000)


_NAMES = (
    "Ana Beatriz Ferreira", "Carlos Nascimento", "Padaria Pão Dourado", "João Pedro Almeida", "Mercearia do Vale",
    "Luísa Carvalho", "Antônio Ribeiro", "Farmácia Central", "Marina Duarte", "Oficina São Jorge",
)  # fmt: skip
