"""12-bit words, two in three octets, in both nibble orders (dossier abnt-nbr-14522 §8.1).

Octets AB CD EF hold the words ABC and DEF when the high nibbles come first, DAB and EFC when the low ones do. An odd
number of words ends in two octets, the spare nibble is 0.

Without a compiler this module runs as it stands; ``nibbles.pyx`` is the same for C.
"""

from array import array
from typing import TYPE_CHECKING

from ext._fields import (
    MAX_WORD,
    ORDERS,
    NibbleError,
    Order,
    count_fault,
    octets_for,
    odd_fault,
    order_fault,
    word_fault,
)
from ext._views import octets, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["MAX_WORD", "ORDERS", "NibbleError", "Order", "octets_for", "pack", "unpack"]


def unpack(data: "Buffer", order: Order = "high_first", count: int | None = None) -> "array[int]":
    """Return the first ``count`` words as ``array('H')``; without a count, all the octets hold.

    With a count, octets behind the last word are padding and may hold anything. Raises :class:`NibbleError` when fewer
    are there, or when no count is given and the octets are no whole number of words.
    """
    view = octets(data)
    if count is None:
        if len(view) % 3 == 1:
            raise odd_fault(len(view))
        count = len(view) * 2 // 3
    elif count < 0 or octets_for(count) > len(view):
        raise count_fault(count, len(view))
    low_first = _is_low_first(order)
    held = bytes(view[: octets_for(count)]) + b"\0" * (count & 1)  # whole pairs of words
    first, middle, last = held[::3], held[1::3], held[2::3]
    words = array("H", bytes(2 * (count + (count & 1))))
    if low_first:
        words[::2] = array("H", [(y & 0x0F) << 8 | x for x, y in zip(first, middle, strict=True)])
        words[1::2] = array("H", [z << 4 | y >> 4 for y, z in zip(middle, last, strict=True)])
    else:
        words[::2] = array("H", [x << 4 | y >> 4 for x, y in zip(first, middle, strict=True)])
        words[1::2] = array("H", [(y & 0x0F) << 8 | z for y, z in zip(middle, last, strict=True)])
    return words[:count]


def pack(words: "Buffer", order: Order = "high_first") -> bytes:
    """Return the octets of ``words`` (``array('H')``); raises :class:`NibbleError` for a word above FFF, naming it."""
    view = uint16(words, "words")
    low_first = _is_low_first(order)
    if max(view, default=0) > MAX_WORD:
        raise word_fault(view)
    first, second = view[::2].tolist(), view[1::2].tolist()
    second += [0] * (len(first) - len(second))
    out = bytearray(3 * len(first))
    if low_first:
        out[::3] = bytes([word & 0xFF for word in first])
        out[1::3] = bytes([a >> 8 | (b & 0x0F) << 4 for a, b in zip(first, second, strict=True)])
        out[2::3] = bytes([word >> 4 for word in second])
    else:
        out[::3] = bytes([word >> 4 for word in first])
        out[1::3] = bytes([(a & 0x0F) << 4 | b >> 8 for a, b in zip(first, second, strict=True)])
        out[2::3] = bytes([word & 0xFF for word in second])
    return bytes(out[: octets_for(len(view))])


def _is_low_first(order: Order) -> bool:
    if order not in ORDERS:
        raise order_fault(order)
    return order == "low_first"
