# SPDX-License-Identifier: Apache-2.0
# Directories of IP addresses: neighbours and admitted remotes.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.kernels.system cimport c_bool


cdef extern from "tables/directory.h" nogil:
    struct fp_directory
    struct fp_directory_entry:
        uint32_t segment
        uint8_t ip[16]
        uint64_t number
    uint64_t fp_directory_get(const fp_directory *directory, uint32_t segment, const uint8_t *ip)
    c_bool fp_directory_set(fp_directory *directory, uint32_t segment, const uint8_t *ip, uint64_t number, c_bool *added)
    c_bool fp_directory_delete(fp_directory *directory, uint32_t segment, const uint8_t *ip)
    void fp_directory_reclaim(fp_directory *directory)
    c_bool fp_directory_next(const fp_directory *directory, uint32_t *cursor, fp_directory_entry *entry)
    uint32_t fp_directory_used(const fp_directory *directory)


cdef extern from "forward/respond.h" nogil:
    uint64_t FP_NEIGHBOUR_ROUTER
