cimport cython

@cython.locals(i=Py_ssize_t)
cdef Py_ssize_t _beyond(
    const long long[::1] values, const unsigned short[::1] flags, unsigned int mask, long long limit
) except? -2

@cython.locals(i=Py_ssize_t, before=cython.longlong, end=cython.longlong)
cdef Py_ssize_t _misplaced(const long long[::1] ends, long long last, long long most) except? -2

@cython.locals(i=Py_ssize_t)
cdef Py_ssize_t _full(const long long[::1] total, const unsigned short[::1] coverage) except? -2

@cython.locals(i=Py_ssize_t, wide=cython.longlong)
cdef bint _wide(const long long[::1] values, long long limit) noexcept

@cython.locals(i=Py_ssize_t, most=cython.ushort)
cdef bint _saturated(const unsigned short[::1] coverage) noexcept

@cython.locals(i=Py_ssize_t, k=Py_ssize_t, stop=Py_ssize_t, seen=cython.uint, turn=cython.longlong)
cdef int _add(
    long long[::1] total,
    unsigned short[::1] coverage,
    const long long[::1] values,
    const unsigned short[::1] flags,
    unsigned int mask,
    long long sign,
) except -1

@cython.locals(
    i=Py_ssize_t, group=Py_ssize_t, first=Py_ssize_t, end=Py_ssize_t, energy=cython.longlong, seen=cython.uint,
    count=cython.longlong
)
cdef int _resample(
    const long long[::1] values,
    const unsigned short[::1] flags,
    const long long[::1] ends,
    unsigned int mask,
    long long[::1] sums,
    unsigned short[::1] merged,
    long long[::1] counts,
) except -1

@cython.locals(i=Py_ssize_t, count=Py_ssize_t, inside=bint)
cdef Py_ssize_t _gaps(const unsigned short[::1] flags, unsigned int mask, long long[::1] edges) except -1

@cython.locals(
    i=Py_ssize_t, j=Py_ssize_t, k=Py_ssize_t, begin=Py_ssize_t, last=Py_ssize_t, demand=cython.longlong,
    windows=cython.longlong, best=cython.longlong, best_at=Py_ssize_t,
)
cdef int _sliding(
    const long long[::1] values,
    const unsigned short[::1] flags,
    unsigned int mask,
    Py_ssize_t window,
    Py_ssize_t every,
    Py_ssize_t lead,
    long long[::1] found,
) except -1

@cython.locals(j=Py_ssize_t, k=Py_ssize_t, seen=cython.uint)
cdef Py_ssize_t _run(const unsigned short[::1] flags, unsigned int mask, Py_ssize_t first) noexcept nogil
