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


def by_integers(octets: bytes, order: str) -> list[int]:
    """Return the words of whole groups: high first a number read from the big end, low first from the little one."""
    if order == "low_first":
        whole = int.from_bytes(octets, "little")
        return [whole >> 12 * i & 0xFFF for i in range(len(octets) * 2 // 3)]
    whole = int.from_bytes(octets, "big") >> (4 if len(octets) % 3 == 2 else 0)
    return [whole >> 12 * i & 0xFFF for i in range(len(octets) * 2 // 3)][::-1]


@given(octets=st.binary(max_size=130).filter(lambda octets: len(octets) % 3 != 1), order=orders)
def test_words_are_the_digits_of_one_long_integer(nibbles: ModuleType, octets: bytes, order: str) -> None:
    expected = by_integers(octets, order)
    assert nibbles.unpack(octets, order).tolist() == expected
    spare = octets[-1] & (0x0F if order == "high_first" else 0xF0) if len(octets) % 3 else 0
    packed = nibbles.pack(array("H", expected), order)
    assert packed == (octets[:-1] + bytes([octets[-1] - spare]) if octets else b"")


@pytest.mark.parametrize("order", ["high_first", "low_first"])
def test_every_count_of_words(nibbles: ModuleType, order: str) -> None:
    octets = bytes(range(1, 100))
    expected = by_integers(octets, order)
    for count in range(67):
        assert nibbles.unpack(octets, order, count).tolist() == expected[:count]
        assert nibbles.unpack(octets[: nibbles.octets_for(count)], order, count).tolist() == expected[:count]
        if count % 2 == 0:
            assert nibbles.pack(array("H", expected[:count]), order) == octets[: count * 3 // 2]


@pytest.mark.parametrize("order", ["high_first", "low_first"])
@pytest.mark.parametrize("word", [0x1000, 0x8000, 0xFFFF])
def test_every_word_above_fff_is_named(nibbles: ModuleType, order: str, word: int) -> None:
    for count in (1, 2, 7, 12, 13):
        for at in range(count):
            items = array("H", [0xFFF] * count)
            items[at] = word
            with pytest.raises(nibbles.NibbleError, match=f"word {at} is {word:X}, above FFF"):
                nibbles.pack(items, order)


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
    with pytest.raises(nibbles.NibbleError, match="words of 12 bits need"):
        nibbles.unpack(b"abc", "low_first", 3)
    for count in (-1, 2**70, -(2**70)):
        with pytest.raises(nibbles.NibbleError, match=f"{count} words"):
            nibbles.unpack(b"abc", count=count)
    for order in ("msb", "", None, 1):
        with pytest.raises(nibbles.NibbleError, match=f"{order!r} is unknown: high_first or low_first"):
            nibbles.unpack(b"abc", order)
        with pytest.raises(nibbles.NibbleError, match=f"{order!r} is unknown: high_first or low_first"):
            nibbles.pack(array("H", [1]), order)
    for items in (array("q", [1]), array("h", [1]), b"ab", np.zeros(6, np.uint16)[::2], np.zeros((2, 2), np.uint16)):
        with pytest.raises(TypeError, match="words must be"):
            nibbles.pack(items)
    with pytest.raises(TypeError, match="not list"):
        nibbles.pack([1])
    for data in ("abc", None, memoryview(b"abcdef")[::2]):
        with pytest.raises(TypeError):
            nibbles.unpack(data)


def test_takes_any_buffer_and_lets_it_go(nibbles: ModuleType) -> None:
    octets = bytes.fromhex("FF ABCDEF 123456 789ABC 0F1E2D")
    expected = by_integers(octets[1:], "high_first")
    part = memoryview(octets)[1:]
    for data in (bytearray(part), part, array("B", part), np.frombuffer(octets, np.uint8)[1:]):
        assert nibbles.unpack(data).tolist() == expected
    items = array("H", [0xFFF, *expected])
    assert nibbles.pack(np.array(expected, np.uint16)) == part
    assert nibbles.pack(memoryview(items)[1:]) == part
    held = bytearray(part)
    nibbles.unpack(held)
    with pytest.raises(nibbles.NibbleError):
        nibbles.unpack(held, count=9)
    held.append(0)  # BufferError while anybody holds a view
    nibbles.pack(items)
    items.append(0)
