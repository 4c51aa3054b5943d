"""Codec of profile blocks: integers and quality flags of consecutive intervals in few octets, safe to keep for years.

A block, version 1:

    octet 0     version
    octet 1     scheme: bits 0-1 values (0 none present, 1 differences, 2 height above the minimum), bit 2 flags follow
    varint      count of intervals (1 .. MAX_COUNT)
    varint      step in seconds (1 .. MAX_STEP)
    flags       only with bit 2, else all are 0: runs of (varint length, varint flags) until ``count`` is reached
    varint      base, zigzag: first present value (differences) or smallest one (height); not with 0
    bits        residuals of the present values, high bit first, 0 to the octet's end
    4 octets    CRC-32 of all before, low octet first

A missing interval (flag bit 0) has a flag and no value. Residuals are modulo 2^64: zigzag of the difference to the
value before (the first present value has none), or value - minimum. They are coded by

    gamma(n)    ones as many as n has bits less one, a zero, those bits without the highest
    rice(u)     u >> k ones, a zero, the low k bits; 16 or more ones would stand: 16 ones, 6 bits of length less one,
                then u itself in that length

beginning with gamma(1 + number of zero residuals that follow); after such a run the next is not zero and is sent as
rice(u - 1); after a residual that is zero by itself comes the next run. k follows the running mean: with m starting at
4 * 256 and after each residual ``m += min(u, 2^30) - m // 4``, k is the bit length of (m // 4) * 2 // 3.
"""

from array import array
from typing import TYPE_CHECKING, Final
from zlib import crc32

from ext._views import int64, octets, uint16

if TYPE_CHECKING:
    from typing_extensions import Buffer

VERSION: Final = 1

#: A quarter-hour block of almost three years; a bound on what a few octets can make a reader allocate.
MAX_COUNT: Final = 100_000
MAX_STEP: Final = 86_400
#: The flag bit that says "no value"; equal to ``shared.quality.Quality.MISSING``.
MISSING: Final = 1

_NONE: Final = 0
_DIFFERENCES: Final = 1
_HEIGHT: Final = 2
_HAS_FLAGS: Final = 4

_CRC_OCTETS: Final = 4
_SMALLEST: Final = 4 + _CRC_OCTETS

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_SIGN = 0x8000_0000_0000_0000
_ESCAPE = 16
_CLAMP = 1 << 30
_MEAN_START = 4 * 256


class ProfileError(ValueError):
    """Octets that are no profile block, or values that cannot become one."""


def pack(values: "Buffer", flags: "Buffer", step: int) -> bytes:
    """Pack raw counts (``array('q')``) and quality flags (``array('H')``, as many) of intervals of ``step`` seconds.

    A value whose flags say missing is not kept. Raises :class:`ProfileError` for a count or step out of bounds.
    """
    value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
    count = len(value_view)
    if count != len(flag_view):
        raise ProfileError(f"{count} values and {len(flag_view)} flags: each interval has one of both")
    if not 1 <= count <= MAX_COUNT:
        raise ProfileError(f"a block holds 1..{MAX_COUNT} intervals, not {count}")
    if not 1 <= step <= MAX_STEP:
        raise ProfileError(f"a step is 1..{MAX_STEP} s, not {step}")
    present = array("q", bytes(8 * count))
    found = _present(value_view, flag_view, memoryview(present))
    scheme, body = _shortest(_unsigned(present)[:found]) if found else (_NONE, b"")
    writer = _Writer()
    runs = _flag_runs(flag_view)
    writer.octet(VERSION)
    writer.octet(scheme | (_HAS_FLAGS if runs else 0))
    writer.varint(count)
    writer.varint(step)
    head = bytes(writer.out)
    packed = head + runs + body
    return packed + crc32(packed).to_bytes(_CRC_OCTETS, "little")


def unpack(data: "Buffer") -> "tuple[array[int], array[int], int]":
    """Return (values as ``array('q')``, flags as ``array('H')``, step in seconds); a missing interval's value is 0.

    Raises :class:`ProfileError` for anything that :func:`pack` did not make.
    """
    reader, scheme, count, step = _open(data)
    flags = array("H", bytes(2 * count))
    if scheme & _HAS_FLAGS:
        _read_flags(reader, memoryview(flags))
    values = array("q", bytes(8 * count))
    coding = scheme & 3
    if coding != _NONE:
        _read_values(reader, coding == _DIFFERENCES, memoryview(flags), _unsigned(values))
    elif not all(flag & MISSING for flag in flags):
        raise ProfileError("block says that no value is present and marks intervals as present")
    if reader.at != reader.end:
        raise ProfileError(f"{reader.end - reader.at} octets are left over in a block of {count} intervals")
    return values, flags, step


