# SPDX-License-Identifier: Apache-2.0
# What a port may send: port security, what it refused, and storm control.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.kernels.system cimport c_bool


cdef extern from "security/allowed.h" nogil:
    struct fp_sender:
        uint64_t mac
        uint32_t first
        uint32_t v4
        uint32_t v6
    struct fp_allowed:
        uint32_t senders
        fp_sender *sender
        uint8_t (*address)[16]
    fp_allowed *fp_allowed_new(uint32_t senders, uint32_t addresses)
    void fp_allowed_filled(fp_allowed *allowed)


cdef extern from "security/refused.h" nogil:
    enum:
        FP_REFUSED
    struct fp_refused:
        pass
    c_bool fp_refused_read(const fp_refused *refused, uint32_t i, uint8_t *ip, uint32_t *seen)


cdef extern from "security/storm.h" nogil:
    struct fp_storm:
        uint32_t limit
    void fp_storm_set(fp_storm *storm, uint32_t limit, uint32_t now)
