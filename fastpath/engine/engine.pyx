# SPDX-License-Identifier: Apache-2.0
"""The engine: one VTEP, its workers, and the segments behind it."""

import logging
import os
import select
import signal
import socket
import threading
from functools import partial
from operator import index

from libc.stdint cimport uint8_t

from fastpath.engine import fdb as fdb_module
from fastpath.engine import remote as remote_module
from fastpath.engine.captures.capture cimport Capture
from fastpath.kernels.tables.directory cimport fp_directory_delete
from fastpath.kernels.tables.fdb cimport fp_fdb_entries, fp_fdb_used
from fastpath.kernels.tables.tables cimport fp_admissions_changed, fp_clock_advance, fp_turn_count, fp_vouch
from fastpath.engine.ports.port cimport Port
from fastpath.engine.remote cimport Remote
from fastpath.engine.segment cimport Segment
from fastpath.engine.tables cimport Tables, sum_tallies
from fastpath.engine.workers.uplink cimport Uplink
from fastpath.engine.workers.worker cimport Worker

from fastpath.addresses import family_of, from_wire, parse_ip, to_wire
from fastpath.engine.captures.capture import DEFAULT_ROOM
from fastpath.errors import ConflictError, UsageError
from fastpath.forwarder.forwarder import LearningBridge
from fastpath.engine.housekeeper import Housekeeper, Housekeeping, attempt
from fastpath.engine.limits import DEFAULT_SPIN_US, MAX_SPIN_US
from fastpath.engine.offloads import DEFAULT_OFFLOADS
from fastpath.engine.segment import DEFAULT_AGEING, end_service, named_remote_indices
from fastpath.engine.stats import EngineStats
from fastpath.engine.workers.sockets import open_sockets

log = logging.getLogger("fastpath")

DEFAULT_UDP_PORT = 4789  # IANA's, RFC 7348 section 5
DEFAULT_SOURCE_PORTS = (49152, 65535)  # recommended there
DEFAULT_FDB_ENTRIES = 1 << 16
DEFAULT_NEIGHBOUR_ENTRIES = 1 << 16
RESERVE_PART = 16  # of the FDB: one in so many entries is never learned, so that there is room for one that is set
FRUITLESS_TURNS = 16  # `poll` ends after so many in a row in which something was ready and nothing was read
MAX_VOUCHED_S = 3600
MIN_PATH_MTU, MAX_PATH_MTU = 68, 65535  # RFC 791
REMEMBERED_S = 600  # how long a forwarder in Python may name a remote by the number that frames from it had
NOWHERE = {socket.AF_INET: bytes(10) + b"\xff\xff" + bytes(4), socket.AF_INET6: bytes(16)}  # as an outer address


def drain(int fd):
    """Set an eventfd back to 0."""
    try:
        os.eventfd_read(fd)
    except BlockingIOError:
        pass


