"""What is deleted when, and what a clock that jumps may not cause."""

from pathlib import Path

from edge.drivers.contract import Evidence
from edge.spool import Level, Spool, SpoolSettings, Visit
from edge.spool._retention import CHUNK, DAY
from edge.spool.inspection import overview
from shared.wire import Item, MeterEvent, decode_item
from tests.edge.spool.conftest import FakeClock
from tests.edge.spool.items import event, mixed, profile, registers

SETTINGS = SpoolSettings(retention_days=10, evidence_days=20, limit_bytes=8 << 20, free_bytes=0)


def held(path: Path) -> dict[str, int]:
    return {kind: count.rows for kind, count in overview(path).kinds.items()}


async def items_of(spool: Spool, first: int) -> list[Item]:
    return [decode_item(row) for row in await spool.batch(first, 4096, 1 << 20)]


async def events_of(spool: Spool, kind: str) -> list[MeterEvent]:
    rows = await spool.read(lambda c: c.execute("SELECT payload FROM items WHERE kind = 4 ORDER BY number").fetchall())
    items = [decode_item(row[0]) for row in rows]
    return [item for item in items if isinstance(item, MeterEvent) and item.kind == kind]


async def nudge(spool: Spool, times: int = 8) -> None:
    """Commits, since deletion rides on them."""
    for _ in range(times):
        await spool.write(lambda tx: None)


async def test_only_what_is_acknowledged_and_old_goes(path: Path, fake: FakeClock) -> None:
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        await spool.add([mixed(n) for n in range(100)])
        fake.pass_time(5 * DAY)
        await spool.add([mixed(n) for n in range(100)])
        spool.acknowledge(150)
        fake.pass_time(5 * DAY - 10)
        await nudge(spool)
        assert sum(held(path).values()) == 200, "none is old"
        fake.pass_time(100)
        await nudge(spool)
        assert sum(held(path).values()) == 100, "the first hundred is old and acknowledged"
        fake.pass_time(20 * DAY)
        await nudge(spool)
        assert sum(held(path).values()) == 50, "unacknowledged rows stay however old"
        assert (await items_of(spool, 151)) == [mixed(n) for n in range(50, 100)]
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        assert await spool.add([event(1)]) == [201], "numbers are not used again"


async def test_numbers_are_not_reused_when_all_rows_are_gone(path: Path, fake: FakeClock) -> None:
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        await spool.add([event(n) for n in range(30)])
        spool.acknowledge(30)
        fake.pass_time(11 * DAY)
        await nudge(spool)
        assert held(path) == {}
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        assert (spool.last_seq, spool.cursor) == (30, 30)
        assert await spool.add([event(1)]) == [31]


async def test_a_clock_years_ahead_deletes_nothing(path: Path, fake: FakeClock) -> None:
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        await spool.commit(Visit([mixed(n) for n in range(100)], evidence=[Evidence("m1", 1, "registers", (b"1",))]))
        await spool.commands.begin("c1")
        spool.acknowledge(100)
        fake.wall_now += 5 * 365 * DAY
        await nudge(spool)
        assert sum(held(path).values()) == 101
        jump = (await events_of(spool, "clock_jump"))[0]
        assert jump.meter == "gw1"
        assert jump.detail == {
            "before": 1_700_000_000,
            "after": 1_700_000_000 + 5 * 365 * DAY,
            "seconds": 5 * 365 * DAY,
        }
    fake.wall_now += 5 * 365 * DAY  # once more, while it is off
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        await nudge(spool)
        assert sum(held(path).values()) == 101, "off for years: running time decides, not the calendar"
        assert len(await spool.evidence.find("m1", 0, 10)) == 1
        assert await spool.commands.seen("c1")


async def test_a_clock_set_back_is_told_also_over_a_restart(path: Path, fake: FakeClock) -> None:
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        await spool.add([event(1)])
        fake.wall_now -= 7200
        await nudge(spool)
        assert [e.detail["seconds"] for e in await events_of(spool, "clock_jump")] == [-7200]
        fake.wall_now -= 30  # a time server's correction
        await nudge(spool)
    fake.wall_now = 1_000_000.0  # no battery behind the clock
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        await spool.add([event(2)])
        assert len(await events_of(spool, "clock_jump")) == 2
        fake.pass_time(11 * DAY)
        spool.acknowledge(spool.last_seq)
        await nudge(spool)
        assert held(path) == {}, "rows from before the step are not kept for ever"


async def test_evidence_has_days_of_its_own(path: Path, fake: FakeClock) -> None:
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        await spool.evidence.add([Evidence("m1", 1, "registers", (b"1",))])
        fake.pass_time(19 * DAY)
        await nudge(spool)
        assert len(await spool.evidence.find("m1", 0, 10)) == 1
        fake.pass_time(2 * DAY)
        await nudge(spool)
        assert await spool.evidence.find("m1", 0, 10) == []


async def test_pressure_takes_the_oldest_acknowledged_profile_only(path: Path, fake: FakeClock) -> None:
    async with Spool(path, "gw1", SETTINGS, clock=fake.clock) as spool:
        await spool.add([registers(n) for n in range(50)])
        await spool.add([event(n) for n in range(50)])
        added = 0
        while spool.level is Level.FREE:
            await spool.add([profile(added + n, size=2000) for n in range(100)])
            added += 100
            spool.acknowledge(spool.last_seq - 50)
            assert added < 10_000
        assert await events_of(spool, "spool_pressure")
        for _ in range(30):  # goes on as long as needed
            await spool.add([profile(added + n, size=2000) for n in range(100)])
            added += 100
            spool.acknowledge(spool.last_seq - 50)
        kinds = held(path)
        assert kinds["registers"] == 50
        assert kinds["profile"] < added
        rows = await items_of(spool, spool.cursor + 1)
        assert [r for r in rows if not isinstance(r, MeterEvent)] == [
            profile(n, size=2000) for n in range(added - len([r for r in rows if not isinstance(r, MeterEvent)]), added)
        ], "what is not acknowledged is all there"
        oldest = await spool.read(lambda c: c.execute("SELECT payload FROM items WHERE kind = 2 LIMIT 1").fetchone())
        assert decode_item(oldest[0]) != profile(0, size=2000), "the oldest went first"
        alarm = (await events_of(spool, "spool_pressure"))[0]
        assert alarm.detail["dropped"] == {"profile": CHUNK}
    assert held(path)["event"] >= 51


async def test_commands_are_remembered_without_retention(path: Path, fake: FakeClock) -> None:
    """A command that the broker brings once more after some days is still known."""
    async with Spool(path, "gw1", SpoolSettings(retention_days=0, free_bytes=0), clock=fake.clock) as spool:
        assert await spool.commands.begin("c1")
        fake.pass_time(8 * DAY)
        await nudge(spool)
        assert not await spool.commands.begin("c1")
        fake.pass_time(31 * DAY)
        await nudge(spool)
        assert await spool.commands.begin("c1")
