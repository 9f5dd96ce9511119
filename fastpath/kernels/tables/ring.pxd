# SPDX-License-Identifier: Apache-2.0
# Rings of records.
from libc.stdint cimport uint32_t, uint64_t

from fastpath.kernels.system cimport c_bool


cdef extern from "tables/ring.h" nogil:
    struct fp_ring
    fp_ring *fp_ring_new(uint64_t size)
    void fp_ring_free(fp_ring *ring)
    void *fp_ring_reserve(fp_ring *ring, uint32_t size)
    void fp_ring_publish(fp_ring *ring)
    uint64_t fp_ring_first(const fp_ring *ring)
    void *fp_ring_next(const fp_ring *ring, uint64_t *position, uint32_t *size)
    void fp_ring_release(fp_ring *ring, uint64_t position)
    c_bool fp_ring_empty(const fp_ring *ring)
