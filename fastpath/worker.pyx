# SPDX-License-Identifier: Apache-2.0
"""The worker: one thread without the GIL that runs every burst to completion.

Read it from the bottom up: `run` turns until it is stopped; a turn sleeps until something is ready and
serves it; `from_port` and `from_underlay` read a burst, which the segment's forwarder decides on and
`deliver` sends on its way.

Everything here belongs to the worker's thread, except `watch`, `unwatch` and `stop`, which control calls.
"""

import os

from libc.errno cimport EAGAIN, EBADFD, EIO, ENOBUFS, ENODEV, ENXIO, EPIPE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from fastpath.kernels cimport (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLLIN,
    FP_BURST,
    FP_DEST_DROP,
    FP_DEST_FLOOD,
    FP_DEST_GROUP,
    FP_DEST_NONE,
    FP_DEST_PORT,
    FP_DEST_REMOTE,
    FP_DROP_COUNT,
    FP_DROP_NONE,
    FP_DROP_bad_target,
    FP_DROP_forwarder,
    FP_DROP_no_destination,
    FP_DROP_port_down,
    FP_DROP_port_error,
    FP_DROP_port_full,
    FP_DROP_runt,
    FP_ETHERNET_SIZE,
    FP_EVENT_checksum_completed,
    FP_EVENT_flooded,
    FP_EVENT_read_failed,
    FP_EVENT_remotes_full,
    FP_EVENT_super_frame_inferred,
    FP_FRAME_SIZE,
    FP_HEADROOM,
    FP_REMOTE_NONE,
    FP_REMOTES_LEARNED,
    aligned_alloc,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    eventfd,
    eventfd_read,
    eventfd_write,
    fp_address,
    fp_address_from,
    fp_count,
    fp_count_in,
    fp_count_out,
    fp_decap,
    fp_dest_index,
    fp_dest_kind,
    fp_dest_make,
    fp_drop,
    fp_drop_out,
    fp_encap,
    fp_forwarder,
    fp_frame,
    fp_group_get,
    fp_list,
    fp_note,
    fp_now,
    fp_packet,
    fp_port,
    fp_port_get,
    fp_remote,
    fp_remotes_add,
    fp_remotes_find,
    fp_remotes_get,
    fp_tap_read,
    fp_tap_write,
    fp_turn_begin,
    fp_turn_end,
    fp_udp_flush,
    fp_udp_in,
    fp_udp_out,
    fp_udp_queue,
    fp_udp_receive,
)
from fastpath.tables cimport Tables

from fastpath.errors import RefusedError

cdef enum:
    READY = 64  # events taken from one epoll_wait
    # One frame's buffer. An odd number of cache lines, so that the buffers' first lines, which are
    # all that small frames use, spread over all sets of the cache.
    STRIDE = 1027 * 64
    UDP = 1 << 20  # what an event is about; a port's is the port's index, which is less
    WAKE = 1 << 21


