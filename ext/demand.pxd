cimport cython

@cython.locals(
    begin=Py_ssize_t, post=Py_ssize_t, left=Py_ssize_t, i=Py_ssize_t, row=Py_ssize_t, demand=cython.longlong, value=cython.longlong
)
cdef Py_ssize_t _integrate(
    const long long[::1] values,
    const unsigned short[::1] flags,
    const unsigned char[::1] posts,
    unsigned int mask,
    Py_ssize_t window,
    Py_ssize_t lead,
    long long limit,
    long long[::1] sums,
) except? -2
