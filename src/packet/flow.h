// SPDX-License-Identifier: Apache-2.0
// The inner flow: a frame's headers are parsed once, when it enters, and everybody reads the result.
#ifndef FP_FLOW_H
#define FP_FLOW_H

#include <stdbool.h>
#include <stdint.h>

enum { FP_FLOW_VLAN_TAGS = 2, FP_FLOW_CAPTURED_TAGS = 16 }; // as many are looked behind

struct fp_flow {
    uint16_t network; // offset of the IP header from the Ethernet header; 0: not an IP packet
    uint16_t
        transport; // offset of the TCP, UDP, … header; 0: none to be read (fragment, malformed)
    uint32_t end; // offset just behind the IP packet: what follows is Ethernet padding
    uint8_t version; // 4, 6, or 0 where `network` is 0
    uint8_t protocol; // IANA protocol number of the transport header
    uint8_t tos; // IPv4 TOS or IPv6 traffic class
    bool fragment; // part of a fragmented packet (the first one too)
    uint32_t hash; // equal for all frames of a flow; from addresses, protocol and ports
};

// Parse `length` bytes that begin with an Ethernet header. Any input is fine: what can't be parsed
// yields offsets of 0 and a hash over the Ethernet header. Reads never pass `length`.
void fp_flow_parse(const uint8_t *frame, uint32_t length, struct fp_flow *flow);

// The same for a frame from a capture file, with what captures have: a length of 0, since the sender's card filled it
// in, or one that is greater than what is there, since the packet was cut; and more tags. What such a frame would do to a
// network nobody knows, but an access list has to see it.
void fp_flow_parse_captured(const uint8_t *frame, uint32_t length, struct fp_flow *flow);

// What an IPv6 packet without `transport` carries.
enum fp_upper_kind {
    FP_UPPER_READ, // TCP, UDP or ICMPv6, in a first fragment; one byte of it at least is there
    FP_UPPER_OTHER, // another protocol
    FP_UPPER_LATER, // a fragment without its header: not the first one
    FP_UPPER_HIDDEN, // nobody knows: extension headers are cut off, or too many, or there is nothing else
};

struct fp_upper {
    uint32_t at; // offset from the Ethernet header
    uint8_t protocol; // IANA protocol number
};

// Look for it, behind the header of a first fragment, too. `upper` is set for FP_UPPER_READ and
// FP_UPPER_OTHER.
enum fp_upper_kind fp_flow_upper(const uint8_t *frame, const struct fp_flow *flow,
                                 struct fp_upper *upper);

#endif
