cimport cython

cdef const unsigned short[::1] _8005
cdef const unsigned short[::1] _1021

@cython.locals(i=Py_ssize_t)
cdef unsigned int _reflected(const unsigned char[::1] data, const unsigned short[::1] table, unsigned int crc)
