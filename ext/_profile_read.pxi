# Blocks to values: the part of ``profile.pyx`` that reads, over pointers and without the interpreter.

cdef struct Fault "profile_fault":
    int code
    uint64_t[4] facts

cdef struct Block "profile_block":
    const uint8_t *at
    const uint8_t *end
    int scheme
    Py_ssize_t count
    int64_t step

#: Bits from the high end of ``window``, of which ``fill`` modulo 64 are surely there; ``at`` is the octet after them.
cdef struct Bits:
    uint64_t window
    uint32_t fill
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
    cdef uint32_t fill = bits.fill & 63
    if up:
        bits.window |= load_be(bits.at) >> fill
        bits.at += (63 - fill) >> 3
    else:
        bits.window |= load_le(bits.at - 8) >> fill
        bits.at -= (63 - fill) >> 3
    bits.fill = fill | 56


cdef inline uint64_t take(Bits *bits, uint32_t width) noexcept nogil:
    """Return the next bits: as many as the low 6 bits of ``width`` say, at most 56."""
    cdef uint64_t value = bits.window >> 1 >> (~width & 63)
    bits.window <<= width & 63
    bits.fill -= width
    return value


cdef inline int next_class(Bits *bits, int last) noexcept nogil:
    cdef int entry = next_table[last][bits.window >> 56]
    take(bits, entry >> 4)
    return entry & 15


cdef inline uint64_t residual(Bits *bits, const uint32_t *table, bint up) noexcept nogil:
    """Return the next residual; of 56 bits it takes at most 26, but an escape all, and refills."""
    cdef uint32_t entry = table[bits.window >> 55]
    cdef int length
    cdef uint64_t value
    if rarely(entry & 32):
        take(bits, entry & 31)
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
    return (<uint32_t>take(bits, entry) * 64 + entry) >> 6


cdef inline int read_group(Bits *bits, int last, uint64_t *out, Py_ssize_t count, bint up) noexcept nogil:
    cdef Py_ssize_t i
    cdef int own
    cdef const uint32_t *table
    refill(bits, up)
    own = next_class(bits, last)
    table = symbol_table[own]
    for i in range(count):
        if i & 1:
            refill(bits, up)
        out[i] = residual(bits, table, up)
    return own


cdef int read_residuals(const uint8_t *body, Py_ssize_t size, uint64_t *out, Py_ssize_t count, Py_ssize_t intervals,
                        Fault *found) noexcept nogil:
    """``body`` may be read ``MARGIN`` octets before and behind its ``size``."""
    cdef Bits front, back
    cdef const uint8_t *end = body + size
    cdef int own = START, front_class
    cdef const uint32_t *front_table
    cdef const uint32_t *back_table
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
    if count >= GROUP:
        own = read_group(&front, own, out, GROUP, True)
        if count > GROUP:
            read_group(&back, own, out + GROUP, count - GROUP, False)
    elif count:
        read_group(&front, own, out, count, True)
    # what was read ahead and not used goes back; what is left of an octet must be 0
    front.at -= (front.fill & 63) >> 3
    back.at += (back.fill & 63) >> 3
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
    for i in range(1, count):  # apart, for many go at once
        values[i] = unzigzag(values[i])
    if coding == SECOND:
        for i in range(1, count):
            step += values[i]
            base += step * unit
            values[i] = base
    elif unit == 1:
        for i in range(1, count):
            base += values[i]
            values[i] = base
    else:
        for i in range(1, count):
            base += values[i] * unit
            values[i] = base


cdef int read_block "profile_read_block"(Block *block, int64_t *values, uint16_t *flags, Fault *found) noexcept nogil:
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
