"""One transaction of ingest: the rows of several batches and the cursors of their streams, or nothing of them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from central.ccee.store import check_capture, check_connection, store_captures, store_connections
from central.fleet.store import finish_command, note_contact, store_telemetry
from central.ingest.decode import BadItem, Delivery
from central.ingest.directory import Directory, Lookup, TenantEntry
from central.ingest.held import MAX_PARTS, Held
from central.ingest.models import Rejected, Stream, StreamPart
from central.metering.days import Blocks
from central.metering.month_rows import keep_months
from central.metering.store import (
    check_registers,
    check_snapshot,
    store_events,
    store_registers,
    store_snapshots,
)
from central.registry.models import Meter
from central.store.engine import Database
from central.store.faults import is_passing, reason_of
from central.store.upsert import upsert
from shared.ids import Topic
from shared.wire import (
    FOREIGN_STREAM,
    AckCursor,
    ForwardCapture,
    ForwardConnection,
    GatewayTelemetry,
    InstantSnapshot,
    Item,
    MeterEvent,
    ProfileBlock,
    RegisterReading,
    Result,
    encode,
)

log = structlog.get_logger("metergate.ingest")

#: A gateway's last contact is written at most this often, s.
_CONTACT_EVERY: Final = 5.0
MAX_REASON: Final = 500
_REFUSED_EVERY: Final = 3600.0
#: Ids in one query; SQLite takes 32766 values.
_MOST_IDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Ack:
    """What a gateway is told after a commit."""

    topic: Topic
    cursor: AckCursor
    gap: bool


@dataclass(slots=True)
class Totals:
    """What one process has committed since its start."""

    batches: int = 0
    items: int = 0
    intervals: int = 0
    duplicates: int = 0
    rejected: int = 0
    transactions: int = 0


class _Row(msgspec.Struct):
    """One item to be stored: its number, and whether rows after it were there before it."""

    delivery: Delivery
    seq: int
    item: Item | BadItem
    tenant: TenantEntry
    gateway_id: int
    late: bool


@dataclass(slots=True)
class _Plan:
    """What one transaction will do."""

    rows: list[_Row] = field(default_factory=list)
    held: dict[bytes, Held] = field(default_factory=dict)
    touched: set[bytes] = field(default_factory=set)
    gateways: set[int] = field(default_factory=set)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    taken: list[Delivery] = field(default_factory=list)
    foreign: dict[tuple[Topic, bytes], Ack] = field(default_factory=dict)
    zones: dict[int, str] = field(default_factory=dict)  # of meters that have one of their own


class Committer:
    """Commits deliveries. A single bad item never holds up a stream: it goes to ``rejected`` whole, with the reason."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._directory = Directory()
        self._contacts: dict[int, float] = {}
        self._refused: dict[tuple[Topic, bytes, int], float] = {}
        self.totals = Totals()

    async def commit(self, deliveries: Sequence[Delivery]) -> list[Ack]:
        """Commit all; returns the cursor to tell for each stream concerned.

        Raises what the database raises when it is out of reach; nothing of the deliveries is committed then.
        """
        try:
            return await self._transaction(deliveries, one_by_one=False)
        except Exception as error:
            if is_passing(error):
                raise
            if len(deliveries) == 1:
                log.warning(
                    "batch has an item that cannot be stored", topic=str(deliveries[0].topic), error=reason_of(error)
                )
                return await self._alone(deliveries[0])
        half = len(deliveries) // 2
        return [*await self.commit(deliveries[:half]), *await self.commit(deliveries[half:])]

    async def _alone(self, delivery: Delivery) -> list[Ack]:
        """Commit one batch item by item. If even that fails it is our mistake: nothing of it is acknowledged."""
        try:
            return await self._transaction([delivery], one_by_one=True)
        except Exception as error:
            if is_passing(error):
                raise
            log.exception("batch cannot be stored", topic=str(delivery.topic), first=delivery.first)
            return []

    async def cursors(self, spool_ids: Iterable[bytes], ask: bool) -> list[AckCursor]:
        """What is committed of streams, without changing anything."""
        async with self._database.read() as session:
            held = await _held(session, sorted(spool_ids))
        return [each.ack(ask) for each in held.values()]

    async def _transaction(self, deliveries: Sequence[Delivery], one_by_one: bool) -> list[Ack]:
        now = int(time.time())
        totals = Totals(batches=len(deliveries), transactions=1)
        async with self._database.write() as session:
            lookup = self._directory.lookup(session, now)
            plan = await self._plan(session, lookup, deliveries, now)
            await self._lock_meters(session, lookup, plan)
            if one_by_one:
                for row in plan.rows:
                    await self._store_alone(session, lookup, row, now, plan)
            else:
                await _store(session, lookup, plan.rows, now, plan)
            await _save_cursors(session, plan, now)
            if plan.rejected:
                await session.execute(insert(Rejected.__table__), plan.rejected)  # type: ignore[arg-type]
            await self._note_contacts(session, plan.gateways, now)
        lookup.keep()
        totals.items, totals.rejected = len(plan.rows), len(plan.rejected)
        totals.duplicates = sum(len(each.items) for each in deliveries) - len(plan.rows)
        totals.intervals = sum(row.item.count for row in plan.rows if isinstance(row.item, ProfileBlock))
        self._count(totals)
        latest = {each.spool_id: each for each in plan.taken}
        return [
            Ack(each.topic, plan.held[spool].ack(ask=False), bool(plan.held[spool].parts))
            for spool, each in latest.items()
        ] + list(plan.foreign.values())

    async def _plan(self, session: AsyncSession, lookup: Lookup, deliveries: Sequence[Delivery], now: int) -> _Plan:
        plan = _Plan()
        places: dict[bytes, tuple[TenantEntry, int]] = {}
        named: dict[TenantEntry, set[str]] = {}
        of_tenants: list[tuple[Delivery, TenantEntry]] = []
        known: list[tuple[Delivery, TenantEntry, int]] = []
        for each in deliveries:
            tenant = await lookup.tenant(each.topic.tenant)
            if tenant is None:
                self._refuse(
                    plan, each, f"there is no tenant {each.topic.tenant!r}: enter it, or correct the gateway", now
                )
                continue
            named.setdefault(tenant, set()).add(each.topic.gateway)
            of_tenants.append((each, tenant))
        gateways = {tenant: await lookup.gateways(tenant, keys) for tenant, keys in named.items()}
        for each, tenant in of_tenants:
            gateway_id = gateways[tenant][each.topic.gateway]
            plan.gateways.add(gateway_id)
            places.setdefault(each.spool_id, (tenant, gateway_id))
            known.append((each, tenant, gateway_id))
        owners = await _open_streams(session, places, now)
        plan.held = await _held(session, sorted(places))
        for each, tenant, gateway_id in sorted(known, key=lambda place: (place[0].spool_id, place[0].first)):
            if owners[each.spool_id] != gateway_id:
                log.error("stream of another gateway", topic=str(each.topic), spool=each.spool_id.hex(), alarm=True)
                self._refuse(
                    plan, each, f"stream {each.spool_id.hex()} belongs to another gateway: was its card copied?", now
                )
                cursor = AckCursor(each.spool_id, FOREIGN_STREAM)
                plan.foreign[each.topic, each.spool_id] = Ack(each.topic, cursor, gap=False)
                continue
            held = plan.held[each.spool_id]
            missing = held.missing(each.first, each.last)
            if missing and len(held.parts) >= MAX_PARTS and each.first > held.cursor + 1:
                log.warning("too many gaps in a stream", topic=str(each.topic), parts=len(held.parts))
                continue
            plan.taken.append(each)
            newest = held.newest
            for first, last in missing:
                plan.rows.extend(
                    _Row(each, seq, each.items[seq - each.first], tenant, gateway_id, seq < newest)
                    for seq in range(first, last + 1)
                )
                held.add(first, last)
                plan.touched.add(each.spool_id)
        return plan

    async def _lock_meters(self, session: AsyncSession, lookup: Lookup, plan: _Plan) -> None:
        """Enter unknown meters; on PostgreSQL lock all concerned, in one order, against others who write their days."""
        by_tenant: dict[TenantEntry, dict[str, int]] = {}
        for row in plan.rows:
            item = row.item
            name = item.meter if isinstance(item, _OF_METER) else await _meter_of_event(lookup, row)
            if name is not None:
                by_tenant.setdefault(row.tenant, {}).setdefault(name, row.gateway_id)
        ids = set()
        for tenant, keys in sorted(by_tenant.items()):
            await lookup.meters(tenant, keys)
            ids |= {found for key in keys if (found := lookup.known_meter(tenant, key)) is not None}
        ordered = sorted(ids)
        for at in range(0, len(ordered), _MOST_IDS):
            query = select(Meter.id, Meter.zone).where(Meter.id.in_(ordered[at : at + _MOST_IDS])).order_by(Meter.id)
            locked = await session.execute(query.with_for_update(key_share=True))
            plan.zones |= {row[0]: row[1] for row in locked if row[1]}

    async def _store_alone(self, session: AsyncSession, lookup: Lookup, row: _Row, now: int, plan: _Plan) -> None:
        try:
            async with session.begin_nested():
                await _store(session, lookup, [row], now, plan)
        except Exception as error:
            if is_passing(error):
                raise
            unexpected = not isinstance(error, ValueError | ArithmeticError | DBAPIError)
            reason = reason_of(error)
            log.warning("item rejected", topic=str(row.delivery.topic), seq=row.seq, reason=reason, exc_info=unexpected)
            plan.rejected.append(_rejection_of(row, reason, now))

    def _refuse(self, plan: _Plan, delivery: Delivery, reason: str, now: int) -> None:
        """Keep a whole batch that cannot be taken. Its cursor does not move, so it comes again: kept once an hour."""
        key, clock = (delivery.topic, delivery.spool_id, delivery.first), time.monotonic()
        if clock - self._refused.get(key, -_REFUSED_EVERY) < _REFUSED_EVERY:
            return
        if len(self._refused) >= _MOST_IDS:
            self._refused.clear()
        self._refused[key] = clock
        log.warning("batch refused", topic=str(delivery.topic), first=delivery.first, reason=reason)
        payload = b"".join(_payload(item) for item in delivery.items)
        plan.rejected.append(_rejection(str(delivery.topic), delivery.spool_id, delivery.first, payload, reason, now))

    async def _note_contacts(self, session: AsyncSession, gateway_ids: set[int], now: int) -> None:
        clock = time.monotonic()
        due = [each for each in gateway_ids if clock - self._contacts.get(each, -_CONTACT_EVERY) >= _CONTACT_EVERY]
        await note_contact(session, due, now)
        self._contacts |= dict.fromkeys(due, clock)

    def _count(self, totals: Totals) -> None:
        for name in Totals.__slots__:
            setattr(self.totals, name, getattr(self.totals, name) + getattr(totals, name))