cdef class Engine:
    """A VTEP. It binds its UDP sockets when it is created, and moves frames between `start` and `stop`.

    `local` is an address of this host; None listens on all addresses of one family, IPv4 unless `ipv6`.
    `workers` threads share the load; each sends from `source_port_count` UDP ports out of the inclusive
    range `source_ports`. `ttl` 0 means the route's. `mark` is the SO_MARK of its packets (0: none; others
    need CAP_NET_ADMIN). `fdb_entries` and `neighbour_entries` bound the FDB and the neighbours of all segments;
    `fdb_reserve` entries of the FDB, a sixteenth by default, are never learned.
    `strict` drops packets whose VXLAN header has reserved bits set (RFC 7348 says to ignore them).
    `known_only` drops packets from all VTEPs but those that `admit` was called for. `kernel_peers` takes a packet with
    a super-frame for one, as the kernel's vxlan sends it over a veth. Without it a frame that lies about its length
    costs no other one. `probed_paths`: what ICMP says of the MTU of a path, which anybody can forge, does not count; the
    caller probes paths and calls `set_path_mtu`. `freebind`: this host need not have the address `local` yet.
    `spin` is the time in microseconds that a worker polls for work before it sleeps (0: not at all). `pin` keeps
    each worker on its own core. `offloads` selects the work that is left to the kernel (offloads.Offloads).

    Methods may be called from any thread. Errors are FastpathError, with one line for the user.
    """

    def __init__(self, local=None, *, udp_port=DEFAULT_UDP_PORT, int workers=1, bint ipv6=False,
                 source_ports=DEFAULT_SOURCE_PORTS, int source_port_count=8, ttl=0, mark=0,
                 fdb_entries=DEFAULT_FDB_ENTRIES, fdb_reserve=None, neighbour_entries=DEFAULT_NEIGHBOUR_ENTRIES,
                 bint strict=False, bint known_only=False, bint kernel_peers=True, bint probed_paths=False, bint freebind=False,
                 spin=DEFAULT_SPIN_US, bint pin=False, offloads=DEFAULT_OFFLOADS):
        udp_port, ttl, mark = index(udp_port), index(ttl), index(mark)
        fdb_entries, neighbour_entries = index(fdb_entries), index(neighbour_entries)
        fdb_reserve = index(fdb_reserve) if fdb_reserve is not None else fdb_entries // RESERVE_PART
        self.local = parse_ip(local) if local is not None else None
        if not 1 <= udp_port <= 65535:
            raise UsageError(f"{udp_port} is not a UDP port: it must be between 1 and 65535")
        spin = index(spin)
        if not 0 <= spin <= MAX_SPIN_US:
            raise UsageError(f"spin {spin}: it must be between 0 and {MAX_SPIN_US} microseconds")
        if not 0 <= ttl <= 255:
            raise UsageError(f"ttl {ttl}: it must be between 1 and 255, or 0 for the value of the route")
        if not 0 <= mark < 1 << 32:
            raise UsageError(f"mark {mark}: it must be between 1 and 2^32 - 1, or 0 for none")
        family = family_of(self.local) if local is not None else (socket.AF_INET6 if ipv6 else socket.AF_INET)
        self.udp_port = udp_port
        self.attention = self.stop_requested = -1
        self.lifecycle = threading.RLock()
        self.tables = Tables(
            fdb_entries=fdb_entries, fdb_reserve=fdb_reserve, neighbour_entries=neighbour_entries, family=family, workers=workers,
        )
        self.known_only = known_only
        self._admitted = {}
        self.offloads = offloads
        self.pin = pin
        self.cores = sorted(os.sched_getaffinity(0))
        self.sockets = open_sockets(
            self.local, family, udp_port, workers=workers, source_ports=source_ports,
            pool_size=max(1, source_port_count), ttl=ttl, mark=mark, gro=offloads.gro,
            probed_paths=probed_paths, freebind=freebind,
        )
        self.tables.uplink = Uplink(
            [s.fileno() for s in self.sockets.send[0]], family=family, gso=offloads.gso,
            fragments=self.sockets.fragments[0].fileno(),
        )
        self.workers = []
        self.threads = []
        self._segments = {}
        self._captures = []
        self.housekeeper = None
        self.housekept = Housekeeping()
        self.port_gone = None
        self.unused_remotes, self.heard = set(), {}
        self.told = set()
        self.attention = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.stop_requested = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            for i in range(workers):
                self.workers.append(Worker(
                    self.tables, i, receive=self.sockets.receive[i].fileno(),
                    send=[s.fileno() for s in self.sockets.send[i]],
                    fragments=self.sockets.fragments[i].fileno(), family=family, strict=strict,
                    known_only=known_only, learned_udp_port=udp_port, attention=self.attention, spin_us=spin, gso=offloads.gso,
                    merge=offloads.merge, kernel_peers=kernel_peers,
                ))
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        if self.sockets is not None:
            self.close()

    @property
    def segments(self):
        """The segments, by VNI."""
        return dict(self._segments)

    @property
    def running(self):
        return bool(self.threads)

    def add_segment(self, vni, *, bint learning=True, ageing=DEFAULT_AGEING, max_entries=0, bint members_only=False,
                    bint probes=False, forwarder=None):
        """Add a segment for a VNI (0 … 2^24 - 1).

        `ageing` is in seconds (0: never), `max_entries` the segment's share of the FDB. With 0 the share is fair: the
        segment learns addresses while it has learned fewer than could still be learned, and from one port or remote
        while fewer came from there than the segment could still learn. `members_only` drops packets from VTEPs that
        `Segment.admit` was not called for. `probes`: its frames
        may be longer than the path MTU to a remote. `forwarder` is a LearningBridge by default.
        """
        if members_only and not self.known_only:
            raise UsageError("members_only needs an engine that is known_only")
        with self.tables.lock:
            self._check_open()
            if vni in self._segments:
                raise ConflictError(f"there is a segment with VNI {vni} already")
            segment = Segment(
                self.tables, self.workers, self.offloads, self.local, self.udp_port, vni, learning=learning, ageing=ageing,
                max_entries=max_entries, members_only=members_only, probes=probes,
                forwarder=forwarder if forwarder is not None else LearningBridge(),
            )
            self._segments[vni] = segment
            return segment

    def remove_segment(self, Segment segment not None):
        """Remove a segment with its ports, remotes and FDB entries."""
        with self.tables.lock:
            if self._segments.get(segment.vni) is not segment:
                raise ConflictError(f"there is no segment with VNI {segment.vni}")
            del self._segments[segment.vni]
            forwarders = segment.withdraw()
        for forwarder in forwarders:
            end_service(*forwarder)

    def capture(self, Segment segment=None, *, ports=(), remotes=(), drops=(), directions=("in", "out"), bint outer=False,
                filter=None, snaplen=0, room=DEFAULT_ROOM, name_of=None):
        """Start a capture and return it. The caller reads it, and closes it.

        A capture takes frames that pass one of `ports` (Port) or `remotes` (addresses), and frames that are dropped for
        one of the reasons `drops` ("any": for any reason). Without these three it takes all frames. `segment`,
        `directions` ("in" to the engine, "out" of it) and `filter`, in tcpdump's syntax (pcap-filter(7), needs
        libpcap), restrict it. `outer` captures packets as on the underlay, with reconstructed IP and UDP headers. At
        most `snaplen` bytes of each frame are kept (0: all), and at most `room` bytes for each worker until they are
        read. `name_of` returns the name of a Port in the capture; the default is the name of its interface. Raise
        FastpathError.
        """
        self._check_open()
        ports = list(ports)
        for port in ports:
            (<Port?>port).check()
            if segment is not None and port.vni != segment.vni:
                raise UsageError(f"port {port.name} belongs to another segment")
        return Capture(
            self.tables, self._captures, self._port_with, vni=segment.vni if segment is not None else None,
            ports=[(<Port?>port).c.serial for port in ports], remotes=remotes, drops=drops, directions=directions,
            outer=outer, filter=filter, snaplen=snaplen, room=room, name_of=name_of, udp_port=self.udp_port,
            local=self.local if self.local is not None else from_wire(NOWHERE[self.tables.family]),
        )

    @property
    def admitted(self):
        """The VTEPs whose packets are accepted, if the engine is `known_only`."""
        return tuple(remote for remotes in self._admitted.values() for remote in remotes)

    def admit(self, address, udp_port=None):
        """Accept packets from this VTEP, from any source port, and return its Remote.

        The VTEP listens on `udp_port`, by default the engine's. Raise ConflictError if it is admitted already.
        """
        cdef Remote remote = self._vtep(address, udp_port)
        with self.tables.lock:
            others = self._admitted.get(remote.address, [])
            if remote in others:
                raise ConflictError(f"{remote.address} is admitted already")
            self._publish_admitted(remote.address, [*others, remote])
        return remote

    def dismiss(self, address, udp_port=None):
        """Accept no packets from this VTEP after this call returns.

        Entries that were learned from it are removed; flood lists and static entries stay. Raise ConflictError if it is
        not admitted.
        """
        cdef Remote remote = self._vtep(address, udp_port)
        with self.tables.lock:
            others = self._admitted.get(remote.address, [])
            if remote not in others:
                raise ConflictError(f"{remote.address} is not admitted")
            self._publish_admitted(remote.address, [other for other in others if other != remote])
            self.tables.synchronize()  # from here on nothing more is learned from it
            for segment in self._segments.values():
                segment.fdb.flush(remote)

    def set_path_mtu(self, address, mtu):
        """Say how long an IP packet of the underlay, in bytes, may be that goes to this VTEP; None: nobody knows.

        The sender of a packet that does not fit is told by ICMP, if it is behind a port. Others are dropped.
        """
        mtu = index(mtu) if mtu is not None else None
        if mtu is not None and not MIN_PATH_MTU <= mtu <= MAX_PATH_MTU:
            raise UsageError(f"path MTU {mtu}: it must be between {MIN_PATH_MTU} and {MAX_PATH_MTU} bytes")
        self._check_open()
        with self.tables.lock:
            remote_module.set_path_mtu(self.tables, parse_ip(address), mtu)

    def start(self):
        """Start the workers, and a thread that ages FDB entries and follows changes of interfaces."""
        with self.lifecycle:
            self._check_open()
            if self.threads:
                raise ConflictError("the engine is running already")
            drain(self.stop_requested)
            try:
                for i, worker in enumerate(self.workers):
                    thread = threading.Thread(
                        target=worker.run, args=(self.cores[i % len(self.cores)] if self.pin else None,),
                        name=f"fastpath-{i}", daemon=True,
                    )
                    thread.start()
                    self.threads.append(thread)
                with self.tables.lock:
                    self.tables.running = True
                    for segment in self._segments.values():
                        segment.start_forwarder()
                self.housekeeper = Housekeeper(self.tidy, self.attention, self.housekept)
                self.housekeeper.start()
            except BaseException:
                self._stop_workers()
                raise

    def stop(self):
        """Stop the workers. Ports and sockets stay. It is no error if the workers do not run."""
        with self.lifecycle:
            housekeeper = self._stop_workers()
        if housekeeper is not None:
            housekeeper.stop()

    def run(self):
        """Move frames until SIGINT or SIGTERM, or until `stop` is called from another thread.

        The signals have the engine's handlers only while this runs, and only in the main thread.
        """
        self.start()
        previous = {}
        try:
            if threading.current_thread() is threading.main_thread():
                for number in (signal.SIGINT, signal.SIGTERM):
                    previous[number] = signal.signal(number, lambda *_: os.eventfd_write(self.stop_requested, 1))
            waiter = select.poll()
            waiter.register(self.stop_requested, select.POLLIN)
            waiter.poll()
        finally:
            self.stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def poll(self, timeout=0.0):
        """Serve what is ready, in this thread, until nothing is. For an engine that was not started.

        `timeout` is how long to wait for the first thing, in seconds. Return whether there was anything to do.
        Return also after some turns in a row in which every read failed: what cannot be read stays ready.
        """
        if self.threads:
            raise ConflictError("the engine's workers are running: poll is for an engine that was not started")
        self._check_open()
        ready = select.poll()
        for worker in self.workers:
            ready.register(worker.fileno(), select.POLLIN)
        ready.poll(timeout * 1000)
        busy = False
        fruitless = 0
        while fruitless < FRUITLESS_TURNS:
            turns = [worker.poll() for worker in self.workers]
            decided = sum([segment.poll_forwarder() for segment in self.segments.values()])
            if not decided and not any([served for served, _ in turns]):
                break
            busy = True
            fruitless = 0 if decided or any([handled for _, handled in turns]) else fruitless + 1
        return busy

    def close(self):
        """Stop, and remove all segments, interfaces and sockets."""
        cdef Segment segment
        forwarders = []
        with self.lifecycle:
            housekeeper = self._stop_workers()
            with self.tables.lock:
                if self.sockets is not None:
                    for capture in list(self._captures):
                        capture.close()
                    while self._segments:
                        _, segment = self._segments.popitem()
                        forwarders += segment.withdraw()
                    self.workers.clear()
                    self.sockets.close()
                    self.sockets = None
                    for fd in (self.attention, self.stop_requested):
                        if fd >= 0:
                            os.close(fd)
        for forwarder in forwarders:  # they may want the locks
            end_service(*forwarder)
        if housekeeper is not None:
            housekeeper.stop()

    def on_port_gone(self, callback):
        """Call `callback(port)`, in a thread of the engine, when a port's interface was deleted.

        The port stays until it is removed.
        """
        self.port_gone = callback

    def vouch(self, int seconds):
        """Say that `complete` of all segments holds from now on, and for so many seconds; 0: no more."""
        if not 0 <= seconds <= MAX_VOUCHED_S:
            raise UsageError(f"{seconds} seconds: it must be between 0 and {MAX_VOUCHED_S}")
        fp_vouch(self.tables.c, seconds)

    @property
    def housekeeping(self):
        """How the housekeeper fares, as a housekeeper.Housekeeping."""
        return self.housekept

    def tidy(self):
        """Age the FDB, remove unused remotes, and follow changes of interfaces.

        A running engine does this every ten seconds. A step that fails keeps no other from being taken; then the first
        exception is raised at the end.
        """
        with self.tables.lock:
            if self.sockets is None:
                return
            steps = [self._age, self._forget_unused_remotes]
            steps += [(<Segment>segment).refresh for segment in self._segments.values()]
            failures = attempt(steps)
            ports = [port for segment in self._segments.values() for port in segment.ports]
            gone = [port for port in ports if port.gone and port not in self.told]
            self.told.update(gone)
            self.told = {port for port in self.told if not port.removed}
        if self.port_gone is not None:
            failures += attempt([partial(self.port_gone, port) for port in gone])
        if failures:
            raise failures[0]

    def _age(self):
        fdb_module.age(self.tables)
        self.tables.reclaim()

    def advance_clock(self, int seconds):
        """Advance the clock of the FDB and of forwarders, for tests.

        After the first call the clock of forwarders moves by this method alone.
        """
        fp_clock_advance(self.tables.c, seconds)
        self.tables.clock.advance(seconds)

    def stats(self):
        """Return all counters, as a stats.EngineStats."""
        with self.tables.lock:
            self._check_open()
            segments = sorted(self._segments.values(), key=lambda s: s.vni)
            return EngineStats(
                workers=[sum_tallies(&self.tables.c.tally[i], 1) for i in range(self.tables.workers)],
                deferred=sum_tallies(&self.tables.c.tally[self.tables.workers], 1),
                segments=[segment.stats() for segment in segments],
                ports=[port.stats() for segment in segments for port in segment.ports],
                remotes=remote_module.remote_stats(self.tables),
                fdb_entries=fp_fdb_used(self.tables.c.fdb),
                fdb_limit=fp_fdb_entries(self.tables.c.fdb),
                socket_overflows=self.sockets.overflows(),
                housekeeping_failures=self.housekept.failures,
            )

    def worker_states(self):
        """Return for each worker how many turns it began and ended, and whether its thread runs.

        The number is odd within a turn. No lock is taken, so that this answers while a worker hangs.
        """
        threads = list(self.threads)
        return [
            (fp_turn_count(self.tables.c, i), i < len(threads) and threads[i].is_alive())
            for i in range(self.tables.workers)
        ]

    def _port_with(self, serial):
        """Return the port with this serial, or None."""
        with self.tables.lock:
            for segment in self._segments.values():
                for port in (<Segment>segment)._ports.values():
                    if (<Port>port).c.serial == serial:
                        return port
        return None

    def _stop_workers(self):
        """Stop the workers. Return the housekeeper, which the caller stops without holding `lifecycle`."""
        threads, self.threads = self.threads, []
        housekeeper, self.housekeeper = self.housekeeper, None
        for worker in self.workers if threads else []:
            worker.stop()
        for thread in threads:
            thread.join()
        with self.tables.lock:
            running, self.tables.running = self.tables.running, False
            segments = list(self._segments.values()) if running else []
        for segment in segments:
            segment.halt_forwarder()
        if threads:
            os.eventfd_write(self.stop_requested, 1)
        return housekeeper

    def _check_open(self):
        if self.sockets is None:
            raise ConflictError("the engine was closed")

    def _vtep(self, address, udp_port):
        """Return the Remote for `admit` and `dismiss`."""
        self._check_open()
        if not self.known_only:
            raise ConflictError("this engine takes packets from everybody: make it with known_only=True")
        remote = Remote(self.tables, address, udp_port if udp_port is not None else self.udp_port)
        if remote.address == self.local and remote.udp_port == self.udp_port:
            raise UsageError(f"{remote.address} is this VTEP itself: name the others only")
        return remote

    def _publish_admitted(self, address, list remotes):
        """Publish which of these remotes stands for their address.

        The source port of a packet does not tell them apart: take the one with the engine's UDP port, or else the
        first.
        """
        cdef bytes ip = to_wire(address)
        cdef Remote chosen
        if remotes:
            chosen = min(remotes, key=lambda remote: remote.udp_port != self.udp_port)
            for remote in remotes:
                (<Remote>remote).ensure()
            self.tables.enter(self.tables.c.admitted, 0, ip, chosen.ensure())
            self._admitted[address] = remotes
        else:
            fp_directory_delete(self.tables.c.admitted, 0, <const uint8_t *><const char *>ip)
            del self._admitted[address]
        fp_admissions_changed(self.tables.c)

    def _forget_unused_remotes(self):
        """Remove remotes that are not admitted, and that no flood list and no FDB entry named, twice in a row.

        A worker may just have added a remote that it is about to learn from, so once is not enough.
        """
        named = fdb_module.remote_indices(self.tables) | named_remote_indices(list(self._segments.values()))
        named |= {(<Remote>remote).ensure() for remote in self.admitted}
        named |= self._remembered()
        unused = remote_module.indices(self.tables) - named
        doomed = unused & self.unused_remotes
        if doomed:
            remote_module.retire(self.tables, doomed)
            self.tables.synchronize()  # from here on no worker finds them
            fdb_module.retire_remotes(self.tables, doomed)  # one may have been learned from meanwhile
            self.tables.reclaim()
            remote_module.reclaim(self.tables, doomed)
        self.unused_remotes = unused - doomed

    def _remembered(self):
        """Return the remotes that sent something lately, if a forwarder is written in Python.

        Such a forwarder may keep their numbers without the engine's knowledge; the bridge keeps them in the FDB.
        """
        if not any(segment.forwarder.deferred for segment in self._segments.values()):
            self.heard = {}
            return set()
        now = self.tables.clock()
        former, self.heard = self.heard, {}
        for index, frames in remote_module.received(self.tables).items():
            known, noticed = former.get(index, (None, now))
            self.heard[index] = (frames, noticed if known == frames else now)
        return {index for index, (_, noticed) in self.heard.items() if now - noticed < REMEMBERED_S}
