"""Codec of profile blocks: integers and quality flags of consecutive intervals in few octets, safe to keep for years.

A block, version 1:

    octet 0     bits 4-7 version; bits 0-1 scheme (0 no value present, 1 differences, 2 height above the minimum,
                3 differences of differences); bit 2 flags follow; bit 3 a unit follows
    octet 1     grid: 1..6 a day of 24 hours of 900, 300, 3600, 1800, 600, 60 s; 0: count and step follow
    varint      with grid 0: count of intervals (1 .. MAX_COUNT)
    varint      with grid 0: step in seconds (1 .. MAX_STEP)
    flags       with bit 2, else all are 0: runs of (varint length, varint flags) until the count is reached
    varint      base, zigzag: first present value, or with scheme 2 the smallest one; not with scheme 0
    varint      with bit 3: unit (2 or more), else it is 1
    body        residuals of the present values; no octets when all residuals are 0
    4 octets    CRC-32 of all before, low octet first

A missing interval (flag bit 0) has a flag and no value. Residuals are modulo 2^64, for each present value but the first

    scheme 1    zigzag(d), where d = (value - value before) / unit
    scheme 3    zigzag(d - d before), where the first d before is 0

and for each present value in scheme 2 (value - base) / unit. They go in groups of 8, the last perhaps shorter, which
share a class 0..15, a guess of their size. The body is two strings of bits, each from the high bit of an octet to the
low one: groups 0, 2, 4... are in the first, which begins at the body's first octet and goes up; groups 1, 3, 5... are
in the second, which begins at the body's last octet and goes down. So both can be read at once. Each is filled with 0
to an octet's end, and no octet lies between them. A group is

    class       code word of ``NEXT_LENGTHS[class of the group before]``; the first group's: of row 16
    residuals   code word of ``SYMBOL_LENGTHS[class]``, then the bits that its symbol asks for:
                symbols 0, 1    the residual itself
                2 .. 37         none but the highest two of a residual of ``symbol // 2 + 1`` bits; its second bit is
                                the symbol's lowest
                38              6 bits: length less one; then all bits but the highest

Code words are canonical from their lengths (RFC 1951 §3.2.2); both tables stand in ``ext/_profile_format.py``.

Without a compiler this module runs as it stands; ``profile.pyx`` is the same for C.
"""

from array import array
from collections.abc import Sequence
from itertools import pairwise
from math import gcd
from typing import TYPE_CHECKING, Final
from zlib import crc32

from ext import _profile_format as form
from ext._profile_format import MAX_COUNT, MAX_STEP, MISSING, VERSION, ProfileError, codes, fault
from ext._views import int64, octets, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "MAX_COUNT",
    "MAX_STEP",
    "MISSING",
    "VERSION",
    "ProfileError",
    "header",
    "pack",
    "pack_each",
    "unpack",
    "unpack_into",
]

_NONE: Final = 0
_DIFFERENCES: Final = 1
_HEIGHT: Final = 2
_SECOND: Final = 3
_HAS_FLAGS: Final = 4
_HAS_UNIT: Final = 8

_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_SIGN: Final = 0x8000_0000_0000_0000


def pack(values: "Buffer", flags: "Buffer", step: int) -> bytes:
    """Pack raw counts (``array('q')``) and quality flags (``array('H')``, as many) of intervals of ``step`` seconds.

    A value whose flags say missing is not kept. Raises :class:`ProfileError` for a count or step out of bounds.
    """
    value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
    count = len(value_view)
    _check(count, len(flag_view), step)
    return _pack(value_view, flag_view, step)


def pack_each(values: "Buffer", flags: "Buffer", step: int, count: int) -> list[bytes]:
    """Pack a long series as blocks of ``count`` intervals, the last perhaps shorter; else as :func:`pack`."""
    value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
    _check(count, count, step)
    if len(value_view) != len(flag_view):
        raise ProfileError(f"{len(value_view)} values and {len(flag_view)} flags: each interval has one of both")
    firsts = range(0, len(value_view), count)
    return [_pack(value_view[first : first + count], flag_view[first : first + count], step) for first in firsts]


def unpack(data: "Buffer") -> "tuple[array[int], array[int], int]":
    """Return (values as ``array('q')``, flags as ``array('H')``, step in seconds); a missing interval's value is 0.

    Raises :class:`ProfileError` for anything else than a whole and sound block.
    """
    reader, scheme, count, step = _open(data)
    values, flags = array("q", bytes(8 * count)), array("H", bytes(2 * count))
    _read(reader, scheme, memoryview(values), memoryview(flags))
    return values, flags, step


