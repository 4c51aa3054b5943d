"""Frames: published vectors, round trips in every variant, damage."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.abnt import commands
from edge.drivers.abnt.frames import (
    Answer,
    Command,
    Damaged,
    FrameError,
    Heard,
    Junk,
    Signal,
    Variant,
    next_from_meter,
    next_from_reader,
)
from tests.edge.drivers.abnt import vectors
from tests.edge.drivers.abnt.wire import crc16

variants = st.sampled_from(list(Variant))
digits = st.text("0123456789", min_size=8, max_size=8)
codes = st.sampled_from(sorted(set(commands.COMMANDS)))


def test_command_14_ends_in_the_crc_of_the_standard() -> None:
    octets = Command(0x14).to_bytes()
    assert len(octets) == 66
    assert octets[-2:].hex() == "050f"


def test_addressed_command_of_a_field_program() -> None:
    command = Command.from_bytes(vectors.ADDRESSED_14, Variant.ADDRESSED)
    assert (command.code, command.reader, command.address) == (0x14, "945068", "55000052")
    assert command.to_bytes(Variant.ADDRESSED) == vectors.ADDRESSED_14
    assert next_from_reader(vectors.ADDRESSED_14, Variant.ADDRESSED) == (71, command)


def test_answer_of_a_real_meter() -> None:
    answer = Answer.from_bytes(vectors.INSTANTANEOUS)
    assert (answer.code, answer.meter) == (0x14, "55000052")
    assert answer.to_bytes() == vectors.INSTANTANEOUS


def test_headed_command_as_a_field_program_builds_it() -> None:
    # lucasspecht1/NBR14522: 01 99 before the 64 octets, Modbus CRC over all, 68 and 260 octets
    octets = Command(0x14, "000001").to_bytes(Variant.HEADED)
    assert octets[:6].hex() == "019914000001"
    assert len(octets) == Variant.HEADED.command_size == 68
    assert Variant.HEADED.answer_size == 260


def test_directional_is_the_complement() -> None:
    command = Command(0x26, "123456")
    assert command.to_bytes(Variant.DIRECTIONAL) == bytes(255 - octet for octet in command.to_bytes())


def test_no_command_code_is_a_signal() -> None:
    assert not set(commands.COMMANDS) & {int(signal) for signal in Signal}


@given(codes, st.text("0123456789", min_size=6, max_size=6), st.binary(max_size=60), digits, variants)
def test_command_round_trip(code: int, reader: str, parameters: bytes, address: str, variant: Variant) -> None:
    command = Command(code, reader, parameters.ljust(60, b"\0"), address if variant is Variant.ADDRESSED else None)
    octets = command.to_bytes(variant)
    assert len(octets) == variant.command_size
    assert Command.from_bytes(octets, variant) == command
    for size in range(0, len(octets), 13):
        assert next_from_reader(octets[:size], variant) == (0, None)
    assert next_from_reader(octets + b"\x06", variant) == (len(octets), command)


@given(codes, digits, st.binary(min_size=251, max_size=251), variants)
def test_answer_round_trip(code: int, meter: str, data: bytes, variant: Variant) -> None:
    answer = Answer(code, meter, data)
    octets = answer.to_bytes(variant)
    assert len(octets) == variant.answer_size
    assert Answer.from_body(answer.body) == answer
    assert next_from_meter(octets[:-1], variant, {code}) == (0, None)
    assert next_from_meter(octets + b"\x05", variant, {code}) == (len(octets), answer)


@given(st.binary(min_size=251, max_size=251), st.integers(8, 8 * 258 - 1), variants)
def test_a_flipped_bit_is_damage(data: bytes, bit: int, variant: Variant) -> None:
    octets = bytearray(Answer(0x21, "12345678", data).to_bytes(variant))
    if variant is Variant.HEADED and bit < 16:
        return
    octets[bit // 8] ^= 1 << bit % 8
    used, message = next_from_meter(octets, variant, {0x21})
    assert used == len(octets)
    assert isinstance(message, Damaged)
    assert "CRC" in message.reason


@given(st.binary(max_size=600), variants, st.sets(codes, max_size=2))
def test_any_octets_are_survived(octets: bytes, variant: Variant, awaited: set[int]) -> None:
    for parse in (lambda b: next_from_meter(b, variant, awaited), lambda b: next_from_reader(b, variant)):
        buffer = bytes(octets)
        while buffer:
            used, message = parse(buffer)
            assert (used == 0) == (message is None)
            if not used:
                break
            buffer = buffer[used:]


@given(st.binary(max_size=300), variants)
def test_from_bytes_refuses_with_a_typed_error(octets: bytes, variant: Variant) -> None:
    for kind in (Command, Answer):
        with contextlib.suppress(FrameError):
            kind.from_bytes(octets, variant)


def test_signals_and_junk_between_frames() -> None:
    assert next_from_meter(b"\x05\x05", Variant.PLAIN, ()) == (1, Heard(Signal.ENQ))
    assert next_from_meter(b"\x06", Variant.PLAIN, ()) == (1, Junk(6))
    assert next_from_meter(b"\x21", Variant.PLAIN, ()) == (1, Junk(0x21))
    assert next_from_reader(b"\x06", Variant.PLAIN) == (1, Heard(Signal.ACK))
    assert next_from_reader(b"\xff", Variant.PLAIN) == (1, Heard(Signal.ALO))


def test_complemented_signals_are_understood_in_the_directional_variant_only() -> None:
    assert next_from_meter(b"\xfa", Variant.DIRECTIONAL, {0x21}) == (1, Heard(Signal.ENQ, complemented=True))
    assert next_from_meter(b"\xfa", Variant.PLAIN, {0x21}) == (1, Junk(0xFA))
    assert Signal.ACK.wire(complemented=True) == b"\xf9"
    assert Signal.ALO.wire(complemented=True) == b"\xff"


def test_parts_that_do_not_fit_are_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="parameter octets"):
        Command(0x21, parameters=bytes(61)).to_bytes()
    with pytest.raises(ValueError, match="serial '12'"):
        Command(0x21, "12").to_bytes()
    with pytest.raises(ValueError, match="needs the meter's serial"):
        Command(0x21).to_bytes(Variant.ADDRESSED)


def test_crc_by_a_second_implementation() -> None:
    body = Command(0x23, "654321").body
    assert Command(0x23, "654321").to_bytes() == body + crc16(body)
