# SPDX-License-Identifier: Apache-2.0
"""Ports: where frames enter and leave a segment.

A port is opened by itself, then attached to a segment (which gives it its place in the tables), and
closed after the segment withdrew it. `watched` lists (worker, file descriptor) pairs to read from.
"""

import errno
import os
import select
import socket
from operator import index

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

import pytun

from fastpath.kernels.packet.dest cimport FP_DEST_PORT, fp_dest_make
from fastpath.kernels.security.allowed cimport fp_allowed, fp_allowed_filled, fp_allowed_new, fp_sender, fp_storm_set
from fastpath.kernels.tables.fdb cimport fp_fdb_learned_from
from fastpath.kernels.tables.tables cimport fp_now, fp_port_set_allowed
from fastpath.kernels.io.tap cimport fp_tap_mac, fp_tap_name, fp_tap_setup
from fastpath.engine.tables cimport Tables, sum_traffic, sum_unlearned

from fastpath.addresses import parse_mac, to_wire
from fastpath.engine.ports.allowed import check_allowed
from fastpath.errors import ConflictError, RefusedError, UsageError
from fastpath.text import from_kernel, printable
from fastpath.engine.limits import check_name
from fastpath.engine.offloads import DEFAULT_OFFLOADS
from fastpath.engine.stats import PortStats
from fastpath.engine.ports.tun_info import tun_info
from fastpath.engine.ports.tx_queue import (
    DEFAULT_TXQUEUELEN,
    KERNEL_DEFAULT,
    check_txqueuelen,
    set_txqueuelen,
)

cdef extern from "<linux/if_tun.h>":
    int IFF_TAP
    int IFF_NO_PI
    int IFF_VNET_HDR
    int IFF_MULTI_QUEUE

VNET_SIZE = 12
MAX_FLOOD_LIMIT = (1 << 31) - 1
MIN_MTU, MAX_MTU = 68, 65521  # RFC 791; the largest that <linux/if_ether.h> lets a TAP have


cdef class Port:
    """The base of all ports. `name` is unique within a segment; `mtu` is the largest IP packet, in bytes."""

    cdef int check(self) except -1:
        if self.c == NULL:
            raise ConflictError(f"port {self.name} was removed")
        return 0

    @property
    def name(self):
        """The name of the port."""
        raise NotImplementedError

    @property
    def gone(self):
        """Whether the interface of the port was deleted by somebody else."""
        return self.c == NULL or bool(self.c.gone)

    @property
    def number(self):
        """The number of the port in a forwarder's `burst.port` and `burst.out`."""
        self.check()
        return fp_dest_make(FP_DEST_PORT, self.c.index)

    @property
    def allowed(self):
        """Who may send from behind the port: (MAC address, IP addresses) of each sender; None: anybody.

        Frames from other addresses are dropped, and so are ARP and neighbour discovery about them, router
        advertisements, ICMPv6 redirects and messages of DHCP servers. A sender may have any link-local IPv6 address but
        one made of another MAC address. Frames that are in the engine already may pass by the former list. Raise
        UsageError.
        """
        return self.senders

    @allowed.setter
    def allowed(self, value):
        senders = None if value is None else check_allowed(value)
        with self.tables.lock:
            self.check()
            if senders == self.senders:
                return
            stale = fp_port_set_allowed(self.c, NULL if senders is None else new_allowed(senders))
            self.senders = senders
            self.tables.synchronize()
            free(<void *>stale)

    @property
    def flood_limit(self):
        """How many copies of flooded frames each second the port may cause, one for each other port and each remote;
        0: any number.

        Those of two seconds may come at once; the rest is dropped.
        """
        self.check()
        return self.c.storm.limit

    @flood_limit.setter
    def flood_limit(self, value):
        limit = index(value)
        if not 0 <= limit <= MAX_FLOOD_LIMIT:
            raise UsageError(f"flood limit {limit}: it must be between 0 (no limit) and {MAX_FLOOD_LIMIT} copies")
        with self.tables.lock:
            self.check()
            fp_storm_set(&self.c.storm, limit, fp_now(self.tables.c))

    @property
    def traffic(self):
        """The counters of passed and dropped frames, as a stats.Traffic."""
        self.check()
        return sum_traffic(self.c.traffic, self.tables.counters)

    def stats(self):
        """Return the counters and properties of the port, as a stats.PortStats."""
        traffic = self.traffic  # or else ConflictError
        return PortStats(
            printable(self.name), self.vni, self.mtu, self.gone, traffic,
            fp_fdb_learned_from(self.tables.c.fdb, fp_dest_make(FP_DEST_PORT, self.c.index)),
            sum_unlearned(self.c.traffic, self.tables.counters), self.label,
        )

    @property
    def removed(self):
        return self.c == NULL

    cdef int shut(self) except -1:
        """Close the interface or socket of the port. The segment calls this after it withdrew the port."""
        raise NotImplementedError

    def __repr__(self):
        return f"<{type(self).__name__} {printable(self.name)} on VNI {self.vni}>"


