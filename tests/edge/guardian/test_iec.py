"""IEC 62056-21 overheard. The telegrams are those of the standard's annexes and of public projects' tests."""

from functools import reduce
from operator import xor

import pytest

from edge.guardian import Expected, Finding, Inspector, Kind, Result, Side, Verdict
from tests.edge.guardian import conversations
from tests.edge.guardian.conversations import Talk, rechunk
from tests.edge.guardian.test_dlms import AARE_OK, AARQ_NONE, ENERGY, Hdlc, play

C, M = Side.CLIENT, Side.METER


def sealed(text: str) -> bytes:
    """SOH or STX ... ETX or EOT with its block check, by the standard's rule."""
    octets = text.encode("latin-1")
    return octets + bytes((reduce(xor, octets[1:]),))


def parity(octets: bytes) -> bytes:
    """7E1 as 8 bits show it."""
    return bytes(octet | (octet.bit_count() % 2 << 7) for octet in octets)


SIGN_ON = b"/?!\r\n"
IDENT = b"/LGZ4ZMF100AC.M23\r\n"
READOUT = sealed(
    "\x02F.F(00)\r\nC.1.0(12345678)\r\n0.9.1(090007)\r\n0.9.2(260318)\r\n1.8.0(000123.456*kWh)\r\n2.8.0(000000.000*kWh)\r\n!\r\n\x03"
)
PROGRAM = b"\x06051\r\n"
CHALLENGE = sealed("\x01P0\x02(12345678)\x03")
PASSWORD = sealed("\x01P1\x02(PASSWORD)\x03")
METER = Expected("12345678", utc_offset=-10800)
AT = 1773835200.0  # 2026-03-18 12:00:00 UTC, 09:00 in Brasilia


def talk(*pieces: tuple[Side, bytes]) -> Talk:
    return [(AT + i, side, data) for i, (side, data) in enumerate(pieces)]


def judge(heard: Talk, expected: Expected = METER, after: float = 0.1) -> Finding:
    return conversations.judge(heard, expected=expected, after=after)


READING = talk((C, SIGN_ON), (M, IDENT), (C, b"\x06050\r\n"), (M, READOUT))
PROGRAMMING = talk(
    (C, b"\0" * 40 + b"/?12345678!\r\n"),
    (M, IDENT),
    (C, PROGRAM),
    (M, CHALLENGE),
    (C, PASSWORD),
    (M, b"\x06"),
    (C, sealed("\x01R1\x021.8.0()\x03")),
    (M, sealed("\x02(000123.456*kWh)\x03")),
    (C, sealed("\x01R5\x02P.01(0260317000000;0260318000000)\x03")),
    (M, sealed("\x02P.01(0260317001500)(00)(15)(1)(1.5)(kWh)(0.1)\r\n\x04")),
    (C, b"\x06"),
    (M, sealed("\x02(0.2)\r\n\x03")),
    (C, sealed("\x01B0\x03")),
)


@pytest.mark.parametrize("bits", [bytes, parity], ids=["7 bits", "parity"])
def test_a_readout(bits: type) -> None:
    heard = [(at, side, bits(data)) for at, side, data in READING]
    expected = Expected("12345678", utc_offset=-10800)
    finding = judge(heard, expected=expected)
    assert (finding.protocol, finding.verdict) == ("iec62056-21", Verdict.GOOD), finding
    assert [e.code for e in finding.exchanges] == ["/?", "readout"]
    assert finding.serial == "12345678"
    assert finding.constants == {"ident": "LGZZMF100AC.M23"}
    assert finding.meter_clock_offset == 4.0
    assert finding.exchanges[1].detail["lines"] == 6
    for seed in range(5):
        assert judge(rechunk(heard, seed), expected=expected) == finding


def test_programming_mode() -> None:
    finding = judge(PROGRAMMING)
    assert finding.verdict is Verdict.GOOD, finding
    assert [(e.code, e.kind, e.result) for e in finding.exchanges] == [
        ("/?", Kind.ACCESS, Result.OK),
        ("option-1", Kind.ACCESS, Result.OK),
        ("P1", Kind.ACCESS, Result.OK),
        ("R1", Kind.REGISTERS, Result.OK),
        ("R5", Kind.MEMORY, Result.OK),
        ("B0", Kind.ACCESS, Result.UNANSWERED),
    ]
    assert finding.exchanges[0].detail["address"] == "12345678"
    for seed in range(5):
        assert judge(rechunk(PROGRAMMING, seed)) == finding


