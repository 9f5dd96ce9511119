# SPDX-License-Identifier: Apache-2.0
"""The C kernels on single buffers: bytes in, plain values out.

It is for tests that compare the kernels with slow oracles, and for the inspection of single packets.
Nothing in the data path uses this module.
"""

from collections import namedtuple

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastpath.kernels.path.arrival cimport fp_decap, fp_train_unit
from fastpath.kernels.packet.checksum cimport (
    fp_checksum,
    fp_checksum_add,
    fp_checksum_by,
    fp_checksum_fold,
    fp_checksum_has,
    fp_checksum_pseudo,
    fp_checksum_replace,
)
from fastpath.kernels.packet.dest cimport (
    FP_BURST,
    FP_FRAME_SIZE,
    FP_HEADROOM,
    fp_dest_index,
    fp_dest_kind,
    fp_dest_make,
)
from fastpath.kernels.tables.fdb cimport (
    fp_fdb,
    fp_fdb_age,
    fp_fdb_entry,
    fp_fdb_free,
    fp_fdb_key,
    fp_fdb_learn,
    fp_fdb_learned,
    fp_fdb_learned_from,
    fp_fdb_lookup,
    fp_fdb_match,
    fp_fdb_new,
    fp_fdb_next,
    fp_fdb_reclaim,
    fp_fdb_reserve,
    fp_fdb_retire,
    fp_fdb_set,
    fp_fdb_share,
    fp_fdb_share_of,
    fp_fdb_used,
    fp_fdb_value,
)
from fastpath.kernels.path.burst cimport FP_SPARE_SIZE, fp_burst, fp_burst_clear, fp_burst_end, fp_burst_take
from fastpath.kernels.packet.offload cimport (
    fp_offload_infer,
    fp_offload_measure,
    fp_split,
    fp_split_begin,
    fp_split_next,
    fp_vnet_read,
    fp_vnet_write,
)
from fastpath.kernels.path.pace cimport (
    fp_pace,
    fp_pace_gather,
    fp_pace_init,
    fp_pace_look,
    fp_pace_slept,
    fp_pace_yielded,
)
from fastpath.kernels.tables.ring cimport (
    fp_ring,
    fp_ring_empty,
    fp_ring_first,
    fp_ring_free,
    fp_ring_new,
    fp_ring_next,
    fp_ring_publish,
    fp_ring_release,
    fp_ring_reserve,
)
from fastpath.kernels.system cimport AF_INET
from fastpath.kernels.tables.tables cimport (
    fp_context,
    fp_drop_name,
    fp_encap,
    fp_frame,
    fp_packet,
    fp_segment,
    fp_segment_new,
    fp_segment_publish,
    fp_tables,
    fp_tables_free,
    fp_tables_new,
)
from fastpath.kernels.counters.tally cimport FP_EVENT_COUNT
from fastpath.kernels.packet.wire cimport fp_flow_parse

VNET_SIZE = 12

Flow = namedtuple("Flow", "network transport end version protocol tos fragment hash", module=__name__)
Encapsulated = namedtuple("Encapsulated", "drop packet tos completed", module=__name__)
Decapsulated = namedtuple("Decapsulated", "drop vni frame needs_checksum checksum_start checksum_offset events",
                          module=__name__)
FdbValue = namedtuple("FdbValue", "kind index seen flags", module=__name__)
OUTCOMES = ("known", "learned", "moved", "pinned", "own", "full")


cdef class _Buffer:
    """One frame with its headroom, in memory of exactly that size, so that sanitizers see overruns."""

    cdef uint8_t *memory
    cdef fp_frame frame

    def __cinit__(self, bytes data, int headroom=FP_HEADROOM):
        if len(data) > FP_FRAME_SIZE:
            raise ValueError(f"{len(data)} bytes are more than a frame can have ({FP_FRAME_SIZE})")
        self.memory = <uint8_t *>malloc(headroom + len(data) + (headroom + len(data) == 0))
        if self.memory == NULL:
            raise MemoryError
        memset(&self.frame, 0, sizeof(fp_frame))
        memset(self.memory, 0xAA, headroom)
        memcpy(self.memory + headroom, <const char *>data, len(data))
        self.frame.data = self.memory + headroom
        self.frame.length = len(data)

    def __dealloc__(self):
        free(self.memory)

    cdef bytes content(self):
        return (<char *>self.frame.data)[:self.frame.length]


def checksum(bytes data):
    """Return the internet checksum (RFC 1071) as the two bytes of a header."""
    cdef uint16_t result = fp_checksum(<const uint8_t *><const char *>data, len(data))
    return (<char *>&result)[:2]


