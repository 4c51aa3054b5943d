"""Connections through ingest: stored once, judged the same whatever the order they came in."""

import random

import pytest
from sqlalchemy import func, select

from central.alarms.models import Alarm, AlarmNotice, AlarmSubscription
from central.alarms.severity import Severity
from central.ccee.captures import as_pcapng, join, raw
from central.ccee.models import CceeCapture, CceeConnection
from central.ingest.commit import Committer
from central.ingest.models import Rejected
from central.store.engine import Database
from shared.wire import ForwardCapture, ForwardConnection, Item
from tests.central.ccee.samples import DAY, capture, connection
from tests.central.samples import MIDNIGHT, delivery, enter_tenant


async def connections(database: Database) -> list[CceeConnection]:
    async with database.read() as session:
        return list((await session.scalars(select(CceeConnection).order_by(CceeConnection.started_ms))).all())


async def all_alarms(database: Database) -> list[Alarm]:
    async with database.read() as session:
        return list((await session.scalars(select(Alarm).order_by(Alarm.id))).all())


async def alarms(database: Database) -> list[tuple[str, str, int, int | None]]:
    """(code, state, opened, closed) of all that stands, withdrawn ones left out."""
    found = [each for each in await all_alarms(database) if each.key is not None]
    return sorted((a.code, a.state, a.opened_at, a.closed_at or 0) for a in found)


async def test_a_connection_is_stored_once(database: Database) -> None:
    await enter_tenant(database)
    item = connection()
    items: list[Item] = [item, capture(item, 0, 2), capture(item, 1, 2)]
    committer = Committer(database)
    await committer.commit([delivery(items)])
    await committer.commit([delivery(items, spool=b"another card....")])
    (row,) = await connections(database)
    assert (row.verdict, row.outcome, row.source, row.delivered_end) == ("I14", "ok", "10.20.0.9:40100", MIDNIGHT)
    async with database.read() as session:
        parts = (await session.scalars(select(CceeCapture).order_by(CceeCapture.part))).all()
        assert await session.scalar(select(func.count()).select_from(Rejected)) == 0
    octets = join(part.data for part in parts)
    assert raw(octets) == b"\x14\x00ask\x52answer" * 2
    assert raw(octets, "meter") == b"\x52answer" * 2
    file = as_pcapng(octets, row.started_ms, row.ended_ms, row.source, row.listen, (66, 258), "I14")
    assert file.startswith(b"\x0a\x0d\x0d\x0a")
    assert b"56 octets of the client" in file


async def test_what_cannot_be_read_back_is_rejected_alone(database: Database) -> None:
    await enter_tenant(database)
    good, bad = connection(), connection(at=MIDNIGHT + 7200, seconds=-5)
    broken = ForwardCapture("m1", good.started_ms, 0, 1, b"\xc1")
    side = ForwardCapture("m1", good.started_ms, 0, 1, b"\x91\x93\x01\x05\xc4\x01x")
    await Committer(database).commit([delivery([bad, good, broken, side])])
    assert len(await connections(database)) == 1
    async with database.read() as session:
        reasons = sorted((await session.scalars(select(Rejected.reason))).all())
    assert len(reasons) == 3
    assert "ends 5000 ms before it starts" in " ".join(reasons)


async def test_the_second_failure_raises_the_highest_alarm(database: Database) -> None:
    await enter_tenant(database)
    committer = Committer(database)
    steps = ["I14", "I03", "I00", "I06", "I06", "I14"]
    seen = []
    for n, code in enumerate(steps):
        await committer.commit([delivery([connection(at=MIDNIGHT + n * DAY + 3600, verdict=code)], first=n + 1)])
        seen.append({(code, state) for code, state, _, _ in await alarms(database)})
    assert seen[0] == set()
    assert seen[1] == seen[2] == {("I03", "open")}
    assert seen[3] == seen[4] == {("I03", "open"), ("I06", "open"), ("I11", "open")}
    assert seen[5] == {("I03", "closed"), ("I06", "closed"), ("I11", "closed")}
    (top,) = [each for each in await alarms(database) if each[0] == "I11"]
    assert top[2:] == (MIDNIGHT + 3 * DAY + 3660, MIDNIGHT + 5 * DAY + 3660)


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_and_twice(database: Database, seed: int) -> None:
    """The alarms that stand in the end, and that nothing is told twice, do not depend on the way things came."""
    tenant = await enter_tenant(database)
    rng = random.Random(seed)
    codes = ["I14", "I03", "I06", "I09", "I13", "I14", "I02", "I08", "I10", "I00", "I05"]
    modes = ["exclusive", "exclusive", "self_test"]
    items = [
        connection(f"m{meter}", MIDNIGHT + n * 7200, rng.choice(codes), mode=rng.choice(modes))
        for meter in range(3)
        for n in range(8)
    ]
    async with database.write() as session:
        session.add(
            AlarmSubscription(
                tenant_id=tenant, kind="email", target="a@example.org", least=int(Severity.NOTICE), created_at=0,
                created_by="x",
            )
        )  # fmt: skip
    await Committer(database).commit([delivery(items, spool=b"in order........")])
    wanted = await alarms(database)
    async with database.write() as session:
        for table in (AlarmNotice, Alarm, CceeConnection):
            await session.execute(table.__table__.delete())  # type: ignore[attr-defined]
    shuffled: list[ForwardConnection] = [*items, *rng.sample(items, 10)]
    rng.shuffle(shuffled)
    committer = Committer(database)
    at = 0
    while at < len(shuffled):
        batch = shuffled[at : at + rng.randint(1, 4)]
        await committer.commit([delivery(batch, first=at + 1)])
        at += len(batch)
    assert await alarms(database) == wanted
    async with database.read() as session:
        told = (await session.execute(select(AlarmNotice.alarm_id, AlarmNotice.what))).all()
    assert len(told) == len(set(told))


async def test_a_late_success_takes_an_alarm_back(database: Database) -> None:
    await enter_tenant(database)
    committer = Committer(database)
    at = [MIDNIGHT + n * 3600 for n in range(4)]
    await committer.commit([delivery([connection(at=at[0], verdict="I03"), connection(at=at[2], verdict="I03")])])
    assert ("I11", "open") in {each[:2] for each in await alarms(database)}
    await committer.commit([delivery([connection(at=at[1])], first=3)])
    assert {each[:2] for each in await alarms(database)} == {("I03", "closed"), ("I03", "open")}
    withdrawn = [each for each in await all_alarms(database) if each.key is None]
    assert [(each.code, each.state) for each in withdrawn] == [("I11", "closed")]
    await committer.commit([delivery([connection(at=at[3], verdict="I03")], first=4)])
    (again,) = [each for each in await alarms(database) if each[0] == "I11"]
    assert again[1:3] == ("open", at[3] + 60)
