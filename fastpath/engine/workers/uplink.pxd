# SPDX-License-Identifier: Apache-2.0
from fastpath.kernels.tables.tables cimport fp_uplink


cdef class Uplink:
    cdef fp_uplink c
