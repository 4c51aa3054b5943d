"""12-bit words, two in three octets, in both nibble orders (dossier abnt-nbr-14522 §8.1).

Octets AB CD EF hold the words ABC and DEF when the high nibbles come first, DAB and EFC when the low ones do. An odd
number of words ends in two octets, the spare nibble is 0.
"""

from array import array
from typing import TYPE_CHECKING, Final, Literal, get_args

from ext._views import octets, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

Order = Literal["high_first", "low_first"]
ORDERS: Final[tuple[Order, ...]] = get_args(Order)

MAX_WORD: Final = 0xFFF


class NibbleError(ValueError):
    """Octets that do not hold the words asked for, or a word above FFF."""


def octets_for(count: int) -> int:
    """Return how many octets hold ``count`` words."""
    return (count * 3 + 1) // 2


def unpack(data: "Buffer", order: Order = "high_first", count: int | None = None) -> "array[int]":
    """Return the first ``count`` words as ``array('H')``; without a count, all the octets hold.

    With a count, octets behind the last word are padding and may hold anything. Raises :class:`NibbleError` when fewer
    are there, or when no count is given and the octets are no whole number of words.
    """
    view = octets(data)
    if count is None:
        if len(view) % 3 == 1:
            raise NibbleError(f"{len(view)} octets are no whole number of 12-bit words: one octet is left over")
        count = len(view) * 2 // 3
    elif count < 0 or octets_for(count) > len(view):
        raise NibbleError(f"{count} words of 12 bits need {octets_for(count)} octets, {len(view)} are there")
    out = array("H", bytes(2 * count))
    _unpack(view, _is_low_first(order), memoryview(out))
    return out


def pack(words: "Buffer", order: Order = "high_first") -> bytes:
    """Return the octets of ``words`` (``array('H')``); raises :class:`NibbleError` for a word above FFF, naming it."""
    view = uint16(words, "words")
    out = bytearray(octets_for(len(view)))
    bad = _pack(view, _is_low_first(order), memoryview(out))
    if bad >= 0:
        raise NibbleError(f"word {bad} is {view[bad]:X}, above FFF")
    return bytes(out)


def _is_low_first(order: Order) -> bool:
    if order not in ORDERS:
        raise NibbleError(f"nibble order {order!r} is unknown: {' or '.join(ORDERS)}")
    return order == "low_first"


def _unpack(data: memoryview, low_first: bool, out: memoryview) -> None:
    at = 0
    for i in range(len(out)):
        if low_first:
            out[i] = (data[at + 1] >> 4) | (data[at + 2] << 4) if i & 1 else data[at] | (data[at + 1] & 0x0F) << 8
        else:
            out[i] = (data[at + 1] & 0x0F) << 8 | data[at + 2] if i & 1 else data[at] << 4 | data[at + 1] >> 4
        if i & 1:
            at += 3


def _pack(words: memoryview, low_first: bool, out: memoryview) -> int:
    """Fill ``out`` (zeroed); return -1, or the index of the first word above FFF."""
    at = 0
    for i in range(len(words)):
        word = words[i]
        if word > 0xFFF:
            return i
        if i & 1:
            out[at + 1] |= (word & 0x0F) << 4 if low_first else word >> 8
            out[at + 2] = word >> 4 if low_first else word & 0xFF
            at += 3
        else:
            out[at] = word & 0xFF if low_first else word >> 4
            out[at + 1] = word >> 8 if low_first else (word & 0x0F) << 4
    return -1