def header(data: "Buffer") -> tuple[int, int]:
    """Return (count of intervals, step in seconds) of a whole block, its CRC verified; raises :class:`ProfileError`."""
    _, _, count, step = _open(data)
    return count, step


def _open(data: "Buffer") -> "tuple[_Reader, int, int, int]":
    view = octets(data)
    if len(view) < _SMALLEST:
        raise ProfileError(f"{len(view)} octets are no profile block: the smallest has {_SMALLEST}")
    end = len(view) - _CRC_OCTETS
    found, computed = int.from_bytes(view[end:], "little"), crc32(view[:end])
    if found != computed:
        raise ProfileError(f"block of {len(view)} octets is damaged: CRC {found:08X}, computed {computed:08X}")
    if view[0] != VERSION:
        raise ProfileError(f"block has version {view[0]}, this program only reads version {VERSION}: update it")
    scheme = view[1]
    if scheme > _HEIGHT | _HAS_FLAGS or scheme & 3 > _HEIGHT:
        raise ProfileError(f"block has the unknown scheme {scheme:02X}")
    reader = _Reader(view, 2, end)
    count, step = reader.varint(), reader.varint()
    if not 1 <= count <= MAX_COUNT or not 1 <= step <= MAX_STEP:
        raise ProfileError(f"block of {count} intervals of {step} s is out of bounds ({MAX_COUNT}, {MAX_STEP} s)")
    return reader, scheme, count, step


def _unsigned(values: "array[int]") -> memoryview:
    return memoryview(values).cast("B").cast("Q")


def _shortest(present: memoryview) -> tuple[int, bytes]:
    """Return scheme and octets of the shorter of both codings."""
    residuals = memoryview(array("Q", bytes(8 * len(present))))
    candidates = []
    for coding in (_DIFFERENCES, _HEIGHT):
        writer = _Writer()
        first = _residuals(present, coding == _DIFFERENCES, residuals, writer)
        _write_residuals(writer, residuals[first:])
        candidates.append((len(writer.out), coding, bytes(writer.out)))
    _, coding, body = min(candidates)
    return coding, body


