"""The driver against the simulated meter over TCP: what is read is what the meter measured."""

import contextlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edge.drivers import PROTOCOLS, open_driver, settings_type
from edge.drivers.abnt.driver import AbntDriver
from edge.drivers.abnt.frames import Variant
from edge.drivers.abnt.settings import AbntSettings
from edge.drivers.abnt.visit import LOCKOUT_PAUSE
from edge.errors import (
    BusyError,
    ConfigError,
    EdgeError,
    NotPermittedError,
    PreemptedError,
    RefusedError,
    WrongMeterError,
)
from edge.lines.contract import Claim, LineClass
from edge.lines.line import ManagedLine
from edge.lines.tcp import open_tcp
from edge.simulators.abnt.server import TcpPort
from edge.simulators.abnt.session import SessionSetup
from edge.simulators.faults import Fault, FaultKind, FaultPlan
from ext import profile as codec
from shared.quality import Quality
from shared.wire import ProfileBlock
from tests.edge.drivers.abnt.wire import FakeClaim, TinyMeter, Wire, answer, crc16
from tests.edge.simulators.simmeter import SERIAL, Bench, local

DAY = 86_400
CHANNELS = {"1.29.0": 0, "5.29.0": 1, "8.29.0": 2, "2.29.0": 3, "7.29.0": 4, "6.29.0": 5}
OUTAGE = (local("2026-03-17 02:20"), local("2026-03-17 05:40"))


class Site:
    """A bench meter behind a TCP port, a driver whose clock is the bench's, and a claimed line between them."""

    def __init__(self, bench: Bench, driver: AbntDriver, claim: Claim, faults: FaultPlan) -> None:
        self.bench, self.driver, self.claim, self.faults = bench, driver, claim, faults

    @property
    def end(self) -> int:
        """End of the newest whole interval."""
        return int(self.bench.hand.now) // 900 * 900

    def check(self, blocks: Any, *, flag: int = 0) -> int:
        """Hold blocks against the meter's memory; returns the number of intervals."""
        total = 0
        for block in blocks:
            assert isinstance(block, ProfileBlock)
            values, flags, step = codec.unpack(block.data)
            for i, value in enumerate(values):
                start = block.start + i * step
                assert value == self.bench.meter.recorded(CHANNELS[block.channel], start)
                assert flags[i] & flag == flag
                dark = start < OUTAGE[1] and start + step > OUTAGE[0]
                assert bool(flags[i] & Quality.OUTAGE) == dark
            total += len(values)
        return total


@asynccontextmanager
async def site(
    settings: dict[str, Any] | None = None,
    port: dict[str, Any] | None = None,
    faults: FaultPlan | None = None,
    slow: float = 0.0,
    **setup: Any,
) -> AsyncIterator[Site]:
    """``slow``: seconds by which the meter's clock is behind the gateway's."""
    bench = Bench(outages=(OUTAGE,), **setup)
    plan = faults or FaultPlan()
    known = {"serial": SERIAL, "link": "serial", **(settings or {})}
    driver = open_driver("abnt", "m1", known)
    assert isinstance(driver, AbntDriver)
    driver = AbntDriver("m1", driver.settings, lambda: bench.hand() + slow)
    async with TcpPort([bench.meter], setup=SessionSetup(**{"enq_period": 0.022, **(port or {})}), faults=plan) as tcp:
        line = ManagedLine("line", lambda: open_tcp(tcp.host, tcp.port))
        try:
            async with line.claim(LineClass.PLANNED, "test") as claim:
                yield Site(bench, driver, claim, plan)
        finally:
            await line.close()


@pytest.mark.parametrize("order", ["high_first", "low_first"])
async def test_profile_equals_the_meters_memory(order: str) -> None:
    async with site(order=order, groups=2) as at:
        read = await at.driver.read_profile(at.claim, at.end - 10 * DAY, at.end)
        assert at.check(read.profile) == 6 * 10 * 96
        assert [e.kind for e in read.events] == ["demand_reset", "reconciled"]
        assert read.events[1].detail == {"order": order}
        assert at.driver.reconciled
        assert at.driver.state()["order"] == order
        again = await at.driver.read_profile(at.claim, at.end - DAY, at.end)
        assert at.check(again.profile) == 6 * 96
        assert not again.events
        # every raw frame is kept, as it came
        assert {body[0] for body in read.evidence[0].frames} >= {0x21, 0x22, 0x23, 0x24, 0x26}
        assert all(len(body) == 256 for body in read.evidence[0].frames)


