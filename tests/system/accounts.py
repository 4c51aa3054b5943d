"""Counting after the faults: what the spools and the source hold against what central holds."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.ccee.models import CceeConnection
from central.fleet.models import FleetCommand, GatewayHealth
from central.ingest.models import Rejected, Stream, StreamPart
from central.metering.models import Event, ProfileVersion, RegisterSet, Snapshot
from central.metering.registers import encode_values
from central.metering.stored import ever, series_of, stored_days
from central.registry.models import Gateway, Meter
from central.store.engine import Database
from edge.simulators.load import LoadReplay
from edge.spool import inspection
from ext.profile import unpack
from shared.quality import Quality
from shared.quantities import Quantity
from shared.wire import (
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

#: Profile channels of a simulated meter, in the order of the curve's columns.
CHANNELS = (Quantity(1, 29), Quantity(5, 29), Quantity(8, 29))


@dataclass
class Account:
    """What was found; all lists empty and ``intervals`` as many as the source has: nothing lost, doubled or changed."""

    intervals: int = 0
    lost: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        found = f"{self.intervals} intervals and {dict(self.rows)} rows compared"
        for name in ("lost", "changed", "doubled"):
            rows = getattr(self, name)
            found += f"; {len(rows)} {name} {rows[:3] if rows else ''}"
        return found


async def profiles(database: Database, serial: str, start: int, end: int, account: Account) -> None:
    """Compare every interval in [start, end) of one meter's three channels with the source, value for value."""
    replay = LoadReplay(serial)
    async with database.read() as session:
        meter = await session.scalar(select(Meter).where(Meter.key == serial))
        if meter is None:
            account.lost.append(f"meter {serial} as a whole")
            return
        for column, channel in enumerate(CHANNELS):
            held: dict[int, tuple[int, int]] = {}
            for row in await stored_days(session, ever(), *series_of(meter.tenant_id, meter.id, channel.code)):
                values, flags, step = unpack(row.data)
                for i, (value, flag) in enumerate(zip(values, flags, strict=True)):
                    at = row.start + i * step
                    if not flag & Quality.MISSING:
                        if at in held:
                            account.doubled.append(f"{serial} {channel} {at}")
                        held[at] = (value, flag)
            for at in range(start, end, replay.step):
                account.intervals += 1
                if at not in held:
                    account.lost.append(f"{serial} {channel} {at}")
                elif held[at][0] != replay.value(column, at):
                    account.changed.append(f"{serial} {channel} {at}: {held[at]} for {replay.value(column, at)}")


async def streams(database: Database, spools: dict[str, Path], account: Account) -> None:
    """Compare every row that a spool ever took with central's rows: each there once, the cursor at the end."""
    async with database.read() as session:
        meters = {m.key: m.id for m in await session.scalars(select(Meter))}
        gateways = {g.key: g.id for g in await session.scalars(select(Gateway))}
        there = await _stored(session)
        for gateway, path in spools.items():
            overview = inspection.overview(path)
            stream = await session.get(Stream, overview.spool_id)
            if stream is None or stream.cursor != overview.last_seq:
                account.lost.append(f"{gateway}: cursor {stream and stream.cursor} of {overview.last_seq}")
            wanted = Counter(_key(stored.item, meters, gateways[gateway]) for stored in inspection.stored_items(path))
            for key, number in wanted.items():
                account.rows[str(key[0])] += number
                if key[0] in ("profile", "capture"):
                    continue  # merged into days, compared value by value elsewhere; kept with its connection
                if not there[key]:
                    account.lost.append(f"{gateway} {key}")
                elif there[key] > number:
                    account.doubled.append(f"{gateway} {key}: {there[key]} for {number}")
        for table in (Rejected, StreamPart, ProfileVersion):
            if number := await session.scalar(select(func.count()).select_from(table)) or 0:
                account.changed.append(f"{number} rows in {table.__tablename__}")


def _key(item: Item | None, meters: dict[str, int], gateway: int) -> tuple[object, ...]:
    match item:
        case InstantSnapshot():
            return ("snapshot", meters[item.meter], item.at)
        case RegisterReading():
            return ("registers", meters[item.meter], item.at, item.period, encode_values(item.values))
        case MeterEvent():
            own = None if item.meter in meters else gateway
            detail = msgspec.json.encode(item.detail, order="sorted").decode()
            return ("event", meters.get(item.meter), own, item.at, item.kind, detail)
        case GatewayTelemetry():
            return ("telemetry", gateway, item.at)  # of two in one second, by two lives of a gateway, one stays
        case Result():
            return ("result", gateway, encode(item))
        case ForwardConnection():
            return ("connection", meters[item.meter], item.forward, item.started_ms)
        case ForwardCapture():
            return ("capture",)
        case ProfileBlock():
            return ("profile",)
    raise AssertionError(f"a spool row that nobody expected: {item}")


async def _stored(session: AsyncSession) -> Counter[tuple[object, ...]]:
    there: Counter[tuple[object, ...]] = Counter()
    own: Any = case((Event.meter_id.is_(None), Event.gateway_id))
    for name, columns in {
        "snapshot": (Snapshot.meter_id, Snapshot.at),
        "registers": (RegisterSet.meter_id, RegisterSet.at, RegisterSet.period, RegisterSet.data),
        "event": (Event.meter_id, own, Event.at, Event.kind, Event.detail),
        "telemetry": (GatewayHealth.gateway_id, GatewayHealth.at),
        "connection": (CceeConnection.meter_id, CceeConnection.forward, CceeConnection.started_ms),
        "result": (FleetCommand.gateway_id, FleetCommand.result),
    }.items():
        query: Any = select(*columns)
        there.update((name, *row) for row in await session.execute(query))
    return there
