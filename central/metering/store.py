"""Write what was measured: many blocks of many meters with one query and one upsert per transaction."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from central.metering.blocks import Cut, Day, contradicts, cut, merge, unpack_day
from central.metering.models import Event, ProfileDay, ProfileVersion, RegisterSet, Snapshot
from central.metering.registers import encode_values
from central.metering.snapshots import decode_values
from central.store.upsert import upsert
from shared.quantities import Quantity
from shared.wire import InstantSnapshot, MeterEvent, ProfileBlock, RegisterReading, encode

#: Keys in one query; SQLite takes 32766 values in all.
_KEYS: Final = 2000

_DAY_COLUMNS: Final = ("start", "count", "num", "den", "held", "flags", "total", "version", "changed_at", "data")

T = TypeVar("T")


class Key(NamedTuple):
    """Primary key of a stored day."""

    tenant_id: int
    meter_id: int
    channel: int
    day: int
    step: int


@dataclass(slots=True)
class Blocks:
    """Profile blocks of one transaction, cut into days, in the order they were sent."""

    cuts: list[tuple[Key, Cut, bool, str]] = field(default_factory=list)

    def add(self, tenant_id: int, meter_id: int, zone: str, block: ProfileBlock, late: bool, source: str) -> None:
        """Take a block; raises :class:`central.metering.blocks.BlockError` and takes nothing of it."""
        for each in cut(block, zone):
            self.cuts.append((Key(tenant_id, meter_id, each.channel, each.day, each.step), each, late, source))

    async def store(self, session: AsyncSession, now: int) -> int:
        """Merge all into the stored days; returns how many days changed."""
        if not self.cuts:
            return 0
        days = await _load(session, {key for key, _, _, _ in self.cuts})
        changed: dict[Key, Day] = {}
        versions: list[dict[str, Any]] = []
        for key, each, late, source in self.cuts:
            day = days.get(key)
            if day is None:
                day = days[key] = Day.empty(each)
            if day.start != each.start or len(day.values) != each.count:
                raise ValueError(f"stored day {key} begins at {day.start}, the meter's zone says {each.start}")
            before = Day(day.start, day.step, day.num, day.den, day.values[:], day.flags[:], day.version)
            outcome = merge(day, each, late)
            if outcome.corrected:
                versions.append(_version(key, before, now, source, "a later delivery differs"))
                day.version += 1
            if late and contradicts(day, each):
                beaten = Day.empty(each)
                merge(beaten, each)
                beaten.version = day.version
                versions.append(_version(key, beaten, now, source, "sent before what is in force, arrived after it"))
                day.version += 1
                changed[key] = day
            if outcome.changed:
                changed[key] = day
        if versions:
            await session.execute(insert(ProfileVersion.__table__), versions)  # type: ignore[arg-type]
        if changed:
            rows = [_row(key, day, now) for key, day in sorted(changed.items())]
            await session.execute(upsert(session, ProfileDay, update=_DAY_COLUMNS), rows)
        return len(changed)


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
    for known in await _own_events(session, [key for key in rows if key[1] is None]):
        del rows[known]
    if not rows:
        return
    keys = ("tenant_id", "meter_id", "at", "kind", "digest")
    await session.execute(upsert(session, Event, keys=keys, fill=("until",)), list(rows.values()))


async def _own_events(session: AsyncSession, keys: Sequence[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Which of these events of gateways are stored; without a meter (NULL) no unique key can tell."""
    known = set()
    wanted = set(keys)
    for part in _chunks(sorted({(key[2], key[3]) for key in keys}), _KEYS):
        query = select(Event.tenant_id, Event.meter_id, Event.gateway_id, Event.at, Event.kind, Event.digest).where(
            Event.meter_id.is_(None), tuple_(Event.gateway_id, Event.at).in_(part)
        )
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


async def _load(session: AsyncSession, keys: set[Key]) -> dict[Key, Day]:
    columns = (
        ProfileDay.tenant_id, ProfileDay.meter_id, ProfileDay.channel, ProfileDay.day, ProfileDay.step,
        ProfileDay.start, ProfileDay.num, ProfileDay.den, ProfileDay.version, ProfileDay.data,
    )  # fmt: skip
    by_tenant: dict[int, set[tuple[int, int, int]]] = {}
    for key in keys:
        by_tenant.setdefault(key.tenant_id, set()).add((key.meter_id, key.channel, key.day))
    found: dict[Key, Day] = {}
    place = tuple_(ProfileDay.meter_id, ProfileDay.channel, ProfileDay.day)
    for tenant_id, wanted in by_tenant.items():
        for part in _chunks(sorted(wanted), _KEYS):
            query = select(*columns).where(ProfileDay.tenant_id == tenant_id, place.in_(part))
            for row in await session.execute(query):
                found[Key(*row[:5])] = unpack_day(row[5], row[6], row[7], row[8], row[9])
    return found


def _row(key: Key, day: Day, now: int) -> dict[str, Any]:
    held, flags, total = day.figures()
    return key._asdict() | {
        "start": day.start, "count": len(day.values), "num": day.num, "den": day.den, "held": held, "flags": flags,
        "total": total, "version": day.version, "changed_at": now, "data": day.packed(),
    }  # fmt: skip


def _version(key: Key, day: Day, now: int, source: str, reason: str) -> dict[str, Any]:
    return key._asdict() | {
        "version": day.version, "start": day.start, "count": len(day.values), "num": day.num, "den": day.den,
        "data": day.packed(), "replaced_at": now, "source": source, "author": "", "reason": reason,
    }  # fmt: skip


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


async def cut_anew(session: AsyncSession, tenant_id: int, meter_id: int, zone: str, now: int) -> int:
    """Cut a meter's stored days into the local days of another zone; returns how many there are then.

    Values and flags stay what they were. Replaced versions keep the days they were cut into; numbers go on after them.
    """
    table = ProfileDay.__table__.c
    where = table.tenant_id == tenant_id, table.meter_id == meter_id
    columns = table.channel, table.start, table.step, table.count, table.data, table.num, table.den
    blocks = Blocks()
    for channel, *block in await session.execute(select(*columns).where(*where)):
        code = str(Quantity.from_code(channel))
        blocks.add(tenant_id, meter_id, zone, ProfileBlock("-", code, *block), False, "")
    await session.execute(delete(ProfileDay).where(*where).execution_options(synchronize_session=False))
    days = await blocks.store(session, now)
    kept = ProfileVersion.__table__.c
    place = kept.channel, kept.day, kept.step
    highest = select(*place, func.max(kept.version)).where(kept.tenant_id == tenant_id, kept.meter_id == meter_id)
    for channel, day, step, version in (await session.execute(highest.group_by(*place))).all():
        here = *where, table.channel == channel, table.day == day, table.step == step
        await session.execute(update(ProfileDay.__table__).where(*here).values(version=version + 1))  # type: ignore[arg-type]
    return days
