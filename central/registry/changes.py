"""Enter and change what exists. Values are checked before anything is written; references stay within the tenant."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.errors import Conflict, NotFound, Refused
from central.metering.blocks import BlockError
from central.metering.days import cut_anew
from central.metering.month_rows import months_anew
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
)
from shared.ids import IdError, check_id

T = TypeVar("T", Gateway, CommunicationModule, MeterModel, CustomerGroup, Lot, Customer, MeteringPoint, Meter)
Check = Callable[[str, Any], Any]

MAX_INTEGER: Final = (1 << 53) - 1  # what a browser's JSON keeps exactly


async def create(session: AsyncSession, tenant_id: int, kind: type[T], **values: Any) -> T:
    """Add one row of ``kind``; raises :class:`Refused`, :class:`NotFound` (a reference) or :class:`Conflict`."""
    checked = await _checked(session, tenant_id, kind, values)
    if "created_at" in kind.__table__.columns:
        checked["created_at"] = int(time.time())
    key = checked.get("key")
    if key:
        for field in ("name", "serial"):
            if field in _REQUIRED[kind]:
                checked.setdefault(field, key)
    for field in _REQUIRED[kind]:
        if not checked.get(field):
            raise Refused(field, f"is needed for a {_label(kind)}")
    row = kind(tenant_id=tenant_id, **checked)
    await _insert(session, row)
    return row


async def update(session: AsyncSession, tenant_id: int, kind: type[T], row_id: int, **values: Any) -> T:
    """Change the given fields of one row; raises as :func:`create`."""
    row = await get(session, tenant_id, kind, row_id)
    checked = await _checked(session, tenant_id, kind, values)
    for field in _REQUIRED[kind]:
        if field in checked and not checked[field]:
            raise Refused(field, f"is needed for a {_label(kind)}")
    if checked.get("parent_id") is not None:
        await _refuse_circle(session, tenant_id, row.id, checked["parent_id"])
    if "zone" in checked:
        await _move_zone(session, await get(session, tenant_id, Meter, row_id), checked["zone"])
    try:
        async with session.begin_nested():
            for field, value in checked.items():
                setattr(row, field, value)
    except IntegrityError as error:
        await session.refresh(row)
        raise Conflict(f"Another {_label(kind)} has this key already.") from error
    return row


async def get(session: AsyncSession, tenant_id: int, kind: type[T], row_id: int) -> T:
    """One row by its id within the tenant; raises :class:`NotFound`."""
    row = await session.get(kind, row_id)
    if row is None or row.tenant_id != tenant_id:
        raise NotFound(_label(kind), row_id)
    return row


async def install(
    session: AsyncSession,
    tenant_id: int,
    meter_id: int,
    *,
    point_id: int | None,
    module_id: int | None = None,
    starts_at: int,
    reason: str = "",
) -> Installation:
    """Put a meter into a point from ``starts_at`` on; what stood open at the meter or in the point ends then.

    Raises :class:`Refused` when it would begin before what it ends.
    """
    await get(session, tenant_id, Meter, meter_id)
    if point_id is not None:
        await get(session, tenant_id, MeteringPoint, point_id)
    if module_id is not None:
        await get(session, tenant_id, CommunicationModule, module_id)
    place = Installation.meter_id == meter_id
    if point_id is not None:
        place |= Installation.point_id == point_id
    query = select(Installation).where(Installation.tenant_id == tenant_id, place, Installation.ends_at.is_(None))
    for before in await session.scalars(query):
        if starts_at < before.starts_at:
            raise Refused("starts_at", f"{starts_at} is before the installation it would end ({before.starts_at})")
        before.ends_at = starts_at
    row = Installation(
        tenant_id=tenant_id, meter_id=meter_id, point_id=point_id, module_id=module_id, starts_at=starts_at,
        ends_at=None, reason=_text("reason", reason, 300),
    )  # fmt: skip
    session.add(row)
    await session.flush()
    return row


async def _insert(session: AsyncSession, row: Any) -> None:
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        key = getattr(row, "key", None) or getattr(row, "external_key", "")
        raise Conflict(f"There is a {_label(type(row))} {key!r} already.") from error


async def _checked(session: AsyncSession, tenant_id: int, kind: type[T], values: Mapping[str, Any]) -> dict[str, Any]:
    rules = _RULES[kind]
    checked = {}
    for field, value in values.items():
        if field not in rules:
            raise Refused(field, f"is no field of a {_label(kind)}; known are {', '.join(sorted(rules))}")
        rule = rules[field]
        if isinstance(rule, type):
            if value is not None:
                await get(session, tenant_id, rule, value)
            checked[field] = value
        else:
            checked[field] = rule(field, value)
    return checked


async def _refuse_circle(session: AsyncSession, tenant_id: int, group_id: int, parent_id: int) -> None:
    at: int | None = parent_id
    while at is not None:
        if at == group_id:
            raise Refused("parent_id", "a group cannot be inside itself")
        at = (await get(session, tenant_id, CustomerGroup, at)).parent_id


async def _move_zone(session: AsyncSession, meter: Meter, zone: str) -> None:
    """Cut the profiles that are there into the local days of the meter's new zone; its months are worked out anew."""
    await session.execute(select(Meter.id).where(Meter.id == meter.id).with_for_update())
    before = await _zone_in_force(session, meter, meter.zone)
    after = await _zone_in_force(session, meter, zone)
    if before != after:
        try:
            await cut_anew(session, meter.tenant_id, meter.id, after, int(time.time()))
        except BlockError as error:
            raise Refused("zone", f"the profiles that are there cannot be cut into its days: {error}") from error
        await months_anew(session, meter.tenant_id, meter.id, after)


