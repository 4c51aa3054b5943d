# Values to blocks: the part of ``profile.pyx`` that writes, over pointers and without the interpreter.

#: The low ``fill`` bits of ``window`` (0..7 between writes) are still to be written.
cdef struct Writer:
    uint64_t window
    int fill
    uint8_t *at

#: Room for packing blocks of ``count``: present values, three kinds of residuals; the block; the second string of bits.
cdef struct Work "profile_work":
    uint64_t *present
    uint64_t *residuals
    uint8_t *out
    uint8_t *back


cdef inline void put(Writer *to, uint64_t value, int width) noexcept nogil:
    """Append ``width`` bits; at most 56 may be put before :func:`drain`."""
    to.window = to.window << width | value
    to.fill += width


cdef inline void drain(Writer *to) noexcept nogil:
    store_be(to.at, to.window << (-to.fill & 63))
    to.at += to.fill >> 3
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


cdef void put_escape(Writer *to, uint64_t u, Piece piece) noexcept nogil:
    cdef int length = bit_length(u) - 1
    put(to, piece.less << 6 | <uint32_t>length, <int>piece.width + 6)
    drain(to)
    u ^= <uint64_t>1 << length
    if length > 32:
        put(to, u >> 32, length - 32)
        drain(to)
        u &= 0xFFFFFFFFu
        length = 32
    put(to, u, length)


cdef int put_wild_group(Writer *to, const uint64_t *residuals, int count, int last) noexcept nogil:
    """As :func:`put_group`, for residuals of any size."""
    cdef uint64_t[GROUP] tame
    cdef int32_t[GROUP] marks
    cdef int i, own
    cdef Piece piece
    for i in range(GROUP):
        tame[i] = residuals[i] if residuals[i] >> ESCAPE_BITS == 0 else 0
    marks_of(tame, marks)
    for i in range(GROUP):
        if residuals[i] >> ESCAPE_BITS:
            marks[i] = ESCAPE_MARK
        if i >= count:
            marks[i] = NO_MARK
    own = cheapest(marks, last)
    put(to, next_words[last][own], next_lengths[last][own])
    for i in range(count):
        drain(to)
        piece = pieces[own][marks[i]]
        if marks[i] == ESCAPE_MARK:
            put_escape(to, residuals[i], piece)
        else:
            put(to, <uint32_t>residuals[i] - piece.less, <int>piece.width)
    drain(to)
    return own


cdef inline void put_one(Writer *to, const Piece *piece, uint64_t u) noexcept nogil:
    put(to, <uint32_t>u - piece.less, <int>piece.width)


cdef inline void put_two(Writer *to, const Piece *piece, uint64_t u, const Piece *other, uint64_t w) noexcept nogil:
    put(to, <uint64_t>(<uint32_t>u - piece.less) << other.width | <uint32_t>w - other.less,
        <int>(piece.width + other.width))


cdef inline int put_group(Writer *to, const uint64_t *residuals, int count, int last) noexcept nogil:
    """Append the first ``count`` of 8 residuals, behind which are zeros; return their class."""
    cdef int32_t[GROUP] marks
    cdef int i, own
    cdef const Piece *row
    cdef uint64_t seen = (residuals[0] | residuals[1] | residuals[2] | residuals[3]
                          | residuals[4] | residuals[5] | residuals[6] | residuals[7])
    if seen == 0 and count == GROUP:  # no other class is as cheap
        put(to, next_words[last][0], next_lengths[last][0])
        drain(to)
        return 0
    if rarely(seen >> ESCAPE_BITS):
        return put_wild_group(to, residuals, count, last)
    marks_of(residuals, marks)
    for i in range(count, GROUP):
        marks[i] = NO_MARK
    own = cheapest(marks, last)
    row = pieces[own]
    put(to, next_words[last][own], next_lengths[last][own])
    put_one(to, row + marks[0], residuals[0])
    drain(to)
    put_two(to, row + marks[1], residuals[1], row + marks[2], residuals[2])
    drain(to)
    put_two(to, row + marks[3], residuals[3], row + marks[4], residuals[4])
    drain(to)
    put_two(to, row + marks[5], residuals[5], row + marks[6], residuals[6])
    drain(to)
    put_one(to, row + marks[7], residuals[7])
    drain(to)
    return own


cdef int put_part(Writer *to, const uint64_t *residuals, int count, int last) noexcept nogil:
    cdef uint64_t[GROUP] whole
    cdef int i
    for i in range(GROUP):
        whole[i] = residuals[i] if i < count else 0
    return put_group(to, whole, count, last)


cdef uint8_t *put_body(uint8_t *at, uint8_t *second, const uint64_t *residuals, Py_ssize_t count) noexcept nogil:
    cdef Writer front, back
    cdef int own = START
    cdef uint8_t *octet
    cdef Py_ssize_t size
    front.window = back.window = 0
    front.fill = back.fill = 0
    front.at, back.at = at, second
    while count >= 2 * GROUP:
        own = put_group(&front, residuals, GROUP, own)
        own = put_group(&back, residuals + GROUP, GROUP, own)
        residuals += 2 * GROUP
        count -= 2 * GROUP
    if count:
        own = put_part(&front, residuals, <int>min(count, GROUP), own)
    if count > GROUP:
        put_part(&back, residuals + GROUP, <int>count - GROUP, own)
    at = front.at + (front.fill > 0)
    octet = back.at + (back.fill > 0)
    size = octet - second
    while octet > second:  # in the end up to 7 octets too many: before ``second`` there are others, behind all is room
        octet -= 8
        store_be(at, load_le(octet))
        at += 8
    return front.at + (front.fill > 0) + size


@cython.cdivision(True)
cdef uint64_t unit_of(const uint64_t *values, Py_ssize_t count, int64_t low, int64_t high) noexcept nogil:
    cdef uint64_t unit = 0, other, rest
    cdef Py_ssize_t i = 1, until
    cdef uint8_t common = 0xFF
    if count < UNIT_COUNT or (<uint64_t>high - <uint64_t>low) >> 63:
        return 1
    while i < count:  # mostly a few small differences without a common factor settle it
        until = min(count, i + UNIT_COUNT)
        for i in range(i, until):
            other = values[i] - values[i - 1]
            if <int64_t>other < 0:
                other = 0 - other
            common &= factors[min(other, <uint64_t>UNITS)]
        if common == 0:
            return 1
        i = until
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
    cdef int64_t low = <int64_t>values[0], high = low, value
    cdef uint64_t unit, any_residual = 0
    cdef uint64_t *first = work.residuals
    cdef uint64_t *height = first + count
    cdef uint64_t *second = height + count
    cdef uint64_t *best = first
    cdef Py_ssize_t i, number = count - 1
    cdef int64_t bits, least, step, last = 0
    for i in range(count):
        value = <int64_t>values[i]
        low = value if value < low else low
        high = value if value > high else high
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


cdef Py_ssize_t pack_block "profile_pack_block"(Work *work, const int64_t *values, const uint16_t *flags,
                                                Py_ssize_t count, int64_t step) noexcept nogil:
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
