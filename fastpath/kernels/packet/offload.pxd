# SPDX-License-Identifier: Apache-2.0
# Super-frames: their headers, and their split into frames.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.kernels.system cimport c_bool
from fastpath.kernels.tables.tables cimport fp_frame


cdef extern from "packet/offload.h" nogil:
    void fp_vnet_read(const uint8_t *header, fp_frame *frame)
    c_bool fp_vnet_write(uint8_t *header, const fp_frame *frame, uint32_t mtu)
    c_bool fp_offload_measure(fp_frame *frame)
    c_bool fp_offload_infer(fp_frame *frame)


cdef extern from "packet/split.h" nogil:
    struct fp_split:
        pass
    void fp_split_begin(fp_split *split, const fp_frame *frame)
    uint32_t fp_split_next(fp_split *split, uint8_t *to)
