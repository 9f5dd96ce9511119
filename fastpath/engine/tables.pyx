# SPDX-License-Identifier: Apache-2.0
"""The owner of the tables that the workers share (src/tables/tables.h), and of the indices in them."""

import secrets
import threading
import time
from collections import deque

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy

from fastpath.kernels.tables.complete cimport fp_complete, fp_complete_new
from fastpath.kernels.tables.directory cimport fp_directory, fp_directory_reclaim, fp_directory_set, fp_directory_used
from fastpath.kernels.tables.fdb cimport FP_FDB_SEGMENTS, fp_fdb_reclaim, fp_fdb_reserve
from fastpath.kernels.system cimport c_bool
from fastpath.kernels.tables.tables cimport (
    FP_GROUPS,
    FP_PORTS,
    FP_WORKERS,
    fp_drop_name,
    fp_drop_sentence,
    fp_event_name,
    fp_event_sentence,
    fp_list,
    fp_synchronize,
    fp_tables_free,
    fp_tables_new,
)
from fastpath.kernels.counters.tally cimport FP_DROP_COUNT, FP_EVENT_COUNT, fp_counter_read, fp_tally, fp_traffic

from fastpath.addresses import to_wire
from fastpath.errors import ConflictError, RefusedError, UsageError
from fastpath.engine.stats import Tally, Traffic

DROP_SENTENCES = {
    fp_drop_name(i).decode(): fp_drop_sentence(i).decode() for i in range(1, FP_DROP_COUNT)
}
EVENT_SENTENCES = {
    fp_event_name(i).decode(): fp_event_sentence(i).decode() for i in range(FP_EVENT_COUNT)
}


class Clock:
    """Returns the time of the machine's monotonic clock, in seconds.

    After the first `advance` it moves by `advance` alone, so that tests do not depend on the speed of the machine.
    """

    stands_at = None

    def __call__(self):
        return time.monotonic() if self.stands_at is None else self.stands_at

    def advance(self, seconds):
        self.stands_at = self() + seconds


class Indices:
    """Numbers from 1 to `last`. Those that were given back are used again first, so that tables stay dense; with
    `late` after all others, because somebody may remember them."""

    def __init__(self, last, what, *, late=False):
        self._last = last
        self._what = what
        self._late = late
        self._next = 1
        self._free = deque()  # the one on the right was given back last

    def take(self):
        """Return a number that is not in use. Raise ConflictError if there is none."""
        if self._free and not self._late:
            return self._free.pop()
        if self._next > self._last:
            if self._free:
                return self._free.popleft()
            raise ConflictError(f"there are {self._last} {self._what} already, which is the limit")
        self._next += 1
        return self._next - 1

    def give_back(self, index):
        self._free.append(index)


cdef class Tables:
    """The shared tables of one engine.

    `lock` is for control: workers never take it. `seed`, 64 bits, makes results reproducible; the default is random,
    because a sender who knows it can aim for one bucket of a table. `family` AF_UNSPEC allows remotes of both families,
    to which nothing is sent.
    """

    def __cinit__(self, *, fdb_entries, fdb_reserve, neighbour_entries, int family, int workers, seed=None):
        if not 1 <= workers <= FP_WORKERS:
            raise UsageError(f"{workers} workers: the number must be between 1 and {FP_WORKERS}")
        if not 1 <= fdb_entries <= 1 << 26:
            raise UsageError(f"an FDB of {fdb_entries} entries: the number must be between 1 and {1 << 26}")
        if not 0 <= fdb_reserve < fdb_entries:
            raise UsageError(f"an FDB reserve of {fdb_reserve}: the number must be less than the {fdb_entries} entries")
        if not 1 <= neighbour_entries <= 1 << 26:
            raise UsageError(f"{neighbour_entries} neighbours: the number must be between 1 and {1 << 26}")
        if seed is None:
            seed = secrets.randbits(64)
        self.c = fp_tables_new(fdb_entries, neighbour_entries, seed, family, workers)
        if self.c == NULL:
            raise RefusedError("not enough memory for the engine's tables")
        fp_fdb_reserve(self.c.fdb, fdb_reserve)
        self.family = family
        self.workers = workers
        self.counters = workers + 1
        self.clock = Clock()
        self.path_mtus = {}
        self.lock = threading.RLock()
        self.segment_indices = Indices(FP_FDB_SEGMENTS - 1, "segments")
        self.port_indices = Indices(FP_PORTS - 1, "ports", late=True)  # forwarders in Python keep the numbers of ports
        self.group_indices = Indices(FP_GROUPS - 1, "group addresses with several destinations")

    def __dealloc__(self):
        fp_tables_free(self.c)

    cdef int synchronize(self) except -1:
        """Wait until no worker holds anything that was withdrawn before this call."""
        with nogil:
            fp_synchronize(self.c)
        return 0

    cdef int reclaim(self) except -1:
        """Free the slots that were retired in the FDB and the directories before this call."""
        with nogil:
            fp_synchronize(self.c)
            fp_fdb_reclaim(self.c.fdb)
            fp_directory_reclaim(self.c.neighbours)
            fp_directory_reclaim(self.c.admitted)
        return 0

    cdef bint enter(self, fp_directory *directory, uint32_t segment, bytes ip, uint64_t number) except -1:
        """Set an entry of a directory. Return whether it is new. `ip` has the form of addresses.to_wire."""
        cdef c_bool added = False
        for _ in range(2):
            if fp_directory_set(directory, segment, <const uint8_t *><const char *>ip, number, &added):
                return added
            self.reclaim()  # what was deleted lately may be what is missing
        what = "neighbours" if directory == self.c.neighbours else "admissions"
        raise ConflictError(f"there are {fp_directory_used(directory)} {what} already, which is the limit")


