cimport cython

ctypedef fused count_t:
    int
    long long

@cython.locals(meter=Py_ssize_t, bad=Py_ssize_t)
cpdef Py_ssize_t _bill(
    const int[::1] meters,
    const long long[::1] starts,
    const int[::1] values,
    const long long[::1] offsets,
    Py_ssize_t first,
    Py_ssize_t last,
    long long begin,
    const long long[::1] ends,
    const unsigned short[::1] slots,
    long long step,
    Py_ssize_t window,
    Py_ssize_t width,
    long long[::1] sums,
) except? -2

@cython.locals(
    meter=cython.int, limit=cython.longlong, latest=cython.longlong, at=cython.longlong, index=cython.longlong,
    shift=cython.longlong, odd=cython.longlong, energy=cython.longlong, segment=Py_ssize_t, i=Py_ssize_t,
    j=Py_ssize_t, k=Py_ssize_t, stop=Py_ssize_t, row=Py_ssize_t, window_at=Py_ssize_t,
)
cdef Py_ssize_t _meter(
    const int[::1] meters,
    const long long[::1] starts,
    const int[::1] values,
    Py_ssize_t first,
    Py_ssize_t last,
    long long begin,
    const long long[::1] ends,
    const unsigned short[::1] slots,
    long long step,
    Py_ssize_t window,
    Py_ssize_t base,
    long long[::1] sums,
) noexcept nogil

@cython.locals(i=Py_ssize_t, k=Py_ssize_t, best_at=Py_ssize_t, best=cython.longlong, demand=cython.longlong)
cdef Py_ssize_t _windows(
    const count_t[::1] values,
    Py_ssize_t begin,
    Py_ssize_t end,
    Py_ssize_t window,
    long long shift,
    long long step,
    Py_ssize_t row,
    long long[::1] sums,
) noexcept nogil

@cython.locals(i=Py_ssize_t, before=cython.longlong)
cdef Py_ssize_t _descending(const long long[::1] ends, long long begin) except? -2

@cython.locals(last=cython.longlong, stop=cython.longlong)
cdef int _expect(
    const long long[::1] ends,
    const unsigned short[::1] slots,
    Py_ssize_t segment,
    long long first,
    long long count,
    long long[::1] expected,
) except -1

@cython.locals(
    seen=cython.uint, energy=cython.longlong, wide=cython.longlong, i=Py_ssize_t, j=Py_ssize_t, k=Py_ssize_t,
    stop=Py_ssize_t, row=Py_ssize_t, window_at=Py_ssize_t,
)
cdef Py_ssize_t _dense(
    const long long[::1] values,
    const unsigned short[::1] flags,
    unsigned int mask,
    long long shift,
    const long long[::1] ends,
    const unsigned short[::1] slots,
    Py_ssize_t segment,
    long long step,
    Py_ssize_t window,
    long long limit,
    long long[::1] sums,
) except? -2
