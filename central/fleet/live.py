"""What gateways say of themselves: state (or last will) and configuration, kept as they last said it."""

import time
from collections.abc import Mapping

import msgspec
import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.api.query import instant_text
from central.fleet.models import GatewayLive
from central.fleet.states import summarise
from central.ingest.directory import Directory, Lookup, TenantEntry
from central.registry.models import Installation, Meter
from central.store.engine import Database
from central.store.faults import is_passing
from central.store.upsert import upsert
from central.webhooks import outbox
from central.webhooks.kinds import Kind
from shared.ids import Topic
from shared.wire import GatewayConfig, GatewayState, MeterState, WireError, decode, encode

log = structlog.get_logger("metergate.fleet")


class States:
    """Writes states and configurations; one bad message never holds up the others."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._directory = Directory()

    async def store(self, messages: Mapping[Topic, bytes]) -> list[Topic]:
        """Store the newest message of each topic in one transaction; returns gateways that have come online by it.

        Raises what the database raises when it is out of reach; nothing is stored then.
        """
        understood = {topic: said for topic, payload in messages.items() if (said := _said(topic, payload)) is not None}
        try:
            return await self._store(understood) if understood else []
        except Exception as error:
            if is_passing(error):
                raise
            if len(understood) == 1:
                log.exception("message not stored", topic=str(next(iter(understood))))
                return []
        return [topic for each in messages for topic in await self.store({each: messages[each]})]

    async def _store(self, messages: Mapping[Topic, GatewayState | GatewayConfig]) -> list[Topic]:
        now = int(time.time())
        online: list[Topic] = []
        async with self._database.write() as session:
            lookup = self._directory.lookup(session, now)
            for topic, said in sorted(messages.items(), key=lambda message: message[0]):
                tenant = await lookup.tenant(topic.tenant)
                if tenant is None:
                    log.warning("message refused", topic=str(topic), error=f"there is no tenant {topic.tenant!r}")
                    continue
                gateway_id = (await lookup.gateways(tenant, [topic.gateway]))[topic.gateway]
                if isinstance(said, GatewayConfig):
                    await _store_config(session, gateway_id, said, now)
                elif await _store_state(session, lookup, tenant, gateway_id, topic.gateway, said, now):
                    online.append(topic)
        lookup.keep()
        return online


def _said(topic: Topic, payload: bytes) -> GatewayState | GatewayConfig | None:
    """What a message says; None for one that is refused."""
    try:
        return decode(payload, GatewayState) if topic.kind == "state" else decode(payload, GatewayConfig)
    except WireError as error:
        log.warning("message refused", topic=str(topic), error=str(error))
        return None


async def _store_state(
    session: AsyncSession, lookup: Lookup, tenant: TenantEntry, gateway_id: int, key: str, state: GatewayState, now: int
) -> bool:
    before = await session.scalar(select(GatewayLive.online).where(GatewayLive.gateway_id == gateway_id))
    row = {
        "gateway_id": gateway_id, "online": state.online, "contact_at": now if state.online else None,
        "changed_at": now, "state": encode(state), "summary": msgspec.msgpack.encode(summarise(state)), "config": "",
        "config_hash": state.config,
    }  # fmt: skip
    columns = ["online"]
    if before is not state.online:
        columns.append("changed_at")
    if state.online:  # a last will was made at connecting: what it knows of meters is old
        columns += ["state", "summary", "contact_at"]
    await session.execute(upsert(session, GatewayLive, update=columns), [row])
    if state.online:
        await _place_meters(session, lookup, tenant, gateway_id, state.meters, now)
    if state.online is not bool(before):
        kind = Kind.GATEWAY_ONLINE if state.online else Kind.GATEWAY_OFFLINE
        await outbox.publish(session, tenant.id, kind, {"gateway": key, "since": instant_text(now)})
    return state.online and not before


async def _place_meters(
    session: AsyncSession, lookup: Lookup, tenant: TenantEntry, gateway_id: int, states: list[MeterState], now: int
) -> None:
    """A gateway's state says which meters it reads, and through which module."""
    keys = sorted({state.meter for state in states})
    await lookup.meters(tenant, dict.fromkeys(keys, gateway_id))
    ids = {key: found for key in keys if (found := lookup.known_meter(tenant, key)) is not None}
    if not ids:
        return
    moved = update(Meter).where(Meter.id.in_(sorted(ids.values())), Meter.gateway_id.is_distinct_from(gateway_id))
    await session.execute(moved.values(gateway_id=gateway_id).execution_options(synchronize_session=False))
    query = select(Installation).where(Installation.meter_id.in_(sorted(ids.values())), Installation.ends_at.is_(None))
    places = {place.meter_id: place for place in await session.scalars(query)}
    for state in states:
        if not state.module:
            continue
        module_id = await lookup.module(tenant, gateway_id, state.module)
        place = places.get(ids[state.meter])
        if place is None:
            place = _installation(tenant.id, ids[state.meter], None, module_id, now, "seen by its gateway")
            session.add(place)
            places[place.meter_id] = place
        elif place.module_id is None:
            place.module_id = module_id
        elif place.module_id != module_id:
            place.ends_at = max(now, place.starts_at)
            fresh = _installation(
                tenant.id, place.meter_id, place.point_id, module_id, now, "read through another module"
            )
            session.add(fresh)
            places[place.meter_id] = fresh


def _installation(
    tenant_id: int, meter_id: int, point_id: int | None, module_id: int, now: int, reason: str
) -> Installation:
    return Installation(
        tenant_id=tenant_id, meter_id=meter_id, point_id=point_id, module_id=module_id, starts_at=now, ends_at=None,
        reason=reason,
    )  # fmt: skip


async def _store_config(session: AsyncSession, gateway_id: int, config: GatewayConfig, now: int) -> None:
    row = {
        "gateway_id": gateway_id, "online": False, "contact_at": now, "config": config.toml.replace("\0", ""),
        "config_hash": config.hash[:64],
    }  # fmt: skip
    await session.execute(upsert(session, GatewayLive, update=("config", "config_hash")), [row])
