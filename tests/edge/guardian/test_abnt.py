"""NBR 14522 overheard: variants, damage, masks, and frames that others published."""

import asyncio

import pytest

import edge.guardian
from edge.drivers.abnt import commands
from edge.drivers.abnt.frames import Answer, Command, Signal, Variant
from edge.drivers.abnt.session import Link, Session
from edge.guardian import CloseReason, Expected, Inspector, Kind, Result, Side, Verdict
from edge.lines.tcp import open_tcp
from edge.simulators.abnt.clock import MeterClock
from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.server import TcpPort
from edge.simulators.abnt.setup import MeterSetup
from edge.simulators.faults import FaultKind, FaultPlan
from ext.checksums import crc16_arc
from tests.edge.drivers.abnt import vectors
from tests.edge.drivers.abnt.wire import FakeClaim
from tests.edge.guardian.conversations import EXPECTED, AbntTalk, drift, judge, rechunk
from tests.edge.guardian.recorder import Recorder
from tests.edge.simulators.rawreader import RawReader
from tests.edge.simulators.simmeter import OFFSET, SERIAL, Bench, local

C, M = Side.CLIENT, Side.METER


@pytest.mark.parametrize("variant", Variant)
def test_a_whole_reading_in_every_wire_variant(variant: Variant) -> None:
    talk = AbntTalk(variant=variant)
    talk.read("51 80 14 23 44 52")
    finding = talk.finding()
    assert (finding.protocol, finding.verdict, finding.serial) == ("abnt", Verdict.GOOD, SERIAL)
    assert [e.code for e in finding.exchanges] == ["51", "80", "14", "23", "44", "52"]
    assert {e.result for e in finding.exchanges} == {Result.OK}
    memory = finding.exchanges[-1]
    assert (memory.kind, memory.detail["blocks"], memory.answered) == (Kind.MEMORY, 61, 61 * variant.answer_size)
    assert memory.asked == variant.command_size + 61
    assert finding.range_start == local("2026-03-18 10:00") - 35 * 86400
    assert finding.range_end == finding.range_delivered == local("2026-03-18 10:00")
    assert finding.meter_clock_offset is not None
    assert abs(finding.meter_clock_offset) < 1
    assert finding.constants["constant.1"] == "27/400"
    assert memory.detail.get("variant", "plain") == variant.value


def test_the_clock_is_compared_at_the_answers_first_octet() -> None:
    talk = AbntTalk(drift(Bench(), 47))
    talk.read("21")
    slow = [(at + (0.5 if side is M else 0), side, data) for at, side, data in talk.talk]
    finding = judge(slow, began=talk.began)
    assert finding.meter_clock_offset == pytest.approx(46.2, abs=0.5)


@pytest.mark.parametrize("kind", [k for k in FaultKind if k is not FaultKind.BATTERY])
def test_pieces_make_no_difference(kind: FaultKind) -> None:
    plan = FaultPlan()
    plan.arm(kind, times=2)
    talk = AbntTalk(faults=plan)
    talk.read()
    whole = talk.finding()
    for seed in range(6):
        assert judge(rechunk(talk.talk, seed), began=talk.began) == whole


@pytest.mark.parametrize(
    ("kind", "name", "count"),
    [
        (FaultKind.NOISE, "broken", 1),
        (FaultKind.HALF, "broken", 1),
        (FaultKind.NAK, "meter_naks", 1),
        (FaultKind.WAIT, "waits", 3),
    ],
)
def test_repairs_are_counted_and_accuse_nobody(kind: FaultKind, name: str, count: int) -> None:
    plan = FaultPlan()
    plan.arm(kind)
    talk = AbntTalk(faults=plan)
    talk.read("21 26")
    finding = talk.finding()
    assert [e.detail.get(name, 0) for e in finding.exchanges] == [count, 0]
    assert finding.verdict is Verdict.GOOD


def test_a_block_that_comes_twice_is_one_block() -> None:
    talk = AbntTalk()
    talk.read("21 26")
    second = [i for i, (_, side, data) in enumerate(talk.talk) if side is M and data[:1] == b"\x26"][1]
    talk.talk.insert(second + 1, talk.talk[second])
    memory = talk.finding().exchanges[-1]
    assert (memory.result, memory.detail["blocks"], memory.detail["repeated"]) == (Result.OK, 31, 1)


