"""The compiled build of ``profile.py``, which has the contract and the format: here are the same steps over pointers."""

cimport cython
from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from array import array as new_array

from ext import _profile_format as form
from ext._profile_format import MAX_COUNT, MAX_STEP, MISSING, VERSION, ProfileError, codes, fault
from ext._views import int64, octets, uint16

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define PROFILE_BE(x) (x)
    #define PROFILE_LE(x) __builtin_bswap64(x)
    #define LATER_LANES(v, bits) ((v) << (bits))
    #else
    #define PROFILE_BE(x) __builtin_bswap64(x)
    #define PROFILE_LE(x) (x)
    #define LATER_LANES(v, bits) ((v) >> (bits))
    #endif
    static inline uint64_t load_be(const uint8_t *at) { uint64_t x; memcpy(&x, at, 8); return PROFILE_BE(x); }
    static inline uint64_t load_le(const uint8_t *at) { uint64_t x; memcpy(&x, at, 8); return PROFILE_LE(x); }
    static inline void store_be(uint8_t *at, uint64_t x) { x = PROFILE_BE(x); memcpy(at, &x, 8); }
    static inline int bit_length(uint64_t x) { return 64 - __builtin_clzll(x | 1) - (x == 0); }
    #define rarely(x) __builtin_expect(!!(x), 0)

    /* Costs in bits of 16 classes side by side: of each symbol, and of coming after each class. */
    typedef int16_t costs_t __attribute__((vector_size(16)));
    typedef uint64_t halves_t __attribute__((vector_size(16)));
    typedef struct { costs_t low, high; } costs16_t;
    static costs16_t symbol_costs[39], next_costs[17];
    static void set_cost(int of_next, int row, int own, int cost) {
        ((int16_t *)(of_next ? &next_costs[row] : &symbol_costs[row]))[own] = (int16_t)cost;
    }
    static inline costs_t lesser(costs_t a, costs_t b) { costs_t less = a < b; return (a & less) | (b & ~less); }
    static inline int cheapest(const uint8_t *symbols, int count, int last) {
        static const costs_t index = {0, 1, 2, 3, 4, 5, 6, 7};
        costs_t low = symbol_costs[symbols[0]].low, high = symbol_costs[symbols[0]].high;
        int i;
        for (i = 1; i < count; i++) {
            low += symbol_costs[symbols[i]].low;
            high += symbol_costs[symbols[i]].high;
        }
        low = (low + next_costs[last].low) * 16 + index;
        high = (high + next_costs[last].high) * 16 + index + 8;
        low = lesser(low, high);
        low = lesser(low, (costs_t)(halves_t){((halves_t)low)[1], 0});
        low = lesser(low, (costs_t)LATER_LANES((halves_t)low, 32));
        low = lesser(low, (costs_t)LATER_LANES((halves_t)low, 16));
        return low[0] & 15;
    }
    """
    uint64_t load_be(const uint8_t *at) noexcept nogil
    uint64_t load_le(const uint8_t *at) noexcept nogil
    void store_be(uint8_t *at, uint64_t x) noexcept nogil
    int bit_length(uint64_t x) noexcept nogil
    bint rarely(bint x) noexcept nogil
    void set_cost(int of_next, int row, int own, int cost) noexcept nogil
    int cheapest(const uint8_t *symbols, int count, int last) noexcept nogil

cdef enum:
    NONE = 0
    DIFFERENCES = 1
    HEIGHT = 2
    SECOND = 3
    HAS_FLAGS = 4
    HAS_UNIT = 8
    GROUP = 8
    ESCAPE = 38
    ESCAPE_BITS = 19
    START = 16
    UNIT_COUNT = 16
    #: A group takes at most so many octets: 8 escapes of 9 + 6 + 63 bits and a class of 8; then a word is read ahead.
    MARGIN = 128
    #: Bodies up to this are copied to the stack.
    SMALL = 2048
    #: Most octets of one value (escape and its share of a class) and of one run of flags, and of all else.
    VALUE_OCTETS = 11
    RUN_OCTETS = 6
    REST_OCTETS = 64
    #: Intervals packed, or blocks, before their octets are handed over.
    CHUNK = 4096
    #: A cost that no class reaches otherwise, 8 of which still fit.
    NEVER = 200

cdef Py_ssize_t MOST = MAX_COUNT
cdef int64_t LONGEST = MAX_STEP
cdef int64_t[7] day_steps
cdef uint32_t[16][256] crc_tables
#: By class and the next 9 bits: in bits 0-4 how many bits a symbol takes with its own, above what to add to them to get
#: the residual; for the escape 31, and above the length of its code word.
cdef int32_t[16][512] symbol_table
#: By class before and the next 8 bits: class, length of its code word << 4.
cdef uint8_t[17][256] next_table
#: By class and symbol: the same entries.
cdef int32_t[16][39] symbol_entries
cdef uint8_t[17][16] next_words
cdef uint8_t[17][16] next_lengths


cdef _fill_tables():
    cdef uint32_t crc
    for index, step in enumerate(form.DAY_STEPS):
        day_steps[index + 1] = step
    for octet in range(256):
        crc = octet
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320u if crc & 1 else 0)
        crc_tables[0][octet] = crc
    for octet in range(256):
        for row in range(1, 16):
            crc = crc_tables[row - 1][octet]
            crc_tables[row][octet] = crc >> 8 ^ crc_tables[0][crc & 0xFF]
    for own, lengths in enumerate(form.SYMBOL_LENGTHS):
        for symbol, word, length in codes(lengths):
            if own == 0:
                word = 0
            more = symbol // 2 - 1 if 3 < symbol < ESCAPE else 0
            least = symbol if symbol < 2 else (2 | symbol & 1) << symbol // 2 - 1
            entry = length << 5 | 31 if symbol == ESCAPE else (least - (word << more)) * 32 + length + more
            symbol_entries[own][symbol] = word << 13 | length << 5 | 31 if symbol == ESCAPE else entry
            set_cost(0, symbol, own, NEVER if own == 0 < symbol else length)
            if own == 0 < symbol:
                continue
            for at in range(word << 9 - length, word + 1 << 9 - length):
                symbol_table[own][at] = entry
    for last, lengths in enumerate(form.NEXT_LENGTHS):
        for own, word, length in codes(lengths):
            next_words[last][own] = word
            next_lengths[last][own] = length
            set_cost(1, last, own, length)
            for at in range(word << 8 - length, word + 1 << 8 - length):
                next_table[last][at] = own | length << 4


_fill_tables()


cdef uint32_t crc32(const uint8_t *data, Py_ssize_t size) noexcept nogil:
    cdef uint32_t crc = 0xFFFFFFFFu
    cdef uint64_t low, high
    while size >= 16:
        low, high = load_le(data) ^ crc, load_le(data + 8)
        crc = (
            crc_tables[15][low & 0xFF] ^ crc_tables[14][low >> 8 & 0xFF]
            ^ crc_tables[13][low >> 16 & 0xFF] ^ crc_tables[12][low >> 24 & 0xFF]
            ^ crc_tables[11][low >> 32 & 0xFF] ^ crc_tables[10][low >> 40 & 0xFF]
            ^ crc_tables[9][low >> 48 & 0xFF] ^ crc_tables[8][low >> 56]
            ^ crc_tables[7][high & 0xFF] ^ crc_tables[6][high >> 8 & 0xFF]
            ^ crc_tables[5][high >> 16 & 0xFF] ^ crc_tables[4][high >> 24 & 0xFF]
            ^ crc_tables[3][high >> 32 & 0xFF] ^ crc_tables[2][high >> 40 & 0xFF]
            ^ crc_tables[1][high >> 48 & 0xFF] ^ crc_tables[0][high >> 56]
        )
        data += 16
        size -= 16
    while size > 0:
        crc = crc >> 8 ^ crc_tables[0][(crc ^ data[0]) & 0xFF]
        data += 1
        size -= 1
    return ~crc


# -- reading ---------------------------------------------------------------------------------------------------------

cdef struct Fault:
    int code
    uint64_t[4] facts

cdef struct Block:
    const uint8_t *at
    const uint8_t *end
    int scheme
    Py_ssize_t count
    int64_t step

#: Bits from the high end of ``window``, of which ``fill`` are surely there; ``at`` is the octet after them.
cdef struct Bits:
    uint64_t window
    int fill
    const uint8_t *at

cdef enum:
    SHORT, DAMAGED, OTHER_VERSION, UNKNOWN_GRID, OUT_OF_BOUNDS, TRUNCATED, TOO_LONG, WRONG_RUN, NOT_EMPTY, ALL_MISSING
    WRONG_UNIT, LEFT_OVER, PADDING, UNKNOWN_SCHEME, OTHER_STEP, NO_ROOM, NO_MEMORY


cdef int fail(Fault *out, int code, uint64_t a=0, uint64_t b=0, uint64_t c=0, uint64_t d=0) noexcept nogil:
    out.code = code
    out.facts = [a, b, c, d]
    return -1


cdef error_of(const Fault *found):
    if found.code == NO_MEMORY:
        return MemoryError()
    text = form.FAULTS[found.code]
    return ProfileError(text.format(*[found.facts[i] for i in range(4)]))


cdef int read_varint(Block *block, uint64_t *out, Fault *found) noexcept nogil:
    cdef uint64_t value = 0, part
    cdef int shift = 0
    while True:
        if block.at >= block.end:
            return fail(found, TRUNCATED)
        part = block.at[0]
        block.at += 1
        if shift == 63 and part > 1:
            return fail(found, TOO_LONG)
        value |= (part & 0x7F) << shift
        if part < 0x80:
            out[0] = value
            return 0
        shift += 7


cdef int open_block(const uint8_t *data, Py_ssize_t size, Block *block, Fault *found) noexcept nogil:
    cdef uint32_t stands, computed
    cdef uint64_t count, step
    if size < 6:
        return fail(found, SHORT, size, 6)
    block.end = data + size - 4
    stands = block.end[0] | block.end[1] << 8 | block.end[2] << 16 | <uint32_t>block.end[3] << 24
    computed = crc32(data, size - 4)
    if stands != computed:
        return fail(found, DAMAGED, size, stands, computed)
    if data[0] >> 4 != 1:
        return fail(found, OTHER_VERSION, data[0] >> 4, 1)
    block.scheme = data[0] & 15
    if block.scheme & 3 == NONE and block.scheme & HAS_UNIT:
        return fail(found, UNKNOWN_SCHEME, block.scheme)
    block.at = data + 2
    if data[1] > 6:
        return fail(found, UNKNOWN_GRID, data[1])
    if data[1]:
        block.step = day_steps[data[1]]
        block.count = 86400 // block.step
        return 0
    if read_varint(block, &count, found) or read_varint(block, &step, found):
        return -1
    if not 1 <= count <= <uint64_t>MOST or not 1 <= step <= <uint64_t>LONGEST:
        return fail(found, OUT_OF_BOUNDS, count, step, MOST, LONGEST)
    block.count = count
    block.step = step
    return 0


cdef int read_flags(Block *block, uint16_t *flags, Py_ssize_t *present, Fault *found) noexcept nogil:
    cdef Py_ssize_t at = 0, i
    cdef uint64_t length, flag
    present[0] = 0
    while at < block.count:
        if read_varint(block, &length, found) or read_varint(block, &flag, found):
            return -1
        if length == 0 or length > <uint64_t>(block.count - at) or flag > 0xFFFF:
            return fail(found, WRONG_RUN, length, flag, at)
        for i in range(at, at + <Py_ssize_t>length):
            flags[i] = <uint16_t>flag
        at += length
        if not flag & 1:
            present[0] += length
    return 0


cdef inline void refill(Bits *bits, bint up) noexcept nogil:
    """Have 56 bits or more."""
    if up:
        bits.window |= load_be(bits.at) >> bits.fill
        bits.at += (63 - bits.fill) >> 3
    else:
        bits.window |= load_le(bits.at - 8) >> bits.fill
        bits.at -= (63 - bits.fill) >> 3
    bits.fill |= 56


cdef inline uint64_t take(Bits *bits, int width) noexcept nogil:
    """Return the next 0..56 bits."""
    cdef uint64_t value = bits.window >> 1 >> (63 - width)
    bits.window <<= width
    bits.fill -= width
    return value


cdef inline int next_class(Bits *bits, int last) noexcept nogil:
    cdef int entry = next_table[last][bits.window >> 56]
    take(bits, entry >> 4)
    return entry & 15


cdef inline uint64_t residual(Bits *bits, const int32_t *table, bint up) noexcept nogil:
    """Return the next residual; of 56 bits it takes at most 26, but an escape all, and refills."""
    cdef int64_t entry = table[bits.window >> 55]
    cdef int length = entry & 31
    cdef uint64_t value
    if rarely(length == 31):
        take(bits, <int>(entry >> 5))
        length = <int>take(bits, 6)
        value = <uint64_t>1 << length
        refill(bits, up)
        if length > 32:
            value |= take(bits, length - 32) << 32
            refill(bits, up)
            length = 32
        value |= take(bits, length)
        refill(bits, up)
        return value
    return take(bits, length) + <uint64_t>(entry >> 5)


cdef inline int read_group(Bits *bits, int last, uint64_t *out, Py_ssize_t count, bint up) noexcept nogil:
    cdef Py_ssize_t i
    cdef int own
    refill(bits, up)
    own = next_class(bits, last)
    for i in range(count):
        refill(bits, up)
        out[i] = residual(bits, symbol_table[own], up)
    return own


cdef int read_residuals(const uint8_t *body, Py_ssize_t size, uint64_t *out, Py_ssize_t count, Py_ssize_t intervals,
                        Fault *found) noexcept nogil:
    """``body`` may be read ``MARGIN`` octets before and behind its ``size``."""
    cdef Bits front, back
    cdef const uint8_t *end = body + size
    cdef int own = START, front_class
    cdef const int32_t *front_table
    cdef const int32_t *back_table
    cdef int i
    cdef Py_ssize_t used
    front.window = back.window = 0
    front.fill = back.fill = 0
    front.at, back.at = body, end
    while count >= 2 * GROUP:
        refill(&front, True)
        refill(&back, False)
        front_class = next_class(&front, own)
        own = next_class(&back, front_class)
        front_table, back_table = symbol_table[front_class], symbol_table[own]
        out[0] = residual(&front, front_table, True)
        out[8] = residual(&back, back_table, False)
        for i in range(1, 7, 2):
            refill(&front, True)
            refill(&back, False)
            out[i] = residual(&front, front_table, True)
            out[8 + i] = residual(&back, back_table, False)
            out[i + 1] = residual(&front, front_table, True)
            out[9 + i] = residual(&back, back_table, False)
        refill(&front, True)
        refill(&back, False)
        out[7] = residual(&front, front_table, True)
        out[15] = residual(&back, back_table, False)
        if rarely(front.at > end + 8 or back.at < body - 8):
            return fail(found, TRUNCATED)
        out += 2 * GROUP
        count -= 2 * GROUP
    if count:
        own = read_group(&front, own, out, min(count, GROUP), True)
    if count > GROUP:
        read_group(&back, own, out + GROUP, count - GROUP, False)
    # what was read ahead and not used goes back; what is left of an octet must be 0
    front.at -= front.fill >> 3
    back.at += back.fill >> 3
    used = (front.at - body) + (end - back.at)
    if used > size:
        return fail(found, TRUNCATED)
    if used < size:
        return fail(found, LEFT_OVER, size - used, intervals)
    if take(&front, front.fill & 7) or take(&back, back.fill & 7):
        return fail(found, PADDING)
    return 0


cdef int read_body(const uint8_t *body, Py_ssize_t size, uint64_t *out, Py_ssize_t count, Py_ssize_t intervals,
                   Fault *found) noexcept nogil:
    cdef uint8_t[SMALL + 2 * MARGIN] small
    cdef uint8_t *copy = small
    cdef int result
    if size == 0:
        memset(out, 0, count * sizeof(uint64_t))
        return 0
    if size > SMALL:
        copy = <uint8_t *>malloc(size + 2 * MARGIN)
        if copy == NULL:
            return fail(found, NO_MEMORY)
    memset(copy, 0, MARGIN)
    memcpy(copy + MARGIN, body, size)
    memset(copy + MARGIN + size, 0, MARGIN)
    result = read_residuals(copy + MARGIN, size, out, count, intervals, found)
    if copy != small:
        free(copy)
    return result


cdef inline uint64_t unzigzag(uint64_t value) noexcept nogil:
    return value >> 1 ^ (0 - (value & 1))


cdef void to_values(uint64_t *values, Py_ssize_t count, int coding, uint64_t base, uint64_t unit) noexcept nogil:
    """Turn residuals into values; with differences the first one's place is free."""
    cdef Py_ssize_t i
    cdef uint64_t step = 0
    if coding == HEIGHT:
        for i in range(count):
            values[i] = base + values[i] * unit
        return
    values[0] = base
    if coding == SECOND:
        for i in range(1, count):
            step += unzigzag(values[i])
            base += step * unit
            values[i] = base
    elif unit == 1:
        for i in range(1, count):
            base += unzigzag(values[i])
            values[i] = base
    else:
        for i in range(1, count):
            base += unzigzag(values[i]) * unit
            values[i] = base


