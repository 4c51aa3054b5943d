"""Visits with a real spool and a real line: one transaction, nothing half-held, states and events in it."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from edge.config.model import Schedule
from edge.drivers.contract import Evidence, Readout
from edge.errors import EdgeError, LinkError, ProtocolError, SilenceError, WrongMeterError
from edge.lines.contract import LineClass
from edge.poller.health import FAILING_SECONDS, State
from edge.poller.reader import Reader, load_unit
from edge.poller.schedule import Kind, offset_of
from edge.poller.unit import LONGEST_CHUNK, Harvest, Unit
from edge.poller.worker import LineWorker
from edge.spool import Level, Spool, SpoolFullError, SpoolSettings
from shared.intervals import Range
from shared.quality import Quality
from shared.wire import Item, MeterEvent, ProfileBlock, Progress, RegisterReading, RegisterValue, decode_item
from tests.edge.fakes import FakeDriver, make_unit, mute_line

ALL = tuple(Kind)


@dataclass
class Bench:
    spool: Spool
    unit: Unit
    driver: FakeDriver
    reader: Reader
    progress: list[Progress]

    async def stored(self) -> list[Item]:
        return [decode_item(row) for row in await self.spool.batch(1, 1000, 1 << 20)]


@pytest.fixture
async def bench(spool_path: Path) -> AsyncIterator[Bench]:
    async with Spool(spool_path, "gw1") as spool, mute_line() as line:
        driver = FakeDriver()
        said: list[Progress] = []
        yield Bench(spool, make_unit(line, driver), driver, Reader(spool, said.append), said)


def fail_at(what: str, error: Exception) -> object:
    def trouble(asked: str) -> None:
        if asked == what:
            raise error

    return trouble


async def test_a_whole_visit_is_stored_with_what_is_remembered(bench: Bench) -> None:
    outcome = await bench.reader.visit(bench.unit, ALL, LineClass.PLANNED)
    assert outcome.errors == []
    assert outcome.done == list(ALL)
    items = await bench.stored()
    assert {type(item).__name__ for item in items} == {"InstantSnapshot", "ProfileBlock", "RegisterReading"}
    assert bench.unit.memory.held.total == 86400
    assert bench.unit.health.state == "ok"
    again = make_unit(bench.unit.line, FakeDriver())
    await load_unit(bench.spool, again)
    assert again.memory.held == bench.unit.memory.held
    assert again.health.last_ok == bench.unit.health.last_ok


async def test_only_missing_intervals_are_asked_for(bench: Bench) -> None:
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    assert len(bench.driver.calls) == 1
    bench.unit.memory.held.remove(bench.driver.calls[0][1] + 1800, bench.driver.calls[0][1] + 3600)
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    start = bench.driver.calls[0][1]
    assert bench.driver.calls[1] == ("profile", start + 1800, start + 3600)


async def test_what_was_read_before_the_line_broke_is_kept(bench: Bench) -> None:
    bench.driver.trouble = fail_at("registers", SilenceError("gone"))  # type: ignore[assignment]
    outcome = await bench.reader.visit(bench.unit, ALL, LineClass.PLANNED)
    assert outcome.done == [Kind.CLOCK, Kind.INSTANTANEOUS, Kind.PROFILE]
    assert isinstance(outcome.error, SilenceError)
    assert len(await bench.stored()) == 2
    assert ("events",) not in bench.driver.calls


async def test_an_answer_not_to_our_liking_does_not_end_the_visit(bench: Bench) -> None:
    bench.driver.trouble = fail_at("instantaneous", ProtocolError("nonsense"))  # type: ignore[assignment]
    outcome = await bench.reader.visit(bench.unit, ALL, LineClass.PLANNED)
    assert [kind for kind, _ in outcome.errors] == [Kind.INSTANTANEOUS]
    assert Kind.EVENTS in outcome.done
    assert bench.unit.health.state == "ok"


async def test_our_own_mistake_is_an_error_like_others(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.driver.trouble = fail_at("clock", ZeroDivisionError("bug"))  # type: ignore[assignment]
    outcome = await bench.reader.visit(bench.unit, ALL, LineClass.PLANNED)
    assert isinstance(outcome.error, ZeroDivisionError)
    assert Kind.EVENTS in outcome.done


async def test_wrong_serial_stores_nothing_but_the_event_once(bench: Bench) -> None:
    bench.driver.trouble = fail_at("clock", WrongMeterError("12345678", "99999999"))  # type: ignore[assignment]
    for _ in range(3):
        outcome = await bench.reader.visit(bench.unit, ALL, LineClass.PLANNED)
        assert outcome.done == []
    assert [(item.kind, item.detail) for item in await bench.stored() if isinstance(item, MeterEvent)] == [
        ("wrong_serial", {"expected": "12345678", "found": "99999999"})
    ]
    assert bench.unit.state(time.time()).state == "wrong_serial"
    assert "99999999" in bench.unit.state(time.time()).error


async def test_full_spool_means_not_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(visit: object) -> None:
        raise SpoolFullError(bench.spool.path, 10, 10, 0)

    with monkeypatch.context() as patch:
        patch.setattr(bench.spool, "commit", full)
        outcome = await bench.reader.visit(bench.unit, ALL, LineClass.PLANNED)
    assert outcome.done == []
    assert isinstance(outcome.error, SpoolFullError)
    assert not bench.unit.memory.held
    outcome = await bench.reader.visit(bench.unit, ALL, LineClass.PLANNED)
    assert outcome.error is None
    assert any(isinstance(item, ProfileBlock) for item in await bench.stored())


async def test_a_transition_that_the_spool_refused_is_told_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unreachable and back: neither is shown nor forgotten while its event has no place."""

    async def full(visit: object) -> None:
        raise SpoolFullError(bench.spool.path, 10, 10, 0)

    now = 1_800_000_000.0
    reader = Reader(bench.spool, lambda progress: None, wall=lambda: now)

    async def visit() -> str:
        nonlocal now
        now += FAILING_SECONDS
        await reader.visit(bench.unit, [Kind.INSTANTANEOUS], LineClass.PLANNED)
        return bench.unit.health.state.value

    assert await visit() == "ok"
    last = bench.unit.health.last_ok
    assert last is not None
    bench.driver.trouble = fail_at("instantaneous", SilenceError("gone"))  # type: ignore[assignment]
    with monkeypatch.context() as patch:
        patch.setattr(bench.spool, "commit", full)
        assert [await visit() for _ in range(4)] == ["ok"] * 4
        assert bench.unit.health.error == "gone"
    assert await visit() == "unreachable"
    bench.driver.trouble = lambda what: None
    with monkeypatch.context() as patch:
        patch.setattr(bench.spool, "commit", full)
        assert await visit() == "unreachable"
        assert bench.unit.health.last_ok == last
    assert await visit() == "ok"
    told = [item for item in await bench.stored() if isinstance(item, MeterEvent)]
    assert [event.kind for event in told] == ["meter_unreachable", "meter_back"]
    assert told[0].detail["since"] == told[1].detail["since"] == last + FAILING_SECONDS


