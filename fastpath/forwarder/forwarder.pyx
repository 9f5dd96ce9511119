# SPDX-License-Identifier: Apache-2.0
"""Forwarders: the part of a segment that decides where frames go.

A forwarder is a C function over a burst (struct fp_forwarder in src/tables/tables.h). It runs in every worker
at once, without the GIL, and sets each frame's target. Whatever it sets, delivery checks. One that is
written in Python runs on a thread of its own instead: fastpath/engine/workers/forwarder_thread.pyx.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastpath.kernels.packet.dest cimport FP_DEST_DEFERRED, FP_DEST_DROP, FP_DEST_FLOOD, FP_DEST_NONE, fp_dest_make
from fastpath.kernels.forward.forward cimport FP_CHAIN, fp_bridge_forward, fp_chain_forward, fp_vxlan_forward
from fastpath.kernels.tables.tables cimport FP_COUNTERS, FP_DROP_OWN, FP_OWN, fp_context, fp_forwarder, fp_frame
from fastpath.kernels.counters.tally cimport FP_DROP_forwarder, fp_count, fp_counter, fp_counter_read

from fastpath.errors import ConflictError, UsageError

PASS = fp_dest_make(FP_DEST_NONE, 0)
FLOOD = fp_dest_make(FP_DEST_FLOOD, 0)
SENT = fp_dest_make(FP_DEST_DEFERRED, 0)
DROP = fp_dest_make(FP_DEST_DROP, FP_DROP_forwarder)


cdef void hub_forward(const fp_forwarder *self, const fp_context *context,
                      fp_frame *frames, uint32_t count) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        frames[i].target = fp_dest_make(FP_DEST_FLOOD, 0)


cdef void call_method(const fp_forwarder *self, const fp_context *context,
                      fp_frame *frames, uint32_t count) noexcept nogil:
    (<Forwarder>self.state).forward(context, frames, count)


cdef class Forwarder:
    """The base class of forwarders.

    Subclasses in Python define `forward(self, burst)`; those in Cython override the C method of that name. `start` is
    called when a segment takes the forwarder, before the first frame; `stop` after the last one; `tick` every
    `tick_interval` seconds, if that is set. One forwarder serves one segment at a time.
    """

    tick_interval = None  # seconds
    rewrites = False  # whether frames' bytes may be changed (Burst)

    def __cinit__(self, *args, **kwargs):
        self.c.forward = call_method
        self.c.state = <void *>self
        self.own_names = []
        self.segment = None

    def __dealloc__(self):
        free(self.own)

    def start(self):
        """Get ready. `segment`, `port` and `remote` can be used from now on.

        If this raises an exception, the segment keeps its present forwarder.
        """

    def stop(self):
        """Clean up. An exception is logged."""

    def tick(self):
        """Do periodic work. An exception is logged."""

    def __or__(self, other):
        """Return a chain, `acl | bridge`: each sees the frames that those before it left undecided (PASS)."""
        return Chain(*elements_of(self), *elements_of(other)) if isinstance(other, Forwarder) else NotImplemented

    @property
    def name(self):
        """The name of the forwarder in lists."""
        return type(self).__name__

    @property
    def deferred(self):
        """Whether the forwarder is written in Python, and so runs on its own thread."""
        return hasattr(type(self), "forward")

    def port(self, str name):
        """Return the number of a port of the segment, as in `burst.port` and `burst.out`.

        Raise ConflictError if there is no port of that name.
        """
        for port in self.segment.ports:
            if port.name == name:
                return port.number
        raise ConflictError(f"VNI {self.segment.vni} has no port named {name}")

    def remote(self, address, udp_port=None):
        """Return the number of a remote, which it keeps while the segment has this forwarder.

        The number of a remote in `burst.port` is valid for ten minutes after the last frame from there
        (engine.REMEMBERED_S).
        """
        return self.segment.hold_remote(self, address, udp_port)

    @property
    def flood_list(self):
        """Return the numbers of all remotes on the segment's flood list at this moment."""
        return self.segment.remote_numbers()

    @property
    def now(self):
        """The time in seconds, on the same clock as `burst.now`."""
        return self.segment.now

    def counter(self, str name):
        """Return the index of a counter of the forwarder, which `fastpath stats` shows by this name."""
        if name in self.own_names:
            return self.own_names.index(name)
        if len(self.own_names) == FP_OWN:
            raise ConflictError(f"a forwarder may name {FP_OWN} reasons and counters, not more")
        if self.own == NULL:
            self.own = <fp_counter *>calloc(FP_COUNTERS * FP_OWN, sizeof(fp_counter))
            if self.own == NULL:
                raise MemoryError
            self.c.own = <fp_counter (*)[FP_OWN]>self.own
        self.own_names.append(name)
        return len(self.own_names) - 1

    def reason(self, str name):
        """Return a decision to discard a frame, counted by this name, and as `forwarder` with all others."""
        cdef uint32_t index = self.counter(name)
        self.c.reasons = True
        return fp_dest_make(FP_DEST_DROP, FP_DROP_OWN + index)

    def count(self, str name, by=1):
        """Add to a counter of the forwarder, from `forward` or `tick` in Python."""
        cdef uint32_t index = self.counter(name)
        fp_count(&self.own[(FP_COUNTERS - 1) * FP_OWN + index], by)

    @property
    def counters(self):
        """{name: number} of all reasons and counters of the forwarder."""
        cdef uint32_t i, index
        cdef uint64_t total
        result = {}
        for index, name in enumerate(self.own_names):
            total = 0
            for i in range(FP_COUNTERS):
                total += fp_counter_read(&self.own[i * FP_OWN + index])
            result[name] = total
        return result

    cdef void add(self, const fp_context *context, uint32_t index, uint64_t by) noexcept nogil:
        fp_count(&self.own[context.worker * FP_OWN + index], by)

    cdef void forward(self, const fp_context *context, fp_frame *frames, uint32_t count) noexcept nogil:
        pass

    cdef const fp_forwarder *usable(self) except NULL:
        if type(self) is Forwarder:
            raise UsageError("Forwarder decides nothing: derive from it and define forward(self, burst)")
        return &self.c


