"""One row of the spool: an encoded item with its kind, meter and checksum."""

from enum import IntEnum
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from edge.spool._errors import SpoolItemError
from shared.wire import (
    MAX_BATCH_BYTES,
    ForwardCapture,
    ForwardConnection,
    GatewayTelemetry,
    InstantSnapshot,
    Item,
    MeterEvent,
    ProfileBlock,
    RegisterReading,
    Result,
    WireError,
    decode_item,
    encode,
)

#: What a batch of one row adds around it, rounded up: a larger item could not travel even alone.
ENVELOPE_BYTES: Final = 64
MAX_ITEM_BYTES: Final = MAX_BATCH_BYTES - ENVELOPE_BYTES


class Kind(IntEnum):
    """Equal to the tags of :mod:`shared.wire`, so that a row's kind can be told without decoding it."""

    REGISTERS = 1
    PROFILE = 2
    INSTANT = 3
    EVENT = 4
    TELEMETRY = 5
    RESULT = 6
    CONNECTION = 7
    CAPTURE = 8


KINDS: Final[dict[type, Kind]] = {
    RegisterReading: Kind.REGISTERS,
    ProfileBlock: Kind.PROFILE,
    InstantSnapshot: Kind.INSTANT,
    MeterEvent: Kind.EVENT,
    GatewayTelemetry: Kind.TELEMETRY,
    Result: Kind.RESULT,
    ForwardConnection: Kind.CONNECTION,
    ForwardCapture: Kind.CAPTURE,
}

#: What may go before its retention when room is short, in this order, and only when acknowledged.
DROPPABLE: Final = (Kind.PROFILE, Kind.INSTANT, Kind.TELEMETRY, Kind.CAPTURE)


class Encoded(NamedTuple):
    """An item ready to be stored."""

    kind: int
    meter: str
    payload: bytes


class Row(NamedTuple):
    """A stored item; ``number`` is its place in the file, which only grows (seq on the wire = number - base)."""

    number: int
    kind: int
    meter: str
    created_at: int  # wall clock, UTC seconds
    lived_at: int  # running time of the gateway, seconds
    payload: bytes
    crc: int

    @property
    def intact(self) -> bool:
        """Whether the row is what was written; whatever types a damaged record may have turned into."""
        payload: object = self.payload
        return isinstance(payload, bytes) and self.crc == checksum(self)


COLUMNS: Final = "number, kind, meter, created_at, lived_at, payload, crc"


def checksum(row: Row) -> int:
    """CRC-32 over everything the row says, its number included."""
    head = f"{row.number}|{row.kind}|{row.meter}|{row.created_at}|{row.lived_at}|"
    return crc32(row.payload, crc32(head.encode()))


def encode_item(item: Item) -> Encoded:
    """Encode and read back: what the aggregator would refuse is refused here, as :class:`SpoolItemError`."""
    name, meter = type(item).__name__, getattr(item, "meter", "")
    try:
        payload = encode(item)
        decode_item(payload)
    except (WireError, msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise SpoolItemError(name, meter, str(error)) from error
    if len(payload) > MAX_ITEM_BYTES:
        raise SpoolItemError(name, meter, f"{len(payload)} bytes are over the limit of {MAX_ITEM_BYTES}: split it")
    return Encoded(KINDS[type(item)], meter, payload)