def unpack_into(blocks: "Sequence[Buffer]", values: "Buffer", flags: "Buffer", step: int) -> "array[int]":
    """Unpack blocks of intervals of ``step`` seconds one after the other into ``values``, ``flags``.

    The buffers are int64 and uint16, ``array`` or NumPy. Returns where each block ends, as ``array('q')``. Raises
    :class:`ProfileError` for the first block that is not sound, has another step or does not fit; it names the block,
    and what the buffers hold then is undefined. Compiled, the interpreter's lock is released meanwhile: nobody else may
    touch the buffers.
    """
    value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
    for view, name in ((value_view, "values"), (flag_view, "flags")):
        if view.readonly:
            raise TypeError(f"{name} must be writable")
    room = min(len(value_view), len(flag_view))
    ends = array("q")
    at = 0
    for index, data in enumerate(blocks):
        try:
            reader, scheme, count, own = _open(data)
            if own != step:
                raise fault(form.OTHER_STEP, count, own, step)
            if count > room - at:
                raise fault(form.NO_ROOM, room)
            value_view[at : at + count] = memoryview(bytes(8 * count)).cast(value_view.format)  # type: ignore[call-overload]
            flag_view[at : at + count] = memoryview(bytes(2 * count)).cast("H")
            _read(reader, scheme, value_view[at : at + count], flag_view[at : at + count])
        except ProfileError as error:
            raise ProfileError(f"block {index}: {error}") from None
        at += count
        ends.append(at)
    return ends


def header(data: "Buffer") -> tuple[int, int]:
    """Return (count of intervals, step in seconds) of a whole block, its CRC verified; raises :class:`ProfileError`."""
    _, _, count, step = _open(data)
    return count, step


def _check(count: int, flags: int, step: int) -> None:
    if count != flags:
        raise ProfileError(f"{count} values and {flags} flags: each interval has one of both")
    if not 1 <= count <= MAX_COUNT:
        raise ProfileError(f"a block holds 1..{MAX_COUNT} intervals, not {count}")
    if not 1 <= step <= MAX_STEP:
        raise ProfileError(f"a step is 1..{MAX_STEP} s, not {step}")


# -- writing ---------------------------------------------------------------------------------------------------------


def _pack(values: memoryview, flags: memoryview, step: int) -> bytes:
    runs = _flag_runs(flags)
    present = [value for value, flag in zip(values, flags, strict=True) if not flag & MISSING] if runs else list(values)
    scheme, rest = _NONE, b""
    if present:
        unit = _unit(present)
        base, scheme, residuals = _shortest(present, unit)
        rest = _varint(_zigzag(base & _MASK)) + (_varint(unit) if unit > 1 else b"") + _body(residuals)
        scheme |= _HAS_UNIT if unit > 1 else 0
    count = len(flags)
    day = count * step == form.DAY and step in form.DAY_STEPS
    grid = bytes([form.DAY_STEPS.index(step) + 1]) if day else b"\0" + _varint(count) + _varint(step)
    packed = bytes([VERSION << 4 | scheme | (_HAS_FLAGS if runs else 0)]) + grid + runs + rest
    return packed + crc32(packed).to_bytes(form.CRC_OCTETS, "little")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _flag_runs(flags: memoryview) -> bytes:
    """Return the flags section; empty when all flags are 0."""
    if not any(flags):
        return b""
    out = b""
    start = 0
    for i in range(1, len(flags) + 1):
        if i == len(flags) or flags[i] != flags[start]:
            out += _varint(i - start) + _varint(flags[start])
            start = i
    return out


def _zigzag(difference: int) -> int:
    return ((difference << 1) & _MASK) ^ (_MASK if difference >> 63 else 0)


def _unzigzag(value: int) -> int:
    return (value >> 1) ^ (_MASK if value & 1 else 0)


def _signed(value: int) -> int:
    return (value ^ _SIGN) - _SIGN


def _unit(present: list[int]) -> int:
    """Return the greatest common divisor of all differences; 1 where that is of no use."""
    if len(present) < form.UNIT_COUNT or max(present) - min(present) >= _SIGN:
        return 1
    unit = 0
    for value in present:
        unit = gcd(unit, value - present[0])
        if unit == 1:
            break
    return unit or 1


