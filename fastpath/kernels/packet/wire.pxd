# SPDX-License-Identifier: Apache-2.0
# Numbers and headers in frames and packets.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastpath.kernels.system cimport c_bool


cdef extern from "packet/wire.h" nogil:
    enum:
        FP_MAC_SIZE
        FP_ETHERNET_SIZE
        FP_VXLAN_SIZE
        FP_PROTOCOL_TCP
        FP_PROTOCOL_UDP
        FP_TCP_CHECKSUM
        FP_UDP_CHECKSUM
    uint16_t fp_load_be16(const uint8_t *at)
    uint32_t fp_load_be32(const uint8_t *at)
    uint64_t fp_load_mac(const uint8_t *at)
    c_bool fp_mac_is_multicast(uint64_t mac)
    uint32_t FP_VXLAN_FLAG_I
    uint32_t fp_vxlan_flags(const uint8_t *header)
    uint32_t fp_vxlan_vni(const uint8_t *header)
    void fp_vxlan_write(uint8_t *header, uint32_t vni)


cdef extern from "packet/flow.h" nogil:
    struct fp_flow:
        uint16_t network
        uint16_t transport
        uint32_t end
        uint8_t version
        uint8_t protocol
        uint8_t tos
        c_bool fragment
        uint32_t hash
    void fp_flow_parse(const uint8_t *frame, uint32_t length, fp_flow *flow)
    void fp_flow_parse_captured(const uint8_t *frame, uint32_t length, fp_flow *flow)
