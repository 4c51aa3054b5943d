cimport cython
from libc.math cimport sqrt

@cython.locals(i=Py_ssize_t, most=cython.int)
cdef int _highest(const unsigned short[::1] slots) except -2

@cython.locals(
    hour=Py_ssize_t, i=Py_ssize_t, kind=cython.int, sign=cython.longlong, seen=cython.uint, wide=cython.longlong,
    total=cython.longlong,
)
cdef int _sum(
    const long long[::1] values,
    const unsigned short[::1] flags,
    const unsigned char[::1] counted,
    Py_ssize_t per_hour,
    unsigned int mask,
    long long limit,
    long long inductive_sign,
    long long capacitive_sign,
    long long[::1] sums,
    unsigned short[::1] states,
) except -1

@cython.locals(hour=Py_ssize_t, row=Py_ssize_t, energy=cython.longlong, reactive=cython.longlong)
cdef Py_ssize_t _judge(
    const long long[::1] energies,
    const long long[::1] reactives,
    const unsigned short[::1] states,
    const unsigned short[::1] slots,
    const unsigned char[::1] counted,
    long long times,
    long long reactive_times,
    long long num,
    long long den,
    bint zero_policy,
    bint skip_policy,
    long long[::1] totals,
) except? -2

@cython.locals(square=cython.longlong)
cdef void _add(
    long long[::1] totals,
    Py_ssize_t row,
    Py_ssize_t hour,
    long long energy,
    long long reactive,
    long long num,
    long long den,
    bint zero_policy,
) noexcept nogil

@cython.locals(
    left=cython.ulonglong, right=cython.ulonglong, left_times=cython.ulonglong, right_times=cython.ulonglong,
    left_low=cython.ulonglong, right_low=cython.ulonglong, left_high=cython.ulonglong, right_high=cython.ulonglong,
)
cdef bint _below(long long energy, long long reactive, long long num, long long den) noexcept nogil

@cython.locals(root=cython.ulonglong, rest=cython.ulonglong)
cdef unsigned long long _root(unsigned long long square) noexcept nogil
