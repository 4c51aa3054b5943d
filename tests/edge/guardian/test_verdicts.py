"""Every verdict is provoked by a fault on the wire, and nobody is accused without one."""

from typing import Any

import pytest

from edge.drivers.abnt.frames import Answer, Command, Variant
from edge.guardian import CloseReason, Expected, Finding, Result, Side, Verdict
from edge.guardian.verdicts import same_serial
from edge.simulators.faults import FaultKind, FaultPlan
from tests.edge.guardian.conversations import EXPECTED, AbntTalk, drift, judge
from tests.edge.simulators.simmeter import OFFSET, SERIAL, Bench

C, M = Side.CLIENT, Side.METER
DAILY = "51 80 23 52"


def read(codes: str = DAILY, *faults: tuple[FaultKind, float | None, int], **kwargs: Any) -> Finding:
    plan = FaultPlan()
    for kind, argument, times in faults:
        plan.arm(kind, argument, times)
    talk = AbntTalk(faults=plan, bench=kwargs.pop("bench", None))
    talk.read(codes)
    return talk.finding(**kwargs)


# -- nobody is accused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", [None, *Variant])
@pytest.mark.parametrize("enq_period", [0.022, 0.25, 0.502])
def test_no_healthy_conversation_is_accused(variant: Variant | None, enq_period: float) -> None:
    """``None``: a meter that understands every variant."""
    talk = AbntTalk(variant=variant or Variant.PLAIN, enq_period=enq_period, understands=variant)
    talk.read(DAILY)
    assert talk.finding().verdict is Verdict.GOOD


def test_no_strict_meter_is_accused() -> None:
    """Commands that come too late after an ENQ are not taken, and have to be repeated."""
    talk = AbntTalk(strict=True, enq_period=0.05, sync_limit=0.05)
    talk.read(DAILY)
    assert talk.finding().verdict is Verdict.GOOD


