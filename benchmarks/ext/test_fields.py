"""12-bit words and BCD numbers, both ways, beside NumPy and decimal or hexadecimal text.

166 words are a block of a profile, 24 numbers of 5 octets the registers of an answer; the large cases are a MiB.
"""

from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.ext.rounds import measure
from tests.ext.builds import load_compiled, load_source

Octets = npt.NDArray[np.uint8]
#: A function, and what it takes behind the data.
Case = tuple[Callable[..., Any], tuple[Any, ...]]

BLOCK_WORDS = 166
LARGE_WORDS = 1 << 20
REGISTERS = 24
LARGE_REGISTERS = 200_000
SIZE = 5


def words_of(count: int) -> "array[int]":
    return array("H", [7 * i & 0xFFF for i in range(count)])


def numbers_of(count: int) -> "array[int]":
    return array("q", [123_456_789 + 1_000_003 * i % 9_000_000_000 for i in range(count)])


# -- peers -------------------------------------------------------------------------------------------------------------


def numpy_unpack(data: bytes, order: str) -> npt.NDArray[np.uint16]:
    groups = np.frombuffer(data, np.uint8).astype(np.uint16).reshape(-1, 3)
    first, second, third = groups[:, 0], groups[:, 1], groups[:, 2]
    words = np.empty((len(groups), 2), np.uint16)
    if order == "high_first":
        words[:, 0] = first << 4 | second >> 4
        words[:, 1] = (second & 0x0F) << 8 | third
    else:
        words[:, 0] = first | (second & 0x0F) << 8
        words[:, 1] = second >> 4 | third << 4
    return words.ravel()


def numpy_pack(words: "array[int]", order: str) -> bytes:
    pairs = np.frombuffer(words, np.uint16).reshape(-1, 2)
    if (pairs > 0xFFF).any():
        raise ValueError("a word is above FFF")
    first, second = pairs[:, 0], pairs[:, 1]
    octets = np.empty((len(pairs), 3), np.uint8)
    if order == "high_first":
        octets[:, 0], octets[:, 1], octets[:, 2] = first >> 4, (first & 0x0F) << 4 | second >> 8, second & 0xFF
    else:
        octets[:, 0], octets[:, 1], octets[:, 2] = first & 0xFF, first >> 8 | (second & 0x0F) << 4, second >> 4
    return octets.tobytes()


def numpy_decode(data: bytes) -> npt.NDArray[np.int64]:
    octets = np.frombuffer(data, np.uint8).reshape(-1, SIZE)
    high, low = octets >> 4, octets & 0x0F
    if (high > 9).any() or (low > 9).any():
        raise ValueError("no BCD")
    pairs: npt.NDArray[np.int64] = (10 * high + low).astype(np.int64)
    return pairs @ (100 ** np.arange(SIZE - 1, -1, -1))


