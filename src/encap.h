// SPDX-License-Identifier: Apache-2.0
// Encapsulation: inner frame -> VXLAN packet (RFC 7348 section 5).
#ifndef FP_ENCAP_H
#define FP_ENCAP_H

#include <stdint.h>

#include "count.h"
#include "frame.h"

// The UDP payload, and what the IP header around it should say. The kernel writes that header.
struct fp_packet {
    const uint8_t *data; // the VXLAN header, in the frame's headroom
    uint32_t length;
    uint8_t tos; // ECN bits (RFC 6040 section 4.1); the rest is 0
};

// Put a VXLAN header in front of the frame. FP_DROP_NONE, or why the frame can't be sent. The frame
// itself stays as it was, but for an unfinished checksum, which is finished (`*completed` = 1).
enum fp_drop fp_encap(struct fp_frame *frame, uint32_t vni, struct fp_packet *packet,
                      uint32_t *completed);

#endif
