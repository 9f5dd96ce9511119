# SPDX-License-Identifier: Apache-2.0
from libc.stdint cimport uint32_t

from fastpath.engine.tables cimport Tables


cdef class Remote:
    cdef Tables tables
    cdef readonly object address
    cdef readonly int udp_port
    cdef uint32_t find(self) noexcept
    cdef uint32_t ensure(self) except 0


cdef Remote remote_at(Tables tables, uint32_t index)
