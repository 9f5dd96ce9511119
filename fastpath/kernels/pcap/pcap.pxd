# SPDX-License-Identifier: Apache-2.0
# Capture files, read and written.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.kernels.tables.remote cimport fp_address, fp_remote
from fastpath.kernels.system cimport c_bool
from fastpath.kernels.tables.tables cimport fp_sink


cdef extern from "pcap/pcap_reader.h" nogil:
    enum:
        FP_PCAP_MEMORY
        FP_PCAP_INTERFACES
        FP_PCAP_ETHERNET
        FP_PCAP_FRONT
        FP_PCAP_RECORD
        FP_PCAP_DESCRIPTION
        FP_PCAP_MORE
        FP_PCAP_END
        FP_PCAP_DAMAGED
        FP_PCAP_NG
    struct fp_pcap_interface:
        uint16_t linktype
        uint32_t name_length
        char *name
    struct fp_pcap_record:
        uint8_t *data
        uint32_t length
        uint32_t original
        uint32_t interface
        c_bool outbound
        uint64_t time_ns
    struct fp_pcap:
        uint64_t offset
        int format
        c_bool cut
        uint64_t odd
        const char *problem
        uint32_t interfaces
        fp_pcap_interface *interface
    void fp_pcap_init(fp_pcap *pcap, uint8_t *memory, uint32_t size)
    uint8_t *fp_pcap_room(fp_pcap *pcap, uint32_t *size)
    void fp_pcap_added(fp_pcap *pcap, uint32_t size)


cdef extern from "pcap/pcap.h" nogil:
    int fp_pcap_next(fp_pcap *pcap, fp_pcap_record *record)


cdef extern from "pcap/pcap_out.h" nogil:
    enum:
        FP_PCAP_OUT_MEMORY
    struct fp_pcap_out:
        fp_sink sink
        int fd
        uint8_t *memory
        uint32_t *port
        uint32_t *remote
        fp_address local
        uint32_t (*describe)(fp_pcap_out *self, const fp_remote *remote) noexcept
        void *owner
    void fp_pcap_out_init(fp_pcap_out *out)
    int fp_pcap_out_flush(fp_pcap_out *out)
