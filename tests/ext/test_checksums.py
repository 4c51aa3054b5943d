from array import array
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

# Published check values over "123456789" (RevEng catalogue of CRC algorithms), the rest: dossier abnt-nbr-14522 §3.
CHECK = b"123456789"


def bitwise(data: bytes, polynomial: int, initial: int, final: int) -> int:
    """Reflect octet by octet, shift the unreflected polynomial to the left, reflect the result: the definition."""
    crc = initial
    for octet in data:
        crc ^= int(f"{octet:08b}"[::-1], 2) << 8
        for _ in range(8):
            crc = ((crc << 1) ^ (polynomial if crc & 0x8000 else 0)) & 0xFFFF
    return int(f"{crc:016b}"[::-1], 2) ^ final


def test_published_check_values(checksums: ModuleType) -> None:
    assert checksums.crc16_arc(CHECK) == 0xBB3D
    assert checksums.crc16_modbus(CHECK) == 0x4B37
    assert checksums.crc16_x25(CHECK) == 0x906E


def test_frames_of_the_dossier(checksums: ModuleType) -> None:
    assert checksums.crc16_arc(bytes.fromhex("11223344")) == 0xF5B1
    command = b"\x14" + bytes(63)
    assert checksums.crc16_arc(command) == 0x0F05
    assert checksums.crc16_arc(command + bytes.fromhex("050F")) == 0


def test_modbus_frame_of_the_specification(checksums: ModuleType) -> None:
    # Modbus over serial line V1.02, §6.2.2: slave 2, function 7 is sent as 02 07 41 12
    assert checksums.crc16_modbus(bytes.fromhex("0207")).to_bytes(2, "little").hex() == "4112"


@given(data=st.binary(max_size=300))
def test_equals_the_definition(checksums: ModuleType, data: bytes) -> None:
    assert checksums.crc16_arc(data) == bitwise(data, 0x8005, 0, 0)
    assert checksums.crc16_modbus(data) == bitwise(data, 0x8005, 0xFFFF, 0)
    assert checksums.crc16_x25(data) == bitwise(data, 0x1021, 0xFFFF, 0xFFFF)


@pytest.mark.parametrize("name", ["crc16_arc", "crc16_modbus", "crc16_x25"])
@given(first=st.binary(max_size=40), second=st.binary(max_size=40))
def test_goes_on_where_it_ended(checksums: ModuleType, name: str, first: bytes, second: bytes) -> None:
    crc = getattr(checksums, name)
    assert crc(second, crc(first)) == crc(first + second)


def test_takes_any_buffer(checksums: ModuleType) -> None:
    for data in (bytearray(CHECK), memoryview(CHECK), array("B", CHECK), np.frombuffer(CHECK, np.uint8)):
        assert checksums.crc16_arc(data) == 0xBB3D
    numbers = array("q", [1, -2, 3])
    assert checksums.crc16_arc(numbers) == checksums.crc16_arc(numbers.tobytes())
    assert checksums.crc16_arc(b"") == 0


def test_refuses_what_is_no_crc_or_no_buffer(checksums: ModuleType) -> None:
    for value in (-1, 0x10000):
        with pytest.raises(ValueError, match=str(value)):
            checksums.crc16_arc(CHECK, value)
    with pytest.raises(TypeError):
        checksums.crc16_arc("123456789")
    with pytest.raises(TypeError):
        checksums.crc16_arc(memoryview(CHECK)[::2])
