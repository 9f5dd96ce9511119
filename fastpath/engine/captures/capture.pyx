# SPDX-License-Identifier: Apache-2.0
"""Copies of frames that pass a port or a remote, or are dropped, while traffic flows (src/monitor/capture.h)."""

import time
from operator import attrgetter, index

from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastpath.kernels.monitor.capture cimport (
    FP_CAPTURES,
    FP_CAPTURE_ALL_VNIS,
    FP_CAPTURE_ROOM,
    FP_CAPTURE_TERMS,
    FP_IN,
    FP_OUT,
    fp_capture_free,
    fp_capture_missed,
    fp_capture_new,
    fp_capture_ring,
    fp_captured,
    fp_captures,
    fp_captures_publish,
    fp_filter,
)
from fastpath.kernels.packet.dest cimport FP_DEST_PORT, fp_dest_index, fp_dest_kind
from fastpath.kernels.tables.ring cimport fp_ring, fp_ring_first, fp_ring_next, fp_ring_release
from fastpath.kernels.tables.tables cimport fp_drop_name
from fastpath.kernels.counters.tally cimport FP_DROP_COUNT, FP_DROP_NONE
from fastpath.engine.tables cimport Tables

from fastpath.addresses import from_wire, parse_ip, to_wire
from fastpath.engine.captures.captured import LINKTYPE_RAW, PACKET_DROPS, SNAPLEN, UNKNOWN_PLACE, Captured
from fastpath.errors import ConflictError, RefusedError, UsageError
from fastpath.pcap.libpcap import DLT_ETHERNET, DLT_RAW, compile_filter
from fastpath.pcap.pcapng import LINKTYPE_ETHERNET

ANY = "any"  # every reason to drop
DEFAULT_ROOM = 8 << 20  # bytes, for each worker
READ_AT_ONCE = 1 << 20
INTERVAL_S = 0.01  # between two looks at rings that were empty: 8 MB take longer at 5 Gbit/s
NO_REMOTE = bytes(16)

DIRECTIONS = {"in": FP_IN, "out": FP_OUT}
DROPS = {fp_drop_name(i).decode(): i for i in range(1, FP_DROP_COUNT)}
DROP_NAMES = [None, *DROPS]


def drop_bits(names, bint outer):
    """Return a bit for each reason. Raise UsageError for an unknown one."""
    bits = 0
    for name in names:
        if name == ANY:
            bits |= sum(1 << number for number in DROPS.values())
        elif name not in DROPS:
            raise UsageError(f'there is no drop reason "{name}": see `fastpath stats`, or take {ANY}')
        elif outer and name not in PACKET_DROPS:
            raise UsageError(f"drop {name}: frames that are dropped there have no outer headers, leave out outer")
        else:
            bits |= 1 << DROPS[name]
    return bits