async def test_a_line_that_is_down_is_told_again_after_the_spool_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(items: object) -> None:
        raise SpoolFullError(bench.spool.path, 10, 10, 0)

    now = 1_800_000_000.0
    other = make_unit(bench.unit.line, FakeDriver("m2"))
    worker = LineWorker(
        bench.unit.line, [bench.unit, other], bench.reader, lambda: None, wall=lambda: now, random=Random(1)
    )
    with monkeypatch.context() as patch:
        patch.setattr(bench.spool, "add", full)
        for _ in range(4):
            now += FAILING_SECONDS
            assert not await worker._line_down(bench.unit, LinkError("unplugged"))
    assert other.health.state == "new"
    assert await worker._line_down(bench.unit, LinkError("unplugged"))
    assert other.health.state == "unreachable"
    assert [item.kind for item in await bench.stored() if isinstance(item, MeterEvent)] == ["meter_unreachable"]


async def test_a_really_full_spool_refuses_and_says_the_way_out(spool_path: Path) -> None:
    tight = SpoolSettings(limit_bytes=2 << 20)
    async with Spool(spool_path, "gw1", tight) as spool, mute_line() as line:
        unit = make_unit(line, FakeDriver())
        reader = Reader(spool, lambda progress: None)
        error: Exception | None = None
        for _ in range(40):
            filler = [MeterEvent("m1", 1, "change", detail={"filler": "x" * 60_000})]
            try:
                await spool.add(filler)
            except EdgeError as full:
                error = full
                break
        assert isinstance(error, SpoolFullError)
        assert spool.level is Level.FULL
        outcome = await reader.visit(unit, ALL, LineClass.PLANNED)
        assert isinstance(outcome.error, SpoolFullError)
        assert "raise spool.limit_bytes" in str(outcome.error)
        assert (unit.health.state, unit.health.last_ok) == ("new", None), "nothing of it is held"
        assert unit.health.error == "", "it is not the meter's fault"