def checksum_in_pieces(list pieces):
    """Return the checksum over pieces that follow each other. All but the last have an even size."""
    cdef uint64_t total = 0
    cdef uint16_t result
    for piece in pieces:
        total = fp_checksum_add(total, <const uint8_t *><const char *>piece, len(piece))
    result = ~fp_checksum_fold(total)
    return (<char *>&result)[:2]


def checksum_ways():
    """Return the numbers of the ways in which this processor can sum (enum fp_checksum_way)."""
    return [way for way in range(3) if fp_checksum_has(way)]


def checksum_move(int way, bytes data, uint32_t shift):
    """Sum the data by one way and move it `shift` bytes to the front. Return (checksum, moved data)."""
    cdef uint8_t *memory = <uint8_t *>malloc(shift + len(data) + 1)
    cdef uint16_t result
    if memory == NULL:
        raise MemoryError
    try:
        memcpy(memory + shift, <const char *>data, len(data))
        result = ~fp_checksum_fold(fp_checksum_by(way, 0, memory, memory + shift, len(data)))
        return (<char *>&result)[:2], (<char *>memory)[:len(data)]
    finally:
        free(memory)


def checksum_pseudo(bytes ip, int version, int protocol, uint32_t length):
    """Return the folded sum of the pseudo-header of the IP header `ip`, as two bytes."""
    if len(ip) < (20 if version == 4 else 40):
        raise ValueError("not a whole IP header")
    cdef uint16_t result = fp_checksum_fold(
        fp_checksum_pseudo(<const uint8_t *><const char *>ip, version, protocol, length)
    )
    return (<char *>&result)[:2]


def checksum_replace(bytes stored, bytes before, bytes after):
    """Return the repaired checksum after one 16-bit word changed (RFC 1624). All are two bytes."""
    if not len(stored) == len(before) == len(after) == 2:
        raise ValueError("each of the three is two bytes")
    cdef uint16_t old_word, new_word
    cdef uint8_t field[2]
    memcpy(field, <const char *>stored, 2)
    memcpy(&old_word, <const char *>before, 2)
    memcpy(&new_word, <const char *>after, 2)
    fp_checksum_replace(field, old_word, new_word)
    return (<char *>field)[:2]


def parse(bytes frame):
    """Return the Flow of a frame with any content."""
    cdef _Buffer buffer = _Buffer(frame, 0)
    fp_flow_parse(buffer.frame.data, buffer.frame.length, &buffer.frame.flow)
    flow = buffer.frame.flow
    return Flow(flow.network, flow.transport, flow.end, flow.version, flow.protocol, flow.tos,
                bool(flow.fragment), flow.hash)


cdef _Buffer _from_tap(bytes frame, bytes vnet):
    if len(vnet) != VNET_SIZE:
        raise ValueError(f"a virtio-net header has {VNET_SIZE} bytes")
    cdef _Buffer buffer = _Buffer(frame)
    fp_vnet_read(<const uint8_t *><const char *>vnet, &buffer.frame)
    fp_flow_parse(buffer.frame.data, buffer.frame.length, &buffer.frame.flow)
    return buffer


def encap(bytes frame, uint32_t vni, bytes vnet=bytes(VNET_SIZE)):
    """Encapsulate a frame that came from a TAP with this virtio-net header. `drop` is None or a reason."""
    cdef _Buffer buffer = _from_tap(frame, vnet)
    cdef fp_packet packet
    cdef uint32_t completed = 0, drop
    drop = fp_encap(&buffer.frame, vni, &packet, &completed)
    if drop:
        return Encapsulated(fp_drop_name(drop).decode(), None, None, bool(completed))
    return Encapsulated(None, (<const char *>packet.data)[:packet.length], packet.tos, bool(completed))


def split(bytes frame, bytes vnet):
    """Return the segments of a super-frame, or None if the virtio-net header contradicts it."""
    cdef _Buffer buffer = _from_tap(frame, vnet)
    cdef fp_split state
    cdef uint8_t *segment
    cdef uint32_t length, room
    if not fp_offload_measure(&buffer.frame) or buffer.frame.gso_size == 0:
        return None
    room = buffer.frame.headers + min(buffer.frame.gso_size, buffer.frame.length - buffer.frame.headers)
    result = []
    fp_split_begin(&state, &buffer.frame)
    while True:
        segment = <uint8_t *>malloc(room)  # of just that size, for sanitizers
        if segment == NULL:
            raise MemoryError
        try:
            length = fp_split_next(&state, segment)
            if length == 0:
                assert len(result) == buffer.frame.segments and sum(map(len, result)) == buffer.frame.bytes
                return result
            result.append((<char *>segment)[:length])
        finally:
            free(segment)