def test_published_frames() -> None:
    """An addressed command 14 and the answer of that very meter, and an answer 20, all printed by others."""
    parameters = vectors.PARAMETERS + crc16_arc(vectors.PARAMETERS).to_bytes(2, "little")
    reset = Command(0x20, "000000").to_bytes()
    at = 1_700_000_000.0
    talk = [
        (at, C, vectors.ADDRESSED_14),
        (at + 0.3, M, vectors.INSTANTANEOUS),
        (at + 0.4, C, b"\x06"),
        (at + 2, C, reset),
        (at + 3, M, b"\x05" + parameters),
        (at + 3.1, C, b"\x06"),
    ]
    finding = judge(talk, expected=Expected(clock_tolerance=float("inf")))
    assert [(e.code, e.result) for e in finding.exchanges] == [("14", Result.OK), ("20", Result.OK)]
    assert finding.exchanges[0].detail["address"] == "55000052"
    assert finding.exchanges[0].detail["clock"] == "2024-06-04 10:15:46"
    assert finding.exchanges[1].detail["dangerous"] is True
    assert finding.exchanges[1].detail["clock"] == "2021-10-07 22:15:00"
    assert finding.constants["model"] == vectors.PARAMETERS[152:154].hex()
    assert finding.serial == vectors.PARAMETERS[1:5].hex()


# -- secrets -----------------------------------------------------------------------------------------------------------

TOKEN = bytes(range(0x61, 0x6B))
SEED = bytes(range(0xC1, 0xCB))


def hidden(stream: bytes, kept: bytes, secret: bytes) -> bool:
    """Say whether every octet of ``secret`` in ``stream`` is masked in what was ``kept`` of it."""
    at = stream.find(secret)
    assert len(stream) == len(kept)
    return at < 0 or kept[at : at + len(secret)] == b"*" * len(secret)


def session(variant: Variant = Variant.PLAIN) -> list[tuple[float, Side, bytes]]:
    address = SERIAL if variant is Variant.ADDRESSED else None
    ask = Command(commands.PASSWORD_SEED, address=address).to_bytes(variant)
    seed = Answer(commands.PASSWORD_SEED, SERIAL, SEED).to_bytes(variant)
    token = Command(commands.PASSWORD_TOKEN, parameters=TOKEN, address=address).to_bytes(variant)
    flags = Answer(commands.PASSWORD_TOKEN, SERIAL, b"\1\1").to_bytes(variant)
    return [
        (1.0, C, ask),
        (1.3, M, seed),
        (1.4, C, b"\x06"),
        (2.0, C, token),
        (2.3, M, flags),
        (2.4, C, b"\x06"),
    ]


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize("seed", range(8))
def test_no_octet_of_seed_or_token_is_kept(variant: Variant, seed: int) -> None:
    for talk in (session(variant), session(variant)[3:]):  # also when the token is the first that is heard
        inspector = Inspector(EXPECTED, 0.0)
        kept = {C: b"", M: b""}
        for at, side, data in rechunk(talk, seed):
            kept[side] += inspector.heard(at, side, data)
        for secret, side in ((TOKEN, C), (SEED, M)):
            if variant is Variant.DIRECTIONAL:
                secret = bytes(255 - octet for octet in secret)
            assert hidden(b"".join(d for _, s, d in talk if s is side), kept[side], secret)
        finding = inspector.finish(3.0, CloseReason.CLIENT)
        assert finding.exchanges[-1].result is Result.OK
        assert finding.exchanges[-1].kind is Kind.ACCESS


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_seed_is_hidden_too(seed: int) -> None:
    (_, _, ask), (_, _, answer), *_ = session()
    damaged = answer[:40] + b"!" + answer[41:]
    inspector = Inspector(EXPECTED, 0.0)
    inspector.heard(0.0, C, ask)
    kept = b"".join(inspector.heard(*piece) for piece in rechunk([(1.0, M, b"\x05" + damaged)], seed))
    assert kept[:1] == b"\x05"
    assert hidden(damaged, kept[1:], SEED)


@pytest.mark.parametrize("seed", range(8))
def test_noise_before_a_token_does_not_bring_it_to_light(seed: int) -> None:
    inspector = Inspector(EXPECTED, 0.0)
    kept = b""
    for at, side, data in rechunk([(1.0, C, b"\x14\x00\x99" + session()[3][2])], seed):
        kept += inspector.heard(at, side, data)
    assert hidden(b"\x14\x00\x99" + session()[3][2], kept, TOKEN)


