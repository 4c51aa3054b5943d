"""CRC-16 beside the libraries of the field, from a short field to a whole file; all cases alike from Python.

66 and 258 octets are command and answer of ABNT NBR 14522. ``binascii.crc_hqx`` (another CRC-16), ``zlib.crc32`` and a
copy are there for scale.
"""

import binascii
import random
import zlib
from collections.abc import Callable
from typing import Any

import anycrc
import crccheck.crc
import crcmod.predefined
import fastcrc
import pytest

from benchmarks.ext.rounds import measure
from tests.ext.builds import load_compiled, load_source

Crc = Callable[[Any], int]

SIZES = (8, 66, 258, 4096, 1 << 20)

#: What only Python's own loop drives is not asked for more: a MiB would take it the better part of a second.
SLOW = ("ours, source", "peer: crccheck")
SLOW_SIZE = 4096

#: Our name, and those of crcmod, fastcrc, anycrc, crccheck.
NAMES = {
    "crc16_arc": ("crc-16", "arc", "CRC16-ARC", "Crc16Arc"),
    "crc16_modbus": ("modbus", "modbus", "CRC16-MODBUS", "Crc16Modbus"),
    "crc16_x25": ("x-25", "ibm_sdlc", "CRC16-IBM-SDLC", "Crc16X25"),
    "crc16_dnp": ("crc-16-dnp", "dnp", "CRC16-DNP", "Crc16Dnp"),
}


def functions(name: str) -> dict[str, Crc]:
    """Return the same CRC by every library."""
    of_crcmod, of_fastcrc, of_anycrc, of_crccheck = NAMES[name]
    return {
        "ours, compiled": getattr(load_compiled("checksums"), name),
        "ours, source": getattr(load_source("checksums"), name),
        "peer: fastcrc": getattr(fastcrc.crc16, of_fastcrc),
        "peer: anycrc": anycrc.Model(of_anycrc).calc,
        "peer: crcmod-plus": crcmod.predefined.mkCrcFun(of_crcmod),
        "peer: crccheck": getattr(crccheck.crc, of_crccheck).calc,
    }


CASES = (
    "ours, compiled",
    "ours, compiled, of a bytearray",
    "ours, source",
    "peer: fastcrc",
    "peer: anycrc",
    "peer: crcmod-plus",
    "peer: crccheck",
    "scale: binascii.crc_hqx",
    "scale: zlib.crc32",
    "scale: copy",
)


@pytest.fixture(scope="module", params=SIZES, ids="{} octets".format)
def data(request: pytest.FixtureRequest) -> bytes:
    """Return octets of which every library has the same four CRCs."""
    octets = random.Random(request.param).randbytes(request.param)
    for name in NAMES:
        answers = {
            case: crc(octets) for case, crc in functions(name).items() if case not in SLOW or len(octets) <= SLOW_SIZE
        }
        assert len(set(answers.values())) == 1, (name, answers)
    return octets


@pytest.mark.parametrize("case", CASES)
def test_crc(benchmark: Any, data: bytes, case: str) -> None:
    if case in SLOW and len(data) > SLOW_SIZE:
        pytest.skip(f"not asked for more than {SLOW_SIZE} octets")
    cases = functions("crc16_arc")
    cases |= {
        "ours, compiled, of a bytearray": cases["ours, compiled"],
        "scale: binascii.crc_hqx": lambda octets: binascii.crc_hqx(octets, 0),
        "scale: zlib.crc32": zlib.crc32,
        "scale: copy": lambda octets: len(bytearray(octets)),
    }
    given = bytearray(data) if "bytearray" in case else data
    measure(benchmark, f"CRC-16/ARC of {len(data)} octets", cases[case], given)
