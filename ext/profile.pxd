cimport cython

ctypedef unsigned long long u64

cdef u64 _MASK
cdef u64 _SIGN
cdef u64 _CLAMP
cdef u64 _ESCAPE
cdef u64 _MEAN_START

cdef class _Writer:
    cdef bytearray out
    cdef u64 acc
    cdef int fill

    cdef int octet(self, int value) except -1
    cdef int varint(self, u64 value) except -1
    cdef int bits(self, u64 value, int width) except -1
    cdef int flush(self) except -1

cdef class _Reader:
    cdef const unsigned char[::1] data
    cdef readonly Py_ssize_t at
    cdef readonly Py_ssize_t end
    cdef u64 acc
    cdef int fill

    cdef int octet(self) except -1
    @cython.locals(value=u64, shift=cython.int, part=u64)
    cpdef u64 varint(self) except? 0xFFFFFFFFFFFFFFFF
    @cython.locals(value=u64)
    cdef u64 bits(self, int width) except? 0xFFFFFFFFFFFFFFFF
    @cython.locals(count=cython.int)
    cdef int ones(self, int limit) except -1

@cython.locals(i=Py_ssize_t, found=Py_ssize_t)
cdef Py_ssize_t _present(const long long[::1] values, const unsigned short[::1] flags, long long[::1] out) except -1

@cython.locals(writer=_Writer, i=Py_ssize_t, start=Py_ssize_t, seen=cython.uint)
cdef bytes _flag_runs(const unsigned short[::1] flags)

@cython.locals(at=Py_ssize_t, left=u64, length=u64, flag=u64)
cdef int _read_flags(_Reader reader, unsigned short[::1] flags) except -1

cdef u64 _zigzag(u64 difference) noexcept
cdef u64 _unzigzag(u64 value) noexcept

@cython.locals(i=Py_ssize_t, base=u64)
cdef int _residuals(const u64[::1] values, bint differences, u64[::1] out, _Writer writer) except -1

@cython.locals(width=cython.int)
cdef int _width(u64 value) noexcept

@cython.locals(mean=u64, u=u64, run=u64, i=Py_ssize_t, count=Py_ssize_t, width=cython.int, offset=cython.int, after_zero=cython.bint)
cdef int _write_residuals(_Writer writer, const u64[::1] residuals) except -1

@cython.locals(quotient=u64, width=cython.int)
cdef int _write_rice(_Writer writer, u64 u, int k) except -1

@cython.locals(quotient=u64, width=cython.int, high=u64)
cdef u64 _read_rice(_Reader reader, int k) except? 0xFFFFFFFFFFFFFFFF

@cython.locals(width=cython.int)
cdef u64 _read_run(_Reader reader) except? 0xFFFFFFFFFFFFFFFF

@cython.locals(
    base=u64, mean=u64, run=u64, u=u64, i=Py_ssize_t, offset=cython.int, first=cython.bint, after_zero=cython.bint
)
cdef int _read_values(_Reader reader, bint differences, const unsigned short[::1] flags, u64[::1] out) except -1
