# SPDX-License-Identifier: Apache-2.0
"""Replays: a capture goes through the engine, and nothing goes to the network.

A Replayer has the tables of an engine, and one worker without sockets, whose methods it calls. A sink takes the output
(src/io/sink.h). Read the code from the bottom up: `step` runs until Python is needed, `admit` takes a record,
`admit_frame` and `admit_packet` make a frame of it as a worker does.

The same capture gives the same result: there is one thread, the clock is the capture's, there is no random seed, and
the capture determines where bursts end.
"""

import socket

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from fastpath.forwarder.forwarder cimport Forwarder
from fastpath.kernels.path.arrival cimport fp_source_look, fp_source_mark
from fastpath.kernels.packet.checksum cimport fp_checksum_fold, fp_checksum_pseudo
from fastpath.kernels.packet.dest cimport (
    FP_BURST,
    FP_DEST_PORT,
    FP_FRAME_SIZE,
    fp_dest_index,
    fp_dest_kind,
    fp_dest_make,
)
from fastpath.kernels.tables.fdb cimport (
    FP_FDB_STATIC,
    fp_fdb_age,
    fp_fdb_entries,
    fp_fdb_free,
    fp_fdb_key,
    fp_fdb_lookup,
    fp_fdb_new,
    fp_fdb_reclaim,
    fp_fdb_set,
    fp_fdb_used,
    fp_fdb_value,
)
from fastpath.kernels.path.pace cimport fp_pace_clock
from fastpath.kernels.pcap.pcap cimport (
    FP_PCAP_DAMAGED,
    FP_PCAP_DESCRIPTION,
    FP_PCAP_END,
    FP_PCAP_ETHERNET,
    FP_PCAP_FRONT,
    FP_PCAP_INTERFACES,
    FP_PCAP_MORE,
    FP_PCAP_NG,
    FP_PCAP_RECORD,
    fp_pcap_next,
)
from fastpath.kernels.tables.remote cimport fp_address, fp_address_from, fp_remote
from fastpath.kernels.system cimport AF_INET
from fastpath.kernels.tables.tables cimport (
    fp_clock_set,
    fp_frame,
    fp_offload_complete,
    fp_packet,
    fp_port,
    fp_port_get,
    fp_segment,
    fp_segment_find,
    fp_sink,
)
from fastpath.kernels.io.udp cimport fp_outer, fp_outer_knows, fp_outer_parse
from fastpath.kernels.packet.wire cimport (
    FP_ETHERNET_SIZE,
    FP_PROTOCOL_TCP,
    FP_PROTOCOL_UDP,
    FP_TCP_CHECKSUM,
    FP_UDP_CHECKSUM,
    FP_VXLAN_FLAG_I,
    FP_VXLAN_SIZE,
    fp_flow_parse,
    fp_flow_parse_captured,
    fp_load_mac,
    fp_vxlan_flags,
    fp_vxlan_vni,
)
from fastpath.pcap.pcap cimport CaptureReader
from fastpath.engine.ports.port cimport Port
from fastpath.replay.recording cimport Recording
from fastpath.engine.remote cimport Remote
from fastpath.engine.segment cimport Segment
from fastpath.engine.tables cimport Tables, sum_tallies
from fastpath.engine.workers.uplink cimport Uplink
from fastpath.engine.workers.worker cimport Worker

from fastpath.addresses import parse_mac, to_wire
from fastpath.errors import ConflictError, UsageError
from fastpath.engine.offloads import DEFAULT_OFFLOADS
from fastpath.engine.remote import remote_stats
from fastpath.engine.segment import DEFAULT_AGEING, end_service
from fastpath.engine.stats import EngineStats

cdef enum:
    AGE_EVERY_S = 10  # as the engine's housekeeper does
    TICKS = 1000  # in one pause
    PLACES = 1 << 16
    ANYBODY = 0xffffffffffff
    SECOND_NS = 1000000000
    ROOM = FP_FRAME_SIZE + 64  # bytes of a frame, and in front of it

