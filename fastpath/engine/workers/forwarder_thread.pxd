# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint32_t, uint64_t

from fastpath.forwarder.burst cimport Burst
from fastpath.forwarder.forwarder cimport Forwarder
from fastpath.kernels.forward.forward cimport fp_chain, fp_deferral
from fastpath.kernels.packet.rewrite cimport fp_room
from fastpath.kernels.tables.tables cimport fp_context, fp_forwarder, fp_frame, fp_segment
from fastpath.engine.tables cimport Tables


cdef class Rings:
    cdef fp_deferral *c
    cdef int wake


cdef class ForwarderThread:
    cdef Tables tables
    cdef fp_segment *segment  # NULL once it was closed; guarded by the tables' `threads_lock`
    cdef uint32_t vni
    cdef readonly Forwarder forwarder
    cdef tuple elements
    cdef Rings rings
    cdef fp_forwarder c
    cdef fp_chain front  # those in front of the first one in Python, and `c`
    cdef fp_forwarder fronted  # calls them
    cdef int first  # the first element in Python
    cdef fp_context context
    cdef fp_frame *frames
    cdef uint64_t *standing  # of the frames' sources, when the frames came
    cdef fp_room *room
    cdef uint32_t *place
    cdef Burst burst
    cdef dict due  # element -> when it has to be ticked next
    cdef readonly object thread
    cdef bint stopping
    cdef bint ending  # for good
    cdef bint ended
    cdef bint running  # a thread was started, and did not leave
    cdef bint polling
    cdef object gate  # guards the four
    cdef public object dismiss  # called with the forwarder when it has ended
    cdef readonly uint64_t failures
    cdef readonly object last_error
    cdef const fp_forwarder *usable(self)
    cdef void close(self) noexcept nogil
    cdef uint32_t take(self) noexcept nogil
    cdef void lock(self) noexcept nogil
    cdef void unlock(self) noexcept nogil
    cdef void ask(self, Forwarder element, uint32_t count)
    cdef void ask_c(self, const fp_forwarder *element, uint32_t count) noexcept nogil
    cdef void deliver(self, uint32_t count) noexcept nogil
    cdef void deliver_copies(self)
    cdef void deliver_one(self, uint32_t place, uint32_t target) noexcept nogil
    cdef void wait(self, int timeout_ms) noexcept nogil
