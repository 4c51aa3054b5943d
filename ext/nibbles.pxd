cimport cython

@cython.locals(i=Py_ssize_t, at=Py_ssize_t)
cdef int _unpack(const unsigned char[::1] data, bint low_first, unsigned short[::1] out) except -1

@cython.locals(i=Py_ssize_t, at=Py_ssize_t, word=cython.uint)
cdef Py_ssize_t _pack(const unsigned short[::1] words, bint low_first, unsigned char[::1] out) except? -2
