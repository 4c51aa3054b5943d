"""CRC-16 of one ABNT answer (256 octets) beside the C functions of the standard library."""

import binascii
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.ext.builds import load_compiled, load_source

BLOCK = bytes(range(256))

CASES: dict[str, Callable[[], Callable[[bytes], int]]] = {
    "ours, compiled": lambda: load_compiled("checksums").crc16_arc,
    "ours, source": lambda: load_source("checksums").crc16_arc,
    "peer: binascii.crc_hqx": lambda: lambda data: binascii.crc_hqx(data, 0),
    "peer: zlib.crc32": lambda: zlib.crc32,
}


@pytest.mark.benchmark(group="CRC of 256 octets", max_time=0.3)
@pytest.mark.parametrize("case", CASES)
def test_crc(benchmark: Any, case: str) -> None:
    benchmark(CASES[case](), BLOCK)