async def reject_payload(database: Database, topic: str, payload: bytes, reason: str) -> None:
    """Keep a payload that is no batch at all. Its rows have no numbers: the gateway's cursor does not move."""
    async with database.write() as session:
        row = _rejection(topic, None, None, payload, reason, int(time.time()))
        await session.execute(insert(Rejected.__table__), [row])  # type: ignore[arg-type]


async def _open_streams(
    session: AsyncSession, places: dict[bytes, tuple[TenantEntry, int]], now: int
) -> dict[bytes, int]:
    """Enter new streams, lock all in one order; returns the gateway each belongs to."""
    if not places:
        return {}
    rows = [
        {
            "spool_id": spool_id, "tenant_id": places[spool_id][0].id, "gateway_id": places[spool_id][1], "cursor": 0,
            "first_at": now, "last_at": now,
        }
        for spool_id in sorted(places)
    ]  # fmt: skip
    await session.execute(upsert(session, Stream), rows)
    query = select(Stream.spool_id, Stream.gateway_id).where(Stream.spool_id.in_(sorted(places)))
    query = query.order_by(Stream.spool_id).with_for_update()
    return {row[0]: row[1] for row in (await session.execute(query)).all()}


async def _held(session: AsyncSession, spool_ids: Sequence[bytes]) -> dict[bytes, Held]:
    """What is held of each stream; who wants to add to it has locked it before."""
    cursors = select(Stream.spool_id, Stream.cursor).where(Stream.spool_id.in_(spool_ids))
    parts = select(StreamPart.spool_id, StreamPart.first, StreamPart.last).where(StreamPart.spool_id.in_(spool_ids))
    ranges: dict[bytes, list[tuple[int, int]]] = {}
    for spool_id, first, last in (await session.execute(parts)).all():
        ranges.setdefault(spool_id, []).append((first, last))
    return {
        spool_id: Held(spool_id, cursor, ranges.get(spool_id, ()))
        for spool_id, cursor in (await session.execute(cursors)).all()
    }


