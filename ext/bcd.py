"""Packed BCD, most significant octet first (dossier abnt-nbr-14522 §4)."""

from array import array
from typing import TYPE_CHECKING, Final

from ext._views import octets

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: 18 digits: the most that always fit a signed 64-bit integer.
MAX_OCTETS: Final = 9


class BcdError(ValueError):
    """Not packed BCD, or a number that does not fit; ``octet``: index of the bad octet in the buffer, -1 for none."""

    def __init__(self, message: str, octet: int = -1) -> None:
        super().__init__(message)
        self.octet = octet


def decode(data: "Buffer", first: int = 0, size: int | None = None) -> int:
    """Return the number in ``size`` octets from index ``first`` (by default all of them).

    Raises :class:`BcdError` naming the octet when a nibble is above 9, and when the octets are not there.
    """
    view = octets(data)
    if size is None:
        size = len(view) - first
    _check_field(len(view), first, size)
    value = _decode(view, first, size)
    if value < 0:
        raise _bad_octet(view, -1 - value)
    return value


def decode_each(data: "Buffer", size: int) -> "array[int]":
    """Return the numbers of consecutive fields of ``size`` octets as ``array('q')``.

    Raises :class:`BcdError` naming the octet when a nibble is above 9, and when octets are left over.
    """
    view = octets(data)
    if not 1 <= size <= MAX_OCTETS or len(view) % size:
        raise BcdError(f"{len(view)} octets are no whole number of BCD fields of {size} (1..{MAX_OCTETS}) octets")
    out = array("q", bytes(8 * (len(view) // size)))
    bad = _decode_each(view, size, memoryview(out))
    if bad >= 0:
        raise _bad_octet(view, bad)
    return out


def encode(value: int, size: int) -> bytes:
    """Return ``value`` as exactly ``size`` octets; raises :class:`BcdError` when it is negative or has more digits."""
    if not 1 <= size <= MAX_OCTETS:
        raise BcdError(f"a BCD field has 1..{MAX_OCTETS} octets, not {size}")
    if not 0 <= value < 10 ** (2 * size):
        raise BcdError(f"{value} does not fit {2 * size} BCD digits")
    return bytes.fromhex(f"{value:0{2 * size}d}")


def _check_field(length: int, first: int, size: int) -> None:
    if not 1 <= size <= MAX_OCTETS:
        raise BcdError(f"a BCD field has 1..{MAX_OCTETS} octets, not {size}", first)
    if first < 0 or first + size > length:
        raise BcdError(f"BCD field at octets {first}..{first + size - 1} is outside the buffer of {length}", first)


def _bad_octet(view: memoryview, octet: int) -> BcdError:
    return BcdError(f"octet {octet} is {view[octet]:02X}, not two BCD digits", octet)


def _decode(data: memoryview, first: int, size: int) -> int:
    """Return the number, or -1 - index of the first octet that is no two digits."""
    value = 0
    for i in range(first, first + size):
        octet = data[i]
        if octet > 0x99 or octet & 0x0F > 9:
            return -1 - i
        value = value * 100 + octet - 6 * (octet >> 4)
    return value


def _decode_each(data: memoryview, size: int, out: memoryview) -> int:
    """Fill ``out``; return -1, or the index of the first octet that is no two digits."""
    for field in range(len(out)):
        value = _decode(data, field * size, size)
        if value < 0:
            return -1 - value
        out[field] = value
    return -1
