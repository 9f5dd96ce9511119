# SPDX-License-Identifier: Apache-2.0
"""A table for forwarders in Python: numbers as keys, looked up a burst at a time.

    hosts = Table(4096)
    where = hosts.column(np.uint32, FLOOD)
    where[hosts.add(burst.src_mac)] = burst.port
    burst.out = where[hosts.find(burst.dst_mac)]
"""

import secrets

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

import numpy as np

from fastpath.errors import UsageError

cdef uint32_t EMPTY = 0xFFFFFFFF  # a slot's content

MAX_CAPACITY = 1 << 26


cdef inline uint64_t mix(uint64_t key) noexcept nogil:
    """Return a hash of the key. This is the finaliser of MurmurHash3: every bit of the key affects every bit of it."""
    key ^= key >> 33
    key *= 0xFF51AFD7ED558CCDULL
    key ^= key >> 33
    key *= 0xC4CEB9FE1A85EC53ULL
    return key ^ (key >> 33)


cdef class Table:
    """A map from keys (64-bit numbers) to the `capacity` rows of columns.

    A column is an array with two more elements. Row `capacity` keeps the column's default. `find` returns it for keys
    that are not there, so write only to rows below `capacity`. Row `capacity` + 1 is for keys that found no room: it
    may be written to, and nobody reads it. Rows that were removed have the defaults again.
    """

    cdef readonly int64_t capacity
    cdef uint64_t mask, seed
    cdef object keys_array, slots_array, free_array
    cdef uint64_t[::1] key_of_row
    cdef uint32_t[::1] slot
    cdef int64_t[::1] unused  # rows, the next one to take at the end
    cdef int64_t left
    cdef list columns  # (array, default)
    cdef object used_array
    cdef uint8_t[::1] used  # by row

    def __init__(self, capacity):
        if not 1 <= capacity <= MAX_CAPACITY:
            raise UsageError(f"a table of {capacity} rows: the number must be between 1 and {MAX_CAPACITY}")
        self.capacity = capacity
        slots = 1 << (2 * capacity - 1).bit_length()  # half full at most
        self.mask = slots - 1
        self.seed = secrets.randbits(64)  # so that a sender cannot aim for one neighbourhood
        self.keys_array = np.zeros(capacity + 2, np.uint64)
        self.key_of_row = self.keys_array
        self.slots_array = np.empty(slots, np.uint32)
        self.slot = self.slots_array
        self.free_array = np.empty(capacity, np.int64)
        self.unused = self.free_array
        self.used_array = np.zeros(capacity, np.bool_)
        self.used = self.used_array.view(np.uint8)
        self.columns = []
        self.clear()

    def __len__(self):
        return self.capacity - self.left

    @property
    def keys(self):
        """The key of each row, as a column."""
        view = self.keys_array.view()
        view.flags.writeable = False
        return view

    @property
    def rows(self):
        """The rows that are in use, in order."""
        return np.flatnonzero(self.used_array)

    def column(self, dtype, default=0):
        """Return a new column: an array of `capacity` + 2 elements, all of them `default`."""
        array = np.full(self.capacity + 2, default, dtype)
        self.columns.append((array, default))
        return array

    cdef uint64_t place(self, uint64_t key) noexcept nogil:
        """Return the slot that has the key, or the empty one where it belongs."""
        cdef uint64_t at = mix(key ^ self.seed) & self.mask
        while self.slot[at] != EMPTY and self.key_of_row[self.slot[at]] != key:
            at = (at + 1) & self.mask
        return at

    def find(self, keys):
        """Return the row of each key, and `capacity` for keys that are not there."""
        cdef const uint64_t[::1] wanted = np.ascontiguousarray(keys, np.uint64)
        cdef Py_ssize_t i, count = wanted.shape[0]
        result = np.empty(count, np.int64)
        cdef int64_t[::1] row = result
        cdef uint32_t found
        for i in range(count):
            found = self.slot[self.place(wanted[i])]
            row[i] = self.capacity if found == EMPTY else found
        return result

    def add(self, keys):
        """Return the row of each key. New keys take free rows; without a free row it is `capacity` + 1."""
        cdef const uint64_t[::1] wanted = np.ascontiguousarray(keys, np.uint64)
        cdef Py_ssize_t i, count = wanted.shape[0]
        result = np.empty(count, np.int64)
        cdef int64_t[::1] row = result
        cdef uint64_t at
        for i in range(count):
            at = self.place(wanted[i])
            if self.slot[at] == EMPTY:
                if self.left == 0:
                    row[i] = self.capacity + 1
                    continue
                self.left -= 1
                self.slot[at] = <uint32_t>self.unused[self.left]
                self.key_of_row[self.slot[at]] = wanted[i]
                self.used[self.slot[at]] = 1
            row[i] = self.slot[at]
        return result

    def remove(self, rows):
        """Free these rows. Rows that are not in use are ignored."""
        cdef int64_t row
        doomed = np.unique(np.asarray(rows, np.int64))
        doomed = doomed[(doomed >= 0) & (doomed < self.capacity)]
        doomed = doomed[self.used_array[doomed]]
        for row in doomed.tolist():
            self.vacate(self.place(self.key_of_row[row]))
            self.unused[self.left] = row
            self.left += 1
        self.used_array[doomed] = False
        self.keys_array[doomed] = 0
        for array, default in self.columns:
            array[doomed] = default

    cdef void vacate(self, uint64_t hole) noexcept nogil:
        """Empty a slot, and move up entries that could not be found behind it any more (Knuth 6.4, algorithm R)."""
        cdef uint64_t at = hole, home
        while True:
            at = (at + 1) & self.mask
            if self.slot[at] == EMPTY:
                break
            home = mix(self.key_of_row[self.slot[at]] ^ self.seed) & self.mask
            if ((at - home) & self.mask) >= ((at - hole) & self.mask):
                self.slot[hole] = self.slot[at]
                hole = at
        self.slot[hole] = EMPTY

    def clear(self):
        """Free all rows."""
        self.slots_array.fill(EMPTY)
        self.free_array[:] = np.arange(self.capacity - 1, -1, -1)
        self.left = self.capacity
        self.used_array.fill(False)
        self.keys_array.fill(0)
        for array, default in self.columns:
            array.fill(default)
