// SPDX-License-Identifier: Apache-2.0
// What a router tells the sender of a packet that does not fit the way on: ICMP "fragmentation needed" (RFC 792,
// RFC 1191 section 4) or ICMPv6 "packet too big" (RFC 4443 section 3.2).
#ifndef FP_ICMP_H
#define FP_ICMP_H

#include <stdint.h>

#include "packet/flow.h"
#include "packet/frame.h"
#include "packet/wire.h"

enum {
    // Ethernet header, tags, and the largest ICMPv6 error: it must fit the least MTU of IPv6.
    FP_ICMP_TOO_BIG_SIZE = FP_ETHERNET_SIZE + FP_FLOW_VLAN_TAGS * FP_VLAN_SIZE + FP_IPV6_MIN_MTU,
};

// Write the answer to a frame whose IP packet (of a super-frame: its longest segment's) has `size` bytes, where the
// way on takes `mtu` bytes. `to` has room for FP_ICMP_TOO_BIG_SIZE bytes. Return the length of the answer, a frame
// with the question's tags and with finished checksums.
//
// It comes from the packet's destination: a bridge has no address of its own, and the kernel's vxlan device under a
// bridge does the same (net/ipv4/ip_tunnel_core.c).
//
// Return 0 if the sender must not be told, or it would be of no use: no IP packet, IPv4 without DF, multicast and
// broadcast, later fragments, ICMP errors (RFC 1122 section 3.2.2, RFC 4443 section 2.4), an IPv6 packet of up to
// 1,280 bytes, and what hides its kind.
uint32_t fp_icmp_too_big(uint8_t *to, const struct fp_frame *frame, uint32_t size, uint32_t mtu);

#endif