cdef fp_allowed *new_allowed(tuple senders) except NULL:
    """Return the list of what `check_allowed` returned. The caller that withdraws it frees it."""
    cdef fp_allowed *result = fp_allowed_new(len(senders), sum(len(addresses) for _, addresses in senders))
    cdef fp_sender *sender
    cdef uint32_t i, at = 0
    cdef bytes ip
    if result == NULL:
        raise MemoryError
    for i, (mac, addresses) in enumerate(senders):
        sender = &result.sender[i]
        sender.mac, sender.first = parse_mac(mac), at
        sender.v4 = sum(address.version == 4 for address in addresses)
        sender.v6 = len(addresses) - sender.v4
        for address in addresses:
            ip = to_wire(address)
            memcpy(result.address[at], <const char *>ip, 16)
            at += 1
    fp_allowed_filled(result)
    return result


def check_mtu(mtu):
    """Return the MTU as a whole number of bytes. Raise UsageError if no interface can have it."""
    mtu = index(mtu)
    if not MIN_MTU <= mtu <= MAX_MTU:
        raise UsageError(f"mtu {mtu}: it must be between {MIN_MTU} and {MAX_MTU} bytes")
    return mtu


def explain_tap_error(error, name):
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if number in (errno.EPERM, errno.EACCES):
        return RefusedError(f"no permission to create the interface {name}: run as root (CAP_NET_ADMIN)")
    if number == errno.ENOENT:
        return RefusedError("/dev/net/tun is missing: load the tun module (modprobe tun)")
    if number in (errno.EBUSY, errno.EEXIST):
        return ConflictError(f"an interface named {name} exists already: choose another name")
    return RefusedError(f"cannot create the interface {name}: {os.strerror(number) if number else error}")


def check_free(name):
    """Raise ConflictError if there is an interface of that name."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return
    raise ConflictError(f"an interface named {name} exists already: choose another name")


def in_use(name):
    return ConflictError(f"the interface {name} is in use by another process: stop it first")


def check_adoptable(name):
    """Return the properties of a TAP that a TapPort left behind and nobody has open. Raise ConflictError for another.

    A TAP with several queues gives one to every process that opens it, and each process gets a part of the frames.
    """
    info = tun_info(name)
    if info is None or not info.tap:
        raise ConflictError(f"the interface {name} is not a TAP: it cannot be taken over")
    if info.packet_information or not info.vnet_header or not info.multi_queue:
        raise ConflictError(f"the TAP {name} was not made by fastpath: it lacks multi_queue and vnet_hdr, or has pi")
    if info.queues:
        raise in_use(name)
    if not info.persistent:
        raise ConflictError(f"the TAP {name} is about to vanish: it is not persistent")
    return info


cdef class TapPort(Port):
    """A TAP interface with one queue for each worker.

    It is created in the present network namespace. It may be moved to another namespace and renamed. It is deleted when
    the port is closed, unless it is `persist`ent. `adopt` takes over an existing persistent TAP.
    """

    def __cinit__(self, Tables tables not None, str name not None, *, mtu=None, bint up=False,
                  offloads=DEFAULT_OFFLOADS, bint adopt=False, int txqueuelen=DEFAULT_TXQUEUELEN):
        check_name(name)
        check_txqueuelen(txqueuelen)
        self.tables = tables
        self.first_name = name
        self.queues = []
        self.mac = self.contested = self.unplaced = None
        self.persistent = adopt
        if adopt:
            info = check_adoptable(name)
        else:
            self.mtu = check_mtu(mtu)
            check_free(name)
        try:
            self._open(name, offloads)
            if adopt:
                self._check_alone(name)
                self.mtu = self.queues[0].mtu
            else:
                self.queues[0].mtu = self.mtu
            # Of one that was adopted, only the kernel's own length is replaced: another was somebody's choice.
            if not adopt or info.txqueuelen == KERNEL_DEFAULT:
                set_txqueuelen(name, txqueuelen)
            if up:
                self.queues[0].up()
        except pytun.Error as error:
            self.shut()
            raise explain_tap_error(error, name) from None
        except BaseException:
            self.shut()
            raise
        self.watched = [(worker, queue.fileno()) for worker, queue in enumerate(self.queues)]

    def _open(self, name, offloads):
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE
        for _ in range(self.tables.workers):
            queue = pytun.TunTapDevice(name=name, flags=flags)
            self.queues.append(queue)
            failed = fp_tap_setup(queue.fileno(), offloads.tso, offloads.uso)
            if failed:
                raise RefusedError(f"cannot set up the interface {name}: {os.strerror(-failed)}")

    def _check_alone(self, name):
        """Raise ConflictError if the TAP was deleted after it was checked, or if another process opened it too."""
        info = tun_info(name)
        if info is None or not info.persistent:
            raise ConflictError(f"the interface {name} was deleted meanwhile")
        if info.queues != len(self.queues):
            raise in_use(name)

    @property
    def up(self):
        """Whether the interface is up, in whichever namespace it is by now: nothing can be written to one that is not."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLOUT)
        return any(event & select.POLLOUT for _, event in poll.poll(0))

    def fileno(self):
        """Return the descriptor of the first queue: it can be written to while the interface is up."""
        self.check()
        return self.queues[0].fileno()

    @property
    def persist(self):
        """Whether the interface stays when the port is closed or the process ends (TUNSETPERSIST).

        To delete the interface, set this to False, then remove the port.
        """
        return self.persistent

    @persist.setter
    def persist(self, bint value):
        self.check()
        try:
            self.queues[0].persist(value)
        except pytun.Error as error:
            raise explain_tap_error(error, self.name) from None
        self.persistent = value

    def mtu_changed(self, mtu):
        """Take note of the MTU that the interface was given. It cannot be read from another namespace."""
        self.check()
        self.mtu = check_mtu(mtu)
        self.c.mtu = self.mtu

    @property
    def name(self):
        """The present name of the interface, or its last known name if it is gone."""
        cdef char name[16]
        if self.queues and fp_tap_name(self.queues[0].fileno(), name) == 0:
            self.first_name = from_kernel(name)
        return self.first_name

    def read_mac(self):
        """Return the present hardware address of the interface as a number, or None if it is gone."""
        cdef uint64_t mac = 0
        if self.queues and fp_tap_mac(self.queues[0].fileno(), &mac) == 0:
            return mac
        return None

    cdef int shut(self) except -1:
        """Close all queues. With the last one the interface is deleted, unless it is persistent."""
        for queue in self.queues:
            queue.close()
        self.queues.clear()
        return 0


