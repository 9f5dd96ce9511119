# SPDX-License-Identifier: Apache-2.0
"""Segments: the ports, flood list, FDB entries and neighbours of one VNI."""

import logging
from operator import index

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free

from fastpath.engine.workers.forwarder_thread cimport ForwarderThread
from fastpath.engine.fdb cimport Fdb
from fastpath.forwarder.forwarder cimport Forwarder
from fastpath.kernels.packet.dest cimport FP_DEST_PORT, FP_DEST_REMOTE, fp_dest_make
from fastpath.kernels.security.allowed cimport FP_REFUSED, fp_refused_read
from fastpath.kernels.tables.complete cimport fp_complete
from fastpath.kernels.tables.directory cimport fp_directory_delete
from fastpath.kernels.tables.fdb cimport fp_fdb_share, fp_fdb_share_of
from fastpath.kernels.tables.remote cimport FP_REMOTE_NONE
from fastpath.kernels.tables.tables cimport (
    fp_admissions_changed,
    fp_admitted_find,
    fp_group_get,
    fp_list,
    fp_now,
    fp_port_free,
    fp_port_new,
    fp_port_publish,
    fp_segment_new,
    fp_segment_publish,
    fp_segment_set_complete,
    fp_segment_set_forwarder,
    fp_segment_set_hosts_only,
    fp_segment_set_learning,
    fp_segment_set_ports,
    fp_segment_set_remotes,
)
from fastpath.engine.neighbours cimport neighbours_of
from fastpath.engine.ports.port cimport MemoryPort, Port, SinkPort, TapPort
from fastpath.engine.remote cimport Remote
from fastpath.engine.tables cimport Tables, list_items, new_complete, new_list, sum_tallies

from fastpath.addresses import from_wire, parse_ip, to_wire
from fastpath.engine.complete import Complete, check_complete
from fastpath.engine.fdb import FDB_FULL
from fastpath.engine.ports.allowed import check_allowed
from fastpath.errors import ConflictError, FastpathError, RefusedError, UsageError
from fastpath.forwarder.forwarder import elements_of
from fastpath.engine.stats import ForwarderStats, SegmentStats
from fastpath.engine.ports.tx_queue import DEFAULT_TXQUEUELEN

log = logging.getLogger("fastpath")

DEFAULT_AGEING = 300
MAX_AGEING = (1 << 23) - 1  # the FDB keeps times modulo 2^24 seconds
MAX_VNI = (1 << 24) - 1
REFUSED_S = 600  # for how long an address that was refused counts as somebody's