cdef int read_block(Block *block, int64_t *values, uint16_t *flags, Fault *found) noexcept nogil:
    cdef Py_ssize_t present = block.count, i, first
    cdef int coding = block.scheme & 3
    cdef uint64_t base, unit = 1
    cdef uint64_t *out = <uint64_t *>values
    if block.scheme & HAS_FLAGS:
        if read_flags(block, flags, &present, found):
            return -1
    else:
        memset(flags, 0, block.count * sizeof(uint16_t))
    if coding == NONE:
        if present:
            return fail(found, NOT_EMPTY)
        if block.at != block.end:
            return fail(found, LEFT_OVER, block.end - block.at, block.count)
        memset(values, 0, block.count * sizeof(int64_t))
        return 0
    if present == 0:
        return fail(found, ALL_MISSING)
    if read_varint(block, &base, found):
        return -1
    if block.scheme & HAS_UNIT:
        if read_varint(block, &unit, found):
            return -1
        if unit < 2:
            return fail(found, WRONG_UNIT, unit)
    first = coding != HEIGHT
    if read_body(block.at, block.end - block.at, out + first, present - first, block.count, found):
        return -1
    to_values(out, present, coding, unzigzag(base), unit)
    if present < block.count:  # from the end: no place is written before it is read
        for i in range(block.count - 1, -1, -1):
            if flags[i] & 1:
                out[i] = 0
            else:
                present -= 1
                out[i] = out[present]
    return 0


