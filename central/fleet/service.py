"""Gateways at work: health series, module series, commands to gateways and what became of them."""

import hashlib
import secrets
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.audit.service import Author, record
from central.errors import NotFound, Refused
from central.fleet.models import FleetCommand, GatewayHealth, GatewayLive, ModuleHealth
from central.registry.models import Gateway, Meter
from central.store.pages import Page, bounded
from shared.wire import (
    Action,
    ApplyConfig,
    CloseBill,
    Command,
    GatewayTelemetry,
    ReadNow,
    ReadRange,
    Result,
    SetForward,
    WireError,
    decode,
    encode,
)

READ_KINDS: Final = ("registers", "profile", "instantaneous", "events")

#: A gateway that is not reached within this time gets the command no more.
DEFAULT_LIFETIME: Final = 3600
MAX_LIFETIME: Final = 7 * 86400
#: Commands of one gateway that may wait at once.
MAX_WAITING: Final = 200

_OPEN: Final = ("queued", "sent")
_KINDS: Final[dict[type[Any], str]] = {
    kind: "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).strip("_")
    for kind in get_args(Action)
}


@dataclass(frozen=True, slots=True)
class CommandView:
    """A command, the meter it is for, and its decoded order and result."""

    row: FleetCommand
    gateway: str
    meter: str | None
    action: Action
    result: Result | None


async def live(session: AsyncSession, gateway_id: int) -> GatewayLive | None:
    """The live row of one gateway; None before its first word. Decode it by ``central.fleet.states``."""
    return await session.get(GatewayLive, gateway_id)


async def health(
    session: AsyncSession, tenant_id: int, gateway_id: int, start: int, end: int, limit: int = 5000
) -> Sequence[GatewayHealth]:
    """Health rows of [start, end), oldest first; of more than ``limit`` the newest."""
    query = select(GatewayHealth).where(
        GatewayHealth.tenant_id == tenant_id,
        GatewayHealth.gateway_id == gateway_id,
        GatewayHealth.at >= start,
        GatewayHealth.at < end,
    )
    rows = (await session.scalars(query.order_by(GatewayHealth.at.desc()).limit(limit))).all()
    return rows[::-1]


async def last_health(session: AsyncSession, tenant_id: int, gateway_id: int) -> GatewayTelemetry | None:
    """The newest telemetry of one gateway, whole."""
    query = select(GatewayHealth.data).where(
        GatewayHealth.tenant_id == tenant_id, GatewayHealth.gateway_id == gateway_id
    )
    data = await session.scalar(query.order_by(GatewayHealth.at.desc()).limit(1))
    return None if data is None else decode(data, GatewayTelemetry)


async def module_health(
    session: AsyncSession, tenant_id: int, module_id: int, start: int, end: int, limit: int = 5000
) -> Sequence[ModuleHealth]:
    """Temperature and signal of a communication module in [start, end), oldest first; of more the newest ``limit``."""
    query = select(ModuleHealth).where(
        ModuleHealth.tenant_id == tenant_id,
        ModuleHealth.module_id == module_id,
        ModuleHealth.at >= start,
        ModuleHealth.at < end,
    )
    rows = (await session.scalars(query.order_by(ModuleHealth.at.desc()).limit(limit))).all()
    return rows[::-1]


