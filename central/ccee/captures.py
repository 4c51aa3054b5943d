"""Captures of a connection: decoded, as pcapng, as plain octets (pure)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.pcapng import Chunk, capture

#: Whose octets; the numbers on the wire.
SIDES: Final = {"client": 0, "meter": 1}

_Part = list[tuple[int, int, bytes]]
_decoder: Final = msgspec.msgpack.Decoder(_Part)
#: Made up where a connection's address is none: pcapng needs one (RFC 5737).
_NOWHERE: Final = "192.0.2.1:0"


@dataclass(frozen=True, slots=True)
class Octets:
    """Octets that passed ``at_ms`` after the start from ``side`` (0 client, 1 meter)."""

    at_ms: int
    side: int
    data: bytes


def decode_part(data: bytes) -> list[Octets]:
    """Decode one part; raises ValueError when it is none."""
    found = [Octets(*each) for each in _decoder.decode(data)]
    for each in found:
        if each.side not in SIDES.values() or each.at_ms < 0:
            raise ValueError(f"a capture has side {each.side} at {each.at_ms} ms: sides are 0 and 1, times from 0 on")
    return found


def join(parts: Iterable[bytes]) -> list[Octets]:
    """Join the parts of one capture, in the order of their numbers."""
    return [each for part in parts for each in decode_part(part)]


def as_pcapng(
    octets: Sequence[Octets],
    started_ms: int,
    ended_ms: int,
    source: str,
    listen: str,
    passed: tuple[int, int],
    comment: str,
) -> bytes:
    """Return a capture as Wireshark opens it; ``passed``: octets of each side in all, kept here or not."""
    kept = [sum(len(each.data) for each in octets if each.side == side) for side in (0, 1)]
    missing = max(0, passed[0] - kept[0]), max(0, passed[1] - kept[1])
    chunks = [Chunk((started_ms + each.at_ms) / 1000, each.side, each.data) for each in octets]
    try:
        return capture(chunks, source, listen, comment, missing, ended_ms / 1000)
    except ValueError:
        return capture(chunks, _NOWHERE, _NOWHERE, f"{source} to {listen}. {comment}", missing, ended_ms / 1000)


def raw(octets: Sequence[Octets], side: str | None = None) -> bytes:
    """Return the plain octets in order of time, of both sides or of one."""
    return b"".join(each.data for each in octets if side is None or each.side == SIDES[side])
