# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.kernels.path.arrival cimport fp_source
from fastpath.kernels.path.burst cimport fp_burst
from fastpath.kernels.path.pace cimport fp_pace
from fastpath.kernels.system cimport epoll_event
from fastpath.kernels.tables.tables cimport fp_budget, fp_context, fp_frame, fp_port
from fastpath.kernels.io.udp cimport fp_arrival, fp_udp_in
from fastpath.engine.tables cimport Tables
from fastpath.engine.workers.uplink cimport Uplink


cdef enum:
    READY = 64  # events taken from one epoll_wait


cdef class Worker:
    cdef Tables tables
    cdef fp_context context
    cdef bint strict
    cdef bint merge
    cdef bint kernel_peers
    cdef fp_source source  # of the last message
    cdef int attention
    cdef int epoll
    cdef int wake
    cdef int udp
    cdef volatile bint stopping
    cdef fp_udp_in *inlet
    cdef Uplink uplink
    cdef fp_burst *burst
    cdef uint8_t *buffers
    cdef uint32_t room
    cdef uint32_t handled  # frames and messages read in this turn
    cdef uint64_t sent_before  # how many packets had been sent when the turn began
    cdef fp_pace pace
    cdef epoll_event events[READY]

    cdef void failed(self, uint32_t event) noexcept nogil
    cdef void allocate(self) except *
    cdef void loop(self) noexcept nogil
    cdef uint64_t let_others(self, uint64_t now) noexcept nogil
    cdef int turn(self, int timeout_ms) noexcept nogil
    cdef void serve(self, uint64_t what) noexcept nogil
    cdef void begin(self) noexcept nogil
    cdef uint64_t sent(self) noexcept nogil
    cdef void read_burst(self, fp_port *port, fp_budget *budget) noexcept nogil
    cdef void from_port(self, uint32_t index) noexcept nogil
    cdef void from_underlay(self) noexcept nogil
    cdef void refuse(self, const fp_arrival *arrival, uint32_t reason) noexcept nogil
    cdef void arrive(self, fp_arrival *arrival) noexcept nogil
    cdef void reject(self, uint8_t *packet, uint32_t length, uint8_t tos, uint32_t reason) noexcept nogil
    cdef bint strip(self, uint8_t *packet, uint32_t length, uint32_t super_size, uint8_t tos) noexcept nogil
    cdef void take(self, uint8_t *packet, uint32_t length, uint32_t super_size, uint8_t tos,
                   const uint8_t *room_end) noexcept nogil
    cdef bint enter(self, fp_frame *frame, const fp_port *port) noexcept nogil
    cdef void end_burst(self) noexcept nogil
    cdef uint32_t decide(self, fp_frame *frames, uint32_t count) noexcept nogil
    cdef void forward(self) noexcept nogil
    cdef void forget(self, fp_port *port) noexcept nogil
    cdef void lost_port(self, fp_port *port) noexcept nogil