def unpack(data):
    """Return (values, flags, step)."""
    cdef Block block
    cdef Fault found
    cdef const uint8_t[::1] view
    cdef array.array values, flags
    cdef int result
    if type(data) is bytes:
        result = open_block(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &block, &found)
    else:
        view = octets(data)
        result = open_block(&view[0] if len(view) else NULL, len(view), &block, &found)
    if result:
        raise error_of(&found)
    values = array.clone(_COUNTS, block.count, False)
    flags = array.clone(_FLAGS, block.count, False)
    result = read_block(&block, <int64_t *>values.data.as_longlongs, flags.data.as_ushorts, &found)
    if result:
        raise error_of(&found)
    return values, flags, block.step


def unpack_into(blocks, values, flags, int64_t step):
    """Unpack blocks one after the other into two buffers; return where each ends."""
    cdef Py_ssize_t count, i, at = 0, room
    cdef Fault found
    cdef Block block
    cdef array.array ends
    cdef int64_t[::1] value_view
    cdef uint16_t[::1] flag_view
    cdef int64_t *to_values_at
    cdef uint16_t *to_flags_at
    cdef int64_t *end_at
    cdef const uint8_t **data
    cdef Py_ssize_t *sizes
    for view, name in ((int64(values, "values"), "values"), (uint16(flags, "flags"), "flags")):
        if view.readonly:
            raise TypeError(f"{name} must be writable")
    value_view, flag_view = values, flags
    held = tuple(blocks)
    for item in held:
        if type(item) is not bytes:
            held = tuple([bytes(octets(each)) for each in held])
            break
    count = len(held)
    room = min(value_view.shape[0], flag_view.shape[0])
    ends = array.clone(_COUNTS, count, False)
    if count == 0:
        return ends
    to_values_at = &value_view[0] if room else NULL
    to_flags_at = &flag_view[0] if room else NULL
    end_at = <int64_t *>ends.data.as_longlongs
    data = <const uint8_t **>malloc(count * sizeof(uint8_t *))
    sizes = <Py_ssize_t *>malloc(count * sizeof(Py_ssize_t))
    i = 0
    found.code = -1
    try:
        if data == NULL or sizes == NULL:
            raise MemoryError
        for i in range(count):
            item = held[i]
            data[i] = <const uint8_t *>PyBytes_AS_STRING(item)
            sizes[i] = PyBytes_GET_SIZE(item)
        with nogil:
            for i in range(count):
                if open_block(data[i], sizes[i], &block, &found):
                    break
                if block.step != step:
                    fail(&found, OTHER_STEP, block.count, block.step, step)
                    break
                if block.count > room - at:
                    fail(&found, NO_ROOM, room)
                    break
                if read_block(&block, to_values_at + at, to_flags_at + at, &found):
                    break
                at += block.count
                end_at[i] = at
    finally:
        free(data)
        free(sizes)
    if found.code >= 0:
        error = error_of(&found)
        raise ProfileError(f"block {i}: {error}") if found.code != NO_MEMORY else error
    return ends


