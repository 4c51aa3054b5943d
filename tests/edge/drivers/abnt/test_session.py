"""The reader against a scripted meter on a wire in memory: every rule of the protocol, then noise and loss."""

import asyncio
import random
from collections import deque

import pytest

from edge.drivers.abnt import timing
from edge.drivers.abnt.frames import Variant
from edge.drivers.abnt.session import Link, Refused, Session
from edge.errors import (
    BusyError,
    EdgeError,
    NoiseError,
    PreemptedError,
    ProtocolError,
    RefusedError,
    RetryError,
    SilenceError,
    WrongMeterError,
)
from tests.edge.drivers.abnt.wire import ACK, ENQ, NAK, WAIT, FakeClaim, TinyMeter, Wire, answer, block

FAST = timing.LinkTiming(gap=0.05, block=0.15, answer=0.06, enq=0.08, quiet=0.005, turn=0.0, again=0.005, hold=0.2)
PARAMETERS = answer(0x21, b"hello")
PROFILE = [block(0x26, n, n == 5, n) for n in range(1, 6)]


def link(**changes: object) -> Link:
    settings = {"serial": "12345678", "link_timing": FAST, "allow_blind": False, **changes}
    return Link(**settings)  # type: ignore[arg-type]


def session(wire: Wire, **changes: object) -> Session:
    return Session(FakeClaim(wire), link(**changes), "m1")


