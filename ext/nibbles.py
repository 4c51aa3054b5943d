"""12-bit words, two in three octets, in both nibble orders (dossier abnt-nbr-14522 §8.1).

Octets AB CD EF hold the words ABC and DEF when the high nibbles come first, DAB and EFC when the low ones do. An odd
number of words ends in two octets, the spare nibble is 0.

Without a compiler this module runs as it stands; ``nibbles.pyx`` is the same for C.
"""

from array import array
from itertools import zip_longest
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
    held = bytes(view[: octets_for(count)]) + b"\0"  # the other half of an odd word's pair
    out = array("H")
    for first in range(0, len(held) - 2, 3):
        high, low = divmod(int.from_bytes(held[first : first + 3], "little" if low_first else "big"), 0x1000)
        out.extend((low, high) if low_first else (high, low))
    return out[:count]


def pack(words: "Buffer", order: Order = "high_first") -> bytes:
    """Return the octets of ``words`` (``array('H')``); raises :class:`NibbleError` for a word above FFF, naming it."""
    view = uint16(words, "words")
    low_first = _is_low_first(order)
    if max(view, default=0) > MAX_WORD:
        raise word_fault(view)
    out = bytearray()
    for first, second in zip_longest(view[::2], view[1::2], fillvalue=0):
        high, low = (second, first) if low_first else (first, second)
        out += (high * 0x1000 + low).to_bytes(3, "little" if low_first else "big")
    return bytes(out[: octets_for(len(view))])


def _is_low_first(order: Order) -> bool:
    if order not in ORDERS:
        raise order_fault(order)
    return order == "low_first"
