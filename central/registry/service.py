"""Find what exists: meters with their point, customer, module and gateway; gateways with their live state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.accounts.reach import is_part
from central.errors import NotFound
from central.fleet.models import GatewayLive
from central.fleet.states import decode_state, meter_states
from central.registry.kinds import CUSTOMER, GATEWAY, METER, POINT
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
from central.registry.search import matching, question, word_ids
from central.store.pages import Page, bounded
from shared.wire import GatewayState, MeterState


@dataclass(frozen=True, slots=True)
class MeterView:
    """A meter with everything that hangs on it now. ``live`` is what its gateway last said of it."""

    meter: Meter
    zone: str
    model: MeterModel | None = None
    gateway: Gateway | None = None
    installation: Installation | None = None
    point: MeteringPoint | None = None
    customer: Customer | None = None
    group: CustomerGroup | None = None
    lot: Lot | None = None
    module: CommunicationModule | None = None
    online: bool = False  # its gateway
    live: MeterState | None = None

    @property
    def label(self) -> str:
        """What people call it: its name, else the point's, else the serial."""
        return self.meter.name or (self.point.name if self.point else "") or self.meter.serial


@dataclass(frozen=True, slots=True)
class GatewayView:
    """A gateway, its live row and decoded state (None before its first word), and how many meters hang on it."""

    gateway: Gateway
    live: GatewayLive | None
    state: GatewayState | None
    meters: int

    @property
    def online(self) -> bool:
        return self.live is not None and self.live.online


@dataclass(frozen=True, slots=True)
class MeterFilter:
    """Every word of ``search`` begins a word of the meter, of its point or of its customer."""

    search: str = ""
    gateway_id: int | None = None
    customer_id: int | None = None
    group_id: int | None = None
    lot_id: int | None = None
    registered: bool | None = None
    monitored: bool | None = None


async def find_meters(
    session: AsyncSession,
    tenant_id: int,
    wanted: MeterFilter | None = None,
    *,
    after: str | None = None,
    limit: int = 50,
) -> Page[MeterView]:
    """Meters in order of their key; every word of the search must occur somewhere."""
    limit = bounded(limit)
    query = (
        _meters(tenant_id).where(*_conditions(tenant_id, wanted or MeterFilter())).order_by(Meter.key).limit(limit + 1)
    )
    if after is not None:
        query = query.where(Meter.key > after)
    views = await _views(session, tenant_id, query)
    return Page(views[:limit], views[limit - 1].meter.key if len(views) > limit else None)


async def count_meters(session: AsyncSession, tenant_id: int, wanted: MeterFilter | None = None) -> int:
    """How many meters a filter finds."""
    query = (
        _meters(tenant_id)
        .where(*_conditions(tenant_id, wanted or MeterFilter()))
        .with_only_columns(func.count(Meter.id))
    )
    return await session.scalar(query) or 0


async def get_meter(session: AsyncSession, tenant_id: int, key: str) -> MeterView:
    """One meter by its key; raises :class:`NotFound`."""
    views = await _views(session, tenant_id, _meters(tenant_id).where(Meter.key == key))
    if not views:
        raise NotFound("meter", key)
    return views[0]


async def find_gateways(
    session: AsyncSession, tenant_id: int, search: str = "", *, after: str | None = None, limit: int = 50
) -> Page[GatewayView]:
    """Gateways in order of their key."""
    limit = bounded(limit)
    query = _gateways(tenant_id).order_by(Gateway.key).limit(limit + 1)
    if search.strip():
        query = query.where(matching(tenant_id, GATEWAY, search))
    if after is not None:
        query = query.where(Gateway.key > after)
    views = [await _gateway_view(session, row) for row in (await session.execute(query)).all()]
    return Page(views[:limit], views[limit - 1].gateway.key if len(views) > limit else None)


async def get_gateway(session: AsyncSession, tenant_id: int, key: str) -> GatewayView:
    """One gateway by its key; raises :class:`NotFound`."""
    row = (await session.execute(_gateways(tenant_id).where(Gateway.key == key))).one_or_none()
    if row is None:
        raise NotFound("gateway", key)
    return await _gateway_view(session, row)


async def gateway_meters(session: AsyncSession, tenant_id: int, gateway_id: int) -> Sequence[MeterView]:
    """All meters of one gateway, in order of their key."""
    return await _views(
        session, tenant_id, _meters(tenant_id).where(Meter.gateway_id == gateway_id).order_by(Meter.key)
    )


async def gateway_modules(session: AsyncSession, tenant_id: int, gateway_id: int) -> Sequence[CommunicationModule]:
    """Communication modules seen at one gateway."""
    query = select(CommunicationModule).where(
        CommunicationModule.tenant_id == tenant_id, CommunicationModule.gateway_id == gateway_id
    )
    return (await session.scalars(query.order_by(CommunicationModule.key))).all()