def numpy_encode(numbers: "array[int]") -> bytes:
    values = np.frombuffer(numbers, np.int64)
    if (values < 0).any() or (values >= 100**SIZE).any():
        raise ValueError("does not fit")
    pairs = (values[:, None] // 100 ** np.arange(SIZE - 1, -1, -1) % 100).astype(np.uint8)
    return (pairs + 6 * (pairs // 10)).tobytes()


def text_decode(data: bytes) -> "array[int]":
    return array("q", [int(data[i : i + SIZE].hex()) for i in range(0, len(data), SIZE)])


def text_encode(numbers: "array[int]") -> bytes:
    return bytes.fromhex("".join([f"{number:010d}" for number in numbers]))


# -- cases -------------------------------------------------------------------------------------------------------------


def kernels(name: str) -> list[tuple[str, Any]]:
    return [("ours, compiled", load_compiled(name)), ("ours, source", load_source(name))]


def unpackers(order: str) -> dict[str, Case]:
    ours: dict[str, Case] = {case: (module.unpack, (order,)) for case, module in kernels("nibbles")}
    return ours | {"peer: NumPy": (numpy_unpack, (order,)), "scale: copy": (bytearray, ())}


def packers(order: str) -> dict[str, Case]:
    ours: dict[str, Case] = {case: (module.pack, (order,)) for case, module in kernels("nibbles")}
    return ours | {"peer: NumPy": (numpy_pack, (order,)), "scale: copy": (bytearray, ())}


def decoders() -> dict[str, Case]:
    ours: dict[str, Case] = {case: (module.decode_each, (SIZE,)) for case, module in kernels("bcd")}
    peers: dict[str, Case] = {"peer: NumPy": (numpy_decode, ()), "peer: decimal text": (text_decode, ())}
    return ours | peers | {"scale: copy": (bytearray, ())}


def encoders() -> dict[str, Case]:
    ours: dict[str, Case] = {case: (module.encode_each, (SIZE,)) for case, module in kernels("bcd")}
    peers: dict[str, Case] = {"peer: NumPy": (numpy_encode, ()), "peer: decimal text": (text_encode, ())}
    return ours | peers | {"scale: copy": (bytearray, ())}


def check_and_measure(benchmark: Any, group: str, case: Case, given: Any, expected: Any) -> None:
    """Time what answers as all the others do; a copy only gives the scale."""
    function, more = case
    if function is not bytearray:
        assert bytes(function(given, *more)) == bytes(expected)
    measure(benchmark, group, function, given, *more)


ORDERS = ("high_first", "low_first")
COUNTS = (BLOCK_WORDS, LARGE_WORDS)
WORD_CASES = ("ours, compiled", "ours, source", "peer: NumPy", "scale: copy")


@pytest.mark.parametrize("case", WORD_CASES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("count", COUNTS)
def test_unpack(benchmark: Any, count: int, order: str, case: str) -> None:
    words = words_of(count)
    packed = numpy_pack(words, order)
    check_and_measure(benchmark, f"unpack {count} words, {order}", unpackers(order)[case], packed, words)


@pytest.mark.parametrize("case", WORD_CASES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("count", COUNTS)
def test_pack(benchmark: Any, count: int, order: str, case: str) -> None:
    words = words_of(count)
    packed = numpy_pack(words, order)
    check_and_measure(benchmark, f"pack {count} words, {order}", packers(order)[case], words, packed)


NUMBER_CASES = ("ours, compiled", "ours, source", "peer: NumPy", "peer: decimal text", "scale: copy")


@pytest.mark.parametrize("case", NUMBER_CASES)
@pytest.mark.parametrize("count", [REGISTERS, LARGE_REGISTERS])
def test_decode(benchmark: Any, count: int, case: str) -> None:
    numbers = numbers_of(count)
    check_and_measure(benchmark, f"decode {count} BCD numbers", decoders()[case], text_encode(numbers), numbers)


@pytest.mark.parametrize("case", NUMBER_CASES)
@pytest.mark.parametrize("count", [REGISTERS, LARGE_REGISTERS])
def test_encode(benchmark: Any, count: int, case: str) -> None:
    numbers = numbers_of(count)
    check_and_measure(benchmark, f"encode {count} BCD numbers", encoders()[case], numbers, text_encode(numbers))


def text_decode_one(data: bytes) -> int:
    return int(data.hex())


def text_encode_one(number: int) -> bytes:
    return bytes.fromhex(f"{number:010d}")


@pytest.mark.parametrize("case", ["ours, compiled", "ours, source", "peer: decimal text"])
@pytest.mark.parametrize("way", ["decode", "encode"])
def test_one(benchmark: Any, way: str, case: str) -> None:
    number, octets = 123_456_789, bytes.fromhex("0123456789")
    more: tuple[int, ...] = ()
    decode, encode = text_decode_one, text_encode_one
    if case.startswith("ours"):
        module = dict(kernels("bcd"))[case]
        decode, encode, more = module.decode, module.encode, (SIZE,)
    assert (decode(octets), encode(number, *more)) == (number, octets)
    if way == "decode":
        measure(benchmark, "decode one BCD number", decode, octets)
    else:
        measure(benchmark, "encode one BCD number", encode, number, *more)
