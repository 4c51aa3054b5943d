from array import array
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sizes = st.integers(1, 9)


@st.composite
def fields(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A size, and numbers that fit it."""
    size = draw(sizes)
    return size, draw(st.lists(st.integers(0, 100**size - 1), max_size=30))


def printed(numbers: list[int], size: int) -> bytes:
    """Return the octets by way of decimal text."""
    return bytes.fromhex("".join(str(number).zfill(2 * size) for number in numbers))


def bad_octets(data: bytes) -> list[int]:
    """Return the indices of the octets that are no two digits."""
    return [i for i in range(len(data)) if not data[i : i + 1].hex().isdecimal()]


def test_known_fields(bcd: ModuleType) -> None:
    # the date 21/11/26 and a 10-digit register, as on the wire
    assert bcd.decode(bytes.fromhex("0001234567")) == 1234567
    assert bcd.decode(bytes.fromhex("FF211126FF"), 1, 3) == 211126
    assert bcd.encode(1234567, 5) == bytes.fromhex("0001234567")
    assert bcd.decode_each(bytes.fromhex("000123999999"), 3) == array("q", [123, 999999])
    assert bcd.encode_each(array("q", [123, 999999]), 3) == bytes.fromhex("000123999999")
    assert bcd.decode_each(b"", 3) == array("q")
    assert bcd.encode_each(array("q"), 3) == b""


@given(size=sizes, data=st.data())
def test_round_trip(bcd: ModuleType, size: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, 100**size - 1))
    octets = bcd.encode(value, size)
    assert octets == printed([value], size)
    assert bcd.decode(octets) == value
    assert bcd.decode(b"\xff" + octets + b"\xff", 1, size) == value
    assert bcd.decode(bytearray(b"\xff" + octets), first=1) == value


@given(case=fields())
def test_round_trip_of_many(bcd: ModuleType, case: tuple[int, list[int]]) -> None:
    size, numbers = case
    octets = bcd.encode_each(array("q", numbers), size)
    assert type(octets) is bytes
    assert octets == printed(numbers, size)
    found = bcd.decode_each(octets, size)
    assert found.typecode == "q"
    assert found.tolist() == numbers


def test_all_pairs_of_digits_in_all_places(bcd: ModuleType) -> None:
    numbers = [pair * 100**place for place in range(9) for pair in range(100)]
    assert bcd.decode_each(printed(numbers, 9), 9).tolist() == numbers
    assert bcd.encode_each(array("q", numbers), 9) == printed(numbers, 9)
    tens = [n for power in range(19) for n in (10**power - 1, 10**power) if n < 10**18]
    assert bcd.encode_each(array("q", tens), 9) == printed(tens, 9)
    assert bcd.decode_each(printed(tens, 9), 9).tolist() == tens


@pytest.mark.parametrize("size", range(1, 10))
def test_every_nibble_that_is_no_digit_is_refused(bcd: ModuleType, size: int) -> None:
    count = 17  # fields in whole words, and behind these
    good = bytes(count * size)
    for at in range(len(good)):
        for nibble in range(10, 16):
            for octet in (nibble, nibble << 4 | 9, nibble << 4 | nibble):
                bad = good[:at] + bytes([octet]) + good[at + 1 :]
                with pytest.raises(bcd.BcdError, match=f"octet {at} is {octet:02X}, not two BCD digits") as caught:
                    bcd.decode_each(bad, size)
                assert caught.value.octet == at
                first = at // size * size
                with pytest.raises(bcd.BcdError) as caught:
                    bcd.decode(bad, first, size)
                assert caught.value.octet == at


@given(data=st.binary(min_size=1, max_size=9))
def test_agrees_with_the_printed_digits(bcd: ModuleType, data: bytes) -> None:
    bad = bad_octets(data)
    if not bad:
        assert bcd.decode(data) == int(data.hex())
        return
    with pytest.raises(bcd.BcdError) as caught:
        bcd.decode(data)
    assert caught.value.octet == bad[0]


@given(data=st.binary(max_size=40), size=st.integers(-1, 11))
def test_batch_agrees_with_single_fields(bcd: ModuleType, data: bytes, size: int) -> None:
    bad = bad_octets(data)
    if not 1 <= size <= bcd.MAX_OCTETS or len(data) % size:
        with pytest.raises(bcd.BcdError, match="no whole number"):
            bcd.decode_each(data, size)
    elif not bad:
        assert list(bcd.decode_each(data, size)) == [bcd.decode(data, i, size) for i in range(0, len(data), size)]
    else:
        with pytest.raises(bcd.BcdError) as caught:
            bcd.decode_each(data, size)
        assert caught.value.octet == bad[0]


@pytest.mark.parametrize("size", range(1, 10))
@pytest.mark.parametrize("bad", ["negative", "lowest", "one too many", "highest"])
def test_a_number_that_does_not_fit_is_named(bcd: ModuleType, size: int, bad: str) -> None:
    value = {"negative": -1, "lowest": -(2**63), "one too many": 100**size, "highest": 2**63 - 1}[bad]
    for at in (0, 5, 16):
        numbers = array("q", [100**size - 1] * 17)
        numbers[at] = value
        with pytest.raises(bcd.BcdError, match=f"number {at}: {value} does not fit {2 * size} BCD digits") as caught:
            bcd.encode_each(numbers, size)
        assert caught.value.octet == -1
    with pytest.raises(bcd.BcdError, match=f"{value} does not fit"):
        bcd.encode(value, size)


def test_takes_any_buffer(bcd: ModuleType) -> None:
    octets = b"\xff" + printed(list(range(24)), 5)
    expected = array("q", range(24))
    part = memoryview(octets)[1:]
    for data in (bytearray(part), part, array("B", part), np.frombuffer(octets, np.uint8)[1:]):
        assert bcd.decode_each(data, 5) == expected
        assert bcd.decode(data, 115, 5) == 23
    assert bcd.encode_each(memoryview(expected)[3:], 5) == octets[16:]
    assert bcd.encode_each(np.arange(24), 5) == octets[1:]
    held = bytearray(part)
    bcd.decode_each(held, 5)
    bcd.decode(held, 0, 5)
    with pytest.raises(bcd.BcdError):
        bcd.decode_each(held, 7)
    held.append(0)  # BufferError while anybody holds a view
    expected_too = array("q", expected)
    bcd.encode_each(expected_too, 5)
    expected_too.append(0)


def test_refuses_what_is_no_buffer_of_its_kind(bcd: ModuleType) -> None:
    for data in ("12", None, [1], memoryview(b"\x12\x34\x56\x78")[::2]):
        with pytest.raises(TypeError):
            bcd.decode_each(data, 1)
        with pytest.raises(TypeError):
            bcd.decode(data)
    for values in ([1, 2], array("i", [1]), b"12345678", np.arange(8)[::2], np.zeros((2, 2), np.int64)):
        with pytest.raises(TypeError, match="values must be"):
            bcd.encode_each(values, 1)
    for value in (1.0, "1", None):
        with pytest.raises(TypeError):
            bcd.encode(value, 2)
        with pytest.raises(TypeError):
            bcd.decode_each(b"12", value)


@pytest.mark.parametrize(
    ("first", "size"),
    [(0, 0), (0, 10), (-1, 2), (2, 2), (3, None), (4, None), (2**70, 1), (-(2**70), None), (0, 2**70), (2**63 - 1, 9)],
)
def test_refuses_fields_outside(bcd: ModuleType, first: int, size: int | None) -> None:
    with pytest.raises(bcd.BcdError) as caught:
        bcd.decode(b"\x12\x34\x56", first, size)
    assert caught.value.octet == first


@pytest.mark.parametrize(("value", "size"), [(2**70, 9), (-(2**70), 9), (1, 0), (1, 10), (1, -1), (1, 2**70)])
def test_refuses_what_no_field_holds(bcd: ModuleType, value: int, size: int) -> None:
    with pytest.raises(bcd.BcdError) as caught:
        bcd.encode(value, size)
    assert caught.value.octet == -1
    if value == 1:
        with pytest.raises(bcd.BcdError, match=str(size)):
            bcd.encode_each(array("q", [1]), size)