async def test_closed_and_whole_memory() -> None:
    async with site() as at:
        start, end = at.bench.meter.memory()
        closed = await at.driver.read_profile(at.claim, local("2026-02-20 00:00"), local("2026-02-21 00:00"))
        assert at.check(closed.profile) == 3 * 96
        assert {b[0] for b in closed.evidence[0].frames} >= {0x22, 0x27}
        both = await at.driver.read_profile(at.claim, local("2026-02-28 00:00"), local("2026-03-02 00:00"))
        assert at.check(both.profile) == 3 * 2 * 96
        whole = await at.driver.read_profile(at.claim, 0, at.end)
        assert at.check(whole.profile) == 3 * (end - start) // 900
        assert 0x52 in {b[0] for b in whole.evidence[0].frames}


async def test_partial_reading_fetches_only_the_days_needed() -> None:
    partial = {"amount_octet": 7, "unit_octet": 8, "days": 1}
    async with site({"partial": partial}) as at:
        few = await at.driver.read_profile(at.claim, at.end - DAY, at.end)
        assert at.check(few.profile) == 3 * 96
        assert sum(b[0] == 0x52 for b in few.evidence[0].frames) == 6  # three days, not seventeen
        assert not at.driver.state()["partial_refused"]


async def test_registers_close_with_the_period() -> None:
    async with site() as at:
        read = await at.driver.read_registers(at.claim)
        running, closed = read.registers
        assert (running.period, closed.period) == (0, 1)
        assert closed.at == running.reset_at == local("2026-03-01 00:00")
        values = {v.quantity: v for v in running.values}
        frozen = {v.quantity: v for v in closed.values}
        totals = at.bench.meter.measurement.current()
        assert values["1.8.0"].value == totals[0].total
        assert values["1.8.0"].value > frozen["1.8.0"].value
        assert sum(values[f"1.8.{post}"].value for post in (1, 2, 3, 4)) == values["1.8.0"].value
        assert [e.kind for e in read.events] == ["demand_reset"]
        assert {b[0] for b in read.evidence[0].frames} == {0x21, 0x22, 0x23, 0x24, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46}
        later = await at.driver.read_registers(at.claim)
        assert [r.period for r in later.registers] == [0]
        assert not later.events
        at.bench.go("2026-04-01 00:30:00")
        new = await at.driver.read_registers(at.claim)
        assert [r.period for r in new.registers] == [0, 1]
        assert [e.kind for e in new.events] == ["demand_reset"]


async def test_state_survives_a_restart_and_events_come_once() -> None:
    async with site() as at:
        first = await at.driver.read_events(at.claim)
        assert sorted(e.kind for e in first.events) == ["demand_reset", "outage"]
        stored = json.loads(json.dumps(at.driver.state()))
        restarted = AbntDriver("m1", at.driver.settings, at.bench.hand)
        restarted.restore(stored)
        assert not (await restarted.read_events(at.claim)).events
        assert restarted.state() == at.driver.state()


async def test_a_wrong_order_is_marked_and_never_billed() -> None:
    async with site({"nibble_order": "low_first"}) as at:
        read = await at.driver.read_profile(at.claim, at.end - DAY, at.end)
        assert [e.kind for e in read.events] == ["demand_reset", "unreconciled"]
        assert at.driver.reconciled is False
        for block in read.profile:
            assert all(flag & Quality.UNRECONCILED for flag in codec.unpack(block.data)[1])
        mended = AbntDriver("m1", AbntSettings(serial=SERIAL, link="serial"), at.bench.hand)
        mended.restore(at.driver.state())
        read = await mended.read_profile(at.claim, at.end - DAY, at.end)
        assert [e.kind for e in read.events] == ["reconciled"]
        assert at.check(read.profile) == 3 * 96


