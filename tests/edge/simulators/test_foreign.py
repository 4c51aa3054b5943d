"""Other people's readers, as far as they published what they send and how they read it, replayed against the simulator.

Facts only, with their source; see dossier abnt-nbr-14522 §15.
"""

import struct

import pytest

from edge.drivers.abnt.frames import Variant
from edge.simulators.abnt.session import MeterSession, SessionSetup
from tests.edge.simulators.rawreader import ACK, command, crc
from tests.edge.simulators.simmeter import Bench

#: heliopas/readInstantaneousValues, files/commands.csv (CMD14EXT): sent blindly every second, never acknowledged.
HELIOPAS = bytes.fromhex("9955000052 14945068").ljust(69, b"\0") + bytes.fromhex("C15D")
#: mjunior-fitec/52821-lora, lib/lib_enddevice/abnt.h, macros CMD_12 ... CMD_29: octets 1-9 and the CRC.
FITEC = {
    0x12: ("120011010000000000", "777C"),
    0x13: ("130011010000000000", "B68C"),
    0x14: ("140011010000000000", "F7DE"),
    0x21: ("210011010000000000", "3B39"),
    0x23: ("230011010000000000", "BA98"),
    0x25: ("250011010100000000", "3B06"),
    0x28: ("280011010000000000", "F8CF"),
    0x29: ("290011010201130400", "A27A"),  # its comment says 2019, but 19 stands there as binary 13
}


def talk(bench: Bench, variant: Variant | None = None) -> MeterSession:
    return MeterSession([bench.meter], SessionSetup(variant=variant), None, 0.0)


def reply(session: MeterSession, data: bytes, now: float) -> bytes:
    return b"".join(a for a in session.feed(data, now) if isinstance(a, bytes))


def test_heliopas_reads_instantaneous_values() -> None:
    """Its script cuts these slices out of the hex answer, each float with its octets reversed."""
    bench = Bench(serial="55000052", at="2026-03-18 10:07:30")
    session = talk(bench)
    for second in range(1, 4):
        answer = reply(session, HELIOPAS, float(second))
        assert len(answer) == 258
    vec = [f"{octet:02x}" for octet in answer]

    def value(first: int) -> float:
        return float(struct.unpack(">f", bytes.fromhex("".join(vec[first : first + 4][::-1])))[0])

    assert "".join(vec[1:5]) == "55000052"
    assert f"{vec[8]}/{vec[9]}/{vec[10]} {vec[5]}:{vec[6]}:{vec[7]}" == "18/03/26 10:07:30"
    watts, var = bench.meter.power()
    for phase in range(3):
        voltage, current = value(11 + 4 * phase), value(35 + 4 * phase)
        active, reactive = value(51 + 4 * phase), value(67 + 4 * phase)
        assert voltage * current == pytest.approx((active**2 + reactive**2) ** 0.5, rel=1e-5)
    assert value(63) == pytest.approx(watts, rel=1e-5)
    assert value(79) == pytest.approx(var, rel=1e-5)
    assert value(183) == pytest.approx(60, abs=0.1)
    assert value(179) == pytest.approx(25, abs=5)


@pytest.mark.parametrize("code", FITEC)
def test_fitec_frames(code: int) -> None:
    body, check = FITEC[code]
    frame = bytes.fromhex(body).ljust(64, b"\0") + bytes.fromhex(check)
    bench = Bench()
    session = talk(bench)
    answer = reply(session, frame, 1.0)
    assert len(answer) == 258
    assert crc(answer) == b"\0\0"  # that firmware runs the CRC over all 258 octets and wants 0
    assert answer[0] == (0x39 if code in (0x12, 0x13) else code)
    assert reply(session, ACK, 1.1) == b""
    if code == 0x29:
        assert bench.meter.wall().date().isoformat() == "2013-01-02"  # BCD, as the project's later code writes it
        assert bench.meter.log[-1].reader == "001101"


def test_lucasspecht_frames_over_tcp_modules() -> None:
    """NBR14522.py: 0199, code, reader, parameter, zeros to 66 octets, Modbus CRC low octet first; 260 octets back."""
    text = f"0199{14}{123456}00"
    frame = bytes.fromhex(text + "0" * (132 - len(text)))
    frame += crc(frame, 0xFFFF)
    assert len(frame) == 68
    for variant in (None, Variant.HEADED):
        answer = reply(talk(Bench(), variant), frame, 1.0)
        assert len(answer.hex()) == 520
        assert answer[:3].hex() == "019914"


def test_lib_nbr14522_composite_rules() -> None:
    """leitor_fsm.h: a block is last when octet 6 has the bit 10; an ENQ while waiting makes it repeat ACK."""
    session = talk(Bench(days=5))
    blocks = [reply(session, command(0x26), 1.0)]
    while not blocks[-1][5] & 0x10:
        assert session.deadline is not None
        now = session.deadline
        assert session.tick(now) == [b"\x05"]
        blocks.append(reply(session, ACK, now + 0.1))
    assert [int(f"{b[5] & 15}{b[6]:02x}") for b in blocks] == list(range(1, len(blocks) + 1))
