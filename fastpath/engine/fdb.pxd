# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.kernels.packet.dest cimport fp_dest
from fastpath.kernels.tables.fdb cimport fp_fdb_value
from fastpath.engine.tables cimport Tables


cdef class Fdb:
    cdef Tables tables
    cdef uint32_t segment
    cdef dict ports
    cdef dict groups
    cdef bint closed
    cdef int check(self) except -1
    cdef object _entry(self, uint64_t mac, fp_fdb_value value)
    cdef fp_fdb_value _lookup(self, uint64_t mac)
    cdef int put(self, uint64_t mac, fp_dest dest, uint8_t flags) except -1
    cdef int retire(self, fp_dest dest, bint learned_only) except -1
    cdef int set_local(self, uint64_t mac, fp_dest dest) except -1
    cdef int forget_local(self, uint64_t mac, fp_dest dest) except -1
    cdef int drop_group(self, uint64_t mac) except -1
