"""Commands: what is refused, when they are sent, and what ends them."""

import pytest
from sqlalchemy import select, update

from central.audit.service import Program
from central.errors import CentralError, NotFound, Refused
from central.fleet import service
from central.fleet.dispatch import GRACE, claim, expire
from central.fleet.live import States
from central.fleet.models import GatewayLive
from central.fleet.store import finish_command
from central.registry import changes
from central.registry.kinds import GATEWAY, METER
from central.registry.models import Gateway
from central.registry.service import get_gateway, get_meter
from central.store.engine import Database
from shared.ids import Topic
from shared.wire import (
    Action,
    ApplyConfig,
    CloseBill,
    Command,
    GatewayState,
    MeterState,
    ReadNow,
    ReadRange,
    Result,
    SetClock,
    decode,
    encode,
)
from tests.central.samples import MIDNIGHT, enter_tenant, person


async def gateway_with_meter(database: Database) -> tuple[int, Gateway]:
    tenant = await enter_tenant(database)
    async with database.write() as session:
        await changes.put(session, person(tenant), GATEWAY, "gw1", {})
        await changes.put(session, person(tenant), METER, "m1", {"serial": "123", "gateway": "gw1"})
        await changes.put(session, person(tenant), METER, "m2", {})
        return tenant, (await session.scalars(select(Gateway))).one()


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (ReadNow("m1", ["everything"]), Refused),
        (ReadNow("nobody", ["profile"]), NotFound),
        (ReadNow("m2", ["profile"]), Refused),
        (ReadRange("m1", 900, 900), Refused),
        (SetClock("m1", 100_000), Refused),
        (CloseBill("m1", "124"), Refused),
        (ApplyConfig("x" * 200_001), Refused),
    ],
)
async def test_refused(database: Database, action: Action, error: type[CentralError]) -> None:
    tenant, gateway = await gateway_with_meter(database)
    async with database.write() as session:
        with pytest.raises(error):
            await service.enqueue(session, tenant, gateway, action, by="ana")


async def test_bounds_of_the_queue(database: Database) -> None:
    tenant, gateway = await gateway_with_meter(database)
    async with database.write() as session:
        with pytest.raises(Refused, match="by"):
            await service.enqueue(session, tenant, gateway, SetClock("m1"), by=" ")
        with pytest.raises(Refused, match="lifetime"):
            await service.enqueue(session, tenant, gateway, SetClock("m1"), by="ana", lifetime=0)
        for _ in range(service.MAX_WAITING):
            await service.enqueue(session, tenant, gateway, SetClock("m1"), by="ana")
        with pytest.raises(Refused, match="wait"):
            await service.enqueue(session, tenant, gateway, SetClock("m1"), by="ana")


async def test_sent_once_then_again_when_online(database: Database) -> None:
    tenant, gateway = await gateway_with_meter(database)
    async with database.write() as session:
        row = await service.enqueue(session, tenant, gateway, SetClock("m1"), by="ana", lifetime=3600, now=1000)
    (due,) = await claim(database, 60, now=1000)
    assert (due.id, str(due.topic)) == (row.id, "mg/1/default/gw1/cmd")
    assert decode(due.payload, Command) == Command(row.id, 1000, 4600, "ana", SetClock("m1"))
    assert await claim(database, 60, now=1001) == []
    assert await claim(database, 60, now=1100) == []  # offline
    assert [each.id for each in await claim(database, 60, [Topic("default", "gw1", "state")], now=1101)] == [row.id]
    async with database.write() as session:
        session.add(GatewayLive(gateway_id=gateway.id, online=True))
    assert await claim(database, 60, now=1150) == []
    assert len(await claim(database, 60, now=1161)) == 1
    assert await expire(database, now=4600) == 0
    assert await expire(database, now=4600 + GRACE) == 1
    assert await claim(database, 60, now=4700) == []
    async with database.write() as session:
        assert (await service.get_command(session, tenant, row.id)).row.status == "expired"
        assert await finish_command(session, gateway.id, Result(row.id, 4700, True, "done"), 4701)
        assert not await finish_command(session, gateway.id + 1, Result(row.id, 4700, True, "done"), 4701)
    async with database.read() as session:
        view = await service.get_command(session, tenant, row.id)
        assert (view.row.status, view.row.sends, view.action) == ("done", 3, SetClock("m1"))


async def test_pages_and_cancelling(database: Database) -> None:
    tenant, gateway = await gateway_with_meter(database)
    async with database.write() as session:
        ids = [
            (await service.enqueue(session, tenant, gateway, SetClock("m1"), by="ana", now=1000 + i // 2)).id
            for i in range(9)
        ]
    seen: list[str] = []
    after: str | None = None
    async with database.write() as session:
        while True:
            page = await service.commands(session, tenant, gateway_id=gateway.id, after=after, limit=4)
            seen += [view.row.id for view in page.items]
            after = page.next
            if after is None:
                break
        assert sorted(seen) == sorted(ids)
        view = await service.cancel(session, Program(tenant, "ana"), ids[0])
        assert (view.row.status, view.row.code) == ("failed", "cancelled")
        with pytest.raises(Refused):
            await service.cancel(session, Program(tenant, "ana"), ids[0])
        with pytest.raises(NotFound):
            await service.get_command(session, tenant + 1, ids[1])


async def test_states_place_meters(database: Database) -> None:
    """A state says which meters a gateway reads; a last will leaves what was known of them."""
    tenant, _ = await gateway_with_meter(database)
    states = States(database)
    topic = Topic("default", "gw2", "state")
    state = GatewayState(
        MIDNIGHT, True, meters=[MeterState("m1", "l", "ok", "abnt"), MeterState("new", "l", "new", "abnt")]
    )
    assert await states.store({topic: encode(state)}) == [topic]
    assert await states.store({topic: encode(state)}) == []
    assert await states.store({topic: encode(GatewayState(MIDNIGHT, False))}) == []
    assert await states.store({topic: b"rubbish", topic._replace(tenant="nobody"): encode(state)}) == []
    async with database.read() as session:
        moved = await get_meter(session, tenant, "m1")
        assert (moved.gateway.key if moved.gateway else "", moved.live, moved.online) == ("gw2", state.meters[0], False)
        assert (await get_meter(session, tenant, "new")).meter.registered is False
        view = await get_gateway(session, tenant, "gw2")
        assert (view.online, view.state, view.meters) == (False, state, 2)
    async with database.write() as session:
        await session.execute(update(GatewayLive).values(state=b"of an older program"))
    async with database.read() as session:
        assert (await get_gateway(session, tenant, "gw2")).state is None
