// SPDX-License-Identifier: Apache-2.0
// A frame from a port with any virtio-net header: the parser, the offloads, the checksums.
//
// Input: the 12 bytes of the vnet header, an offset that moves the frame in memory (its low 4 bits),
// then the frame.
#include <stdlib.h>
#include <string.h>

#include "bed.h"
#include "checksum.h"
#include "encap.h"
#include "offload.h"
#include "wire.h"

// Offset of the first byte behind a fragment's Fragment header (IPv6) or IP header (IPv4): what
// follows differs from fragment to fragment.
static uint32_t fragment_payload(const uint8_t *frame, const struct fp_flow *flow) {
    if (flow->version == 4)
        return flow->network + (frame[flow->network] & 15) * 4U;
    uint8_t next = frame[flow->network + FP_IPV6_NEXT];
    uint32_t at = flow->network + FP_IPV6_SIZE;
    while (next != 44) {
        const uint32_t units = frame[at + 1];
        next = frame[at];
        at += frame[at + 1] == 0 && next == 44 ? 8 : 8 * (1 + units);
        CHECK(at <= flow->end);
    }
    return at + 8;
}