def header(data):
    """Return (count of intervals, step in seconds)."""
    cdef Block block
    cdef Fault found
    cdef const uint8_t[::1] view = octets(data)
    if open_block(&view[0] if len(view) else NULL, len(view), &block, &found):
        raise error_of(&found)
    return block.count, block.step


# -- writing ---------------------------------------------------------------------------------------------------------

cdef array.array _COUNTS = new_array("q")
cdef array.array _FLAGS = new_array("H")

#: Bits from the high end of ``window``, of which ``fill`` (0..7 between writes) are set.
cdef struct Writer:
    uint64_t window
    int fill
    uint8_t *at

#: Room for packing blocks of ``count``: present values, three kinds of residuals; the block; the second string of bits.
cdef struct Work:
    uint64_t *present
    uint64_t *residuals
    uint8_t *out
    uint8_t *back


cdef inline void put(Writer *to, uint64_t value, int width) noexcept nogil:
    """Append ``width`` bits; at most 56 may be put before :func:`drain`."""
    to.fill += width
    to.window |= value << 1 << (63 - to.fill)


cdef inline void drain(Writer *to) noexcept nogil:
    store_be(to.at, to.window)
    to.at += to.fill >> 3
    to.window <<= to.fill & 56
    to.fill &= 7


cdef inline uint8_t *put_varint(uint8_t *at, uint64_t value) noexcept nogil:
    while value > 0x7F:
        at[0] = <uint8_t>(value | 0x80)
        at += 1
        value >>= 7
    at[0] = <uint8_t>value
    return at + 1