@pytest.mark.parametrize("answer", [b"\x15", sealed("\x01B0\x03"), sealed("\x02(ER09)\x03")])
def test_i06_wrong_password(answer: bytes) -> None:
    finding = judge([*PROGRAMMING[:5], (AT + 6, M, answer)])
    assert finding.verdict is Verdict.REFUSED
    assert "P1" in finding.reason


def test_i07_an_unknown_register() -> None:
    finding = judge([*PROGRAMMING[:7], (AT + 8, M, sealed("\x02(ER02)\x03"))])
    assert finding.verdict is Verdict.UNSUPPORTED


def test_i08_the_end_is_missing() -> None:
    finding = judge(PROGRAMMING[:10])
    assert finding.verdict is Verdict.PARTIAL
    assert judge([*READING[:3], (AT + 3, M, READOUT[:60])], after=5).verdict is Verdict.PARTIAL


def test_i03_and_i04() -> None:
    assert judge(READING[:1], after=5).verdict is Verdict.NO_ANSWER
    damaged = READOUT[:30] + b"?" + READOUT[31:]
    nak = (C, b"\x15")
    heard = talk((C, SIGN_ON), (M, IDENT), (C, b"\x06050\r\n"), (M, damaged), nak, (M, damaged), nak, (M, READOUT))
    finding = judge(heard)
    assert finding.verdict is Verdict.BROKEN
    assert finding.facts["broken"] == 2


def test_i05_and_i09() -> None:
    assert judge(READING, expected=Expected("87654321")).verdict is Verdict.WRONG_SERIAL
    late = [(at + 600, side, data) for at, side, data in READING]
    assert judge(late).verdict is Verdict.CLOCK


def test_a_makers_check_by_sum() -> None:
    """Energomera: sum modulo 128 instead of XOR."""
    body = b"\x01R1\x02ET0PE()\x03"
    request = body + bytes((sum(body[1:]) & 0x7F,))
    answer = b"\x02ET0PE(123.45)\r\n\x03"
    heard = talk((C, request), (M, answer + bytes((sum(answer[1:]) & 0x7F,))))
    assert judge(heard).verdict is Verdict.GOOD


@pytest.mark.parametrize("bits", [bytes, parity], ids=["7 bits", "parity"])
@pytest.mark.parametrize("seed", range(6))
def test_passwords_are_masked(bits: type, seed: int) -> None:
    heard = [(at, side, bits(data)) for at, side, data in PROGRAMMING]
    for begin in (0, 4):  # also when the password is the first that is heard
        inspector = Inspector(Expected(), 0.0)
        kept = b"".join(inspector.heard(*piece) for piece in rechunk(heard[begin:], seed) if piece[1] is C)
        sent = b"".join(data for _, side, data in heard[begin:] if side is C)
        at = sent.find(bits(b"(PASSWORD)"))
        assert kept[at + 1 : at + 9] == b"********"


def test_what_is_no_password_is_kept() -> None:
    inspector = Inspector(Expected(), 0.0)
    for at, side, data in PROGRAMMING:
        kept = inspector.heard(at, side, data)
        assert kept == (data if data != PASSWORD else PASSWORD[:4] + b"*" * (len(PASSWORD) - 4))


def test_mode_e_goes_on_in_hdlc() -> None:
    heard = talk((C, SIGN_ON), (M, b"/ISK5\\2MT372\r\n"), (C, b"\x06252\r\n"), (M, b"\x06252\r\n"))
    heard += play(Hdlc(), (AARQ_NONE, AARE_OK), ENERGY, start=AT + 10)
    finding = judge(heard)
    assert finding.protocol == "dlms"
    assert [e.code for e in finding.exchanges] == ["/?", "mode-e", "SNRM", "AARQ", "get 1.0.1.8.0.255"]
    assert finding.verdict is Verdict.GOOD
