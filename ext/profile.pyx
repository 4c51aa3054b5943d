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

    /* Costs in bits of 16 classes side by side, times 16 so that a class fits below: of each mark, and, the class added,
       of coming after each class. */
    typedef int16_t costs_t __attribute__((vector_size(16)));
    typedef uint64_t halves_t __attribute__((vector_size(16)));
    typedef struct { costs_t low, high; } costs16_t;
    static costs16_t mark_costs[40], next_costs[17];
    static void set_mark_cost(int mark, int own, int cost) { ((int16_t *)&mark_costs[mark])[own] = (int16_t)(cost * 16); }
    static void set_next_cost(int last, int own, int cost) {
        ((int16_t *)&next_costs[last])[own] = (int16_t)(cost * 16 + own);
    }
    #ifdef __SSE2__
    #include <emmintrin.h>
    static inline costs_t lesser(costs_t a, costs_t b) { return (costs_t)_mm_min_epi16((__m128i)a, (__m128i)b); }
    #else
    static inline costs_t lesser(costs_t a, costs_t b) { costs_t less = a < b; return (a & less) | (b & ~less); }
    #endif
    static inline int cheapest(const int32_t *marks, int last) {
        costs_t low = next_costs[last].low, high = next_costs[last].high;
        costs_t all_low = mark_costs[marks[0]].low, all_high = mark_costs[marks[0]].high;
        int i;
        for (i = 1; i < 8; i++) {
            all_low += mark_costs[marks[i]].low;
            all_high += mark_costs[marks[i]].high;
        }
        low = lesser(low + all_low, high + all_high);
        low = lesser(low, (costs_t)(halves_t){((halves_t)low)[1], 0});
        low = lesser(low, (costs_t)LATER_LANES((halves_t)low, 32));
        low = lesser(low, (costs_t)LATER_LANES((halves_t)low, 16));
        return low[0] & 15;
    }
    /* A mark is 0, 1 or a symbol and one; the exponent and first bit of a float are its symbol. Below 2^24. */
    static inline void marks_of(const uint64_t *residuals, int32_t *marks) {
        int i;
        for (i = 0; i < 8; i++) {
            float number = (float)(int32_t)residuals[i];
            int32_t bits, mark;
            memcpy(&bits, &number, 4);
            mark = (bits >> 22) - 253;
            marks[i] = mark > 0 ? mark : 0;
        }
    }
    """
    uint64_t load_be(const uint8_t *at) noexcept nogil
    uint64_t load_le(const uint8_t *at) noexcept nogil
    void store_be(uint8_t *at, uint64_t x) noexcept nogil
    int bit_length(uint64_t x) noexcept nogil
    bint rarely(bint x) noexcept nogil
    void set_mark_cost(int mark, int own, int cost) noexcept nogil
    void set_next_cost(int last, int own, int cost) noexcept nogil
    int cheapest(const int32_t *marks, int last) noexcept nogil
    void marks_of(const uint64_t *residuals, int32_t *marks) noexcept nogil

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
    #: Marks: a symbol above 1 and one, so that 2 is free for "no residual here".
    NO_MARK = 2
    ESCAPE_MARK = ESCAPE + 1
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
    #: Differences below this are looked up before greatest common divisors are computed.
    UNITS = 2048
    #: A cost that no class reaches otherwise, 8 of which still fit.
    NEVER = 200

cdef struct Piece:
    uint32_t width
    uint32_t less

cdef Py_ssize_t MOST = MAX_COUNT
cdef int64_t LONGEST = MAX_STEP
cdef int64_t[7] day_steps
cdef uint32_t[16][256] crc_tables
#: By class and the next 9 bits: in bits 0-4 how many bits a symbol takes with its own, from bit 6 on what to add to them,
#: modulo 2^26, to get the residual; for the escape bit 5 is set and bits 0-4 are the length of its code word.
cdef uint32_t[16][512] symbol_table
#: By class before and the next 8 bits: class, length of its code word << 4.
cdef uint8_t[17][256] next_table
#: By class and mark: how many bits a symbol takes with its own, and what to subtract from a residual to get them; of the
#: escape the code word's length and the word.
cdef Piece[16][40] pieces
#: Of numbers below ``UNITS`` (0 and greater ones: all) a bit set for each prime factor; all large primes share two.
cdef uint8_t[UNITS + 1] factors
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
            mark = symbol + (symbol > 1)
            set_mark_cost(mark, own, NEVER if own == 0 < symbol else length)
            if own == 0:  # its only symbol takes no bits, so that all zeros in the tables are right
                continue
            more = symbol // 2 - 1 if 3 < symbol < ESCAPE else 0
            add = (symbol if symbol < 2 else (2 | symbol & 1) << symbol // 2 - 1) - (word << more)
            entry = 32 | length if symbol == ESCAPE else add * 64 + length + more & 0xFFFFFFFF
            pieces[own][mark].width = length + more
            pieces[own][mark].less = word if symbol == ESCAPE else add & 0xFFFFFFFF
            for at in range(word << 9 - length, word + 1 << 9 - length):
                symbol_table[own][at] = entry
    for last, lengths in enumerate(form.NEXT_LENGTHS):
        for own, word, length in codes(lengths):
            next_words[last][own] = word
            next_lengths[last][own] = length
            set_next_cost(last, own, length)
            for at in range(word << 8 - length, word + 1 << 8 - length):
                next_table[last][at] = own | length << 4


    prime = 1
    factors[0] = factors[UNITS] = 0xFF
    for number in range(2, UNITS):
        if factors[number] == 0:
            for at in range(number, UNITS, number):
                factors[at] |= prime
            prime = prime << 1 if prime < 128 else 64


_fill_tables()


cdef extern from *:
    """
    /* Fold whole 16 octets but the last into those, so that their CRC alone is left; x^(128 +- 32) modulo the polynomial. */
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <wmmintrin.h>
    __attribute__((target("pclmul"))) static const uint8_t *crc_fold(const uint8_t *at, Py_ssize_t size, uint8_t *last) {
        const __m128i powers = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
        __m128i sum = _mm_xor_si128(_mm_loadu_si128((const __m128i *)at), _mm_cvtsi32_si128(-1));
        for (size -= 16, at += 16; size >= 16; size -= 16, at += 16) {
            __m128i low = _mm_clmulepi64_si128(sum, powers, 0x00), high = _mm_clmulepi64_si128(sum, powers, 0x11);
            sum = _mm_xor_si128(_mm_xor_si128(low, high), _mm_loadu_si128((const __m128i *)at));
        }
        _mm_storeu_si128((__m128i *)last, sum);
        return at;
    }
    static int can_fold(void) { __builtin_cpu_init(); return __builtin_cpu_supports("pclmul") != 0; }
    #else
    static const uint8_t *crc_fold(const uint8_t *at, Py_ssize_t size, uint8_t *last) { return at; }
    static int can_fold(void) { return 0; }
    #endif
    """
    const uint8_t *crc_fold(const uint8_t *at, Py_ssize_t size, uint8_t *last) noexcept nogil
    int can_fold() noexcept nogil


cdef bint folds = can_fold()


cdef uint32_t crc_more(uint32_t crc, const uint8_t *data, Py_ssize_t size) noexcept nogil:
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
    return crc


cdef uint32_t crc32(const uint8_t *data, Py_ssize_t size) noexcept nogil:
    cdef uint8_t[16] last
    cdef const uint8_t *rest
    if not folds or size < 32:
        return ~crc_more(0xFFFFFFFFu, data, size)
    rest = crc_fold(data, size, last)
    return ~crc_more(crc_more(0, last, 16), rest, data + size - rest)


include "_profile_read.pxi"
include "_profile_write.pxi"
include "_profile_wide.pxi"

cdef array.array _COUNTS = new_array("q")
cdef array.array _FLAGS = new_array("H")


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
    result = read_best(&block, <int64_t *>values.data.as_longlongs, flags.data.as_ushorts, &found)
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
                if read_best(&block, to_values_at + at, to_flags_at + at, &found):
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
        size = pack_best(&work, value_at, flag_at, count, step)
        return PyBytes_FromStringAndSize(<char *>work.out, size)
    finally:
        free(work.present)


def pack_each(values, flags, step, count):
    """Return blocks of ``count`` intervals."""
    cdef const int64_t[::1] value_view = int64(values, "values")
    cdef const uint16_t[::1] flag_view = uint16(flags, "flags")
    cdef Py_ssize_t total = value_view.shape[0], at = 0, each, chunk, i, size
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
                    sizes[i] = pack_best(&work, &value_view[at], &flag_view[at], min(each, total - at), seconds)
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
