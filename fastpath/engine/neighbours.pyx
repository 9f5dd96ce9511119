# SPDX-License-Identifier: Apache-2.0
"""IP addresses in a segment for which the engine answers ARP and neighbour discovery (src/forward/respond.h)."""

from collections.abc import Mapping, MutableMapping

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.kernels.tables.directory cimport (
    FP_NEIGHBOUR_ROUTER,
    fp_directory_delete,
    fp_directory_entry,
    fp_directory_get,
    fp_directory_next,
)
from fastpath.kernels.tables.tables cimport fp_segment
from fastpath.engine.tables cimport Tables

from fastpath.addresses import format_mac, from_wire, is_group, parse_host, parse_mac, to_wire
from fastpath.errors import ConflictError, NotFoundError, UsageError


cdef class Neighbours:
    """The neighbours of one segment: a MutableMapping of IP addresses, IPv4Address or IPv6Address, to MAC addresses.

    An IP address is given as text or as an object of `ipaddress`, a MAC address as text, number or 6 bytes. Made by the
    segment.
    """

    def __init__(self):
        raise TypeError("neighbours belong to a segment: Segment.neighbours")

    cdef int check(self) except -1:
        if self.segment == NULL:
            raise ConflictError("the segment that these neighbours belong to was removed")
        return 0

    def set(self, address, mac, *, bint router=False):
        """Answer requests for `address` with `mac`, if the FDB has an entry for that.

        This replaces an earlier answer. `router` marks a router, for IPv6. Raise ConflictError if the engine has as
        many neighbours as it may have.
        """
        cdef bytes ip = to_wire(parse_host(address))
        cdef uint64_t number = parse_mac(mac)
        if number == 0 or is_group(number):
            raise UsageError(f"{format_mac(number)} is not the address of one host")
        if router:
            number |= FP_NEIGHBOUR_ROUTER
        with self.tables.lock:
            self.check()
            if self.tables.enter(self.tables.c.neighbours, self.segment.index, ip, number):
                self.segment.neighbours = self.segment.neighbours + 1

    def delete(self, address):
        """Stop answering for `address`. Raise ConflictError if it is no neighbour."""
        cdef bytes ip = to_wire(parse_host(address))
        with self.tables.lock:
            self.check()
            if not fp_directory_delete(self.tables.c.neighbours, self.segment.index, <const uint8_t *><const char *>ip):
                raise ConflictError(f"{address} is not a neighbour")
            self.segment.neighbours = self.segment.neighbours - 1

    def get(self, address, default=None):
        """Return the MAC address that is given as the answer, or `default`."""
        cdef bytes ip = to_wire(parse_host(address))
        cdef uint64_t number
        with self.tables.lock:
            self.check()
            number = fp_directory_get(self.tables.c.neighbours, self.segment.index, <const uint8_t *><const char *>ip)
        return format_mac(number & ~FP_NEIGHBOUR_ROUTER) if number != 0 else default

    def __len__(self):
        with self.tables.lock:
            self.check()
            return self.segment.neighbours

    def __contains__(self, address):
        return self.get(address) is not None

    def __getitem__(self, address):
        found = self.get(address)
        if found is None:
            raise NotFoundError(f"{address} is not a neighbour")
        return found

    def __setitem__(self, address, mac):
        self.set(address, mac)

    def __delitem__(self, address):
        with self.tables.lock:
            self[address]  # or else NotFoundError
            self.delete(address)

    def __iter__(self):
        return iter(self._snapshot())

    def __eq__(self, other):
        return dict(self.items()) == dict(other.items()) if isinstance(other, Mapping) else NotImplemented

    def keys(self):
        """Return the addresses, in order."""
        return self._snapshot().keys()

    def values(self):
        """Return the MAC addresses, by address."""
        return self._snapshot().values()

    def items(self):
        """Return (address, MAC address) of each, by address."""
        return self._snapshot().items()

    def pop(self, address, *default):
        """Remove a neighbour and return its MAC address. Without `default`, raise NotFoundError (a KeyError) where
        there is none."""
        with self.tables.lock:
            found = self.get(address, *default) if default else self[address]
            if address in self:
                self.delete(address)
            return found

    def setdefault(self, address, mac):
        """Return the MAC address of a neighbour, which is set to `mac` where there is none."""
        with self.tables.lock:
            if address not in self:
                self[address] = mac
            return self[address]

    popitem = MutableMapping.popitem
    clear = MutableMapping.clear
    update = MutableMapping.update

    def _snapshot(self):
        with self.tables.lock:
            self.check()
            found = sorted(self._entries())
        return {from_wire(ip): format_mac(number & ~FP_NEIGHBOUR_ROUTER) for ip, number in found}

    def _entries(self):
        cdef fp_directory_entry entry
        cdef uint32_t cursor = 0
        found = []
        while fp_directory_next(self.tables.c.neighbours, &cursor, &entry):
            if entry.segment == self.segment.index:
                found.append(((<char *>entry.ip)[:16], entry.number))
        return found

    cdef int close(self) except -1:
        """Remove all neighbours of the segment, which is being removed."""
        cdef bytes ip
        if self.segment == NULL:
            return 0
        for ip, _ in self._entries() if self.segment.neighbours else ():
            fp_directory_delete(self.tables.c.neighbours, self.segment.index, <const uint8_t *><const char *>ip)
        self.segment.neighbours = 0
        self.segment = NULL
        return 0


MutableMapping.register(Neighbours)


cdef Neighbours neighbours_of(Tables tables, fp_segment *segment):
    cdef Neighbours result = Neighbours.__new__(Neighbours)
    result.tables = tables
    result.segment = segment
    return result
