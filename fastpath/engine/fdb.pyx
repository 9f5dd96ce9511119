# SPDX-License-Identifier: Apache-2.0
"""The entries of one segment in the forwarding database (src/tables/fdb.h)."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from fastpath.kernels.packet.dest cimport (
    FP_DEST_GROUP,
    FP_DEST_PORT,
    FP_DEST_REMOTE,
    fp_dest,
    fp_dest_index,
    fp_dest_kind,
    fp_dest_make,
)
from fastpath.kernels.tables.fdb cimport (
    FP_FDB_LOCAL,
    FP_FDB_STATIC,
    fp_fdb_age,
    fp_fdb_entry,
    fp_fdb_key,
    fp_fdb_lookup,
    fp_fdb_match,
    fp_fdb_next,
    fp_fdb_retire,
    fp_fdb_set,
    fp_fdb_share_of,
    fp_fdb_value,
)
from fastpath.kernels.tables.tables cimport fp_group_publish, fp_list, fp_now
from fastpath.engine.ports.port cimport Port
from fastpath.engine.remote cimport Remote, remote_at
from fastpath.engine.tables cimport Tables, new_list

from fastpath.addresses import format_mac, is_group, parse_mac
from fastpath.errors import ConflictError, NotFoundError, UsageError

FDB_FULL = "the FDB is full: remove entries, or allow more (maxaddress)"


@dataclass(frozen=True)
class FdbEntry:
    """The entry of one address.

    `to` lists its destinations (several remotes for a group address). `age` is the time in seconds since a frame last
    came from the address; entries that differ in nothing else are equal. `static` entries were set, not learned;
    `local` entries are addresses of ports.
    """

    mac: str
    to: tuple
    static: bool
    local: bool
    age: int = field(compare=False)


cdef class Fdb:
    """The entries of one segment: a MutableMapping of MAC addresses, as `bridge fdb` writes them, to FdbEntry.

    A MAC address is given as text, with colons or dashes, as a number, or as 6 bytes. What is assigned to it is a Port,
    a Remote, or an FdbEntry that was read before. Workers learn and forget entries all the time: `keys`, `values` and
    `items` return what is there at this moment.
    """

    def __init__(self, Tables tables not None, uint32_t segment, dict ports):
        self.tables = tables
        self.segment = segment
        self.ports = ports  # index -> Port, kept by the segment
        self.groups = {}  # mac -> (index, [Remote])

    cdef int check(self) except -1:
        if self.closed:
            raise ConflictError("the segment that this FDB belongs to was removed")
        return 0

    def set(self, mac, to, *, bint static=True):
        """Set the entry of an address to a Port or a Remote.

        An entry that is not `static` ages and moves like a learned one. A static entry for the address that a port's
        interface has takes the place of the port's own. Raise ConflictError if the FDB, or the segment's share of it,
        is full.
        """
        cdef uint64_t number = self._address(mac)
        with self.tables.lock:
            self.check()
            if not static:
                self._spare_local(number)
            self.put(number, self._dest(to), FP_FDB_STATIC if static else 0)
            self.drop_group(number)

    def append(self, mac, Remote remote not None):
        """Add a remote to a group address. Frames for the address go to all of its remotes."""
        cdef uint64_t number = self._address(mac)
        if not is_group(number):
            raise UsageError(f"{mac} is not a group address: only those can have several destinations")
        with self.tables.lock:
            self.check()
            self._dest(remote)
            remotes = self._remotes_of(number)
            if not remotes and self._lookup(number).flags & FP_FDB_STATIC:
                raise ConflictError(f"{mac} points to a port: delete that entry before you append remotes")
            if remote in remotes:
                raise ConflictError(f"{mac} has the destination {remote.address} already")
            self._set_group(number, [*remotes, remote])

    def delete(self, mac, to=None):
        """Remove an entry, or one destination of a group address. Raise ConflictError if there is none."""
        cdef uint64_t number = self._address(mac)
        with self.tables.lock:
            self.check()
            self._spare_local(number)
            if to is not None and number in self.groups:
                rest = [r for r in self.groups[number][1] if r != to]
                if len(rest) == len(self.groups[number][1]):
                    raise ConflictError(f"{mac} has no such destination")
                if rest:
                    self._set_group(number, rest)
                    return
            elif to is not None and self._lookup(number).dest != self._dest(to):
                raise ConflictError(f"{mac} has no such destination")
            if not self._retire_mac(number):
                raise ConflictError(f"there is no entry for {mac}")
            self.drop_group(number)

    def flush(self, to=None, *, bint learned=True, bint static=False):
        """Remove `learned` entries, `static` entries, or both, and return their number.

        With `to`, remove only entries that point to it. The addresses of ports stay.
        """
        cdef fp_dest dest
        with self.tables.lock:
            self.check()
            dest = self._dest(to) if to is not None else 0
            before = len(self)
            if learned:
                self.retire(dest, True)
            if static:
                for entry in self.values():
                    if entry.static and not entry.local and (to is None or to in entry.to):
                        self.delete(entry.mac, to)
            self.tables.reclaim()
            return before - len(self)

    def get(self, mac, default=None):
        """Return the entry of one address, or `default`."""
        cdef uint64_t number = self._address(mac)
        with self.tables.lock:
            self.check()
            value = self._lookup(number)
            return self._entry(number, value) if value.dest != 0 else default

    def __contains__(self, mac):
        return self.get(mac) is not None

    def __getitem__(self, mac):
        found = self.get(mac)
        if found is None:
            raise NotFoundError(f"there is no entry for {format_mac(self._address(mac))}")
        return found

    def __setitem__(self, mac, to):
        if not isinstance(to, FdbEntry):
            self.set(mac, to)
        elif not to.to:
            raise UsageError(f"the entry of {to.mac} points to a port or remote that was removed")
        else:
            with self.tables.lock:
                self.set(mac, to.to[0], static=to.static)
                for remote in to.to[1:]:
                    self.append(mac, remote)

    def __delitem__(self, mac):
        with self.tables.lock:
            self[mac]  # or else NotFoundError
            self.delete(mac)

    def __len__(self):
        self.check()
        return fp_fdb_share_of(self.tables.c.fdb, self.segment).used

    def __iter__(self):
        return iter(self._entries())

    def __eq__(self, other):
        return dict(self.items()) == dict(other.items()) if isinstance(other, Mapping) else NotImplemented

    def keys(self):
        """Return the MAC addresses, in order."""
        return self._entries().keys()

    def values(self):
        """Return the entries, by address."""
        return self._entries().values()

    def items(self):
        """Return (MAC address, entry) of each, by address."""
        return self._entries().items()

    def clear(self):
        """Remove all entries but a port's own addresses."""
        self.flush(static=True)

    def pop(self, mac, *default):
        """Remove an entry and return it. Without `default`, raise NotFoundError (a KeyError) where there is none."""
        with self.tables.lock:
            found = self.get(mac, *default) if default else self[mac]
            if mac in self:
                self.delete(mac)
            return found

    def setdefault(self, mac, to):
        """Return the entry of an address, which is made to point to `to` where there is none."""
        with self.tables.lock:
            if mac not in self:
                self[mac] = to
            return self[mac]

    popitem = MutableMapping.popitem
    update = MutableMapping.update

    def _entries(self):
        cdef fp_fdb_entry entry
        cdef uint64_t cursor = 0
        entries = []
        with self.tables.lock:
            self.check()
            while fp_fdb_next(self.tables.c.fdb, &cursor, &entry):
                if entry.segment == self.segment:
                    entries.append(self._entry(entry.mac, entry.value))
        entries.sort(key=lambda e: e.mac)
        return {each.mac: each for each in entries}

    cdef object _entry(self, uint64_t mac, fp_fdb_value value):
        cdef uint32_t age = (fp_now(self.tables.c) - value.seen) & 0xffffff
        return FdbEntry(
            format_mac(mac),
            self._to(mac, value.dest),
            bool(value.flags & FP_FDB_STATIC),
            bool(value.flags & FP_FDB_LOCAL),
            0 if age > 0x7fffff else age,  # seen by a worker after this moment
        )

    def _spare_local(self, uint64_t mac):
        if self._lookup(mac).flags & FP_FDB_LOCAL:
            raise ConflictError(f"{format_mac(mac)} is a port's own address: it stays while the port has it")

    def _address(self, mac):
        number = parse_mac(mac)
        if number == 0:
            raise UsageError("the all-zeros address stands for the flood list: use add_remote and remove_remote")
        return number

    def _to(self, mac, fp_dest dest):
        cdef uint32_t index = fp_dest_index(dest)
        cdef uint32_t kind = fp_dest_kind(dest)
        if kind == FP_DEST_GROUP:
            return tuple(self._remotes_of(mac))
        if kind == FP_DEST_REMOTE:
            found = remote_at(self.tables, index)
        else:
            found = self.ports.get(index)
        return () if found is None else (found,)

    def _dest(self, to):
        if isinstance(to, Remote):
            if (<Remote>to).tables is not self.tables:
                raise UsageError(f"remote {to.address} belongs to another engine")
            return fp_dest_make(FP_DEST_REMOTE, (<Remote>to).ensure())
        if isinstance(to, Port):
            (<Port>to).check()
            if self.ports.get((<Port>to).c.index) is not to:
                raise UsageError(f"port {to.name} belongs to another segment")
            return fp_dest_make(FP_DEST_PORT, (<Port>to).c.index)
        raise UsageError("an FDB entry points to a Port or a Remote")

    cdef fp_fdb_value _lookup(self, uint64_t mac):
        cdef uint64_t key = fp_fdb_key(self.segment, mac)
        cdef fp_fdb_value value
        fp_fdb_lookup(self.tables.c.fdb, &key, 1, &value)
        return value

    def _remotes_of(self, uint64_t mac):
        if mac in self.groups:
            return self.groups[mac][1]
        cdef fp_dest dest = self._lookup(mac).dest
        if fp_dest_kind(dest) != FP_DEST_REMOTE:
            return []
        found = remote_at(self.tables, fp_dest_index(dest))
        return [found] if found is not None else []

    def _set_group(self, uint64_t mac, list remotes):
        cdef const fp_list *stale
        indices = [(<Remote>r).ensure() for r in remotes]
        index = self.groups[mac][0] if mac in self.groups else self.tables.group_indices.take()
        stale = fp_group_publish(self.tables.c, index, new_list(indices))
        self.groups[mac] = (index, remotes)
        try:
            self.put(mac, fp_dest_make(FP_DEST_GROUP, index), FP_FDB_STATIC)
        except BaseException:
            self.drop_group(mac)
            raise
        self.tables.synchronize()
        free(<void *>stale)

    cdef int drop_group(self, uint64_t mac) except -1:
        """Free the list of destinations of an address, if there is one. The caller removed the entry."""
        cdef const fp_list *stale
        if mac not in self.groups:
            return 0
        index, _ = self.groups.pop(mac)
        stale = fp_group_publish(self.tables.c, index, NULL)
        self.tables.synchronize()
        free(<void *>stale)
        self.tables.group_indices.give_back(index)
        return 0

    cdef int put(self, uint64_t mac, fp_dest dest, uint8_t flags) except -1:
        for _ in range(2):
            if fp_fdb_set(self.tables.c.fdb, fp_fdb_key(self.segment, mac), dest, flags, fp_now(self.tables.c)):
                return 0
            self.tables.reclaim()  # slots that were retired lately may be what is missing
        raise ConflictError(FDB_FULL)

    cdef int set_local(self, uint64_t mac, fp_dest dest) except -1:
        """Set the entry of the address that a port's interface has. Return whether frames to it go there now.

        They do not if a static entry points elsewhere: what was set beats what an interface says of itself.
        """
        cdef fp_fdb_value there = self._lookup(mac)
        if there.flags & FP_FDB_STATIC:
            return there.dest == dest
        self.put(mac, dest, FP_FDB_STATIC | FP_FDB_LOCAL)
        return True

    cdef int forget_local(self, uint64_t mac, fp_dest dest) except -1:
        cdef fp_fdb_value there = self._lookup(mac)
        if there.dest == dest and there.flags & FP_FDB_LOCAL:
            self._retire_mac(mac)
        return 0

    def _retire_mac(self, uint64_t mac):
        cdef fp_fdb_match match
        memset(&match, 0, sizeof(match))
        match.segment = self.segment
        match.mac = mac
        match.has_mac = True
        return fp_fdb_retire(self.tables.c.fdb, &match)

    cdef int retire(self, fp_dest dest, bint learned_only) except -1:
        """Retire the segment's entries that point to `dest` (0: all). The caller reclaims them."""
        cdef fp_fdb_match match
        memset(&match, 0, sizeof(match))
        match.segment = self.segment
        match.dest = dest
        match.learned_only = learned_only
        with nogil:
            fp_fdb_retire(self.tables.c.fdb, &match)
        return 0


