"""Intervals per second that one ingest process commits, and what they take on disk; run on SQLite and PostgreSQL.

``backfill``: 60 meters, three channels, half a year in blocks of a day, meter by meter. ``daily``: the same days in the
order of the calendar, all meters' of one day before the next, as gateways deliver once a night. ``hourly``: 500 meters,
three channels, blocks of four intervals, a day. ``live``: 1000 meters, each quarter hour one block of one interval per
meter, six hours. Batches as gateways make them (30 rows; ``daily``, ``backfill``: 500), committed in groups as the
worker does; decoding of payloads counts, the broker does not. ``per core`` is by the processor time of this process:
with PostgreSQL the server has its own.
"""

import asyncio
import time
from array import array
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from sqlalchemy import func, select, text

from benchmarks.ext.conftest import days
from central.ingest.commit import Committer
from central.ingest.decode import decode_delivery
from central.ingest.run import spare_the_collector
from central.metering.models import ProfileDay
from central.settings import IngestSettings
from central.store.engine import Database, open_url
from central.store.migrate import migrate
from ext.profile import pack
from shared.wire import Batch, Item, ProfileBlock, encode
from tests.central.samples import MIDNIGHT, TOPIC, enter_tenant

ROWS = {"backfill": 500, "daily": 500, "hourly": 30, "live": 30}
DAYS: Final = 180
#: Rows and batches in one transaction (``IngestSettings``).
LIMITS = IngestSettings()


def blocks(curves: dict[str, "array[int]"], shape: str) -> list[Item]:
    """Profile blocks in the order gateways would send them."""
    channels = dict(zip(("1.29.0", "5.29.0", "8.29.0"), curves.values(), strict=False))
    if shape in ("backfill", "daily"):
        by_meter = [
            [
                _block(f"m{meter}", channel, MIDNIGHT + 86400 * day, values)
                for channel, curve in channels.items()
                for day, values in enumerate(islice(days(curve[96 * meter :] + curve[: 96 * meter]), DAYS))
            ]
            for meter in range(60)
        ]
        if shape == "backfill":
            return [block for each in by_meter for block in each]
        return [each[channel * DAYS + day] for day in range(DAYS) for each in by_meter for channel in range(3)]
    some = channels if shape == "hourly" else {"1.29.0": channels["1.29.0"]}
    meters, length = (500, 4) if shape == "hourly" else (1000, 1)
    return [
        _block(f"m{meter}", channel, MIDNIGHT + 900 * at, curve[meter + at : meter + at + length])
        for at in range(0, 96 if shape == "hourly" else 24, length)
        for meter in range(meters)
        for channel, curve in some.items()
    ]


def _block(meter: str, channel: str, start: int, values: "array[int]") -> ProfileBlock:
    data = pack(values, array("H", bytes(2 * len(values))), 900)
    return ProfileBlock(meter, channel, start, 900, len(values), data, 1, 100)


class Outcome(NamedTuple):
    """Seconds that passed, seconds of this process's cores, intervals held, octets of packed days for each."""

    seconds: float
    busy: float
    held: int
    octets: float


async def commit_all(url: str, payloads: Sequence[bytes], rows: int) -> Outcome:
    """Commit everything into a fresh database."""
    database = open_url(url)
    await migrate(database)
    await enter_tenant(database)
    committer = Committer(database)
    spare_the_collector()
    group = max(1, min(LIMITS.group_batches, LIMITS.group_items // rows))
    began, busy = time.perf_counter(), time.process_time()
    for at in range(0, len(payloads), group):
        await committer.commit([decode_delivery(TOPIC, payload) for payload in payloads[at : at + group]])
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    async with database.read() as session:
        held = int(await session.scalar(select(func.sum(ProfileDay.held))) or 0)
    size = await table_octets(database)
    await database.close()
    return Outcome(seconds, busy, held, size / held)


async def table_octets(database: Database) -> int:
    """Octets of the table of days with its index."""
    question = "SELECT pg_total_relation_size('profile_day') + pg_total_relation_size('profile_series')"
    if database.dialect == "sqlite":
        question = "SELECT sum(pgsize) FROM dbstat WHERE name IN ('profile_day', 'profile_series')"
    async with database.read() as session:
        return int(await session.scalar(text(question)) or 0)


@pytest.mark.parametrize("shape", list(ROWS))
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_ingest(
    benchmark: Any, kind: str, shape: str, load_curves: dict[str, "array[int]"], tmp_path: Path, request: Any
) -> None:
    items, rows = blocks(load_curves, shape), ROWS[shape]
    payloads = [encode(Batch(bytes(16), at + 1, items[at : at + rows])) for at in range(0, len(items), rows)]
    wanted = sum(item.count for item in items if isinstance(item, ProfileBlock))
    numbers = iter(range(100))

    def once() -> None:
        url = f"sqlite+aiosqlite:///{tmp_path}/{next(numbers)}.sqlite"
        if kind == "postgresql":
            url = request.getfixturevalue("postgres").new_database()
        outcome = asyncio.run(commit_all(url, payloads, rows))
        assert outcome.held == wanted
        benchmark.extra_info |= {
            "M intervals/s": round(wanted / outcome.seconds / 1e6, 3),
            "M intervals/s per core": round(wanted / outcome.busy / 1e6, 3),
            "rows/s": round(len(items) / outcome.seconds),
            "octets/interval": round(outcome.octets, 2),
        }

    benchmark.pedantic(once, rounds=2, iterations=1)
    print(kind, shape, benchmark.extra_info)
