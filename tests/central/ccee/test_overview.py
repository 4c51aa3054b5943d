"""Boards, weeks, forwards and comparisons over stored connections; the clock's own verdict I01."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from central.alarms.models import Alarm
from central.audit.service import Program
from central.ccee import forwards, overview, service
from central.ccee.days import due, window
from central.ccee.expectation import expectation, note_forwards, set_expected
from central.ccee.jobs import look
from central.errors import NotFound, Refused
from central.fleet.live import States
from central.ingest.commit import Committer
from central.registry.models import Meter
from central.registry.service import get_meter
from central.settings import CceeSettings, RetentionSettings
from central.store.engine import Database
from central.store.jobs import forget
from shared.ids import Topic
from shared.intervals import zone
from shared.wire import ForwardState, GatewayState, GatewayTelemetry, Item, MeterState, encode
from tests.central.ccee.samples import DAY, capture, connection
from tests.central.samples import MIDNIGHT, TOPIC, block, delivery, enter_tenant

TZ = zone("America/Sao_Paulo")
TODAY = date(2026, 3, 2)
SETTINGS = CceeSettings()
END = window(TODAY, TZ, SETTINGS)[1]
DUE = due(END, SETTINGS)


def telemetry(at: int) -> GatewayTelemetry:
    return GatewayTelemetry(at, 1, 2, 3, 4, 0.5, 0, 0)


async def tell_forwards(database: Database, *meters: str, online: bool = True) -> None:
    state = GatewayState(
        MIDNIGHT, online, meters=[MeterState(key, "a", "ok", "abnt", last_ok=MIDNIGHT) for key in meters],
        forwards=[
            ForwardState(key, f"10.1.0.1:{4059 + n}", "shared", "listening", last_ccee_ok=MIDNIGHT - 5,
                         last_own_ok=MIDNIGHT - 7)
            for n, key in enumerate(meters)
        ],
    )  # fmt: skip
    await States(database).store({TOPIC._replace(kind="state"): encode(state)})


async def alarms(database: Database) -> list[tuple[str, str]]:
    async with database.read() as session:
        rows = await session.execute(
            select(Meter.key, Alarm.state).join(Meter, Meter.id == Alarm.meter_id).where(Alarm.code == "I01")
        )
        return sorted((row[0], row[1]) for row in rows)


async def board(database: Database, tenant: int, now: int, day: date = TODAY) -> dict[str, str]:
    async with database.read() as session:
        page = await overview.board(session, tenant, day, SETTINGS, now)
    return {line.meter: str(line.day.status) for line in page.items}


async def test_a_missing_session_is_an_alarm_when_all_is_known(database: Database) -> None:
    tenant = await enter_tenant(database)
    await tell_forwards(database, "m1", "m2", "m3")
    assert await look(database, SETTINGS, MIDNIGHT - 60) == 0
    committer = Committer(database)
    seen: list[Item] = [connection("m1"), connection("m3", mode="self_test"), telemetry(DUE - 1)]
    await committer.commit([delivery(seen)])
    assert await look(database, SETTINGS, DUE - 1) == 0
    assert await board(database, tenant, DUE - 1) == {"m1": "complete", "m2": "pending", "m3": "pending"}
    assert await look(database, SETTINGS, DUE) == 0, "its gateway has not told everything"
    assert await board(database, tenant, DUE) == {"m1": "complete", "m2": "unheard", "m3": "unheard"}
    await committer.commit([delivery([telemetry(DUE + 1), telemetry(DUE + 2)], first=5)])
    assert await look(database, SETTINGS, DUE + 5) == 0, "rows before the newest are missing"
    await committer.commit([delivery([telemetry(DUE)], first=4)])
    assert await look(database, SETTINGS, DUE + 5) == 2
    assert await look(database, SETTINGS, DUE + 65) == 0
    assert await alarms(database) == [("m2", "open"), ("m3", "open")]
    assert await board(database, tenant, DUE + 5) == {"m1": "complete", "m2": "none", "m3": "none"}
    # what comes late: m2 was read in the window, m3 is read the day after
    late: list[Item] = [connection("m2", END - 60, "I03"), connection("m3", MIDNIGHT + DAY + 60)]
    await committer.commit([delivery(late, first=7)])
    assert await alarms(database) == [("m2", "closed"), ("m3", "closed")]
    assert await look(database, SETTINGS, DUE + 600) == 0


async def test_expected_from_the_next_window_on_and_by_word(database: Database) -> None:
    tenant = await enter_tenant(database)
    await tell_forwards(database, "m1", "m2")
    await look(database, SETTINGS, MIDNIGHT + 60)
    await Committer(database).commit([delivery([telemetry(DUE), telemetry(DUE + DAY)])])
    assert await look(database, SETTINGS, DUE) == 0, "the forward was opened within this window"
    async with database.write() as session:
        meter = (await get_meter(session, tenant, "m2")).meter
        said = await set_expected(session, Program(tenant, "ana"), meter, expected=False, now=DUE)
        assert (said.said_by, said.forward_since) == ("ana", MIDNIGHT + 60)
    assert await look(database, SETTINGS, DUE + DAY) == 1
    assert await alarms(database) == [("m1", "open")]
    await tell_forwards(database, "m2")
    async with database.write() as session:
        await note_forwards(session, DUE + DAY)
        known = await expectation(session, (await get_meter(session, tenant, "m1")).meter.id)
    assert known is not None
    assert known.forward_since is None


async def test_board_pages_and_meter_days(database: Database) -> None:
    tenant = await enter_tenant(database)
    items: list[Item] = [connection(f"m{n}", MIDNIGHT + n * 60) for n in range(5)]
    await Committer(database).commit([delivery([*items, connection("m0", MIDNIGHT + DAY + 60, "I03")])])
    async with database.read() as session:
        found, after = [], None
        while True:
            page = await overview.board(session, tenant, TODAY, SETTINGS, DUE, after=after, limit=2)
            found += [line.meter for line in page.items]
            if (after := page.next) is None:
                break
        assert found == ["m0", "m1", "m2", "m3", "m4"]
        view = await get_meter(session, tenant, "m0")
        days = await overview.meter_days(session, view, TODAY, TODAY + timedelta(days=1), SETTINGS, DUE)
        assert [(str(day.status), len(day.spans)) for day in days] == [("complete", 1), ("failed", 1)]
        assert days[0].end - days[0].start == 10 * 3600
        with pytest.raises(Refused):
            await overview.meter_days(session, view, TODAY, TODAY - timedelta(days=1), SETTINGS, DUE)


async def test_weeks(database: Database) -> None:
    """2 March 2026 is a Monday; a session at its midnight belongs to it, one a second before to the week before."""
    tenant = await enter_tenant(database)
    items: list[Item] = [
        connection("m1", MIDNIGHT), connection("m1", MIDNIGHT - 1, "I03"), connection("m1", MIDNIGHT + DAY, "I06"),
        connection("m2", MIDNIGHT + 2 * DAY, "I00"), connection("m2", MIDNIGHT + 60, mode="self_test"),
    ]  # fmt: skip
    await Committer(database).commit([delivery(items)])
    async with database.read() as session:
        before, this = await overview.weeks(session, tenant, "America/Sao_Paulo", TODAY + timedelta(days=6), 2)
        assert (before.first, this.first) == (TODAY - timedelta(days=7), TODAY)
        assert (before.ok, before.failed, before.rate) == (0, 1, 0.0)
        assert (this.ok, this.failed, this.unclear, this.rate) == (1, 1, 1, 0.5)
        assert this.verdicts == {"I14": 1, "I06": 1, "I00": 1}
        page = await overview.weeks_by_meter(session, tenant, "America/Sao_Paulo", TODAY, limit=1)
        assert [(each.meter, each.week.rate) for each in page.items] == [("m1", 0.5)]
        rest = await overview.weeks_by_meter(session, tenant, "America/Sao_Paulo", TODAY, after=page.next)
        assert [(each.meter, each.week.rate, each.week.unclear) for each in rest.items] == [("m2", None, 1)]
        meter = (await get_meter(session, tenant, "m2")).meter.id
        (alone,) = await overview.weeks(session, tenant, "America/Sao_Paulo", TODAY, 1, meter)
        assert alone.verdicts == {"I00": 1}
        with pytest.raises(Refused):
            await overview.weeks(session, tenant, "America/Sao_Paulo", TODAY, 0)


async def test_the_plan_of_forwards(database: Database) -> None:
    tenant = await enter_tenant(database)
    await tell_forwards(database, "m1", "m2")
    other = GatewayState(MIDNIGHT, True, forwards=[ForwardState("m9", "10.2.0.1:4059", "exclusive", "connected")])
    await States(database).store({Topic("default", "gw2", "state"): encode(other)})
    good = connection("m2", MIDNIGHT + 3600)
    await Committer(database).commit([delivery([good, connection("m1", mode="self_test")])])
    async with database.read() as session:
        lines = await forwards.forwards(session, tenant, MIDNIGHT + DAY)
        assert [(each.gateway, each.meter, each.state.state) for each in lines] == [
            ("gw1", "m1", "listening"), ("gw1", "m2", "listening"), ("gw2", "m9", "connected"),
        ]  # fmt: skip
        assert [each.last_ccee_ok for each in lines] == [MIDNIGHT - 5, good.ended_ms // 1000, None]
        assert [each.last_own_ok for each in lines] == [MIDNIGHT, MIDNIGHT, None]
        view = await get_meter(session, tenant, "m1")
        forward = await forwards.forward_of(session, view.meter)
        last = await forwards.last_success(session, tenant, view.meter, view.live, forward)
        assert (last.ccee, last.own) == (MIDNIGHT - 5, MIDNIGHT)
        assert last.self_test == MIDNIGHT + 3660


async def test_what_was_read_beside_what_is_held(database: Database) -> None:
    tenant = await enter_tenant(database)
    day: list[int | None] = [5] * 96
    day[40:44] = [None] * 4
    day[95] = None
    whole = connection("m1", MIDNIGHT + 3600)
    part = connection("m1", MIDNIGHT + 7200, "I08", delivered=MIDNIGHT - DAY + 41 * 900)
    blind = connection("m1", MIDNIGHT + 9000, start=0, end=0)
    await Committer(database).commit([delivery([block("m1", MIDNIGHT - DAY, day), whole, part, blind])])
    async with database.read() as session:
        rows = {each.row.started_ms: each.row.id for each in (await service.connections(session, tenant)).items}
        found = await service.compare(session, tenant, rows[whole.started_ms])
        assert found is not None
        assert (found.end - found.start, found.delivered, found.held) == (DAY, DAY, DAY - 5 * 900)
        hole = MIDNIGHT - DAY + 40 * 900
        assert [tuple(each) for each in found.missing] == [(hole, hole + 3600), (MIDNIGHT - 900, MIDNIGHT)]
        assert found.theirs == found.missing
        found = await service.compare(session, tenant, rows[part.started_ms])
        assert found is not None
        assert (found.delivered, [tuple(each) for each in found.theirs]) == (41 * 900, [(hole, hole + 900)])
        assert await service.compare(session, tenant, rows[blind.started_ms]) is None
        with pytest.raises(NotFound):
            await service.compare(session, tenant + 1, rows[whole.started_ms])


async def test_filters_and_pages(database: Database) -> None:
    tenant = await enter_tenant(database)
    items: list[Item] = [
        connection(
            f"m{n % 2}", MIDNIGHT + n * 60, "I03" if n % 3 else "I14", mode="self_test" if n % 5 == 0 else "shared"
        )
        for n in range(20)
    ]
    await Committer(database).commit([delivery(items)])

    async def found(**wanted: object) -> int:
        async with database.read() as session:
            return len((await service.connections(session, tenant, service.ConnectionFilter(**wanted))).items)  # type: ignore[arg-type]

    async with database.read() as session:
        meter = (await get_meter(session, tenant, "m1")).meter.id
        seen, after = [], None
        while True:
            page = await service.connections(session, tenant, after=after, limit=3)
            seen += [each.row.started_ms for each in page.items]
            if (after := page.next) is None:
                break
        assert seen == [(MIDNIGHT + n * 60) * 1000 for n in reversed(range(20))]
    assert await found(meter_id=meter) == 10
    assert await found(verdict="I14") == await found() - await found(failed=True) == 7
    assert await found(mode="self_test") == 4
    assert await found(start=MIDNIGHT + 60, end=MIDNIGHT + 180) == 2
    assert await found(gateway_id=99) == 0


async def test_captures_go_connections_stay(database: Database) -> None:
    tenant = await enter_tenant(database)
    old = connection("m1", MIDNIGHT, "I04", also=("I09", "I14"))
    new = connection("m1", MIDNIGHT + 1)
    await Committer(database).commit([delivery([old, new, capture(old), capture(new)])])
    counts = await forget(database, RetentionSettings(), MIDNIGHT + 30 * DAY + 1)
    assert counts["ccee_capture"] == 1
    async with database.read() as session:
        newest, oldest = [each.row.id for each in (await service.connections(session, tenant)).items]
        view, kept = await service.octets(session, tenant, newest)
        assert service.pcapng(view, kept).startswith(b"\x0a\x0d\x0d\x0a")
        assert (await service.get_connection(session, tenant, newest)).parts == 1
        with pytest.raises(NotFound):
            await service.octets(session, tenant, oldest)
        detail = await service.get_connection(session, tenant, oldest)
    assert (detail.parts, detail.constants) == (0, {"ke": "3/250"})
    assert detail.exchanges[0].command == "52 mass memory"
    assert detail.facts == {"also": [["I09", "said I09"], ["I14", "said I14"]]}
    assert (detail.view.row.codes, detail.view.row.outcome) == ("I04 I09 I14", "ok")