async def _zone_in_force(session: AsyncSession, meter: Meter, own: str) -> str:
    return own or (await session.execute(select(Tenant.zone).where(Tenant.id == meter.tenant_id))).scalar_one()


def _label(kind: type[Any]) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)
    return words.strip()


def _text(field: str, value: Any, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        raise Refused(field, f"has to be text of at most {longest} characters")
    return value.strip()


def _wire_id(field: str, value: Any) -> str:
    try:
        return check_id(_text(field, value, 64), field)
    except IdError as error:
        raise Refused(field, str(error)) from error


def _key(field: str, value: Any) -> str:
    return _text(field, value, 64)


def _name(field: str, value: Any) -> str:
    return _text(field, value, 200)


def _note(field: str, value: Any) -> str:
    return _text(field, value, 10_000)


def _zone(field: str, value: Any) -> str:
    text = _text(field, value, 64)
    if text:
        try:
            ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise Refused(field, f"{text!r} is no time zone such as 'America/Sao_Paulo'") from error
    return text


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(field, "has to be true or false")
    return value


def _between(low: float, high: float) -> Check:
    def check(field: str, value: Any) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Refused(field, "has to be a number")
        if not low <= value <= high:
            raise Refused(field, f"{value} is outside {low:g} to {high:g}")
        return float(value)

    return check


def _integer(low: int, high: int) -> Check:
    def check(field: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Refused(field, f"has to be a whole number {low} to {high}")
        return value

    return check


_PLACE: Final[dict[str, Any]] = {"latitude": _between(-90, 90), "longitude": _between(-180, 180)}

#: Fields that may be given: how each is checked, or which kind it refers to.
_RULES: Final[dict[type[Any], dict[str, Any]]] = {
    Gateway: {"key": _wire_id, "name": _name, "place": _note, **_PLACE},
    CommunicationModule: {"key": _wire_id, "name": _name, "gateway_id": Gateway},
    MeterModel: {"key": _key, "maker": _name, "name": _name, "protocol": _key, "resource": _key},
    CustomerGroup: {"name": _name, "parent_id": CustomerGroup},
    Lot: {"key": _key, "name": _name, "reading_day": _integer(1, 31)},
    Customer: {"external_key": _key, "name": _name, "group_id": CustomerGroup, "lot_id": Lot},
    MeteringPoint: {"key": _key, "name": _name, "customer_id": Customer, "address": _note, **_PLACE},
    Meter: {
        "key": _wire_id, "serial": _key, "name": _name, "model_id": MeterModel, "gateway_id": Gateway, "zone": _zone,
        "multiplier_num": _integer(1, MAX_INTEGER), "multiplier_den": _integer(1, MAX_INTEGER), "monitored": _flag,
        "calendar": _note, "registered": _flag,
    },
}  # fmt: skip

_REQUIRED: Final[dict[type[Any], tuple[str, ...]]] = {
    Gateway: ("key", "name"),
    CommunicationModule: ("key", "name"),
    MeterModel: ("key", "name"),
    CustomerGroup: ("name",),
    Lot: ("key", "name"),
    Customer: ("external_key", "name"),
    MeteringPoint: ("key", "name"),
    Meter: ("key", "serial"),
}