async def test_events_and_clock(bench: Bench) -> None:
    bench.driver.events = [MeterEvent("m1", 100, "outage", 160)]
    bench.driver.drift = 100.0
    outcome = await bench.reader.visit(bench.unit, [Kind.CLOCK, Kind.EVENTS], LineClass.PLANNED)
    assert outcome.drift == pytest.approx(100, abs=1.1)
    await bench.reader.visit(bench.unit, [Kind.EVENTS], LineClass.PLANNED)
    kinds = [item.kind for item in await bench.stored() if isinstance(item, MeterEvent)]
    assert kinds == ["clock_drift", "outage"]


async def test_reconciled_meter_is_read_again(bench: Bench) -> None:
    bench.driver.quality = int(Quality.UNRECONCILED)
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    assert bench.unit.memory.live(time.time(), 1) is None
    bench.driver.quality = 0
    bench.driver.events = [MeterEvent("m1", 1, "reconciled")]
    bench.unit.memory.held.remove(bench.driver.calls[0][1], bench.driver.calls[0][1] + 900)
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    live = bench.unit.memory.live(time.time(), 1)
    assert live is not None
    assert live.end - live.start == 86400 - 900


async def test_evidence_is_kept_daily_and_around_a_close(bench: Bench) -> None:
    def readout(at: int, *events: MeterEvent) -> Readout:
        return Readout(events=events, evidence=[Evidence("m1", at, "profile", (b"x",))])

    async def take(at: int, *events: MeterEvent) -> None:
        harvest = Harvest(bench.unit)
        harvest.add(readout(at, *events))
        await bench.spool.commit(harvest.visit())
        harvest.settle()

    for at in (1_000_000, 1_000_900, 1_080_000, 1_086_400, 1_087_000):
        await take(at)
    await take(1_087_900, MeterEvent("m1", 1_087_800, "demand_reset"))
    await take(1_088_800)
    kept = await bench.spool.evidence.find("m1", 0, 2_000_000)
    assert [proof.at for proof in kept] == [1_000_000, 1_086_400, 1_087_900]


