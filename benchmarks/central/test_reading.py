"""Readings out of the store: 60 meters, three channels, a year of quarter hours, beside other stores of the same.

``month`` is one channel of one meter over 30 days as an array; ``total`` the sum of all meters over 30 days, interval
by interval, with how many meters are in it. ``octets/reading`` is what the table of readings takes on disk. Ours is
filled by ingest and asked in an open session, the peers on an open connection; a peer that is not installed is skipped
by name, all answers are checked equal before anything is timed.
"""

import asyncio
from array import array
from collections.abc import Iterator
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from benchmarks.central.reading_peers import DAY, FIRST, PEERS, STEP, Curves, Peer
from benchmarks.central.test_ingest import table_octets
from central.ingest.commit import Committer
from central.metering import service
from central.metering.sums import sum_of
from central.registry.service import get_meter
from central.store.engine import open_url
from central.store.migrate import migrate
from ext.profile import pack_each
from shared.quantities import Quantity
from shared.wire import Item, ProfileBlock
from tests.central.samples import delivery, enter_tenant, tenant_id

METERS = 60
CHANNELS = (Quantity(1, 29), Quantity(5, 29), Quantity(8, 29))
DAYS = 365
START, END = FIRST + 90 * DAY, FIRST + 120 * DAY


class Ours:
    """What a program of central sees: views of the meters, an open session."""

    def __init__(self, url: str, curves: Curves) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._database = open_url(url)
        self._runner.run(self._fill(curves))

    async def _fill(self, curves: Curves) -> None:
        await migrate(self._database)
        await enter_tenant(self._database)
        committer, first = Committer(self._database), 1
        for (meter, channel), values in sorted(curves.items()):
            packed = pack_each(values, np.zeros(len(values), np.uint16), STEP, DAY // STEP)  # type: ignore[arg-type]
            items: list[Item] = [
                ProfileBlock(f"m{meter}", str(CHANNELS[channel]), FIRST + DAY * number, STEP, 96, data, 1, 100)
                for number, data in enumerate(packed)
            ]
            await committer.commit([delivery(items, first)])
            first += len(items)
        self._session = await self._stack.enter_async_context(self._database.read())
        tenant = await tenant_id(self._session)
        self._views = [await get_meter(self._session, tenant, f"m{meter}") for meter in range(METERS)]

    def month(self, meter: int, channel: int, start: int, end: int) -> Any:
        ask = service.profile(self._session, self._views[meter], CHANNELS[channel], start, end)
        return self._runner.run(ask).values

    def total(self, channel: int, start: int, end: int) -> tuple[Any, Any]:
        found = self._runner.run(sum_of(self._session, self._views, CHANNELS[channel], start, end))
        return found.values, found.coverage

    def octets(self) -> int:
        return self._runner.run(table_octets(self._database))

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.run(self._database.close())
        self._runner.close()


@pytest.fixture(scope="module")
def curves(load_curves: dict[str, "array[int]"]) -> Curves:
    """Each meter has the real year shifted by its own number of days."""
    found: dict[tuple[int, int], Any] = {}
    for channel, curve in enumerate(load_curves.values()):
        year = np.resize(np.array(curve), 96 * DAYS)
        found |= {(meter, channel): np.roll(year, -96 * meter) for meter in range(METERS)}
    return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql", *PEERS])
def store(request: Any, curves: Curves, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp("store")
    if request.param in PEERS:
        make, needs = PEERS[request.param]
        if missing := [name for name in needs if find_spec(name) is None]:
            pytest.skip(f"{', '.join(missing)} not installed")
        yield make(folder, curves)
        return
    url = f"sqlite+aiosqlite:///{folder}/central.sqlite"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    ours = Ours(url, curves)
    yield ours
    ours.close()


def test_month(benchmark: Any, store: Peer, curves: Curves) -> None:
    wanted = curves[7, 1][90 * 96 : 120 * 96]
    assert np.array_equal(store.month(7, 1, START, END), wanted)
    benchmark.extra_info["octets/reading"] = round(store.octets() / (METERS * len(CHANNELS) * DAYS * 96), 2)
    benchmark(store.month, 7, 1, START, END)
    print(benchmark.extra_info)


def test_total(benchmark: Any, store: Peer, curves: Curves) -> None:
    wanted = sum(curves[meter, 0][90 * 96 : 120 * 96] for meter in range(METERS))
    values, coverage = store.total(0, START, END)
    assert np.array_equal(values, wanted)
    assert np.array_equal(coverage, np.full(len(wanted), METERS))
    benchmark(store.total, 0, START, END)