cdef uint64_t sum_unlearned(const fp_traffic *traffic, int counters):
    """Return how many frames of a port or remote had a source address for which the FDB had no room."""
    cdef uint64_t total = 0
    for i in range(counters):
        total += fp_counter_read(&traffic[i].unlearned)
    return total


cdef fp_list *new_list(items) except NULL:
    """Return an immutable list of indices. The caller that withdraws it frees it."""
    cdef uint32_t count = len(items)
    cdef fp_list *result = <fp_list *>malloc(sizeof(uint32_t) * (1 + <size_t>count))
    if result == NULL:
        raise MemoryError
    result.count = count
    for i in range(count):
        result.item[i] = items[i]
    return result


cdef fp_complete *new_complete(known) except NULL:
    """Return the list of what `check_complete` returned. The caller that withdraws it frees it."""
    cdef fp_complete *result = fp_complete_new(len(known.subnets), len(known.exceptions))
    cdef uint32_t i
    cdef bytes ip
    if result == NULL:
        raise MemoryError
    for i, subnet in enumerate(known.subnets):
        ip = to_wire(subnet.network_address)
        memcpy(result.subnet[i].ip, <const char *>ip, 16)
        result.subnet[i].bits = subnet.prefixlen + 128 - subnet.max_prefixlen
    for i, address in enumerate(known.exceptions):
        ip = to_wire(address)
        memcpy(result.exception[i], <const char *>ip, 16)
    return result


cdef list list_items(const fp_list *items):
    return [items.item[i] for i in range(items.count)] if items != NULL else []


cdef object sum_traffic(const fp_traffic *traffic, int counters):
    """Return the sum of so many counters, as a stats.Traffic."""
    rx_frames = rx_bytes = tx_frames = tx_bytes = drops = 0
    for i in range(counters):
        rx_frames += fp_counter_read(&traffic[i].rx_frames)
        rx_bytes += fp_counter_read(&traffic[i].rx_bytes)
        tx_frames += fp_counter_read(&traffic[i].tx_frames)
        tx_bytes += fp_counter_read(&traffic[i].tx_bytes)
        drops += fp_counter_read(&traffic[i].drops)
    return Traffic(rx_frames, rx_bytes, tx_frames, tx_bytes, drops)


cdef object sum_tallies(const fp_tally *tally, int counters):
    """Return the sum of so many tallies, as a stats.Tally."""
    drops, events = {}, {}
    rx_frames = rx_bytes = tx_frames = tx_bytes = dropped = 0
    for i in range(counters):
        one = sum_traffic(&tally[i].traffic, 1)
        rx_frames += one.rx_frames
        rx_bytes += one.rx_bytes
        tx_frames += one.tx_frames
        tx_bytes += one.tx_bytes
        dropped += one.drops
        for reason in range(1, FP_DROP_COUNT):
            count = fp_counter_read(&tally[i].drops[reason])
            if count:
                name = fp_drop_name(reason).decode()
                drops[name] = drops.get(name, 0) + count
        for event in range(FP_EVENT_COUNT):
            count = fp_counter_read(&tally[i].events[event])
            if count:
                name = fp_event_name(event).decode()
                events[name] = events.get(name, 0) + count
    return Tally(Traffic(rx_frames, rx_bytes, tx_frames, tx_bytes, dropped), drops, events)