cdef inline uint64_t zigzag(uint64_t difference) noexcept nogil:
    return difference << 1 ^ (0 - (difference >> 63))


cdef inline int symbol_of(uint64_t u) noexcept nogil:
    cdef int length = bit_length(u | 1) - 1
    cdef int symbol = 2 * length + <int>(u >> (length - (length > 0)) & 1)
    return symbol if symbol < ESCAPE else ESCAPE


cdef inline void put_escape(Writer *to, uint64_t u, uint32_t entry) noexcept nogil:
    cdef int length = bit_length(u) - 1
    drain(to)
    put(to, entry >> 13 << 6 | <uint32_t>length, (entry >> 5 & 0xFF) + 6)
    drain(to)
    u ^= <uint64_t>1 << length
    if length > 32:
        put(to, u >> 32, length - 32)
        drain(to)
        u &= 0xFFFFFFFFu
        length = 32
    put(to, u, length)
    drain(to)


cdef inline void put_residual(Writer *to, uint64_t u, int symbol, int own) noexcept nogil:
    cdef int64_t entry = symbol_entries[own][symbol]
    if rarely(symbol == ESCAPE):
        put_escape(to, u, <uint32_t>entry)
    else:
        put(to, u - <uint64_t>(entry >> 5), entry & 31)


