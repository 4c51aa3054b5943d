"""Find what exists: meters with their point, customer, module and gateway; gateways with their live state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.accounts.reach import is_part
from central.errors import NotFound
from central.fleet.models import GatewayLive
from central.fleet.states import Summary, decode_state, decode_summary, meter_states, part_of, summarise
from central.registry.kinds import CUSTOMER, GATEWAY, METER, POINT, Kind
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
from central.store.lists import is_one_of
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


@dataclass(frozen=True)
class GatewayView:
    """A gateway, its live row (None before its first word), and how many meters hang on it.

    Who reaches only some of its meters (``seen``, their keys; None: all) sees neither the others nor the configuration,
    which is about all of them: ``live`` is without them then, and only what is made from ``told`` is shown.
    """

    gateway: Gateway
    live: GatewayLive | None
    meters: int
    told: GatewayLive | None
    seen: frozenset[str] | None = None

    @property
    def online(self) -> bool:
        return self.live is not None and self.live.online

    @cached_property
    def state(self) -> GatewayState | None:
        """All that it last told, None before its first word. Decoding takes a millisecond for some hundred meters."""
        state = decode_state(self.told)
        return state if state is None or self.seen is None else part_of(state, self.seen)

    @cached_property
    def summary(self) -> Summary | None:
        """What lists show of its state, cheap for many gateways; None before its first word."""
        if self.seen is not None:
            return summarise(self.state) if self.state else None
        return decode_summary(self.told) if self.told else None


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
    offset: int = 0,
    limit: int = 50,
) -> Page[MeterView]:
    """Meters in order of their key, after one or after so many; every word of the search must occur somewhere."""
    limit = bounded(limit)
    # which meters first, from narrow tables, then all about those few
    query = _found(tenant_id, wanted, Meter.id).order_by(Meter.key).limit(limit + 1)
    if after is not None:
        query = query.where(Meter.key > after)
    ids = (await session.scalars(query.offset(offset) if offset else query)).all()
    shown = _meters(tenant_id).where(is_one_of(session, Meter.id, ids[:limit])).order_by(Meter.key)
    views = await _views(session, tenant_id, shown)
    return Page(views, views[-1].meter.key if len(ids) > limit and views else None)


async def count_meters(session: AsyncSession, tenant_id: int, wanted: MeterFilter | None = None) -> int:
    """How many meters a filter finds."""
    return await session.scalar(_found(tenant_id, wanted, func.count(Meter.id))) or 0


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


def _found(tenant_id: int, wanted: MeterFilter | None, column: Any) -> Any:
    """Select a column of the meters that a filter finds."""
    wanted = wanted or MeterFilter()
    installed = select(Installation.meter_id).where(Installation.ends_at.is_(None))
    supplied = installed.join(MeteringPoint, MeteringPoint.id == Installation.point_id)
    owned = supplied.join(Customer, Customer.id == MeteringPoint.customer_id)
    conditions: list[Any] = [Meter.tenant_id == tenant_id]
    for word in question(wanted.search):  # of the meter, its point or its customer

        def of(kind: Kind, word: str = word) -> Any:
            return word_ids(tenant_id, kind.word_kind, word)

        points, customers = Installation.point_id.in_(of(POINT)), MeteringPoint.customer_id.in_(of(CUSTOMER))
        conditions.append(Meter.id.in_(of(METER).union(installed.where(points), supplied.where(customers))))
    for column_of, value in (
        (Meter.gateway_id, wanted.gateway_id), (Meter.registered, wanted.registered),
        (Meter.monitored, wanted.monitored),
    ):  # fmt: skip
        if value is not None:
            conditions.append(column_of == value)
    for behind, value in (
        (Customer.id, wanted.customer_id), (Customer.group_id, wanted.group_id), (Customer.lot_id, wanted.lot_id)
    ):  # fmt: skip
        if value is not None:
            conditions.append(Meter.id.in_(owned.where(behind == value)))
    return select(column).where(*conditions)


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
    gateway, live, meters = row
    if live is None or not is_part(session, gateway.id):
        return GatewayView(gateway, live, meters, live)
    shown = GatewayLive(
        gateway_id=gateway.id, online=live.online, contact_at=live.contact_at, changed_at=live.changed_at,
        config="", config_hash="",
    )  # fmt: skip
    return GatewayView(gateway, shown, meters, live, await seen_meters(session, gateway.id))


async def seen_meters(session: AsyncSession, gateway_id: int) -> frozenset[str]:
    """Keys of a gateway's meters that this session reaches."""
    return frozenset(await session.scalars(select(Meter.key).where(Meter.gateway_id == gateway_id)))
