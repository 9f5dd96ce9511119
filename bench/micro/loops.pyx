# SPDX-License-Identifier: Apache-2.0
"""Loops around the C kernels, without Python in them: what pytest-benchmark times.

Each function does `rounds` × `count` operations and returns a number that depends on every one of
them, so that nothing can be left out.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastpath.forwarder cimport Forwarder
from fastpath.kernels.path.arrival cimport fp_decap
from fastpath.kernels.packet.checksum cimport fp_checksum_add
from fastpath.kernels.packet.dest cimport FP_BURST, FP_DEST_PORT, FP_DEST_REMOTE, FP_HEADROOM, fp_dest_make
from fastpath.kernels.tables.fdb cimport (
    fp_fdb,
    fp_fdb_free,
    fp_fdb_key,
    fp_fdb_learn,
    fp_fdb_lookup,
    fp_fdb_new,
    fp_fdb_value,
)
from fastpath.kernels.forward.forward cimport fp_forward
from fastpath.kernels.path.burst cimport (
    FP_SPARE_SIZE,
    fp_burst,
    fp_burst_clear,
    fp_burst_end,
    fp_burst_follow,
    fp_burst_take,
)
from fastpath.kernels.packet.offload cimport fp_offload_measure, fp_split, fp_split_begin, fp_split_next, fp_vnet_read
from fastpath.kernels.system cimport AF_INET
from fastpath.kernels.tables.tables cimport (
    fp_context,
    fp_encap,
    fp_forwarder,
    fp_frame,
    fp_packet,
    fp_segment,
    fp_segment_new,
    fp_segment_publish,
    fp_tables,
    fp_tables_free,
    fp_tables_new,
)
from fastpath.kernels.packet.wire cimport FP_VXLAN_SIZE, fp_flow_parse, fp_vxlan_write

BURST = FP_BURST


cdef class Frames:
    """A burst of copies of one frame (or packet), each in a buffer of its own, and one segment."""

    cdef uint8_t *buffers
    cdef uint32_t stride
    cdef uint32_t length
    cdef fp_frame frames[64]
    cdef fp_tables *tables
    cdef fp_segment *segment
    cdef fp_context context

    def __cinit__(self, bytes content, uint32_t vni):
        self.length = len(content)
        self.stride = ((self.length + FP_HEADROOM) // 64 + 2) * 64 + 64
        self.buffers = <uint8_t *>calloc(FP_BURST, self.stride)
        self.tables = fp_tables_new(64, 64, 1, AF_INET, 1)
        self.segment = fp_segment_new(1, vni, 1)
        if self.buffers == NULL or self.tables == NULL or self.segment == NULL:
            raise MemoryError
        if not fp_segment_publish(self.tables, vni, self.segment):
            raise ValueError(f"VNI {vni} is out of range")
        self.context.tables = self.tables
        cdef uint32_t i
        for i in range(FP_BURST):
            memcpy(self.buffers + i * self.stride + FP_HEADROOM, <const char *>content, self.length)
        self.reset()

    def __dealloc__(self):
        free(self.segment)
        fp_tables_free(self.tables)
        free(self.buffers)

    cdef void reset(self) noexcept nogil:
        cdef uint32_t i
        for i in range(FP_BURST):
            self.frames[i].data = self.buffers + i * self.stride + FP_HEADROOM
            self.frames[i].length = self.length
            self.frames[i].segment = self.segment

    def encap(self, uint32_t rounds):
        """Parse and encapsulate: all that is done for a frame between its read and its send."""
        cdef fp_packet packet
        cdef uint32_t i, j, completed = 0, failed = 0
        cdef uint64_t total = 0
        with nogil:
            self.reset()
            for j in range(rounds):
                for i in range(FP_BURST):
                    fp_flow_parse(self.frames[i].data, self.frames[i].length, &self.frames[i].flow)
                    failed += fp_encap(&self.frames[i], self.segment.vni, &packet, &completed)
                    total += packet.length + self.frames[i].flow.hash
        assert failed == 0
        return total

    def decap(self, uint32_t rounds):
        """Check, strip and parse: all that is done for a packet between its arrival and the forwarder."""
        cdef uint32_t i, j, failed = 0
        cdef uint64_t total = 0
        with nogil:
            for j in range(rounds):
                self.reset()
                for i in range(FP_BURST):
                    failed += fp_decap(&self.context, &self.frames[i], False)
                    total += self.frames[i].length + self.frames[i].flow.hash
        assert failed == 0
        return total


cdef class SuperFrame:
    """A super-frame that came from a TAP with this virtio-net header, and memory for its packets."""

    cdef uint8_t *buffer
    cdef uint8_t *packets
    cdef fp_burst *burst
    cdef fp_frame frame
    cdef uint32_t lengths[256]
    cdef readonly uint32_t segments

    def __cinit__(self, bytes content, bytes vnet):
        self.buffer = <uint8_t *>calloc(1, len(content))
        self.packets = <uint8_t *>calloc(1, 1 << 18)
        self.burst = <fp_burst *>calloc(1, sizeof(fp_burst))
        if self.buffer == NULL or self.packets == NULL or self.burst == NULL:
            raise MemoryError
        self.burst.spare = <uint8_t *>calloc(1, FP_SPARE_SIZE)
        memcpy(self.buffer, <const char *>content, len(content))
        self.frame.data = self.buffer
        self.frame.length = len(content)
        fp_vnet_read(<const uint8_t *><const char *>vnet, &self.frame)
        fp_flow_parse(self.buffer, self.frame.length, &self.frame.flow)
        if not fp_offload_measure(&self.frame) or self.frame.segments > 256:
            raise ValueError("not a super-frame, or too long a one")
        self.segments = self.frame.segments

    def __dealloc__(self):
        if self.burst != NULL:
            free(self.burst.spare)
        free(self.burst)
        free(self.packets)
        free(self.buffer)

    cdef uint64_t split_once(self) noexcept nogil:
        """Packets one behind the other, as the uplink makes them."""
        cdef fp_split split
        cdef uint8_t *at = self.packets
        cdef uint32_t i = 0, length
        fp_split_begin(&split, &self.frame)
        while True:
            length = fp_split_next(&split, at + FP_VXLAN_SIZE)
            if length == 0:
                return <uint64_t>(at - self.packets)
            fp_vxlan_write(at, 42)
            self.lengths[i] = FP_VXLAN_SIZE + length
            at += self.lengths[i]
            i += 1

    cdef uint32_t merge_once(self) noexcept nogil:
        """Those packets as a train that arrived."""
        cdef fp_frame *head = &self.burst.frame[0]
        cdef uint8_t *at = self.packets
        cdef uint32_t i
        fp_burst_clear(self.burst)
        for i in range(self.segments):
            if i == 0:
                head.data = at + FP_VXLAN_SIZE
                head.length = head.bytes = self.lengths[0] - FP_VXLAN_SIZE
                head.segments = 1
                head.gso_size = head.gso_type = 0
                head.needs_checksum = False
                head.vni = 42
                fp_flow_parse(head.data, head.length, &head.flow)
                fp_burst_take(self.burst, self.packets + (1 << 18))
            elif not fp_burst_follow(self.burst, at, self.lengths[i]):
                return 0
            at += self.lengths[i]
        fp_burst_end(self.burst)
        return head.segments

    def split(self, uint32_t rounds):
        """Split it again and again."""
        cdef uint32_t j
        cdef uint64_t total = 0
        with nogil:
            for j in range(rounds):
                total += self.split_once()
        return total

    def split_and_merge(self, uint32_t rounds):
        """Split it and merge the segments again; returns how many segments were merged."""
        cdef uint32_t j
        cdef uint64_t total = 0
        with nogil:
            for j in range(rounds):
                self.split_once()
                total += self.merge_once()
        return total


cdef class Table:
    """An FDB with `entries` learned addresses, and as many keys to look up, in random order."""

    cdef fp_fdb *fdb
    cdef uint64_t *keys
    cdef uint32_t entries

    def __cinit__(self, uint32_t entries):
        cdef uint32_t i, j
        cdef uint64_t random = 88172645463325252, key
        self.entries = entries - entries % FP_BURST
        self.fdb = fp_fdb_new(entries, 12345)
        self.keys = <uint64_t *>calloc(entries, sizeof(uint64_t))
        if self.fdb == NULL or self.keys == NULL:
            raise MemoryError
        for i in range(entries):
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            self.keys[i] = fp_fdb_key(1 + i % 7, random & 0xfeffffffffff)
            fp_fdb_learn(self.fdb, self.keys[i], fp_dest_make(FP_DEST_REMOTE, i & 0xffff), 1)
        for i in range(entries - 1, 0, -1):  # shuffled: neighbours in time are not neighbours in memory
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            j = <uint32_t>(random % (i + 1))
            key = self.keys[i]
            self.keys[i] = self.keys[j]
            self.keys[j] = key

    def __dealloc__(self):
        fp_fdb_free(self.fdb)
        free(self.keys)

    def lookup(self, uint32_t bursts):
        """Look up `bursts` bursts; returns how many of the addresses were found."""
        cdef fp_fdb_value values[64]
        cdef uint32_t i, j, at = 0
        cdef uint64_t found = 0
        with nogil:
            for j in range(bursts):
                fp_fdb_lookup(self.fdb, &self.keys[at], FP_BURST, values)
                for i in range(FP_BURST):
                    found += values[i].dest != 0
                at += FP_BURST
                if at >= self.entries:
                    at = 0
        return found


cdef class Forwarding:
    """Frames between `hosts` hosts at a port and as many behind a remote, in bursts of one direction each, and
    a forwarder that decides on them. Frames lie 2 KB apart, as they do in a worker's memory."""

    cdef uint8_t *buffers
    cdef fp_frame *frames
    cdef uint32_t count
    cdef fp_tables *tables
    cdef fp_segment *segment
    cdef fp_context context
    cdef Forwarder forwarder

    def __cinit__(self, Forwarder forwarder not None, bytes content, uint32_t hosts):
        cdef uint32_t i, stride = 2048, length = len(content)
        cdef uint8_t *data
        self.forwarder = forwarder
        self.count = 2 * (hosts + (-hosts) % FP_BURST)
        self.buffers = <uint8_t *>calloc(self.count, stride)
        self.frames = <fp_frame *>calloc(self.count, sizeof(fp_frame))
        self.tables = fp_tables_new(4 * self.count, 64, 1, AF_INET, 1)
        self.segment = fp_segment_new(1, 42, 2)
        if self.buffers == NULL or self.frames == NULL or self.tables == NULL or self.segment == NULL:
            raise MemoryError
        if length > stride:
            raise ValueError("too long a frame")
        self.segment.learning = True
        self.context.tables = self.tables
        self.context.now = 1
        for i in range(self.count):
            data = self.buffers + i * stride
            memcpy(data, <const char *>content, length)
            self.address(data, i)
            self.frames[i].data = data
            self.frames[i].length = self.frames[i].bytes = length
            self.frames[i].segments = 1
            self.frames[i].source = fp_dest_make(FP_DEST_REMOTE if i // FP_BURST & 1 else FP_DEST_PORT, 1)
            self.frames[i].segment = self.segment
            fp_flow_parse(data, length, &self.frames[i].flow)

    cdef void address(self, uint8_t *frame, uint32_t i) noexcept:
        """From host i to its counterpart in the next burst, or the one before."""
        cdef uint32_t other = i ^ FP_BURST
        for at, host in ((0, other), (6, i)):
            frame[at] = 2
            frame[at + 1] = frame[at + 2] = 0
            frame[at + 3] = host >> 16 & 0xff
            frame[at + 4] = host >> 8 & 0xff
            frame[at + 5] = host & 0xff

    def __dealloc__(self):
        free(self.segment)
        fp_tables_free(self.tables)
        free(self.frames)
        free(self.buffers)

    def forward(self, uint32_t rounds):
        """Decide on all frames, again and again; returns how many of the decisions were to pass a frame on."""
        cdef const fp_forwarder *forwarder = self.forwarder.usable()
        cdef uint32_t i, j
        cdef uint64_t passed = 0
        with nogil:
            for j in range(rounds):
                for i in range(self.count // FP_BURST):
                    fp_forward(forwarder, &self.context, &self.frames[i * FP_BURST], FP_BURST)
                for i in range(self.count):
                    passed += (self.frames[i].target ^ self.frames[i ^ FP_BURST].source) == 0
        return passed


def checksum(bytes data, uint32_t rounds):
    """Sum the data again and again, from one byte further each time."""
    cdef const uint8_t *start = <const uint8_t *><const char *>data
    cdef uint32_t i, length = len(data) - 8
    cdef uint64_t total = 0
    with nogil:
        for i in range(rounds):
            total ^= fp_checksum_add(i, start + (i & 7), length)
    return total
