// SPDX-License-Identifier: Apache-2.0
// Where the fields of ARP (RFC 826, for Ethernet and IPv4) and of ICMPv6's neighbour discovery (RFC 4861)
// lie: offsets from the ARP packet, and from the ICMPv6 header.
#ifndef FP_NEIGHBOUR_H
#define FP_NEIGHBOUR_H

enum {
    FP_ARP_HARDWARE = 0,
    FP_ARP_PROTOCOL = 2,
    FP_ARP_SIZES = 4, // of the two kinds of addresses, a byte each
    FP_ARP_OPERATION = 6,
    FP_ARP_SENDER_MAC = 8,
    FP_ARP_SENDER_IP = 14,
    FP_ARP_TARGET_MAC = 18,
    FP_ARP_TARGET_IP = 24,
    FP_ARP_SIZE = 28,
    FP_ARP_ETHERNET = 1,
    FP_ARP_REQUEST = 1,
    FP_ARP_REPLY = 2,

    FP_ICMP6_CODE = 1,
    FP_ICMP6_CHECKSUM = 2,
    FP_MLD_REPORT = 131, // RFC 2710
    FP_MLD_DONE = 132,
    FP_MLD2_REPORT = 143, // RFC 3810

    FP_ND_FLAGS = 4,
    FP_ND_TARGET = 8,
    FP_ND_OPTIONS = 24, // of solicitations and advertisements, behind the target
    FP_ND_ROUTER_OPTIONS = 8, // of router solicitations
    FP_ND_ROUTER_SOLICIT = 133,
    FP_ND_ROUTER_ADVERTISE = 134,
    FP_ND_SOLICIT = 135,
    FP_ND_ADVERTISE = 136,
    FP_ND_REDIRECT = 137,
    FP_ND_SOURCE_MAC = 1, // options
    FP_ND_TARGET_MAC = 2,
};

#endif
