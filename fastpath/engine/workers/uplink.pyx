# SPDX-License-Identifier: Apache-2.0
"""The sending side of a worker (src/path/uplink.h)."""

import os
import socket

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free

from fastpath.kernels.system cimport aligned_alloc
from fastpath.kernels.tables.tables cimport FP_UPLINK_MEMORY
from fastpath.kernels.io.udp cimport fp_udp_out


def udp_port_of(fd):
    """Return the UDP port that a socket is bound to."""
    with socket.socket(fileno=os.dup(fd)) as copy:
        return copy.getsockname()[1]


cdef class Uplink:
    """Sends by these sockets (file descriptors), which the caller closes. `gso` allows trains of packets. What does not
    fit the path, and nobody can be told, leaves by the socket `fragments`, if there is one (-1: none).

    One thread at a time may use it.
    """

    def __cinit__(self, list send, *, int family, bint gso, int fragments=-1):
        self.c.outlets = len(send)
        self.c.outlet = <fp_udp_out *>calloc(max(1, len(send)), sizeof(fp_udp_out))
        self.c.memory = <uint8_t *>aligned_alloc(64, FP_UPLINK_MEMORY)
        if self.c.outlet == NULL or self.c.memory == NULL:
            raise MemoryError
        for i, fd in enumerate(send):
            self.c.outlet[i].fd = fd
            self.c.outlet[i].family = family
            self.c.outlet[i].udp_port = udp_port_of(fd)
            self.c.outlet[i].gso = gso
        if fragments >= 0:
            self.c.fragments = <fp_udp_out *>calloc(1, sizeof(fp_udp_out))
            if self.c.fragments == NULL:
                raise MemoryError
            self.c.fragments.fd = fragments
            self.c.fragments.family = family
            self.c.fragments.udp_port = udp_port_of(fragments)

    def __dealloc__(self):
        free(self.c.outlet)
        free(self.c.fragments)
        free(self.c.memory)
