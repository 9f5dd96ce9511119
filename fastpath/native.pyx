# SPDX-License-Identifier: Apache-2.0
"""The kernels that forwarders in Cython call. Cython lets other modules find them by name, at import."""

from libc.stdint cimport uint32_t

from fastpath.kernels cimport (
    fp_bridge_learn,
    fp_bridge_learn_and_lookup,
    fp_bridge_lookup,
    fp_context,
    fp_dest,
    fp_frame,
    fp_record,
    fp_record_fill,
)

from fastpath import forwarder

assert (PASS, FLOOD) == (forwarder.PASS, forwarder.FLOOD), "native.pxd and src/frame.h differ"


cdef void learn(const fp_context *context, fp_frame *frames, uint32_t count) noexcept nogil:
    fp_bridge_learn(context, frames, count)


cdef void lookup(const fp_context *context, const fp_frame *frames, uint32_t count, fp_dest *found) noexcept nogil:
    fp_bridge_lookup(context, frames, count, found)


cdef void learn_and_lookup(const fp_context *context, fp_frame *frames, uint32_t count, fp_dest *found) noexcept nogil:
    fp_bridge_learn_and_lookup(context, frames, count, found)


cdef void read_record(const fp_frame *frame, fp_record *record) noexcept nogil:
    fp_record_fill(record, frame, frame.segment.vni)