cdef class Segment:
    """A segment, created by Engine.add_segment. All of it may be changed while frames flow."""

    def __init__(self, Tables tables not None, list workers, offloads, local, int default_udp_port, vni, *,
                 bint learning, ageing, max_entries, bint members_only, bint probes, Forwarder forwarder not None):
        vni, ageing, max_entries = index(vni), index(ageing), index(max_entries)
        forwarder.usable()
        if not 0 <= vni <= MAX_VNI:
            raise UsageError(f"VNI {vni}: it must be between 0 and {MAX_VNI}")
        if not 0 <= ageing <= MAX_AGEING:
            raise UsageError(f"ageing {ageing}: it must be between 0 (never) and {MAX_AGEING} seconds")
        if not 0 <= max_entries < 1 << 32:
            raise UsageError(f"maxaddress {max_entries}: it must be between 0 (no limit of its own) and {(1 << 32) - 1}")
        place = tables.segment_indices.take()
        self.c = fp_segment_new(place, vni, tables.counters)
        if self.c == NULL:
            tables.segment_indices.give_back(place)
            raise RefusedError("not enough memory for another segment")
        self.tables = tables
        self.workers = workers
        self.offloads = offloads
        self.local = local
        self.default_udp_port = default_udp_port
        self.vni = vni
        self._ports = {}
        self._remotes = []
        self._members = set()
        self.c.members_only = members_only
        self.c.probes = probes
        self.fdb = Fdb(tables, place, self._ports)
        self.neighbours = neighbours_of(tables, self.c)
        cdef fp_fdb_share *share = fp_fdb_share_of(tables.c.fdb, place)
        share.limit = max_entries
        share.ageing = ageing
        self.ending = []
        self.held = {}
        fp_segment_set_learning(self.c, learning)
        try:
            self.publish_ports()
            self.publish_remotes()
            self.publish_forwarder(forwarder, self.employ(forwarder))
            if not fp_segment_publish(tables.c, vni, self.c):
                raise RefusedError("not enough memory for another segment")
        except BaseException:
            for ended in self.withdraw():
                end_service(*ended)
            raise

    cdef int check(self) except -1:
        if self.c == NULL:
            raise ConflictError(f"the segment with VNI {self.vni} was removed")
        return 0

    @property
    def ports(self):
        """The segment's ports, in the order in which they were added."""
        self.check()
        return tuple(self._ports.values())

    @property
    def remotes(self):
        """The flood list: the remotes that get broadcast, unknown unicast and multicast frames."""
        self.check()
        return tuple(self._remotes)

    @property
    def members_only(self):
        """Whether packets for this segment are accepted from its members only."""
        self.check()
        return bool(self.c.members_only)

    @property
    def members(self):
        """The addresses of the VTEPs whose packets are accepted, if the segment is `members_only`."""
        self.check()
        with self.tables.lock:
            return frozenset(self._members)

    def admit(self, address):
        """Accept packets for this segment from this VTEP, once the engine admits it, too. It may be a member already.

        Raise ConflictError if the segment is not `members_only`.
        """
        cdef bytes ip
        address = parse_ip(address)
        with self.tables.lock:
            self._check_members()
            if address in self._members:
                return
            ip = to_wire(address)
            self.tables.enter(self.tables.c.admitted, self.c.index, ip, 1)
            fp_admissions_changed(self.tables.c)
            self._members.add(address)

    def dismiss(self, address):
        """Accept no packets for this segment from this VTEP after this call returns.

        Entries that were learned from it here are removed. Raise ConflictError if it is no member.
        """
        cdef bytes ip
        cdef uint32_t remote
        address = parse_ip(address)
        with self.tables.lock:
            self._check_members()
            if address not in self._members:
                raise ConflictError(f"{address} is no member of VNI {self.vni}")
            self._members.remove(address)
            ip = to_wire(address)
            fp_directory_delete(self.tables.c.admitted, self.c.index, <const uint8_t *><const char *>ip)
            fp_admissions_changed(self.tables.c)
            self.tables.synchronize()  # from here on nothing more is learned from it
            remote = fp_admitted_find(self.tables.c, <const uint8_t *><const char *>ip)
            if remote != FP_REMOTE_NONE:
                self.fdb.retire(fp_dest_make(FP_DEST_REMOTE, remote), True)
            self.tables.reclaim()

    cdef int _check_members(self) except -1:
        self.check()
        if not self.c.members_only:
            raise ConflictError(f"VNI {self.vni} takes packets from everybody: make it with members_only=True")
        return 0

    @property
    def initial_allowed(self):
        """What `Port.allowed` is for a port that is added from now on: None, or () until its list is known."""
        return self.initial_senders

    @initial_allowed.setter
    def initial_allowed(self, value):
        self.initial_senders = None if value is None else check_allowed(value)

    @property
    def refused_addresses(self):
        """IP addresses that frames claimed lately and port security refused, with the seconds since the last one.

        Somebody behind a port has them, so give them to nobody else. A few dozen are kept, each for ten minutes.
        """
        cdef uint8_t ip[16]
        cdef uint32_t seen = 0, i, now
        found = {}
        with self.tables.lock:
            self.check()
            for i in range(FP_REFUSED):
                if not fp_refused_read(&self.c.refused, i, ip, &seen):
                    continue
                now = fp_now(self.tables.c)  # after the worker's
                if now - seen < REFUSED_S:
                    found[from_wire((<char *>ip)[:16])] = now - seen
        return found

    @property
    def complete(self):
        """The subnets in which nobody has an address that is not a neighbour's, and the addresses that are exceptions,
        as a Complete; None: anybody may have any address.

        While `Engine.vouch` says that this holds, questions of ports for other addresses in these subnets are dropped.
        Raise UsageError.
        """
        return self.known

    @complete.setter
    def complete(self, value):
        cdef const fp_complete *stale
        known = None if value is None else check_complete(value)
        with self.tables.lock:
            self.check()
            if known == self.known:
                return
            stale = fp_segment_set_complete(self.c, NULL if known is None else new_complete(known))
            self.known = known
            self.tables.synchronize()
            free(<void *>stale)

    @property
    def learning(self):
        self.check()
        return bool(self.c.learning)

    @learning.setter
    def learning(self, bint value):
        self.check()
        fp_segment_set_learning(self.c, value)

    @property
    def hosts_only(self):
        """Whether router advertisements and ICMPv6 redirects of remotes are dropped, as `rogue_router`.

        So is, as `hidden_headers`, IPv6 of theirs whose headers cannot be read. Ports are checked by `Port.allowed`.
        """
        self.check()
        return bool(self.c.hosts_only)

    @hosts_only.setter
    def hosts_only(self, bint value):
        self.check()
        fp_segment_set_hosts_only(self.c, value)

    @property
    def forwarder(self):
        """The forwarder, which decides where frames go. It may be replaced while they flow."""
        self.check()
        return self._forwarder

    @forwarder.setter
    def forwarder(self, Forwarder value not None):
        self.check()
        if value is self._forwarder:
            return
        # Forwarders' own methods are not called under the lock: they may take a while, or need it elsewhere.
        thread = self.employ(value)
        try:
            with self.tables.lock:
                self.check()
                former = self.service()
                self.publish_forwarder(value, thread)
        except BaseException:
            end_service(value, None, self._dismiss)
            raise
        end_service(*former)
        if former[1] is not None:
            former[1].join()

    cdef tuple service(self):
        """Return (the forwarder, its thread or None, what to call when it has ended), for end_service."""
        return self._forwarder, self.forwarder_thread, self._dismiss

    cdef ForwarderThread employ(self, Forwarder forwarder):
        """Prepare a forwarder, or those of a chain, for this segment. Return its thread, or None if it needs none.

        A failure changes nothing.
        """
        forwarder.usable()
        cdef list employed = [], started = []
        cdef Forwarder element
        cdef ForwarderThread thread = None
        try:
            for element in (forwarder, *elements_of(forwarder)):
                if element in employed:
                    continue
                if element.segment is not None:
                    raise ConflictError(f"this {element.name} serves VNI {element.segment.vni} already: make another")
                element.segment = self
                employed.append(element)
            for element in elements_of(forwarder):
                element.start()
                started.append(element)
            if forwarder.deferred or any(element.tick_interval is not None for element in elements_of(forwarder)):
                thread = ForwarderThread(self.tables, forwarder)
                thread.segment, thread.vni = self.c, self.vni
                thread.dismiss = self._dismiss
        except BaseException as error:
            for element in started:
                stop_quietly(element)
            self._dismiss(*employed)
            if isinstance(error, FastpathError) or not isinstance(error, Exception):
                raise
            raise RefusedError(f"{forwarder.name} could not start: {type(error).__name__}: {error}") from error
        return thread

    def _dismiss(self, *forwarders):
        for forwarder in forwarders:
            for element in (forwarder, *elements_of(forwarder)):
                (<Forwarder>element).segment = None
                self.held.pop(element, None)

    cdef int publish_forwarder(self, Forwarder forwarder, ForwarderThread thread) except -1:
        """Have the workers ask this forwarder from now on. The former one decides on the frames that it still has."""
        cdef ForwarderThread former = self.forwarder_thread
        if thread is not None and self.tables.running:
            thread.start()
        fp_segment_set_forwarder(self.c, thread.usable() if thread is not None else forwarder.usable())
        self._forwarder, self.forwarder_thread = forwarder, thread
        self.tables.synchronize()  # the former one is in use until here
        self.ending = [other for other in self.ending if other.thread is not None and other.thread.is_alive()]
        if former is not None:
            self.ending.append(former)
        return 0

    def hold_remote(self, Forwarder forwarder, address, udp_port=None):
        """Return the number by which a forwarder names a remote; see Forwarder.remote."""
        cdef Remote remote = self.remote(address, udp_port)
        with self.tables.lock:
            self.check()
            if forwarder.segment is not self:  # it was replaced meanwhile
                raise ConflictError(f"this forwarder does not serve VNI {self.vni} any more")
            held = self.held.setdefault(forwarder, [])
            if remote not in held:
                held.append(remote)
            return fp_dest_make(FP_DEST_REMOTE, remote.ensure())

    def remote_numbers(self):
        """Return the numbers of the flood list; see Forwarder.flood_list.

        No lock is taken: forwarders call this in the middle of a burst.
        """
        found = [(<Remote>remote).find() for remote in tuple(self._remotes)]
        return [fp_dest_make(FP_DEST_REMOTE, place) for place in found if place != FP_REMOTE_NONE]

    @property
    def now(self):
        """The clock of forwarders; see Forwarder.now."""
        return self.tables.clock()

    def start_forwarder(self):
        """Start the forwarder's thread, if it needs one: the engine starts."""
        if self.forwarder_thread is not None:
            self.forwarder_thread.start()

    def halt_forwarder(self):
        """Stop the forwarder's thread: the engine stops."""
        if self.forwarder_thread is not None:
            self.forwarder_thread.halt()
            self.forwarder_thread.join()

    def poll_forwarder(self):
        """Do the work of the forwarder's thread if that does not run. Return whether there was any."""
        cdef ForwarderThread own = self.forwarder_thread
        alone = own is not None and (own.thread is None or not own.thread.is_alive())
        return alone and own.poll()

    def next_tick(self):
        """Return when an element of the forwarder wants its next tick, in seconds on the engine's clock; None: never."""
        cdef ForwarderThread own = self.forwarder_thread
        return min(own.due.values(), default=None) if own is not None else None

    def _forwarder_stats(self):
        failures, last_error = 0, None
        if self.forwarder_thread is not None:
            failures, last_error = self.forwarder_thread.failures, self.forwarder_thread.last_error
        return ForwarderStats(self._forwarder.name, self._forwarder.deferred, self._forwarder.counters, failures, last_error)

    def stats(self):
        """Return the counters and the size of the FDB, as a stats.SegmentStats."""
        with self.tables.lock:
            self.check()
            learned = fp_fdb_share_of(self.tables.c.fdb, self.c.index).learned
            tally = sum_tallies(self.c.tally, self.tables.counters)
            return SegmentStats(self.vni, len(self.fdb), tally, self._forwarder_stats(), learned)

    def remote(self, address, udp_port=None):
        """Return a Remote for FDB entries. It is not added to the flood list."""
        found = Remote(self.tables, address, udp_port if udp_port is not None else self.default_udp_port)
        if found.address == self.local and found.udp_port == self.default_udp_port:
            raise UsageError(f"{found.address} is this VTEP itself: name the others only")
        return found

    def add_remote(self, address, udp_port=None):
        """Add a VTEP to the flood list and return it. Raise ConflictError if it is there already."""
        cdef Remote remote = self.remote(address, udp_port)
        with self.tables.lock:
            self.check()
            if remote in self._remotes:
                raise ConflictError(f"{remote.address} is a remote of VNI {self.vni} already")
            remote.ensure()
            self._remotes.append(remote)
            self.publish_remotes()
        return remote

    def remove_remote(self, address, udp_port=None):
        """Remove a VTEP from the flood list, and the entries that were learned from it.

        Raise ConflictError if it is not there.
        """
        cdef Remote remote = self.remote(address, udp_port)
        with self.tables.lock:
            self.check()
            if remote not in self._remotes:
                raise ConflictError(f"{remote.address} is not a remote of VNI {self.vni}")
            self._remotes.remove(remote)
            self.publish_remotes()
            self.fdb.flush(remote)

    def add_tap(self, str name, *, mtu=1450, bint up=False, int txqueuelen=DEFAULT_TXQUEUELEN):
        """Create a TAP interface in the present network namespace and return its port.

        The interface may be moved to another namespace and renamed. `up` sets it up. `txqueuelen` is the number of
        frames that each of its queues keeps for a worker. This needs CAP_NET_ADMIN.
        """
        with self.tables.lock:
            self._check_port_name(name)
            return self._attach(TapPort(self.tables, name, mtu=mtu, up=up, offloads=self.offloads,
                                        txqueuelen=txqueuelen))

    def adopt_tap(self, str name):
        """Take over a TAP that an earlier process left in the present network namespace (TapPort.persist).

        It keeps its MTU, addresses and connections. It keeps the namespace alive until the port is closed. Raise
        ConflictError if it is no such TAP, or if another process has it open.
        """
        with self.tables.lock:
            self.check()
            return self._attach(TapPort(self.tables, name, offloads=self.offloads, adopt=True))

    def add_memory_port(self, str name, *, int mtu=1450):
        """Add a port whose other end is in this process, and return it."""
        with self.tables.lock:
            self._check_port_name(name)
            return self._attach(MemoryPort(self.tables, name, mtu=mtu))

    def add_sink_port(self, str name):
        """Add a port of a replay and return it."""
        with self.tables.lock:
            self._check_port_name(name)
            return self._attach(SinkPort(self.tables, name))

    def remove_port(self, Port port not None):
        """Remove and close a port, and the entries that were learned on it."""
        with self.tables.lock:
            self.check()
            port.check()
            if self._ports.get(port.c.index) is not port:
                raise UsageError(f"port {port.name} belongs to another segment")
            self._detach(port)
            self.tables.reclaim()

    def refresh(self):
        """Update the FDB after changes of the interfaces' hardware addresses.

        Where the FDB has no room for one, `TapPort.unplaced` says so, and the next call tries again.
        """
        with self.tables.lock:
            self.check()
            for port in self._ports.values():
                if isinstance(port, TapPort):
                    self._refresh_mac(port)

    cdef list withdraw(self):
        """Remove all parts of the segment, and free it.

        Only the owner, an Engine or a Replayer, may call this, after it removed the segment from its own dict. Return
        the arguments for calls of `end_service`, which must be made without holding a lock.
        """
        cdef ForwarderThread thread
        cdef bytes ip
        with self.tables.lock:
            if self.c == NULL:
                return []
            fp_segment_publish(self.tables.c, self.vni, NULL)
            for port in list(self._ports.values()):
                self._detach(port)
            self.tables.synchronize()
            for thread in (self.forwarder_thread, *self.ending):
                if thread is not None:
                    with nogil:  # a forwarder that holds what this waits for may want the interpreter
                        thread.close()
            self.fdb.closed = True
            self.fdb.retire(0, False)
            self.neighbours.close()
            for address in self._members:
                ip = to_wire(address)
                fp_directory_delete(self.tables.c.admitted, self.c.index, <const uint8_t *><const char *>ip)
            self._members.clear()
            for mac in list(self.fdb.groups):
                self.fdb.drop_group(mac)
            self.tables.reclaim()
            self.tables.segment_indices.give_back(self.c.index)
            free(<void *>self.c.remotes)
            free(<void *>self.c.ports)
            free(<void *>self.c.complete)
            free(self.c)
            self.c = NULL
            self._remotes.clear()
            former = [(other.forwarder, other, self._dismiss) for other in self.ending]
            if self._forwarder is not None:
                former.append(self.service())
            self.forwarder_thread = None
            self.ending = []
            return former

    def _check_port_name(self, name):
        self.check()
        if any(port.name == name for port in self._ports.values()):
            raise ConflictError(f"VNI {self.vni} has a port named {name} already")

    def _attach(self, Port port):
        place = None
        try:
            place = self.tables.port_indices.take()
            port.c = fp_port_new(place, self.c, port.mtu, self.tables.counters)
            if port.c == NULL:
                raise RefusedError("not enough memory for another port")
            port.vni = self.vni
            fds = dict(port.watched)
            for worker in range(self.tables.counters):
                port.c.fd[worker] = fds.get(worker, port.watched[0][1] if port.watched else -1)
            port.allowed = self.initial_senders
            self._ports[place] = port
            if isinstance(port, TapPort):
                self._refresh_mac(port)
                if (<TapPort>port).unplaced is not None:
                    raise ConflictError(FDB_FULL)
            fp_port_publish(self.tables.c, place, port.c)
            self.publish_ports()
            for worker, fd in port.watched:
                self.workers[worker].watch(fd, place)
        except BaseException:
            if port.c != NULL:
                self._detach(port)
                self.tables.reclaim()
            else:
                port.shut()
                if place is not None:
                    self.tables.port_indices.give_back(place)
            raise
        return port

    def _detach(self, Port port):
        cdef uint32_t place = port.c.index
        for worker, fd in port.watched:
            self.workers[worker].unwatch(fd)
        fp_port_publish(self.tables.c, place, NULL)
        self._ports.pop(place, None)
        self.publish_ports()  # ends with a quiescent point: no worker holds the port now
        self.fdb.retire(fp_dest_make(FP_DEST_PORT, place), False)
        port.shut()
        fp_port_free(port.c)
        port.c = NULL
        self.tables.port_indices.give_back(place)

    def _refresh_mac(self, TapPort port):
        now = port.read_mac()
        if now is None:
            return
        dest = fp_dest_make(FP_DEST_PORT, port.c.index)
        if port.mac is not None and port.mac != now:
            self.fdb.forget_local(port.mac, dest)
        port.mac = port.contested = port.unplaced = None
        try:
            if self.fdb.set_local(now, dest):
                port.mac = now
            else:
                port.contested = now
        except ConflictError:  # no room: the next refresh tries again
            port.unplaced = now

    cdef int publish_ports(self) except -1:
        cdef const fp_list *stale = fp_segment_set_ports(self.c, new_list(list(self._ports)))
        self.tables.synchronize()
        free(<void *>stale)
        return 0

    cdef int publish_remotes(self) except -1:
        cdef const fp_list *stale = fp_segment_set_remotes(
            self.c, new_list([(<Remote>remote).ensure() for remote in self._remotes])
        )
        self.tables.synchronize()
        free(<void *>stale)
        return 0


def end_service(Forwarder forwarder, thread, dismiss):
    """End the service of a forwarder: end its thread, or call its `stop`, then dismiss it."""
    if thread is not None:
        thread.end()
        return
    for element in elements_of(forwarder):
        stop_quietly(element)
    dismiss(forwarder)


def stop_quietly(forwarder):
    """Call the forwarder's `stop`. An exception is logged and goes no further."""
    try:
        forwarder.stop()
    except BaseException:
        log.exception("the end of forwarder %s failed", type(forwarder).__name__)


def named_remote_indices(list segments):
    """Return the indices of all remotes in flood lists and group addresses, and of those that forwarders hold."""
    cdef Segment segment
    found = set()
    for segment in segments:
        found.update(list_items(segment.c.remotes))
        for group, _ in segment.fdb.groups.values():
            found.update(list_items(fp_group_get(segment.tables.c, group)))
        found.update((<Remote>remote).ensure() for held in list(segment.held.values()) for remote in held)
    return found
