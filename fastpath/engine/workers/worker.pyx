# SPDX-License-Identifier: Apache-2.0
"""The worker: one thread without the GIL that runs every burst to completion.

Read it from the bottom up: `run` turns until it is stopped; a turn sleeps until something is ready and
serves it; `from_port` and `from_underlay` read a burst, which the segment's forwarder decides on and
`fp_deliver` (src/path/deliver.c) sends on its way.

Everything here belongs to the worker's thread, except `watch`, `unwatch` and `stop`, which control calls.
"""

import os

from libc.errno cimport EAGAIN, EBADFD, EINTR, ENODEV, ENOENT, ENXIO, EPIPE, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastpath.kernels.path.arrival cimport (
    fp_decap,
    fp_routers_check,
    fp_source_begin,
    fp_source_look,
    fp_source_mark,
    fp_train_unit,
)
from fastpath.kernels.monitor.capture cimport fp_capture_arrival
from fastpath.kernels.packet.dest cimport FP_BURST, FP_DEST_NONE, FP_DEST_PORT, FP_FRAME_SIZE, FP_HEADROOM, fp_dest_make
from fastpath.kernels.forward.forward cimport fp_deliver, fp_forward
from fastpath.kernels.path.burst cimport (
    FP_SPARE_SIZE,
    fp_burst,
    fp_burst_clear,
    fp_burst_end,
    fp_burst_follow,
    fp_burst_new_train,
    fp_burst_take,
)
from fastpath.kernels.path.pace cimport (
    fp_pace_clock,
    fp_pace_gather,
    fp_pace_init,
    fp_pace_look,
    fp_pace_slept,
    fp_pace_yielded,
)
from fastpath.kernels.system cimport (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    EPOLLIN,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    aligned_alloc,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    eventfd,
    eventfd_read,
    eventfd_write,
    sched_yield,
)
from fastpath.kernels.tables.tables cimport (
    FP_BUDGET_TURN,
    fp_budget,
    fp_budget_begin,
    fp_budget_end,
    fp_budget_frames,
    fp_count_drop,
    fp_count_event,
    fp_count_in,
    fp_drop,
    fp_enter_check,
    fp_forwarder,
    fp_frame,
    fp_now,
    fp_port,
    fp_port_get,
    fp_turn_begin,
    fp_turn_end,
    fp_uplink_flush,
)
from fastpath.kernels.counters.tally cimport (
    FP_DROP_NONE,
    FP_DROP_ambiguous_train,
    FP_DROP_not_member,
    FP_DROP_unknown_vtep,
    FP_EVENT_merged,
    FP_EVENT_read_failed,
    FP_EVENT_receive_failed,
    FP_EVENT_trains_received,
    FP_EVENT_wait_failed,
    fp_count,
    fp_counter_read,
    fp_traffic,
)
from fastpath.kernels.io.tap cimport FP_TAP_ROOM, fp_tap_read
from fastpath.kernels.io.udp cimport fp_arrival, fp_udp_in, fp_udp_receive
from fastpath.kernels.packet.wire cimport FP_VXLAN_SIZE
from fastpath.engine.tables cimport Tables
from fastpath.engine.workers.uplink cimport Uplink

from fastpath.errors import RefusedError

cdef enum:
    # One message's buffer. An odd number of cache lines, so that the buffers' first lines, which are
    # all that small frames use, spread over all sets of the cache.
    STRIDE = 1027 * 64
    # Bytes read in one turn, about, so that they are still in the cache when they are sent.
    READ_AT_ONCE = 64 << 10
    UDP = 1 << 20  # what an event is about; a port's is the port's index, which is less
    WAKE = 1 << 21