@pytest.mark.parametrize(
    ("variant", "strict"),
    [(Variant.DIRECTIONAL, False), (Variant.ADDRESSED, False), (Variant.HEADED, False), (Variant.PLAIN, True)],
)
async def test_variants(variant: Variant, strict: bool) -> None:
    async with site({"variant": variant.value}, {"variant": variant, "strict": strict}) as at:
        identity = await at.driver.identify(at.claim)
        assert identity.serial == SERIAL
        read = await at.driver.read_profile(at.claim, at.end - 2 * DAY, at.end)
        assert at.check(read.profile) == 3 * 2 * 96


@pytest.mark.parametrize("variant", [Variant.HEADED, Variant.ADDRESSED, Variant.DIRECTIONAL])
async def test_the_variant_is_found_and_remembered(variant: Variant) -> None:
    async with site({}, {"variant": variant}) as at:
        assert (await at.driver.identify(at.claim)).detail["variant"] == variant.value
        assert at.driver.state()["variant"] == variant.value


async def test_faults_cost_time_but_no_value() -> None:
    faults = FaultPlan(
        Fault(FaultKind.NAK, 0.1),
        Fault(FaultKind.WAIT, 0.05, 2),
        Fault(FaultKind.NOISE, 0.1, 3),
        Fault(FaultKind.HALF, 0.03),
        Fault(FaultKind.DROP_ACK, 0.1),
        Fault(FaultKind.REPEAT, 0.1),
        seed=7,
    )
    async with site(faults=faults) as at:
        read = await at.driver.read_profile(at.claim, at.end - 8 * DAY, at.end)
        assert at.check(read.profile) == 3 * 8 * 96
        assert at.driver.reconciled
        assert len(faults.fired) >= 4


async def test_wrong_meter_and_battery_occurrence() -> None:
    async with site() as at:
        at.faults.arm(FaultKind.WRONG_SERIAL)
        with pytest.raises(WrongMeterError, match=SERIAL):
            await at.driver.read_clock(at.claim)
        at.faults.arm(FaultKind.BATTERY)
        read = await at.driver.read_registers(at.claim)
        assert read.registers
        assert "battery" in [e.kind for e in read.events]
        assert at.bench.meter.occurrence is None  # acknowledged by 37


async def test_a_battery_occurrence_that_may_not_be_cleared_is_reported_all_the_same() -> None:
    async with site({"clear_occurrences": False}) as at:
        at.faults.arm(FaultKind.BATTERY, 1)
        with pytest.raises(RefusedError, match="battery"):
            await at.driver.read_clock(at.claim)
        assert [e.kind for e in (await at.driver.read_instantaneous(at.claim)).events] == ["battery"]


async def test_a_lockout_is_not_provoked() -> None:
    async with site() as at:
        at.bench.meter.occurrence = (0x43, 0)
        with pytest.raises(RefusedError, match="password session"):
            await at.driver.read_clock(at.claim)
        at.bench.meter.occurrence = None
        with pytest.raises(RefusedError, match="password session"):
            await at.driver.read_clock(at.claim)  # not asked again for a while
        at.bench.hand.now += LOCKOUT_PAUSE + 1
        await at.driver.read_clock(at.claim)


async def test_clock() -> None:
    async with site({"reader_serial": "000777"}, slow=40) as at:
        assert -42 < (await at.driver.read_clock(at.claim)).drift < -38
        with pytest.raises(NotPermittedError, match=r"-40 s off, more than the 30 s allowed"):
            await at.driver.set_clock(at.claim, 30)
        await at.driver.read_events(at.claim)
        (event,) = (await at.driver.set_clock(at.claim, 60)).events
        assert event.kind == "clock_set"
        assert event.detail["before"] == pytest.approx(-40, abs=2)
        assert abs(event.detail["after"]) <= 2
        assert event.detail["reader"] == "000777"
        assert abs((await at.driver.read_clock(at.claim)).drift) <= 2
        assert not (await at.driver.read_events(at.claim)).events  # our own order is not reported a second time
        assert not (await at.driver.set_clock(at.claim, 60)).events  # a clock that is right stays alone
        read = await at.driver.read_profile(at.claim, at.end - DAY, at.end)
        assert at.check(read.profile) == 3 * 96


