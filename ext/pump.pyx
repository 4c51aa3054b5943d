# cython: language_level=3
"""The byte pump as C: see ``pump.py``, which is the same in Python and says what is promised."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, clockid_t, timespec
from posix.unistd cimport close, read, write

from ext._pump_words import CAPACITY, CLIENT, ENDED, GATHERED, HALF, METER, RUNNING, STOPPED, TAKEN

__all__ = ("CLIENT", "ENDED", "HALF", "METER", "RUNNING", "STOPPED", "Pump")

cdef extern from "sys/epoll.h" nogil:
    enum: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_CLOEXEC
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int maxevents, int timeout)

cdef extern from "sys/eventfd.h" nogil:
    enum: EFD_CLOEXEC, EFD_NONBLOCK
    int eventfd(unsigned int initval, int flags)

cdef extern from "sys/socket.h" nogil:
    enum: SHUT_WR
    int shutdown(int fd, int how)

cdef extern from *:
    """
    #define mg_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define mg_swap(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
    #define mg_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    """
    uint64_t mg_load(uint64_t *place) nogil
    void mg_store(uint64_t *place, uint64_t value) nogil
    int mg_load_int "mg_load"(int *place) nogil
    int mg_swap_int "mg_swap"(int *place, int value) nogil
    void mg_store_int "mg_store"(int *place, int value) nogil

cdef enum:  # the words of _pump_words, for where there is no interpreter
    CLIENT_ = 0
    METER_ = 1
    STOPPED_ = 2
    RUNNING_ = 0
    HALF_ = 1
    ENDED_ = 2
    EVENTS = 64
    ROOM = 65536  # octets of one way: CAPACITY
    FULL = 512  # GATHERED
    WAKE = 0x7FFFFFFF
    START = 1
    STOP = 2

cdef struct Way:
    int source
    int sink
    int pass_end  # tell the sink that the source has ended
    int ended
    int64_t gather  # ns of silence after which gathered octets go on; 0: at once
    int64_t due
    int64_t octets
    size_t begin
    size_t end
    unsigned char *buffer

cdef struct Pair:
    int state
    int cause
    int order  # of the event loop: START or STOP
    int live  # its descriptors are watched
    int tap
    uint32_t interest[2]
    int64_t first
    int64_t last
    int64_t longest
    int64_t lost
    Way way[2]

cdef struct Mark:  # before each piece in the ring
    int64_t at
    uint32_t slot
    uint32_t side
    uint64_t size


cdef int64_t _now(clockid_t clock) noexcept nogil:
    cdef timespec moment
    clock_gettime(clock, &moment)
    return <int64_t>moment.tv_sec * 1000000000 + moment.tv_nsec