MutableMapping.register(Fdb)


def age(Tables tables):
    """Retire every learned entry that is older than its segment's ageing time."""
    cdef uint32_t now = fp_now(tables.c)
    with nogil:
        fp_fdb_age(tables.c.fdb, now)


def retire_remotes(Tables tables, set doomed):
    """Retire every entry, of any segment, that points to one of these remotes."""
    cdef fp_fdb_entry entry
    cdef fp_fdb_match match
    cdef uint64_t cursor = 0
    memset(&match, 0, sizeof(match))
    match.has_mac = True
    while fp_fdb_next(tables.c.fdb, &cursor, &entry):
        if fp_dest_kind(entry.value.dest) == FP_DEST_REMOTE and fp_dest_index(entry.value.dest) in doomed:
            match.segment, match.mac, match.dest = entry.segment, entry.mac, entry.value.dest
            fp_fdb_retire(tables.c.fdb, &match)


def remote_indices(Tables tables):
    """Return the indices of all remotes that FDB entries point to."""
    cdef fp_fdb_entry entry
    cdef uint64_t cursor = 0
    found = set()
    while fp_fdb_next(tables.c.fdb, &cursor, &entry):
        if fp_dest_kind(entry.value.dest) == FP_DEST_REMOTE:
            found.add(fp_dest_index(entry.value.dest))
    return found
