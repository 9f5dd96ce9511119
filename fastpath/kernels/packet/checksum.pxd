# SPDX-License-Identifier: Apache-2.0
# The checksum of IP, TCP and UDP.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.kernels.system cimport c_bool


cdef extern from "packet/checksum.h" nogil:
    uint64_t fp_checksum_add(uint64_t sum, const uint8_t *data, uint32_t length)
    c_bool fp_checksum_has(int way)
    uint64_t fp_checksum_by(int way, uint64_t sum, uint8_t *to, const uint8_t *from_, uint32_t length)
    uint16_t fp_checksum_fold(uint64_t sum)
    uint16_t fp_checksum(const uint8_t *data, uint32_t length)
    uint64_t fp_checksum_pseudo(const uint8_t *ip, uint8_t version, uint8_t protocol, uint32_t length)
    void fp_checksum_replace(uint8_t *at, uint16_t before, uint16_t after)
