"""CRC-16 of the meter protocols, over any buffer; all are reflected, and can be continued.

A result handed back as ``value`` goes on where it ended: ``crc(b, crc(a)) == crc(a + b)``.

Without a compiler this module runs as it stands; ``checksums.pyx`` is the same for C.
"""

from operator import index
from typing import TYPE_CHECKING, Final

from ext._views import octets

if TYPE_CHECKING:
    from typing_extensions import Buffer


def _table(polynomial: int) -> tuple[int, ...]:
    """Return the CRC of each octet."""
    table = []
    for octet in range(256):
        crc = octet
        for _ in range(8):
            crc = (crc >> 1) ^ (polynomial if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_8005: Final = _table(0xA001)
_1021: Final = _table(0x8408)
_3D65: Final = _table(0xA6BC)


def crc16_arc(data: "Buffer", value: int = 0) -> int:
    """CRC-16/ARC of ABNT NBR 14522 and PIMA: 8005 reflected, initial 0000; sent low octet first.

    Over a whole frame, check octets included, it is 0 (dossier abnt-nbr-14522 §3).
    """
    return _reflected(octets(data), _8005, _checked(value))


def crc16_modbus(data: "Buffer", value: int = 0xFFFF) -> int:
    """CRC-16/MODBUS: 8005 reflected, initial FFFF; sent low octet first."""
    return _reflected(octets(data), _8005, _checked(value))


def crc16_x25(data: "Buffer", value: int = 0) -> int:
    """CRC-16/X-25 of HDLC: 1021 reflected, initial FFFF, final complement; sent low octet first."""
    return _reflected(octets(data), _1021, _checked(value) ^ 0xFFFF) ^ 0xFFFF


#: ANSI C12.18 ends its packets with this one, low octet first (dossier protocols §9).
crc16_c1218 = crc16_x25


def crc16_dnp(data: "Buffer", value: int = 0xFFFF) -> int:
    """CRC-16/DNP of the link layer of DNP3: 3D65 reflected, initial 0000, final complement.

    A frame has one behind its header and one behind each 16 octets of data, low octet first as opendnp3 sends them; the
    dossier (protocols §10) does not establish the order.
    """
    return _reflected(octets(data), _3D65, _checked(value) ^ 0xFFFF) ^ 0xFFFF


def _checked(value: int) -> int:
    if not 0 <= index(value) <= 0xFFFF:
        raise ValueError(f"CRC value {value} is not 0..65535: pass the result of the octets before")
    return value


def _reflected(data: memoryview, table: tuple[int, ...], crc: int) -> int:
    for octet in data:
        crc = (crc >> 8) ^ table[(crc ^ octet) & 0xFF]
    return crc
