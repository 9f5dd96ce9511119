# SPDX-License-Identifier: Apache-2.0
"""Remotes: the VTEPs of other hosts."""

import socket
import time

from libc.stdint cimport uint32_t
from libc.string cimport memcmp, memcpy

from fastpath.kernels.packet.dest cimport FP_DEST_REMOTE, fp_dest_make
from fastpath.kernels.tables.fdb cimport fp_fdb_learned_from
from fastpath.kernels.tables.remote cimport (
    FP_REMOTES,
    FP_REMOTES_LIMIT,
    FP_REMOTE_NONE,
    fp_address,
    fp_remote,
    fp_remote_path_mtu,
    fp_remote_set_path_mtu,
    fp_remotes_add,
    fp_remotes_find,
    fp_remotes_get,
    fp_remotes_reclaim,
    fp_remotes_retire,
)
from fastpath.engine.tables cimport Tables, sum_traffic, sum_unlearned

from fastpath.addresses import family_of, from_wire, parse_ip, to_wire
from fastpath.errors import ConflictError, UsageError
from fastpath.engine.stats import RemoteStats, Traffic


cdef fp_address as_c(Remote remote):
    cdef fp_address result
    cdef bytes packed = to_wire(remote.address)
    memcpy(result.ip, <const char *>packed, 16)
    result.udp_port = remote.udp_port
    return result


cdef class Remote:
    """The address and UDP port of a VTEP.

    It is in the engine's table while a flood list or an FDB entry names it. Two Remotes with the same address and port
    are equal.
    """

    def __init__(self, Tables tables not None, address, int udp_port):
        self.tables = tables
        self.address = parse_ip(address)
        if tables.family not in (socket.AF_UNSPEC, family_of(self.address)):
            raise UsageError(
                f"{self.address} and the local address are not of one family: use IPv4 or IPv6 for both"
            )
        if not 1 <= udp_port <= 65535:
            raise UsageError(f"{udp_port} is not a UDP port: it must be between 1 and 65535")
        self.udp_port = udp_port

    cdef uint32_t find(self) noexcept:
        cdef fp_address address = as_c(self)
        return fp_remotes_find(self.tables.c.remotes, &address)

    cdef uint32_t ensure(self) except 0:
        """Return the remote's index, and add it to the table if it is not there."""
        cdef fp_address address = as_c(self)
        cdef uint32_t index = FP_REMOTE_NONE
        for _ in range(100):
            index = fp_remotes_add(self.tables.c.remotes, &address, FP_REMOTES_LIMIT)
            if index != FP_REMOTE_NONE:
                if self.address in self.tables.path_mtus:
                    fp_remote_set_path_mtu(fp_remotes_get(self.tables.c.remotes, index), self.tables.path_mtus[self.address])
                return index
            time.sleep(0.001)  # a worker may be adding a remote at this very moment
        raise ConflictError(f"there are {FP_REMOTES_LIMIT} remotes already, which is the limit")

    @property
    def traffic(self):
        """The counters of passed and dropped frames, as a stats.Traffic; zeros if the engine does not know the remote."""
        cdef fp_remote *remote = fp_remotes_get(self.tables.c.remotes, self.find())
        if remote == NULL:
            return Traffic()
        return sum_traffic(remote.traffic, self.tables.counters)

    @property
    def path_mtu(self):
        """The longest IP packet of the underlay, in bytes, that fits the path to it; None if that is not known."""
        cdef fp_remote *remote = fp_remotes_get(self.tables.c.remotes, self.find())
        return (fp_remote_path_mtu(remote) or None) if remote != NULL else None

    def stats(self):
        """Return the counters and properties of the remote, as a stats.RemoteStats."""
        cdef uint32_t index = self.find()
        cdef fp_remote *remote = fp_remotes_get(self.tables.c.remotes, index)
        learned = fp_fdb_learned_from(self.tables.c.fdb, fp_dest_make(FP_DEST_REMOTE, index))
        unlearned = sum_unlearned(remote.traffic, self.tables.counters) if remote != NULL else 0
        return RemoteStats(str(self.address), self.udp_port, self.traffic, learned, unlearned, self.path_mtu)

    def __eq__(self, other):
        if not isinstance(other, Remote):
            return NotImplemented
        return (self.address, self.udp_port) == (other.address, other.udp_port)

    def __hash__(self):
        return hash((self.address, self.udp_port))

    def __repr__(self):
        return f"<Remote {self.address} port {self.udp_port}>"


cdef Remote remote_at(Tables tables, uint32_t index):
    """Return the remote with this index, or None."""
    cdef fp_remote *remote = fp_remotes_get(tables.c.remotes, index)
    if remote == NULL:
        return None
    cdef Remote found = Remote.__new__(Remote)  # not by __init__: packets also come from addresses that it refuses
    found.tables = tables
    found.address = from_wire((<char *>remote.address.ip)[:16])
    found.udp_port = remote.address.udp_port
    return found


def remote_stats(Tables tables):
    """Return a stats.RemoteStats for every remote, by address."""
    found = [remote_at(tables, index) for index in indices(tables)]
    found.sort(key=lambda remote: (remote.address.packed, remote.udp_port))
    return [remote.stats() for remote in found]


def set_path_mtu(Tables tables, address, mtu):
    """Set the path MTU of all remotes with an address, those that will be added, too; None: it is not known."""
    cdef uint32_t index
    cdef fp_remote *remote
    cdef bytes packed = to_wire(address)
    if mtu is None:
        tables.path_mtus.pop(address, None)
    else:
        tables.path_mtus[address] = mtu
    for index in range(1, FP_REMOTES):
        remote = fp_remotes_get(tables.c.remotes, index)
        if remote != NULL and memcmp(remote.address.ip, <const char *>packed, 16) == 0:
            fp_remote_set_path_mtu(remote, mtu or 0)


def indices(Tables tables):
    """Return the indices of all remotes in the table."""
    cdef uint32_t index
    return {index for index in range(1, FP_REMOTES) if fp_remotes_get(tables.c.remotes, index) != NULL}


def received(Tables tables):
    """Return {index: number of frames that came from it} of all remotes."""
    cdef uint32_t index
    return {
        index: sum_traffic(fp_remotes_get(tables.c.remotes, index).traffic, tables.counters).rx_frames
        for index in indices(tables)
    }


def retire(Tables tables, doomed):
    """Remove remotes from the table. Workers that begin a turn after this no longer find them."""
    cdef uint32_t index
    for index in doomed:
        fp_remotes_retire(tables.c.remotes, index)


def reclaim(Tables tables, doomed):
    """Free the indices of retired remotes. Nothing may name them any more."""
    cdef uint32_t index
    for index in doomed:
        fp_remotes_reclaim(tables.c.remotes, index)
