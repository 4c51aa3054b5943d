"""The compiled build of ``bcd.py``, which has the contract: the 16 digits of a 64-bit word at once.

Digits are joined to numbers below 100, these to numbers below 10000 and so on, each step in all lanes of the word;
encoding goes the same way back. A division by 100, 10 or 10000 is a product and a shift, exact in the lane's range.
"""

from cpython cimport array
from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t

from array import array as new_array

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
from ext._octets cimport clipped, is_array, load_be, open_octets, store_be
from ext._views import int64

cdef enum:
    MOST = 9

cdef extern from *:
    """
    #define TEN_8 100000000ULL
    #define TEN_16 10000000000000000ULL
    static const uint64_t bcd_limits[] = {
        1, 100, 10000, 1000000, TEN_8, 10000000000ULL, 1000000000000ULL, 100000000000000ULL, TEN_16, 100 * TEN_16};
    """
    const uint64_t TEN_8, TEN_16
    const uint64_t[10] bcd_limits

cdef array.array _NUMBERS = new_array("q")


cdef inline uint64_t no_digits(uint64_t x) noexcept nogil:
    """Return 0 where all nibbles are digits."""
    return x & (x << 1 | x << 2) & 0x8888888888888888u


cdef inline uint64_t number(uint64_t x) noexcept nogil:
    x -= (16 - 10) * (x >> 4 & 0x0F0F0F0F0F0F0F0Fu)
    x -= (256 - 100) * (x >> 8 & 0x00FF00FF00FF00FFu)
    x -= (65536 - 10000) * (x >> 16 & 0x0000FFFF0000FFFFu)
    return x - (0x100000000u - TEN_8) * (x >> 32)


cdef inline uint64_t two_digits(uint64_t lanes) noexcept nogil:
    """Return the digits of the numbers in lanes of 16 bits."""
    return lanes + (16 - 10) * (lanes * 103 >> 10 & 0x000F000F000F000Fu)  # / 10


cdef inline uint64_t eight_digits(uint64_t value) noexcept nogil:
    cdef uint64_t part = value * 3518437209u >> 45  # / 10000
    cdef uint64_t x = (part << 32) + value - part * 10000
    part = x * 10486 >> 20 & 0x0000007F0000007Fu  # / 100
    x = two_digits((part << 16) + x - part * 100)
    x = (x | x >> 8) & 0x0000FFFF0000FFFFu
    return (x | x >> 16) & 0xFFFFFFFFu


cdef inline uint64_t digits(uint64_t value, Py_ssize_t size) noexcept nogil:
    cdef uint64_t high
    if size <= 4:
        return eight_digits(value)
    high = value // TEN_8
    return (two_digits(high) if size == 5 else eight_digits(high)) << 32 | eight_digits(value - high * TEN_8)


cdef inline uint64_t gather(const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """Return the integer of up to 8 octets."""
    cdef uint64_t x = 0
    cdef Py_ssize_t i
    for i in range(size):
        x = x << 8 | data[i]
    return x


cdef inline void scatter(uint8_t *out, Py_ssize_t size, uint64_t x) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size - 1, -1, -1):
        out[i] = x & 0xFF
        x >>= 8


cdef inline Py_ssize_t whole_words(Py_ssize_t count, Py_ssize_t size) noexcept nogil:
    """Return how many of ``count`` fields have 8 octets of the buffer from their first one on."""
    return (count * size - 8) // size + 1 if count * size >= 8 else 0


cdef uint64_t decode_fields(const uint8_t *data, Py_ssize_t count, Py_ssize_t size, int64_t *out) noexcept nogil:
    """Fill ``out``; return 0 where all were digits."""
    cdef uint64_t x, bad = 0
    cdef int shift = 64 - 8 * size
    cdef Py_ssize_t i, direct = whole_words(count, size)
    if size == MOST:
        for i in range(count):
            x = load_be(data + 1)
            bad |= no_digits(x) | no_digits(data[0])
            out[i] = number(data[0]) * TEN_16 + number(x)
            data += MOST
        return bad
    for i in range(direct):
        x = load_be(data) >> shift
        bad |= no_digits(x)
        out[i] = number(x)
        data += size
    for i in range(direct, count):
        x = gather(data, size)
        bad |= no_digits(x)
        out[i] = number(x)
        data += size
    return bad


