from array import array
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

words = st.lists(st.integers(0, 0xFFF), max_size=200).map(lambda items: array("H", items))
orders = st.sampled_from(["high_first", "low_first"])


def test_both_orders(nibbles: ModuleType) -> None:
    # dossier abnt-nbr-14522 §8.1
    data = bytes.fromhex("ABCDEF")
    assert nibbles.unpack(data) == array("H", [0xABC, 0xDEF])
    assert nibbles.unpack(data, "low_first") == array("H", [0xDAB, 0xEFC])


def test_low_first_is_what_a_fat12_table_is(nibbles: ModuleType) -> None:
    # first four entries of the table of a 1.44 MB floppy: media F0, end mark, then clusters 3 and 4 (ECMA-107)
    assert nibbles.unpack(bytes.fromhex("F0FFFF034000"), "low_first") == array("H", [0xFF0, 0xFFF, 0x003, 0x004])


@given(items=words, order=orders)
def test_round_trip(nibbles: ModuleType, items: "array[int]", order: str) -> None:
    data = nibbles.pack(items, order)
    assert len(data) == nibbles.octets_for(len(items))
    assert nibbles.unpack(data, order) == items
    assert nibbles.unpack(data + b"\xff\xff\xff", order, len(items)) == items


@given(items=words)
def test_high_first_reads_like_hexadecimal_text(nibbles: ModuleType, items: "array[int]") -> None:
    text = "".join(f"{word:03x}" for word in items)
    assert nibbles.pack(items).hex() == text + "0" * (len(text) % 2)


@given(data=st.binary(max_size=100), order=orders, count=st.none() | st.integers(-2, 80))
def test_any_octets_give_words_or_a_typed_error(
    nibbles: ModuleType, data: bytes, order: str, count: int | None
) -> None:
    try:
        found = nibbles.unpack(data, order, count)
    except nibbles.NibbleError:
        if count is None:
            assert len(data) % 3 == 1
        else:
            assert count < 0 or nibbles.octets_for(count) > len(data)
    else:
        assert len(found) == (count if count is not None else len(data) * 2 // 3)
        assert max(found, default=0) <= nibbles.MAX_WORD


def test_refuses(nibbles: ModuleType) -> None:
    with pytest.raises(nibbles.NibbleError, match="word 1 is 1000"):
        nibbles.pack(array("H", [1, 0x1000]))
    with pytest.raises(nibbles.NibbleError, match="msb"):
        nibbles.unpack(b"abc", "msb")
    with pytest.raises(TypeError, match="not format 'q'"):
        nibbles.pack(array("q", [1]))
    with pytest.raises(TypeError, match="not list"):
        nibbles.pack([1])


def test_takes_numpy(nibbles: ModuleType) -> None:
    assert nibbles.pack(np.array([0xABC, 0xDEF], np.uint16)) == bytes.fromhex("ABCDEF")
    assert nibbles.unpack(np.frombuffer(bytes.fromhex("ABCDEF"), np.uint8)) == array("H", [0xABC, 0xDEF])
