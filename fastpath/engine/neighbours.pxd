# SPDX-License-Identifier: Apache-2.0
from fastpath.kernels.tables.tables cimport fp_segment
from fastpath.engine.tables cimport Tables


cdef class Neighbours:
    cdef Tables tables
    cdef fp_segment *segment  # NULL once it was removed
    cdef int check(self) except -1
    cdef int close(self) except -1


cdef Neighbours neighbours_of(Tables tables, fp_segment *segment)
