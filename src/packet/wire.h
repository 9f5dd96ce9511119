// SPDX-License-Identifier: Apache-2.0
// Wire formats: where the fields of Ethernet, IP, UDP, TCP and VXLAN headers lie, and the only
// functions that read or write multi-byte fields (big-endian, any alignment).
//
// The VXLAN header, RFC 7348 section 5 (8 bytes, between the outer UDP header and the inner frame):
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |R|R|R|R|I|R|R|R|            Reserved                           |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                VXLAN Network Identifier (VNI) |   Reserved    |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#ifndef FP_WIRE_H
#define FP_WIRE_H

#include <stdint.h>
#include <string.h>

enum {
    FP_MAC_SIZE = 6,
    FP_ETHERNET_SIZE = 14, // destination 0, source 6, EtherType 12
    FP_VLAN_SIZE = 4, // IEEE 802.1Q tag: control information, then the next EtherType
    FP_VXLAN_SIZE = 8,
    FP_VNI_MAX = 0xffffff,

    FP_ETHERTYPE_IPV4 = 0x0800,
    FP_ETHERTYPE_ARP = 0x0806,
    FP_ETHERTYPE_VLAN = 0x8100,
    FP_ETHERTYPE_QINQ = 0x88a8,
    FP_ETHERTYPE_IPV6 = 0x86dd,

    FP_IPV4_SIZE = 20, // without options, RFC 791 section 3.1
    FP_IPV4_TOS = 1, //
    FP_IPV4_LENGTH = 2, //
    FP_IPV4_ID = 4, //
    FP_IPV4_FRAGMENT = 6, // flags and fragment offset
    FP_IPV4_PROTOCOL = 9, //
    FP_IPV4_CHECKSUM = 10,
    FP_IPV4_SOURCE = 12, // followed by the destination

    FP_IPV6_SIZE = 40, // RFC 8200 section 3
    FP_IPV6_MIN_MTU = 1280, // RFC 8200 section 5
    FP_IPV6_LENGTH = 4,
    FP_IPV6_NEXT = 6,
    FP_IPV6_SOURCE = 8, // followed by the destination

    FP_PROTOCOL_ICMP = 1,
    FP_PROTOCOL_TCP = 6,
    FP_PROTOCOL_UDP = 17,
    FP_PROTOCOL_ICMPV6 = 58,

    FP_TCP_SIZE = 20, // without options, RFC 9293 section 3.1
    FP_TCP_SEQUENCE = 4,
    FP_TCP_ACKNOWLEDGMENT = 8,
    FP_TCP_OFFSET = 12,
    FP_TCP_FLAGS = 13,
    FP_TCP_CHECKSUM = 16,
    FP_TCP_FIN = 0x01,
    FP_TCP_PSH = 0x08,
    FP_TCP_ACK = 0x10,
    FP_TCP_CWR = 0x80,

    FP_UDP_SIZE = 8, // RFC 768
    FP_UDP_LENGTH = 4,
    FP_UDP_CHECKSUM = 6,
};

#define FP_VXLAN_FLAG_I UINT32_C(0x08000000) // "the VNI is valid"
// Of VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe section 3.1): the version, P and O say that no Ethernet frame follows.
#define FP_VXLAN_FLAGS_GPE UINT32_C(0x35000000)

static inline uint16_t fp_load_be16(const uint8_t *at) {
    return (uint16_t)((at[0] << 8) | at[1]);
}

static inline uint32_t fp_load_be32(const uint8_t *at) {
    return ((uint32_t)at[0] << 24) | ((uint32_t)at[1] << 16) | ((uint32_t)at[2] << 8) | at[3];
}

static inline void fp_store_be16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void fp_store_be32(uint8_t *at, uint32_t value) {
    fp_store_be16(at, (uint16_t)(value >> 16));
    fp_store_be16(at + 2, (uint16_t)value);
}

// The 48-bit address at `at` as a number: the first byte on the wire is the most significant.
static inline uint64_t fp_load_mac(const uint8_t *at) {
    return ((uint64_t)fp_load_be16(at) << 32) | fp_load_be32(at + 2);
}

static inline void fp_store_mac(uint8_t *at, uint64_t mac) {
    fp_store_be16(at, (uint16_t)(mac >> 32));
    fp_store_be32(at + 2, (uint32_t)mac);
}

static inline int fp_mac_is_multicast(uint64_t mac) {
    return (mac >> 40) & 1;
}

// VXLAN header accessors. `header` points to FP_VXLAN_SIZE readable (writable) bytes.
static inline uint32_t fp_vxlan_flags(const uint8_t *header) {
    return fp_load_be32(header);
}

static inline uint32_t fp_vxlan_vni(const uint8_t *header) {
    return fp_load_be32(header + 4) >> 8;
}

static inline void fp_vxlan_write(uint8_t *header, uint32_t vni) {
    fp_store_be32(header, FP_VXLAN_FLAG_I);
    fp_store_be32(header + 4, vni << 8);
}

#endif
