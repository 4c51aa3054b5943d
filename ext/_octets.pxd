"""The door of the compiled kernels: octets of any contiguous buffer without a copy, words of 64 bits out of them.

``bytes``, which drivers pass nearly always, are not even asked for a view. What a buffer is refused for, and in which
words, ``ext/_views.py`` says for both builds.
"""

from cpython cimport array
from cpython.exc cimport PyErr_Clear
from libc.stdint cimport uint8_t, uint64_t

cdef extern from *:
    """
    #ifndef METERGATE_OCTETS
    #define METERGATE_OCTETS
    #include <stdint.h>
    #include <string.h>

    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #define OCTETS_BE(x) (x)
    #define OCTETS_LE(x) __builtin_bswap64(x)
    #else
    #define OCTETS_BE(x) __builtin_bswap64(x)
    #define OCTETS_LE(x) (x)
    #endif
    static inline uint64_t load_be(const uint8_t *at) { uint64_t x; memcpy(&x, at, 8); return OCTETS_BE(x); }
    static inline uint64_t load_le(const uint8_t *at) { uint64_t x; memcpy(&x, at, 8); return OCTETS_LE(x); }
    static inline void store_be(uint8_t *at, uint64_t x) { x = OCTETS_BE(x); memcpy(at, &x, 8); }
    static inline void store_le(uint8_t *at, uint64_t x) { x = OCTETS_LE(x); memcpy(at, &x, 8); }

    static inline int try_octets(PyObject *data, Py_buffer *view) {
        if (PyBytes_CheckExact(data)) {
            view->buf = PyBytes_AS_STRING(data);
            view->len = PyBytes_GET_SIZE(data);
            view->obj = NULL;  /* nothing to release: the caller holds them */
            return 0;
        }
        return PyObject_GetBuffer(data, view, PyBUF_SIMPLE);
    }
    #endif
    """
    uint64_t load_be(const uint8_t *at) noexcept nogil
    uint64_t load_le(const uint8_t *at) noexcept nogil
    void store_be(uint8_t *at, uint64_t x) noexcept nogil
    void store_le(uint8_t *at, uint64_t x) noexcept nogil
    int try_octets(object data, Py_buffer *view) noexcept


cdef inline int open_octets(object data, Py_buffer *view) except -1:
    """Fill ``view`` from any C-contiguous buffer; ``PyBuffer_Release`` ends it, and ``data`` must live until then."""
    if try_octets(data, view):
        PyErr_Clear()
        from ext._views import octets

        return open_octets(octets(data), view)
    return 0


cdef inline bint is_array(object values, char typecode):
    """Whether that is an ``array`` of this type, which then needs no look at its format."""
    return type(values) is array.array and (<array.array>values).ob_descr.typecode == typecode


cdef extern from "Python.h":
    Py_ssize_t PyNumber_AsSsize_t(object number, void *error) except? -1


cdef inline Py_ssize_t clipped(object number) except? -1:
    """Return an integer, or the nearest that fits; what is no integer raises ``TypeError``."""
    return PyNumber_AsSsize_t(number, NULL)
