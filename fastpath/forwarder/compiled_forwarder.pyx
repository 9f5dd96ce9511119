# SPDX-License-Identifier: Apache-2.0
"""A forwarder that is one compiled function, called by the workers (src/forward/compiled.h)."""

from libc.stddef cimport size_t
from libc.stdlib cimport calloc, free

from fastpath.forwarder.forwarder cimport Forwarder
from fastpath.kernels.packet.dest cimport FP_DEST_DROP, fp_dest_make
from fastpath.kernels.forward.forward cimport fp_compiled, fp_compiled_forward, fp_compiled_function
from fastpath.kernels.tables.tables cimport FP_DROP_OWN, fp_forwarder

from fastpath.errors import UsageError

FIRST_REASON = fp_dest_make(FP_DEST_DROP, FP_DROP_OWN)  # the number of a forwarder's first own reason; others follow


cdef class CompiledForwarder(Forwarder):
    """The base class of compiled forwarders."""

    cdef fp_compiled compiled
    cdef object kept

    def __cinit__(self, *args, **kwargs):
        self.c.forward = fp_compiled_forward
        self.c.state = &self.compiled

    def __dealloc__(self):
        free(self.compiled.arrays)

    def install(self, size_t address, list arrays, reasons, counters):
        """Set the function to call: the address of an fp_compiled_function, which gets the addresses of these numpy
        arrays.

        Call this once, and before anything else names a reason or a counter. The caller keeps the function alive.
        """
        if self.compiled.function != NULL or self.own_names:
            raise UsageError(f"{self.name} has its function already")
        self.kept = arrays
        self.compiled.arrays = <void **>calloc(len(arrays) + 1, sizeof(void *))
        if self.compiled.arrays == NULL:
            raise MemoryError
        for i, array in enumerate(arrays):
            self.compiled.arrays[i] = <void *><size_t>array.ctypes.data
        for name in reasons:
            self.reason(name)
        self.compiled.first = len(self.own_names)
        for name in counters:
            self.counter(name)
        self.compiled.counters = len(counters)
        self.compiled.function = <fp_compiled_function>address

    cdef const fp_forwarder *usable(self) except NULL:
        if self.compiled.function == NULL:
            raise UsageError(f"{self.name} has no function: make it with @compiled, and call its __init__")
        return &self.c
