"""Payload of ``up`` -> rows of a stream; a bad item is set apart and does not hold up the others (pure)."""

from dataclasses import dataclass
from typing import Final

from shared.ids import Topic
from shared.wire import FOREIGN_STREAM, Batch, Item, RawBatch, WireError, decode, decode_item

#: What one decoded row takes beyond its octets on the wire, as measured: ten times as much for a small block.
ROW_OCTETS: Final = 500


@dataclass(frozen=True, slots=True)
class BadItem:
    """An item that is none of ours, kept as it came."""

    payload: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Rows ``first`` .. of the stream ``spool_id`` as they came under ``topic``; ``size``: memory it takes, octets."""

    topic: Topic
    spool_id: bytes
    first: int
    items: list[Item | BadItem]
    size: int

    @property
    def last(self) -> int:
        return self.first + len(self.items) - 1


def decode_delivery(topic: Topic, payload: bytes) -> Delivery:
    """Decode a batch; raises :class:`WireError` when it is none at all, so that no row of it has a number."""
    try:
        batch = decode(payload, Batch)
    except WireError:
        raw = decode(payload, RawBatch)
        items = [_item(bytes(item)) for item in raw.items]
        delivery = Delivery(topic, raw.spool_id, raw.first_seq, items, _memory(payload, len(items)))
    else:
        delivery = Delivery(
            topic, batch.spool_id, batch.first_seq, list(batch.items), _memory(payload, len(batch.items))
        )
    if delivery.last >= FOREIGN_STREAM:
        raise WireError(f"sequence numbers up to {delivery.last} are beyond what a stream can count")
    return delivery


def _memory(payload: bytes, rows: int) -> int:
    return len(payload) + ROW_OCTETS * rows


def _item(payload: bytes) -> Item | BadItem:
    try:
        return decode_item(payload)
    except WireError as error:
        return BadItem(payload, str(error))
