"""Random faults under a replay of twelve meters: afterwards every interval and every spool row is in central, once."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from central.store.engine import open_url
from shared.intervals import ceil, floor
from tests.brokers import Broker
from tests.ports import until
from tests.postgres import Cluster, binaries
from tests.system.accounts import Account, profiles, streams
from tests.system.world import DAYS, FAULTS, POSTGRES_FAULTS, Fault, World

STEP = 900
#: After the last fault everything has to arrive within this time.
SETTLE_SECONDS = 150.0


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    it = Cluster()
    yield it
    it.remove()


async def torment(world: World, faults: tuple[Fault, ...], number: int, seed: int) -> Counter[str]:
    """Let ``number`` random faults happen, one after another, with short breaths between."""
    chance = random.Random(seed)
    done: Counter[str] = Counter()
    for i in range(number):
        fault = faults[i] if i < len(faults) else chance.choice(faults)  # each kind at least once
        await fault(world, chance)
        done[fault.__name__] += 1
        await asyncio.sleep(chance.uniform(0.0, 0.5))
    return done


async def settle(world: World, url: str, start: int) -> Account:
    """Wait until the profiles are whole, silence the meters, wait until nothing is pending, count everything."""
    deadline = time.monotonic() + SETTLE_SECONDS
    database = open_url(url)
    try:
        while True:
            account = Account()
            end = floor(int(time.time()) - 120, STEP)  # the newest interval may be on its way
            for gateway in world.gateways:
                for serial in gateway.serials:
                    await profiles(database, serial, start, end, account)
            if not account.lost or time.monotonic() > deadline:
                break
            await asyncio.sleep(2.0)
        for gateway in world.gateways:
            await gateway.silence()
            await gateway.stop()
            gateway.start()  # reads nothing any more, delivers what is left
        await until(lambda: not any(world.pending().values()), SETTLE_SECONDS, "delivery of all spool rows")
        for gateway in world.gateways:
            await gateway.stop()
        await asyncio.sleep(1.0)
        await streams(database, {g.id: g.spool for g in world.gateways}, account)
        return account
    finally:
        await database.close()


async def run(world: World, faults: tuple[Fault, ...], number: int) -> None:
    start = ceil(int(time.time()) - (DAYS - 2) * 86400, STEP)
    began = time.monotonic()
    await world.start()
    try:
        done = await torment(world, faults, number, seed=20261121)
        tormented = time.monotonic() - began
        account = await settle(world, world.url, start)
    finally:
        await world.end()
    print(f"\n{sum(done.values())} faults in {tormented:.0f} s {dict(done)}; {account}")
    assert sum(done.values()) >= number
    assert account.intervals >= 12 * 3 * (DAYS - 3) * 96
    assert not account.lost, str(account)
    assert not account.changed, str(account)
    assert not account.doubled, str(account)


@pytest.mark.system
@pytest.mark.timeout(600)
async def test_two_hundred_faults_on_postgresql(tmp_path: Path, broker: Broker, cluster: Cluster) -> None:
    """SIGKILL of gateways, of two ingest workers, of the broker with its queues, crashes of the database, cut links."""
    await run(World(tmp_path / "world", broker, cluster.new_database(), cluster, workers=2), POSTGRES_FAULTS, 200)


@pytest.mark.system
@pytest.mark.timeout(300)
async def test_forty_faults_on_sqlite(tmp_path: Path, broker: Broker) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'central.sqlite'}"
    await run(World(tmp_path / "world", broker, url, None, workers=1), FAULTS, 40)
