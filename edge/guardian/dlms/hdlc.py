"""HDLC frames and wrapper messages of DLMS in a buffer; no state (dossier protocols §4.1).

::

    HDLC     7E | A, segmentation, length 11 bits | destination | source | control | HCS 2 | information | FCS 2 | 7E
    wrapper  00 01 | source 2 | destination 2 | length 2 | APDU
"""

from dataclasses import dataclass
from typing import Final

from ext.checksums import crc16_x25

FLAG: Final = 0x7E
VERSION: Final = b"\x00\x01"
HEADER: Final = 8
LLC: Final = (b"\xe6\xe6\x00", b"\xe6\xe7\x00")
SNRM, UA, DISC, DM, FRMR, UI = 0x83, 0x63, 0x43, 0x0F, 0x87, 0x03  # without the poll bit
_POLL: Final = 0x10
_MAX_ADDRESS: Final = 4


@dataclass(frozen=True)
class Frame:
    """``kind``: control octet without poll bit for unnumbered frames, 0 information, 1 receive ready (or not ready)."""

    destination: int
    source: int
    kind: int
    segmented: bool
    information: bytes


def frame_size(buffer: bytearray) -> int | None:
    """Octets of the frame the buffer begins with, flags included; 0 for none, None while it is too short to tell."""
    if len(buffer) < 3:
        return None
    if buffer[0] != FLAG or buffer[1] & 0xF0 != 0xA0:
        return 0
    size = ((buffer[1] & 0x07) << 8 | buffer[2]) + 2
    return size if size >= 9 else 0


def parse(octets: bytes) -> Frame | None:
    """Take a whole frame, flags included, apart; None unless its checks fit."""
    body = octets[1:-1]
    if octets[-1] != FLAG or crc16_x25(body[:-2]) != int.from_bytes(body[-2:], "little"):
        return None
    destination, at = _address(body, 2)
    source, at = _address(body, at)
    if not at or at >= len(body) - 2:
        return None
    control = body[at]
    kind = 0 if not control & 1 else 1 if control & 3 == 1 else control & ~_POLL
    header = body[: at + 1]
    information = b""
    if len(body) > at + 3:
        if crc16_x25(header) != int.from_bytes(body[at + 1 : at + 3], "little"):
            return None
        information = body[at + 3 : -2]
    return Frame(destination, source, kind, bool(body[0] & 0x08), information)


def _address(body: bytes, at: int) -> tuple[int, int]:
    """Value and place behind it; place 0 for none. A logical device of two halves counts as one number."""
    if not at:
        return 0, 0
    value = 0
    for octet in body[at : at + _MAX_ADDRESS]:
        value = value << 7 | octet >> 1
        at += 1
        if octet & 1:
            return value, at
    return 0, 0