def merge(list frames, int gap=8):
    """Merge at most FP_BURST frames of one remote that arrived together, `gap` bytes apart.

    Return (virtio-net header, frame, number of frames it stands for) of each, in the order in which a port gets them.
    """
    cdef fp_burst *burst = <fp_burst *>malloc(sizeof(fp_burst))
    cdef size_t size = FP_HEADROOM + sum(gap + len(f) for f in frames)
    cdef uint8_t *memory = <uint8_t *>malloc(size)
    cdef uint8_t *spare = <uint8_t *>malloc(FP_SPARE_SIZE)
    cdef uint8_t header[12]
    cdef uint8_t *at = memory + FP_HEADROOM
    cdef fp_frame *frame
    try:
        if burst == NULL or memory == NULL or spare == NULL:
            raise MemoryError
        if gap < 8 or len(frames) > FP_BURST:
            raise ValueError("too close, or too many")
        burst.spare = spare
        fp_burst_clear(burst)
        for data in frames:
            frame = &burst.frame[burst.count]
            memset(frame, 0, sizeof(fp_frame))
            frame.data = at + gap
            frame.length = frame.bytes = len(data)
            frame.segments = 1
            memcpy(frame.data, <const char *>data, len(data))
            at = frame.data + frame.length
            fp_flow_parse(frame.data, frame.length, &frame.flow)
            fp_offload_infer(frame)
            fp_burst_take(burst, memory + size)
        fp_burst_end(burst)
        result = []
        for i in range(burst.count):
            frame = &burst.frame[i]
            fp_vnet_write(header, frame, 0xffffffff)
            result.append(((<char *>header)[:VNET_SIZE], (<char *>frame.data)[:frame.length], frame.segments))
        return result
    finally:
        free(burst)
        free(memory)
        free(spare)


def vnet_for_port(bytes frame, int mtu):
    """Return the virtio-net header with which a port of this MTU gets the frame, and whether it became a super-frame."""
    cdef _Buffer buffer = _Buffer(frame)
    cdef uint8_t header[12]
    fp_flow_parse(buffer.frame.data, buffer.frame.length, &buffer.frame.flow)
    fp_offload_measure(&buffer.frame)
    is_super = fp_vnet_write(header, &buffer.frame, mtu)
    return (<char *>header)[:VNET_SIZE], bool(is_super)


cdef class Decapsulator:
    """fp_decap with its own segments."""

    cdef fp_tables *tables
    cdef fp_context context
    cdef list segments

    def __cinit__(self, vnis):
        self.segments = []
        self.tables = fp_tables_new(16, 16, 0, AF_INET, 1)
        if self.tables == NULL:
            raise MemoryError
        self.context.tables = self.tables
        cdef fp_segment *segment
        for index, vni in enumerate(vnis, 1):
            segment = fp_segment_new(index, vni, 1)
            if segment == NULL or not fp_segment_publish(self.tables, vni, segment):
                raise MemoryError
            self.segments.append(<size_t>segment)

    def __dealloc__(self):
        for address in self.segments:
            free(<void *><size_t>address)
        fp_tables_free(self.tables)

    def train_unit(self, bytes payload, uint32_t size, bint kernel_peers=True):
        """Return the size of the packets in a train, see fp_train_unit."""
        cdef _Buffer buffer = _Buffer(payload, 0)
        return fp_train_unit(self.tables, buffer.frame.data, buffer.frame.length, size, kernel_peers)

    def __call__(self, bytes payload, int outer_tos=0, bint strict=False, int gso_size=0):
        """Decapsulate one UDP payload. `events` are the numbers of the events noted (event.def)."""
        cdef _Buffer buffer = _Buffer(payload)
        cdef uint32_t drop
        before = [self.tables.tally[0].events[i] for i in range(FP_EVENT_COUNT)]
        buffer.frame.outer_tos = outer_tos
        buffer.frame.gso_size = gso_size
        drop = fp_decap(&self.context, &buffer.frame, strict)
        noted = [i for i in range(FP_EVENT_COUNT) if self.tables.tally[0].events[i] != before[i]]
        return Decapsulated(
            fp_drop_name(drop).decode() if drop else None, buffer.frame.vni,
            None if drop else buffer.content(), bool(buffer.frame.needs_checksum),
            buffer.frame.checksum_start, buffer.frame.checksum_offset, noted,
        )


cdef class Pace:
    """The pace of a worker (src/path/pace.h). All times are in nanoseconds."""

    cdef fp_pace c

    def __cinit__(self, uint64_t spin_ns):
        fp_pace_init(&self.c, spin_ns)

    def look(self, uint64_t since, uint64_t now):
        return fp_pace_look(&self.c, since, now)

    def gather(self, uint64_t since, uint64_t now, uint32_t frames):
        """Return for how long frames may gather."""
        return fp_pace_gather(&self.c, since, now, frames) - now

    def yielded(self, uint64_t since, uint64_t now):
        fp_pace_yielded(&self.c, since, now)

    def slept(self, uint64_t since, uint64_t now):
        fp_pace_slept(&self.c, since, now)


