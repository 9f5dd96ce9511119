# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint32_t

from fastpath.kernels.pcap.pcap cimport fp_pcap_out
from fastpath.kernels.tables.remote cimport fp_remote
from fastpath.kernels.tables.tables cimport fp_sink
from fastpath.engine.ports.port cimport Port


cdef class Recording:
    cdef fp_pcap_out *c
    cdef object file
    cdef object writer
    cdef object failure
    cdef const fp_sink *sink(self) noexcept
    cdef int add_port(self, Port port, str name) except -1
    cdef uint32_t describe(self, const fp_remote *remote) noexcept with gil
