# SPDX-License-Identifier: Apache-2.0
from fastpath.engine.tables cimport Tables


cdef class Engine:
    cdef Tables tables
    cdef readonly object local
    cdef readonly int udp_port
    cdef readonly bint known_only
    cdef dict _admitted  # address -> [Remote]
    cdef object lifecycle  # held to start, stop and close; the housekeeper is joined without it
    cdef object sockets
    cdef readonly object offloads
    cdef bint pin
    cdef list cores  # that this process may use
    cdef list workers
    cdef list threads
    cdef dict _segments
    cdef list _captures  # those that are open
    cdef int attention
    cdef object housekeeper
    cdef object housekept  # a Housekeeping, of all housekeepers one after the other
    cdef object port_gone
    cdef int stop_requested
    cdef set unused_remotes
    cdef dict heard  # index of a remote -> (frames that came from it, when that was noticed)
    cdef set told  # ports that port_gone was called for
