# SPDX-License-Identifier: Apache-2.0
# What forwarders that are written in Cython derive from: see docs/forwarding/forwarders.md and examples/forwarders.
from libc.stdint cimport uint32_t, uint64_t

from fastpath.kernels.forward.forward cimport fp_chain
from fastpath.kernels.tables.tables cimport FP_OWN, fp_context, fp_forwarder, fp_frame
from fastpath.kernels.counters.tally cimport fp_counter


cdef class Forwarder:
    cdef fp_forwarder c
    cdef readonly object segment
    cdef list own_names
    cdef fp_counter *own
    # For subclasses in Cython: give every frame a target. Called by all workers at once, without the GIL.
    cdef void forward(self, const fp_context *context, fp_frame *frames, uint32_t count) noexcept nogil
    # Add to a counter of one's own: `index` is what `counter` returned.
    cdef void add(self, const fp_context *context, uint32_t index, uint64_t by) noexcept nogil
    cdef const fp_forwarder *usable(self) except NULL


cdef class Chain(Forwarder):
    cdef readonly tuple elements
    cdef fp_chain chain
