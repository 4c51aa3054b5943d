"""Made-up streams of a gateway, and what central should hold of them."""

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.accounts.permissions import ALL
from central.accounts.principal import Granted, Principal
from central.ingest.decode import Delivery, decode_delivery
from central.metering.day_rows import Form, Kind, Row, enter_series, save, series_of_kinds
from central.metering.stored import day_id, number
from central.registry.models import Meter
from central.store.engine import Database
from ext.profile import pack
from shared.ids import Topic
from shared.quantities import Quantity
from shared.wire import (
    Batch,
    GatewayTelemetry,
    InstantSnapshot,
    Item,
    MeterEvent,
    ModuleTelemetry,
    ProfileBlock,
    RegisterReading,
    RegisterValue,
    encode,
)

#: 2026-03-02T03:00:00Z, a midnight in São Paulo.
MIDNIGHT = 1_772_420_400
TOPIC = Topic("default", "gw1", "up")
SPOOL = bytes(range(16))


async def enter_tenant(database: Database, key: str = "default", zone: str = "America/Sao_Paulo") -> int:
    """Enter a tenant; returns its id."""
    async with database.write() as session:
        tenant = Tenant(key=key, name=key, zone=zone)
        session.add(tenant)
        await session.flush()
        return tenant.id


def person(tenant: int) -> Principal:
    """Somebody who may do everything in a tenant."""
    return Principal(tenant, "", "", "UTC", 1, "ana", "Ana", "", "session", (Granted(ALL),))


async def tenant_id(session: AsyncSession, key: str = "default") -> int:
    return (await session.execute(select(Tenant.id).where(Tenant.key == key))).scalar_one()


def block(
    meter: str,
    start: int,
    values: Sequence[int | None],
    *,
    flags: int = 0,
    channel: str = "1.29.0",
    step: int = 900,
    num: int = 1,
    den: int = 100,
) -> ProfileBlock:
    """A block; None is a missing interval."""
    packed = pack(
        array("q", [value or 0 for value in values]),
        array("H", [1 if value is None else flags for value in values]),
        step,
    )
    return ProfileBlock(meter, channel, start, step, len(values), packed, num, den)


def delivery(items: Sequence[Item], first: int = 1, topic: Topic = TOPIC, spool: bytes = SPOOL) -> Delivery:
    """Items as they come out of a payload."""
    return decode_delivery(topic, encode(Batch(spool, first, list(items))))


@dataclass
class Stream:
    """A gateway's rows (``items``), and the intervals central should hold: (meter, channel, start) -> value."""

    items: list[Item] = field(default_factory=list)
    intervals: dict[tuple[str, str, int], int] = field(default_factory=dict)

    def batches(self, rng: random.Random, longest: int = 9) -> list[tuple[int, list[Item]]]:
        """Cut into batches (first number, items) that cover everything, some of it twice."""
        found = []
        at = 0
        while at < len(self.items):
            count = rng.randint(1, longest)
            found.append((at + 1, self.items[at : at + count]))
            at += count if rng.random() < 0.7 else rng.randint(1, count)
        return found


def stream(rng: random.Random, meters: int = 3, hours: int = 60, start: int = MIDNIGHT) -> Stream:
    """Blocks of one to twenty intervals per meter and channel, and other items between."""
    made = Stream()
    at = {(f"m{number}", channel): start for number in range(meters) for channel in ("1.29.0", "3.29.0")}
    end = start + hours * 3600
    while any(instant < end for instant in at.values()):
        meter, channel = rng.choice([place for place, instant in at.items() if instant < end])
        first = at[meter, channel]
        values = [rng.randint(0, 500) for _ in range(rng.randint(1, 20))]
        made.items.append(block(meter, first, values, channel=channel))
        for i, value in enumerate(values):
            made.intervals[meter, channel, first + 900 * i] = value
        at[meter, channel] = first + 900 * len(values)
        if rng.random() < 0.3:
            made.items.append(_other(rng, meter, first))
    return made


def _other(rng: random.Random, meter: str, at: int) -> Item:
    kind = rng.randrange(4)
    if kind == 0:
        value = RegisterValue("1.8.0", rng.randint(0, 10**9), 1, 100)
        return RegisterReading(meter, at, at + 5, 0, [value])
    if kind == 1:
        return InstantSnapshot(meter, at, ["32.7.0"], b"\x00\x00\xfe\x42")
    if kind == 2:
        return MeterEvent(meter, at, "outage", at + 60)
    return GatewayTelemetry(at, 1, 2, 3, 4, 0.5, 6, 7, modules=[ModuleTelemetry("modem", 41.5, -70.0)])


async def add_day(
    db: AsyncSession, meter: Meter, channel: Quantity, day: date, start: int, data: bytes, *, held: int, total: int,
    flags: int = 0, step: int = 900, num: int = 1, den: int = 1,
) -> None:  # fmt: skip
    """Store a day, entering its series."""
    kind = Kind(meter.tenant_id, meter.id, channel.code, step)
    form = Form(num, den, start - 86400 * number(day))
    series = await series_of_kinds(db, {kind})
    await enter_series(db, [(kind, form)], series)
    await save(db, [Row(day_id(series[kind][form], number(day)), held, flags, total, 1, data)])
