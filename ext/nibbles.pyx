"""The compiled build of ``nibbles.py``, which has the contract: four words, six octets, at once.

The 48 bits of a group stand in one 64-bit integer; two steps move its halves, then the halves of these, into lanes of
16 bits, or back. What is left at the end goes through the same steps in a padded copy.
"""

from cpython cimport array
from cpython.buffer cimport PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy

from array import array as new_array

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
from ext._octets cimport clipped, is_array, load_be, load_le, open_octets, store_be, store_le
from ext._views import uint16

cdef enum:
    GROUP = 4
    GROUP_OCTETS = 6
    #: A group is read, and written, as 8 octets.
    MARGIN = 2

cdef extern from *:
    """
    #define LOW_HALVES 0x00000FFF00000FFFULL
    """
    const uint64_t LOW_HALVES

cdef array.array _WORDS = new_array("H")


cdef inline uint64_t spread(const uint8_t *data, bint low_first) noexcept nogil:
    """Return four words, the first one lowest."""
    cdef uint64_t x
    if low_first:
        x = load_le(data)
        x = x & 0xFFFFFFu | x << 8 & 0x00FFFFFF00000000u
        return x & LOW_HALVES | (x >> 12 & LOW_HALVES) << 16
    x = load_be(data)
    x = x >> 40 | (x >> 16 & 0xFFFFFFu) << 32
    return x >> 12 & LOW_HALVES | (x & LOW_HALVES) << 16


cdef inline void join(uint8_t *out, uint64_t x, bint low_first) noexcept nogil:
    """Write the octets of four words, and two of 00."""
    if low_first:
        x = x & LOW_HALVES | x >> 4 & LOW_HALVES << 12
        store_le(out, x & 0xFFFFFFu | x >> 8 & 0x0000FFFFFF000000u)
    else:
        x = (x & LOW_HALVES) << 12 | x >> 16 & LOW_HALVES
        store_be(out, x << 40 | x >> 32 << 16)


cdef inline uint64_t take(const uint16_t *words) noexcept nogil:
    return words[0] | <uint64_t>words[1] << 16 | <uint64_t>words[2] << 32 | <uint64_t>words[3] << 48


cdef inline void give(uint16_t *words, uint64_t x) noexcept nogil:
    words[0], words[1], words[2], words[3] = x & 0xFFFF, x >> 16 & 0xFFFF, x >> 32 & 0xFFFF, x >> 48


cdef inline void unpack_words(
    const uint8_t *data, Py_ssize_t size, uint16_t *out, Py_ssize_t count, bint low_first
) noexcept nogil:
    """Fill ``count`` words from ``size`` octets, which hold as many at least."""
    cdef uint8_t[8] octets
    cdef uint16_t[4] words
    while count >= GROUP and size >= GROUP_OCTETS + MARGIN:
        give(out, spread(data, low_first))
        data += GROUP_OCTETS
        size -= GROUP_OCTETS
        out += GROUP
        count -= GROUP
    while count > 0:
        memcpy(octets, data, min(size, GROUP_OCTETS))
        give(words, spread(octets, low_first))
        memcpy(out, words, 2 * min(count, GROUP))
        data += GROUP_OCTETS
        size -= GROUP_OCTETS
        out += GROUP
        count -= GROUP


cdef inline uint64_t pack_words(
    const uint16_t *words, Py_ssize_t count, uint8_t *out, Py_ssize_t size, bint low_first
) noexcept nogil:
    """Fill ``size`` octets with ``count`` words; return 0 where none was above FFF."""
    cdef uint8_t[8] octets
    cdef uint16_t[4] last
    cdef uint64_t x, bad = 0
    while count >= GROUP and size >= GROUP_OCTETS + MARGIN:
        x = take(words)
        bad |= x
        join(out, x, low_first)
        words += GROUP
        count -= GROUP
        out += GROUP_OCTETS
        size -= GROUP_OCTETS
    while count > 0:
        last[0] = last[1] = last[2] = last[3] = 0
        memcpy(last, words, 2 * min(count, GROUP))
        x = take(last)
        bad |= x
        join(octets, x, low_first)
        memcpy(out, octets, min(size, GROUP_OCTETS))
        words += GROUP
        count -= GROUP
        out += GROUP_OCTETS
        size -= GROUP_OCTETS
    return bad & 0xF000F000F000F000u


cdef inline bint is_low_first(order) except -1:
    if order == "high_first":
        return False
    if order == "low_first":
        return True
    raise order_fault(order)


def unpack(data, order="high_first", count=None):
    """Return the first ``count`` words as ``array('H')``."""
    cdef Py_buffer view
    cdef Py_ssize_t words
    cdef bint low_first
    cdef array.array out
    open_octets(data, &view)
    try:
        words = view.len * 2 // 3
        if count is None:
            if view.len % 3 == 1:
                raise odd_fault(view.len)
        elif 0 <= clipped(count) <= words:
            words = clipped(count)
        else:
            raise count_fault(count, view.len)
        low_first = is_low_first(order)
        out = array.clone(_WORDS, words, False)
        if low_first:
            unpack_words(<const uint8_t *>view.buf, view.len, out.data.as_ushorts, words, True)
        else:
            unpack_words(<const uint8_t *>view.buf, view.len, out.data.as_ushorts, words, False)
        return out
    finally:
        PyBuffer_Release(&view)


def pack(words, order="high_first"):
    """Return the octets of ``words`` (``array('H')``)."""
    cdef Py_buffer view
    cdef Py_ssize_t count, size
    cdef bint low_first
    cdef const uint16_t *first
    cdef uint8_t *to
    cdef uint64_t bad
    if not is_array(words, c"H"):
        words = uint16(words, "words")
    low_first = is_low_first(order)
    open_octets(words, &view)
    try:
        count = view.len // 2
        size = (3 * count + 1) // 2
        out = PyBytes_FromStringAndSize(NULL, size)
        first, to = <const uint16_t *>view.buf, <uint8_t *>PyBytes_AS_STRING(out)
        if low_first:
            bad = pack_words(first, count, to, size, True)
        else:
            bad = pack_words(first, count, to, size, False)
        if bad:
            raise word_fault(words)
        return out
    finally:
        PyBuffer_Release(&view)