cdef inline int put_group(Writer *to, const uint64_t *residuals, int count, int last) noexcept nogil:
    cdef uint8_t[GROUP] symbols
    cdef int i, own
    for i in range(count):
        symbols[i] = <uint8_t>symbol_of(residuals[i])
    own = cheapest(symbols, count, last)
    put(to, next_words[last][own], next_lengths[last][own])
    for i in range(count):
        put_residual(to, residuals[i], symbols[i], own)
        if i & 1 == 0:
            drain(to)
    drain(to)
    return own


cdef uint8_t *put_body(uint8_t *at, uint8_t *second, const uint64_t *residuals, Py_ssize_t count) noexcept nogil:
    cdef Writer front, back
    cdef int own = START
    cdef uint8_t *octet
    front.window = back.window = 0
    front.fill = back.fill = 0
    front.at, back.at = at, second
    while count >= 2 * GROUP:
        own = put_group(&front, residuals, GROUP, own)
        own = put_group(&back, residuals + GROUP, GROUP, own)
        residuals += 2 * GROUP
        count -= 2 * GROUP
    if count:
        own = put_group(&front, residuals, min(count, GROUP), own)
    if count > GROUP:
        put_group(&back, residuals + GROUP, count - GROUP, own)
    at = front.at + (front.fill > 0)
    octet = back.at + (back.fill > 0)
    while octet > second:
        octet -= 1
        at[0] = octet[0]
        at += 1
    return at


