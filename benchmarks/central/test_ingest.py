"""Intervals per second that one ingest process commits, and what they take on disk; run on SQLite and PostgreSQL.

``backfill``: 40 meters, three channels, a month in blocks of one day. ``live``: 1000 meters, each quarter hour one
block of one interval per meter, four of them. Batches as a gateway makes them (30 rows), committed in groups as the
worker does; decoding of payloads counts, the broker does not.
"""

import asyncio
import time
from array import array
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from benchmarks.ext.conftest import days
from central.ingest.commit import Committer
from central.ingest.decode import decode_delivery
from central.metering.models import ProfileDay
from central.store.engine import Database, open_url
from central.store.migrate import migrate
from ext.profile import pack
from shared.wire import Batch, Item, ProfileBlock, encode
from tests.central.samples import MIDNIGHT, TOPIC, enter_tenant

ROWS = 30
GROUP = 64


def blocks(curves: dict[str, "array[int]"], shape: str) -> list[Item]:
    """Profile blocks in the order gateways would send them."""
    channels = dict(zip(("1.29.0", "5.29.0", "8.29.0"), curves.values(), strict=False))
    if shape == "backfill":
        return [
            _block(f"m{meter}", channel, MIDNIGHT + 86400 * day, values)
            for meter in range(40)
            for channel, curve in channels.items()
            for day, values in enumerate(islice(days(curve), 30))
        ]
    curve = channels["1.29.0"]
    return [
        _block(f"m{meter}", "1.29.0", MIDNIGHT + 900 * at, curve[meter + at : meter + at + 1])
        for at in range(4)
        for meter in range(1000)
    ]


def _block(meter: str, channel: str, start: int, values: "array[int]") -> ProfileBlock:
    data = pack(values, array("H", bytes(2 * len(values))), 900)
    return ProfileBlock(meter, channel, start, 900, len(values), data, 1, 100)


async def commit_all(url: str, payloads: Sequence[bytes]) -> tuple[float, int, float]:
    """Commit everything into a fresh database; returns (seconds, intervals, octets of packed days per interval)."""
    database = open_url(url)
    await migrate(database)
    await enter_tenant(database)
    committer = Committer(database)
    began = time.perf_counter()
    for at in range(0, len(payloads), GROUP):
        await committer.commit([decode_delivery(TOPIC, payload) for payload in payloads[at : at + GROUP]])
    seconds = time.perf_counter() - began
    async with database.read() as session:
        held = await session.scalar(select(func.sum(ProfileDay.held)))
    size = await _octets(database)
    await database.close()
    return seconds, int(held or 0), size / int(held or 1)


async def _octets(database: Database) -> int:
    """Octets of the table of days with its index."""
    question = "SELECT pg_total_relation_size('profile_day')"
    if database.dialect == "sqlite":
        question = "SELECT sum(pgsize) FROM dbstat WHERE name = 'profile_day'"
    async with database.read() as session:
        return int(await session.scalar(text(question)) or 0)


@pytest.mark.parametrize("shape", ["backfill", "live"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_ingest(
    benchmark: Any, kind: str, shape: str, load_curves: dict[str, "array[int]"], tmp_path: Path, request: Any
) -> None:
    items = blocks(load_curves, shape)
    payloads = [encode(Batch(bytes(16), at + 1, items[at : at + ROWS])) for at in range(0, len(items), ROWS)]
    wanted = sum(item.count for item in items if isinstance(item, ProfileBlock))
    numbers = iter(range(100))

    def once() -> None:
        url = f"sqlite+aiosqlite:///{tmp_path}/{next(numbers)}.sqlite"
        if kind == "postgresql":
            url = request.getfixturevalue("postgres").new_database()
        seconds, held, octets = asyncio.run(commit_all(url, payloads))
        assert held == wanted
        benchmark.extra_info |= {
            "intervals/s": round(wanted / seconds),
            "rows/s": round(len(items) / seconds),
            "octets/interval": round(octets, 2),
        }

    benchmark.pedantic(once, rounds=2, iterations=1)
    print(kind, shape, benchmark.extra_info)
