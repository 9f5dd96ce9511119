# SPDX-License-Identifier: Apache-2.0
# A burst, in which frames are merged.
from libc.stdint cimport uint8_t, uint32_t

from fastpath.kernels.packet.dest cimport FP_BURST
from fastpath.kernels.system cimport c_bool
from fastpath.kernels.tables.tables cimport fp_frame


cdef extern from "path/burst.h" nogil:
    enum:
        FP_SPARE_SIZE
    struct fp_burst:
        fp_frame frame[FP_BURST]
        uint32_t count
        uint8_t *spare
    void fp_burst_clear(fp_burst *burst)
    void fp_burst_new_train(fp_burst *burst)
    c_bool fp_burst_follow(fp_burst *burst, uint8_t *packet, uint32_t length)
    void fp_burst_take(fp_burst *burst, const uint8_t *room_end)
    uint32_t fp_burst_end(fp_burst *burst)