@cython.cdivision(True)
cdef uint64_t unit_of(const uint64_t *values, Py_ssize_t count, int64_t low, int64_t high) noexcept nogil:
    cdef uint64_t unit = 0, other, rest
    cdef Py_ssize_t i
    if count < UNIT_COUNT or (<uint64_t>high - <uint64_t>low) >> 63:
        return 1
    for i in range(1, count):
        other = values[i] - values[0]
        if <int64_t>other < 0:
            other = 0 - other
        while other:
            rest = unit % other
            unit, other = other, rest
        if unit == 1:
            break
    return unit if unit else 1


cdef int64_t estimate(const uint64_t *residuals, Py_ssize_t count, uint64_t low) noexcept nogil:
    """Return about how many bits a group's residuals take each, summed over groups; ``low`` is subtracted from each."""
    cdef int64_t bits = 0
    cdef uint64_t total
    cdef Py_ssize_t i
    while count >= GROUP:
        total = (residuals[0] + residuals[1] + residuals[2] + residuals[3]
                 + residuals[4] + residuals[5] + residuals[6] + residuals[7])
        bits += bit_length(total - GROUP * low)
        residuals += GROUP
        count -= GROUP
    total = 0
    for i in range(count):
        total += residuals[i] - low
    return bits + bit_length(total)


@cython.cdivision(True)
cdef uint8_t *put_values(uint8_t *at, Work *work, const uint64_t *values, Py_ssize_t count, int *scheme) noexcept nogil:
    cdef int64_t low = <int64_t>values[0], high = low, other_low = low, other_high = low, value, other
    cdef uint64_t unit, any_residual = 0
    cdef uint64_t *first = work.residuals
    cdef uint64_t *height = first + count
    cdef uint64_t *second = height + count
    cdef uint64_t *best = first
    cdef Py_ssize_t i, number = count - 1
    cdef int64_t bits, least, step, last = 0
    for i in range(0, count - 1, 2):  # two chains, for they are what takes time
        value, other = <int64_t>values[i], <int64_t>values[i + 1]
        low = value if value < low else low
        high = value if value > high else high
        other_low = other if other < other_low else other_low
        other_high = other if other > other_high else other_high
    value = <int64_t>values[count - 1]
    low = min(low, other_low, value)
    high = max(high, other_high, value)
    unit = unit_of(values, count, low, high)
    if unit == 1:
        for i in range(count - 1):
            first[i] = zigzag(values[i + 1] - values[i])
        if count > 1:
            second[0] = first[0]
        for i in range(1, count - 1):
            second[i] = zigzag(values[i + 1] - 2 * values[i] + values[i - 1])
    else:
        for i in range(count - 1):
            step = <int64_t>(values[i + 1] - values[i]) // <int64_t>unit
            first[i] = zigzag(<uint64_t>step)
            second[i] = zigzag(<uint64_t>(step - last))
            last = step
        for i in range(count):
            height[i] = (values[i] - <uint64_t>low) // unit
    scheme[0] = DIFFERENCES
    least = estimate(first, count - 1, 0)
    bits = estimate(values, count, <uint64_t>low) if unit == 1 else estimate(height, count, 0)
    if bits < least:
        scheme[0], best, least, number = HEIGHT, height, bits, count
    bits = estimate(second, count - 1, 0)
    if bits < least:
        scheme[0], best, number = SECOND, second, count - 1
    elif scheme[0] == HEIGHT and unit == 1:
        for i in range(count):
            height[i] = values[i] - <uint64_t>low
    at = put_varint(at, zigzag(<uint64_t>low if scheme[0] == HEIGHT else values[0]))
    if unit > 1:
        scheme[0] |= HAS_UNIT
        at = put_varint(at, unit)
    for i in range(number):
        any_residual |= best[i]
    return put_body(at, work.back, best, number) if any_residual else at