# What `step` ended for.
MORE, DESCRIPTION, BEGIN, SEGMENT, WAIT, STORED, END = range(7)
cdef enum:
    WANT_BEGIN = 1000  # beside enum fp_pcap_status
    WANT_SEGMENT
    WANT_WAIT
    WANT_POLL
    WANT_ROOM

FDB_ENTRIES = 1 << 16


cdef void discard_frame(const fp_sink *self, const fp_frame *frame, const fp_port *port) noexcept nogil:
    pass


cdef void discard_packet(const fp_sink *self, const fp_frame *frame, const fp_packet *packet,
                         const fp_remote *remote) noexcept nogil:
    pass


cdef class Replayer:
    """Replays what `reader` reads into `recording`, if there is one.

    `step` says BEGIN before the first record: what interfaces it may be of is known then. Until the next call, a
    capture of frames needs one segment (`add_segment`) and ports where they enter (`enter_at`). With `vxlan`,
    the capture has packets to `udp_port`: those that `local` sent enter at a port of their segment, those of all
    others come from a remote; `step` says SEGMENT when one of VNI `wanted_vni` is missing. `burst` is how many
    frames a forwarder gets at once, at most.
    """

    def __cinit__(self, CaptureReader reader not None, *, Recording recording=None, bint vxlan=False,
                  int udp_port=4789, local=None, int burst=FP_BURST):
        cdef bytes address
        if not 1 <= burst <= FP_BURST:
            raise UsageError(f"a burst of {burst} frames: it must be between 1 and {FP_BURST}")
        if not 1 <= udp_port <= 65535:
            raise UsageError(f"{udp_port} is not a UDP port: it must be between 1 and 65535")
        self.tables = Tables(
            fdb_entries=FDB_ENTRIES, fdb_reserve=0, neighbour_entries=1, family=socket.AF_UNSPEC, workers=1, seed=0,
        )
        self.worker = Worker(
            self.tables, 0, receive=-1, send=[], family=AF_INET, strict=False, known_only=False,
            learned_udp_port=udp_port, attention=-1, spin_us=0, gso=False, merge=False,
            kernel_peers=True,
        )
        self.tables.uplink = Uplink([], family=AF_INET, gso=False)
        self.tables.clock = self._now
        self.segments = {}
        self.reader = reader
        self.recording = recording
        self.vxlan = vxlan
        self.udp_port = <uint16_t>udp_port
        self.burst_size = burst
        self.has_local = local is not None
        if local is not None:
            address = to_wire(local)
            memcpy(self.local.ip, <const char *>address, 16)
        self.discard.frame = discard_frame
        self.discard.packet = discard_packet
        self.tables.c.sink = &self.discard if recording is None else recording.sink()
        self.places = fp_fdb_new(PLACES, 0)
        if self.places == NULL:
            raise MemoryError
        fp_clock_set(self.tables.c, 0)

    def __dealloc__(self):
        fp_fdb_free(self.places)
        free(self.room)
        free(self.store)

    def _now(self):
        """Return the engine's clock, in seconds: the time of the last frame that came in, or of the ticks in a pause."""
        return self.clock_ns / SECOND_NS

    def add_segment(self, vni, Forwarder forwarder not None):
        """Add a segment, as Engine.add_segment does."""
        cdef Segment segment
        self.check()
        if vni in self.segments:
            raise ConflictError(f"there is a segment with VNI {vni} already")
        segment = Segment(
            self.tables, [self.worker], DEFAULT_OFFLOADS, None, self.udp_port, vni, learning=True,
            ageing=DEFAULT_AGEING, max_entries=FDB_ENTRIES, members_only=False, probes=False, forwarder=forwarder,
        )
        self.segments[vni] = segment
        if segment.forwarder_thread is not None:
            self.polled = True
        if not self.vxlan:
            self.segment = segment.c
        return segment

    def set_forwarder(self, Segment segment not None, Forwarder forwarder not None):
        """Set the forwarder of a segment. Its `start` finds the ports that were added until now."""
        segment.forwarder = forwarder
        if segment.forwarder_thread is not None:
            self.polled = True

    def close(self):
        """Remove the segments and stop their forwarders. Nothing can be replayed after that."""
        cdef Segment segment
        self.closed = True
        while self.segments:
            _, segment = self.segments.popitem()
            for forwarder in segment.withdraw():
                end_service(*forwarder)

    cdef int check(self) except -1:
        if self.closed:
            raise ConflictError("the replay was closed")
        return 0

    def refuse_segments(self):
        """Stop asking for segments: packets of other VNIs are dropped and counted."""
        self.full = True

    def add_port(self, Segment segment not None, str name not None):
        """Add a port. With `vxlan` the VNI is part of the name of its interface in the recording."""
        cdef Port port = segment.add_sink_port(name)
        if self.recording is not None:
            self.recording.add_port(port, f"{name}@{segment.vni}" if self.vxlan else name)
        return port

    def enter_at(self, Port port not None, mac=None):
        """Let frames with this source address enter at the port, unless their interface has one.

        `mac` None: all frames whose source address has no port. Other frames are counted as no_port.
        """
        port.check()
        cdef uint64_t key = fp_fdb_key(port.c.segment.index, ANYBODY if mac is None else parse_mac(mac))
        if not fp_fdb_set(self.places, key, fp_dest_make(FP_DEST_PORT, port.c.index), FP_FDB_STATIC, 0):
            raise ConflictError(f"more than {PLACES} addresses of ports")
        only = fp_fdb_used(self.places) == 1 and mac is None and not self.vxlan
        self.entry = port.c.index if only else 0  # the usual case needs no look-up

    @property
    def interfaces(self):
        """The names of the interfaces in the present section of a pcapng file; a pcap file has none."""
        if self.reader.c.format != FP_PCAP_NG:
            return []
        cdef uint32_t i
        return [
            self.reader.c.interface[i].name[:self.reader.c.interface[i].name_length].decode(errors="replace")
            for i in range(self.reader.c.interfaces)
        ]

    def enter_by_interface(self, int interface, Port port):
        """Let frames of that interface of the present section enter at the port. None: their addresses decide."""
        if not 0 <= interface < FP_PCAP_INTERFACES:
            raise ValueError(f"there is no interface {interface}")
        if port is not None:
            port.check()
        self.interface[interface] = 0 if port is None else port.c.index

    def wait_before(self, bint timed):
        """Set whether `step` returns WAIT before each record that is later than the last one waited for."""
        self.timed = timed

    def waited(self):
        """Continue after WAIT: the time of the record has come."""
        self.until_ns = self.record.time_ns

    @property
    def time_ns(self):
        """The time at which the last record was captured, in nanoseconds since the epoch."""
        return self.record.time_ns

    @property
    def offset(self):
        """The number of bytes of the capture that were read and parsed."""
        return self.reader.c.offset

    @property
    def counted(self):
        """The number of records, and of those that became no frame, by reason."""
        cdef dict counted
        self.counts.odd = self.reader.c.odd
        counted = self.counts
        return counted

    def stats(self):
        """Return all counters, as a stats.EngineStats."""
        segments = sorted(self.segments.values(), key=lambda segment: segment.vni)
        return EngineStats(
            workers=[sum_tallies(&self.tables.c.tally[0], 1)],
            deferred=sum_tallies(&self.tables.c.tally[1], 1),
            segments=[segment.stats() for segment in segments],
            ports=[port.stats() for segment in segments for port in segment.ports],
            remotes=remote_stats(self.tables),
            fdb_entries=fp_fdb_used(self.tables.c.fdb),
            fdb_limit=fp_fdb_entries(self.tables.c.fdb),
            socket_overflows=0,
        )

    cdef fp_port *place(self, const fp_frame *frame, const fp_segment *segment) noexcept nogil:
        """Return the port where a frame enters a segment, or NULL."""
        cdef fp_fdb_value values[2]
        cdef uint64_t keys[2]
        keys[0] = keys[1] = fp_fdb_key(segment.index, ANYBODY)
        if frame.length >= FP_ETHERNET_SIZE:
            keys[0] = fp_fdb_key(segment.index, fp_load_mac(frame.data + 6))
        fp_fdb_lookup(self.places, keys, 2, values)
        return fp_port_get(self.tables.c, fp_dest_index(values[0].dest if values[0].dest != 0 else values[1].dest))

    cdef void end_burst(self) noexcept nogil:
        if self.store == NULL:
            self.worker.end_burst()
        else:
            memcpy(&self.store[self.stored], self.worker.burst.frame, self.worker.burst.count * sizeof(fp_frame))
            self.stored += self.worker.burst.count
            self.worker.burst.count = 0

    cdef void pass_time(self, uint64_t second) noexcept nogil:
        """Advance the clock: a second, or more, has passed."""
        self.end_burst()
        if self.second == 0:
            self.aged = second
        self.second = second
        self.worker.context.now = <uint32_t>second
        fp_clock_set(self.tables.c, <uint32_t>second)
        if second - self.aged >= AGE_EVERY_S:
            self.aged = second
            fp_fdb_age(self.tables.c.fdb, <uint32_t>second)
            fp_fdb_reclaim(self.tables.c.fdb)

    cdef int keep(self) noexcept nogil:
        """Add the frame that was set up behind the last one of the burst to the burst."""
        self.clock_ns = self.record.time_ns
        self.worker.burst.count += 1
        if self.worker.burst.count < self.burst_size:
            return FP_PCAP_RECORD
        self.end_burst()
        return WANT_POLL if self.polled and self.store == NULL else FP_PCAP_RECORD

    cdef bint fill_up(self) noexcept nogil:
        """Give a record that the capture cut off the length that the packet had, with zeros for what is not known.
        Return False if that cannot be."""
        cdef uint8_t *to
        if self.store != NULL or self.record.original > FP_FRAME_SIZE:
            return False
        if self.room == NULL:
            self.room = <uint8_t *>malloc(FP_BURST * ROOM)
            if self.room == NULL:
                return False
        to = self.room + self.worker.burst.count * ROOM + FP_PCAP_FRONT
        memcpy(to, self.record.data, self.record.length)
        memset(to + self.record.length, 0, self.record.original - self.record.length)
        self.record.data = to
        self.record.length = self.record.original
        self.counts.filled += 1
        return True

    cdef void look_at(self, fp_frame *frame) noexcept nogil:
        """Find out what a frame from a capture is: with fields that senders leave to their cards."""
        cdef uint16_t found, pseudo
        cdef uint32_t offset, end
        fp_flow_parse_captured(frame.data, frame.length, &frame.flow)
        frame.needs_checksum = False
        if frame.flow.transport == 0 or frame.flow.fragment:
            return
        if frame.flow.protocol == FP_PROTOCOL_TCP:
            offset = FP_TCP_CHECKSUM
        elif frame.flow.protocol == FP_PROTOCOL_UDP:
            offset = FP_UDP_CHECKSUM
        else:
            return
        end = frame.flow.end - frame.flow.transport
        if offset + sizeof(found) > end:
            return
        memcpy(&found, frame.data + frame.flow.transport + offset, sizeof(found))
        pseudo = fp_checksum_fold(
            fp_checksum_pseudo(frame.data + frame.flow.network, frame.flow.version, frame.flow.protocol, end)
        )
        if found == pseudo and found != 0:
            frame.checksum_start = frame.flow.transport
            frame.checksum_offset = <uint16_t>offset
            fp_offload_complete(frame)
            self.counts.open_checksums += 1

    cdef int admit_frame(self) noexcept nogil:
        cdef fp_frame *frame = &self.worker.burst.frame[self.worker.burst.count]
        cdef uint32_t index = self.interface[self.record.interface]
        cdef fp_port *port
        if self.reader.c.interface[self.record.interface].linktype != FP_PCAP_ETHERNET:
            self.counts.other_link += 1
            return FP_PCAP_RECORD
        if self.record.length > FP_FRAME_SIZE:
            self.counts.too_long += 1
            return FP_PCAP_RECORD
        frame.data = self.record.data
        frame.length = self.record.length
        frame.time_ns = self.record.time_ns
        frame.gso_type = 0
        frame.gso_size = 0
        self.look_at(frame)
        if index == 0:
            index = self.entry
        port = fp_port_get(self.tables.c, index) if index != 0 else self.place(frame, self.segment)
        if port == NULL:
            self.counts.no_port += 1
            return FP_PCAP_RECORD
        if not self.worker.enter(frame, port):
            return FP_PCAP_RECORD
        return self.keep()

    cdef bint is_local(self, const fp_outer *outer) noexcept nogil:
        cdef fp_address address
        if not self.has_local:
            return False
        fp_address_from(&address, &outer.from_)
        return memcmp(address.ip, self.local.ip, 16) == 0

    cdef int admit_packet(self) noexcept nogil:
        cdef fp_frame *frame = &self.worker.burst.frame[self.worker.burst.count]
        cdef uint16_t link = self.reader.c.interface[self.record.interface].linktype
        cdef fp_outer outer
        cdef fp_port *port
        if not fp_outer_knows(link):
            self.counts.other_link += 1
            return FP_PCAP_RECORD
        if not fp_outer_parse(self.record.data, self.record.length, link, &outer) or outer.udp_port != self.udp_port:
            self.counts.not_vxlan += 1
            return FP_PCAP_RECORD
        if not self.full and outer.length >= FP_VXLAN_SIZE and fp_vxlan_flags(outer.payload) & FP_VXLAN_FLAG_I:
            self.wanted_vni = fp_vxlan_vni(outer.payload)
            if fp_segment_find(self.tables.c, self.wanted_vni) == NULL:
                return WANT_SEGMENT
        if not self.worker.strip(outer.payload, outer.length, 0, outer.tos):
            return FP_PCAP_RECORD
        frame.time_ns = self.record.time_ns
        self.look_at(frame)
        if self.is_local(&outer):
            port = self.place(frame, frame.segment)
            if port == NULL:
                self.counts.no_port += 1
                return FP_PCAP_RECORD
            if not self.worker.enter(frame, port):
                return FP_PCAP_RECORD
        else:
            fp_source_look(&self.worker.context, &self.worker.source, &outer.from_)
            fp_source_mark(&self.worker.context, &self.worker.source, frame)
        return self.keep()

    cdef int admit(self) noexcept nogil:
        """Take the record. Return FP_PCAP_RECORD, or what is needed before it (then it is not taken) or after it."""
        cdef uint64_t second = self.record.time_ns // SECOND_NS
        if not self.begun:
            self.begun = True
            self.clock_ns = self.record.time_ns
            return WANT_BEGIN
        if self.store != NULL and self.stored + 3 * FP_BURST > self.store_size:
            return WANT_ROOM
        if self.record.outbound and not self.has_local:
            self.counts.outbound += 1
            return FP_PCAP_RECORD
        if self.record.length < self.record.original and not self.fill_up():
            self.counts.cut_off += 1
            return FP_PCAP_RECORD
        if self.timed and self.record.time_ns > self.until_ns:
            self.end_burst()
            return WANT_WAIT
        if second > self.second:
            if self.polled and self.store == NULL:
                self.pending = True
                if self.worker.burst.count != 0:
                    self.end_burst()
                else:  # before the frame comes in, those have their ticks that were due meanwhile
                    self.pass_time(second)
                    self.paused = True
                return WANT_POLL
            self.pass_time(second)
        return self.admit_packet() if self.vxlan else self.admit_frame()

    cdef int run(self) noexcept nogil:
        cdef int status
        while True:
            if self.pending:
                self.pending = False
            else:
                status = fp_pcap_next(self.reader.c, &self.record)
                if status != FP_PCAP_RECORD:
                    if status != FP_PCAP_DESCRIPTION:  # the frames' bytes are about to go
                        self.end_burst()
                    return status
                self.counts.records += 1
            status = self.admit()
            if status == FP_PCAP_RECORD:
                continue
            if status == WANT_BEGIN or status == WANT_SEGMENT or status == WANT_WAIT or status == WANT_ROOM:
                self.pending = True
            return status

    def step(self):
        """Replay until Python is needed, and return the reason. Raise UsageError if the capture is damaged."""
        cdef int status
        self.check()
        with nogil:
            status = self.run()
        if self.polled:
            if self.paused:
                self.paused = False
                self._tick_until(self.record.time_ns)
            self._poll()
        if status == FP_PCAP_MORE:
            if self.store == NULL:
                self.reader.fill()
            return MORE
        if status == FP_PCAP_DAMAGED:
            raise self.reader.damage()
        if status == FP_PCAP_END and self.recording is not None:
            self.recording.flush()
        return REASONS[status]

    def _poll(self):
        """Let the forwarders that are written in Python decide on their frames."""
        busy = True
        while busy:
            busy = any([segment.poll_forwarder() for segment in self.segments.values()])

    def _tick_until(self, uint64_t time_ns):
        """Let the forwarders that are written in Python have the ticks that are due until then, each at its time; of a
        long pause the first TICKS, and the last."""
        for _ in range(TICKS):
            due = [each for segment in self.segments.values() if (each := segment.next_tick()) is not None]
            next_ns = int(min(due) * SECOND_NS) + 1 if due else time_ns
            if next_ns >= time_ns:
                break
            self.clock_ns = max(self.clock_ns, next_ns)
            self._poll()
        self.clock_ns = time_ns

    def begin_store(self, uint32_t frames):
        """Store bursts of up to so many frames instead of forwarding them.

        `step` returns STORED when there is no more room. After MORE, `fill` reads on.
        """
        if frames < 4 * FP_BURST or self.store != NULL:
            raise ValueError("too little room, or a second time")
        self.store = <fp_frame *>calloc(frames, sizeof(fp_frame))
        if self.store == NULL:
            raise MemoryError
        self.store_size = frames

    def time_forwarder(self):
        """Ask the forwarder about every stored burst. Return how long that took, in nanoseconds.

        A forwarder in Python also delivers the frames.
        """
        cdef uint64_t since, after
        cdef uint32_t at = 0
        self.check()
        if self.polled:
            since = fp_pace_clock()
            while at < self.stored:
                at += self.worker.decide(&self.store[at], min(<uint32_t>FP_BURST, self.stored - at))
                self._poll()
            return fp_pace_clock() - since
        with nogil:
            since = fp_pace_clock()
            while at < self.stored:
                at += self.worker.decide(&self.store[at], min(<uint32_t>FP_BURST, self.stored - at))
            after = fp_pace_clock()
        return after - since

    def time_parser(self):
        """Parse the headers of every stored frame once more. Return how long that took, in nanoseconds."""
        cdef uint64_t since, after
        cdef uint32_t i
        with nogil:
            since = fp_pace_clock()
            for i in range(self.stored):
                fp_flow_parse(self.store[i].data, self.store[i].length, &self.store[i].flow)
            after = fp_pace_clock()
        return after - since

    def fill(self):
        """Drop the stored frames, and read on."""
        self.stored = 0
        self.reader.fill()

    def forget_stored(self):
        """Drop the stored frames, to make room for more."""
        self.stored = 0


REASONS = {
    FP_PCAP_DESCRIPTION: DESCRIPTION, FP_PCAP_END: END, WANT_BEGIN: BEGIN, WANT_SEGMENT: SEGMENT, WANT_WAIT: WAIT,
    WANT_POLL: MORE, WANT_ROOM: STORED,
}
