# SPDX-License-Identifier: Apache-2.0
# Packets that arrived: their source, and their frames.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastpath.kernels.tables.remote cimport fp_address
from fastpath.kernels.system cimport c_bool, sockaddr_storage
from fastpath.kernels.tables.tables cimport fp_context, fp_frame, fp_tables


cdef extern from "path/source.h" nogil:
    struct fp_source:
        c_bool known_only
        uint16_t udp_port
        fp_address from_ "from"
    void fp_source_begin(fp_source *source, const fp_tables *tables)
    c_bool fp_source_look(const fp_context *context, fp_source *source, const sockaddr_storage *from_)
    c_bool fp_source_mark(const fp_context *context, fp_source *source, fp_frame *frame)


cdef extern from "path/decap.h" nogil:
    uint32_t fp_train_unit(const fp_tables *tables, const uint8_t *data, uint32_t length, uint32_t size,
                           c_bool kernel_peers)
    uint32_t fp_decap(const fp_context *context, fp_frame *frame, c_bool strict)


cdef extern from "path/routers.h" nogil:
    uint32_t fp_routers_check(const fp_frame *frame)
