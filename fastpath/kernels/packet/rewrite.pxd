# SPDX-License-Identifier: Apache-2.0
# A frame's headers: read as columns, and changed.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.kernels.system cimport c_bool
from fastpath.kernels.tables.tables cimport fp_frame


cdef extern from "packet/record.h" nogil:
    struct fp_record:
        uint64_t src_mac
        uint64_t dst_mac
        uint64_t src_ip6[2]
        uint64_t dst_ip6[2]
        uint32_t src_ip
        uint32_t dst_ip
        uint32_t port
        uint32_t out
        uint32_t vni
        uint32_t length
        uint32_t segments
        uint32_t flow_hash
        uint16_t ethertype
        uint16_t vlan
        uint16_t src_port
        uint16_t dst_port
        uint8_t ip_version
        uint8_t protocol
        uint8_t tos
        uint8_t ttl
        uint8_t fragment
    void fp_record_fill(fp_record *record, const fp_frame *frame, uint32_t vni)


cdef extern from "packet/rewrite.h" nogil:
    enum fp_side:
        FP_SIDE_SOURCE
        FP_SIDE_DESTINATION
    struct fp_room:
        uint8_t *first
        uint8_t *end
    void fp_rewrite_mac(fp_frame *frame, fp_side side, uint64_t mac)
    c_bool fp_rewrite_ip(fp_frame *frame, fp_side side, uint8_t version, const uint8_t *address)
    c_bool fp_rewrite_port(fp_frame *frame, fp_side side, uint16_t port)
    c_bool fp_rewrite_ttl(fp_frame *frame)
    c_bool fp_rewrite_push_vlan(fp_frame *frame, uint16_t vlan, const fp_room *room)
    c_bool fp_rewrite_pop_vlan(fp_frame *frame)
    c_bool fp_rewrite_replace(fp_frame *frame, const uint8_t *data, uint32_t length, const fp_room *room)
    c_bool fp_rewrite_settle(fp_frame *frame)