cdef class LearningBridge(Forwarder):
    """The default: learns source addresses, sends frames to where their destination was learned, and floods the rest.

    It never sends from remote to remote (src/forward/bridge.h).
    """

    def __cinit__(self):
        self.c.forward = fp_bridge_forward


cdef class VxlanLearning(Forwarder):
    """For segments with one port, as the kernel's vxlan device: learns the addresses of remotes only, and looks up what
    the port sends only.

    What comes from a remote goes to the port, whatever its destination; what the port sends floods where no remote has
    its destination (src/forward/vxlan.h).
    """

    def __cinit__(self):
        self.c.forward = fp_vxlan_forward


cdef class Hub(Forwarder):
    """Floods every frame and learns nothing, for comparison with the bridge."""

    def __cinit__(self):
        self.c.forward = hub_forward


cdef class Chain(Forwarder):
    """Forwarders that are asked one after the other, until a frame has a decision."""

    def __cinit__(self, *elements):
        cdef Forwarder element
        if not 1 <= len(elements) <= FP_CHAIN:
            raise UsageError(f"a chain has 1 to {FP_CHAIN} forwarders, not {len(elements)}")
        if len({id(element) for element in elements}) != len(elements):
            raise UsageError("a forwarder can be in a chain once")
        self.elements = elements
        self.chain.count = len(elements)
        for i, element in enumerate(elements):
            if isinstance(element, Chain):
                raise UsageError("chains are joined by |, not nested")
            self.chain.item[i] = element.usable()
        self.c.forward = fp_chain_forward
        self.c.state = &self.chain

    @property
    def name(self):
        return " | ".join(element.name for element in self.elements)

    @property
    def counters(self):
        result = {}
        for element in self.elements:
            for name, number in element.counters.items():  # two may be of one kind
                result[f"{element.name}.{name}"] = result.get(f"{element.name}.{name}", 0) + number
        return result

    @property
    def deferred(self):
        return any(element.deferred for element in self.elements)


def elements_of(Forwarder forwarder not None):
    """Return the forwarders of a chain, or the forwarder itself."""
    return forwarder.elements if isinstance(forwarder, Chain) else (forwarder,)
