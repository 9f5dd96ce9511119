# SPDX-License-Identifier: Apache-2.0
"""The kernels that forwarders in Cython call. Cython lets other modules find them by name, at import."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.kernels.packet.dest cimport fp_dest
from fastpath.kernels.forward.forward cimport fp_bridge_learn, fp_bridge_learn_and_lookup, fp_bridge_lookup
from fastpath.kernels.packet.rewrite cimport (
    fp_record,
    fp_record_fill,
    fp_rewrite_ip,
    fp_rewrite_mac,
    fp_rewrite_port,
    fp_rewrite_ttl,
    fp_side,
)
from fastpath.kernels.tables.tables cimport fp_context, fp_frame

from fastpath.forwarder import forwarder

assert (PASS, FLOOD) == (forwarder.PASS, forwarder.FLOOD), "native.pxd and src/packet/frame.h differ"


cdef void learn(const fp_context *context, fp_frame *frames, uint32_t count) noexcept nogil:
    fp_bridge_learn(context, frames, count)


cdef void lookup(const fp_context *context, const fp_frame *frames, uint32_t count, fp_dest *found) noexcept nogil:
    fp_bridge_lookup(context, frames, count, found)


cdef void learn_and_lookup(const fp_context *context, fp_frame *frames, uint32_t count, fp_dest *found) noexcept nogil:
    fp_bridge_learn_and_lookup(context, frames, count, found)


cdef void rewrite_mac(fp_frame *frame, fp_side side, uint64_t mac) noexcept nogil:
    fp_rewrite_mac(frame, side, mac)


cdef bint rewrite_ip(fp_frame *frame, fp_side side, uint8_t version, const uint8_t *address) noexcept nogil:
    return fp_rewrite_ip(frame, side, version, address)


cdef bint rewrite_port(fp_frame *frame, fp_side side, uint16_t port) noexcept nogil:
    return fp_rewrite_port(frame, side, port)


cdef bint rewrite_ttl(fp_frame *frame) noexcept nogil:
    return fp_rewrite_ttl(frame)


cdef void read_record(const fp_frame *frame, fp_record *record) noexcept nogil:
    fp_record_fill(record, frame, frame.segment.vni)