cdef class Capture:
    """A capture, created by Engine.capture. It runs from then on until `close`, and can still be read after that.

    `read` may be called from one thread at a time, everything else from any.
    """

    def __cinit__(self, Tables tables not None, list captures not None, find_port, *, vni, ports, remotes, drops,
                  directions, bint outer, filter, snaplen, room, name_of, local, int udp_port):
        snaplen, room = index(snaplen), index(room)
        if not 0 <= snaplen <= SNAPLEN:
            raise UsageError(f"snaplen {snaplen}: it must be between 1 and {SNAPLEN} bytes, or 0 for all")
        if not FP_CAPTURE_ROOM <= room <= 1 << 30 or room & (room - 1):
            raise UsageError(f"room {room}: it must be a power of two between {FP_CAPTURE_ROOM} and {1 << 30} bytes")
        self.tables = tables
        self.captures = captures
        self.find_port = find_port
        self.name_of = name_of if name_of is not None else attrgetter("name")
        self.names = {}
        self.outer = outer
        self.snaplen = snaplen or SNAPLEN
        self.closed = True
        memset(&self.selection, 0, sizeof(self.selection))
        self.select(vni, list(ports), list(remotes), list(drops), list(directions))
        self.selection.snap = self.snaplen
        self.set_local(local, udp_port)
        if filter is not None:
            self.set_filter(filter)
        self.c = fp_capture_new(&self.selection, tables.counters, room)
        if self.c == NULL:
            raise RefusedError("not enough memory for a capture")
        self.publish_self()

    def __dealloc__(self):
        fp_capture_free(self.c)  # the engine's list holds those that are published

    cdef int select(self, vni, list ports, list remotes, list drops, list directions) except -1:
        cdef bytes packed
        cdef uint32_t i
        if len(ports) > FP_CAPTURE_TERMS or len(remotes) > FP_CAPTURE_TERMS:
            raise UsageError(f"a capture takes at most {FP_CAPTURE_TERMS} ports and as many remotes")
        if self.outer and ports:
            raise UsageError("what passes a port has no outer headers: name remotes, or leave out outer")
        self.selection.outer = self.outer
        self.selection.vni = FP_CAPTURE_ALL_VNIS if vni is None else vni
        self.selection.passing = not (ports or remotes or drops)
        self.selection.drops = drop_bits(drops if not self.selection.passing else [ANY], self.outer)
        if not directions:
            raise UsageError("a capture without a direction takes nothing: give in, out or both")
        for direction in directions:
            if direction not in DIRECTIONS:
                raise UsageError(f'invalid direction "{direction}": use in or out')
            self.selection.directions |= DIRECTIONS[direction]
        for i, serial in enumerate(ports):
            self.selection.port[i] = serial
        self.selection.ports = len(ports)
        for i, address in enumerate(remotes):
            packed = to_wire(parse_ip(address))
            memcpy(self.selection.remote[i], <const char *>packed, 16)
        self.selection.remotes = len(remotes)
        return 0

    cdef int set_local(self, local, int udp_port) except -1:
        cdef bytes packed = to_wire(local)
        memcpy(self.selection.local.ip, <const char *>packed, 16)
        self.selection.local.udp_port = udp_port
        return 0

    cdef int set_filter(self, str expression) except -1:
        compiled = compile_filter(expression, DLT_RAW if self.outer else DLT_ETHERNET, SNAPLEN)
        self.program = compiled.program
        self.selection.program = <const char *>self.program
        self.selection.filter = <fp_filter *><uintptr_t>compiled.function
        return 0

    cdef int publish_self(self) except -1:
        with self.tables.lock:
            if len(self.captures) == FP_CAPTURES:
                raise ConflictError(f"there are {FP_CAPTURES} captures already, which is the limit: end one first")
            self.captures.append(self)
            try:
                self.publish()
            except BaseException:
                self.captures.remove(self)
                raise
            self.closed = False
        return 0

    cdef int publish(self) except -1:
        """Publish the present list of captures to the workers."""
        cdef fp_captures *now = NULL
        cdef const fp_captures *stale
        cdef Capture capture
        if self.captures:
            now = <fp_captures *>calloc(1, sizeof(fp_captures))
            if now == NULL:
                raise MemoryError
            for capture in self.captures:
                now.item[now.count] = capture.c
                now.count += 1
        stale = fp_captures_publish(self.tables.c, now)
        self.tables.synchronize()
        free(<void *>stale)
        return 0

    def close(self):
        """End the capture: nothing is captured after this call returns. Closing it again is no error."""
        with self.tables.lock:
            if not self.closed:
                self.closed = True
                self.captures.remove(self)
                self.publish()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    @property
    def missed(self):
        """The number of frames that were selected but lost, because they came faster than they were read."""
        return fp_capture_missed(self.c)

    @property
    def linktype(self):
        """The link type of the data: LINKTYPE_ETHERNET, or LINKTYPE_RAW (IP) if the capture is `outer`."""
        return LINKTYPE_RAW if self.outer else LINKTYPE_ETHERNET

    def read(self, limit=READ_AT_ONCE):
        """Return what was captured since the last call, in order, as a list of Captured. Do not wait.

        `limit` is about how many bytes are returned for each worker.
        """
        cdef uint64_t room = limit
        found = []
        for worker in range(self.tables.counters):
            self.read_ring(fp_capture_ring(self.c, worker), room, found)
        if self.tables.counters > 1:
            found.sort(key=attrgetter("time_ns"))
        return found

    cdef int read_ring(self, fp_ring *ring, uint64_t limit, list found) except -1:
        cdef uint64_t first = fp_ring_first(ring), position = first
        cdef uint32_t size
        cdef const fp_captured *entry
        while position - first < limit:
            entry = <const fp_captured *>fp_ring_next(ring, &position, &size)
            if entry == NULL:
                break
            found.append(self.as_python(entry))
            fp_ring_release(ring, position)
        return 0

    cdef object as_python(self, const fp_captured *entry):
        if fp_dest_kind(entry.where) == FP_DEST_PORT:
            where = self.port_name(entry)
        else:
            packed = (<const char *>entry.remote.ip)[:16]
            where = str(from_wire(packed)) if packed != NO_REMOTE else UNKNOWN_PLACE
        return Captured(
            entry.time,
            "in" if entry.direction == FP_IN else "out",
            where,
            DROP_NAMES[entry.reason],
            entry.vni if entry.vni != FP_CAPTURE_ALL_VNIS else None,
            entry.original,
            (<const char *>(entry + 1))[:entry.length],
        )

    cdef str port_name(self, const fp_captured *entry):
        """Return what the port was called when it was first seen: to ask again takes a system call."""
        name = self.names.get(entry.port)
        if name is None:
            port = self.find_port(entry.port)
            if port is None:
                return f"port {fp_dest_index(entry.where)}"
            name = self.names[entry.port] = self.name_of(port)
        return name

    def __iter__(self):
        """Yield what is captured, as it comes, until the capture is closed."""
        while True:
            closed = self.closed  # before the last look: nothing is lost in between
            found = self.read()
            yield from found
            if not found:
                if closed:
                    return
                time.sleep(INTERVAL_S)