@pytest.mark.parametrize("step", [300, 900, 1800, 3600])
@pytest.mark.parametrize("order", ["high_first", "low_first"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("automatic_reset", [None, (1, 0), (28, 23)])
def test_no_healthy_meter_is_accused(
    step: int, order: str, groups: int, automatic_reset: tuple[int, int] | None
) -> None:
    bench = Bench(step=step, order=order, groups=groups, automatic_reset=automatic_reset, days=20)
    talk = AbntTalk(bench)
    talk.read("21 23 26 22 24 27 51 52 80 14")
    for group in range(1, groups):
        talk.ask(0x21, f"00{group:02d}")
        talk.ask(0x26)
    finding = talk.finding()
    assert finding.verdict is Verdict.GOOD, finding
    assert finding.range_delivered == finding.range_end


@pytest.mark.parametrize("reason", [CloseReason.CLIENT, CloseReason.METER, CloseReason.IDLE])
@pytest.mark.parametrize("after", [0.0, 10.0, 120.0])
def test_who_hangs_up_after_a_whole_reading_matters_to_nobody(reason: CloseReason, after: float) -> None:
    assert read(reason=reason, after=after).verdict is Verdict.GOOD


def test_outages_and_summer_time_are_no_fault() -> None:
    bench = Bench(outages=((1773730800, 1773734400),))
    usual = Expected(SERIAL, utc_offset=OFFSET, daily=frozenset({"25"}))
    assert read("21 25 26", bench=bench, expected=usual).verdict is Verdict.GOOD


def test_a_command_that_meters_need_not_know_is_no_fault() -> None:
    finding = read("51 80 88 64 14 23 52")
    assert finding.verdict is Verdict.GOOD
    assert [e.result for e in finding.exchanges if e.code == "88"] == [Result.UNSUPPORTED]


# -- every verdict -----------------------------------------------------------------------------------------------------


def test_i02_connect_and_no_request() -> None:
    called = AbntTalk()
    called.wait(5)
    finding = judge(called.talk, CloseReason.IDLE, began=called.began)
    assert (finding.verdict, finding.protocol) == (Verdict.NO_REQUEST, "abnt")
    assert finding.facts["enqs"] > 10
    assert "CCEE" in finding.reason
    silent = judge([], CloseReason.IDLE, after=120)
    assert silent.verdict is Verdict.NO_REQUEST
    assert "no ENQ" in silent.reason
    assert "no ENQ" not in judge([], CloseReason.IDLE, Expected(protocol="dlms"), after=120).reason


def test_i03_request_and_no_answer() -> None:
    bench = Bench()
    talk = AbntTalk(bench, faults=_armed(FaultKind.SILENCE, 5, 9))
    talk.ask(0x21)
    finding = talk.finding(after=4)
    assert finding.verdict is Verdict.NO_ANSWER
    assert finding.facts["repeats"] == 2
    assert finding.exchanges[0].result is Result.SILENT
    assert "calls (ENQ)" in finding.reason


def test_i03_without_any_octet_back() -> None:
    ask = Command(0x21).to_bytes()
    talk = [(float(second), C, ask) for second in range(5)]
    finding = judge(talk, after=5)
    assert finding.verdict is Verdict.NO_ANSWER
    assert finding.facts == {"request": "21 parameters, running period", "repeats": 4, "received": 0, "enqs": 0}
    assert judge(talk, CloseReason.REFUSED_LINE, after=0).verdict is Verdict.NO_ANSWER
    assert judge([(0.0, C, b"hello?")], after=5).verdict is Verdict.NO_ANSWER  # in any language


def test_i03_not_when_the_client_did_not_wait() -> None:
    finding = judge([(0.0, C, Command(0x21).to_bytes())], after=0.5)
    assert finding.verdict is Verdict.NOT_UNDERSTOOD


def test_i04_damaged_answers() -> None:
    finding = read(DAILY, (FaultKind.NOISE, 5, 6))
    assert finding.verdict is Verdict.BROKEN
    assert finding.facts == {"broken": 6, "frames": 70, "percent": 8.6}
    assert finding.also[-1][0] is Verdict.GOOD  # it was read in spite of it
    assert read(DAILY, (FaultKind.HALF, 40, 4)).verdict is Verdict.BROKEN
    assert read("21", (FaultKind.NOISE, 5, 99)).exchanges[0].result is Result.BROKEN


def test_i04_when_a_request_fails_by_it_whatever_its_share() -> None:
    talk = AbntTalk(Bench(step=300), _armed(FaultKind.NOISE, 5, 0))
    talk.read("51 52")
    talk.session.faults.arm(FaultKind.NOISE, 5, 1)
    ask = Command(0x23, "123456").to_bytes()
    talk.say(ask)
    assert talk.finding(after=1).verdict is Verdict.BROKEN


def test_i04_below_two_percent_is_none() -> None:
    bench = Bench(step=300)  # 183 blocks
    finding = read("51 52", (FaultKind.NOISE, 5, 3), bench=bench)
    assert finding.verdict is Verdict.GOOD


def test_i05_another_meter() -> None:
    finding = read(DAILY, (FaultKind.WRONG_SERIAL, None, 1))
    assert finding.verdict is Verdict.WRONG_SERIAL
    assert finding.facts == {"expected": SERIAL, "seen": ["00012346"]}
    assert read(DAILY, expected=Expected("99999999", utc_offset=OFFSET)).verdict is Verdict.WRONG_SERIAL
    assert read(DAILY, expected=Expected("12345", utc_offset=OFFSET)).verdict is Verdict.GOOD


def test_i06_refused() -> None:
    for code, result in ((0x36, Result.DENIED), (0x41, Result.DENIED), (0x43, Result.DENIED), (0x31, Result.REFUSED)):
        bench = Bench()
        bench.meter.occurrence = (code, 0)
        finding = read(DAILY, bench=bench)
        assert finding.verdict is Verdict.REFUSED
        assert finding.exchanges[0].result is result
    assert read(DAILY, (FaultKind.BATTERY, 0, 1)).verdict is Verdict.REFUSED
    assert read(DAILY, (FaultKind.BATTERY, 1, 1)).verdict is Verdict.GOOD  # it went over by itself


def test_i06_a_password_that_is_not_valid() -> None:
    ask = Command(0x11, parameters=b"0123456789").to_bytes()
    no, yes = (Answer(0x11, SERIAL, flags).to_bytes() for flags in (b"\0\0", b"\0\1"))
    assert judge([(0.0, C, ask), (0.1, M, no), (0.2, C, b"\x06")]).verdict is Verdict.REFUSED
    assert judge([(0.0, C, ask), (0.1, M, no), (0.2, C, ask), (0.3, M, yes)]).verdict is Verdict.GOOD


def test_i06_is_made_good_by_a_session() -> None:
    ask, refused = Command(0x21).to_bytes(), Answer(0x40, SERIAL, b"\x43").to_bytes()
    parameters = Answer(0x21, SERIAL, b"").to_bytes()
    talk = [(0.0, C, ask), (0.1, M, refused), (0.2, C, b"\x06"), (1.0, C, ask), (1.1, M, parameters), (1.2, C, b"\x06")]
    assert judge(talk[:3]).verdict is Verdict.REFUSED
    assert judge(talk).verdict is Verdict.GOOD


def test_i07_unsupported() -> None:
    finding = read("21 60")
    assert finding.verdict is Verdict.UNSUPPORTED
    assert "60" in finding.reason
    memory, refused = Command(0x52).to_bytes(), Answer(0x39, SERIAL, b"\x52").to_bytes()
    registers = [(2.0, C, Command(0x23).to_bytes()), (2.1, M, Answer(0x23, SERIAL, b"").to_bytes())]
    talk = [(0.0, C, memory), (0.1, M, refused), *registers]
    assert judge(talk).verdict is Verdict.UNSUPPORTED  # what it came for was not to be had


def test_i08_partial_memory() -> None:
    for reason in (CloseReason.CLIENT, CloseReason.METER):
        talk = AbntTalk()
        talk.ask(0x21)
        talk.ask(0x26, blocks=4)
        finding = talk.finding(reason)
        assert finding.verdict is Verdict.PARTIAL
        assert (finding.facts["blocks"], finding.facts["reason"]) == (4, str(reason))
        assert finding.range_start is not None
        assert finding.range_end is not None
        assert finding.range_delivered == finding.range_start + 4 * 166 // 3 * 900 < finding.range_end


def test_i08_a_block_left_out() -> None:
    talk = AbntTalk()
    talk.read("21 26")
    blocks = [i for i, (_, side, data) in enumerate(talk.talk) if side is M and data[:1] == b"\x26"]
    del talk.talk[blocks[2]]
    finding = talk.finding()
    assert finding.verdict is Verdict.PARTIAL
    assert finding.facts["interrupted"] == "block 4 came where 3 was due"


def test_i08_the_connection_dropped_within_a_block() -> None:
    talk = AbntTalk(faults=_armed(FaultKind.DROP, 0, 1))
    talk.read("21")
    assert talk.finding(CloseReason.METER).verdict is Verdict.PARTIAL


def test_i08_is_made_good_by_reading_again() -> None:
    talk = AbntTalk()
    talk.ask(0x21)
    talk.ask(0x26, blocks=4)
    talk.wait(20)
    talk.ask(0x26)
    assert talk.finding().verdict is Verdict.GOOD


@pytest.mark.parametrize(
    ("seconds", "severity"), [(31.5, "warning"), (-118, "warning"), (125, "alarm"), (-90000, "alarm")]
)
def test_i09_clock(seconds: float, severity: str) -> None:
    finding = read(DAILY, bench=drift(Bench(), seconds))
    assert finding.verdict is Verdict.CLOCK
    assert finding.facts["severity"] == severity
    assert finding.meter_clock_offset == pytest.approx(seconds, abs=1.5)
    assert finding.also[-1][0] is Verdict.GOOD


def test_i09_within_tolerance_is_none() -> None:
    assert read(DAILY, bench=drift(Bench(), -28)).verdict is Verdict.GOOD


def test_i10_constants() -> None:
    known = read(DAILY).constants
    same = Expected(SERIAL, constants=known, utc_offset=OFFSET)
    assert read(DAILY, expected=same).verdict is Verdict.GOOD
    other = Expected(SERIAL, constants=known | {"constant.1": "1/1000", "gone": "1"}, utc_offset=OFFSET)
    finding = read(DAILY, expected=other)
    assert finding.verdict is Verdict.CONSTANTS
    assert finding.facts == {"changed": {"constant.1": ["1/1000", "27/400"]}}


def test_i12_inspection() -> None:
    finding = read("21 80 28 25 26")
    assert finding.verdict is Verdict.INSPECTION
    assert finding.facts == {"audit": ["28", "25"]}
    assert finding.also == [(Verdict.GOOD, finding.also[0][1])]
    usual = Expected(SERIAL, utc_offset=OFFSET, daily=frozenset({"25", "28"}))
    assert read("21 80 28 25 26", expected=usual).verdict is Verdict.GOOD


@pytest.mark.parametrize("reason", [r for r in CloseReason if r not in ("client", "meter", "refused_line")])
def test_i13_cut_by_us(reason: CloseReason) -> None:
    talk = AbntTalk()
    talk.ask(0x21)
    talk.ask(0x26, blocks=4)
    finding = talk.finding(reason)
    assert finding.verdict is Verdict.CUT
    assert Verdict.PARTIAL in [code for code, _ in finding.also]
    assert finding.facts["reason"] == str(reason)


def test_i13_idle_while_the_meter_asked_to_wait() -> None:
    talk = AbntTalk(faults=_armed(FaultKind.WAIT, 3, 1))
    talk.ask(0x21, tries=1)
    assert talk.finding(CloseReason.IDLE, after=120).verdict is Verdict.CUT


def test_i13_of_what_nobody_understands() -> None:
    talk = [(0.0, C, b"\xee\x00\x00\x00\x00\x01\x20\x13\x10"), (0.1, M, b"\x06\xee")]
    for reason in (CloseReason.TOTAL, CloseReason.IDLE):
        assert judge(talk, reason).verdict is Verdict.CUT


def test_unknown_traffic_is_neither_good_nor_bad() -> None:
    talk = [(0.0, C, b"\xee\x00\x00\x00\x00\x01\x20\x13\x10"), (0.1, M, b"\x06\xee")]
    finding = judge(talk)
    assert (finding.protocol, finding.verdict, finding.also) == ("unknown", Verdict.NOT_UNDERSTOOD, [])
    assert "not known" in finding.reason


def test_what_explains_comes_first() -> None:
    bench = drift(Bench(), 500)
    finding = read(DAILY, (FaultKind.WRONG_SERIAL, None, 1), (FaultKind.NOISE, 5, 4), bench=bench)
    assert finding.verdict is Verdict.WRONG_SERIAL
    assert [code for code, _ in finding.also] == [Verdict.BROKEN, Verdict.CLOCK]


@pytest.mark.parametrize(
    ("seen", "wanted", "same"),
    [
        ("00012345", "12345", True),
        ("00012345", "0001.2345", True),
        ("00012345", "9900012345", True),
        ("00012345", "00012346", False),
        ("12345678", "912345679", False),
        ("A1234", "a-1234", True),
    ],
)
def test_serials_are_compared_as_people_write_them(seen: str, wanted: str, same: bool) -> None:
    assert same_serial(seen, wanted) is same


def _armed(kind: FaultKind, argument: float, times: int) -> FaultPlan:
    plan = FaultPlan()
    plan.arm(kind, argument, times)
    return plan


def test_default_limits_are_the_dossiers() -> None:
    assert (EXPECTED.clock_tolerance, EXPECTED.clock_alarm, EXPECTED.broken_share) == (30, 120, 0.02)