async def enqueue(
    session: AsyncSession,
    tenant_id: int,
    gateway: Gateway,
    action: Action,
    *,
    by: str,
    lifetime: int = DEFAULT_LIFETIME,
    now: int | None = None,
    command_id: str | None = None,
) -> FleetCommand:
    """Queue an order for a gateway; ingest sends it, again and again until a result comes or ``lifetime`` (s) is over.

    ``by`` names the person or key that gave it; ``command_id`` is random unless given. Raises :class:`Refused` or
    :class:`NotFound` (the meter is not this gateway's).
    """
    at = int(time.time()) if now is None else now
    if gateway.tenant_id != tenant_id:
        raise NotFound("gateway", gateway.key)
    if not by.strip():
        raise Refused("by", "a command needs the name of who gave it")
    if not 1 <= lifetime <= MAX_LIFETIME:
        raise Refused("lifetime", f"{lifetime} s is outside 1 to {MAX_LIFETIME}")
    meter = await _meter(session, tenant_id, gateway, action)
    _check_action(action, meter)
    waiting = select(FleetCommand.id).where(FleetCommand.gateway_id == gateway.id, FleetCommand.status.in_(_OPEN))
    if len((await session.scalars(waiting.limit(MAX_WAITING))).all()) >= MAX_WAITING:
        raise Refused(
            "gateway", f"{MAX_WAITING} commands wait for gateway {gateway.key!r} already; let it work them off"
        )
    command = Command(command_id or secrets.token_hex(12), at, at + lifetime, by.strip()[:200], action)
    try:
        data = encode(command)
        decode(data, Command)
    except (WireError, msgspec.MsgspecError, OverflowError) as error:
        raise Refused("action", str(error)) from error
    row = FleetCommand(
        id=command.id, tenant_id=tenant_id, gateway_id=gateway.id, meter_id=meter.id if meter else None,
        kind=_KINDS[type(action)], by=command.by, action=data, issued_at=at, expires_at=command.expires_at,
        status="queued", sends=0,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    return row


async def order(
    session: AsyncSession,
    who: Author,
    gateway: Gateway,
    action: Action,
    *,
    lifetime: int = DEFAULT_LIFETIME,
    command_id: str | None = None,
) -> FleetCommand:
    """Queue somebody's order (:func:`enqueue`) and enter it into the audit log; no configuration is written there."""
    row = await enqueue(
        session, who.tenant_id, gateway, action, by=who.author, lifetime=lifetime, command_id=command_id
    )
    told = {"gateway": gateway.key, "order": row.kind, "id": row.id, **_told(action)}
    key = gateway.key if isinstance(action, ApplyConfig) else action.meter
    record(session, who, "ordered", "command", key, after=told)
    return row


async def commands(
    session: AsyncSession,
    tenant_id: int,
    *,
    gateway_id: int | None = None,
    meter_id: int | None = None,
    status: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Page[CommandView]:
    """Commands, newest first; ``after`` is the id of the last one seen."""
    limit = bounded(limit)
    query = _commands(tenant_id).order_by(FleetCommand.issued_at.desc(), FleetCommand.id.desc()).limit(limit + 1)
    for column, value in (
        (FleetCommand.gateway_id, gateway_id), (FleetCommand.meter_id, meter_id), (FleetCommand.status, status),
    ):  # fmt: skip
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        last = (await get_command(session, tenant_id, after)).row
        query = query.where(
            (FleetCommand.issued_at < last.issued_at)
            | ((FleetCommand.issued_at == last.issued_at) & (FleetCommand.id < last.id))
        )
    views = [_view(row) for row in (await session.execute(query)).all()]
    return Page(views[:limit], views[limit - 1].row.id if len(views) > limit else None)


async def get_command(session: AsyncSession, tenant_id: int, command_id: str) -> CommandView:
    """One command; raises :class:`NotFound`."""
    row = (await session.execute(_commands(tenant_id).where(FleetCommand.id == command_id))).one_or_none()
    if row is None:
        raise NotFound("command", command_id)
    return _view(row)


async def cancel(session: AsyncSession, who: Author, command_id: str) -> CommandView:
    """Take back a command that was never sent; raises :class:`Refused` once it was."""
    view = await get_command(session, who.tenant_id, command_id)
    taken = await session.execute(
        update(FleetCommand)
        .where(FleetCommand.id == command_id, FleetCommand.status == "queued")
        .values(status="failed", code="cancelled", message=f"cancelled by {who.author}", finished_at=int(time.time()))
    )
    if taken.rowcount == 0:  # type: ignore[attr-defined]
        raise Refused("command", f"it is {view.row.status} already: only a queued command can be taken back")
    record(session, who, "cancelled", "command", view.meter or view.gateway,
           before={"gateway": view.gateway, "order": view.row.kind, "id": command_id})  # fmt: skip
    await session.refresh(view.row)
    return view


async def _meter(session: AsyncSession, tenant_id: int, gateway: Gateway, action: Action) -> Meter | None:
    if isinstance(action, ApplyConfig):
        return None
    meter = await session.scalar(select(Meter).where(Meter.tenant_id == tenant_id, Meter.key == action.meter))
    if meter is None:
        raise NotFound("meter", action.meter)
    if meter.gateway_id != gateway.id:
        raise Refused("meter", f"{meter.key!r} is not read by gateway {gateway.key!r}")
    return meter


def _check_action(action: Action, meter: Meter | None) -> None:
    match action:
        case ReadNow(kinds=kinds):
            for kind in kinds:
                if kind not in READ_KINDS:
                    raise Refused("kinds", f"{kind!r} cannot be read; known are {', '.join(READ_KINDS)}")
        case CloseBill(confirm=confirm) if meter is not None and confirm != meter.serial:
            raise Refused("confirm", f"has to be the serial of meter {meter.key!r}, typed again")
        case ReadRange(start=start, end=end) if start >= end:
            raise Refused("start", "has to be before end")
        case SetForward(toml=text):
            try:
                tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                raise Refused("toml", f"is not TOML: {error}") from error
        case _:
            pass


def _told(action: Action) -> dict[str, Any]:
    """What the audit log says of an order; of a configuration, which may hold secrets, only which one it was."""
    match action:
        case ApplyConfig(toml=text, base=base):
            return {"base": base, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        case SetForward(toml=text):
            return {"forward": tomllib.loads(text)} if text else {"forward": "closed"}
        case ReadNow(kinds=kinds):
            return {"kinds": list(kinds)}
        case ReadRange(start=start, end=end):
            return {"start": start, "end": end}
        case _:
            return {}


def _commands(tenant_id: int) -> Any:
    return (
        select(FleetCommand, Gateway.key, Meter.key)
        .join(Gateway, Gateway.id == FleetCommand.gateway_id)
        .outerjoin(Meter, Meter.id == FleetCommand.meter_id)
        .where(FleetCommand.tenant_id == tenant_id)
    )


def _view(row: Any) -> CommandView:
    command: FleetCommand = row[0]
    result = decode(command.result, Result) if command.result else None
    return CommandView(command, row[1], row[2], decode(command.action, Command).action, result)