cdef class Worker:
    """One of the engine's workers. `receive` and `send` are the file descriptors of its own sockets; a worker
    of a replay has none (-1, []).

    `spin_us` is for how long it looks for work before it sleeps, in microseconds. `gso` says that packets
    may be sent in trains, `merge` that frames from the underlay become super-frames. `known_only` refuses
    packets from all but the admitted remotes. `kernel_peers`: a packet may hold a super-frame, see fp_train_unit.
    """

    def __cinit__(self, Tables tables not None, int index, *, int receive, list send, int fragments=-1, int family,
                  bint strict, bint known_only, int learned_udp_port, int attention, int spin_us, bint gso,
                  bint merge, bint kernel_peers):
        self.epoll = self.wake = -1
        self.tables = tables
        self.context.tables = tables.c
        self.context.worker = index
        self.uplink = Uplink(send, family=family, gso=gso, fragments=fragments)
        self.context.uplink = &self.uplink.c
        self.strict = strict
        self.merge = merge
        self.kernel_peers = kernel_peers
        self.source.known_only = known_only
        self.source.udp_port = <uint16_t>learned_udp_port
        self.attention = attention
        fp_pace_init(&self.pace, <uint64_t>spin_us * 1000)
        self.udp = receive
        self.room = FP_BURST
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        self.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.epoll < 0 or self.wake < 0:
            raise RefusedError("no file descriptor is left for a worker: raise the limit (ulimit -n)")
        self.allocate()
        self.add(self.wake, WAKE)
        if receive >= 0:
            self.add(self.udp, UDP)

    cdef void allocate(self) except *:
        self.inlet = <fp_udp_in *>calloc(1, sizeof(fp_udp_in))
        self.burst = <fp_burst *>calloc(1, sizeof(fp_burst))
        self.buffers = <uint8_t *>aligned_alloc(64, FP_BURST * STRIDE)
        if self.inlet == NULL or self.burst == NULL or self.buffers == NULL:
            raise MemoryError
        self.burst.spare = <uint8_t *>aligned_alloc(64, FP_SPARE_SIZE)
        if self.burst.spare == NULL:
            raise MemoryError
        assert FP_HEADROOM + FP_FRAME_SIZE <= STRIDE and READ_AT_ONCE + FP_TAP_ROOM <= FP_BURST * STRIDE

    def __dealloc__(self):
        if self.epoll >= 0:
            os.close(self.epoll)
        if self.wake >= 0:
            os.close(self.wake)
        if self.burst != NULL:
            free(self.burst.spare)
        free(self.burst)
        free(self.inlet)
        free(self.buffers)

    def add(self, int fd, uint64_t what):
        cdef epoll_event event
        event.events = EPOLLIN
        event.data.u64 = what
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event) != 0:
            raise OSError(f"cannot watch file descriptor {fd}")

    def watch(self, int fd, uint32_t port):
        """Read frames of the port with this index from `fd`."""
        self.add(fd, port)

    def unwatch(self, int fd):
        """Stop reading from `fd`. It is no error if `fd` is not watched."""
        cdef epoll_event event
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, &event)

    def stop(self):
        """Make `run` return after the present turn."""
        self.stopping = True
        eventfd_write(self.wake, 1)

    def fileno(self):
        """Return the file descriptor to wait on for work."""
        return self.epoll

    def poll(self):
        """Take one turn in the calling thread, without waiting.

        Return how many sources were ready, and how many frames and messages they gave.
        """
        cdef int served
        self.handled = 0
        with nogil:
            served = self.turn(0)
        return served, self.handled

    cdef void failed(self, uint32_t event) noexcept nogil:
        """Count an event that belongs to no segment."""
        fp_count(&self.context.tables.tally[self.context.worker].events[event], 1)

    cdef void forget(self, fp_port *port) noexcept nogil:
        cdef epoll_event event
        if epoll_ctl(self.epoll, EPOLL_CTL_DEL, port.fd[self.context.worker], &event) != 0 and errno != ENOENT:
            self.failed(FP_EVENT_wait_failed)  # ENOENT: control was quicker

    cdef void lost_port(self, fp_port *port) noexcept nogil:
        """Stop reading from a port whose interface was deleted, and notify control."""
        port.gone = True
        self.forget(port)
        if eventfd_write(self.attention, 1) != 0 and errno != EAGAIN:  # EAGAIN: it is told already
            self.failed(FP_EVENT_wait_failed)

    cdef uint32_t decide(self, fp_frame *frames, uint32_t count) noexcept nogil:
        """Ask the forwarder of the first frame about all frames up to one of another forwarder. Return their number."""
        cdef const fp_forwarder *forwarder = frames[0].segment.forwarder
        cdef uint32_t last = 1
        while last < count and frames[last].segment.forwarder == forwarder:
            last += 1
        fp_forward(forwarder, &self.context, frames, last)
        return last

    cdef void forward(self) noexcept nogil:
        """Ask the forwarder of each run of frames, then deliver them in order."""
        cdef fp_frame *frames = self.burst.frame
        cdef uint32_t first = 0, last, i, count = self.burst.count
        for i in range(count):
            fp_count_in(&self.context, &frames[i])
        while first < count:
            last = first + self.decide(&frames[first], count - first)
            for i in range(first, last):
                fp_deliver(&self.context, &frames[i])
            first = last
        fp_uplink_flush(&self.context, self.context.uplink)

    cdef void end_burst(self) noexcept nogil:
        """Forward the burst."""
        cdef fp_frame *frame
        cdef uint32_t i
        for i in range(self.burst.count):
            frame = &self.burst.frame[i]
            if frame.segments > 1 and frame.gso_size == 0:
                fp_count_event(&self.context, frame.segment, FP_EVENT_merged, frame.segments - 1)
        fp_burst_end(self.burst)
        self.forward()
        fp_burst_clear(self.burst)

    cdef void reject(self, uint8_t *packet, uint32_t length, uint8_t tos, uint32_t reason) noexcept nogil:
        """Discard the next frame, which is a packet's content."""
        fp_capture_arrival(&self.context, &self.source.from_, packet, length, length, tos, reason)
        fp_count_drop(&self.context, &self.burst.frame[self.burst.count], reason)

    cdef bint strip(self, uint8_t *packet, uint32_t length, uint32_t super_size, uint8_t tos) noexcept nogil:
        """Make the next frame of the content of a packet. Return False if it was dropped."""
        cdef fp_frame *frame = &self.burst.frame[self.burst.count]
        cdef uint32_t reason
        frame.data = packet
        frame.length = length
        frame.gso_size = super_size
        frame.outer_tos = tos
        frame.source = fp_dest_make(FP_DEST_NONE, 0)
        reason = fp_decap(&self.context, frame, self.strict)
        if reason != FP_DROP_NONE:
            self.reject(packet, length, tos, reason)
        return reason == FP_DROP_NONE

    cdef void take(self, uint8_t *packet, uint32_t length, uint32_t super_size, uint8_t tos,
                   const uint8_t *room_end) noexcept nogil:
        """Check a packet, strip it, and merge its frame into the one before, or keep it as the next."""
        cdef fp_frame *frame = &self.burst.frame[self.burst.count]
        cdef uint32_t reason
        if not self.strip(packet, length, super_size, tos):
            return
        if not fp_source_mark(&self.context, &self.source, frame):
            self.reject(packet, length, tos, FP_DROP_not_member)
            return
        reason = fp_routers_check(frame)
        if reason != FP_DROP_NONE:
            self.reject(packet, length, tos, reason)
            return
        if self.merge:
            fp_burst_take(self.burst, room_end)
        else:
            self.burst.count += 1
        if self.burst.count == FP_BURST:
            self.end_burst()

    cdef void refuse(self, const fp_arrival *arrival, uint32_t reason) noexcept nogil:
        """Discard a whole message, without reading its packets."""
        cdef fp_frame *frame = &self.burst.frame[self.burst.count]
        frame.source = fp_dest_make(FP_DEST_NONE, 0)
        frame.segment = NULL
        frame.segments = 1
        if 0 < arrival.size < arrival.length:
            frame.segments = (arrival.length - 1) // arrival.size + 1
        fp_capture_arrival(&self.context, &self.source.from_, arrival.data, arrival.length, arrival.size, arrival.tos, reason)
        fp_count_drop(&self.context, frame, reason)

    cdef void arrive(self, fp_arrival *arrival) noexcept nogil:
        """Take a message: a packet, or a train of packets. The end of its buffer is room for merges."""
        cdef const uint8_t *room_end = arrival.data + FP_VXLAN_SIZE + FP_FRAME_SIZE
        cdef uint32_t unit = fp_train_unit(self.context.tables, arrival.data, arrival.length, arrival.size, self.kernel_peers)
        cdef uint32_t length, at = 0
        cdef bint alone = unit == arrival.length
        cdef uint32_t super_size = arrival.size if alone and arrival.size < arrival.length else 0
        fp_burst_new_train(self.burst)
        if unit == 0 and arrival.length != 0:
            self.refuse(arrival, FP_DROP_ambiguous_train)
            return
        fp_capture_arrival(&self.context, &self.source.from_, arrival.data, arrival.length, unit, arrival.tos, FP_DROP_NONE)
        if not alone:
            fp_count(&self.context.tables.tally[self.context.worker].events[FP_EVENT_trains_received], 1)
        while True:
            length = min(unit, arrival.length - at)
            if at == 0 or not self.merge or not fp_burst_follow(self.burst, arrival.data + at, length):
                self.take(arrival.data + at, length, super_size, arrival.tos, room_end)
            at += length
            if at >= arrival.length:
                return

    cdef void from_underlay(self) noexcept nogil:
        cdef uint64_t total = 0
        cdef int i, count
        fp_burst_clear(self.burst)
        count = fp_udp_receive(self.udp, self.inlet, self.buffers, STRIDE, self.room)
        if count < 0:
            self.failed(FP_EVENT_receive_failed)
        if count <= 0:
            return
        for i in range(count):
            if fp_source_look(&self.context, &self.source, &self.inlet.from_[i]):
                self.arrive(&self.inlet.arrival[i])
            else:
                self.refuse(&self.inlet.arrival[i], FP_DROP_unknown_vtep)
            total += self.inlet.arrival[i].length
        self.handled += count
        self.end_burst()
        # As many messages next time as READ_AT_ONCE bytes probably are.
        self.room = <uint32_t>max(1, min(<uint64_t>FP_BURST, READ_AT_ONCE * <uint64_t>count // (total + 1)))

    cdef bint enter(self, fp_frame *frame, const fp_port *port) noexcept nogil:
        """Take a parsed frame that came from a port. Return False if it was dropped."""
        cdef uint32_t reason
        frame.source = fp_dest_make(FP_DEST_PORT, port.index)
        frame.segment = port.segment
        frame.vni = 0
        frame.outer_tos = 0
        frame.segments = 1
        reason = fp_enter_check(&self.context, frame, port)
        if reason != FP_DROP_NONE:
            fp_drop(&self.context, frame, reason)
        return reason == FP_DROP_NONE

    cdef uint64_t sent(self) noexcept nogil:
        """Return how many packets this worker has sent, or could not send: those are as much work."""
        cdef fp_traffic *traffic = &self.context.tables.tally[self.context.worker].traffic
        return fp_counter_read(&traffic.tx_frames) + fp_counter_read(&traffic.drops)

    cdef void read_burst(self, fp_port *port, fp_budget *budget) noexcept nogil:
        """Read a burst of frames from a port, and forward it."""
        cdef fp_frame *frames = self.burst.frame
        cdef uint32_t i, count, kept = 0
        cdef uint64_t before
        cdef fp_frame *frame
        cdef int error = 0
        count = fp_tap_read(port.fd[self.context.worker], frames, fp_budget_frames(budget), self.buffers,
                            READ_AT_ONCE + FP_TAP_ROOM, &error)
        for i in range(count):
            frame = &frames[kept]
            if i != kept:
                frame[0] = frames[i]
            kept += self.enter(frame, port)
        self.handled += count
        self.burst.count = kept
        before = self.sent()
        self.forward()
        # A frame that did not get in is one packet, whatever it would have become.
        fp_budget_end(budget, count, self.sent() - before + count - kept)
        if error == EBADFD or error == ENODEV or error == ENXIO or error == EPIPE:
            self.lost_port(port)
        elif error != 0:
            self.failed(FP_EVENT_read_failed)

    cdef void from_port(self, uint32_t index) noexcept nogil:
        cdef fp_port *port = fp_port_get(self.context.tables, index)
        if port == NULL:
            return
        if port.gone:  # another worker noticed first; this one's queue would stay ready for ever
            self.forget(port)
        elif fp_budget_begin(&port.budget[self.context.worker]):
            self.read_burst(port, &port.budget[self.context.worker])
        else:
            self.handled += 1  # to wait for its turn is something that was done

    cdef void serve(self, uint64_t what) noexcept nogil:
        cdef uint64_t ignored
        if what == UDP:
            self.from_underlay()
        elif what == WAKE:
            if eventfd_read(self.wake, &ignored) != 0 and errno != EAGAIN:
                self.failed(FP_EVENT_wait_failed)
        else:
            self.from_port(<uint32_t>what)

    cdef void begin(self) noexcept nogil:
        """Begin a turn. Between turns the worker holds nothing that control may withdraw."""
        fp_turn_begin(self.context.tables, self.context.worker)
        self.context.now = fp_now(self.context.tables)
        self.sent_before = self.sent()
        fp_source_begin(&self.source, self.context.tables)

    cdef int turn(self, int timeout_ms) noexcept nogil:
        """Sleep until something is ready or the time is up (-1: no limit), and serve all that is ready."""
        cdef int i, count = epoll_wait(self.epoll, self.events, READY, timeout_ms)
        if count < 0 and errno != EINTR:
            self.failed(FP_EVENT_wait_failed)
        if count <= 0:
            return 0
        self.handled = 0
        self.begin()
        for i in range(count):
            if self.sent() - self.sent_before > FP_BUDGET_TURN:  # control may be waiting
                fp_turn_end(self.context.tables, self.context.worker)
                self.begin()
            self.serve(self.events[i].data.u64)
        fp_turn_end(self.context.tables, self.context.worker)
        return count

    cdef uint64_t let_others(self, uint64_t now) noexcept nogil:
        """Yield this core for a moment. Return the time after that."""
        cdef uint64_t after
        sched_yield()
        after = fp_pace_clock()
        fp_pace_yielded(&self.pace, now, after)
        return after

    cdef void loop(self) noexcept nogil:
        """Turn until `stop`. Poll for work for a while before going to sleep: waking up takes longer."""
        cdef uint64_t now = fp_pace_clock(), since = now, until
        while not self.stopping:
            if self.turn(0) != 0:
                now = fp_pace_clock()
                until = fp_pace_gather(&self.pace, since, now, self.handled)
                since = now
                while now < until:
                    now = self.let_others(now)
            elif fp_pace_look(&self.pace, since, now):
                now = self.let_others(now)
            else:
                since = fp_pace_clock()
                self.turn(-1)
                now = fp_pace_clock()
                fp_pace_slept(&self.pace, since, now)
                since = now

    def run(self, core=None):
        """Turn until `stop` is called, on `core` if it is given. This is the body of the worker's thread."""
        if core is not None:
            os.sched_setaffinity(0, [core])  # of this thread
        with nogil:
            self.loop()
        self.stopping = False
