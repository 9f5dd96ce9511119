// SPDX-License-Identifier: Apache-2.0
// Records: what a frame's headers say, spread out into fixed columns, for forwarders that are written in
// Python (numpy sees an array of records as a structured array) or compiled from it.
#ifndef FP_RECORD_H
#define FP_RECORD_H

#include <stdint.h>

#include "packet/frame.h"

// Numbers are in host byte order. What a frame does not have is 0. fastpath/forwarder/record.py has the same as a
// numpy type.
struct fp_record {
    uint64_t src_mac, dst_mac; // as numbers: the first byte on the wire is the most significant
    uint64_t src_ip6[2], dst_ip6[2]; // of IPv6: upper and lower half
    uint32_t src_ip, dst_ip; // of IPv4
    uint32_t port; // the port or remote that the frame came from (fp_dest)
    uint32_t out; // the decision (fp_dest)
    uint32_t vni; // of the segment
    uint32_t length; // bytes from the Ethernet header on
    uint32_t segments; // frames that it stands for
    uint32_t flow_hash;
    uint16_t ethertype; // behind VLAN tags
    uint16_t vlan; // the VLAN identifier of the outer tag
    uint16_t src_port, dst_port; // of TCP and UDP
    uint8_t ip_version;
    uint8_t protocol;
    uint8_t tos; // or traffic class
    uint8_t ttl; // or hop limit
    uint8_t fragment; // 1: a part of a packet (the first, too), which has no ports
    uint8_t unused[3];
};

// Fill in a record; `out` becomes undecided (FP_DEST_NONE). The frame has FP_ETHERNET_SIZE bytes at least.
void fp_record_fill(struct fp_record *record, const struct fp_frame *frame, uint32_t vni);

#endif
