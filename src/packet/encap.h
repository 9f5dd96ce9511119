// SPDX-License-Identifier: Apache-2.0
// Encapsulation: inner frame -> VXLAN packet (RFC 7348 section 5).
#ifndef FP_ENCAP_H
#define FP_ENCAP_H

#include <stdbool.h>
#include <stdint.h>

#include "counters/tally.h"
#include "packet/frame.h"

// The UDP payload, and what the IP header around it should say. The kernel writes that header.
struct fp_packet {
    const uint8_t *data; // the VXLAN header, in the frame's headroom
    uint32_t length;
    uint8_t tos; // ECN bits (RFC 6040 section 4.1); the rest is 0
    bool alone; // no other packet may travel in a train with it
};

// The ECN bits of the packet around a frame with this TOS or traffic class (RFC 6040 section 4.1).
uint8_t fp_encap_tos(uint8_t inner);

// Put a VXLAN header in front of a frame that is not a super-frame, and fits the path. Return FP_DROP_NONE, or the reason why the
// frame cannot be sent. An unfinished checksum is finished (`*completed` = 1); nothing else in the frame changes.
enum fp_drop fp_encap(struct fp_frame *frame, uint32_t vni, struct fp_packet *packet,
                      uint32_t *completed);

#endif