async def _save_cursors(session: AsyncSession, plan: _Plan, now: int) -> None:
    touched = sorted(plan.touched)
    if not touched:
        return
    changed = [{"at": spool_id, "to": plan.held[spool_id].cursor, "now": now} for spool_id in touched]
    await (await session.connection()).execute(_MOVE, changed)
    await session.execute(delete(StreamPart).where(StreamPart.spool_id.in_(touched)))
    parts = [
        {"spool_id": spool_id, "first": first, "last": last}
        for spool_id in touched
        for first, last in plan.held[spool_id].parts
    ]
    if parts:
        await session.execute(insert(StreamPart.__table__), parts)  # type: ignore[arg-type]


_STREAM: Final[Any] = Stream.__table__
_MOVE: Final = (
    update(_STREAM)
    .where(_STREAM.c.spool_id == bindparam("at"))
    .values(cursor=bindparam("to"), last_at=bindparam("now"))
)

#: Items that are about a meter, whatever its name.
_OF_METER: Final = (ProfileBlock, RegisterReading, InstantSnapshot, ForwardConnection, ForwardCapture)


async def _meter_of_event(lookup: Lookup, row: _Row) -> str | None:
    """The meter an event is about; None for a gateway's own, and for what is no event."""
    if not isinstance(row.item, MeterEvent):
        return None
    meter = row.item.meter
    own = meter == row.delivery.topic.gateway and not await lookup.is_meter(row.tenant, meter)
    return None if own else meter


