cimport cython

@cython.locals(
    valid=cython.longlong, outside=cython.longlong, critical=cython.longlong, good=cython.ulonglong,
    value=cython.ulonglong, i=Py_ssize_t, k=Py_ssize_t, stop=Py_ssize_t,
)
cdef int _classify(
    const long long[::1] values,
    const unsigned short[::1] flags,
    unsigned int mask,
    long long readings,
    long long low,
    long long adequate_low,
    long long adequate_high,
    long long high,
    long long[::1] found,
) except -1
