# SPDX-License-Identifier: Apache-2.0
from fastpath.kernels.tables.tables cimport fp_port
from fastpath.engine.tables cimport Tables


cdef class Port:
    cdef Tables tables
    cdef fp_port *c
    cdef readonly int mtu
    cdef readonly int vni
    cdef readonly list watched
    cdef public object label  # what people call what is behind it; None: nothing
    cdef tuple senders  # as `allowed` gives them
    cdef int check(self) except -1
    cdef int shut(self) except -1


cdef class TapPort(Port):
    cdef list queues
    cdef str first_name
    cdef bint persistent
    cdef public object mac  # of the interface, while frames to it go there; kept by the segment
    cdef public object contested  # the address that the interface has and may not have, or None; kept by the segment
    cdef public object unplaced  # the address that it has and for which the FDB has no room, or None; likewise


cdef class SinkPort(Port):
    cdef str given_name


cdef class MemoryPort(Port):
    cdef str given_name
    cdef object inner
    cdef object outer
