# SPDX-License-Identifier: Apache-2.0
"""Loops around the C kernels, without Python in them: what pytest-benchmark times.

Each function does `rounds` × `count` operations and returns a number that depends on every one of
them, so that nothing can be left out.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastpath.kernels cimport (
    AF_INET,
    FP_BURST,
    FP_DEST_REMOTE,
    FP_HEADROOM,
    fp_checksum_add,
    fp_context,
    fp_decap,
    fp_dest_make,
    fp_encap,
    fp_fdb,
    fp_fdb_free,
    fp_fdb_key,
    fp_fdb_learn,
    fp_fdb_lookup,
    fp_fdb_new,
    fp_fdb_value,
    fp_flow_parse,
    fp_frame,
    fp_packet,
    fp_segment,
    fp_segment_new,
    fp_segment_publish,
    fp_tables,
    fp_tables_free,
    fp_tables_new,
)

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
        self.tables = fp_tables_new(64, 1, AF_INET, 1)
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


def checksum(bytes data, uint32_t rounds):
    """Sum the data again and again, from one byte further each time."""
    cdef const uint8_t *start = <const uint8_t *><const char *>data
    cdef uint32_t i, length = len(data) - 8
    cdef uint64_t total = 0
    with nogil:
        for i in range(rounds):
            total ^= fp_checksum_add(i, start + (i & 7), length)
    return total