cdef class FdbTable:
    """The FDB kernel by itself. MAC addresses and destinations are numbers."""

    cdef fp_fdb *fdb

    def __cinit__(self, uint32_t entries, uint64_t seed=0):
        self.fdb = fp_fdb_new(entries, seed)
        if self.fdb == NULL:
            raise ValueError("the number of entries is out of range")

    def __dealloc__(self):
        fp_fdb_free(self.fdb)

    def __len__(self):
        return fp_fdb_used(self.fdb)

    def configure(self, uint32_t segment, uint32_t limit, uint32_t ageing):
        cdef fp_fdb_share *share = fp_fdb_share_of(self.fdb, segment)
        share.limit = limit
        share.ageing = ageing

    def reserve(self, uint32_t entries):
        fp_fdb_reserve(self.fdb, entries)

    def learned(self, kind=None, index=0):
        """Return the number of learned entries: of all, or of those that point to one destination."""
        if kind is None:
            return fp_fdb_learned(self.fdb)
        return fp_fdb_learned_from(self.fdb, fp_dest_make(kind, index))

    def learn(self, uint32_t segment, uint64_t mac, uint32_t kind, uint32_t index, uint32_t now):
        """Learn an address. Return one of OUTCOMES."""
        return OUTCOMES[fp_fdb_learn(self.fdb, fp_fdb_key(segment, mac), fp_dest_make(kind, index), now)]

    def set(self, uint32_t segment, uint64_t mac, uint32_t kind, uint32_t index, uint8_t flags, uint32_t now):
        return bool(fp_fdb_set(self.fdb, fp_fdb_key(segment, mac), fp_dest_make(kind, index), flags, now))

    def lookup(self, uint32_t segment, uint64_t mac):
        """Return an FdbValue, or None."""
        cdef uint64_t key = fp_fdb_key(segment, mac)
        cdef fp_fdb_value value
        fp_fdb_lookup(self.fdb, &key, 1, &value)
        if value.dest == 0:
            return None
        return FdbValue(fp_dest_kind(value.dest), fp_dest_index(value.dest), value.seen, value.flags)

    def retire(self, uint32_t segment=0, mac=None, dest=None, bint learned_only=False):
        """Retire the matching entries and return their number. `dest` is a (kind, index) pair."""
        cdef fp_fdb_match match
        memset(&match, 0, sizeof(match))
        match.segment = segment
        match.has_mac = mac is not None
        match.mac = mac or 0
        match.dest = fp_dest_make(dest[0], dest[1]) if dest is not None else 0
        match.learned_only = learned_only
        return fp_fdb_retire(self.fdb, &match)

    def age(self, uint32_t now):
        return fp_fdb_age(self.fdb, now)

    def reclaim(self):
        fp_fdb_reclaim(self.fdb)

    def entries(self):
        """Return {(segment, mac): FdbValue}."""
        cdef fp_fdb_entry entry
        cdef uint64_t cursor = 0
        result = {}
        while fp_fdb_next(self.fdb, &cursor, &entry):
            key = (entry.segment, entry.mac)
            assert key not in result, "an address stands in the table twice"
            result[key] = FdbValue(fp_dest_kind(entry.value.dest), fp_dest_index(entry.value.dest),
                                   entry.value.seen, entry.value.flags)
        return result


cdef class Ring:
    """A ring (src/tables/ring.h) of copies of bytes."""

    cdef fp_ring *ring

    def __cinit__(self, uint64_t size):
        self.ring = fp_ring_new(size)
        if self.ring == NULL:
            raise MemoryError

    def __dealloc__(self):
        fp_ring_free(self.ring)

    @property
    def empty(self):
        return bool(fp_ring_empty(self.ring))

    def reserve(self, bytes data):
        """Put a copy into the ring. Return whether there was room for it."""
        cdef void *entry = fp_ring_reserve(self.ring, len(data))
        if entry != NULL:
            memcpy(entry, <const char *>data, len(data))
        return entry != NULL

    def publish(self):
        fp_ring_publish(self.ring)

    def take(self, room):
        """Take up to `room` entries out of the ring and return them."""
        cdef uint64_t position = fp_ring_first(self.ring)
        cdef uint32_t size
        cdef char *entry
        result = []
        while len(result) < room:
            entry = <char *>fp_ring_next(self.ring, &position, &size)
            if entry == NULL:
                break
            result.append(entry[:size])
        fp_ring_release(self.ring, position)
        return result
