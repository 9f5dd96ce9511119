// SPDX-License-Identifier: Apache-2.0
// The inner flow: a frame's headers are parsed once, when it enters, and everybody reads the result.
#ifndef FP_FLOW_H
#define FP_FLOW_H

#include <stdbool.h>
#include <stdint.h>

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

#endif