async def installations(session: AsyncSession, tenant_id: int, meter_id: int) -> Sequence[Installation]:
    """Where a meter sat, newest first."""
    query = select(Installation).where(Installation.tenant_id == tenant_id, Installation.meter_id == meter_id)
    return (await session.scalars(query.order_by(Installation.starts_at.desc(), Installation.id.desc()))).all()


def _meters(tenant_id: int) -> Any:
    open_installation = and_(Installation.meter_id == Meter.id, Installation.ends_at.is_(None))
    return (
        select(
            Meter, Tenant.zone, MeterModel, Gateway, Installation, MeteringPoint, Customer, CustomerGroup, Lot,
            CommunicationModule, GatewayLive,
        )
        .join(Tenant, Tenant.id == Meter.tenant_id)
        .outerjoin(MeterModel, MeterModel.id == Meter.model_id)
        .outerjoin(Gateway, Gateway.id == Meter.gateway_id)
        .outerjoin(GatewayLive, GatewayLive.gateway_id == Gateway.id)
        .outerjoin(Installation, open_installation)
        .outerjoin(MeteringPoint, MeteringPoint.id == Installation.point_id)
        .outerjoin(Customer, Customer.id == MeteringPoint.customer_id)
        .outerjoin(CustomerGroup, CustomerGroup.id == Customer.group_id)
        .outerjoin(Lot, Lot.id == Customer.lot_id)
        .outerjoin(CommunicationModule, CommunicationModule.id == Installation.module_id)
        .where(Meter.tenant_id == tenant_id)
    )  # fmt: skip


def _conditions(tenant_id: int, wanted: MeterFilter) -> list[Any]:
    searched = ((Meter.id, METER), (MeteringPoint.id, POINT), (Customer.id, CUSTOMER))
    conditions: list[Any] = [
        or_(*(column.in_(word_ids(tenant_id, kind.word_kind, word)) for column, kind in searched))
        for word in question(wanted.search)
    ]
    exact = (
        (Meter.gateway_id, wanted.gateway_id),
        (MeteringPoint.customer_id, wanted.customer_id),
        (Customer.group_id, wanted.group_id),
        (Customer.lot_id, wanted.lot_id),
        (Meter.registered, wanted.registered),
        (Meter.monitored, wanted.monitored),
    )
    return conditions + [column == value for column, value in exact if value is not None]


async def _views(session: AsyncSession, tenant_id: int, query: Any) -> list[MeterView]:
    rows = (await session.execute(query)).all()
    states = _states(row[10] for row in rows)
    return [
        MeterView(
            meter=row[0],
            zone=row[0].zone or row[1],
            model=row[2],
            gateway=row[3],
            installation=row[4],
            point=row[5],
            customer=row[6],
            group=row[7],
            lot=row[8],
            module=row[9],
            online=row[10] is not None and row[10].online,
            live=states.get(row[10].gateway_id, {}).get(row[0].key) if row[10] is not None else None,
        )
        for row in rows
    ]


def _states(lives: Iterable[GatewayLive | None]) -> dict[int, dict[str, MeterState]]:
    """Decode each gateway's state once."""
    found: dict[int, dict[str, MeterState]] = {}
    for live in lives:
        if live is not None and live.gateway_id not in found:
            found[live.gateway_id] = meter_states(decode_state(live))
    return found


def _gateways(tenant_id: int) -> Any:
    meters = select(func.count()).where(Meter.gateway_id == Gateway.id).correlate(Gateway).scalar_subquery()
    return (
        select(Gateway, GatewayLive, meters)
        .outerjoin(GatewayLive, GatewayLive.gateway_id == Gateway.id)
        .where(Gateway.tenant_id == tenant_id)
    )


async def _gateway_view(session: AsyncSession, row: Any) -> GatewayView:
    """The view of one row. Who reaches only some of its meters sees neither the others nor the configuration of all."""
    gateway, live, meters = row
    state = decode_state(live)
    if live is not None and is_part(session, gateway.id):
        keys = await seen_meters(session, gateway.id)
        live = GatewayLive(
            gateway_id=gateway.id, online=live.online, contact_at=live.contact_at, changed_at=live.changed_at,
            config="", config_hash="", state=None,
        )  # fmt: skip
        state = state and msgspec.structs.replace(
            state, config="", meters=[each for each in state.meters if each.meter in keys],
            forwards=[each for each in state.forwards if each.meter in keys],
            lines=[msgspec.structs.replace(each, owner="", error="") for each in state.lines],
        )  # fmt: skip
    return GatewayView(gateway, live, state, meters)


async def seen_meters(session: AsyncSession, gateway_id: int) -> frozenset[str]:
    """Keys of a gateway's meters that this session reaches."""
    return frozenset(await session.scalars(select(Meter.key).where(Meter.gateway_id == gateway_id)))
