"""Captures as pcapng files that Wireshark opens: two byte streams dressed in made-up Ethernet, IP and TCP headers.

The headers are ours (addresses of the connection, sequence numbers that fit, right checksums); times and octets are
what passed. Blocks: section header, one interface, one enhanced packet per segment (draft-ietf-opsawg-pcapng).
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 0x00000001, 0x00000006
_ORDER: Final = 0x1A2B3C4D
_ETHERNET: Final = 1
_END, _COMMENT, _NAME, _RESOLUTION = 0, 1, 2, 9
_MICROSECONDS: Final = 6
_TCP: Final = 6
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
_WINDOW: Final = 0xFFFF
#: Octets of one segment; less than an Ethernet frame holds, so that no tool takes offence.
SEGMENT: Final = 1400
#: First sequence numbers: any will do, these are easy to read beside relative ones.
_SEQUENCES: Final = (1000, 5000)
_MAC: Final = (b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02")  # locally administered

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Chunk:
    """Octets that passed at ``at`` (UTC seconds) from side 0 (client) or 1 (meter)."""

    at: float
    side: int
    data: bytes


def capture(
    chunks: Sequence[Chunk],
    source: str,
    listen: str,
    comment: str = "",
    missing: tuple[int, int] = (0, 0),
    ended: float | None = None,
) -> bytes:
    """Return the file of one connection. ``source``, ``listen``: "ip:port" or "[ip6]:port" of client and meter side.

    ``comment``: of the whole, such as the verdict. ``missing``: octets of each side that passed before the first chunk
    and were not kept; the stream then begins behind them, and a comment says so. ``ended``: UTC seconds of the end.
    Raises ``ValueError`` for addresses that are none.
    """
    ends = _endpoint(source), _endpoint(listen)
    began = chunks[0].at if chunks else ended or 0.0
    blocks = [_section(comment), _interface()]
    stream = _Stream(ends, missing)
    lost = f"{missing[0]} octets of the client and {missing[1]} of the meter were not kept" if any(missing) else ""
    blocks += (_packet(began, octets, lost if i == 0 else "") for i, octets in enumerate(stream.open()))
    for chunk in chunks:
        for first in range(0, len(chunk.data), SEGMENT):
            blocks.append(_packet(chunk.at, stream.send(chunk.side, chunk.data[first : first + SEGMENT])))
    last = max(ended if ended is not None else began, chunks[-1].at if chunks else began)
    blocks += (_packet(last, octets) for octets in stream.close())
    return b"".join(blocks)


# -- blocks of the file ------------------------------------------------------------------------------------------------


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    """Options that are not empty, and their end; none at all need no end."""
    packed = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options if value)
    return packed + struct.pack("<HH", _END, 0) if packed else b""


def _text(comment: str) -> bytes:
    return comment.encode()[:4000].decode("utf-8", "ignore").encode()


def _section(comment: str) -> bytes:
    head = struct.pack("<IHHq", _ORDER, 1, 0, -1)
    return _block(_SECTION, head + _options([(_COMMENT, _text(comment))]))


def _interface() -> bytes:
    head = struct.pack("<HHI", _ETHERNET, 0, 0)
    return _block(_INTERFACE, head + _options([(_NAME, b"forward"), (_RESOLUTION, bytes((_MICROSECONDS,)))]))


def _packet(at: float, octets: bytes, comment: str = "") -> bytes:
    stamp = max(0, round(at * 1_000_000))
    head = struct.pack("<IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(octets), len(octets))
    return _block(_PACKET, head + _padded(octets) + _options([(_COMMENT, _text(comment))]))


# -- the headers around it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _End:
    address: Address
    port: int


def _endpoint(text: str) -> _End:
    host, _, port = text.rpartition(":")
    try:
        number = int(port)
        address = ip_address(host.strip("[]"))
        if not 0 <= number <= 0xFFFF:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is not an address and a port, as in 192.0.2.1:4059 or [2001:db8::1]:4059") from None
    return _End(address, number)


class _Stream:
    """TCP as it would have been: who has sent how much."""

    def __init__(self, ends: tuple[_End, _End], missing: tuple[int, int]) -> None:
        if ends[0].address.version != ends[1].address.version:  # a listener may be ::ffff:a.b.c.d or the like
            ends = _six(ends[0]), _six(ends[1])
        self._ends = ends
        self._next = [(_SEQUENCES[side] + missing[side]) & 0xFFFFFFFF for side in (0, 1)]

    def open(self) -> list[bytes]:
        """SYN, SYN ACK, ACK."""
        segments = [self._segment(0, SYN), self._segment(1, SYN | ACK)]
        return [*segments, self._segment(0, ACK)]

    def send(self, side: int, data: bytes) -> bytes:
        return self._segment(side, PSH | ACK, data)

    def close(self) -> list[bytes]:
        """FIN from both, and the last ACK."""
        return [self._segment(0, FIN | ACK), self._segment(1, FIN | ACK), self._segment(0, ACK)]

    def _segment(self, side: int, flags: int, data: bytes = b"") -> bytes:
        source, target = self._ends[side], self._ends[1 - side]
        sequence = self._next[side]
        acknowledged = self._next[1 - side] if flags & ACK else 0
        self._next[side] = (sequence + len(data) + bool(flags & (SYN | FIN))) & 0xFFFFFFFF
        head = struct.pack(">HHIIBBHHH", source.port, target.port, sequence, acknowledged, 5 << 4, flags, _WINDOW, 0, 0)
        check = checksum(_pseudo(source.address, target.address, len(head) + len(data)) + head + data)
        tcp = head[:16] + struct.pack(">H", check) + head[18:] + data
        kind, packet = _ip(source.address, target.address, tcp)
        return _MAC[1 - side] + _MAC[side] + kind + packet


def _six(end: _End) -> _End:
    """An IPv4 address as IPv6 writes it."""
    if isinstance(end.address, IPv4Address):
        return _End(IPv6Address(b"\0" * 10 + b"\xff\xff" + end.address.packed), end.port)
    return end


def _pseudo(source: Address, target: Address, size: int) -> bytes:
    if source.version == 4:
        return source.packed + target.packed + struct.pack(">BBH", 0, _TCP, size)
    return source.packed + target.packed + struct.pack(">IHBB", size, 0, 0, _TCP)


def _ip(source: Address, target: Address, payload: bytes) -> tuple[bytes, bytes]:
    """Ethernet type, and the packet."""
    if source.version == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, _TCP, 0)
        head += source.packed + target.packed
        return b"\x08\x00", head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload
    head = struct.pack(">IHBB", 6 << 28, len(payload), _TCP, 64) + source.packed + target.packed
    return b"\x86\xdd", head + payload


def checksum(octets: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
