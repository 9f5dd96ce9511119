# SPDX-License-Identifier: Apache-2.0
# Messages in and out of UDP sockets, and their outer headers.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.kernels.packet.dest cimport FP_BURST
from fastpath.kernels.system cimport c_bool, sockaddr_storage


cdef extern from "io/udp.h" nogil:
    struct fp_arrival:
        uint8_t *data
        uint32_t length
        uint32_t size
        uint8_t tos
    struct fp_udp_in:
        sockaddr_storage from_ "from"[FP_BURST]
        fp_arrival arrival[FP_BURST]
    struct fp_udp_out:
        int fd
        int family
        uint16_t udp_port
        c_bool gso
    int fp_udp_receive(int fd, fp_udp_in *inlet, uint8_t *buffers, size_t stride, uint32_t room)


cdef extern from "monitor/outer.h" nogil:
    struct fp_outer:
        sockaddr_storage from_ "from"
        uint8_t *payload
        uint32_t length
        uint16_t udp_port
        uint8_t tos
    c_bool fp_outer_knows(uint16_t link)
    c_bool fp_outer_parse(uint8_t *data, uint32_t length, uint16_t link, fp_outer *outer)
