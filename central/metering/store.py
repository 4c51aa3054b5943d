"""Write what was measured but profiles: registers, instantaneous values, events; each kind in one statement."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import null, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from central.api.query import instant_text, optional_text
from central.metering.models import Event, RegisterSet, Snapshot
from central.metering.registers import encode_values
from central.metering.snapshots import decode_values
from central.registry.models import Gateway, Meter
from central.store.chunks import chunks
from central.store.upsert import upsert
from central.webhooks import outbox
from central.webhooks.kinds import Kind
from shared.quantities import Quantity
from shared.wire import InstantSnapshot, MeterEvent, RegisterReading, encode

#: Keys in one query; SQLite takes 32766 values in all.
_KEYS: Final = 2000


async def store_registers(session: AsyncSession, readings: Sequence[tuple[int, int, RegisterReading]]) -> None:
    """Store readings as (tenant, meter, reading); one that is held already changes nothing."""
    rows = []
    for tenant_id, meter_id, reading in readings:
        data = encode_values(reading.values)
        rows.append(
            {
                "tenant_id": tenant_id,
                "meter_id": meter_id,
                "at": reading.at,
                "read_at": reading.read_at,
                "period": reading.period,
                "resets": reading.resets,
                "reset_at": reading.reset_at,
                "digest": digest(data),
                "data": data,
            }
        )
    if rows:
        keys = ("tenant_id", "meter_id", "at", "period", "digest")
        await session.execute(upsert(session, RegisterSet, keys=keys), rows)


async def store_snapshots(session: AsyncSession, snapshots: Sequence[tuple[int, int, InstantSnapshot]]) -> None:
    """Store instantaneous values; a second set of one instant replaces the first."""
    rows = {(tenant_id, meter_id, snapshot.at): encode(snapshot) for tenant_id, meter_id, snapshot in snapshots}
    if rows:
        await session.execute(
            upsert(session, Snapshot, update=("data",)),
            [{"tenant_id": t, "meter_id": m, "at": at, "data": data} for (t, m, at), data in rows.items()],
        )


async def store_events(
    session: AsyncSession, events: Sequence[tuple[int, int | None, int, MeterEvent]], now: int
) -> None:
    """Store events as (tenant, meter or None, gateway, event); a later end of one that lasts is filled in.

    A gateway's own event that is there already changes nothing: its streams may tell it again under another name.
    """
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for tenant_id, meter_id, gateway_id, event in events:
        detail = msgspec.json.encode(event.detail, order="sorted").decode()
        own = gateway_id if meter_id is None else None
        key = (tenant_id, meter_id, own, event.at, event.kind, digest(detail.encode()))
        until = event.until if event.until is not None else rows.get(key, {}).get("until")
        rows[key] = {
            "tenant_id": tenant_id, "meter_id": meter_id, "gateway_id": gateway_id, "at": event.at, "until": until,
            "kind": event.kind, "detail": detail, "digest": key[-1], "received_at": now,
        }  # fmt: skip
    for known in await _stored(session, Event.gateway_id, [key for key in rows if key[1] is None]):
        del rows[known]
    if not rows:
        return
    await _publish_events(session, rows)
    keys = ("tenant_id", "meter_id", "at", "kind", "digest")
    await session.execute(upsert(session, Event, keys=keys, fill=("until",)), list(rows.values()))


async def _publish_events(session: AsyncSession, rows: Mapping[tuple[Any, ...], dict[str, Any]]) -> None:
    """Tell webhooks of events that are not stored yet; about those that are, a later end is no news."""
    for tenant_id in sorted({row["tenant_id"] for row in rows.values()}):
        hooks = await outbox.listening(session, tenant_id, Kind.METER_EVENT)
        if not hooks:
            continue
        of_meters = [key for key in rows if key[0] == tenant_id and key[1] is not None]
        old = await _stored(session, Event.meter_id, of_meters)
        fresh = [row for key, row in rows.items() if key[0] == tenant_id and key not in old]
        meters = await _keys_of(session, Meter, {row["meter_id"] for row in fresh})
        gateways = await _keys_of(session, Gateway, {row["gateway_id"] for row in fresh})
        events = [
            {
                "meter": meters.get(row["meter_id"]), "gateway": gateways.get(row["gateway_id"]), "event": row["kind"],
                "at": instant_text(row["at"]), "until": optional_text(row["until"]),
                "detail": msgspec.Raw(row["detail"].encode()),
            }
            for row in fresh
        ]  # fmt: skip
        await outbox.put(session, hooks, Kind.METER_EVENT, events)


async def _keys_of(session: AsyncSession, kind: type[Meter] | type[Gateway], ids: set[int | None]) -> dict[int, str]:
    """Keys by id."""
    found: dict[int, str] = {}
    for part in chunks(sorted(each for each in ids if each is not None), _KEYS):
        found |= {row[0]: row[1] for row in await session.execute(select(kind.id, kind.key).where(kind.id.in_(part)))}
    return found


async def _stored(session: AsyncSession, of: Any, keys: Sequence[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Which of these events are stored. ``of``: the meters' (their column), or the gateways' own: without a meter
    (NULL) no unique key can tell."""
    own = of is Event.gateway_id
    known = set()
    wanted = set(keys)
    for part in chunks(sorted({(key[2] if own else key[1], key[3]) for key in keys}), _KEYS):
        gateway = Event.gateway_id if own else null()
        query = select(Event.tenant_id, Event.meter_id, gateway, Event.at, Event.kind, Event.digest)
        query = query.where(tuple_(of, Event.at).in_(part))
        if own:
            query = query.where(Event.meter_id.is_(None))
        known |= {tuple(row) for row in await session.execute(query)} & wanted
    return known


def check_registers(reading: RegisterReading) -> None:
    """Raise ValueError for a reading that could not be read back."""
    for value in reading.values:
        Quantity.parse(value.quantity)


def check_snapshot(snapshot: InstantSnapshot) -> None:
    """Raise ValueError for a snapshot that could not be read back."""
    decode_values(snapshot)


def digest(data: bytes) -> int:
    """Signed 64-bit digest, part of the key of registers and events."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)
