cimport cython

@cython.locals(i=Py_ssize_t, before=cython.longlong)
cdef Py_ssize_t _misplaced(const long long[::1] ends, long long last) except? -2

@cython.locals(
    i=Py_ssize_t, k=Py_ssize_t, end=Py_ssize_t, limit=cython.longlong, wide=cython.longlong, total=cython.longlong,
    count=cython.longlong, seen=cython.uint
)
cdef Py_ssize_t _figures(
    const long long[::1] values,
    const unsigned short[::1] flags,
    const long long[::1] ends,
    Py_ssize_t day,
    unsigned int missing,
    unsigned int unbillable,
    long long[::1] held,
    unsigned short[::1] merged,
    long long[::1] totals,
) except? -2

@cython.locals(
    k=Py_ssize_t, i=Py_ssize_t, value=cython.longlong, old=cython.longlong, flag=cython.uint, before=cython.uint,
    rank=cython.uint, held=cython.uint, found=cython.int
)
cdef int _merge(
    long long[::1] values,
    unsigned short[::1] flags,
    Py_ssize_t at,
    const long long[::1] new_values,
    const unsigned short[::1] new_flags,
    const unsigned char[::1] ranks,
    unsigned int missing,
    bint late,
) except -1
