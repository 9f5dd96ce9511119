# SPDX-License-Identifier: Apache-2.0
# TAP interfaces.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.kernels.system cimport c_bool
from fastpath.kernels.tables.tables cimport fp_frame


cdef extern from "io/tap.h" nogil:
    enum:
        FP_TAP_ROOM
    int fp_tap_setup(int fd, c_bool tcp, c_bool udp)
    int fp_tap_name(int fd, char *name)
    int fp_tap_mac(int fd, uint64_t *mac)
    uint32_t fp_tap_read(int fd, fp_frame *frames, uint32_t room, uint8_t *memory, uint32_t size, int *error)