cdef bint encode_fields(const int64_t *values, Py_ssize_t count, Py_ssize_t size, uint8_t *out) noexcept nogil:
    """Fill ``out``; return whether all did fit."""
    cdef uint64_t value, bad = 0, limit = bcd_limits[size]
    cdef int shift = 64 - 8 * size
    cdef Py_ssize_t i, direct = whole_words(count, size)
    if size == MOST:
        for i in range(count):
            value = values[i]
            bad |= value >= limit
            out[0] = two_digits(value // TEN_16 % 100)
            store_be(out + 1, digits(value % TEN_16, 8))
            out += MOST
        return not bad
    for i in range(direct):
        value = values[i]
        bad |= value >= limit
        store_be(out, digits(value, size) << shift)  # the next ones overwrite what is behind
        out += size
    for i in range(direct, count):
        value = values[i]
        bad |= value >= limit
        scatter(out, size, digits(value, size))
        out += size
    return not bad


def decode(data, first=0, size=None):
    """Return the number in ``size`` octets from index ``first``."""
    cdef Py_buffer view
    cdef Py_ssize_t at = clipped(first), octets
    cdef int64_t value
    cdef uint64_t bad
    open_octets(data, &view)
    try:
        if size is None:
            octets = view.len - at if 0 <= at <= view.len else 0
        else:
            octets = clipped(size)
        if not 1 <= octets <= MOST or not 0 <= at <= view.len - octets:
            raise place_fault(view.len, first, view.len - first if size is None else size)
        bad = decode_fields(<const uint8_t *>view.buf + at, 1, octets, &value)
        if bad:
            raise digit_fault((<const uint8_t *>view.buf)[at : at + octets], at)
        return value
    finally:
        PyBuffer_Release(&view)


def decode_each(data, size):
    """Return the numbers of consecutive fields as ``array('q')``."""
    cdef Py_buffer view
    cdef Py_ssize_t octets = clipped(size), count
    cdef array.array out
    open_octets(data, &view)
    try:
        if not 1 <= octets <= MOST or view.len % octets:
            raise division_fault(view.len, size)
        count = view.len // octets
        out = array.clone(_NUMBERS, count, False)
        if decode_fields(<const uint8_t *>view.buf, count, octets, <int64_t *>out.data.as_longlongs):
            raise digit_fault((<const uint8_t *>view.buf)[:view.len])
        return out
    finally:
        PyBuffer_Release(&view)


def encode(value, size):
    """Return ``value`` as exactly ``size`` octets."""
    cdef int64_t number = clipped(value)
    cdef Py_ssize_t octets = clipped(size)
    if not 1 <= octets <= MOST:
        raise size_fault(size)
    out = PyBytes_FromStringAndSize(NULL, octets)
    if not encode_fields(&number, 1, octets, <uint8_t *>PyBytes_AS_STRING(out)):
        raise number_fault(value, size)
    return out


def encode_each(values, size):
    """Return the numbers of ``array('q')`` as consecutive fields of ``size`` octets."""
    cdef Py_buffer view
    cdef Py_ssize_t octets = clipped(size), count
    if not is_array(values, c"q"):
        values = int64(values, "values")
    if not 1 <= octets <= MOST:
        raise size_fault(size)
    open_octets(values, &view)
    try:
        count = view.len // 8
        out = PyBytes_FromStringAndSize(NULL, count * octets)
        if not encode_fields(<const int64_t *>view.buf, count, octets, <uint8_t *>PyBytes_AS_STRING(out)):
            raise numbers_fault(values, size)
        return out
    finally:
        PyBuffer_Release(&view)
