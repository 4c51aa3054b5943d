# Both directions compiled once more, for what most processors can do; chosen when the module is loaded.

cdef extern from *:
    """
    struct profile_work;
    struct profile_block;
    struct profile_fault;
    static Py_ssize_t profile_pack_block(struct profile_work *, const int64_t *, const uint16_t *, Py_ssize_t, int64_t);
    static int profile_read_block(struct profile_block *, int64_t *, uint16_t *, struct profile_fault *);

    /* The same functions compiled once more for processors since about 2013, whose shifts and vectors are faster. */
    #if defined(__x86_64__) && defined(__GNUC__)
    #define WIDE __attribute__((target("avx2,bmi,bmi2,pclmul"), flatten))
    WIDE static Py_ssize_t pack_wide(struct profile_work *work, const int64_t *values, const uint16_t *flags,
                                     Py_ssize_t count, int64_t step) {
        return profile_pack_block(work, values, flags, count, step);
    }
    WIDE static int read_wide(struct profile_block *block, int64_t *values, uint16_t *flags,
                              struct profile_fault *found) {
        return profile_read_block(block, values, flags, found);
    }
    static int is_wide(void) {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")
            && __builtin_cpu_supports("pclmul");
    }
    #else
    #define pack_wide profile_pack_block
    #define read_wide profile_read_block
    static int is_wide(void) { return 0; }
    #endif
    """
    Py_ssize_t pack_wide(Work *work, const int64_t *values, const uint16_t *flags, Py_ssize_t count,
                         int64_t step) noexcept nogil
    int read_wide(Block *block, int64_t *values, uint16_t *flags, Fault *found) noexcept nogil
    int is_wide() noexcept nogil

ctypedef Py_ssize_t (*PackBlock)(Work *, const int64_t *, const uint16_t *, Py_ssize_t, int64_t) noexcept nogil
ctypedef int (*ReadBlock)(Block *, int64_t *, uint16_t *, Fault *) noexcept nogil

cdef PackBlock pack_best
cdef ReadBlock read_best


def _use_wide(on):
    """Take the second compilation where it is asked for and can run; return whether it is taken. Off is for tests."""
    global pack_best, read_best
    cdef bint wide = on and is_wide()
    pack_best = pack_wide if wide else pack_block
    read_best = read_wide if wide else read_block
    return wide


_use_wide(True)
