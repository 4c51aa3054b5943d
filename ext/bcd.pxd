cimport cython

@cython.locals(i=Py_ssize_t, octet=int, value=cython.longlong)
cdef long long _decode(const unsigned char[::1] data, Py_ssize_t first, Py_ssize_t size) except? -4611686018427387904

@cython.locals(field=Py_ssize_t, value=cython.longlong)
cdef Py_ssize_t _decode_each(const unsigned char[::1] data, Py_ssize_t size, long long[::1] out) except? -2
