# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint8_t, uint32_t

from fastpath.kernels.pcap.pcap cimport fp_pcap


cdef class CaptureReader:
    cdef fp_pcap *c
    cdef uint8_t *memory
    cdef object file
    cdef readonly str name
    cdef uint32_t piece
    cdef object damage(self)
