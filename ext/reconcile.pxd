cimport cython

@cython.locals(
    pair=Py_ssize_t, row=Py_ssize_t, first=cython.longlong, last=cython.longlong, begin=cython.longlong,
    end=cython.longlong, bad=Py_ssize_t,
)
cdef Py_ssize_t _check(
    const long long[::1] values,
    const unsigned short[::1] flags,
    unsigned int mask,
    const long long[::1] edges,
    long long limit,
    long long[::1] found,
) except? -2

@cython.locals(
    i=Py_ssize_t, seen=cython.uint, wide=cython.longlong, total=cython.longlong, gaps=cython.longlong
)
cdef Py_ssize_t _add(
    const long long[::1] values,
    const unsigned short[::1] flags,
    unsigned int mask,
    Py_ssize_t first,
    Py_ssize_t last,
    bint whole,
    long long limit,
    long long[::1] found,
    Py_ssize_t row,
) noexcept nogil

@cython.locals(i=Py_ssize_t)
cdef int _mark(
    unsigned short[::1] flags, Py_ssize_t first, Py_ssize_t last, unsigned int keep, unsigned int more
) except -1

@cython.locals(i=Py_ssize_t, word=cython.int, total=cython.longlong, highest=cython.int, none=cython.longlong)
cdef int _words(
    const unsigned short[::1] data,
    Py_ssize_t first,
    Py_ssize_t last,
    Py_ssize_t step,
    int invalid,
    long long[::1] found,
) except -1

@cython.locals(i=Py_ssize_t, total=cython.longlong, step=cython.int)
cdef long long _roughness(const unsigned short[::1] data, Py_ssize_t channels) except? -1
