"""The compiled build of ``checksums.py``, which has the contract: sixteen octets at once, or 256 where the CPU can.

Octets may be replaced by others of equal remainder, so a long buffer is first folded to 16 octets: 128 bits further on
stand the same two halves times x^192 and x^128 modulo the polynomial, added to what is there (carry-less products,
V. Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ, 2009). Tables do the rest, and all of it
on other processors.
"""

from cpython.buffer cimport PyBuffer_Release
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from ext._octets cimport load_le, open_octets

cdef extern from *:
    """
    typedef struct {
        uint16_t tables[16][256];  /* of an octet with n octets behind it */
        uint64_t folds[3][2];      /* what to multiply the halves of 16 octets with to go on by 128, 512, 2048 bits */
    } crc16_t;

    #if defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 10)
    #include <immintrin.h>

    enum { NOTHING, NARROW, WIDE };
    static int folding = NOTHING;

    static void choose_folding(void) {
        __builtin_cpu_init();
        if (__builtin_cpu_supports("pclmul"))
            folding = __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f") ? WIDE : NARROW;
    }

    #define TARGET_NARROW __attribute__((target("pclmul")))
    #define TARGET_WIDE __attribute__((target("pclmul,avx512f,vpclmulqdq")))
    #define LOAD(at) _mm_loadu_si128((const __m128i *)(at))
    #define LOAD_WIDE(at) _mm512_loadu_si512((const void *)(at))

    TARGET_NARROW static inline __m128i fold(__m128i x, __m128i by, __m128i next) {
        return _mm_xor_si128(
            _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), next);
    }

    TARGET_WIDE static inline __m512i fold_wide(__m512i x, __m512i by, __m512i next) {
        return _mm512_ternarylogic_epi64(
            _mm512_clmulepi64_epi128(x, by, 0x00), _mm512_clmulepi64_epi128(x, by, 0x11), next, 0x96);
    }

    /* Both fold all whole 16 octets, 64 at least (256), into ``out`` and return how many octets that were. */
    TARGET_NARROW static Py_ssize_t fold_narrow(
        const crc16_t *of, const uint8_t *data, Py_ssize_t size, uint16_t crc, uint8_t *out)
    {
        const uint8_t *at = data + 64, *end = data + (size & ~(Py_ssize_t)15);
        __m128i by = LOAD(of->folds[1]);
        __m128i a = _mm_xor_si128(LOAD(data), _mm_cvtsi32_si128(crc));
        __m128i b = LOAD(data + 16), c = LOAD(data + 32), d = LOAD(data + 48);
        for (; end - at >= 64; at += 64) {
            a = fold(a, by, LOAD(at));
            b = fold(b, by, LOAD(at + 16));
            c = fold(c, by, LOAD(at + 32));
            d = fold(d, by, LOAD(at + 48));
        }
        by = LOAD(of->folds[0]);
        a = fold(fold(fold(a, by, b), by, c), by, d);
        for (; at < end; at += 16)
            a = fold(a, by, LOAD(at));
        _mm_storeu_si128((__m128i *)out, a);
        return end - data;
    }

    TARGET_WIDE static Py_ssize_t fold_broad(
        const crc16_t *of, const uint8_t *data, Py_ssize_t size, uint16_t crc, uint8_t *out)
    {
        const uint8_t *at = data + 256, *end = data + (size & ~(Py_ssize_t)15);
        __m512i by = _mm512_broadcast_i32x4(LOAD(of->folds[2]));
        __m512i a = _mm512_xor_si512(LOAD_WIDE(data), _mm512_zextsi128_si512(_mm_cvtsi32_si128(crc)));
        __m512i b = LOAD_WIDE(data + 64), c = LOAD_WIDE(data + 128), d = LOAD_WIDE(data + 192);
        __m128i x, narrow = LOAD(of->folds[0]);
        for (; end - at >= 256; at += 256) {
            a = fold_wide(a, by, LOAD_WIDE(at));
            b = fold_wide(b, by, LOAD_WIDE(at + 64));
            c = fold_wide(c, by, LOAD_WIDE(at + 128));
            d = fold_wide(d, by, LOAD_WIDE(at + 192));
        }
        by = _mm512_broadcast_i32x4(LOAD(of->folds[1]));
        a = fold_wide(fold_wide(fold_wide(a, by, b), by, c), by, d);
        for (; end - at >= 64; at += 64)
            a = fold_wide(a, by, LOAD_WIDE(at));
        x = fold(_mm512_extracti32x4_epi32(a, 0), narrow, _mm512_extracti32x4_epi32(a, 1));
        x = fold(x, narrow, _mm512_extracti32x4_epi32(a, 2));
        x = fold(x, narrow, _mm512_extracti32x4_epi32(a, 3));
        for (; at < end; at += 16)
            x = fold(x, narrow, LOAD(at));
        _mm_storeu_si128((__m128i *)out, x);
        return end - data;
    }

    static inline Py_ssize_t fold_octets(
        const crc16_t *of, const uint8_t *data, Py_ssize_t size, uint16_t crc, uint8_t *out)
    {
        if (size < 64 || folding == NOTHING)
            return 0;
        return (folding == WIDE && size >= 512 ? fold_broad : fold_narrow)(of, data, size, crc, out);
    }
    #else
    static void choose_folding(void) {}
    static inline Py_ssize_t fold_octets(
        const crc16_t *of, const uint8_t *data, Py_ssize_t size, uint16_t crc, uint8_t *out) { return 0; }
    #endif
    """
    ctypedef struct crc16_t:
        uint16_t[16][256] tables
        uint64_t[3][2] folds

    void choose_folding()
    Py_ssize_t fold_octets(
        const crc16_t *of, const uint8_t *data, Py_ssize_t size, uint16_t crc, uint8_t *out) noexcept nogil

