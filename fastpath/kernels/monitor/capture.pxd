# SPDX-License-Identifier: Apache-2.0
# Captures.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.kernels.packet.dest cimport fp_dest
from fastpath.kernels.tables.remote cimport fp_address
from fastpath.kernels.tables.ring cimport fp_ring
from fastpath.kernels.system cimport c_bool
from fastpath.kernels.tables.tables cimport fp_context, fp_tables


cdef extern from "monitor/capture.h" nogil:
    enum:
        FP_CAPTURES
        FP_CAPTURE_TERMS
        FP_CAPTURE_ROOM
        FP_IN
        FP_OUT
    uint32_t FP_CAPTURE_ALL_VNIS
    ctypedef struct fp_filter:  # a function, which nobody calls from here
        pass
    struct fp_selection:
        c_bool outer
        c_bool passing
        uint8_t directions
        uint32_t vni
        uint64_t drops
        uint32_t ports
        uint32_t remotes
        uint64_t port[FP_CAPTURE_TERMS]
        uint8_t remote[FP_CAPTURE_TERMS][16]
        uint32_t snap
        fp_address local
        fp_filter *filter
        const void *program
    struct fp_captured:
        uint32_t length
        uint32_t original
        uint32_t vni
        uint64_t time
        uint64_t port
        fp_dest where
        fp_address remote
        uint8_t direction
        uint8_t reason
    struct fp_capture
    struct fp_captures:
        uint32_t count
        fp_capture *item[FP_CAPTURES]
    fp_capture *fp_capture_new(const fp_selection *selection, uint32_t workers, uint32_t room)
    void fp_capture_free(fp_capture *capture)
    const fp_captures *fp_captures_publish(fp_tables *tables, const fp_captures *captures)
    fp_ring *fp_capture_ring(const fp_capture *capture, uint32_t worker)
    uint64_t fp_capture_missed(const fp_capture *capture)
    void fp_capture_arrival(const fp_context *context, const fp_address *from_, const uint8_t *data, uint32_t length,
                            uint32_t unit, uint8_t tos, uint32_t reason)
