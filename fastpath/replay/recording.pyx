# SPDX-License-Identifier: Apache-2.0
"""The output of a replay, as a pcapng file (src/pcap/pcap_out.h)."""

import os

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastpath.kernels.pcap.pcap cimport FP_PCAP_OUT_MEMORY, fp_pcap_out, fp_pcap_out_flush, fp_pcap_out_init
from fastpath.kernels.tables.remote cimport FP_REMOTES, fp_remote
from fastpath.kernels.tables.tables cimport FP_PORTS, fp_sink
from fastpath.engine.ports.port cimport Port

from fastpath.addresses import from_wire, to_wire
from fastpath.engine.captures.captured import LINKTYPE_RAW
from fastpath.pcap.pcapng import PcapngWriter


cdef uint32_t describe_remote(fp_pcap_out *self, const fp_remote *remote) noexcept nogil:
    with gil:
        return (<Recording>self.owner).describe(remote)


cdef class Recording:
    """Writes to `file`, which is open for writing bytes, unbuffered, and has a file descriptor.

    Each port is an interface with frames, and each remote one with packets from `local` (unspecified: 0.0.0.0 or ::).
    """

    def __cinit__(self, file, local=None):
        cdef bytes source = bytes(16) if local is None else to_wire(local)
        self.file = file
        self.writer = PcapngWriter(file)
        self.c = <fp_pcap_out *>calloc(1, sizeof(fp_pcap_out))
        if self.c == NULL:
            raise MemoryError
        self.c.memory = <uint8_t *>calloc(1, FP_PCAP_OUT_MEMORY)
        self.c.port = <uint32_t *>calloc(FP_PORTS, sizeof(uint32_t))
        self.c.remote = <uint32_t *>calloc(FP_REMOTES, sizeof(uint32_t))
        if self.c.memory == NULL or self.c.port == NULL or self.c.remote == NULL:
            raise MemoryError
        fp_pcap_out_init(self.c)
        self.c.fd = file.fileno()
        self.c.describe = describe_remote
        self.c.owner = <void *>self
        memcpy(self.c.local.ip, <const char *>source, 16)

    def __dealloc__(self):
        if self.c != NULL:
            free(self.c.memory)
            free(self.c.port)
            free(self.c.remote)
        free(self.c)

    cdef const fp_sink *sink(self) noexcept:
        return &self.c.sink

    cdef int add_port(self, Port port, str name) except -1:
        self.flush()
        self.c.port[port.c.index] = 1 + <uint32_t>self.writer.interface(name)
        return 0

    cdef uint32_t describe(self, const fp_remote *remote) noexcept with gil:
        """Describe a remote before its first packet. Return 1 + the number of its interface, or 0 after an error."""
        if self.failure is not None:
            return 0
        try:
            self.flush()
            address = from_wire((<char *>remote.address.ip)[:16])
            return 1 + <uint32_t>self.writer.interface(f"remote {address} port {remote.address.udp_port}", LINKTYPE_RAW)
        except Exception as error:  # told by the next flush
            self.failure = error
            return 0

    def flush(self):
        """Write the buffered data. Raise OSError if anything could not be written up to now."""
        if self.failure is not None:
            raise self.failure
        error = fp_pcap_out_flush(self.c)
        if error:
            raise OSError(error, os.strerror(error), getattr(self.file, "name", None))
