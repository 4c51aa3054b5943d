"""Packed BCD, most significant octet first (dossier abnt-nbr-14522 §4).

Without a compiler this module runs as it stands; ``bcd.pyx`` is the same for C.
"""

from array import array
from operator import index
from typing import TYPE_CHECKING

from ext._fields import (
    MAX_OCTETS,
    BcdError,
    digit_fault,
    division_fault,
    number_fault,
    numbers_fault,
    place_fault,
    size_fault,
)
from ext._views import int64, octets

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["MAX_OCTETS", "BcdError", "decode", "decode_each", "encode", "encode_each"]


def decode(data: "Buffer", first: int = 0, size: int | None = None) -> int:
    """Return the number in ``size`` octets from index ``first`` (by default all of them).

    Raises :class:`BcdError` naming the octet when a nibble is above 9, and when the octets are not there.
    """
    view = octets(data)
    if size is None:
        size = len(view) - first
    if not 1 <= size <= MAX_OCTETS or not 0 <= first <= len(view) - size:
        raise place_fault(len(view), first, size)
    digits = view[first : first + size].hex()
    if not digits.isdecimal():
        raise digit_fault(view[first : first + size], first)
    return int(digits)


def decode_each(data: "Buffer", size: int) -> "array[int]":
    """Return the numbers of consecutive fields of ``size`` octets as ``array('q')``.

    Raises :class:`BcdError` naming the octet when a nibble is above 9, and when octets are left over.
    """
    view = octets(data)
    if not 1 <= size <= MAX_OCTETS or len(view) % size:
        raise division_fault(len(view), size)
    digits = view.hex()
    if digits and not digits.isdecimal():
        raise digit_fault(view)
    return array("q", [int(digits[first : first + 2 * size]) for first in range(0, len(digits), 2 * size)])


def encode(value: int, size: int) -> bytes:
    """Return ``value`` as exactly ``size`` octets; raises :class:`BcdError` when it is negative or has more digits."""
    if not 1 <= size <= MAX_OCTETS:
        raise size_fault(size)
    if not 0 <= index(value) < 10 ** (2 * size):
        raise number_fault(value, size)
    return bytes.fromhex(f"{value:0{2 * size}d}")


def encode_each(values: "Buffer", size: int) -> bytes:
    """Return the numbers of ``array('q')`` as consecutive fields of ``size`` octets.

    Raises :class:`BcdError` naming the first number that is negative or has more digits.
    """
    view = int64(values, "values")
    if not 1 <= size <= MAX_OCTETS:
        raise size_fault(size)
    if len(view) and not 0 <= min(view) <= max(view) < 10 ** (2 * size):
        raise numbers_fault(view, size)
    return bytes.fromhex("".join([f"{value:0{2 * size}d}" for value in view]))
