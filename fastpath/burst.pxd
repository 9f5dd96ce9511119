# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint32_t

from fastpath.kernels cimport fp_frame, fp_record, fp_room


# Deliver the frame at a place now; whether that could be.
ctypedef bint (*deliver_now)(void *deliverer, uint32_t place, uint32_t target, bint changed) noexcept


cdef class Burst:
    cdef deliver_now deliver
    cdef void *deliverer  # not owned: `deliver` is only called while there are frames
    cdef fp_frame *frames  # of the thread's burst
    cdef const fp_room *room  # of each of them
    cdef const uint32_t *place  # which of them this burst consists of
    cdef uint32_t count
    cdef fp_record *record
    cdef object owner  # keeps the frames' memory
    cdef bint writable
    cdef dict columns  # over all records
    cdef dict present  # cut to this burst's
    cdef object array
    cdef readonly double now
    cdef list views  # of frames, that may be written to
    cdef list copies  # (place, target), to be delivered besides
    cdef void begin(self, fp_frame *frames, const fp_room *room, const uint32_t *place, uint32_t count, bint writable, double now)
    cdef void end(self)
    cdef list where(self, which)
    cdef list changes(self, which, values, dtype, tuple shape)
    cdef object address(self, which, values, int side, int version)
