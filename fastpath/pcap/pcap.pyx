# SPDX-License-Identifier: Apache-2.0
"""A reader of capture files, piece by piece (src/pcap/pcap.h)."""

from collections import namedtuple

from cpython.buffer cimport PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from fastpath.kernels.packet.dest cimport FP_HEADROOM
from fastpath.kernels.pcap.pcap cimport (
    FP_PCAP_DAMAGED,
    FP_PCAP_END,
    FP_PCAP_MEMORY,
    FP_PCAP_MORE,
    FP_PCAP_RECORD,
    fp_pcap,
    fp_pcap_added,
    fp_pcap_init,
    fp_pcap_interface,
    fp_pcap_next,
    fp_pcap_record,
    fp_pcap_room,
)
from fastpath.kernels.system cimport aligned_alloc

from fastpath.errors import UsageError

# What is read at once: little enough to stay in a core's cache, and always as much, whatever a pipe
# brings, so that a capture is cut into the same bursts every time.
PIECE = 256 << 10

Record = namedtuple("Record", "interface linktype time_ns data original outbound", module=__name__)


cdef class CaptureReader:
    """Reads a pcap or pcapng file or pipe.

    `file` is open for reading bytes, unbuffered; `name` is its name in errors. Up to `memory` bytes are kept, and
    `piece` bytes are read at once.

    Iterating yields Records, for tests and inspection; a replay reads them without Python. Raise UsageError, with one
    line that has the position, if it is no capture file or is damaged.
    """

    def __cinit__(self, file, str name not None, *, uint32_t piece=PIECE, uint32_t memory=FP_PCAP_MEMORY):
        if not 1 <= piece <= memory or memory < FP_PCAP_MEMORY:
            raise ValueError("too little memory for the longest record")
        self.file = file
        self.name = name
        self.piece = piece
        self.c = <fp_pcap *>calloc(1, sizeof(fp_pcap))
        self.memory = <uint8_t *>aligned_alloc(64, (FP_HEADROOM + memory + 63) & ~63)
        if self.c == NULL or self.memory == NULL:
            raise MemoryError
        fp_pcap_init(self.c, self.memory + FP_HEADROOM, memory)

    def __dealloc__(self):
        free(self.c)
        free(self.memory)

    @property
    def offset(self):
        """The number of bytes that were read from the file and parsed."""
        return self.c.offset

    @property
    def cut(self):
        """Whether the file ended within a record, as it does when a capture was killed."""
        return bool(self.c.cut)

    cdef object damage(self):
        return UsageError(f"{self.name}: {self.c.problem.decode()} (byte {self.c.offset})")

    def fill(self):
        """Read the next piece. Frames of the last one are no longer valid."""
        cdef uint32_t room, got, done = 0
        cdef uint8_t *to = fp_pcap_room(self.c, &room)
        room = min(room, self.piece)
        view = PyMemoryView_FromMemory(<char *>to, room, PyBUF_WRITE)
        while done < room:
            got = self.file.readinto(view[done:])
            if got == 0:
                break
            done += got
        fp_pcap_added(self.c, done)

    def __iter__(self):
        cdef fp_pcap_record record
        cdef fp_pcap_interface *interface
        cdef int status
        while True:
            status = fp_pcap_next(self.c, &record)
            if status == FP_PCAP_RECORD:
                interface = &self.c.interface[record.interface]
                yield Record(
                    interface.name[:interface.name_length].decode(errors="replace"), interface.linktype,
                    record.time_ns, (<char *>record.data)[:record.length], record.original, bool(record.outbound),
                )
            elif status == FP_PCAP_MORE:
                self.fill()
            elif status == FP_PCAP_DAMAGED:
                raise self.damage()
            elif status == FP_PCAP_END:
                return
