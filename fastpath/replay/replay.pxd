# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.kernels.tables.fdb cimport fp_fdb
from fastpath.kernels.pcap.pcap cimport FP_PCAP_INTERFACES, fp_pcap_record
from fastpath.kernels.tables.remote cimport fp_address
from fastpath.kernels.tables.tables cimport fp_frame, fp_port, fp_segment, fp_sink
from fastpath.kernels.io.udp cimport fp_outer
from fastpath.pcap.pcap cimport CaptureReader
from fastpath.replay.recording cimport Recording
from fastpath.engine.tables cimport Tables
from fastpath.engine.workers.worker cimport Worker


cdef struct Counts:
    uint64_t records
    uint64_t cut_off
    uint64_t outbound
    uint64_t other_link
    uint64_t too_long
    uint64_t not_vxlan
    uint64_t no_port
    uint64_t odd
    uint64_t filled
    uint64_t open_checksums


cdef class Replayer:
    cdef readonly Tables tables
    cdef readonly dict segments
    cdef readonly int wanted_vni
    cdef Worker worker
    cdef CaptureReader reader
    cdef Recording recording
    cdef fp_sink discard
    cdef fp_fdb *places
    cdef fp_segment *segment  # of frames
    cdef bint closed
    cdef uint32_t entry  # index of the port of all frames, where there is just one; 0: none
    cdef uint32_t interface[FP_PCAP_INTERFACES]  # the same, of those of one interface
    cdef bint vxlan
    cdef uint16_t udp_port
    cdef bint has_local
    cdef fp_address local
    cdef uint32_t burst_size
    cdef bint begun
    cdef bint full
    cdef bint timed
    cdef bint polled
    cdef uint64_t until_ns
    cdef uint64_t second
    cdef uint64_t aged
    cdef Counts counts
    cdef fp_pcap_record record
    cdef bint pending
    cdef bint paused  # a second or more passed, and no frame has come in since
    cdef uint64_t clock_ns  # the time of the last frame that came in
    cdef uint8_t *room  # for frames of which the capture has the front only, one for each of a burst
    cdef fp_frame *store
    cdef readonly uint32_t stored
    cdef uint32_t store_size

    cdef int check(self) except -1
    cdef int run(self) noexcept nogil
    cdef int admit(self) noexcept nogil
    cdef int admit_frame(self) noexcept nogil
    cdef bint fill_up(self) noexcept nogil
    cdef void look_at(self, fp_frame *frame) noexcept nogil
    cdef int admit_packet(self) noexcept nogil
    cdef int keep(self) noexcept nogil
    cdef fp_port *place(self, const fp_frame *frame, const fp_segment *segment) noexcept nogil
    cdef void pass_time(self, uint64_t second) noexcept nogil
    cdef void end_burst(self) noexcept nogil
    cdef bint is_local(self, const fp_outer *outer) noexcept nogil
