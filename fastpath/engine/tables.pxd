# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint32_t, uint64_t

from fastpath.kernels.tables.complete cimport fp_complete
from fastpath.kernels.tables.directory cimport fp_directory
from fastpath.kernels.tables.tables cimport fp_list, fp_tables
from fastpath.kernels.counters.tally cimport fp_tally, fp_traffic


cdef class Tables:
    cdef fp_tables *c
    cdef readonly int family
    cdef readonly int workers
    cdef readonly int counters  # how many count: the workers, and the deferred forwarders together
    cdef public object uplink  # the deferred forwarders' Uplink
    cdef public bint running  # the workers, in threads
    cdef public object clock  # what forwarders take the time from: seconds, as a float
    cdef readonly dict path_mtus  # of those that are known: bytes of the underlay's IP packet, by address
    cdef readonly object lock
    cdef readonly object segment_indices
    cdef readonly object port_indices
    cdef readonly object group_indices
    cdef int synchronize(self) except -1
    cdef int reclaim(self) except -1
    cdef bint enter(self, fp_directory *directory, uint32_t segment, bytes ip, uint64_t number) except -1


cdef fp_list *new_list(items) except NULL
cdef fp_complete *new_complete(known) except NULL
cdef list list_items(const fp_list *items)
cdef uint64_t sum_unlearned(const fp_traffic *traffic, int counters)
cdef object sum_traffic(const fp_traffic *traffic, int counters)
cdef object sum_tallies(const fp_tally *tally, int counters)
