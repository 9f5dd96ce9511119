# SPDX-License-Identifier: Apache-2.0
# The functions for forwarders in Cython, in addition to Forwarder itself (forwarder.pxd): see
# docs/forwarding/forwarders-cython.md. Compiling against this needs fastpath.get_include() among the include directories.
# Functions that are not inline are in the module `native`, since other projects cannot link the kernels.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.kernels.packet.dest cimport (
    FP_BURST,
    FP_DEST_DROP,
    FP_DEST_GROUP,
    FP_DEST_PORT,
    FP_DEST_REMOTE,
    fp_dest,
    fp_dest_index,
    fp_dest_kind,
    fp_dest_make,
)
from fastpath.kernels.packet.rewrite cimport FP_SIDE_DESTINATION, FP_SIDE_SOURCE, fp_record, fp_side
from fastpath.kernels.tables.tables cimport fp_context, fp_frame, fp_frame_at
from fastpath.kernels.counters.tally cimport (
    FP_DROP_bad_source_mac,
    FP_DROP_forwarder,
    FP_DROP_own_source,
    FP_DROP_same_port,
    FP_DROP_split_horizon,
    FP_DROP_static_source,
)
from fastpath.kernels.packet.wire cimport (
    FP_MAC_SIZE,
    fp_flow,
    fp_load_be16,
    fp_load_be32,
    fp_load_mac,
    fp_mac_is_multicast,
)


# Decisions, as Python knows them by the same names (forwarder.pyx).
cdef enum:
    PASS = 0  # undecided: the next forwarder of a chain is asked
    FLOOD = 3 << 28


cdef inline fp_dest drop(uint32_t reason) noexcept nogil:
    """Return the decision to discard a frame for a standard reason, FP_DROP_…; Forwarder.reason makes others."""
    return fp_dest_make(FP_DEST_DROP, reason)


cdef inline bint is_port(fp_dest dest) noexcept nogil:
    return fp_dest_kind(dest) == FP_DEST_PORT


cdef inline bint is_remote(fp_dest dest) noexcept nogil:
    """Return whether it is a remote, or several (the entry of a group address)."""
    return fp_dest_kind(dest) == FP_DEST_REMOTE or fp_dest_kind(dest) == FP_DEST_GROUP


# The learning bridge's steps, each for a burst.

# Learn the source addresses. Frames that a switch must not pass on are dropped; those that are decided on
# (target != PASS) are left alone.
cdef void learn(const fp_context *context, fp_frame *frames, uint32_t count) noexcept nogil
# Where the destinations are: found[i] is a port, a remote or a group, or PASS if it is unknown.
cdef void lookup(const fp_context *context, const fp_frame *frames, uint32_t count, fp_dest *found) noexcept nogil
# Both, faster than one after the other; and answer ARP and neighbour discovery for the neighbours that control
# told of: such a frame becomes the answer.
cdef void learn_and_lookup(const fp_context *context, fp_frame *frames, uint32_t count, fp_dest *found) noexcept nogil

# Changes to a frame that leave its checksums right (src/packet/rewrite.h). False: it is not of the kind, and unchanged.

cdef void rewrite_mac(fp_frame *frame, fp_side side, uint64_t mac) noexcept nogil
# `address` has 4 or 16 bytes, as `version` (4 or 6) says.
cdef bint rewrite_ip(fp_frame *frame, fp_side side, uint8_t version, const uint8_t *address) noexcept nogil
cdef bint rewrite_port(fp_frame *frame, fp_side side, uint16_t port) noexcept nogil  # of TCP or UDP
cdef bint rewrite_ttl(fp_frame *frame) noexcept nogil  # one less; False where nothing would be left

# What the frame's headers say, in columns; `record.out` becomes PASS. See fastpath/forwarder/record.py.
cdef void read_record(const fp_frame *frame, fp_record *record) noexcept nogil
