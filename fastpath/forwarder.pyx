# SPDX-License-Identifier: Apache-2.0
"""Forwarders: the part of a segment that decides where frames go.

A forwarder is a C function over a burst (struct fp_forwarder in src/tables.h). It runs in every worker
at once, without the GIL, and sets each frame's target. Whatever it sets, the worker checks.
"""

from libc.stdint cimport uint32_t

from fastpath.kernels cimport (
    FP_DEST_FLOOD,
    fp_bridge_forward,
    fp_context,
    fp_dest_make,
    fp_forwarder,
    fp_frame,
)

from fastpath.errors import UsageError


cdef void hub_forward(const fp_forwarder *self, const fp_context *context,
                      fp_frame *frames, uint32_t count) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        frames[i].target = fp_dest_make(FP_DEST_FLOOD, 0)


cdef class Forwarder:
    """The base class: subclasses, in Cython, fill in the C function."""

    cdef const fp_forwarder *usable(self) except NULL:
        if self.c.forward == NULL:
            raise UsageError(f"{type(self).__name__} has no C function that forwards: derive it from LearningBridge or Hub")
        return &self.c


cdef class LearningBridge(Forwarder):
    """Learns source addresses, sends to where the destination was learned, floods the rest, and never
    sends from remote to remote (src/bridge.h). The default."""

    def __cinit__(self):
        self.c.forward = fp_bridge_forward


cdef class Hub(Forwarder):
    """Floods every frame and learns nothing. Useful to see what the bridge is good for."""

    def __cinit__(self):
        self.c.forward = hub_forward
