"""The registry of a generated fleet, written in one transaction, customers some thousands at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from central.registry.models import (
    ActivityClass,
    CommunicationModule,
    Customer,
    CustomerGroup,
    Gateway,
    Holiday,
    HolidayGroup,
    HolidayMember,
    Installation,
    InstallationStatus,
    Lot,
    LotDate,
    Meter,
    MeteringPoint,
    MeterModel,
    SearchWord,
    Supply,
    Tariff,
)
from central.registry.words import fold
from central.seed.bulk import ids_follow, insert_dicts, insert_rows, next_id
from central.seed.chance import Ints, among, uniform
from central.seed.names import FARMS, FIRST, LAST, SHOPS, STREETS, THINGS
from central.seed.plan import COMMERCIAL, RURAL, Plan

#: Customers whose rows are in memory at once.
BLOCK: Final = 5000
_EPOCH: Final = date(1970, 1, 1)

_MODELS: Final = (
    ("mg-mono", "Monofásico MG-1"), ("mg-bi", "Bifásico MG-2"), ("mg-tri", "Trifásico MG-3"),
    ("mg-ind", "Indireto MG-4"),
)  # fmt: skip
_ACTIVITIES: Final = (("residencial", "Residencial"), ("comercial", "Comercial"), ("rural", "Rural"))
_STATUSES: Final = (("ligado", "Ligado"), ("suspenso", "Suspenso"))
_HOLIDAYS: Final = (
    ("Confraternização Universal", 1, 1), ("Tiradentes", 4, 21), ("Dia do Trabalho", 5, 1), ("Independência", 9, 7),
    ("Nossa Senhora Aparecida", 10, 12), ("Finados", 11, 2), ("Proclamação da República", 11, 15),
    ("Consciência Negra", 11, 20), ("Natal", 12, 25),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bases:
    """The ids of number 0 of each kind."""

    customer: int
    point: int
    meter: int
    module: int
    gateway: int
    group: int
    lot: int
    model: int
    activity_class: int
    status: int
    tariff: int
    holiday_group: int


async def bases(session: AsyncSession) -> Bases:
    """Ids that are free from here on."""
    kinds = (
        Customer, MeteringPoint, Meter, CommunicationModule, Gateway, CustomerGroup, Lot, MeterModel, ActivityClass,
        InstallationStatus, Tariff, HolidayGroup,
    )  # fmt: skip
    return Bases(*[await next_id(session, kind) for kind in kinds])


async def write_lists(session: AsyncSession, plan: Plan, tenant: int, base: Bases) -> None:
    """Groups, gateways, lots with their calendars, models, and the further lists."""
    now = plan.start
    await insert_dicts(session, CustomerGroup, _groups(plan, tenant, base))
    await insert_dicts(session, Gateway, _gateways(plan, tenant, base, now))
    lots = range(plan.lots)
    await insert_dicts(session, Lot, (
        {"id": base.lot + n, "tenant_id": tenant, "key": f"L{n + 1:02d}", "name": f"Lote {n + 1:02d}",
         "reading_day": plan.due(n, [24_300])[0].day} for n in lots
    ))  # fmt: skip
    await insert_dicts(session, LotDate, (
        {"lot_id": base.lot + n, "month": month, "due_on": (day - _EPOCH).days}
        for n in lots for month, day in zip(plan.due_months, plan.due(n, plan.due_months), strict=True)
    ))  # fmt: skip
    await insert_dicts(session, MeterModel, (
        {"id": base.model + n, "tenant_id": tenant, "key": key, "maker": "Metergate", "name": name, "protocol": "abnt",
         "resource": "electricity"} for n, (key, name) in enumerate(_MODELS)
    ))  # fmt: skip
    for kind, first, entries in (
        (ActivityClass, base.activity_class, _ACTIVITIES), (InstallationStatus, base.status, _STATUSES),
    ):  # fmt: skip
        await insert_dicts(session, kind, (
            {"id": first + n, "tenant_id": tenant, "key": key, "name": name} for n, (key, name) in enumerate(entries)
        ))  # fmt: skip
    tariff = {"id": base.tariff, "tenant_id": tenant, "key": "branca", "name": "Tarifa branca"}
    await insert_dicts(session, Tariff, [tariff | {"calendar": msgspec.json.encode(plan.calendar).decode()}])
    first = await next_id(session, Holiday)
    await insert_dicts(session, Holiday, (
        {"id": first + n, "tenant_id": tenant, "name": name, "month": month, "day": day, "year": None}
        for n, (name, month, day) in enumerate(_HOLIDAYS)
    ))  # fmt: skip
    nationals = {"id": base.holiday_group, "tenant_id": tenant, "key": "nacionais", "name": "Feriados nacionais"}
    await insert_dicts(session, HolidayGroup, [nationals])
    await insert_rows(session, HolidayMember, ("group_id", "holiday_id"), (
        (base.holiday_group, first + n) for n in range(len(_HOLIDAYS))
    ))  # fmt: skip
    await ids_follow(
        session,
        CustomerGroup,
        Gateway,
        Lot,
        MeterModel,
        ActivityClass,
        InstallationStatus,
        Tariff,
        Holiday,
        HolidayGroup,
    )


def _groups(plan: Plan, tenant: int, base: Bases) -> Iterator[dict[str, Any]]:
    regions, districts, feeders = plan.tree
    for n in range(regions):
        yield {"id": base.group + n, "tenant_id": tenant, "parent_id": None, "name": f"Regional {n + 1}"}
    for n in range(districts):
        parent = base.group + plan.region_of(n)
        yield {"id": base.group + regions + n, "tenant_id": tenant, "parent_id": parent, "name": plan.quarters[n]}
    for n in range(feeders):
        parent, name = base.group + regions + plan.district_of(n), f"Alimentador {n + 1:03d}"
        yield {"id": group_of(plan, base, n), "tenant_id": tenant, "parent_id": parent, "name": name}


def group_of(plan: Plan, base: Bases, feeder: int) -> int:
    """The id of a feeder's group."""
    return base.group + plan.tree[0] + plan.tree[1] + feeder


