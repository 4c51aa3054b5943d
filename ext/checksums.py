"""CRC-16 of the meter protocols, over any buffer; all three are reflected, table driven, and can be continued.

A result handed back as ``value`` goes on where it ended: ``crc(b, crc(a)) == crc(a + b)``.
"""

from array import array
from typing import TYPE_CHECKING

from ext._views import octets

if TYPE_CHECKING:
    from typing_extensions import Buffer


def _table(polynomial: int) -> memoryview:
    table = array("H")
    for octet in range(256):
        crc = octet
        for _ in range(8):
            crc = (crc >> 1) ^ (polynomial if crc & 1 else 0)
        table.append(crc)
    return memoryview(table)


_8005 = _table(0xA001)
_1021 = _table(0x8408)


def crc16_arc(data: "Buffer", value: int = 0) -> int:
    """CRC-16/ARC of ABNT NBR 14522 and PIMA: 8005 reflected, initial 0000; sent low octet first.

    Over a whole frame, check octets included, it is 0 (dossier abnt-nbr-14522 §3).
    """
    return _reflected(octets(data), _8005, _checked(value))


def crc16_modbus(data: "Buffer", value: int = 0xFFFF) -> int:
    """CRC-16/MODBUS: 8005 reflected, initial FFFF; sent low octet first."""
    return _reflected(octets(data), _8005, _checked(value))


def crc16_x25(data: "Buffer", value: int = 0) -> int:
    """CRC-16/X-25 of HDLC and ANSI C12.18: 1021 reflected, initial FFFF, final complement; sent low octet first."""
    return _reflected(octets(data), _1021, _checked(value) ^ 0xFFFF) ^ 0xFFFF


def _checked(value: int) -> int:
    if not 0 <= value <= 0xFFFF:
        raise ValueError(f"CRC value {value} is not 0..65535: pass the result of the octets before")
    return value


def _reflected(data: memoryview, table: memoryview, crc: int) -> int:
    for i in range(len(data)):
        crc = (crc >> 8) ^ table[(crc ^ data[i]) & 0xFF]
    return crc