def test_private_commands_keep_their_parameters_and_others_show_theirs() -> None:
    def kept(code: int, seed: int) -> bytes:
        inspector = Inspector(EXPECTED, 0.0)
        inspector.heard(0.0, C, Command(0x21).to_bytes())  # the protocol is known
        talk = [(1.0, C, Command(code, parameters=b"secret").to_bytes())]
        return b"".join(inspector.heard(*piece) for piece in rechunk(talk, seed))

    for seed in range(4):
        assert b"s" not in kept(0xAB, seed)
    assert b"secret" in kept(0x33, 0)


def test_what_is_no_secret_is_kept_as_it_was() -> None:
    talk = AbntTalk()
    talk.read("21 23 26")
    inspector = Inspector(EXPECTED, 0.0)
    for at, side, data in talk.talk:
        assert inspector.heard(at, side, data) == data


# -- peers -------------------------------------------------------------------------------------------------------------


async def test_a_foreign_reader_through_a_recording_proxy() -> None:
    meter = Meter(MeterSetup(SERIAL, days=3, utc_offset=OFFSET), MeterClock())
    async with TcpPort([meter]) as port, Recorder(port.port) as recorder, await RawReader.tcp(recorder.port) as reader:
        await reader.ask(0x21)
        await reader.ask(0x23)
        await reader.ask_blocks(0x26)
        refused = await reader.ask(0x60)
        assert refused[0] == 0x39
        await reader.ask(0x14)
        await asyncio.sleep(0.05)
        finding = judge(recorder.talk, began=recorder.began)
    assert finding.verdict is Verdict.GOOD, finding
    assert [(e.code, e.result) for e in finding.exchanges] == [
        ("21", Result.OK),
        ("23", Result.OK),
        ("26", Result.OK),
        ("60", Result.UNSUPPORTED),
        ("14", Result.OK),
    ]
    assert finding.range_delivered == finding.range_end == meter.memory()[1]


async def test_our_driver_through_a_recording_proxy() -> None:
    meter = Meter(MeterSetup(SERIAL, days=3, utc_offset=OFFSET), MeterClock())
    async with TcpPort([meter]) as port, Recorder(port.port) as recorder:
        pipe = await open_tcp("127.0.0.1", recorder.port)
        session = Session(FakeClaim(pipe), Link(serial=SERIAL), SERIAL)
        await session.ask(commands.PARAMETERS)
        await session.ask(commands.MEASUREMENT)
        await session.ask_blocks(commands.PROFILE)
        await pipe.close()
        await asyncio.sleep(0.05)
        finding = judge(recorder.talk, began=recorder.began)
    assert finding.verdict is Verdict.GOOD, finding
    assert [(e.code, e.result) for e in finding.exchanges] == [(code, Result.OK) for code in ("21", "80", "26")]
    assert finding.range_delivered == finding.range_end == meter.memory()[1]


def test_the_door_is_small() -> None:
    assert sorted(edge.guardian.__all__) == [
        "CloseReason", "Exchange", "Expected", "Finding", "Inspector", "Kind", "Result", "Side", "Verdict",
    ]  # fmt: skip


def test_live_view_follows() -> None:
    talk = AbntTalk()
    talk.ask(0x21)
    talk.ask(0x26, blocks=3)
    inspector = Inspector(EXPECTED, talk.began)
    for at, side, data in talk.talk:
        inspector.heard(at, side, data)
    live = inspector.live()
    assert live["protocol"] == "abnt"
    assert live["command"] == "26 profile, running period"
    assert live["serial"] == SERIAL
    assert live["range"]["delivered"] > live["range"]["start"]
    assert live["constants"]["profile_step"] == "900"


def test_a_command_before_the_meter_calls_and_enq_in_the_pipe() -> None:
    """Blind commands are understood, and ENQs that were on their way before an answer are none of it."""
    answer = Answer(0x23, SERIAL, b"").to_bytes()
    ask = Command(0x23).to_bytes()
    enq = Signal.ENQ.wire()
    finding = judge([(0.0, C, ask), (0.1, M, enq * 3 + answer + enq), (0.2, C, b"\x06")], began=0.0)
    assert finding.verdict is Verdict.GOOD
    assert finding.exchanges[0].detail["signals"] == 4
