# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.kernels cimport (
    epoll_event,
    fp_address,
    fp_context,
    fp_frame,
    fp_list,
    fp_port,
    fp_remote,
    fp_udp_in,
    fp_udp_out,
)
from fastpath.tables cimport Tables


cdef class Worker:
    cdef Tables tables
    cdef fp_context context
    cdef bint strict
    cdef int learned_udp_port
    cdef int attention
    cdef int epoll
    cdef int wake
    cdef int udp
    cdef volatile bint stopping
    cdef fp_udp_in *inlet
    cdef fp_udp_out *outlets
    cdef uint32_t outlet_count
    cdef uint8_t *buffers
    cdef epoll_event events[64]
    cdef fp_frame frames[64]  # FP_BURST

    cdef int turn(self, int timeout_ms) noexcept nogil
    cdef void serve(self, uint64_t what) noexcept nogil
    cdef void from_port(self, uint32_t index) noexcept nogil
    cdef void from_underlay(self) noexcept nogil
    cdef void find_source(self, fp_frame *frame, fp_address *from_, fp_address *last,
                          uint32_t *last_index) noexcept nogil
    cdef void forward(self, uint32_t count) noexcept nogil
    cdef void deliver(self, fp_frame *frame) noexcept nogil
    cdef uint32_t flood(self, fp_frame *frame) noexcept nogil
    cdef uint32_t to_remotes(self, fp_frame *frame, const fp_list *remotes) noexcept nogil
    cdef void to_port(self, fp_frame *frame, fp_port *port) noexcept nogil
    cdef void to_remote(self, fp_frame *frame, fp_remote *remote) noexcept nogil
    cdef void flush(self) noexcept nogil
    cdef void reset(self) noexcept nogil
    cdef void forget(self, fp_port *port) noexcept nogil
    cdef void lost_port(self, fp_port *port) noexcept nogil