def _gateways(plan: Plan, tenant: int, base: Bases, now: int) -> Iterator[dict[str, Any]]:
    before = 0
    for n, end in enumerate(plan.gateway_ends.tolist()):
        middle = np.array([(before + end) // 2], np.int64)
        latitude, longitude = plan.places(middle)
        quarter = plan.quarters[plan.district_of(int(plan.feeder_of(middle)[0]))]
        yield {
            "id": base.gateway + n, "tenant_id": tenant, "key": plan.gateway_key(n), "name": f"Controlador {n + 1:04d}",
            "place": f"Poste no bairro {quarter}", "latitude": float(latitude[0]), "longitude": float(longitude[0]),
            "created_at": now,
        }  # fmt: skip
        before = end


async def write_customers(session: AsyncSession, plan: Plan, tenant: int, base: Bases, first: int, last: int) -> None:
    """Customers ``first`` to ``last`` - 1 with point, module, meters, installations, supplies and words."""
    numbers = np.arange(first, last, dtype=np.int64)
    people = list(_customers(plan, tenant, base, numbers))
    former = list(_former(plan, tenant, base, first, last))
    points = list(_points(plan, tenant, base, numbers))
    modules = [
        {"id": base.module + n, "tenant_id": tenant, "key": plan.module_key(n), "name": "",
         "serial": str(70_000_000 + n), "model": "NB-IoT", "address": "", "gateway_id": base.gateway + gateway,
         "created_at": plan.start}
        for n, gateway in zip(numbers.tolist(), plan.traits(numbers).gateway.tolist(), strict=True)
    ]  # fmt: skip
    old = np.flatnonzero((plan.exchanged >= first) & (plan.exchanged < last)) + plan.of.customers
    meters = list(_meters(plan, tenant, base, np.concatenate([numbers, old])))
    for kind, rows in (
        (Customer, people + former), (MeteringPoint, points), (CommunicationModule, modules), (Meter, meters),
    ):  # fmt: skip
        await insert_dicts(session, kind, rows)
    await insert_dicts(session, Installation, _installations(plan, tenant, base, numbers, old))
    await insert_dicts(session, Supply, _supplies(plan, tenant, base, numbers))
    await insert_rows(session, SearchWord, ("tenant_id", "word", "kind", "object_id"), sorted(
        (tenant, word, kind, row["id"])
        for kind, rows, fields in (
            (SearchWord.CUSTOMER, people + former, ("external_key", "name")),
            (SearchWord.METER, meters, ("key", "serial", "name")),
            (SearchWord.MODULE, modules, ("key", "name", "serial")),
        )
        for row in rows
        for word in fold(row[field] for field in fields)
    ))  # fmt: skip


async def write_words(session: AsyncSession, plan: Plan, tenant: int, base: Bases) -> None:
    """Words of groups and gateways."""
    found = [
        (tenant, word, kind, row["id"])
        for kind, rows, fields in (
            (SearchWord.GROUP, _groups(plan, tenant, base), ("name",)),
            (SearchWord.GATEWAY, _gateways(plan, tenant, base, 0), ("key", "name", "place")),
        )
        for row in rows
        for word in fold(row[field] for field in fields)
    ]
    await insert_rows(session, SearchWord, ("tenant_id", "word", "kind", "object_id"), sorted(found))
    await ids_follow(session, Customer, MeteringPoint, CommunicationModule, Meter, Installation, Supply)


def _customers(plan: Plan, tenant: int, base: Bases, numbers: Ints) -> Iterator[dict[str, Any]]:
    traits = plan.traits(numbers)
    lots = plan.lot_of(traits.feeder).tolist()
    names = _names(plan, numbers, traits.kind)
    for n, kind, feeder, lot, name in zip(
        numbers.tolist(), traits.kind.tolist(), traits.feeder.tolist(), lots, names, strict=True
    ):
        yield _customer(plan, tenant, base, n, name) | {
            "group_id": group_of(plan, base, feeder), "lot_id": base.lot + lot,
            "activity_class_id": base.activity_class + kind,
        }  # fmt: skip


def _customer(plan: Plan, tenant: int, base: Bases, number: int, name: str) -> dict[str, Any]:
    return {
        "id": base.customer + number, "tenant_id": tenant, "external_key": f"UC{400_000_000 + number}", "name": name,
        "group_id": None, "lot_id": None, "contract": str(9_000_000 + number), "document": "", "email": "", "phone": "",
        "activity_class_id": None, "created_at": plan.start,
    }  # fmt: skip


def _former(plan: Plan, tenant: int, base: Bases, first: int, last: int) -> Iterator[dict[str, Any]]:
    """Those who were supplied before: numbers after the customers' own."""
    places = np.flatnonzero((plan.followed >= first) & (plan.followed < last))
    numbers = places + plan.of.customers
    for n, name in zip(numbers.tolist(), _names(plan, numbers, np.zeros_like(numbers)), strict=True):
        yield _customer(plan, tenant, base, n, name)


def _names(plan: Plan, numbers: Ints, kinds: Ints) -> Iterator[str]:
    """A person, a shop or a farm."""
    seed = plan.of.seed
    first, second = among(seed, "first", numbers, len(FIRST)), among(seed, "second", numbers, len(FIRST))
    middle, last = among(seed, "middle", numbers, len(LAST)), among(seed, "last", numbers, len(LAST))
    long, double = uniform(seed, "long", numbers) < 0.6, uniform(seed, "double", numbers) < 0.25
    thing, shop = among(seed, "thing", numbers, len(THINGS)), among(seed, "shop", numbers, len(SHOPS))
    for i, kind in enumerate(kinds.tolist()):
        if kind == COMMERCIAL:
            yield f"{SHOPS[shop[i]]} {THINGS[thing[i]]}"
        elif kind == RURAL:
            yield f"{FARMS[shop[i] % len(FARMS)]} {THINGS[thing[i]]}"
        else:
            given = FIRST[first[i]] + (f" {FIRST[second[i]]}" if double[i] and first[i] != second[i] else "")
            yield (
                f"{given} {LAST[middle[i]]} {LAST[last[i]]}"
                if long[i] and middle[i] != last[i]
                else f"{given} {LAST[last[i]]}"
            )


def _points(plan: Plan, tenant: int, base: Bases, numbers: Ints) -> Iterator[dict[str, Any]]:
    seed, feeders = plan.of.seed, plan.feeder_of(numbers).tolist()
    latitude, longitude = (axis.tolist() for axis in plan.places(numbers))
    kind, house = among(seed, "street", numbers, len(STREETS)).tolist(), among(seed, "house", numbers, 2400).tolist()
    # some dozens of streets to a feeder
    street = (among(seed, "way", numbers, 12) + plan.feeder_of(numbers) * 5) % len(THINGS)
    suspended = (uniform(seed, "status", numbers) < 0.01).tolist()
    starts = (plan.days[0] - _EPOCH).days
    for i, n in enumerate(numbers.tolist()):
        quarter = plan.quarters[plan.district_of(feeders[i])]
        yield {
            "id": base.point + n, "tenant_id": tenant, "key": f"PM-{n + 1:08d}", "name": "Padrão de entrada",
            "customer_id": base.customer + n, "latitude": latitude[i], "longitude": longitude[i],
            "address": f"{STREETS[kind[i]]} {THINGS[street[i]]}, {house[i] + 1}, {quarter}",
            "status_id": base.status + suspended[i], "starts_on": starts, "created_at": plan.start,
        }  # fmt: skip


def _meters(plan: Plan, tenant: int, base: Bases, numbers: Ints) -> Iterator[dict[str, Any]]:
    customers = plan.customer_of(numbers)
    traits = plan.traits(customers)
    model = np.where(
        traits.base > 60_000, 3, np.where(traits.kind == COMMERCIAL, 2, among(plan.of.seed, "model", numbers, 3))
    )
    starts = (plan.days[0] - _EPOCH).days
    for n, customer, gateway, kind in zip(
        numbers.tolist(), customers.tolist(), traits.gateway.tolist(), model.tolist(), strict=True
    ):
        day = int(plan.exchange_day(np.array([customer]))[0])
        away = n >= plan.of.customers
        yield {
            "id": base.meter + n, "tenant_id": tenant, "key": plan.meter_key(n), "serial": str(40_000_000 + n),
            "name": "", "model_id": base.model + kind, "gateway_id": None if away else base.gateway + gateway,
            "zone": "", "multiplier_num": 1, "multiplier_den": 1, "monitored": not away, "calendar": "",
            "registered": True, "can_cut": kind < 3, "starts_on": starts if away else starts + day,
            "ends_on": starts + day if away else None, "daylight_saving_id": None,
            "holiday_group_id": base.holiday_group, "tariff_id": base.tariff, "created_at": plan.start,
        }  # fmt: skip


def _installations(plan: Plan, tenant: int, base: Bases, numbers: Ints, old: Ints) -> Iterator[Mapping[str, Any]]:
    days, midnights = plan.exchange_day(numbers).tolist(), plan.midnights.tolist()
    for n, day in zip(numbers.tolist(), days, strict=True):
        yield _installation(tenant, base, n, n, midnights[day], None, "")
    for n, customer in zip(old.tolist(), plan.customer_of(old).tolist(), strict=True):
        day = int(plan.exchange_day(np.array([customer]))[0])
        yield _installation(tenant, base, n, customer, plan.start, midnights[day], "Substituição")


def _installation(
    tenant: int, base: Bases, meter: int, place: int, starts_at: int, ends_at: int | None, reason: str
) -> dict[str, Any]:
    return {
        "tenant_id": tenant, "meter_id": base.meter + meter, "point_id": base.point + place,
        "module_id": base.module + place, "starts_at": starts_at, "ends_at": ends_at, "reason": reason,
    }  # fmt: skip


def _supplies(plan: Plan, tenant: int, base: Bases, numbers: Ints) -> Iterator[Mapping[str, Any]]:
    former = {customer: n for n, customer in enumerate(plan.followed.tolist(), plan.of.customers)}
    moved = among(plan.of.seed, "moved", numbers, len(plan.days)).tolist()
    for n, day in zip(numbers.tolist(), moved, strict=True):
        begin = plan.start
        common = {"tenant_id": tenant, "point_id": base.point + n}
        if n in former:
            end = int(plan.midnights[day])
            if end > begin:
                yield common | {
                    "customer_id": base.customer + former[n], "starts_at": begin, "ends_at": end, "reason": "Mudança",
                }  # fmt: skip
                begin = end
        yield common | {"customer_id": base.customer + n, "starts_at": begin, "ends_at": None, "reason": ""}