def _shortest(present: list[int], unit: int) -> tuple[int, int, list[int]]:
    """Return base, scheme and residuals of what is probably the shortest coding."""
    steps = [_signed((after - value) & _MASK) // unit for value, after in pairwise(present)]
    low = min(present)
    candidates = (
        (present[0], _DIFFERENCES, [_zigzag(step & _MASK) for step in steps]),
        (low, _HEIGHT, [(value - low) // unit for value in present]),
        (present[0], _SECOND, [_zigzag((step - last) & _MASK) for last, step in zip([0, *steps], steps, strict=False)]),
    )
    return min(candidates, key=lambda candidate: _estimate(candidate[2]))


def _estimate(residuals: list[int]) -> int:
    """Return about how many bits residuals take: of each group, the bit length of its sum."""
    firsts = range(0, len(residuals), form.GROUP)
    return sum((sum(residuals[first : first + form.GROUP]) & _MASK).bit_length() for first in firsts)


class _Writer:
    """Bits, high bit first."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.acc = 0
        self.fill = 0

    def bits(self, value: int, width: int) -> None:
        """Append the low ``width`` bits of ``value``, which has no others."""
        self.acc = (self.acc << width) | value
        self.fill += width
        while self.fill >= 8:
            self.fill -= 8
            self.out.append((self.acc >> self.fill) & 0xFF)
        self.acc &= (1 << self.fill) - 1

    def octets(self) -> bytes:
        if self.fill:
            self.bits(0, 8 - self.fill)
        return bytes(self.out)


def _words(lengths: str) -> list[tuple[int, int]]:
    """Return (code word, length) by symbol."""
    return [(word, length) for _, word, length in sorted(codes(lengths))]


_SYMBOL_WORDS: Final = [_words(lengths) if any(map(int, lengths)) else [(0, 0)] for lengths in form.SYMBOL_LENGTHS]
_NEXT_WORDS: Final = [_words(lengths) for lengths in form.NEXT_LENGTHS]
_SYMBOL_COSTS: Final = [[int(digit) for digit in lengths] for lengths in form.SYMBOL_LENGTHS]
_NEXT_COSTS: Final = [[int(digit) for digit in lengths] for lengths in form.NEXT_LENGTHS]


def _body(residuals: list[int]) -> bytes:
    if not any(residuals):
        return b""
    front, back = _Writer(), _Writer()
    last = form.START
    for first in range(0, len(residuals), form.GROUP):
        group = residuals[first : first + form.GROUP]
        symbols = [_symbol(u) for u in group]
        own = _class(symbols, last)
        front.bits(*_NEXT_WORDS[last][own])
        last = own
        for u, symbol in zip(group, symbols, strict=True):
            front.bits(*_SYMBOL_WORDS[own][symbol])
            if symbol == form.ESCAPE:
                length = u.bit_length() - 1
                front.bits(length, 6)
                front.bits(u & ((1 << length) - 1), length)
            elif symbol > 3:
                length = symbol // 2 - 1
                front.bits(u & ((1 << length) - 1), length)
        front, back = back, front
    if len(range(0, len(residuals), form.GROUP)) % 2:
        front, back = back, front
    return front.octets() + back.octets()[::-1]


def _symbol(u: int) -> int:
    length = u.bit_length() - 1
    if length < 1:
        return u
    return 2 * length + (u >> length - 1 & 1) if length < form.ESCAPE_BITS else form.ESCAPE


def _class(symbols: list[int], last: int) -> int:
    """Return the class that costs the fewest bits, the smallest of equal ones."""
    best, own = 1 << 30, 0
    for index in range(1 if any(symbols) else 0, form.START):
        costs = _SYMBOL_COSTS[index]
        cost = _NEXT_COSTS[last][index]
        for symbol in symbols:
            cost += costs[symbol]
        if cost < best:
            best, own = cost, index
    return own


# -- reading ---------------------------------------------------------------------------------------------------------


class _Reader:
    """Octets and varints of ``data[at:end]``; past the end it raises :class:`ProfileError`."""

    def __init__(self, data: memoryview, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    def varint(self) -> int:
        value = shift = 0
        while True:
            if self.at >= self.end:
                raise fault(form.TRUNCATED)
            part = self.data[self.at]
            self.at += 1
            if shift == 63 and part > 1:
                raise fault(form.TOO_LONG)
            value |= (part & 0x7F) << shift
            if part < 0x80:
                return value
            shift += 7


class _Bits:
    """Bits of octets, high bit first; behind the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.acc = 0
        self.fill = 0

    def code(self, table: list[tuple[int, int]], width: int) -> int:
        """Return the symbol of the next code word; ``table`` is indexed by the next ``width`` bits."""
        while self.fill < width:
            self._more()
        symbol, length = table[self.acc >> self.fill - width]
        self.fill -= length
        self.acc &= (1 << self.fill) - 1
        return symbol

    def take(self, width: int) -> int:
        while self.fill < width:
            self._more()
        self.fill -= width
        value = self.acc >> self.fill
        self.acc &= (1 << self.fill) - 1
        return value

    def used(self) -> int:
        """Return the number of bits taken."""
        return 8 * self.at - self.fill

    def _more(self) -> None:
        self.acc = self.acc << 32 | int.from_bytes(self.data[self.at : self.at + 4].ljust(4, b"\0"), "big")
        self.at += 4
        self.fill += 32


def _by_bits(lengths: str, width: int) -> list[tuple[int, int]]:
    """Return (symbol, length of its code word) by the next ``width`` bits."""
    table: list[tuple[int, int]] = []
    for symbol, _, length in codes(lengths):
        table += [(symbol, length)] * (1 << width - length)
    return table[: 1 << width]


_SYMBOLS: Final = [_by_bits(lengths, form.SYMBOL_BITS) for lengths in form.SYMBOL_LENGTHS]
_NEXT: Final = [_by_bits(lengths, form.NEXT_BITS) for lengths in form.NEXT_LENGTHS]


def _open(data: "Buffer") -> tuple[_Reader, int, int, int]:
    view = octets(data)
    if len(view) < form.SMALLEST:
        raise fault(form.SHORT, len(view), form.SMALLEST)
    end = len(view) - form.CRC_OCTETS
    found, computed = int.from_bytes(view[end:], "little"), crc32(view[:end])
    if found != computed:
        raise fault(form.DAMAGED, len(view), found, computed)
    if view[0] >> 4 != VERSION:
        raise fault(form.OTHER_VERSION, view[0] >> 4, VERSION)
    scheme = view[0] & 15
    if scheme & 3 == _NONE and scheme & _HAS_UNIT:
        raise fault(form.UNKNOWN_SCHEME, scheme)
    reader = _Reader(view, 2, end)
    if view[1] > len(form.DAY_STEPS):
        raise fault(form.UNKNOWN_GRID, view[1])
    if view[1]:
        step = form.DAY_STEPS[view[1] - 1]
        return reader, scheme, form.DAY // step, step
    count, step = reader.varint(), reader.varint()
    if not 1 <= count <= MAX_COUNT or not 1 <= step <= MAX_STEP:
        raise fault(form.OUT_OF_BOUNDS, count, step, MAX_COUNT, MAX_STEP)
    return reader, scheme, count, step


def _read(reader: _Reader, scheme: int, values: memoryview, flags: memoryview) -> None:
    """Fill ``values`` and ``flags``, which hold zeros."""
    if scheme & _HAS_FLAGS:
        _read_flags(reader, flags)
    places = [i for i, flag in enumerate(flags) if not flag & MISSING]
    coding = scheme & 3
    if coding == _NONE:
        if places:
            raise fault(form.NOT_EMPTY)
        if reader.at != reader.end:
            raise fault(form.LEFT_OVER, reader.end - reader.at, len(flags))
        return
    if not places:
        raise fault(form.ALL_MISSING)
    base = _unzigzag(reader.varint())
    unit = 1
    if scheme & _HAS_UNIT:
        unit = reader.varint()
        if unit < 2:
            raise fault(form.WRONG_UNIT, unit)
    residuals = _read_body(bytes(reader.data[reader.at : reader.end]), len(places) - (coding != _HEIGHT), len(flags))
    if coding == _HEIGHT:
        for i, u in zip(places, residuals, strict=True):
            values[i] = _signed((base + u * unit) & _MASK)
        return
    values[places[0]] = _signed(base)
    step = 0
    for i, u in zip(places[1:], residuals, strict=True):
        step = (step if coding == _SECOND else 0) + _unzigzag(u)
        base = (base + step * unit) & _MASK
        values[i] = _signed(base)


def _read_flags(reader: _Reader, flags: memoryview) -> None:
    at = 0
    while at < len(flags):
        length, flag = reader.varint(), reader.varint()
        if length == 0 or length > len(flags) - at or flag > 0xFFFF:
            raise fault(form.WRONG_RUN, length, flag, at)
        for i in range(at, at + length):
            flags[i] = flag
        at += length


def _read_body(body: bytes, count: int, intervals: int) -> list[int]:
    if not body:
        return [0] * count
    front, back = _Bits(body), _Bits(body[::-1])
    found: list[int] = []
    own = form.START
    while len(found) < count:
        own = front.code(_NEXT[own], form.NEXT_BITS)
        table = _SYMBOLS[own]
        for _ in range(min(form.GROUP, count - len(found))):
            symbol = front.code(table, form.SYMBOL_BITS)
            if symbol == form.ESCAPE:
                length = front.take(6)
                found.append(1 << length | front.take(length))
            elif symbol > 3:
                length = symbol // 2 - 1
                found.append((2 | symbol & 1) << length | front.take(length))
            else:
                found.append(symbol)
        front, back = back, front
    used = (front.used() + 7) // 8 + (back.used() + 7) // 8
    if used > len(body):
        raise fault(form.TRUNCATED)
    if used < len(body):
        raise fault(form.LEFT_OVER, len(body) - used, intervals)
    if front.take(-front.used() % 8) or back.take(-back.used() % 8):
        raise fault(form.PADDING)
    return found