cdef class Pump:
    cdef Pair *_pairs
    cdef unsigned char *_ring
    cdef uint64_t _mask
    cdef uint64_t _head  # octets ever put into the ring, by the thread
    cdef uint64_t _tail  # and taken out
    cdef int _slots
    cdef int _epoll
    cdef int _wake
    cdef int _notice
    cdef int _told
    cdef int _quit
    cdef int _gathering

    def __cinit__(self, int slots, ring: int = 1 << 20):
        self._epoll = self._wake = self._notice = -1
        if ring < 1 << 16 or ring & (ring - 1):
            raise ValueError(f"a ring of {ring} octets is not a power of two of at least 65536")
        self._slots, self._mask = slots, ring - 1
        self._pairs = <Pair *>calloc(slots, sizeof(Pair))
        self._ring = <unsigned char *>malloc(ring)
        if self._pairs == NULL or self._ring == NULL:
            raise MemoryError
        for i in range(slots):
            self._pairs[i].state = ENDED_
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        self._wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self._notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        cdef epoll_event event
        event.events, event.data.u64 = EPOLLIN, WAKE
        if self._notice < 0 or epoll_ctl(self._epoll, EPOLL_CTL_ADD, self._wake, &event) < 0:
            raise OSError(errno, "no descriptors left for the byte pump")

    def __dealloc__(self):
        cdef int i
        if self._pairs != NULL:
            for i in range(self._slots):
                free(self._pairs[i].way[0].buffer)
                free(self._pairs[i].way[1].buffer)
        free(self._pairs)
        free(self._ring)
        for descriptor in (self._epoll, self._wake, self._notice):
            if descriptor >= 0:
                close(descriptor)

    @property
    def notice(self) -> int:
        return self._notice

    # -- from the event loop's thread --------------------------------------------------------------------------------

    def add(
        self, int slot, int client, int meter, begin: bytes = b"", bint ended = False, bint pass_end = True,
        double gather = 0.0, bint tap = True,
    ) -> None:
        cdef Pair *pair = self._pair(slot)
        if pair.state != ENDED_ or pair.way[0].buffer != NULL:
            raise ValueError(f"slot {slot} is taken")
        if len(begin) > ROOM:
            raise ValueError(f"{len(begin)} octets to begin with are more than {CAPACITY}")
        cdef unsigned char *buffers[2]
        buffers[0], buffers[1] = <unsigned char *>malloc(ROOM), <unsigned char *>malloc(ROOM)
        if buffers[0] == NULL or buffers[1] == NULL:
            free(buffers[0])
            free(buffers[1])
            raise MemoryError
        cdef int side
        for side in range(2):
            pair.way[side].source = meter if side else client
            pair.way[side].sink = client if side else meter
            pair.way[side].pass_end = 1 if side else pass_end
            pair.way[side].ended = 0
            pair.way[side].gather = <int64_t>(gather * 1e9) if side else 0
            pair.way[side].due = pair.way[side].octets = 0
            pair.way[side].begin = pair.way[side].end = 0
            pair.way[side].buffer = buffers[side]
            pair.interest[side] = 0
        memcpy(buffers[0], PyBytes_AS_STRING(begin), len(begin))
        pair.way[0].end = pair.way[0].octets = len(begin)
        pair.way[0].ended = ended
        pair.state, pair.cause, pair.tap = HALF_ if ended else RUNNING_, CLIENT_, tap
        pair.first = pair.longest = pair.lost = 0
        pair.last = _now(CLOCK_MONOTONIC)
        mg_store_int(&pair.order, START)
        self._signal(self._wake)

    def stop(self, int slot) -> None:
        mg_store_int(&self._pair(slot).order, STOP)
        self._signal(self._wake)

    def look(self, int slot) -> tuple[int, int, int, int, int, int, int, int]:
        cdef Pair *pair = self._pair(slot)
        return (
            mg_load_int(&pair.state), pair.cause, pair.way[0].octets, pair.way[1].octets,
            pair.first, pair.last, pair.longest, pair.lost,
        )

    def free(self, int slot) -> None:
        cdef Pair *pair = self._pair(slot)
        if mg_load_int(&pair.state) != ENDED_:
            raise ValueError(f"slot {slot} is still served: stop it first")
        self._drop(pair)

    def taken(self) -> list[tuple[int, int, int, bytes]]:
        cdef uint64_t tail = self._tail
        cdef uint64_t head = mg_load(&self._head)
        cdef uint64_t most = TAKEN
        cdef Mark mark
        found = []
        while tail != head and most:
            self._copy_out(tail, <unsigned char *>&mark, sizeof(Mark))
            data = PyBytes_FromStringAndSize(NULL, mark.size)
            self._copy_out(tail + sizeof(Mark), <unsigned char *>PyBytes_AS_STRING(data), mark.size)
            found.append((mark.slot, mark.at, mark.side, data))
            tail += sizeof(Mark) + mark.size
            mg_store(&self._tail, tail)
            most -= 1
        return found

    def close(self) -> None:
        mg_store_int(&self._quit, 1)
        self._signal(self._wake)

    cdef Pair *_pair(self, int slot) except NULL:
        if not 0 <= slot < self._slots:
            raise IndexError(f"slot {slot} is not within 0..{self._slots - 1}")
        return &self._pairs[slot]

    cdef void _drop(self, Pair *pair) noexcept:
        cdef int side
        for side in range(2):
            free(pair.way[side].buffer)
            pair.way[side].buffer = NULL

    # -- in the pump's thread, without the interpreter's lock ----------------------------------------------------------

    def run(self) -> None:
        with nogil:
            self._serve()

    cdef void _serve(self) noexcept nogil:
        cdef epoll_event events[EVENTS]
        cdef int count, i, slot
        cdef uint64_t key, spent
        cdef bint asked
        while not mg_load_int(&self._quit):
            count = epoll_wait(self._epoll, events, EVENTS, self._patience() if self._gathering else -1)
            asked = False
            for i in range(count):
                key = events[i].data.u64
                if key == WAKE:
                    read(self._wake, &spent, sizeof(spent))
                    asked = True
                else:
                    self._ready(<int>(key >> 1), <int>(key & 1), events[i].events)
            if asked:  # last: no event of this round may meet a new pair in an old one's place
                self._orders()
            if self._gathering:
                self._flush_due()
        for slot in range(self._slots):
            if self._pairs[slot].state != ENDED_:
                self._finish(slot, STOPPED_)

    cdef void _orders(self) noexcept nogil:
        cdef int slot, order
        for slot in range(self._slots):
            order = mg_swap_int(&self._pairs[slot].order, 0)
            if order == START:
                self._start(slot)
            elif order == STOP and self._pairs[slot].state != ENDED_:
                self._finish(slot, STOPPED_)

    cdef void _start(self, int slot) noexcept nogil:
        cdef Pair *pair = &self._pairs[slot]
        cdef epoll_event event
        cdef int side
        pair.live = 1
        for side in range(2):
            event.events, event.data.u64 = 0, <uint64_t>slot * 2 + side
            if epoll_ctl(self._epoll, EPOLL_CTL_ADD, pair.way[side].source, &event) < 0:
                self._finish(slot, side)
                return
        if self._push(&pair.way[0]) < 0:
            self._finish(slot, METER_)
            return
        self._settle(slot, pair)

    cdef void _ready(self, int slot, int side, uint32_t what) noexcept nogil:
        """``side`` 0: the client's descriptor is ready; what it sends goes way 0, what it gets comes by way 1."""
        cdef Pair *pair = &self._pairs[slot]
        if not pair.live:  # ended earlier in this round
            return
        if what & EPOLLOUT and self._push(&pair.way[1 - side]) < 0:
            self._finish(slot, side)
            return
        if pair.interest[side] & EPOLLIN:
            if what & (EPOLLIN | EPOLLHUP | EPOLLERR) and not self._carry(slot, pair, side):
                return
        elif what & (EPOLLHUP | EPOLLERR):  # gone for good; there is nobody left to deliver to
            self._finish(slot, side)
            return
        self._settle(slot, pair)

    cdef bint _carry(self, int slot, Pair *pair, int side) noexcept nogil:
        """Read once and hand on; False when the pair has ended."""
        cdef Way *way = &pair.way[side]
        cdef size_t at = way.end
        cdef ssize_t got = read(way.source, way.buffer + at, ROOM - at)
        cdef int64_t now
        cdef bint full
        if got > 0:
            way.end += got
            full = way.gather == 0 or way.end - way.begin >= FULL
            if full:
                if way.due:
                    way.due = 0
                    self._gathering -= 1
                if self._push(way) < 0:
                    self._finish(slot, 1 - side)
                    return False
            now = _now(CLOCK_MONOTONIC)
            if not full:
                if not way.due:
                    self._gathering += 1
                way.due = now + way.gather
            way.octets += got
            if now - pair.last > pair.longest:
                pair.longest = now - pair.last
            pair.last = now
            if side == 1 and pair.first == 0:
                pair.first = now
            if pair.tap:
                self._hear(slot, pair, side, _now(CLOCK_REALTIME), way.buffer + at, got)
            return True
        if got == 0:
            way.ended = 1
            if pair.state == RUNNING_:
                pair.cause = side
                mg_store_int(&pair.state, HALF_)
                self._signal(self._notice)
            return True
        if errno == EAGAIN or errno == EINTR:
            return True
        self._finish(slot, side)
        return False

    cdef int _push(self, Way *way) noexcept nogil:
        """Write what waits; -1 when the sink is broken."""
        cdef ssize_t put
        while way.begin < way.end:
            put = write(way.sink, way.buffer + way.begin, way.end - way.begin)
            if put < 0:
                if errno == EINTR:
                    continue
                return 0 if errno == EAGAIN else -1
            way.begin += put
        way.begin = way.end = 0
        return 0

    cdef void _settle(self, int slot, Pair *pair) noexcept nogil:
        """Wait for what each way needs next; pass an end on when all before it is through."""
        cdef uint32_t wanted[2]
        cdef Way *way
        cdef int side
        cdef epoll_event event
        wanted[0] = wanted[1] = 0
        for side in range(2):
            way = &pair.way[side]
            if way.begin < way.end and not way.due:
                wanted[1 - side] |= EPOLLOUT
            elif not way.ended:
                wanted[side] |= EPOLLIN
            elif way.ended == 1:
                way.ended = 2
                if way.due:
                    way.due = 0
                    self._gathering -= 1
                    self._push(way)
                if way.pass_end:
                    shutdown(way.sink, SHUT_WR)
        if pair.way[0].ended == 2 and pair.way[1].ended == 2:
            self._finish(slot, pair.cause)
            return
        for side in range(2):
            if wanted[side] != pair.interest[side]:
                pair.interest[side] = event.events = wanted[side]
                event.data.u64 = <uint64_t>slot * 2 + side
                epoll_ctl(self._epoll, EPOLL_CTL_MOD, pair.way[side].source, &event)

    cdef int _patience(self) noexcept nogil:
        """Milliseconds until the next gathered octets are due."""
        cdef int64_t now = _now(CLOCK_MONOTONIC), soonest = now + 1000000000
        cdef int slot
        for slot in range(self._slots):
            if self._pairs[slot].way[1].due and self._pairs[slot].way[1].due < soonest:
                soonest = self._pairs[slot].way[1].due
        return <int>((soonest - now + 999999) // 1000000) if soonest > now else 0

    cdef void _flush_due(self) noexcept nogil:
        cdef int64_t now = _now(CLOCK_MONOTONIC)
        cdef int slot
        cdef Way *way
        for slot in range(self._slots):
            way = &self._pairs[slot].way[1]
            if way.due and way.due <= now:
                way.due = 0
                self._gathering -= 1
                if self._push(way) < 0:
                    self._finish(slot, CLIENT_)
                else:
                    self._settle(slot, &self._pairs[slot])

    cdef void _finish(self, int slot, int cause) noexcept nogil:
        cdef Pair *pair = &self._pairs[slot]
        cdef int side
        cdef epoll_event event
        pair.live = 0
        if pair.way[1].due:
            pair.way[1].due = 0
            self._gathering -= 1
        for side in range(2):
            self._push(&pair.way[side])  # what the other end can still take
            epoll_ctl(self._epoll, EPOLL_CTL_DEL, pair.way[side].source, &event)
        if pair.state == RUNNING_:
            pair.cause = cause
        mg_store_int(&pair.state, ENDED_)
        self._signal(self._notice)

    cdef void _hear(self, int slot, Pair *pair, int side, int64_t now, unsigned char *data, size_t size) noexcept nogil:
        """Tell the tap. Where it has no room the pair goes on unheard: half a conversation would mislead."""
        cdef uint64_t head = self._head
        cdef uint64_t used = head - mg_load(&self._tail)
        cdef Mark mark
        if used + sizeof(Mark) + size > self._mask + 1:
            pair.lost, pair.tap = pair.lost + 1, 0
            self._signal(self._notice)
            return
        mark.at, mark.slot, mark.side, mark.size = now, slot, side, size
        self._copy_in(head, <unsigned char *>&mark, sizeof(Mark))
        self._copy_in(head + sizeof(Mark), data, size)
        mg_store(&self._head, head + sizeof(Mark) + size)
        if used <= self._mask >> 1 < used + sizeof(Mark) + size:
            self._signal(self._notice)

    cdef void _copy_in(self, uint64_t place, const unsigned char *data, size_t size) noexcept nogil:
        cdef size_t at = place & self._mask
        cdef size_t first = min(size, <size_t>(self._mask + 1 - at))
        memcpy(self._ring + at, data, first)
        memcpy(self._ring, data + first, size - first)

    cdef void _copy_out(self, uint64_t place, unsigned char *data, size_t size) noexcept nogil:
        cdef size_t at = place & self._mask
        cdef size_t first = min(size, <size_t>(self._mask + 1 - at))
        memcpy(data, self._ring + at, first)
        memcpy(data + first, self._ring, size - first)

    cdef void _signal(self, int descriptor) noexcept nogil:
        cdef uint64_t one = 1
        write(descriptor, &one, sizeof(one))