async def test_the_date_is_set_too_when_it_differs() -> None:
    async with site(slow=2 * DAY) as at:
        (event, *_) = [e for e in (await at.driver.set_clock(at.claim, 3 * DAY)).events if e.kind == "clock_set"]
        assert event.detail["before"] == pytest.approx(-2 * DAY, abs=2)
        assert abs((await at.driver.read_clock(at.claim)).drift) <= 2


async def test_the_clock_is_left_alone_near_an_intervals_end() -> None:
    async with site(at="2026-03-18 10:14:00", slow=55) as at:
        with pytest.raises(BusyError, match="without cutting an interval"):
            await at.driver.set_clock(at.claim, 300)


async def test_closing_a_bill_needs_permission() -> None:
    async with site() as at:
        with pytest.raises(NotPermittedError, match="permit_close_bill"):
            await at.driver.close_bill(at.claim)
        assert at.bench.meter.log[-1].code != 0x20 if at.bench.meter.log else True
    async with site({"permit_close_bill": True}) as at:
        before = at.bench.meter.measurement.current()[0].total
        read = await at.driver.close_bill(at.claim)
        (closed,) = read.registers
        assert closed.period == 1
        assert next(v.value for v in closed.values if v.quantity == "1.8.0") == before
        assert [e.kind for e in read.events] == ["demand_reset"]
        with pytest.raises(RefusedError, match="billing close inside the protection period"):
            await at.driver.close_bill(at.claim)
        later = await at.driver.read_registers(at.claim)
        assert [r.period for r in later.registers] == [0]  # the closed period was read with the close


async def test_profile_across_a_close_of_ours() -> None:
    async with site({"permit_close_bill": True}) as at:
        await at.driver.read_profile(at.claim, at.end - DAY, at.end)
        await at.driver.close_bill(at.claim)
        read = await at.driver.read_profile(at.claim, at.end - DAY, at.end)
        assert at.check(read.profile) == 3 * 96
        assert at.driver.reconciled
        at.bench.go("2026-03-18 22:00:30")
        read = await at.driver.read_profile(at.claim, at.end - DAY, at.end)
        assert at.check(read.profile) == 3 * 96
        assert at.driver.reconciled


async def test_instantaneous_and_identity() -> None:
    async with site(groups=2) as at:
        (shot,) = (await at.driver.read_instantaneous(at.claim)).snapshots
        assert len(shot.values) == 4 * len(shot.quantities)
        detail = (await at.driver.identify(at.claim)).detail
        assert detail["groups"] == 2
        assert detail["profile_step"] == 900
        assert detail["quantities"] == [1, 10, 11]


async def test_a_higher_class_takes_the_line_between_blocks() -> None:
    class Yielding:
        def __init__(self, claim: Claim) -> None:
            self.transport, self.must_yield = claim.transport, False

    async with site() as at:
        claim = Yielding(at.claim)

        def progress(done: int, total: int) -> None:
            claim.must_yield = done == 3
            assert done <= total

        with pytest.raises(PreemptedError):
            await at.driver.read_profile(claim, at.end - 9 * DAY, at.end, progress)
        assert (await at.driver.read_clock(at.claim)).drift < 2  # the meter is ready for the next one at once


def test_drivers_are_opened_by_protocol() -> None:
    assert PROTOCOLS == ("abnt",)
    assert settings_type("abnt") is AbntSettings
    with pytest.raises(ConfigError, match="protocol 'dlms' is unknown: abnt"):
        open_driver("dlms", "m1", {})
    with pytest.raises(ConfigError, match=r"meter m1: .*`speed`"):
        open_driver("abnt", "m1", {"speed": 9600})
    with pytest.raises(ConfigError, match=r"\$\.serial"):
        open_driver("abnt", "m1", {"serial": "123"})
    with pytest.raises(ConfigError, match="America/Nowhere"):
        open_driver("abnt", "m1", {"zone": "America/Nowhere"})
    with pytest.raises(ConfigError, match="needs the meter's serial"):
        open_driver("abnt", "m1", {"variant": "addressed"})


