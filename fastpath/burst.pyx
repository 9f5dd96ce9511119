# SPDX-License-Identifier: Apache-2.0
"""Bursts, as forwarders in Python see them: columns of numpy over the frames' headers, and their bytes."""

from libc.stdint cimport uint8_t, uint32_t

import numpy as np

from fastpath.kernels cimport FP_DEFERRED_BURST, FP_DEST_PORT, FP_DEST_REMOTE, fp_dest_kind, fp_frame, fp_record

from fastpath.record import COLUMNS, RECORD

FROM = 28  # by how many bits the kind of a port or remote is shifted

assert sizeof(fp_record) == RECORD.itemsize, "record.py and src/record.h differ"


cdef class FrameBytes:
    """The buffer behind a memoryview of a frame. It keeps the memory alive, not what stands in it."""

    cdef uint8_t *data
    cdef Py_ssize_t shape[1]
    cdef Py_ssize_t strides[1]
    cdef bint writable
    cdef object owner

    def __getbuffer__(self, Py_buffer *view, int flags):
        if flags & 0x0001 and not self.writable:  # PyBUF_WRITABLE
            raise BufferError("this forwarder does not say that it rewrites frames")
        view.buf = self.data
        view.obj = self
        view.len = self.shape[0]
        view.readonly = not self.writable
        view.itemsize = 1
        view.format = "B"
        view.ndim = 1
        view.shape = self.shape
        view.strides = self.strides
        view.suboffsets = NULL
        view.internal = NULL


cdef class Burst:
    """Up to 256 frames on which a forwarder has to decide. Every column of `record.RECORD` is an attribute,
    an array with an element for each frame; `out` is to be filled in. What is seen through it stays
    valid until `forward` returns. `now` is the time in seconds, from any beginning.
    """

    def __cinit__(self, owner):
        cdef uint8_t[::1] memory
        self.owner = owner
        self.array = np.zeros(FP_DEFERRED_BURST, RECORD)
        memory = self.array.view(np.uint8)
        self.record = <fp_record *>&memory[0]
        self.copies = []
        self.columns = {}
        self.present = {}
        for name in COLUMNS:
            column = self.array[name]
            column.flags.writeable = name == "out"
            self.columns[name] = column

    cdef void begin(self, fp_frame *frames, const uint32_t *place, uint32_t count, bint writable, double now):
        if count != self.count:
            self.present = {}
        self.frames, self.place, self.count = frames, place, count
        self.writable, self.now = writable, now

    cdef void end(self):
        self.count = 0
        self.present = {}

    def __len__(self):
        return self.count

    @property
    def records(self):
        """All columns, as one structured array that may not be written to."""
        view = self.array[: self.count]
        view.flags.writeable = False
        return view

    def __getattr__(self, name):
        column = self.present.get(name)
        if column is None:
            if name not in self.columns:
                raise AttributeError(f"a burst has no column {name}: there are {', '.join(COLUMNS)}")
            column = self.present[name] = self.columns[name][: self.count]
        return column

    @property
    def out(self):
        """Where each frame goes: a port's or remote's number, FLOOD, DROP, a reason of one's own, or PASS
        (the default): the next forwarder of the chain decides."""
        return self.__getattr__("out")

    @out.setter
    def out(self, value):
        self.__getattr__("out")[...] = value

    @property
    def from_port(self):
        """Which frames came from a port, not from a remote."""
        return self.port >> FROM == FP_DEST_PORT

    @property
    def from_remote(self):
        """Which frames came from a remote."""
        return self.port >> FROM == FP_DEST_REMOTE

    @property
    def to_remote(self):
        """Which frames go to one remote, as `out` says now."""
        return self.out >> FROM == FP_DEST_REMOTE

    cdef list where(self, which):
        """The indices that a mask, an array of indices or one index stands for. Raises IndexError."""
        cdef Py_ssize_t i
        found = np.atleast_1d(np.asarray(which))
        if found.dtype == np.bool_:
            if len(found) != self.count:
                raise IndexError(f"a mask of {len(found)} for a burst of {self.count} frames")
            found = np.flatnonzero(found)
        cdef list indices = found.tolist()
        for i in indices:
            if not 0 <= i < self.count:
                raise IndexError(f"there is no frame {i} in a burst of {self.count}")
        return indices

    def frame(self, Py_ssize_t i):
        """The bytes of frame `i` from its Ethernet header on, as a memoryview; it can be written to if the
        forwarder `rewrites`. A checksum may be unfinished, and a frame stand for many (`segments`)."""
        cdef FrameBytes result
        cdef fp_frame *frame
        if not 0 <= i < self.count:
            raise IndexError(f"there is no frame {i} in a burst of {self.count}")
        frame = &self.frames[self.place[i]]
        result = FrameBytes.__new__(FrameBytes)
        result.data = frame.data
        result.shape[0] = frame.length
        result.strides[0] = 1
        result.writable = self.writable
        result.owner = self.owner
        return memoryview(result)

    def copy(self, which, to):
        """Send copies of frames to a port or remote besides. They show the frame as it leaves the forwarder."""
        cdef uint32_t target = to
        for i in self.where(which):
            self.copies.append((self.place[i], target))
