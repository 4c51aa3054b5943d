"""Commands under random faults: each gets one final answer, and no meter is made to do anything twice."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from central.fleet.models import FleetCommand, GatewayLive
from central.fleet.service import enqueue
from central.metering.models import RegisterSet
from central.registry.models import Gateway
from central.store.engine import Database, open_url
from edge.spool import Kind, inspection
from shared.wire import Action, CloseBill, ReadNow, ReadRange, Result, SetClock
from tests.brokers import Broker
from tests.ports import until
from tests.system.accounts import Account, streams
from tests.system.world import FAULTS, World, kill_gateway

FAULT_COUNT = 18
#: More than the minute after which a gateway says its state again.
ANSWER_SECONDS = 120.0


def actions(serial: str) -> list[Action]:
    now = int(time.time())
    return [
        ReadNow(serial, ["registers", "instantaneous"]),
        ReadRange(serial, now - 4 * 3600, now),
        SetClock(serial),
        CloseBill(serial, serial),
    ]


async def give(database: Database, world: World, chance: random.Random) -> None:
    """Order each meter to do each thing once, a command every quarter second."""
    orders = [(g.id, serial, i) for g in world.gateways for serial in g.serials for i in range(4)]
    chance.shuffle(orders)
    for gateway_id, serial, which in orders:
        async with database.write() as session:
            gateway = (await session.scalars(select(Gateway).where(Gateway.key == gateway_id))).one()
            action = actions(serial)[which]
            await enqueue(session, gateway.tenant_id, gateway, action, by="test", lifetime=600)
        await asyncio.sleep(0.25)


async def all_known(database: Database, number: int) -> bool:
    """Whether so many meters have told how often their bills were closed."""
    async with database.read() as session:
        return await session.scalar(select(func.count(RegisterSet.meter_id.distinct()))) == number


async def unanswered(database: Database) -> list[str]:
    """Commands without a result: what, how often sent, and whether its gateway counts as online."""
    query = (
        select(FleetCommand, Gateway.key, GatewayLive.online)
        .join(Gateway, Gateway.id == FleetCommand.gateway_id)
        .outerjoin(GatewayLive, GatewayLive.gateway_id == FleetCommand.gateway_id)
        .where(FleetCommand.result.is_(None))
    )
    async with database.read() as session:
        return [
            f"{command.id} {command.kind} at {key}: {command.status}, sent {command.sends} times, online {online}"
            for command, key, online in (await session.execute(query)).all()
        ]


async def patiently(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        await asyncio.sleep(0.2)


@pytest.mark.system
@pytest.mark.timeout(300)
async def test_commands_under_faults(tmp_path: Path, broker: Broker) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'central.sqlite'}"
    world = World(tmp_path / "world", broker, url, None, workers=1)
    chance = random.Random(20261121)
    database = open_url(url)
    await world.start()
    try:
        await patiently(lambda: all_known(database, 12), 40, "registers of all meters")
        giving = asyncio.create_task(give(database, world, chance))
        for i in range(FAULT_COUNT):
            # every other time a gateway is killed, which may be in the middle of a command
            await (kill_gateway if i % 2 else FAULTS[i // 2 % len(FAULTS)])(world, chance)
            await asyncio.sleep(chance.uniform(0.2, 0.6))
        await giving
        end = time.monotonic() + ANSWER_SECONDS
        while missing := await unanswered(database):
            assert time.monotonic() < end, f"not answered within {ANSWER_SECONDS:.0f} s: {missing}"
            await asyncio.sleep(0.2)
        await asyncio.sleep(8)  # registers are read once more, and say how often a bill was closed
        for gateway in world.gateways:
            await gateway.silence()
        await until(lambda: not any(world.pending().values()), 30, "delivery of all spool rows")
        for gateway in world.gateways:
            await gateway.stop()
        account = Account()
        await streams(database, {g.id: g.spool for g in world.gateways}, account)
        codes = await check(database, world)
        print(f"\n{codes}; {account}")
        assert not account.lost + account.changed + account.doubled, str(account)
    finally:
        await world.end()
        await database.close()


async def check(database: Database, world: World) -> Counter[str]:
    """One result for each command in the spools, begun at most once by their logs; no bill was closed twice."""
    async with database.read() as session:
        commands = {c.id: c for c in await session.scalars(select(FleetCommand))}
        counts = select(RegisterSet.meter_id, func.min(RegisterSet.resets), func.max(RegisterSet.resets))
        closed = {
            meter: int(last or 0) - int(first or 0)
            for meter, first, last in (await session.execute(counts.group_by(RegisterSet.meter_id))).all()
        }
    assert len(commands) == 12 * 4
    assert sum(c.sends for c in commands.values()) > len(commands), "none was delivered twice: this shows nothing"
    answers: Counter[str] = Counter()
    begun: Counter[str] = Counter()
    for gateway in world.gateways:
        for stored in inspection.stored_items(gateway.spool, kinds=(Kind.RESULT,)):
            assert isinstance(stored.item, Result)
            answers[stored.item.command] += 1
        for log in gateway.folder.glob("gateway-*.log"):
            for line in log.read_text().splitlines():
                if line.startswith("{") and (said := json.loads(line)).get("event") == "command":
                    begun[said["command"]] += 1
    assert answers == Counter(dict.fromkeys(commands, 1))
    assert not [command for command, times in begun.items() if times > 1]
    for command in commands.values():
        if command.kind == "close_bill" and command.meter_id is not None:
            times = closed[command.meter_id]
            assert times <= 1, f"meter {command.meter_id} was reset {times} times"
            assert times == 1 or command.code != "done"
    return Counter(f"{c.kind} {c.code}" for c in commands.values())
