import random
from array import array
from itertools import accumulate
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

# Published check values over "123456789" and residues (RevEng catalogue of CRC algorithms); dossiers abnt-nbr-14522 §3
# and protocols, Checksums, have the same.
CHECK = b"123456789"

#: Polynomial, initial, final, check value, residue.
CRCS = {
    "crc16_arc": (0x8005, 0, 0, 0xBB3D, 0),
    "crc16_modbus": (0x8005, 0xFFFF, 0, 0x4B37, 0),
    "crc16_x25": (0x1021, 0xFFFF, 0xFFFF, 0x906E, 0xF0B8),
    "crc16_c1218": (0x1021, 0xFFFF, 0xFFFF, 0x906E, 0xF0B8),
    "crc16_dnp": (0x3D65, 0, 0xFFFF, 0xEA82, 0x66C5),
}

every_crc = pytest.mark.parametrize("name", CRCS)

#: Longer than all that any build takes at once, and not a multiple of it.
LONG = random.Random(16).randbytes(9029)


def step(crc: int, octet: int, polynomial: int) -> int:
    """Reflect the octet, shift the unreflected polynomial to the left: the definition, bit by bit."""
    crc ^= int(f"{octet:08b}"[::-1], 2) << 8
    for _ in range(8):
        crc = ((crc << 1) ^ (polynomial if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def of_prefixes(name: str, data: bytes) -> list[int]:
    """Return the CRC of the first 0, 1, 2... octets, each reflected as the definition wants it."""
    polynomial, initial, final, _, _ = CRCS[name]
    states = accumulate(data, lambda crc, octet: step(crc, octet, polynomial), initial=initial)
    return [int(f"{crc:016b}"[::-1], 2) ^ final for crc in states]


@every_crc
def test_published_check_value(checksums: ModuleType, name: str) -> None:
    assert getattr(checksums, name)(CHECK) == CRCS[name][3]


@every_crc
@given(data=st.binary(max_size=80))
def test_published_residue_when_the_frame_ends_in_its_crc(checksums: ModuleType, name: str, data: bytes) -> None:
    crc = getattr(checksums, name)
    _, _, final, _, residue = CRCS[name]
    assert crc(data + crc(data).to_bytes(2, "little")) ^ final == residue


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("crc16_arc", "11223344 B1F5"),  # dossier abnt-nbr-14522 §3
        ("crc16_arc", "14" + 63 * "00" + "050F"),  # the same: command 14
        ("crc16_modbus", "0207 4112"),  # Modbus over serial line V1.02, §6.2.2: slave 2, function 7
        ("crc16_c1218", "EE0000000001 20 1310"),  # identification and its answer as a meter maker's library logs them
        ("crc16_c1218", "EE0000000005 0000010000 C6B5"),  # (MCOM, ProtocolC1218.h)
        ("crc16_dnp", "056405C001000004 E921"),  # opendnp3, unit tests: reset of link states
    ],
)
def test_published_frames_end_in_their_crc_low_octet_first(checksums: ModuleType, name: str, frame: str) -> None:
    octets = bytes.fromhex(frame)
    assert getattr(checksums, name)(octets[:-2]).to_bytes(2, "little") == octets[-2:]


@every_crc
def test_equals_the_definition_at_every_length(checksums: ModuleType, name: str) -> None:
    crc = getattr(checksums, name)
    view = memoryview(LONG)[:1300]
    assert [crc(view[:length]) for length in range(len(view) + 1)] == of_prefixes(name, bytes(view))


@every_crc
@given(data=st.binary(max_size=200), value=st.integers(0, 0xFFFF))
def test_equals_the_definition(checksums: ModuleType, name: str, data: bytes, value: int) -> None:
    assert getattr(checksums, name)(data) == of_prefixes(name, data)[-1]
    table_free = value ^ CRCS[name][2]
    for octet in data:
        table_free ^= octet
        for _ in range(8):
            table_free = table_free >> 1 ^ (int(f"{CRCS[name][0]:016b}"[::-1], 2) if table_free & 1 else 0)
    assert getattr(checksums, name)(data, value) == table_free ^ CRCS[name][2]


@every_crc
@given(first=st.integers(0, len(LONG)), second=st.integers(0, len(LONG)), third=st.integers(0, len(LONG)))
def test_goes_on_where_it_ended(checksums: ModuleType, name: str, first: int, second: int, third: int) -> None:
    crc = getattr(checksums, name)
    begin, middle, end = sorted((first, second, third))
    assert crc(LONG[middle:end], crc(LONG[begin:middle])) == crc(LONG[begin:end])
    assert crc(b"", crc(LONG[begin:end])) == crc(LONG[begin:end])
    assert crc(data=LONG[begin:end], value=crc(b"")) == crc(LONG[begin:end])


@every_crc
@pytest.mark.parametrize("size", [9, 66, 258, 1201, 9001])
def test_takes_any_buffer_at_any_place(checksums: ModuleType, name: str, size: int) -> None:
    crc = getattr(checksums, name)
    for first in (0, 1, 3, 17):
        data = LONG[first : first + size]
        expected = of_prefixes(name, data)[-1]
        assert crc(data) == expected
        octets = np.frombuffer(LONG, np.uint8)[first : first + size]
        for other in (bytearray(data), memoryview(LONG)[first : first + size], array("B", data), octets):
            assert crc(other) == expected
    numbers = array("q", [1, -2, 3])
    assert crc(numbers) == crc(memoryview(numbers)) == crc(np.array([1, -2, 3])) == crc(numbers.tobytes())
    grid = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert crc(grid) == crc(grid.tobytes())


def test_a_buffer_is_let_go(checksums: ModuleType) -> None:
    data = bytearray(CHECK)
    checksums.crc16_arc(data)
    data.append(0)  # BufferError while anybody holds a view


@every_crc
def test_refuses_what_is_no_crc_or_no_buffer(checksums: ModuleType, name: str) -> None:
    crc = getattr(checksums, name)
    for value in (-1, 0x10000, -(2**70), 2**70):
        with pytest.raises(ValueError, match=str(value)):
            crc(CHECK, value)
    for other in (1.0, "1", None):
        with pytest.raises(TypeError):
            crc(CHECK, other)
    for data in ("123456789", None, 9, [1, 2], memoryview(CHECK)[::2], np.zeros((4, 4), np.uint8).T[1:]):
        with pytest.raises(TypeError):
            crc(data)
    released = memoryview(CHECK)
    released.release()
    with pytest.raises(ValueError, match="released"):
        crc(released)