async def _store(session: AsyncSession, lookup: Lookup, rows: Sequence[_Row], now: int, plan: _Plan) -> None:
    """Store rows, each kind in one go; raises when one of them cannot be."""
    blocks = Blocks()
    registers, months, snapshots, events, telemetry, connections, captures = [], [], [], [], [], [], []
    rejected: list[dict[str, Any]] = []
    for row in rows:
        item, tenant = row.item, row.tenant
        meter = lookup.known_meter(tenant, item.meter) if not isinstance(item, _OWN) else None
        match item:
            case ProfileBlock() if meter is not None:
                source = f"gateway {row.delivery.topic.gateway}"
                blocks.add(tenant.id, meter, plan.zones.get(meter, tenant.zone), item, row.late, source)
            case RegisterReading() if meter is not None:
                check_registers(item)
                registers.append((tenant.id, meter, item))
                months.append((tenant.id, meter, plan.zones.get(meter, tenant.zone), item))
            case InstantSnapshot() if meter is not None:
                check_snapshot(item)
                snapshots.append((tenant.id, meter, item))
            case MeterEvent():
                events.append((tenant.id, meter, row.gateway_id, item))
            case ForwardConnection() if meter is not None:
                check_connection(item)
                connections.append((tenant.id, meter, row.gateway_id, item))
            case ForwardCapture() if meter is not None:
                check_capture(item)
                captures.append((tenant.id, meter, item))
            case GatewayTelemetry(modules=modules):
                ids = [(await lookup.module(tenant, row.gateway_id, each.module), each) for each in modules]
                telemetry.append((tenant.id, row.gateway_id, item, ids))
            case Result():
                if not await finish_command(session, row.gateway_id, item, now):
                    reason = f"answer to command {item.command!r}, which this gateway was never given"
                    rejected.append(_rejection_of(row, reason, now))
            case BadItem(reason=reason):
                rejected.append(_rejection_of(row, reason, now))
    await blocks.store(session, now)
    await store_registers(session, registers)
    await keep_months(session, months)
    await store_snapshots(session, snapshots)
    await store_events(session, events, now)
    await store_telemetry(session, telemetry)
    await store_captures(session, captures)
    await store_connections(session, connections, now)
    plan.rejected += rejected


_OWN: Final = (GatewayTelemetry, Result, BadItem)


def _rejection_of(row: _Row, reason: str, now: int) -> dict[str, Any]:
    topic = str(row.delivery.topic)
    return _rejection(topic, row.delivery.spool_id, row.seq, _payload(row.item), reason, now)


def _rejection(
    topic: str, spool_id: bytes | None, seq: int | None, payload: bytes, reason: str, now: int
) -> dict[str, Any]:
    return {
        "at": now, "topic": topic[:200], "spool_id": spool_id, "seq": seq,
        "reason": reason.replace("\0", "")[:MAX_REASON], "payload": payload,
    }  # fmt: skip


def _payload(item: Item | BadItem) -> bytes:
    return item.payload if isinstance(item, BadItem) else encode(item)
