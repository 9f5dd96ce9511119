# SPDX-License-Identifier: Apache-2.0
# What control knows all of.
from libc.stdint cimport uint8_t, uint32_t


cdef extern from "tables/complete.h" nogil:
    struct fp_subnet:
        uint8_t ip[16]
        uint8_t bits
    struct fp_complete:
        uint32_t subnets
        uint32_t exceptions
        fp_subnet *subnet
        uint8_t (*exception)[16]
    fp_complete *fp_complete_new(uint32_t subnets, uint32_t exceptions)
