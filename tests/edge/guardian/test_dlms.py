"""DLMS overheard: messages made by another project's codec (dlms-cosem, MIT) and frames printed in its tests."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from dlms_cosem import cosem, enumerations
from dlms_cosem.cosem import selective_access
from dlms_cosem.hdlc import frames
from dlms_cosem.hdlc.address import HdlcAddress
from dlms_cosem.protocol import acse, xdlms

from edge.guardian import CloseReason, Expected, Finding, Inspector, Kind, Result, Side, Verdict
from tests.edge.guardian.conversations import Talk, judge, rechunk

C, M = Side.CLIENT, Side.METER
NOW = datetime(2026, 3, 18, 12, 0, 10, tzinfo=UTC)
AT = NOW.timestamp()
#: Printed in the tests of dlms-cosem, which take them from the Green Book and from meters.
AARQ_LLS = bytes.fromhex(
    "6036A1090607608574050801018A0207808B0760857405080202AC0A80083132333435363738BE10040E01000000065F1F0400007E1FFFFF"
)
AARQ_NONE = bytes.fromhex("601DA109060760857405080101BE10040E01000000065F1F0400001E1DFFFF")
AARE_OK = bytes.fromhex("6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000501F01F40007")
AARE_CONTEXT = bytes.fromhex("6129A109060760857405080101A203020101A305A103020102BE10040E0800065F1F040000501F01F40007")
AARE_NO_REASON = bytes.fromhex("611FA109060760857405080101A203020101A305A103020101BE0604040E010601")
AARE_HLS = bytes.fromhex(
    "6142A109060760857405080101A203020100A305A10302010E88020780890760857405080205AA0A8008503677524A323146"
    "BE10040E0800065F1F040000501F01F40007"
)
PASSWORD = b"12345678"
CLIENT = HdlcAddress(16, None, "client")
SERVER = HdlcAddress(1, 17, "server")


def attribute(number: int, obis: str, index: int) -> cosem.CosemAttribute:
    return cosem.CosemAttribute(enumerations.CosemInterface(number), cosem.Obis.from_string(obis), index)


def get(number: int, obis: str, index: int, access: object = None) -> bytes:
    return bytes(
        xdlms.GetRequestNormal(cosem_attribute=attribute(number, obis, index), access_selection=access).to_bytes()
    )


def got(data: bytes) -> bytes:
    """By hand: the foreign codec reads such an answer but fails at writing one."""
    answer = b"\xc4\x01\xc1\x00" + data
    assert xdlms.GetResponseNormal.from_bytes(answer).data == data
    return answer


def stamp(at: datetime, deviation: int = 180) -> bytes:
    """A date-time of 12 octets, written by hand: year to hundredths, deviation, status."""
    head = at.year.to_bytes(2, "big") + bytes((at.month, at.day, at.isoweekday(), at.hour, at.minute, at.second, 0))
    return head + deviation.to_bytes(2, "big", signed=True) + b"\0"


class Wrapper:
    """Messages over TCP."""

    name = "wrapper"

    def client(self, apdu: bytes) -> list[bytes]:
        return [b"\0\1\0\x10\0\1" + len(apdu).to_bytes(2, "big") + apdu]

    def meter(self, apdu: bytes) -> list[bytes]:
        return [b"\0\1\0\1\0\x10" + len(apdu).to_bytes(2, "big") + apdu]


class Hdlc:
    """Frames of the foreign codec; long messages go in segments of ``size`` octets."""

    name = "hdlc"

    def __init__(self, size: int = 120) -> None:
        self.size = size

    def _frames(self, apdu: bytes, llc: bytes, to: HdlcAddress, of: HdlcAddress) -> list[bytes]:
        octets = llc + apdu
        parts = [octets[i : i + self.size] for i in range(0, len(octets), self.size)]
        return [
            bytes(
                frames.InformationFrame(
                    to, of, part, segmented=i + 1 < len(parts), send_sequence_number=i % 8
                ).to_bytes()
            )
            for i, part in enumerate(parts)
        ]

    def client(self, apdu: bytes) -> list[bytes]:
        return self._frames(apdu, b"\xe6\xe6\0", SERVER, CLIENT)

    def meter(self, apdu: bytes) -> list[bytes]:
        return self._frames(apdu, b"\xe6\xe7\0", CLIENT, SERVER)


Carrier = Wrapper | Hdlc
carriers = pytest.mark.parametrize("carrier", [Wrapper(), Hdlc(), Hdlc(20)], ids=["wrapper", "hdlc", "short frames"])


def play(carrier: Carrier, *exchanges: tuple[bytes, bytes], start: float = AT) -> Talk:
    """Question and answer in turn, 0.2 s each."""
    talk: Talk = []
    at = start
    if isinstance(carrier, Hdlc):
        talk.append((at, C, bytes(frames.SetNormalResponseModeFrame(SERVER, CLIENT).to_bytes())))
        talk.append((at, M, bytes(frames.UnNumberedAcknowledgmentFrame(CLIENT, SERVER).to_bytes())))
    ready = bytes(frames.ReceiveReadyFrame(SERVER, CLIENT).to_bytes())
    for question, answer in exchanges:
        for i, part in enumerate(carrier.client(question)):
            if i:
                talk.append((at, M, bytes(frames.ReceiveReadyFrame(CLIENT, SERVER).to_bytes())))
            talk.append((at, C, part))
        for i, part in enumerate(carrier.meter(answer) if answer else []):
            if i:
                talk.append((at, C, ready))
            talk.append((at, M, part))
        at += 0.2
    return talk


def find(*exchanges: tuple[bytes, bytes], carrier: Carrier | None = None, expected: Expected | None = None) -> Finding:
    talk = play(carrier or Wrapper(), *exchanges)
    return judge(talk, expected=expected or Expected(utc_offset=-10800), after=5)


CLOCK = get(8, "0.0.1.0.0.255", 2), got(b"\x09\x0c" + stamp(NOW - timedelta(hours=3) + timedelta(seconds=4)))
ENERGY = get(3, "1.0.1.8.0.255", 2), got(b"\x06\x00\x01\x02\x03")
SERIAL = get(1, "0.0.96.1.0.255", 2), got(b"\x09\x0812345678")
ASSOCIATED = AARQ_LLS, AARE_OK


def profile(hours: int, asked: int = 24) -> tuple[bytes, bytes]:
    """Load profile by range; quarter hours, of which ``hours`` come."""
    begin = datetime(2026, 3, 17, tzinfo=timezone(timedelta(hours=-3)))
    access = selective_access.RangeDescriptor(
        restricting_object=selective_access.CaptureObject(attribute(8, "0.0.1.0.0.255", 2), 0),
        from_value=begin,
        to_value=begin + timedelta(hours=asked),
    )
    rows = b"".join(
        b"\x02\x02\x09\x0c" + stamp(begin + timedelta(minutes=15 * i)) + b"\x06" + i.to_bytes(4, "big")
        for i in range(1, 4 * hours + 1)
    )
    count = 4 * hours
    length = bytes((count,)) if count < 128 else b"\x82" + count.to_bytes(2, "big")
    return get(7, "1.0.99.1.0.255", 2, access), got(b"\x01" + length + rows)


@carriers
def test_a_reading_in_clear(carrier: Carrier) -> None:
    talk = play(carrier, ASSOCIATED, CLOCK, SERIAL, ENERGY, profile(24))
    expected = Expected("12345678", utc_offset=-10800)
    finding = judge(talk, expected=expected)
    assert (finding.protocol, finding.verdict) == ("dlms", Verdict.GOOD), finding
    assert finding.serial == "12345678"
    assert finding.meter_clock_offset == pytest.approx(4, abs=0.5)
    last = finding.exchanges[-1]
    assert (last.kind, last.detail["rows"], last.detail["step"]) == (Kind.MEMORY, 96, 900)
    begin = datetime(2026, 3, 17, 3, tzinfo=UTC).timestamp()
    assert (finding.range_start, finding.range_end, finding.range_delivered) == (begin, begin + 86400, begin + 86400)
    associate = next(e for e in finding.exchanges if e.code == "AARQ")
    assert associate.detail["authentication"] == "HLS"
    assert associate.detail["client"] == 16
    for seed in range(6):
        assert judge(rechunk(talk, seed), expected=expected) == finding


def test_blocks_of_a_long_answer() -> None:
    question, answer = profile(24)
    data = answer[4:]
    parts = [data[i : i + 500] for i in range(0, len(data), 500)]
    exchanges = [(AARQ_NONE, AARE_OK)]
    for number, part in enumerate(parts, 1):
        ask = question if number == 1 else bytes(xdlms.GetRequestNext(block_number=number - 1).to_bytes())
        kind = xdlms.GetResponseLastBlock if number == len(parts) else xdlms.GetResponseWithBlock
        exchanges.append((ask, bytes(kind(data=part, block_number=number).to_bytes())))
    finding = find(*exchanges)
    assert finding.verdict is Verdict.GOOD, finding
    memory = finding.exchanges[-1]
    assert memory.detail["blocks"] == len(parts)
    assert finding.range_delivered == finding.range_end

    cut = find(*exchanges[:-1])
    assert cut.verdict is Verdict.PARTIAL
    assert cut.range_delivered is None or cut.range_delivered < (cut.range_end or 0)
    gap = find(*exchanges[:2], *exchanges[3:])
    assert gap.verdict is Verdict.PARTIAL
    assert gap.facts["interrupted"] == "block 3 came where 2 was due"


def test_i08_the_meter_holds_less_than_was_asked() -> None:
    finding = find((AARQ_NONE, AARE_OK), profile(20))
    assert finding.verdict is Verdict.PARTIAL
    assert finding.range_delivered == (finding.range_end or 0) - 4 * 3600


def test_a_slow_clock_is_not_taken_for_missing_memory() -> None:
    """An hour behind: what the client asks up to now the meter has not measured yet."""
    now = datetime(2026, 3, 18, 3, tzinfo=UTC)
    slow = get(8, "0.0.1.0.0.255", 2), got(b"\x09\x0c" + stamp(now - timedelta(hours=4)))
    talk = play(Wrapper(), (AARQ_NONE, AARE_OK), slow, profile(23), start=now.timestamp())
    finding = judge(talk, expected=Expected(utc_offset=-10800))
    assert finding.verdict is Verdict.CLOCK
    assert finding.meter_clock_offset == pytest.approx(-3600, abs=1)


@pytest.mark.parametrize(("answer", "said"), [(AARE_NO_REASON, "no reason"), (AARE_CONTEXT, "context")])
def test_refused_association(answer: bytes, said: str) -> None:
    finding = find((AARQ_LLS, answer))
    assert finding.verdict is (Verdict.REFUSED if answer is AARE_NO_REASON else Verdict.UNSUPPORTED)
    assert said in finding.reason


def test_i06_authentication_failure_as_the_foreign_codec_writes_it() -> None:
    answer = acse.ApplicationAssociationResponse(
        result=enumerations.AssociationResult.REJECTED_PERMANENT,
        result_source_diagnostics=enumerations.AcseServiceUserDiagnostics.AUTHENTICATION_FAILED,
    )
    finding = find((AARQ_LLS, bytes(answer.to_bytes())))
    assert finding.verdict is Verdict.REFUSED
    assert "authentication failure" in finding.reason


def test_hls_goes_on_after_the_first_pass() -> None:
    finding = find((AARQ_LLS, AARE_HLS), ENERGY)
    assert finding.verdict is Verdict.GOOD
    assert finding.exchanges[0].detail["meaning"] == "authentication required"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ("READ_WRITE_DENIED", Verdict.REFUSED),
        ("OBJECT_UNDEFINED", Verdict.UNSUPPORTED),
        ("TEMPORARY_FAILURE", Verdict.REFUSED),
    ],
)
def test_access_errors(error: str, verdict: Verdict) -> None:
    answer = xdlms.GetResponseNormalWithError(error=enumerations.DataAccessResult[error])
    finding = find(ASSOCIATED, (profile(1)[0], bytes(answer.to_bytes())))
    assert finding.verdict is verdict
    assert error.lower().replace("_", "-") in finding.reason


def test_an_object_that_a_meter_lacks_accuses_nobody() -> None:
    missing = xdlms.GetResponseNormalWithError(error=enumerations.DataAccessResult.OBJECT_UNDEFINED)
    assert find(ASSOCIATED, (SERIAL[0], bytes(missing.to_bytes())), ENERGY).verdict is Verdict.GOOD


def test_exception_response() -> None:
    finding = find(ASSOCIATED, (ENERGY[0], b"\xd8\x01\x06"))
    assert finding.verdict is Verdict.REFUSED
    assert "invocation-counter-error" in finding.reason


def test_ciphered_traffic_is_never_called_good() -> None:
    finding = find(ASSOCIATED, (b"\xc8\x1e\x30\0\0\0\1" + bytes(24), b"\xcc\x20\x30\0\0\0\1" + bytes(26)))
    assert finding.exchanges[-1].result is Result.OPAQUE
    assert finding.verdict is Verdict.NOT_UNDERSTOOD
    assert "ciphered" in finding.reason


def test_silence_and_disconnected_mode() -> None:
    assert find(ASSOCIATED, (ENERGY[0], b"")).verdict is Verdict.NO_ANSWER
    talk: Talk = [
        (0.0, C, bytes(frames.SetNormalResponseModeFrame(SERVER, CLIENT).to_bytes())),
        (0.1, M, bytes.fromhex("7ea00a2102002302231f0f157e")),
    ]
    assert judge(talk[:1], after=5).verdict is Verdict.NO_ANSWER


def test_damage_on_the_line() -> None:
    talk = play(Hdlc(), (AARQ_NONE, AARE_OK), ENERGY, CLOCK)
    spoiled: Talk = []
    for at, side, data in talk:
        if side is M and len(data) > 20:
            before = [piece for piece in spoiled if piece[1] is C][-1]
            spoiled += [(at, M, data[:12] + bytes((data[12] ^ 4,)) + data[13:]), (at, C, before[2])]
        spoiled.append((at, side, data))
    finding = judge(spoiled)
    assert finding.verdict is Verdict.BROKEN
    assert finding.facts["broken"] == 3
    for seed in range(4):
        assert judge(rechunk(spoiled, seed)) == finding


def test_i12_event_log_with_parameters() -> None:
    log = get(7, "0.0.99.98.0.255", 2), got(b"\x01\x00")
    finding = find(ASSOCIATED, SERIAL, log, ENERGY)
    assert finding.verdict is Verdict.INSPECTION


def test_i10_a_ratio_that_changed() -> None:
    ratio = get(1, "1.0.0.4.2.255", 2), got(b"\x12\x00\x78")
    known = find(ASSOCIATED, ratio, ENERGY).constants
    assert known == {"1.0.0.4.2.255/2": "120"}
    expected = Expected(constants={"1.0.0.4.2.255/2": "100"})
    assert find(ASSOCIATED, ratio, ENERGY, expected=expected).verdict is Verdict.CONSTANTS


# -- secrets -----------------------------------------------------------------------------------------------------------


@carriers
@pytest.mark.parametrize("seed", range(6))
def test_the_password_of_an_association_is_masked(carrier: Carrier, seed: int) -> None:
    secret = attribute(15, "0.0.40.0.0.255", 7)
    new = bytes(xdlms.SetRequestNormal(cosem_attribute=secret, data=b"\x09\x08" + PASSWORD).to_bytes())
    talk = play(carrier, ASSOCIATED, ENERGY, (new, b"\xc5\x01\xc1\x00"))
    inspector = Inspector(Expected(), 0.0)
    kept = b"".join(inspector.heard(at, side, data) for at, side, data in rechunk(talk, seed) if side is C)
    sent = b"".join(data for _, side, data in talk if side is C)
    assert len(kept) == len(sent)
    for i in range(len(sent) - 4):
        if sent[i : i + 4] in (PASSWORD[:4], PASSWORD[4:]):
            assert kept[i : i + 4] == b"****", kept
    assert kept[:4] == sent[:4]  # the rest is kept


def test_only_the_password_is_masked_in_whole_frames() -> None:
    inspector = Inspector(Expected(), 0.0)
    message = Wrapper().client(AARQ_LLS)[0]
    assert inspector.heard(0.0, C, message) == message.replace(PASSWORD, b"*" * 8)
    reading = Wrapper().client(ENERGY[0])[0]
    assert inspector.heard(0.1, C, reading) == reading


def test_names_of_protocols_are_found_out_whatever_was_expected() -> None:
    finding = judge(play(Hdlc(), ASSOCIATED, ENERGY), CloseReason.CLIENT, Expected(protocol="abnt"))
    assert finding.protocol == "dlms"
