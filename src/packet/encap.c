// SPDX-License-Identifier: Apache-2.0
#include "packet/encap.h"

#include "packet/offload.h"
#include "packet/wire.h"

enum { ECN_MASK = 3, ECT_0 = 2, CE = 3 };

uint8_t fp_encap_tos(uint8_t inner) {
    const uint8_t ecn = inner & ECN_MASK; // 0 if the frame holds no IP packet
    return ecn == CE ? ECT_0 : ecn;
}

enum fp_drop fp_encap(struct fp_frame *frame, uint32_t vni, struct fp_packet *packet,
                      uint32_t *completed) {
    if (frame->needs_checksum) {
        if (!fp_offload_complete(frame))
            return FP_DROP_bad_checksum_start;
        *completed = 1;
    }
    uint8_t *header = frame->data - FP_VXLAN_SIZE;
    fp_vxlan_write(header, vni);
    packet->data = header;
    packet->length = frame->length + FP_VXLAN_SIZE;
    packet->tos = fp_encap_tos(frame->flow.tos);
    // What does not parse may lie about its length, and whoever receives a train of it and others might
    // take those for its payload (see fp_train_unit).
    packet->alone = frame->flow.version == 0;
    return FP_DROP_NONE;
}
