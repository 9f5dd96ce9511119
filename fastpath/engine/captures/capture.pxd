# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint32_t, uint64_t

from fastpath.kernels.monitor.capture cimport fp_capture, fp_captured, fp_selection
from fastpath.kernels.tables.ring cimport fp_ring
from fastpath.engine.tables cimport Tables


cdef class Capture:
    cdef Tables tables
    cdef fp_capture *c
    cdef fp_selection selection
    cdef bytes program  # keeps alive what selection.program points to
    cdef object find_port  # serial -> Port or None
    cdef object name_of  # Port -> str
    cdef dict names  # of ports, by serial
    cdef list captures  # the engine's: those that are published
    cdef readonly bint outer
    cdef readonly int snaplen
    cdef readonly bint closed
    cdef int select(self, vni, list ports, list remotes, list drops, list directions) except -1
    cdef int set_local(self, local, int udp_port) except -1
    cdef int set_filter(self, str expression) except -1
    cdef int publish_self(self) except -1
    cdef int publish(self) except -1
    cdef int read_ring(self, fp_ring *ring, uint64_t limit, list found) except -1
    cdef object as_python(self, const fp_captured *entry)
    cdef str port_name(self, const fp_captured *entry)