cdef Py_ssize_t pack_block(Work *work, const int64_t *values, const uint16_t *flags, Py_ssize_t count,
                           int64_t step) noexcept nogil:
    """Write a block to ``work.out``; return its length."""
    cdef uint8_t *at = work.out + 2
    cdef Py_ssize_t i, start = 0, present = count
    cdef uint16_t seen = 0
    cdef int scheme = NONE, grid = 0
    cdef uint32_t crc
    cdef const uint64_t *counts = <const uint64_t *>values
    if count * step == 86400:
        for i in range(1, 7):
            if day_steps[i] == step:
                grid = i
    if grid == 0:
        at = put_varint(put_varint(at, count), step)
    for i in range(count):
        seen |= flags[i]
    if seen:
        present = 0
        for i in range(count):
            if flags[i] != flags[start]:
                at = put_varint(put_varint(at, i - start), flags[start])
                start = i
            work.present[present] = counts[i]
            present += not flags[i] & 1
        at = put_varint(put_varint(at, count - start), flags[start])
        counts = work.present
    if present:
        at = put_values(at, work, counts, present, &scheme)
    work.out[0] = <uint8_t>(1 << 4 | scheme | (HAS_FLAGS if seen else 0))
    work.out[1] = <uint8_t>grid
    crc = crc32(work.out, at - work.out)
    for i in range(4):
        at[i] = <uint8_t>(crc >> 8 * i)
    return at + 4 - work.out


cdef int get_work(Work *work, Py_ssize_t count, Py_ssize_t blocks) except -1:
    """Allocate for ``blocks`` blocks of ``count``; ``work.present`` is what must be freed."""
    cdef Py_ssize_t words = 4 * (count + 1) * sizeof(uint64_t)
    cdef Py_ssize_t second = VALUE_OCTETS * count + REST_OCTETS
    cdef uint8_t *room = <uint8_t *>malloc(words + second + blocks * (second + RUN_OCTETS * count))
    if room == NULL:
        raise MemoryError
    work.present = <uint64_t *>room
    work.residuals = work.present + count + 1
    work.back = room + words
    work.out = work.back + second
    return 0


cdef _check(Py_ssize_t count, Py_ssize_t flags, step):
    if count != flags:
        raise ProfileError(f"{count} values and {flags} flags: each interval has one of both")
    if not 1 <= count <= MOST:
        raise ProfileError(f"a block holds 1..{MAX_COUNT} intervals, not {count}")
    if not 1 <= step <= LONGEST:
        raise ProfileError(f"a step is 1..{MAX_STEP} s, not {step}")


cdef inline bint is_array(values, int typecode):
    return type(values) is new_array and (<array.array>values).ob_descr.typecode == typecode


def pack(values, flags, step):
    """Return a block."""
    cdef const int64_t[::1] value_view
    cdef const uint16_t[::1] flag_view
    cdef const int64_t *value_at
    cdef const uint16_t *flag_at
    cdef Py_ssize_t count, size
    cdef Work work
    if is_array(values, c"q") and is_array(flags, c"H"):  # asked for most, and views cost more than a day's block
        count = len(values)
        _check(count, len(flags), step)
        value_at = <const int64_t *>(<array.array>values).data.as_longlongs
        flag_at = (<array.array>flags).data.as_ushorts
    else:
        value_view, flag_view = int64(values, "values"), uint16(flags, "flags")
        count = value_view.shape[0]
        _check(count, flag_view.shape[0], step)
        value_at, flag_at = &value_view[0], &flag_view[0]
    get_work(&work, count, 1)
    try:
        size = pack_block(&work, value_at, flag_at, count, step)
        return PyBytes_FromStringAndSize(<char *>work.out, size)
    finally:
        free(work.present)


def pack_each(values, flags, step, count):
    """Return blocks of ``count`` intervals."""
    cdef const int64_t[::1] value_view = int64(values, "values")
    cdef const uint16_t[::1] flag_view = uint16(flags, "flags")
    cdef Py_ssize_t total = value_view.shape[0], at = 0, each, chunk, i
    cdef Py_ssize_t[CHUNK] sizes
    cdef int64_t seconds
    cdef Work work
    cdef uint8_t *out
    _check(count, count, step)
    if total != flag_view.shape[0]:
        raise ProfileError(f"{total} values and {flag_view.shape[0]} flags: each interval has one of both")
    each, seconds = count, step
    chunk = max(1, CHUNK // each)
    found = []
    get_work(&work, each, chunk)
    out = work.out
    try:
        while at < total:
            i = 0
            work.out = out
            with nogil:
                while i < chunk and at < total:
                    sizes[i] = pack_block(&work, &value_view[at], &flag_view[at], min(each, total - at), seconds)
                    work.out += sizes[i]
                    at += each
                    i += 1
            work.out = out
            for size in sizes[:i]:
                found.append(PyBytes_FromStringAndSize(<char *>work.out, size))
                work.out += size
    finally:
        free(work.present)
    return found
