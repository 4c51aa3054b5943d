"""Commands: once each, every refusal with its code, results in the spool whatever happens."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edge.commands.executor import Commander
from edge.config import Loaded, mask, parse
from edge.config.store import ConfigStore, Phase
from edge.errors import BusyError, LinkError, NoiseError, ProtocolError, RefusedError, SilenceError, WrongMeterError
from edge.fleet import Fleet
from edge.forwarder import Forwarder
from edge.lines.contract import LineClass
from edge.poller.reader import Reader
from edge.spool import Spool, SpoolFullError
from shared.wire import (
    Action,
    ApplyConfig,
    CloseBill,
    Command,
    MeterEvent,
    ReadNow,
    ReadRange,
    Result,
    SetClock,
    SetForward,
    TestForward,
    decode_item,
)
from tests.edge.config.test_config import GOOD
from tests.edge.fakes import FakeDriver, make_unit, mute_line


@dataclass
class Bench:
    spool: Spool
    driver: FakeDriver
    commander: Commander
    store: ConfigStore
    reloads: list[int] = field(default_factory=list)
    number: int = 0

    async def send(self, action: Action, expires: int = 60) -> Result | None:
        """Send a command and wait for its end; its result as stored in the spool."""
        self.number += 1
        command = Command(f"c{self.number}", int(time.time()), int(time.time()) + expires, "somebody", action)
        await self.commander.take(command)
        await self.commander.stop(10)
        return await self.spool.commands.result(command.id)

    async def results(self) -> list[Result]:
        rows = [decode_item(row) for row in await self.spool.batch(1, 1000, 1 << 20)]
        return [row for row in rows if isinstance(row, Result)]


def permitted(text: str, **permissions: bool) -> str:
    return text + "[permissions]\n" + "".join(f"{name} = {str(value).lower()}\n" for name, value in permissions.items())


@pytest.fixture
async def bench(tmp_path: Path, spool_path: Path) -> AsyncIterator[Bench]:
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD)
    async with Spool(spool_path, "gw1") as spool, mute_line() as line:
        driver = FakeDriver()
        store = ConfigStore(path)
        reloads: list[int] = []
        loaded = store.start()[0]
        units = {"m1": make_unit(line, driver)}
        fleet = Fleet(ZoneInfo("UTC"), {"line1": line}, units)
        async with Forwarder(loaded.config, fleet, spool) as forwarder:
            commander = Commander(
                spool, Reader(spool, lambda progress: None), units, loaded, store, lambda: reloads.append(1), forwarder
            )
            yield Bench(spool, driver, commander, store, reloads)


async def test_read_now(bench: Bench) -> None:
    result = await bench.send(ReadNow("m1", ["registers", "instantaneous", "clock"]))
    assert result is not None
    assert (result.ok, result.code) == (True, "done")
    assert "drift" in result.data
    assert [call[0] for call in bench.driver.calls] == ["clock", "instantaneous", "registers"]
    assert await bench.results() == [result]


async def test_read_range_asks_for_what_is_held_too(bench: Bench) -> None:
    now = int(time.time()) // 900 * 900
    for _ in range(2):
        result = await bench.send(ReadRange("m1", now - 7200, now - 3600))
        assert result is not None
        assert result.ok
    assert bench.driver.calls == [("profile", now - 7200, now - 3600)] * 2


async def test_the_same_command_again_is_not_carried_out_again(bench: Bench) -> None:
    command = Command("c", 0, int(time.time()) + 60, "x", ReadNow("m1", ["registers"]))
    for _ in range(3):
        await bench.commander.take(command)
    await bench.commander.stop(10)
    await bench.commander.take(command)
    assert bench.driver.calls == [("registers",)]
    assert len(await bench.results()) == 1


@pytest.mark.parametrize(
    ("action", "code", "text"),
    [
        (ReadNow("m9", ["registers"]), "unknown_meter", "no meter m9 here; there are: m1"),
        (ReadNow("m1", ["moods"]), "invalid", "unknown kinds moods"),
        (ReadRange("m1", 900, 900), "invalid", "is empty"),
        (CloseBill("m1", "12345678"), "not_permitted", "permissions.close_bill is off"),
        (ApplyConfig("x", base="0000"), "conflict", "it was made from configuration 0000"),
        (ApplyConfig("tenant = 5"), "invalid", "line 1, tenant: expected `str`"),
        (ApplyConfig("tenant = "), "invalid", "not TOML"),
        (
            ApplyConfig(GOOD.replace('"gw1"', '"gw2"')),
            "invalid",
            "gateway is 'gw1' and can only be changed on the gateway",
        ),
        (ApplyConfig(GOOD.replace('"/var/lib', '"/tmp')), "invalid", "spool.path"),
    ],
)
async def test_refusals(bench: Bench, action: Action, code: str, text: str) -> None:
    result = await bench.send(action)
    assert result is not None
    assert (result.ok, result.code) == (False, code)
    assert text in result.message
    assert bench.driver.calls == []
    assert bench.store.path.read_text() == GOOD
    assert not bench.reloads


async def test_expired(bench: Bench) -> None:
    result = await bench.send(ReadNow("m1", ["registers"]), expires=-5)
    assert result is not None
    assert result.code == "expired"
    assert bench.driver.calls == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SilenceError("no answer"), "unreachable"),
        (NoiseError("noise"), "unreachable"),
        (LinkError("unplugged"), "unreachable"),
        (BusyError("WAIT"), "busy"),
        (WrongMeterError("1", "2"), "wrong_serial"),
        (RefusedError(0x23, 0x40, None, "battery"), "refused"),
        (ProtocolError("nonsense"), "failed"),
        (ZeroDivisionError("bug"), "failed"),
    ],
)
async def test_errors_of_the_meter(bench: Bench, error: Exception, code: str) -> None:
    def trouble(what: str) -> None:
        raise error

    bench.driver.trouble = trouble
    result = await bench.send(ReadNow("m1", ["registers"]))
    assert result is not None
    assert (result.ok, result.code) == (False, code)
    assert str(error) in result.message
    assert len(await bench.results()) == 1


async def test_set_clock(bench: Bench) -> None:
    result = await bench.send(SetClock("m1", 60))
    assert result is not None
    assert result.ok
    bench.driver.drift = 100
    result = await bench.send(SetClock("m1", 60))
    assert result is not None
    assert (result.code, result.message) == ("not_permitted", "100 s is more than 60 s")


async def test_set_clock_needs_permission_and_a_clock(bench: Bench) -> None:
    bench.commander.loaded = parse(permitted(GOOD, set_clock=False))
    result = await bench.send(SetClock("m1"))
    assert result is not None
    assert result.code == "not_permitted"
    bench.commander.loaded = parse(GOOD)
    bench.commander.wall = lambda: 1000.0
    result = await bench.send(SetClock("m1"))
    assert result is not None
    assert "own clock is not set" in result.message
    assert bench.driver.calls == []


@pytest.mark.parametrize("gateway", [True, False])
@pytest.mark.parametrize("meter", [True, False])
@pytest.mark.parametrize("confirm", ["12345678", "12345679"])
async def test_close_bill_needs_all_three(bench: Bench, gateway: bool, meter: bool, confirm: str) -> None:
    bench.commander.loaded = parse(permitted(GOOD, close_bill=gateway))
    bench.driver.permit_close_bill = meter
    result = await bench.send(CloseBill("m1", confirm))
    assert result is not None
    allowed = gateway and meter and confirm == "12345678"
    assert result.ok is allowed
    closed = [r for r in [decode_item(x) for x in await bench.spool.batch(1, 99, 1 << 20)] if isinstance(r, MeterEvent)]
    assert (len(closed) == 1) is allowed


async def test_interrupted_commands_are_answered_at_the_next_start(bench: Bench) -> None:
    await bench.spool.commands.begin("old")
    await bench.spool.commands.begin("trial")
    await bench.commander.finish_interrupted(await bench.spool.commands.unfinished(), "trial")
    result = await bench.spool.commands.result("old")
    assert result is not None
    assert result.code == "interrupted"
    assert await bench.spool.commands.unfinished() == ["trial"]


async def test_a_command_pushes_backfill_off_the_line(bench: Bench) -> None:
    unit = bench.commander.units["m1"]
    bench.driver.slow = 5.0
    chunk = unit.next_chunk(time.time())
    assert chunk is not None
    fill = asyncio.create_task(bench.commander.reader.read_range(unit, chunk, LineClass.BACKFILL))
    await asyncio.sleep(0.1)
    bench.driver.slow = 0.0
    began = time.monotonic()
    result = await bench.send(ReadNow("m1", ["registers"]))
    assert result is not None
    assert result.ok
    assert time.monotonic() - began < 1.0
    assert (await fill).error is not None
    assert not unit.memory.held


async def test_result_waits_for_room_in_the_spool(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.commands.executor.ANSWER_AGAIN", 0.05)
    commit, refusals = bench.spool.commit, 3

    async def full(visit: Any) -> list[int]:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise SpoolFullError(bench.spool.path, 1, 1, 0)
        return await commit(visit)

    monkeypatch.setattr(bench.spool, "commit", full)
    result = await bench.send(ReadNow("m1", ["registers"]))
    assert result is not None
    assert result.code == "spool_full"
    assert len(await bench.results()) == 1


async def test_too_many_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.commands.executor.MAX_RUNNING", 2)
    bench.driver.slow = 0.3
    for number in range(4):
        await bench.commander.take(Command(f"n{number}", 0, int(time.time()) + 60, "x", ReadNow("m1", ["registers"])))
    await bench.commander.stop(10)
    assert sorted(result.code for result in await bench.results()) == ["busy", "busy", "done", "done"]


# -- configuration ---------------------------------------------------------------------------------------------------


async def test_apply_puts_on_trial_and_asks_for_a_restart(bench: Bench) -> None:
    fresh = mask(GOOD).replace('"localhost"', '"elsewhere"')
    result = await bench.send(ApplyConfig(fresh, base=bench.commander.loaded.hash))
    assert result is None
    assert bench.reloads == [1]
    loaded, marker = bench.store.start()
    assert loaded.text == GOOD.replace('"localhost"', '"elsewhere"'), "the masked password is the one it had"
    assert marker is not None
    assert (marker.command, marker.phase) == ("c1", Phase.TRIAL)
    second = await bench.send(ApplyConfig(fresh + "\n"))
    assert second is not None
    assert second.code == "busy"


async def test_the_same_configuration_is_in_force_already(bench: Bench) -> None:
    result = await bench.send(ApplyConfig(mask(GOOD)))
    assert result is not None
    assert result.ok
    assert not bench.reloads


async def test_trial_is_answered_once(bench: Bench) -> None:
    await bench.spool.commands.begin("t")
    await bench.commander.answer_trial("t", False, "the broker was not reached")
    await bench.commander.answer_trial("t", True, "again")
    assert [(result.code, result.ok) for result in await bench.results()] == [("rolled_back", False)]


async def test_apply_needs_permission(bench: Bench) -> None:
    bench.commander.loaded = parse(permitted(GOOD, apply_config=False))
    result = await bench.send(ApplyConfig(GOOD + "\n"))
    assert result is not None
    assert result.code == "not_permitted"
    assert isinstance(bench.commander.loaded, Loaded)


# -- forwards ----------------------------------------------------------------------------------------------------------

FORWARD = 'port = 14001\nallow = ["10.20.0.0/24"]\n'


async def test_a_forward_is_opened_as_a_configuration_on_trial(bench: Bench) -> None:
    assert await bench.send(SetForward("m1", FORWARD)) is None
    assert bench.reloads == [1]
    loaded, marker = bench.store.start()
    assert marker is not None
    assert marker.phase is Phase.TRIAL
    opened = loaded.config.meters[0].forward
    assert opened is not None
    assert (opened.port, opened.allow, loaded.config.meters[1].forward) == (14001, ["10.20.0.0/24"], None)
    assert 'password = "s3cret"' in loaded.text


@pytest.mark.parametrize(
    ("action", "code", "text"),
    [
        (SetForward("m9", FORWARD), "invalid", "no meter m9 here; there are: m1, m2"),
        (SetForward("m1", "port = 0"), "invalid", "not a forward: Expected `int` >= 1"),
        (SetForward("m1", "[[meters]]"), "invalid", "not a forward"),
        (SetForward("m1", "port = 1\nallow = ['x']"), "invalid", "does not appear to be an IPv4 or IPv6 network"),
        (SetForward("m1", "port = 1\ntarget = 'nowhere'"), "invalid", "no line is called 'nowhere'"),
        (SetForward("m1", ""), "done", "in force already"),
        (TestForward("m1"), "invalid", "meter m1 has no forward here; there are: none"),
    ],
)
async def test_forwards_that_cannot_be(bench: Bench, action: Action, code: str, text: str) -> None:
    result = await bench.send(action)
    assert result is not None
    assert result.code == code
    assert text in result.message
    assert not bench.reloads
    assert bench.store.path.read_text() == GOOD


async def test_no_configuration_is_changed_under_ccee(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forwarder, "connected", ["m1"])
    for action in (SetForward("m1", FORWARD), ApplyConfig(GOOD + "\n")):
        result = await bench.send(action)
        assert result is not None
        assert result.code == "busy"
        assert "CCEE is connected to m1" in result.message