cdef class Worker:
    """One of the engine's workers. `receive` and `send` are the file descriptors of its own sockets."""

    def __cinit__(self, Tables tables not None, int index, *, int receive, list send, int family,
                  bint strict, int learned_udp_port, int attention):
        self.epoll = self.wake = -1
        self.tables = tables
        self.context.tables = tables.c
        self.context.worker = index
        self.strict = strict
        self.learned_udp_port = learned_udp_port
        self.attention = attention
        self.udp = receive
        self.outlet_count = len(send)
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        self.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.epoll < 0 or self.wake < 0:
            raise RefusedError("no file descriptor is left for a worker: raise the limit (ulimit -n)")
        self.inlet = <fp_udp_in *>calloc(1, sizeof(fp_udp_in))
        self.outlets = <fp_udp_out *>calloc(len(send), sizeof(fp_udp_out))
        self.buffers = <uint8_t *>aligned_alloc(64, FP_BURST * STRIDE)
        if self.inlet == NULL or self.outlets == NULL or self.buffers == NULL:
            raise MemoryError
        for i, fd in enumerate(send):
            self.outlets[i].fd = fd
            self.outlets[i].family = family
        assert FP_HEADROOM + FP_FRAME_SIZE <= STRIDE
        self.add(self.wake, WAKE)
        self.add(self.udp, UDP)

    def __dealloc__(self):
        if self.epoll >= 0:
            os.close(self.epoll)
        if self.wake >= 0:
            os.close(self.wake)
        free(self.inlet)
        free(self.outlets)
        free(self.buffers)

    def add(self, int fd, uint64_t what):
        cdef epoll_event event
        event.events = EPOLLIN
        event.data.u64 = what
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event) != 0:
            raise OSError(f"cannot watch file descriptor {fd}")

    def watch(self, int fd, uint32_t port):
        """Read frames of the port with this index from `fd`, from now on."""
        self.add(fd, port)

    def unwatch(self, int fd):
        """Stop reading from `fd`. No error where it is not watched (any more)."""
        cdef epoll_event event
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, &event)

    def stop(self):
        """Let `run` return after the present turn."""
        self.stopping = True
        eventfd_write(self.wake, 1)

    def fileno(self):
        """What to wait on for something to be served."""
        return self.epoll

    def poll(self):
        """Take one turn in the calling thread, without waiting; how many sources had something to read."""
        cdef int served
        with nogil:
            served = self.turn(0)
        return served

    cdef void reset(self) noexcept nogil:
        """Point every frame of the burst to its own buffer."""
        cdef uint32_t i
        for i in range(FP_BURST):
            self.frames[i].data = self.buffers + i * STRIDE + FP_HEADROOM

    cdef void flush(self) noexcept nogil:
        cdef uint32_t i
        for i in range(self.outlet_count):
            if self.outlets[i].count != 0:
                fp_udp_flush(&self.context, &self.outlets[i])

    cdef void forget(self, fp_port *port) noexcept nogil:
        cdef epoll_event event
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, port.fd[self.context.worker], &event)

    cdef void lost_port(self, fp_port *port) noexcept nogil:
        """The interface was deleted: stop reading from it, and tell control."""
        port.gone = True
        self.forget(port)
        eventfd_write(self.attention, 1)

    cdef void to_remote(self, fp_frame *frame, fp_remote *remote) noexcept nogil:
        cdef fp_packet packet
        cdef uint32_t completed = 0
        cdef uint32_t reason = fp_encap(frame, frame.segment.vni, &packet, &completed)
        if reason != FP_DROP_NONE:
            fp_drop_out(&self.context, frame, reason, &remote.traffic[self.context.worker])
            return
        if completed:
            fp_note(&self.context, frame, FP_EVENT_checksum_completed)
        # One flow always takes the same source port.
        cdef uint32_t outlet = <uint32_t>((<uint64_t>frame.flow.hash * self.outlet_count) >> 32)
        fp_udp_queue(&self.context, &self.outlets[outlet], &packet, frame, remote)

    cdef void to_port(self, fp_frame *frame, fp_port *port) noexcept nogil:
        cdef int result = fp_tap_write(port.fd[self.context.worker], frame, port.mtu)
        cdef uint32_t reason = FP_DROP_port_error
        if result >= 0:
            fp_count_out(&self.context, frame, &port.traffic[self.context.worker])
            if result > 0:
                fp_note(&self.context, frame, FP_EVENT_super_frame_inferred)
            return
        if result == -EIO or result == -EBADFD:
            reason = FP_DROP_port_down
        elif result == -EAGAIN or result == -ENOBUFS:
            reason = FP_DROP_port_full
        fp_drop_out(&self.context, frame, reason, &port.traffic[self.context.worker])

    cdef uint32_t to_remotes(self, fp_frame *frame, const fp_list *remotes) noexcept nogil:
        """Head-end replication; how many copies were made."""
        cdef fp_remote *remote
        cdef uint32_t i, copies = 0
        if remotes == NULL:
            return 0
        for i in range(remotes.count):
            remote = fp_remotes_get(self.context.tables.remotes, remotes.item[i])
            if remote != NULL:
                self.to_remote(frame, remote)
                copies += 1
        return copies

    cdef uint32_t flood(self, fp_frame *frame) noexcept nogil:
        """To every port but the frame's own, and to the flood list unless the frame came from a remote.
        Ports come first: the vnet header and the VXLAN header use the same headroom, and what goes to
        remotes is only queued here."""
        cdef const fp_list *ports = frame.segment.ports
        cdef fp_port *port
        cdef uint32_t i, copies = 0
        for i in range(ports.count):
            if frame.source == fp_dest_make(FP_DEST_PORT, ports.item[i]):
                continue
            port = fp_port_get(self.context.tables, ports.item[i])
            if port != NULL:
                self.to_port(frame, port)
                copies += 1
        if fp_dest_kind(frame.source) == FP_DEST_PORT:
            copies += self.to_remotes(frame, frame.segment.remotes)
        fp_note(&self.context, frame, FP_EVENT_flooded)
        return copies

    cdef void deliver(self, fp_frame *frame) noexcept nogil:
        """Do what the forwarder decided, whatever that was."""
        cdef uint32_t kind = fp_dest_kind(frame.target)
        cdef uint32_t index = fp_dest_index(frame.target)
        cdef fp_port *port
        cdef fp_remote *remote
        if kind == FP_DEST_PORT:
            port = fp_port_get(self.context.tables, index)
            if port == NULL:
                fp_drop(&self.context, frame, FP_DROP_bad_target)
            else:
                self.to_port(frame, port)
        elif kind == FP_DEST_REMOTE:
            remote = fp_remotes_get(self.context.tables.remotes, index)
            if remote == NULL:
                fp_drop(&self.context, frame, FP_DROP_bad_target)
            else:
                self.to_remote(frame, remote)
        elif kind == FP_DEST_FLOOD:
            if self.flood(frame) == 0:
                fp_drop(&self.context, frame, FP_DROP_no_destination)
        elif kind == FP_DEST_GROUP:
            if self.to_remotes(frame, fp_group_get(self.context.tables, index)) == 0:
                fp_drop(&self.context, frame, FP_DROP_bad_target)
        elif kind == FP_DEST_DROP and FP_DROP_NONE < index < FP_DROP_COUNT:
            fp_drop(&self.context, frame, index)
        elif kind == FP_DEST_DROP:
            fp_drop(&self.context, frame, FP_DROP_forwarder)
        else:
            fp_drop(&self.context, frame, FP_DROP_bad_target)

    cdef void forward(self, uint32_t count) noexcept nogil:
        """Ask the forwarder of each run of frames, then deliver them in order."""
        cdef const fp_forwarder *forwarder
        cdef uint32_t first = 0, last, i
        while first < count:
            forwarder = self.frames[first].segment.forwarder
            last = first + 1
            while last < count and self.frames[last].segment.forwarder == forwarder:
                last += 1
            forwarder.forward(forwarder, &self.context, &self.frames[first], last - first)
            for i in range(first, last):
                self.deliver(&self.frames[i])
            first = last
        self.flush()

    cdef void find_source(self, fp_frame *frame, fp_address *from_, fp_address *last,
                          uint32_t *last_index) noexcept nogil:
        """Set the frame's source to the remote that it came from. Packets of one remote come in rows,
        so the last one found is remembered."""
        from_.udp_port = self.learned_udp_port  # its own source port says nothing about where it listens
        if last_index[0] == FP_REMOTE_NONE or memcmp(from_.ip, last.ip, 16) != 0:
            last[0] = from_[0]
            last_index[0] = fp_remotes_find(self.context.tables.remotes, from_)
        if last_index[0] == FP_REMOTE_NONE and frame.segment.learning:
            last_index[0] = fp_remotes_add(self.context.tables.remotes, from_, FP_REMOTES_LEARNED)
            if last_index[0] == FP_REMOTE_NONE:
                fp_note(&self.context, frame, FP_EVENT_remotes_full)
        frame.source = fp_dest_make(FP_DEST_NONE, 0)
        if last_index[0] != FP_REMOTE_NONE:
            frame.source = fp_dest_make(FP_DEST_REMOTE, last_index[0])

    cdef void from_underlay(self) noexcept nogil:
        cdef fp_address from_, last
        cdef uint32_t last_index = FP_REMOTE_NONE, kept = 0, reason
        cdef fp_frame *frame
        cdef int i, count
        self.reset()
        count = fp_udp_receive(self.udp, self.inlet, self.frames)
        for i in range(count):
            frame = &self.frames[kept]
            if <uint32_t>i != kept:
                frame[0] = self.frames[i]
            frame.source = fp_dest_make(FP_DEST_NONE, 0)
            reason = fp_decap(&self.context, frame, self.strict)
            if reason != FP_DROP_NONE:
                fp_drop(&self.context, frame, reason)
                continue
            fp_address_from(&from_, &self.inlet.from_[i])
            self.find_source(frame, &from_, &last, &last_index)
            fp_count_in(&self.context, frame)
            kept += 1
        self.forward(kept)

    cdef void from_port(self, uint32_t index) noexcept nogil:
        cdef fp_port *port = fp_port_get(self.context.tables, index)
        cdef uint32_t i, count, kept = 0
        cdef fp_frame *frame
        cdef int error = 0
        if port == NULL:
            return
        if port.gone:  # another worker noticed first; this one's queue would stay ready for ever
            self.forget(port)
            return
        self.reset()
        count = fp_tap_read(port.fd[self.context.worker], self.frames, FP_BURST, &error)
        for i in range(count):
            frame = &self.frames[kept]
            if i != kept:
                frame[0] = self.frames[i]
            frame.source = fp_dest_make(FP_DEST_PORT, index)
            frame.segment = port.segment
            frame.vni = 0
            frame.outer_tos = 0
            if frame.length < FP_ETHERNET_SIZE:
                fp_drop(&self.context, frame, FP_DROP_runt)
                continue
            fp_count_in(&self.context, frame)
            kept += 1
        self.forward(kept)
        if error == EBADFD or error == ENODEV or error == ENXIO or error == EPIPE:
            self.lost_port(port)
        elif error != 0:
            fp_count(&self.context.tables.tally[self.context.worker].events[FP_EVENT_read_failed], 1)

    cdef void serve(self, uint64_t what) noexcept nogil:
        cdef uint64_t ignored
        if what == UDP:
            self.from_underlay()
        elif what == WAKE:
            eventfd_read(self.wake, &ignored)
        else:
            self.from_port(<uint32_t>what)

    cdef int turn(self, int timeout_ms) noexcept nogil:
        """Sleep until something is ready or the time is up (-1: no limit), and serve it all. Between
        turns the worker holds nothing that control may withdraw."""
        cdef int i, count = epoll_wait(self.epoll, self.events, READY, timeout_ms)
        if count <= 0:
            return 0
        fp_turn_begin(self.context.tables, self.context.worker)
        self.context.now = fp_now(self.context.tables)
        for i in range(count):
            self.serve(self.events[i].data.u64)
        fp_turn_end(self.context.tables, self.context.worker)
        return count

    def run(self):
        """Turn until `stop` is called. The body of the worker's thread."""
        with nogil:
            while not self.stopping:
                self.turn(-1)
        self.stopping = False
