// SPDX-License-Identifier: Apache-2.0
#include "encap.h"

#include "offload.h"
#include "wire.h"

enum { ECN_MASK = 3, ECT_0 = 2, CE = 3 };

enum fp_drop fp_encap(struct fp_frame *frame, uint32_t vni, struct fp_packet *packet,
                      uint32_t *completed) {
    if (frame->gso_size != 0)
        return FP_DROP_super_frame;
    if (frame->length + FP_VXLAN_SIZE > FP_UDP4_PAYLOAD)
        return FP_DROP_too_big;
    if (frame->needs_checksum) {
        if (!fp_offload_complete(frame))
            return FP_DROP_bad_checksum_start;
        *completed = 1;
    }
    uint8_t *header = frame->data - FP_VXLAN_SIZE;
    fp_vxlan_write(header, vni);
    packet->data = header;
    packet->length = frame->length + FP_VXLAN_SIZE;
    const uint8_t ecn = frame->flow.tos & ECN_MASK; // 0 where the frame holds no IP packet
    packet->tos = ecn == CE ? ECT_0 : ecn;
    return FP_DROP_NONE;
}