async def test_lost_rows_make_the_memory_be_read_afresh(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    await bench.spool.write(lambda tx: tx.connection.execute("DELETE FROM intervals"))
    monkeypatch.setattr(type(bench.spool), "losses", property(lambda self: 1))
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    assert len(bench.driver.calls) == 2


async def test_progress_is_told_for_profiles(bench: Bench) -> None:
    await bench.reader.visit(bench.unit, ALL, LineClass.COMMAND, "c1")
    assert {(said.kind, said.command) for said in bench.progress} == {(kind.value, "c1") for kind in ALL}


def test_chunks_fit_themselves_to_the_line(bench: Bench) -> None:
    for _ in range(10):
        bench.unit.learn_chunk(1.0, preempted=False)
    assert bench.unit.chunk == LONGEST_CHUNK
    for _ in range(10):
        bench.unit.learn_chunk(1.0, preempted=True)
    assert bench.unit.chunk == 86400


async def test_worker_reads_and_fills_back_until_nothing_is_missing(bench: Bench) -> None:
    bench.driver.meter = next(
        name for name in map("m{}".format, range(999)) if offset_of(name) % 15 == 0
    )  # due at once
    unit = make_unit(bench.unit.line, bench.driver, Schedule(backfill_days=30))
    worker = LineWorker(unit.line, [unit], bench.reader, lambda: None, random=Random(1))
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        while unit.memory.count(time.time(), 30) or not unit.memory.lost:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    task.cancel()
    assert unit.memory.held.total == pytest.approx(10 * 86400, abs=1800)
    asked = [call for call in bench.driver.calls if call[0] == "profile"]
    assert len(asked) <= 12
    assert not any(isinstance(item, MeterEvent) for item in await bench.stored()), "never had is not lost"


async def test_a_late_meter_that_is_read_again_is_told_at_once(bench: Bench) -> None:
    """After a restart every meter looks late; operators should not have to wait for the next regular report."""
    bench.unit.health.state, bench.unit.health.last_ok = State.OK, int(time.time()) - 86400
    told: list[str] = []
    worker = LineWorker(
        bench.unit.line,
        [bench.unit],
        bench.reader,
        lambda: told.append(bench.unit.shown(time.time())),
        random=Random(1),
    )
    assert bench.unit.shown(time.time()) == "stale"
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        while not told:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    task.cancel()
    assert told[0] == "ok"


async def test_what_a_driver_found_and_the_spool_refused_is_found_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver reports a closed period once: that it was reported counts only with the rows in the spool."""

    async def closed_once(claim: object) -> Readout:
        if bench.driver.memory.get("closed"):
            return Readout()
        bench.driver.memory["closed"] = True
        return Readout(registers=[RegisterReading("m1", 100, 200, 1, [RegisterValue("1.8.0", 42)])])

    async def full(visit: object) -> None:
        raise SpoolFullError(bench.spool.path, 10, 10, 0)

    monkeypatch.setattr(bench.driver, "read_registers", closed_once)
    with monkeypatch.context() as patch:
        patch.setattr(bench.spool, "commit", full)
        await bench.reader.visit(bench.unit, [Kind.REGISTERS], LineClass.PLANNED)
    await bench.reader.visit(bench.unit, [Kind.REGISTERS], LineClass.PLANNED)
    await bench.reader.visit(bench.unit, [Kind.REGISTERS], LineClass.PLANNED)
    assert [item.period for item in await bench.stored() if isinstance(item, RegisterReading)] == [1]


async def test_a_visit_that_waited_does_not_forget_what_another_found(bench: Bench) -> None:
    """A command queues behind a planned visit that proves the profile: what was doubtful stays due for reading."""
    bench.driver.quality = int(Quality.UNRECONCILED)
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    start = bench.driver.calls[0][1]
    bench.unit.memory.held.remove(start, start + 900)
    bench.driver.quality, bench.driver.slow = 0, 0.1
    bench.driver.events = [MeterEvent("m1", 1, "reconciled")]
    planned = asyncio.create_task(bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED))
    await asyncio.sleep(0.05)
    bench.driver.trouble = lambda what: bench.driver.events.clear()  # the proof is told once
    await asyncio.gather(
        planned, bench.reader.read_range(bench.unit, Range(start, start + 900), LineClass.BACKFILL, "c1")
    )
    live = bench.unit.memory.live(time.time(), 1)
    assert live is not None
    assert live.end - live.start == 86400 - 900


@pytest.mark.parametrize("ahead", [30, 400])
async def test_a_clock_that_was_ahead_costs_no_reading(bench: Bench, ahead: int) -> None:
    """While the clock was days ahead the meter had nothing for those days: they are read when they come."""
    bench.unit.schedule = Schedule(backfill_days=60)
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    wrong = Reader(bench.spool, lambda progress: None, wall=lambda: time.time() + ahead * 86400)
    await wrong.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    for _ in range(100):
        chunk = bench.unit.next_chunk(wrong.wall())
        if chunk is None:
            break
        await wrong.read_range(bench.unit, chunk, LineClass.BACKFILL)
    else:
        raise AssertionError("asked for ever")
    assert not [item for item in await bench.stored() if isinstance(item, MeterEvent)], "nothing was lost"
    await bench.reader.visit(bench.unit, [Kind.PROFILE], LineClass.PLANNED)
    later = time.time() + (ahead - 20) * 86400
    live = bench.unit.memory.live(later, 60)
    assert live is not None
    assert live.end - live.start == 86400
    assert bench.unit.memory.count(later, 10) == 10 * 96
