"""The meter's side of the conversation, without I/O: every rule of dossier abnt-nbr-14522 §5.3 and §5.4."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.drivers.abnt.frames import Variant
from edge.simulators.abnt.session import Action, Hangup, MeterSession, Pause, SessionSetup, State
from edge.simulators.faults import Fault, FaultKind, FaultPlan
from tests.edge.simulators.rawreader import ACK, ALO, ENQ, NAK, WAIT, command, crc, number, octets
from tests.edge.simulators.simmeter import SERIAL, Bench

COMPLEMENT = bytes(255 - i for i in range(256))
#: One meter for all: sessions come and go, and nothing here resets or sets its clock unless a test says so.
BENCH = Bench(days=5)


def sent(actions: Sequence[Action]) -> bytes:
    return b"".join(action for action in actions if isinstance(action, bytes))


class Talk:
    """A session and a clock."""

    def __init__(self, bench: Bench = BENCH, faults: FaultPlan | None = None, **setup: Any) -> None:
        self.now = 1000.0
        self.bench = bench
        self.session = MeterSession([bench.meter], SessionSetup(**setup), faults, self.now)

    def say(self, data: bytes, after: float = 0.001) -> bytes:
        return sent(self.actions(data, after))

    def actions(self, data: bytes, after: float = 0.001) -> list[Action]:
        self.now += after
        return self.session.feed(data, self.now)

    def wait(self, seconds: float) -> bytes:
        """Let time pass, doing what becomes due."""
        end, heard = self.now + seconds, b""
        while self.session.deadline is not None and self.session.deadline <= end:
            self.now = max(self.now, self.session.deadline)
            heard += sent(self.session.tick(self.now))
        self.now = end
        return heard

    def works(self) -> None:
        """The meter can be asked again as if nothing had been."""
        assert self.wait(10)
        answer = self.say(command(0x14))
        assert (len(answer), answer[0], crc(answer)) == (258, 0x14, b"\0\0")
        assert self.say(ACK) == b""


# -- idle and the plain exchange -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("period", "count"), [(0.25, 40), (0.022, 454), (0.5, 20)])
def test_idle_sends_enq(period: float, count: int) -> None:
    heard = Talk(enq_period=period).wait(10)
    assert set(heard) == {5}
    assert abs(len(heard) - count) <= 2


@pytest.mark.parametrize("period", [0.02, 0.51])
def test_enq_period_is_the_standards(period: float) -> None:
    with pytest.raises(ValueError, match="the standard allows"):
        SessionSetup(enq_period=period)


def test_simple_exchange() -> None:
    talk = Talk()
    assert talk.wait(0.3)
    answer = talk.say(command(0x21))
    assert answer[:5].hex() == f"21{SERIAL}"
    assert len(answer) == 258
    assert crc(answer) == b"\0\0"
    assert talk.session.state is State.ACKNOWLEDGE
    assert talk.say(ACK) == b""
    assert talk.wait(0.025) == ENQ  # the next command may follow at once
    assert talk.wait(0.25) == ENQ


def test_command_in_pieces_and_signals_around_it() -> None:
    talk = Talk()
    talk.wait(0.3)
    frame = command(0x14)
    assert talk.say(ENQ + ACK + NAK + WAIT) == b""
    for octet in frame[:-1]:
        assert talk.say(bytes([octet]), after=0.005) == b""
    assert talk.wait(0.2) == b""  # no ENQ while a command is coming
    assert len(talk.say(frame[-1:])) == 258


def test_gap_inside_a_command_drops_it() -> None:
    talk = Talk()
    talk.wait(0.3)
    assert talk.say(command(0x14)[:40]) == b""
    assert set(talk.wait(0.6)) == {5}
    assert talk.say(command(0x14)[40:]) == b""
    talk.works()


def test_bad_crc_is_nakked_seven_times() -> None:
    talk = Talk()
    talk.wait(0.3)
    bad = command(0x14)[:-1] + b"\xee"
    for _ in range(7):
        assert talk.say(bad) == NAK
    assert talk.say(bad) == b""
    assert talk.wait(0.3) == ENQ
    talk.works()


def test_repeated_command_after_nak_is_answered() -> None:
    talk = Talk(strict=True)
    talk.wait(0.3)
    talk.wait(talk.session.deadline - talk.now if talk.session.deadline else 0)
    assert talk.say(command(0x14)[:-1] + b"\xee", after=0.005) == NAK
    assert len(talk.say(command(0x14), after=0.3)) == 258  # Tmaxsinc does not count after NAK


def test_nak_repeats_the_answer_seven_times() -> None:
    talk = Talk()
    answer = talk.say(command(0x14))
    for _ in range(7):
        assert talk.say(NAK) == answer
    assert talk.say(NAK) == b""
    talk.works()


def test_enq_asks_for_a_missing_ack() -> None:
    talk = Talk()
    answer = talk.say(command(0x26))
    assert talk.wait(0.45) == b""
    assert talk.wait(0.6) == ENQ + ENQ + ENQ
    second = talk.say(ACK)
    assert (answer[5:7], second[5:7]) == (b"\x00\x01", b"\x00\x02")


def test_answer_never_acknowledged_is_given_up() -> None:
    talk = Talk()
    answer = talk.say(command(0x26))
    assert set(talk.wait(14)) == {5}
    assert talk.say(NAK) == answer
    assert set(talk.wait(15.5)) == {5}
    assert talk.session.state is State.IDLE
    assert talk.say(ACK) == b""


def test_composite_runs_to_its_last_block() -> None:
    talk = Talk()
    parameters = talk.say(command(0x21))
    talk.say(ACK)
    blocks = [talk.say(command(0x26))]
    while not blocks[-1][5] & 0x10:
        blocks.append(talk.say(ACK))
    assert len(blocks) == -(-number(parameters, 75, 77) // 166)
    assert talk.say(ACK) == b""
    assert talk.session.state is State.IDLE


def test_lost_answer_to_a_write_does_not_write_twice() -> None:
    bench = Bench()
    talk = Talk(bench)
    first = talk.say(command(0x20))
    assert talk.say(command(0x20)) == first
    assert bench.meter.measurement.resets == Bench().meter.measurement.resets + 1
    talk.say(ACK)
    assert talk.say(command(0x20))[0] == 0x40  # a second one is a second one


def test_unknown_code_and_occurrence_are_ordinary_answers() -> None:
    bench = Bench()
    talk = Talk(bench)
    assert octets(talk.say(command(0x31)), 1, 6).hex() == f"39{SERIAL}31"
    assert talk.say(ACK) == b""
    bench.meter.occurrence = (0x33, 0)
    assert octets(talk.say(command(0x21)), 1, 6).hex() == f"40{SERIAL}33"


# -- strict and tolerant ---------------------------------------------------------------------------------------------


def test_tolerant_meter_takes_blind_commands() -> None:
    talk = Talk()
    for _ in range(3):  # a reader that neither waits for ENQ nor acknowledges
        assert len(talk.say(command(0x14), after=1.0)) == 258


def test_strict_meter_ignores_late_commands() -> None:
    talk = Talk(strict=True)
    talk.wait(0.6)
    assert talk.session.deadline is not None
    talk.wait(talk.session.deadline - talk.now)
    assert talk.say(command(0x14), after=0.013) == b""
    assert talk.session.state is State.DEAF
    assert set(talk.wait(1)) == {5}
    talk.wait(talk.session.deadline - talk.now)
    assert len(talk.say(command(0x14), after=0.011)) == 258


# -- variants --------------------------------------------------------------------------------------------------------


def headed(code: int) -> bytes:
    dressed = b"\x01\x99" + command(code)[:64]
    return dressed + crc(dressed, 0xFFFF)


def test_headed() -> None:
    for talk in (Talk(), Talk(variant=Variant.HEADED)):
        answer = talk.say(headed(0x23))
        assert (len(answer), answer[:7].hex()) == (260, f"019923{SERIAL}")
        assert crc(answer, 0xFFFF) == b"\0\0"


def test_addressed() -> None:
    for talk in (Talk(), Talk(variant=Variant.ADDRESSED)):
        assert len(talk.say(b"\x99" + bytes.fromhex(SERIAL) + command(0x14))) == 258
        talk.say(ACK)
        assert talk.say(b"\x99" + bytes.fromhex("00099999") + command(0x14)) == b""  # another meter's


def test_ports_without_enq_are_silent() -> None:
    for variant in (Variant.ADDRESSED, Variant.HEADED, Variant.DIRECTIONAL):
        assert Talk(variant=variant).wait(5) == b""


def test_directional() -> None:
    talk = Talk(variant=Variant.DIRECTIONAL)
    assert talk.say(ALO) == b""
    assert talk.wait(0.3) == ENQ + ENQ
    answer = talk.say(command(0x14).translate(COMPLEMENT)).translate(COMPLEMENT)
    assert (answer[0], crc(answer)) == (0x14, b"\0\0")
    assert talk.say(NAK.translate(COMPLEMENT)).translate(COMPLEMENT) == answer
    assert talk.say(ACK) == b""
    assert set(talk.wait(14.5)) == {5}
    talk.now += 1
    assert [type(a) for a in talk.session.tick(talk.now)] == [Hangup]
    assert talk.wait(5) == b""


def test_a_stray_alo_does_not_shut_plain_readers_out() -> None:
    talk = Talk()
    talk.say(ALO)
    assert len(talk.say(command(0x14))) == 258
    assert talk.say(ACK) == b""
    assert set(talk.wait(20)) == {5}  # no directional hang-up


def test_complemented_command_without_alo_is_understood() -> None:
    assert len(Talk().say(command(0x14).translate(COMPLEMENT))) == 258


def test_fixed_variant_refuses_the_others() -> None:
    assert Talk(variant=Variant.PLAIN).say(command(0x14).translate(COMPLEMENT)) == NAK


def test_bus() -> None:
    other = Bench(serial="00054321")
    session = MeterSession([BENCH.meter, other.meter], SessionSetup(bus=True), None, 0.0)
    assert session.deadline is None
    for serial in (SERIAL, "00054321"):
        answer = sent(session.feed(b"\x99" + bytes.fromhex(serial) + command(0x14), 1.0))
        assert octets(answer, 2, 5).hex() == serial
        assert session.feed(ACK, 1.1) == []
    assert session.feed(b"\x99" + bytes.fromhex("11111111") + command(0x14), 2.0) == []
    assert session.feed(b"\x99" + bytes.fromhex(SERIAL) + bytes(66), 3.0) == []  # damaged: nobody knows whose
    with pytest.raises(ValueError, match="one meter, or several"):
        MeterSession([BENCH.meter, other.meter])
    with pytest.raises(ValueError, match="addressed variant"):
        SessionSetup(variant=Variant.PLAIN, bus=True)


def test_without_supply_nothing_is_said() -> None:
    bench = Bench()
    talk = Talk(bench)
    bench.meter.power_off()
    assert talk.wait(5) == b""
    assert talk.say(command(0x14)) == b""
    bench.hand.now += 5
    bench.meter.power_on()
    talk.works()


# -- faults ----------------------------------------------------------------------------------------------------------


def armed(kind: FaultKind, argument: float | None = None) -> Talk:
    plan = FaultPlan()
    plan.arm(kind, argument)
    talk = Talk(Bench(days=5), plan)
    talk.wait(0.3)
    return talk


def test_fault_nak() -> None:
    talk = armed(FaultKind.NAK)
    assert talk.say(command(0x14)) == NAK
    assert len(talk.say(command(0x14))) == 258


def test_fault_wait() -> None:
    talk = armed(FaultKind.WAIT, 4)
    actions = talk.actions(command(0x14))
    assert sent(actions) == WAIT * 4 + ENQ
    assert sum(isinstance(a, Pause) for a in actions) == 4
    assert len(talk.say(command(0x14))) == 258


def test_fault_silence() -> None:
    talk = armed(FaultKind.SILENCE, 7)
    assert talk.actions(command(0x14)) == [Pause(7)]
    talk.session.delay(7)
    talk.now += 7
    talk.works()


def test_fault_battery_until_cleared() -> None:
    talk = armed(FaultKind.BATTERY)
    for _ in range(2):
        assert octets(talk.say(command(0x21)), 1, 6).hex() == f"40{SERIAL}30"
        talk.say(ACK)
    assert talk.say(command(0x37, "30"))[0] == 0x37
    talk.say(ACK)
    talk.works()


def test_fault_battery_for_a_while() -> None:
    talk = armed(FaultKind.BATTERY, 2)
    codes = []
    for _ in range(3):
        codes.append(talk.say(command(0x21))[0])
        talk.say(ACK)
    assert codes == [0x40, 0x40, 0x21]


def test_fault_noise() -> None:
    talk = armed(FaultKind.NOISE, 5)
    damaged = talk.say(command(0x21))
    assert crc(damaged) != b"\0\0"
    good = talk.say(NAK)
    assert crc(good) == b"\0\0"
    assert sum((a ^ b).bit_count() for a, b in zip(damaged, good, strict=True)) == 5


def test_fault_half_and_drop() -> None:
    assert len(armed(FaultKind.HALF).say(command(0x21))) == 129
    talk = armed(FaultKind.HALF, 10)
    assert len(talk.say(command(0x21))) == 10
    assert len(talk.say(NAK)) == 258
    actions = armed(FaultKind.DROP, 100).actions(command(0x21))
    assert len(sent(actions)) == 100
    assert isinstance(actions[-1], Hangup)


def test_fault_gap() -> None:
    first, pause, second = armed(FaultKind.GAP, 1.5).actions(command(0x21))
    assert pause == Pause(1.5)
    assert isinstance(first, bytes)
    assert isinstance(second, bytes)
    assert crc(first + second) == b"\0\0"


def test_fault_wrong_serial() -> None:
    answer = armed(FaultKind.WRONG_SERIAL).say(command(0x21))
    assert octets(answer, 2, 5).hex() == "00012346"
    assert crc(answer) == b"\0\0"


def test_fault_drop_ack_and_repeat() -> None:
    talk = armed(FaultKind.DROP_ACK)
    talk.say(command(0x26))
    assert talk.say(ACK) == b""
    assert talk.wait(0.51) == ENQ
    assert talk.say(ACK)[5:7] == b"\x00\x02"

    talk = armed(FaultKind.REPEAT)
    first = talk.say(command(0x26))
    assert talk.say(ACK) == first
    assert talk.say(ACK)[5:7] == b"\x00\x02"


def test_fault_plan_by_chance_is_repeatable_and_can_be_switched() -> None:
    def draws(plan: FaultPlan) -> list[FaultKind | None]:
        return [fault.kind if (fault := plan.draw("block")) else None for _ in range(2000)]

    plan = FaultPlan(Fault(FaultKind.NOISE, 0.1), Fault(FaultKind.HALF, 0.05), Fault(FaultKind.NAK, 1.0), seed=5)
    first = draws(plan)
    assert first == draws(FaultPlan(Fault(FaultKind.NOISE, 0.1), Fault(FaultKind.HALF, 0.05), seed=5))
    assert 150 < plan.fired[FaultKind.NOISE] < 250
    assert 50 < plan.fired[FaultKind.HALF] < 150
    assert plan.fired[FaultKind.NAK] == 0
    plan.set(Fault(FaultKind.NOISE, 0))
    plan.set(Fault(FaultKind.HALF, 0))
    assert set(draws(plan)) == {None}
    plan.arm(FaultKind.GAP, times=2)
    assert draws(plan)[:3] == [FaultKind.GAP, FaultKind.GAP, None]
    plan.arm(FaultKind.GAP)
    plan.clear()
    assert set(draws(plan)) == {None}
    assert plan.draw("command") is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("noise", Fault(FaultKind.NOISE)),
        ("wrong-serial:0.25", Fault(FaultKind.WRONG_SERIAL, 0.25)),
        ("wait:1:5", Fault(FaultKind.WAIT, 1.0, 5.0)),
    ],
)
def test_fault_text(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize("text", ["", "rain", "noise:2", "noise:x", "noise:1:2:3", "noise:0.5:-1", "noise:nan"])
def test_fault_text_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fault|noise"):
        Fault.parse(text)


# -- anything may come -----------------------------------------------------------------------------------------------

FRAMES = st.builds(
    lambda code, tail, dress: dress(command(code, tail.hex())),
    st.integers(0, 255).filter(lambda code: code not in (0x20, 0x29, 0x30)),  # the shared meter is not changed
    st.binary(max_size=8),
    st.sampled_from(
        [
            lambda frame: frame,
            lambda frame: frame.translate(COMPLEMENT),
            lambda frame: b"\x99" + bytes.fromhex(SERIAL) + frame,
            lambda frame: frame[:30],
            lambda frame: frame[:20] + b"\xff" + frame[21:],
        ]
    ),
)
PIECES = st.lists(
    st.tuples(st.one_of(st.binary(max_size=300), FRAMES, st.sampled_from([ENQ, ACK, NAK, WAIT, ALO])), st.floats(0, 2)),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(PIECES, st.sampled_from([{}, {"strict": True}, {"variant": Variant.PLAIN}, {"variant": Variant.HEADED}]))
@example([(b"\xff", 0.1), (b"\x99" * 200, 0.0)], {})
def test_session_survives_anything_and_comes_back(pieces: list[tuple[bytes, float]], setup: dict[str, Any]) -> None:
    talk = Talk(**setup)
    for data, pause in pieces:
        answer = talk.say(data, after=0.0005)
        assert len(answer) <= 20 * 260
        talk.wait(pause)
    talk.wait(20)  # also ends a directional conversation that an FF began
    if talk.session.setup.variant is Variant.HEADED:
        answer = talk.say(headed(0x14))
        assert len(answer) == 260
        return
    talk.wait(0.3)
    assert talk.session.deadline is not None
    talk.wait(talk.session.deadline - talk.now)
    answer = talk.say(command(0x14), after=0.005)
    assert (len(answer), crc(answer)) == (258, b"\0\0")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=60))
def test_every_command_body_is_answered(code: int, parameters: bytes) -> None:
    """Writes included: any parameters give an answer, 39 or 40, never a crash."""
    bench = _WRITES
    for answer in bench.ask(code, parameters.hex()):
        assert answer.code in (code, 0x39, 0x40)
        assert len(answer.body) == 256


_WRITES = Bench(days=2)