def meter(wire: Wire, on_command: str = "", on_ack: str = "", **changes: object) -> TinyMeter:
    answers = {0x21: [PARAMETERS], 0x26: PROFILE, 0x30: [answer(0x30)]}
    return TinyMeter(wire, answers, deque(on_command.split()), deque(on_ack.split()), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk", [1, 7, 4096])
async def test_one_answer_and_its_ack(chunk: int) -> None:
    wire = Wire(chunk)
    async with meter(wire) as tiny:
        reader = session(wire)
        got = await reader.ask(0x21, bytes((0, 3)))
    assert got.data[:5] == b"hello"
    assert wire.written[-1] == ACK
    assert len(tiny.commands) == 1
    assert tiny.commands[0][:6] == b"\x21\0\0\0\0\x03"
    assert reader.statistics.exchanges == 1


@pytest.mark.parametrize("chunk", [1, 4096])
@pytest.mark.parametrize(
    ("on_command", "on_ack"),
    [
        ("nak nak", ""),
        ("damage", ""),
        ("half", ""),
        ("gap", ""),
        ("junk", ""),
        ("silent silent", ""),
        ("wait", ""),
        ("wait wait nak damage", ""),
        ("", "drop"),
        ("", "drop drop hear repeat"),
        ("", "repeat hear wait hear drop repeat"),
        ("damage", "repeat drop wait"),
        ("mangle", ""),
        ("", "mangle hear mangle drop mangle"),
        ("", "hear hear hear mangle"),  # the last block: an ACK for the ENQ after it would end the meter's answer
        ("wait mangle", "wait mangle"),
        ("forget", ""),
        ("mangle damage", "hear forget hear drop"),
    ],
)
async def test_composite_answers_come_whole_and_once(chunk: int, on_command: str, on_ack: str) -> None:
    wire = Wire(chunk)
    progress: list[tuple[int, int]] = []
    async with meter(wire, on_command, on_ack):
        got = await session(wire).ask_blocks(0x26, progress=lambda done, total: progress.append((done, total)), total=5)
    assert [bytes(a.data[2:251]) for a in got] == [bytes([n]) * 249 for n in range(1, 6)]
    again = [(1, 5), (2, 5)] if "forget" in on_ack else []  # such a meter begins with its first block again
    assert progress == [*again, *((n, 5) for n in range(1, 6))]


async def test_the_command_waits_for_enq() -> None:
    wire = Wire()
    async with meter(wire, enq=None) as tiny:
        with pytest.raises(SilenceError, match="no ENQ"):
            await session(wire).ask(0x21)
    assert wire.written == []
    assert tiny.commands == []


async def test_a_link_without_enq_is_learnt() -> None:
    wire = Wire()
    async with meter(wire, enq=None):
        reader = session(wire, allow_blind=True)
        await reader.ask(0x21)
        assert reader.link.blind
        began = asyncio.get_running_loop().time()
        await reader.ask(0x21)
        assert asyncio.get_running_loop().time() - began < FAST.enq
    async with meter(wire):  # and unlearnt when ENQ is there after all: this one answers only the second time
        wire.meter.on_command.append("silent")  # type: ignore[union-attr]
        await reader.ask(0x21)
        assert not reader.link.blind


async def test_late_enqs_before_the_answer_are_skipped() -> None:
    wire = Wire()
    async with meter(wire, "junk"):
        reader = session(wire)
        assert (await reader.ask(0x21)).data[:5] == b"hello"
        assert reader.statistics.junk == 4  # 00 and 7E, and what follows without a pause


@pytest.mark.parametrize(
    ("script", "error", "count"),
    [
        ("nak", NoiseError, timing.MAX_NAKS),
        ("silent", SilenceError, timing.MAX_TRANSMISSIONS),
        ("wait", BusyError, timing.MAX_WAITS + 1),
    ],
)
async def test_limits(script: str, error: type[EdgeError], count: int) -> None:
    wire = Wire()
    async with meter(wire, " ".join([script] * 20)) as tiny:
        with pytest.raises(error, match="command 21"):
            await session(wire).ask(0x21)
    assert len(tiny.commands) == count


async def test_answers_that_stay_damaged_end_after_seven_naks() -> None:
    wire = Wire()
    broken = PARAMETERS[:-1] + b"\0"
    async with TinyMeter(wire, {0x21: [broken]}) as tiny:
        with pytest.raises(NoiseError, match="damaged 7 times"):
            await session(wire).ask(0x21)
    assert wire.written.count(NAK) == timing.MAX_NAKS - 1
    assert len(tiny.commands) == 1


async def test_a_meter_that_is_idle_again_is_asked_anew() -> None:
    wire = Wire()
    async with meter(wire, "forget") as tiny:
        got = await session(wire).ask(0x21)
    assert got.data[:5] == b"hello"
    assert wire.written.count(NAK) == 1 + timing.MAX_ENQS
    assert len(tiny.commands) == 2


async def test_a_meter_that_always_falls_idle_is_given_up() -> None:
    wire = Wire()
    async with meter(wire, "forget " * 20) as tiny:
        with pytest.raises(SilenceError, match="block 1 of answer 21 did not come, though it was asked for 7 times"):
            await session(wire).ask(0x21)
    assert len(tiny.commands) == 1 + timing.MAX_RESTARTS


async def test_a_block_that_is_repeated_for_ever_ends() -> None:
    wire = Wire()
    async with meter(wire, "", "repeat " * 50):
        with pytest.raises(SilenceError, match="block 2 of answer 26 did not come, though it was asked for 7 times"):
            await session(wire).ask_blocks(0x26)


async def test_waiting_ends() -> None:
    wire = Wire()
    async with meter(wire, enq=None):
        reader = session(wire)
        asyncio.get_running_loop().call_later(0.01, wire.deliver, ENQ)
        asyncio.get_running_loop().call_later(0.02, wire.deliver, WAIT)
        wire.meter.on_command.append("silent")  # type: ignore[union-attr]
        with pytest.raises(BusyError, match="asked to wait and was silent"):
            await reader.ask(0x21)


@pytest.mark.parametrize("script", ["silent", "half", "forget"])
async def test_a_write_is_never_repeated_after_silence(script: str) -> None:
    wire = Wire()
    async with meter(wire, script) as tiny:
        if script == "half":
            tiny.answers = {0x30: [answer(0x30)]}
            tiny._send_pending = lambda: None  # type: ignore[method-assign]  # NAK is not heard either
        with pytest.raises(SilenceError, match="whether it took effect is unknown"):
            await session(wire).ask(0x30)
    assert len(tiny.commands) == 1


async def test_a_write_is_repeated_when_the_meter_asks() -> None:
    wire = Wire()
    async with meter(wire, "nak wait") as tiny:
        await session(wire).ask(0x30)
    assert len(tiny.commands) == 3


@pytest.mark.parametrize(("code", "sub_code"), [(0x43, 1), (0x45, 0), (0x30, 0)])
async def test_occurrences_are_acknowledged_and_not_repeated(code: int, sub_code: int) -> None:
    wire = Wire()
    async with TinyMeter(wire, {0x26: [answer(0x40, bytes((code, sub_code)))]}) as tiny:
        with pytest.raises(RefusedError) as caught:
            await session(wire).ask_blocks(0x26)
    assert (caught.value.command, caught.value.code, caught.value.sub_code) == (0x26, code, sub_code)
    assert isinstance(caught.value, Refused)
    assert caught.value.answer == 0x40
    assert wire.written[-1] == ACK
    assert len(tiny.commands) == 1


async def test_not_implemented() -> None:
    wire = Wire()
    async with TinyMeter(wire, {0x80: [answer(0x39, b"\x80")]}):
        with pytest.raises(RefusedError, match="command 80 is not implemented"):
            await session(wire).ask(0x80)
    assert wire.written[-1] == ACK


async def test_wrong_meter() -> None:
    wire = Wire()
    async with TinyMeter(wire, {0x21: [answer(0x21, serial="99999999")], 0x25: [answer(0x25, serial="00000000")]}):
        reader = session(wire)
        with pytest.raises(WrongMeterError, match=r"99999999 .*12345678"):
            await reader.ask(0x21)
        await reader.ask(0x25)  # its serial is not trusted


async def test_wrong_meter_within_a_composite() -> None:
    wire = Wire()
    blocks = [PROFILE[0], block(0x26, 2, True, serial="99999999")]
    async with TinyMeter(wire, {0x26: blocks}):
        with pytest.raises(WrongMeterError):
            await session(wire).ask_blocks(0x26)


async def test_an_unconfigured_serial_is_that_of_the_first_answer() -> None:
    wire = Wire()
    async with TinyMeter(wire, {0x21: [PARAMETERS], 0x23: [answer(0x23, serial="99999999")]}):
        reader = session(wire, serial=None)
        await reader.ask(0x21)
        assert reader.link.serial == "12345678"
        with pytest.raises(WrongMeterError):
            await reader.ask(0x23)


async def test_a_missing_block_drops_the_reading() -> None:
    wire = Wire()
    async with TinyMeter(wire, {0x26: [PROFILE[0], PROFILE[2]]}):
        with pytest.raises(ProtocolError, match=r"block 3 .* where block 2 was due"):
            await session(wire).ask_blocks(0x26)


async def test_a_higher_class_stops_a_composite_between_blocks_without_ack() -> None:
    wire = Wire()
    claim = FakeClaim(wire)

    def take(done: int, _: int) -> None:
        claim.must_yield = done == 2

    async with meter(wire):
        with pytest.raises(PreemptedError, match="after block 2"):
            await Session(claim, link(), "m1").ask_blocks(0x26, progress=take, total=5)
        acks = wire.written.count(ACK)
        await asyncio.sleep(0.1)
    assert acks == 1  # block 2 is not acknowledged, so block 3 was never sent into the other one's session
    assert set(await wire.read(4096, 0)) == {ENQ[0]}


async def test_a_higher_class_goes_before_anything_is_sent() -> None:
    wire = Wire()
    async with meter(wire) as tiny:
        with pytest.raises(PreemptedError):
            await Session(FakeClaim(wire, must_yield=True), link(), "m1").ask(0x21)
    assert tiny.commands == []


async def test_a_higher_class_ends_a_wait() -> None:
    wire = Wire()
    claim = FakeClaim(wire)
    async with meter(wire, "wait", enq=None):
        asyncio.get_running_loop().call_later(0.01, wire.deliver, ENQ)
        asyncio.get_running_loop().call_later(0.03, setattr, claim, "must_yield", True)
        asyncio.get_running_loop().call_later(0.04, wire.deliver, WAIT)
        with pytest.raises(PreemptedError):
            await Session(claim, link(), "m1").ask(0x21)


async def test_directional_meter_is_called_and_answered_complemented() -> None:
    wire = Wire()
    complement = bytes(255 - i for i in range(256))
    heard = bytearray()

    async def directional() -> None:
        while True:
            await asyncio.sleep(0.005)
            sent = b"".join(wire.written[len(heard) :])
            heard.extend(bytes(len(wire.written) - len(heard)))
            if sent == b"\xff":
                wire.deliver(b"\xfa")
            elif len(sent) == 66:
                wire.deliver(PARAMETERS.translate(complement))

    task = asyncio.create_task(directional())
    reader = session(wire, variant=Variant.DIRECTIONAL)
    try:
        assert (await reader.ask(0x21)).data[:5] == b"hello"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert wire.written[0] == b"\xff"
    assert wire.written[1].translate(complement)[0] == 0x21
    assert wire.written[-1] == b"\xf9"  # the meter's ENQ came complemented, so does the ACK
    assert reader.link.complemented


async def test_the_last_frames_are_kept() -> None:
    wire = Wire()
    async with meter(wire):
        reader = session(wire)
        for _ in range(9):
            await reader.ask(0x21)
    lines = list(reader.trace.lines())
    assert len(lines) == 20
    assert lines[-1] == "> 06"
    assert lines[-2].startswith("< 21 12 34 56 78 68 65 6c 6c 6f")


async def test_a_header_that_is_none_is_damage() -> None:
    wire = Wire(chunk=1)
    reader = session(wire, variant=Variant.HEADED, blind=True, allow_blind=True)
    asyncio.get_running_loop().call_later(0.01, wire.deliver, b"\x01\x98")
    with pytest.raises(SilenceError):
        await reader.ask(0x21, transmissions=2)
    assert NAK in wire.written


@pytest.mark.parametrize("seed", range(12))
async def test_lost_octets_cost_time_but_never_truth(seed: int) -> None:
    dice = random.Random(seed)
    wire = Wire(dice.choice([1, 16, 4096]), lambda: dice.random() < 0.0004)
    good = 0
    async with meter(wire):
        reader = session(wire)
        for _ in range(8):
            try:
                got = await reader.ask_blocks(0x26)
            except (RetryError, ProtocolError):
                continue
            good += 1
            assert [bytes(a.data[2:251]) for a in got] == [bytes([n]) * 249 for n in range(1, 6)]
    assert good >= 5


@pytest.mark.parametrize("variant", Variant)
async def test_a_babbling_line_ends_in_a_typed_error(variant: Variant) -> None:
    dice = random.Random(variant.value)
    wire = Wire()

    async def babble() -> None:
        while True:
            wire.deliver(dice.randbytes(97))
            await asyncio.sleep(0)

    task = asyncio.create_task(babble())
    try:
        with pytest.raises(EdgeError):
            await session(wire, allow_blind=True, variant=variant).ask(0x21)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
