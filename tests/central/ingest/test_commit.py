"""Rows and cursors in one transaction: nothing lost, nothing twice, a bad item never in the way of others."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError

from central.fleet.models import GatewayHealth, ModuleHealth
from central.fleet.service import enqueue, get_command
from central.ingest.commit import Committer
from central.ingest.decode import Delivery
from central.ingest.models import Rejected, StreamPart
from central.ingest.models import Stream as StreamRow
from central.metering import service
from central.metering.days import cut_anew
from central.metering.models import Event, ProfileDay, ProfileVersion, RegisterSet, Snapshot
from central.metering.stored import days, ever, series_of
from central.registry.models import Gateway, Meter
from central.registry.service import get_meter
from central.store.engine import Database, open_url
from central.store.faults import is_passing
from central.store.migrate import migrate
from ext.profile import unpack
from shared.ids import Topic
from shared.quality import Quality
from shared.quantities import Quantity
from shared.wire import (
    FOREIGN_STREAM,
    AckCursor,
    GatewayTelemetry,
    Item,
    MeterEvent,
    ReadNow,
    RegisterReading,
    RegisterValue,
    Result,
)
from tests.central.samples import MIDNIGHT, SPOOL, TOPIC, Stream, block, delivery, enter_tenant, stream, tenant_id


async def assert_equals(database: Database, made: Stream) -> None:
    """Central holds exactly what the stream has, value for value."""
    async with database.read() as session:
        tenant = await tenant_id(session)
        for meter, channel in sorted({key[:2] for key in made.intervals}):
            wanted = {key[2]: value for key, value in made.intervals.items() if key[:2] == (meter, channel)}
            view = await get_meter(session, tenant, meter)
            series = await service.profile(session, view, Quantity.parse(channel), min(wanted), max(wanted) + 900)
            held = series.instants()[series.held], series.values[series.held]
            found = dict(zip(held[0].tolist(), held[1].tolist(), strict=True))
            assert found == wanted
            place = series_of(tenant, view.meter.id, Quantity.parse(channel).code)
            totals = await session.scalars(days(ProfileDay.total, within=ever()).where(*place))
            assert sum(totals) == sum(wanted.values())
        for table, kind in ((RegisterSet, "RegisterReading"), (Snapshot, "InstantSnapshot"), (Event, "MeterEvent")):
            count = await session.scalar(select(func.count()).select_from(table))
            wanted_count = len({item for item in map(repr, made.items) if item.startswith(kind)})
            assert (table, count) == (table, wanted_count)


async def cursor(database: Database, spool: bytes = SPOOL) -> tuple[int, int]:
    """(cursor, number of parts beyond it)."""
    async with database.read() as session:
        at = await session.scalar(select(StreamRow.cursor).where(StreamRow.spool_id == spool))
        parts = await session.scalar(select(func.count()).select_from(StreamPart))
    return at or 0, parts or 0


@pytest.mark.parametrize("seed", range(3))
async def test_any_order_among_workers(database: Database, seed: int) -> None:
    """Batches in any order, some twice, cut differently, to three workers at once."""
    await enter_tenant(database)
    rng = random.Random(seed)
    made = stream(rng)
    batches = made.batches(rng) + made.batches(rng)
    rng.shuffle(batches)
    shares: list[list[tuple[int, list[object]]]] = [[], [], []]
    for batch in batches:
        rng.choice(shares).append(batch)  # type: ignore[arg-type]

    async def work(share: Sequence[tuple[int, list[object]]]) -> None:
        committer = Committer(database)
        at = 0
        while at < len(share):
            count = rng.randint(1, 5)
            group = [delivery(items, first) for first, items in share[at : at + count]]  # type: ignore[arg-type]
            await patiently(committer, group)
            at += count

    await asyncio.gather(*(work(share) for share in shares))
    assert await cursor(database) == (len(made.items), 0)
    await assert_equals(database, made)
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(ProfileVersion)) == 0
        assert await session.scalar(select(func.count()).select_from(Rejected)) == 0
        assert await session.scalar(select(func.count()).select_from(Gateway)) == 1
        meters = (await session.scalars(select(Meter))).all()
        assert {(meter.key, meter.registered) for meter in meters} == {("m0", False), ("m1", False), ("m2", False)}


async def patiently(committer: Committer, group: Sequence[Delivery]) -> None:
    """As the worker does: what the database asks to repeat is repeated."""
    for _ in range(20):
        try:
            await committer.commit(group)
        except Exception as error:
            if not is_passing(error):
                raise
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("the database never let us")


async def test_cursor_waits_for_a_gap_and_asks(database: Database) -> None:
    await enter_tenant(database)
    committer = Committer(database)
    made = stream(random.Random(5), meters=1, hours=20)
    items = made.items[:9]
    (first,) = await committer.commit([delivery(items[:2], 1)])
    assert (first.cursor.seq, first.gap) == (2, False)
    (ack,) = await committer.commit([delivery(items[4:6], 5), delivery(items[7:9], 8)])
    assert (ack.cursor.seq, ack.gap, ack.cursor.want) == (2, True, [])
    (asked,) = await committer.cursors([SPOOL], ask=True)
    assert (asked.seq, asked.want) == (2, [(3, 4), (7, 7)])
    (ack,) = await committer.commit([delivery(items[2:7], 3)])
    assert (ack.cursor.seq, ack.gap) == (9, False)
    assert committer.totals.duplicates == 2
    (ack,) = await committer.commit([delivery(items[:2], 1)])
    assert (ack.cursor.seq, ack.gap) == (9, False), "a second delivery is answered: the first answer may be lost"
    assert await cursor(database) == (9, 0)


async def test_a_reading_overtaken_on_its_way_corrects_nothing(database: Database) -> None:
    """Rows 1 and 2 contradict each other and arrive in the other order: row 2 was read later and stands, 1 is kept."""
    await enter_tenant(database)
    committer = Committer(database)
    await committer.commit([delivery([block("m1", MIDNIGHT, [5])], 2)])
    await committer.commit([delivery([block("m1", MIDNIGHT, [9])], 1)])
    async with database.read() as session:
        view = await get_meter(session, await tenant_id(session), "m1")
        series = await service.profile(session, view, Quantity(1, 29), MIDNIGHT, MIDNIGHT + 900)
        assert series.values.tolist() == [5]
        (beaten,) = (await session.scalars(select(ProfileVersion))).all()
        assert unpack(beaten.data)[0][0] == 9
        assert "arrived after" in beaten.reason


async def test_an_overtaken_block_that_corrects_in_part_is_kept_where_it_does_not(database: Database) -> None:
    """A late block replaces an estimate, and contradicts a measured value beside it: both losers are kept."""
    await enter_tenant(database)
    committer = Committer(database)
    estimate = block("m1", MIDNIGHT, [1], flags=int(Quality.ESTIMATED))
    await committer.commit([delivery([estimate, block("m1", MIDNIGHT + 900, [5])], 2)])
    await committer.commit([delivery([block("m1", MIDNIGHT, [2, 9])], 1)])
    async with database.read() as session:
        view = await get_meter(session, await tenant_id(session), "m1")
        series = await service.profile(session, view, Quantity(1, 29), MIDNIGHT, MIDNIGHT + 1800)
        assert series.values.tolist() == [2, 5]
        kept = (await session.scalars(select(ProfileVersion).order_by(ProfileVersion.version))).all()
        assert [list(unpack(version.data)[0][:2]) for version in kept] == [[1, 5], [2, 9]]


async def test_bad_items_are_set_apart(database: Database) -> None:
    """Items that cannot be decoded, read back or written go to ``rejected`` whole; all others are stored."""
    await enter_tenant(database)
    committer = Committer(database)
    good = block("m1", MIDNIGHT, [1, 2, 3])
    items: list[Item] = [
        good,
        MeterEvent("m1", MIDNIGHT, "bad\0kind"),  # the wire takes no NUL, as PostgreSQL
        RegisterReading("m1", MIDNIGHT, MIDNIGHT, 0, [RegisterValue("1.8", 5)]),
        block("m1", MIDNIGHT + 1, [1]),
        block("m1", MIDNIGHT, [1], channel="1.8.0"),
        RegisterReading("m1", MIDNIGHT, MIDNIGHT, 0, [], resets=1 << 63),
        block("m1", MIDNIGHT, [(1 << 63) - 1, (1 << 63) - 1], channel="2.29.0"),
        RegisterReading("m1", MIDNIGHT, MIDNIGHT, 0, [RegisterValue("1.8.0", 5)]),
    ]
    other = delivery([block("m2", MIDNIGHT, [7])], spool=bytes(16))
    acks = await committer.commit([delivery(items), other])
    assert {ack.cursor.spool_id: ack.cursor.seq for ack in acks} == {SPOOL: 8, bytes(16): 1}
    async with database.read() as session:
        rejected = (await session.execute(select(Rejected.seq, Rejected.reason).order_by(Rejected.seq))).all()
        assert [row[0] for row in rejected] == [2, 3, 4, 5, 6, 7]
        assert all(row[1] for row in rejected)
        assert await session.scalar(select(func.count()).select_from(RegisterSet)) == 1
        view = await get_meter(session, await tenant_id(session), "m1")
        series = await service.profile(session, view, Quantity(1, 29), MIDNIGHT, MIDNIGHT + 2700)
        assert series.values.tolist() == [1, 2, 3]


async def test_unknown_tenant_and_foreign_stream(database: Database) -> None:
    await enter_tenant(database)
    committer = Committer(database)
    await committer.commit([delivery([block("m1", MIDNIGHT, [1])])])
    stranger = delivery([block("m1", MIDNIGHT, [2])], topic=Topic("nobody", "gw1", "up"), spool=bytes(16))
    copied = delivery([block("m1", MIDNIGHT, [3])], first=2, topic=TOPIC._replace(gateway="gw2"))
    (ack,) = await committer.commit([stranger, copied])
    assert (ack.topic.gateway, ack.cursor) == ("gw2", AckCursor(SPOOL, FOREIGN_STREAM)), "told to begin another stream"
    assert await cursor(database) == (1, 0)
    async with database.read() as session:
        reasons = (await session.scalars(select(Rejected.reason).order_by(Rejected.id))).all()
    assert len(reasons) == 2
    assert "no tenant 'nobody'" in reasons[0]
    assert "belongs to another gateway" in reasons[1]


async def test_gateways_own_events_and_telemetry(database: Database) -> None:
    await enter_tenant(database)
    committer = Committer(database)
    made = [item for item in stream(random.Random(1), hours=40).items if isinstance(item, GatewayTelemetry)]
    pressure: Item = MeterEvent("gw1", MIDNIGHT, "spool_pressure", detail={"level": 2})
    await committer.commit([delivery([pressure, *made])])
    async with database.read() as session:
        page = await service.events(session, await tenant_id(session))
        assert [(event.meter, event.gateway, event.kind, event.detail) for event in page.items] == [
            (None, "gw1", "spool_pressure", {"level": 2})
        ]
        assert await session.scalar(select(func.count()).select_from(Meter)) == 0
        wanted = len({item.at for item in made})
        assert await session.scalar(select(func.count()).select_from(GatewayHealth)) == wanted
        assert await session.scalar(select(func.count()).select_from(ModuleHealth)) == wanted


async def test_the_same_rows_under_another_name_change_nothing(database: Database) -> None:
    """A gateway that had to begin a new stream sends again what was delivered under the old one."""
    await enter_tenant(database)
    committer = Committer(database)
    made = stream(random.Random(7), hours=40)
    pressure: Item = MeterEvent("gw1", MIDNIGHT, "spool_pressure", detail={"level": 2})
    made.items += [pressure, pressure]
    await committer.commit([delivery(made.items)])
    await committer.commit([delivery(made.items, spool=bytes(16)), delivery(made.items[-1:], spool=bytes(15) + b"1")])
    other = Topic("default", "gw2", "up")
    await committer.commit(
        [delivery([MeterEvent("gw2", MIDNIGHT, "spool_pressure", detail={"level": 2})], 1, other, b"2" * 16)]
    )
    async with database.read() as session:
        page = await service.events(session, await tenant_id(session), kind="spool_pressure")
        assert sorted(event.gateway or "" for event in page.items) == ["gw1", "gw2"]
        assert await session.scalar(select(func.count()).select_from(ProfileVersion)) == 0
        made.items = made.items[:-2]
    async with database.write() as session:
        for event in (await session.scalars(select(Event).where(Event.kind == "spool_pressure"))).all():
            await session.delete(event)
    await assert_equals(database, made)


async def test_the_first_answer_to_a_command_stands(database: Database) -> None:
    await enter_tenant(database)
    committer = Committer(database)
    await committer.commit([delivery([block("m1", MIDNIGHT, [1])])])
    async with database.write() as session:
        tenant = await tenant_id(session)
        gateway = (await session.execute(select(Gateway))).scalar_one()
        command = await enqueue(session, tenant, gateway, ReadNow("m1", ["registers"]), by="test")
    first = Result(command.id, MIDNIGHT, True, "done", "3 registers")
    await committer.commit([delivery([first, Result(command.id, MIDNIGHT + 9, False, "interrupted")], 2)])
    async with database.read() as session:
        view = await get_command(session, tenant, command.id)
        assert (view.row.status, view.row.code, view.result) == ("done", "done", first)
        assert await session.scalar(select(func.count()).select_from(Rejected)) == 0


async def test_a_database_that_is_not_as_we_know_it_is_no_fault_of_the_rows(database: Database) -> None:
    """A table that went away under us: nothing is acknowledged, nothing is rejected; when it is back, all is taken."""
    await enter_tenant(database)
    committer = Committer(database)
    await committer.commit([delivery([block("m1", MIDNIGHT, [1])])])
    async with database.write() as session:
        await session.execute(text("ALTER TABLE profile_day RENAME TO profile_day_away"))
    with pytest.raises(Exception, match="profile_day") as refusal:
        await committer.commit([delivery([block("m1", MIDNIGHT + 900, [2])], 2)])
    assert is_passing(refusal.value)
    async with database.write() as session:
        await session.execute(text("ALTER TABLE profile_day_away RENAME TO profile_day"))
    assert await cursor(database) == (1, 0)
    await committer.commit([delivery([block("m1", MIDNIGHT + 900, [2])], 2)])
    async with database.read() as session:
        view = await get_meter(session, await tenant_id(session), "m1")
        series = await service.profile(session, view, Quantity(1, 29), MIDNIGHT, MIDNIGHT + 1800)
        assert series.values.tolist() == [1, 2]
        assert await session.scalar(select(func.count()).select_from(Rejected)) == 0


async def test_a_correction_after_a_change_of_zone_is_taken(database: Database) -> None:
    """Days cut anew go on counting their versions after those that are kept."""
    await enter_tenant(database)
    committer = Committer(database)
    midday = MIDNIGHT + 43200
    await committer.commit([delivery([block("m1", midday, [1, 2]), block("m1", midday, [1, 3])])])
    async with database.write() as session:
        meter = (await session.execute(select(Meter))).scalar_one()
        meter.zone = "America/Manaus"
        await cut_anew(session, meter.tenant_id, meter.id, meter.zone, MIDNIGHT)
    await committer.commit([delivery([block("m1", midday, [1, 4])], 3)])
    async with database.read() as session:
        assert (await session.scalars(select(Rejected.reason))).all() == []
        versions = (await session.scalars(select(ProfileVersion.version).order_by(ProfileVersion.version))).all()
        assert versions == [1, 2]
        view = await get_meter(session, await tenant_id(session), "m1")
        series = await service.profile(session, view, Quantity(1, 29), midday, midday + 1800)
        assert series.values.tolist() == [1, 4]


async def test_a_full_disk_holds_rows_up(tmp_path: Path) -> None:
    """What did not fit is neither acknowledged nor rejected, and is taken when there is room."""
    database = open_url(f"sqlite+aiosqlite:///{tmp_path / 'central.sqlite'}")
    await migrate(database)
    await enter_tenant(database)
    committer = Committer(database)
    noise = random.Random(1)
    items: list[Item] = [
        block(f"m{n % 3}", MIDNIGHT + 900 * 96 * (n // 3), [noise.randrange(1 << 40) for _ in range(96)])
        for n in range(300)
    ]
    pages = 0

    def limit(connection: Any, _record: Any) -> None:
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(database.engine.sync_engine, "connect", limit)
    async with database.read() as session:
        pages = (await session.scalar(text("PRAGMA page_count")) or 0) + 20
    await database.engine.dispose()
    taken, refusal = 0, None
    while refusal is None and taken < 300:
        try:
            await committer.commit([delivery(items[taken : taken + 10], taken + 1)])
            taken += 10
        except DBAPIError as error:
            refusal = error
    assert refusal is not None, "there was room for everything: this shows nothing"
    assert "full" in str(refusal)
    assert is_passing(refusal)
    assert await cursor(database) == (taken, 0)
    pages = 0
    await database.engine.dispose()
    await committer.commit([delivery(items[taken:], taken + 1)])
    assert await cursor(database) == (300, 0)
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(ProfileDay)) == 300
        assert await session.scalar(select(func.count()).select_from(Rejected)) == 0
    await database.close()


async def test_a_doubtful_interval_read_again_becomes_billable(database: Database) -> None:
    """Registers agree at last: the same value without the mark replaces the marked one, and is no correction."""
    await enter_tenant(database)
    committer = Committer(database)
    doubtful = block("m1", MIDNIGHT, [5, 6], flags=int(Quality.UNRECONCILED))
    await committer.commit([delivery([doubtful])])
    await committer.commit([delivery([block("m1", MIDNIGHT, [5, 6])], 2), delivery([doubtful], 3)])
    async with database.read() as session:
        view = await get_meter(session, await tenant_id(session), "m1")
        series = await service.profile(session, view, Quantity(1, 29), MIDNIGHT, MIDNIGHT + 1800)
        assert (series.values.tolist(), series.flags.tolist()) == ([5, 6], [0, 0])
        assert (await session.scalars(select(ProfileDay.total))).all() == [11]
        assert await session.scalar(select(func.count()).select_from(ProfileVersion)) == 0
