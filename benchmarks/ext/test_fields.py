"""12-bit words of a profile (166 words in a block) and BCD registers, beside NumPy and hexadecimal text."""

from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.ext.builds import load_compiled, load_source

BLOCK = bytes((7 * i) & 0xFF for i in range(249))
REGISTERS = b"".join(bytes.fromhex(f"{123456789 + i:010d}") for i in range(24))


def numpy_words(data: bytes) -> "np.ndarray[Any, np.dtype[np.uint16]]":
    octets = np.frombuffer(data, np.uint8).astype(np.uint16).reshape(-1, 3)
    words = np.empty((len(octets), 2), np.uint16)
    words[:, 0] = octets[:, 0] << 4 | octets[:, 1] >> 4
    words[:, 1] = (octets[:, 1] & 0x0F) << 8 | octets[:, 2]
    return words.ravel()


WORDS: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "ours, compiled": lambda: load_compiled("nibbles").unpack,
    "ours, source": lambda: load_source("nibbles").unpack,
    "peer: NumPy": lambda: numpy_words,
}


@pytest.mark.benchmark(group="166 words of 12 bits", max_time=0.3)
@pytest.mark.parametrize("case", WORDS)
def test_words(benchmark: Any, case: str) -> None:
    found = benchmark(WORDS[case](), BLOCK)
    assert len(found) == 166
    assert found[:2].tolist() == [0x000, 0x70E]


def text_registers(data: bytes) -> "array[int]":
    return array("q", [int(data[i : i + 5].hex()) for i in range(0, len(data), 5)])


BCD: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "ours, compiled": lambda: partial(load_compiled("bcd").decode_each, size=5),
    "ours, source": lambda: partial(load_source("bcd").decode_each, size=5),
    "peer: int(bytes.hex())": lambda: text_registers,
}


@pytest.mark.benchmark(group="24 BCD registers of 5 octets", max_time=0.3)
@pytest.mark.parametrize("case", BCD)
def test_bcd(benchmark: Any, case: str) -> None:
    assert benchmark(BCD[case](), REGISTERS)[1] == 123456790