cdef class SinkPort(Port):
    """A port of a replay: nothing is read from it, and the tables' sink takes what is sent to it (src/io/sink.h)."""

    def __cinit__(self, Tables tables not None, str name not None):
        self.tables = tables
        self.given_name = name
        self.mtu = MAX_MTU
        self.watched = []

    @property
    def name(self):
        """The name that it was given."""
        return self.given_name

    cdef int shut(self) except -1:
        return 0


cdef class MemoryPort(Port):
    """A port whose other end is in this process, for tests and experiments without privileges.

    It moves frames through a socket pair just as a TAP moves them through its file descriptor, vnet
    header included, so the worker does the same for both.
    """

    def __cinit__(self, Tables tables not None, str name not None, *, mtu):
        self.tables = tables
        self.given_name = name
        self.mtu = check_mtu(mtu)
        kind = socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self.inner, self.outer = socket.socketpair(socket.AF_UNIX, kind)
        for sock in (self.inner, self.outer):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.watched = [(0, self.inner.fileno())]

    @property
    def name(self):
        """The name that it was given."""
        return self.given_name

    def send(self, frame, *, vnet=bytes(VNET_SIZE)):
        """Send a frame (bytes, from the Ethernet header) to the engine.

        `vnet` has the 12 bytes of its virtio-net header. Raise BlockingIOError if the engine is behind.
        """
        self.check()
        if len(vnet) != VNET_SIZE:
            raise UsageError(f"a virtio-net header has {VNET_SIZE} bytes, not {len(vnet)}")
        self.outer.send(bytes(vnet) + bytes(frame))

    def fileno(self):
        """Return the file descriptor to wait on for a frame."""
        self.check()
        return self.outer.fileno()

    def receive(self):
        """Return the next frame that the engine sent to this port, or None."""
        received = self.receive_with_header()
        return None if received is None else received[1]

    def receive_with_header(self):
        """Return the next frame as (virtio-net header, frame), or None."""
        self.check()
        try:
            data = self.outer.recv(1 << 17)
        except BlockingIOError:
            return None
        return data[:VNET_SIZE], data[VNET_SIZE:]

    cdef int shut(self) except -1:
        self.inner.close()
        self.outer.close()
        return 0
