from array import array
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st


def test_known_fields(bcd: ModuleType) -> None:
    # the date 21/11/26 and a 10-digit register, as on the wire
    assert bcd.decode(bytes.fromhex("0001234567")) == 1234567
    assert bcd.decode(bytes.fromhex("FF211126FF"), 1, 3) == 211126
    assert bcd.encode(1234567, 5) == bytes.fromhex("0001234567")
    assert bcd.decode_each(bytes.fromhex("000123999999"), 3) == array("q", [123, 999999])
    assert bcd.decode_each(b"", 3) == array("q")


@given(value=st.integers(0, 10**18 - 1))
def test_round_trip(bcd: ModuleType, value: int) -> None:
    data = bcd.encode(value, 9)
    assert data.hex() == f"{value:018d}"
    assert bcd.decode(data) == value
    assert bcd.decode(bytearray(b"\xff" + data), 1) == value


@given(data=st.binary(min_size=1, max_size=9))
def test_agrees_with_the_printed_digits(bcd: ModuleType, data: bytes) -> None:
    digits = data.hex()
    if digits.isdecimal():
        assert bcd.decode(data) == int(digits)
        return
    with pytest.raises(bcd.BcdError) as caught:
        bcd.decode(data)
    bad = next(i for i in range(len(data)) if not data[i : i + 1].hex().isdecimal())
    assert caught.value.octet == bad
    assert f"octet {bad} is {data[bad]:02X}" in str(caught.value)


@given(data=st.binary(max_size=40), size=st.integers(-1, 11))
def test_batch_agrees_with_single_fields(bcd: ModuleType, data: bytes, size: int) -> None:
    digits = [data[i : i + 1].hex() for i in range(len(data))]
    if not 1 <= size <= bcd.MAX_OCTETS or len(data) % size:
        with pytest.raises(bcd.BcdError, match="no whole number"):
            bcd.decode_each(data, size)
    elif all(pair.isdecimal() for pair in digits):
        assert list(bcd.decode_each(data, size)) == [bcd.decode(data, i, size) for i in range(0, len(data), size)]
    else:
        with pytest.raises(bcd.BcdError) as caught:
            bcd.decode_each(data, size)
        assert caught.value.octet == next(i for i, pair in enumerate(digits) if not pair.isdecimal())


@pytest.mark.parametrize(("first", "size"), [(0, 0), (0, 10), (-1, 2), (2, 2), (3, None), (4, None)])
def test_refuses_fields_outside(bcd: ModuleType, first: int, size: int | None) -> None:
    with pytest.raises(bcd.BcdError):
        bcd.decode(b"\x12\x34\x56", first, size)


@pytest.mark.parametrize(("value", "size"), [(-1, 2), (100, 1), (10**18, 9), (1, 0), (1, 10)])
def test_refuses_numbers_that_do_not_fit(bcd: ModuleType, value: int, size: int) -> None:
    with pytest.raises(bcd.BcdError) as caught:
        bcd.encode(value, size)
    assert caught.value.octet == -1
