"""What both builds of ``bcd`` and ``nibbles`` share: limits and errors."""

from collections.abc import Iterable
from typing import Final, Literal, get_args

#: 18 digits: the most that always fit a signed 64-bit integer.
MAX_OCTETS: Final = 9

Order = Literal["high_first", "low_first"]
ORDERS: Final[tuple[Order, ...]] = get_args(Order)

MAX_WORD: Final = 0xFFF


class BcdError(ValueError):
    """Not packed BCD, or a number that does not fit; ``octet``: index of the bad octet in the buffer, -1 for none."""

    def __init__(self, message: str, octet: int = -1) -> None:
        super().__init__(message)
        self.octet = octet


class NibbleError(ValueError):
    """Octets that do not hold the words asked for, or a word above FFF."""


def octets_for(count: int) -> int:
    """Return how many octets hold ``count`` words of 12 bits."""
    return (count * 3 + 1) // 2


def size_fault(size: int, octet: int = -1) -> BcdError:
    """Return the error of a field that is too long or has no octets."""
    return BcdError(f"a BCD field has 1..{MAX_OCTETS} octets, not {size}", octet)


def place_fault(length: int, first: int, size: int) -> BcdError:
    """Return the error of a field that is not inside a buffer of ``length`` octets."""
    if not 1 <= size <= MAX_OCTETS:
        return size_fault(size, first)
    return BcdError(f"BCD field at octets {first}..{first + size - 1} is outside the buffer of {length}", first)


def division_fault(length: int, size: int) -> BcdError:
    """Return the error of ``length`` octets that are no fields of ``size``."""
    return BcdError(f"{length} octets are no whole number of BCD fields of {size} (1..{MAX_OCTETS}) octets")


def digit_fault(octets: Iterable[int], first: int = 0) -> BcdError:
    """Return the error of the first octet that is no two digits; ``octets`` begin at index ``first``."""
    index, octet = next((i, octet) for i, octet in enumerate(octets, first) if octet > 0x99 or octet & 0x0F > 9)
    return BcdError(f"octet {index} is {octet:02X}, not two BCD digits", index)


def number_fault(value: int, size: int) -> BcdError:
    """Return the error of a number that is negative or has more digits than ``size`` octets."""
    return BcdError(f"{value} does not fit {2 * size} BCD digits")


def numbers_fault(values: Iterable[int], size: int) -> BcdError:
    """Return the error of the first of ``values`` that does not fit."""
    index, value = next((i, value) for i, value in enumerate(values) if not 0 <= value < 10 ** (2 * size))
    return BcdError(f"number {index}: {number_fault(value, size)}")


def odd_fault(length: int) -> NibbleError:
    """Return the error of octets that are no whole number of words."""
    return NibbleError(f"{length} octets are no whole number of 12-bit words: one octet is left over")


def count_fault(count: int, length: int) -> NibbleError:
    """Return the error of more words than the octets hold."""
    return NibbleError(f"{count} words of 12 bits need {octets_for(count)} octets, {length} are there")


def word_fault(words: Iterable[int]) -> NibbleError:
    """Return the error of the first word above FFF."""
    index, word = next((i, word) for i, word in enumerate(words) if word > MAX_WORD)
    return NibbleError(f"word {index} is {word:X}, above FFF")


def order_fault(order: object) -> NibbleError:
    """Return the error of an order that is none."""
    return NibbleError(f"nibble order {order!r} is unknown: {' or '.join(ORDERS)}")