class _Writer:
    """Octets, varints and bits, high bit first."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.acc = 0
        self.fill = 0

    def octet(self, value: int) -> None:
        self.out.append(value)

    def varint(self, value: int) -> None:
        while value > 0x7F:
            self.out.append(value & 0x7F | 0x80)
            value >>= 7
        self.out.append(value)

    def bits(self, value: int, width: int) -> None:
        """Append the low ``width`` (0..32) bits of ``value``, which has no others."""
        self.acc = (self.acc << width) | value
        self.fill += width
        while self.fill >= 8:
            self.fill -= 8
            self.out.append((self.acc >> self.fill) & 0xFF)
        self.acc &= (1 << self.fill) - 1

    def flush(self) -> None:
        if self.fill:
            self.bits(0, 8 - self.fill)


class _Reader:
    """The reverse of :class:`_Writer` over ``data[at:end]``; past the end it raises :class:`ProfileError`."""

    def __init__(self, data: memoryview, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end
        self.acc = 0
        self.fill = 0

    def octet(self) -> int:
        if self.at >= self.end:
            raise ProfileError("block ends in the middle of its values")
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = 0
        shift = 0
        while True:
            part = self.octet()
            if shift == 63 and part > 1:
                raise ProfileError("block holds a number of more than 64 bits")
            value |= (part & 0x7F) << shift
            if part < 0x80:
                return value
            shift += 7

    def bits(self, width: int) -> int:
        """Return the next ``width`` (0..32) bits."""
        while self.fill < width:
            self.acc = self.acc << 8 | self.octet()
            self.fill += 8
        self.fill -= width
        value = self.acc >> self.fill
        self.acc &= (1 << self.fill) - 1
        return value

    def ones(self, limit: int) -> int:
        """Return the number of ones before a zero; after ``limit`` ones no zero follows."""
        count = 0
        while count < limit and self.bits(1):
            count += 1
        return count


def _present(values: memoryview, flags: memoryview, out: memoryview) -> int:
    """Copy the values that are not missing to the front of ``out``; return their number."""
    found = 0
    for i in range(len(values)):
        if not flags[i] & 1:
            out[found] = values[i]
            found += 1
    return found


def _flag_runs(flags: memoryview) -> bytes:
    """Return the flags section; empty when all flags are 0."""
    writer = _Writer()
    seen = 0
    start = 0
    for i in range(1, len(flags) + 1):
        if i == len(flags) or flags[i] != flags[start]:
            writer.varint(i - start)
            writer.varint(flags[start])
            seen |= flags[start]
            start = i
    return bytes(writer.out) if seen else b""


def _read_flags(reader: "_Reader", flags: memoryview) -> None:
    at = 0
    left = len(flags)
    while left:
        length = reader.varint()
        flag = reader.varint()
        if length == 0 or length > left or flag > 0xFFFF:
            raise ProfileError(f"run of {length} intervals with flags {flag:X} does not fit at interval {at}")
        left -= length
        while length:
            flags[at] = flag
            at += 1
            length -= 1


def _zigzag(difference: int) -> int:
    return ((difference << 1) & _MASK) ^ (_MASK if difference >> 63 else 0)


def _unzigzag(value: int) -> int:
    return (value >> 1) ^ (_MASK if value & 1 else 0)


def _residuals(values: memoryview, differences: bool, out: memoryview, writer: "_Writer") -> int:
    """Write the base, fill ``out``; return the index of the first residual that must be sent."""
    base = values[0]
    for i in range(len(values)):
        if differences:
            out[i] = _zigzag((values[i] - base) & _MASK)
            base = values[i]
        elif values[i] ^ _SIGN < base ^ _SIGN:
            base = values[i]
    writer.varint(_zigzag(values[0] if differences else base))
    if differences:
        return 1
    for i in range(len(values)):
        out[i] = (values[i] - base) & _MASK
    return 0


def _width(value: int) -> int:
    """Return the bit length."""
    width = 0
    while value:
        value >>= 1
        width += 1
    return width


def _write_residuals(writer: "_Writer", residuals: memoryview) -> None:
    mean = _MEAN_START
    count = len(residuals)
    run = 0
    i = 0
    after_zero = True
    while i < count:
        offset = 0
        if after_zero:
            run = i
            while i < count and residuals[i] == 0:
                i += 1
            run = i - run + 1
            width = _width(run) - 1
            writer.bits(((1 << width) - 1) << 1, width + 1)
            writer.bits(run - (1 << width), width)
            if i == count:
                break
            offset = 1
        u = residuals[i]
        _write_rice(writer, u - offset, _width((mean >> 2) * 2 // 3))
        mean += min(u, _CLAMP) - (mean >> 2)
        after_zero = u == 0
        i += 1
    writer.flush()


def _write_rice(writer: "_Writer", u: int, k: int) -> None:
    quotient = u >> k
    if quotient < _ESCAPE:
        writer.bits(((1 << quotient) - 1) << 1, quotient + 1)
        writer.bits(u & ((1 << k) - 1), k)
    else:
        width = _width(u)
        writer.bits((1 << _ESCAPE) - 1, _ESCAPE)
        writer.bits(width - 1, 6)
        if width > 32:
            writer.bits(u >> 32, width - 32)
            writer.bits(u & 0xFFFF_FFFF, 32)
        else:
            writer.bits(u, width)


def _read_rice(reader: "_Reader", k: int) -> int:
    quotient = reader.ones(_ESCAPE)
    if quotient < _ESCAPE:
        return quotient << k | reader.bits(k)
    width = reader.bits(6) + 1
    if width > 32:
        high = reader.bits(width - 32)
        return high << 32 | reader.bits(32)
    return reader.bits(width)


def _read_run(reader: "_Reader") -> int:
    width = reader.ones(17)
    return (1 << width) + reader.bits(width) - 1


def _read_values(reader: "_Reader", differences: bool, flags: memoryview, out: memoryview) -> None:
    """Fill ``out`` (zeroed, unsigned) at the intervals that are not missing."""
    base = _unzigzag(reader.varint())
    mean = _MEAN_START
    run = 0
    offset = 0
    first = differences
    after_zero = True
    for i in range(len(out)):
        if flags[i] & 1:
            continue
        if first:
            first = False
            out[i] = base
            continue
        if after_zero:
            after_zero = False
            run = _read_run(reader)
            offset = 1
        if run:
            run -= 1
            out[i] = base
            continue
        u = _read_rice(reader, _width((mean >> 2) * 2 // 3))
        if offset:
            if u == _MASK:
                raise ProfileError("block holds a residual of more than 64 bits")
            u += 1
            offset = 0
        mean += min(u, _CLAMP) - (mean >> 2)
        after_zero = u == 0
        if differences:
            base = (base + _unzigzag(u)) & _MASK
            out[i] = base
        else:
            out[i] = (base + u) & _MASK
    if run:
        raise ProfileError(f"block holds {run} values more than intervals")
