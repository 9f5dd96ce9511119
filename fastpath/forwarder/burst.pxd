# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint32_t

from fastpath.kernels.packet.rewrite cimport fp_record, fp_room
from fastpath.kernels.tables.tables cimport fp_frame


# Deliver the frame at a place now; whether that could be.
ctypedef bint (*deliver_now)(void *deliverer, uint32_t place, uint32_t target, bint changed) noexcept

cdef class Burst

# Change frame `i` of a burst to a value; whether it could be.
ctypedef bint (*operation)(Burst burst, Py_ssize_t i, object value, int side) except -1


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
    cdef fp_frame *at(self, Py_ssize_t i) noexcept
    cdef int check_writable(self) except -1
    cdef object change(self, operation change_one, which, values, dtype, int side=*, tuple shape=*)