cdef enum:
    #: Octets of a cache line; from so many on it pays to begin at one.
    LINE = 64
    LARGE = 8192

cdef crc16_t OF_8005, OF_1021, OF_3D65


cdef uint16_t times_x(uint16_t value, uint16_t polynomial) noexcept:
    """Multiply by x: reflected, the highest power is bit 0."""
    return value >> 1 ^ (polynomial if value & 1 else 0)


cdef void prepare(crc16_t *of, uint16_t polynomial) noexcept:
    cdef int octet, row, i
    cdef uint16_t crc
    for octet in range(256):
        crc = octet
        for i in range(8):
            crc = times_x(crc, polynomial)
        of.tables[0][octet] = crc
    for octet in range(256):
        for row in range(1, 16):
            crc = of.tables[row - 1][octet]
            of.tables[row][octet] = crc >> 8 ^ of.tables[0][crc & 0xFF]
    # A product of reflected numbers stands one bit too low, so the powers are one less; a half begins at its bit 63.
    for row, bits in enumerate((128, 512, 2048)):
        crc = 0x8000
        for i in range(1, bits + 64):
            crc = times_x(crc, polynomial)
            if i == bits - 1:
                of.folds[row][1] = <uint64_t>crc << 48
        of.folds[row][0] = <uint64_t>crc << 48


prepare(&OF_8005, 0xA001)
prepare(&OF_1021, 0x8408)
prepare(&OF_3D65, 0xA6BC)
choose_folding()


cdef inline uint16_t sixteen(const crc16_t *of, const uint8_t *data, uint16_t crc) noexcept nogil:
    cdef uint64_t low = load_le(data) ^ crc, high = load_le(data + 8)
    return (
        of.tables[7][high & 0xFF] ^ of.tables[6][high >> 8 & 0xFF]
        ^ of.tables[5][high >> 16 & 0xFF] ^ of.tables[4][high >> 24 & 0xFF]
        ^ of.tables[3][high >> 32 & 0xFF] ^ of.tables[2][high >> 40 & 0xFF]
        ^ of.tables[1][high >> 48 & 0xFF] ^ of.tables[0][high >> 56]
        ^ of.tables[13][low >> 16 & 0xFF] ^ of.tables[12][low >> 24 & 0xFF]
        ^ of.tables[11][low >> 32 & 0xFF] ^ of.tables[10][low >> 40 & 0xFF]
        ^ of.tables[9][low >> 48 & 0xFF] ^ of.tables[8][low >> 56]
        ^ of.tables[15][low & 0xFF] ^ of.tables[14][low >> 8 & 0xFF]
    )


cdef uint16_t crc16(const crc16_t *of, const uint8_t *data, Py_ssize_t size, uint16_t crc) noexcept nogil:
    cdef uint8_t[16] folded
    cdef Py_ssize_t done, i
    cdef uint16_t rest
    if size >= LARGE and <size_t>data % LINE:
        done = LINE - <size_t>data % LINE
        crc = crc16(of, data, done, crc)
        data += done
        size -= done
    done = fold_octets(of, data, size, crc, folded)
    if done:
        crc = sixteen(of, folded, 0)
        data += done
        size -= done
    while size >= 16:
        crc = sixteen(of, data, crc)
        data += 16
        size -= 16
    if size == 0:
        return crc
    if size == 1:
        return crc >> 8 ^ of.tables[0][(crc ^ data[0]) & 0xFF]
    rest = of.tables[size - 1][(crc ^ data[0]) & 0xFF] ^ of.tables[size - 2][crc >> 8 ^ data[1]]
    for i in range(2, size):
        rest ^= of.tables[size - 1 - i][data[i]]
    return rest


cdef extern from "Python.h":
    long PyLong_AsLongAndOverflow(object value, int *overflow) except? -1


cdef run(const crc16_t *of, data, value, uint16_t final):
    """Return the CRC of ``data``; ``final`` is what a result is xored with, and a result handed back too."""
    cdef int overflow
    cdef long before = PyLong_AsLongAndOverflow(value, &overflow)
    cdef Py_buffer view
    cdef uint16_t crc
    if not 0 <= before <= 0xFFFF:
        raise ValueError(f"CRC value {value} is not 0..65535: pass the result of the octets before")
    open_octets(data, &view)
    crc = crc16(of, <const uint8_t *>view.buf, view.len, before ^ final) ^ final
    PyBuffer_Release(&view)
    return crc


def crc16_arc(data, value=0):
    """CRC-16/ARC."""
    return run(&OF_8005, data, value, 0)


def crc16_modbus(data, value=0xFFFF):
    """CRC-16/MODBUS."""
    return run(&OF_8005, data, value, 0)


def crc16_x25(data, value=0):
    """CRC-16/X-25."""
    return run(&OF_1021, data, value, 0xFFFF)


crc16_c1218 = crc16_x25


def crc16_dnp(data, value=0xFFFF):
    """CRC-16/DNP."""
    return run(&OF_3D65, data, value, 0xFFFF)