def test_a_foreign_state_is_refused_whole() -> None:
    driver = AbntDriver("m1", AbntSettings())
    before = driver.state()
    for state in ({"order": "sideways"}, {"colour": 1}):
        with pytest.raises(ConfigError, match="stored state of meter m1"):
            driver.restore(state)
    assert driver.state() == before


def test_state_of_an_exchanged_meter_is_forgotten() -> None:
    driver = AbntDriver("m1", AbntSettings(serial="00000002"))
    driver.restore({"serial": "00000001", "order": "low_first", "reconciled": True})
    assert driver.state() == AbntDriver("m1", AbntSettings()).state()


class Recorded:
    """Answers of the bench meter on a wire in memory, with some codes missing and some octets changed."""

    def __init__(self, missing: tuple[int, ...] = (), dice: random.Random | None = None) -> None:
        self.bench = Bench()
        self.missing, self.dice = missing, dice
        self.wire = Wire()
        self.meter = TinyMeter(self.wire, self, enq=None)  # type: ignore[arg-type]
        self.wire.meter = self.meter
        self.driver = AbntDriver("m1", AbntSettings(serial=SERIAL, link="serial"), self.bench.hand)
        self.driver.restore({"serial": SERIAL, "variant": "plain", "blind": True})

    def __getitem__(self, code: int) -> list[bytes]:
        if code in self.missing:
            return [answer(0x39, bytes((code,)), SERIAL)]
        parameters = self.meter.commands[-1][4:64].hex()
        return [self._change(frame.to_bytes()) for frame in self.bench.ask(code, parameters)]

    def _change(self, frame: bytes) -> bytes:
        octets = bytearray(frame[:256])
        for _ in range(self.dice.choice((0, 0, 1, 3, 40)) if self.dice else 0):
            assert self.dice is not None
            octets[self.dice.randrange(5, 256)] = self.dice.choice((0, 0xFF, 0x99, self.dice.randrange(256)))
        return bytes(octets) + crc16(bytes(octets))


async def test_a_meter_that_knows_little() -> None:
    small = Recorded(missing=(0x22, 0x24, 0x25, 0x28, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x51, 0x52, 0x80))
    claim = FakeClaim(small.wire)
    registers = await small.driver.read_registers(claim)
    assert [r.period for r in registers.registers] == [0]
    assert (await small.driver.identify(claim)).serial == SERIAL
    assert [e.kind for e in (await small.driver.read_events(claim)).events] == []
    end = int(small.bench.hand.now) // 900 * 900
    read = await small.driver.read_profile(claim, end - DAY, end)
    assert [e.kind for e in read.events] == ["unreconciled"]  # nothing to hold the profile against yet
    kinds = []
    for _ in range(8):
        small.bench.hand.now += 900
        kinds += [e.kind for e in (await small.driver.read_profile(claim, end - DAY, end)).events]
    assert kinds == ["reconciled"]  # two visits that are some intervals apart are a pair of registers
    asked = [command[0] for command in small.meter.commands]
    for code in (0x24, 0x25, 0x28, 0x44, 0x80):
        assert asked.count(code) <= 1  # not asked again once refused


@pytest.mark.parametrize("seed", range(25))
async def test_changed_answers_end_in_typed_errors(seed: int) -> None:
    wild = Recorded(dice=random.Random(seed))
    claim = FakeClaim(wild.wire)
    end = int(wild.bench.hand.now)
    for verb in (
        lambda: wild.driver.identify(claim),
        lambda: wild.driver.read_clock(claim),
        lambda: wild.driver.read_registers(claim),
        lambda: wild.driver.read_instantaneous(claim),
        lambda: wild.driver.read_events(claim),
        lambda: wild.driver.read_profile(claim, end - 3 * DAY, end),
    ):
        with contextlib.suppress(EdgeError):
            await verb()
    AbntDriver("m1", AbntSettings(serial=SERIAL)).restore(json.loads(json.dumps(wild.driver.state())))
