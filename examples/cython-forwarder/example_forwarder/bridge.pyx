# SPDX-License-Identifier: Apache-2.0
"""A learning bridge as in a textbook: the same as fastpath's own (src/forward/bridge.c), with one more counter."""

from libc.stdint cimport uint32_t

from fastpath.forwarder cimport Forwarder
from fastpath.forwarder.native cimport (
    FLOOD,
    FP_BURST,
    FP_DROP_same_port,
    FP_DROP_split_horizon,
    PASS,
    drop,
    fp_context,
    fp_dest,
    fp_frame,
    is_port,
    is_remote,
    learn_and_lookup,
)


cdef inline fp_dest decide(const fp_frame *frame, fp_dest found) noexcept nogil:
    """Return the decision for a frame whose destination is at `found`."""
    if is_port(found):
        return drop(FP_DROP_same_port) if found == frame.source else found
    if is_remote(found):
        # Every host of a segment reaches every other one directly.
        return found if is_port(frame.source) else drop(FP_DROP_split_horizon)
    return FLOOD


cdef class Bridge(Forwarder):
    """Learns where addresses are, sends frames there, and floods frames for unknown addresses."""

    cdef uint32_t flooded

    def __cinit__(self):
        self.flooded = self.counter("flooded")

    # Every worker calls this at once, with a burst of its own: what `self` has must not be changed here,
    # but for counters.
    cdef void forward(self, const fp_context *context, fp_frame *frames, uint32_t count) noexcept nogil:
        cdef fp_dest found[FP_BURST]
        cdef uint32_t i, flooded = 0
        learn_and_lookup(context, frames, count, found)
        for i in range(count):
            if frames[i].target != PASS:
                continue  # it has been refused or answered
            frames[i].target = decide(&frames[i], found[i])
            if frames[i].target == FLOOD:
                flooded += frames[i].segments  # a frame may stand for many
        self.add(context, self.flooded, flooded)
