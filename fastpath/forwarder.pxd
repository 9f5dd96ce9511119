# SPDX-License-Identifier: Apache-2.0
from fastpath.kernels cimport fp_forwarder


cdef class Forwarder:
    cdef fp_forwarder c
    cdef const fp_forwarder *usable(self) except NULL
