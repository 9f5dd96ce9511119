# SPDX-License-Identifier: Apache-2.0
from fastpath.engine.workers.forwarder_thread cimport ForwarderThread
from fastpath.engine.fdb cimport Fdb
from fastpath.forwarder.forwarder cimport Forwarder
from fastpath.kernels.tables.tables cimport fp_segment
from fastpath.engine.neighbours cimport Neighbours
from fastpath.engine.ports.port cimport Port
from fastpath.engine.tables cimport Tables


cdef class Segment:
    cdef Tables tables
    cdef fp_segment *c
    cdef readonly int vni
    cdef readonly Fdb fdb
    cdef readonly Neighbours neighbours
    cdef Forwarder _forwarder
    cdef ForwarderThread forwarder_thread  # the forwarder's thread, or None
    cdef list ending  # threads of former forwarders
    cdef dict held  # Forwarder -> remotes that it asked for
    cdef tuple initial_senders
    cdef object known  # a Complete, or None
    cdef dict _ports
    cdef list _remotes
    cdef set _members  # addresses
    cdef list workers
    cdef object offloads
    cdef object local
    cdef int default_udp_port
    cdef int check(self) except -1
    cdef int _check_members(self) except -1
    cdef int publish_ports(self) except -1
    cdef int publish_remotes(self) except -1
    cdef ForwarderThread employ(self, Forwarder forwarder)
    cdef tuple service(self)
    cdef list withdraw(self)
    cdef int publish_forwarder(self, Forwarder forwarder, ForwarderThread thread) except -1
