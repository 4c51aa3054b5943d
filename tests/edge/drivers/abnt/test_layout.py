"""Field tables: published answers, whole coverage, round trips, any octets."""

import contextlib
import math
from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.abnt.frames import Answer, Command
from edge.drivers.abnt.layout import (
    BLOCKS,
    Block,
    Change,
    ChangeLog,
    Instantaneous,
    OctetError,
    Outage,
    Outages,
    Parameters,
    ProfileWords,
    Refusal,
    Registers,
    requests,
)
from edge.errors import ProtocolError
from ext.checksums import crc16_arc
from tests.edge.drivers.abnt import vectors


def stamp(*parts: int) -> datetime:
    """The meter's own wall clock has no zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def test_instantaneous_of_a_real_meter() -> None:
    answer = Answer.from_bytes(vectors.INSTANTANEOUS)
    values = Instantaneous.decode(answer.body)
    assert values.when == stamp(2024, 6, 4, 10, 15, 46)
    assert values.voltage == pytest.approx((129.299, 129.577, 129.309), abs=1e-3)
    assert values.current == pytest.approx((14.687, 16.815, 12.458, 0.017), abs=1e-3)
    assert values.active == (1883.0, 2092.0, 1542.0, 5517.0)
    assert values.reactive == (196.0, -587.0, -347.0, -738.0)
    assert values.character == "LCCC"  # L where Q > 0
    assert values.distortion == (None,) * 4
    assert values.frequency == 60.0
    assert values.temperature == pytest.approx(25.3)
    # volts x amperes is the RMS apparent power
    for volts, amperes, apparent in zip(values.voltage, values.current, values.apparent, strict=False):
        assert volts is not None
        assert amperes is not None
        assert volts * amperes == pytest.approx(apparent, abs=2)
    assert values.answer(0x14, answer.meter).to_bytes() == vectors.INSTANTANEOUS


def test_parameters_of_a_real_meter() -> None:
    assert crc16_arc(vectors.PARAMETERS) == vectors.PARAMETERS_CRC
    values = Parameters.decode(vectors.PARAMETERS)
    assert values.now == values.last_interval == values.last_reset == stamp(2021, 10, 7, 22, 15)
    assert values.weekday == 5  # a Thursday
    assert values.reset_before == stamp(2021, 10, 1)
    assert values.peak_starts == (time(18),) * 4
    assert values.off_peak_starts == (time(21),) * 4
    assert values.holidays[0] == date(2021, 10, 12)
    assert values.quantities == (1, 10, 11)
    assert (values.model, values.firmware, values.battery) == ("1681", "7131", 1)
    assert values.profile_step == 300
    assert values.groups == 7
    # one word per channel and interval between the two resets
    assert values.last_reset is not None
    assert values.reset_before is not None
    passed = (values.last_reset - values.reset_before).total_seconds() / values.profile_step
    assert values.words_closed == 3 * passed == 5985
    assert values.words_running == 0
    assert values.answer(0x20, "32600760").body == vectors.PARAMETERS


@pytest.mark.parametrize("code", sorted(BLOCKS))
def test_every_octet_has_one_place(code: int) -> None:
    used = [octet for place in BLOCKS[code].places.values() for octet in range(place.first, place.last + 1)]
    assert sorted(used) == list(range(6, 257))


@given(st.sampled_from(sorted(BLOCKS)), st.binary(min_size=251, max_size=251))
def test_any_octets_decode_or_name_their_octet(code: int, data: bytes) -> None:
    body = bytes((code,)) + bytes(4) + data
    refusal: OctetError | None = None
    try:
        block = BLOCKS[code].decode(body)
    except OctetError as error:
        refusal = error
    if refusal is None:
        assert _same(BLOCKS[code].decode(block.answer(code, "00000000").body), block)
    else:
        assert 6 <= refusal.octet <= 256
        assert refusal.value == body[refusal.octet - 1 :][: len(refusal.value)] != b""
        assert refusal.value.hex(" ") in str(refusal)


@given(st.sampled_from(sorted(BLOCKS)), st.binary(max_size=300))
def test_wrong_sizes_and_codes_are_refused(code: int, octets: bytes) -> None:
    if len(octets) == 256 and octets[0] in BLOCKS[code].codes:
        return
    with pytest.raises(ProtocolError):
        BLOCKS[code].decode(octets)


bcd_octets = st.lists(st.integers(0, 99).map(lambda n: n // 10 << 4 | n % 10), min_size=251, max_size=251).map(bytes)


@given(bcd_octets)
def test_registers_keep_every_octet(data: bytes) -> None:
    body = b"\x23" + bytes(4) + data
    assert Registers.decode(body).answer(0x23, "00000000").body == body


def test_register_offsets_of_an_independent_reader() -> None:
    # the sketches that read command 23 take total at 6, last demand at 41, second channel's total at 80
    body = bytearray(b"\x23" + bytes(255))
    body[5:10] = bytes.fromhex("0000012345")
    body[40:43] = bytes.fromhex("000067")
    body[79:84] = bytes.fromhex("9876543210")
    registers = Registers.decode(bytes(body))
    assert registers.channels[0].total == 12345
    assert registers.channels[0].demand_last == 67
    assert registers.channels[1].total == 9876543210


def test_parameters_name_the_bad_octet() -> None:
    body = bytearray(vectors.PARAMETERS)
    body[131:134] = b"\xab\x00\x01"
    with pytest.raises(OctetError, match=r"octet 132: ab 00 01 is not BCD") as caught:
        Parameters.decode(bytes(body))
    assert caught.value.octet == 132


def test_fields_that_bill_nothing_do_not_refuse_an_answer() -> None:
    body = bytearray(vectors.PARAMETERS)
    body[217] = 0xFF
    assert Parameters.decode(bytes(body)).reference_inductive is None


@given(st.integers(1, 999), st.booleans(), st.binary(min_size=249, max_size=249))
def test_block_numbers(number: int, last: bool, words: bytes) -> None:
    block = ProfileWords.make(number, last, words)
    again = ProfileWords.decode(block.answer(0x26, "12345678").body)
    assert (again.number, again.last, again.words) == (number, last, words)


def test_block_numbers_as_the_published_tests_have_them() -> None:
    # RGNagel/lib-NBR14522: first block 001 is 00 01, the last of 123 is 11 23
    assert ProfileWords.make(1, False, b"").answer(0x26, "12345678").data[:2] == b"\x00\x01"
    assert ProfileWords.make(123, True, b"").answer(0x26, "12345678").data[:2] == b"\x11\x23"


@pytest.mark.parametrize("octets", ["2001", "0a01", "001a", "0000", "f001"])
def test_impossible_block_numbers(octets: str) -> None:
    with pytest.raises(OctetError, match="octet 6"):
        ProfileWords.decode((b"\x26" + bytes(4) + bytes.fromhex(octets)).ljust(256, b"\0"))


@pytest.mark.parametrize("empty", [b"\0", b"\xff"])
def test_empty_log_records(empty: bytes) -> None:
    outages = Outages.decode(b"\x25" + bytes(4) + empty * 251)
    changes = ChangeLog.decode(b"\x28" + bytes(4) + empty * 251)
    assert not outages.found
    assert not changes.found


def test_outages_and_changes_stand_where_the_dossier_says() -> None:
    newest = Outage(start=stamp(2026, 11, 20, 1, 2, 3), end=stamp(2026, 11, 20, 4, 5, 6))
    body = Outages(records=(None,) * 19 + (newest,)).answer(0x25, "12345678").body
    assert body[233:245].hex() == "010203201126040506201126"
    change = Change(code=0x30, reader="123456", when=stamp(2026, 11, 20, 1, 2, 3))
    body = ChangeLog(ordinary=(None,) * 15 + (change,)).answer(0x28, "12345678").body
    assert body[155:165].hex() == "30123456010203201126"
    assert ChangeLog.decode(body).found == (change,)


def test_refusals() -> None:
    refusal = Refusal.decode(Refusal(code=0x43, sub_code=2).answer(0x40, "12345678").body)
    assert (refusal.code, refusal.sub_code) == (0x43, 2)


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)), st.times())
def test_clock_requests(day: date, moment: time) -> None:
    command = requests.SetDate.to(day).command(0x29)
    asked = requests.SetDate.of(command)
    assert (asked.day, asked.weekday) == (day, day.isoweekday() % 7 + 1)
    command = requests.SetTime(hour=moment.hour, minute=moment.minute, second=moment.second).command(0x30)
    assert requests.SetTime.of(command).time == moment.replace(microsecond=0)


def test_a_sunday_is_day_1() -> None:
    assert requests.SetDate.to(date(2026, 11, 22)).command(0x29).parameters[:4].hex() == "22112601"


@given(st.binary(min_size=60, max_size=60), st.sampled_from(sorted(requests.REQUESTS)))
def test_any_request_is_survived(parameters: bytes, code: int) -> None:
    kind = requests.REQUESTS[code]
    with contextlib.suppress(OctetError):
        kind.of(Command(code, "000000", parameters))


def test_encoding_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="does not fit 6 BCD digits"):
        Parameters(words_running=1_000_000).answer(0x21, "12345678")


def _same(one: Block, other: Block) -> bool:
    """Equality; -0.0 and 0.0 are told apart by nobody."""
    return one == other or all(
        a == b or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b))
        for a, b in ((getattr(one, name), getattr(other, name)) for name in one.places)
    )
