// SPDX-License-Identifier: Apache-2.0
// A super-frame from a port with any virtio-net header: measured, split, and every segment looked at.
//
// Input: flags, gso_type, gso_size (2 bytes); how many times the bytes behind the first 256 are
// repeated; then the frame.
#include <linux/virtio_net.h>
#include <string.h>

#include "offload_bed.h"
#include "packet/offload.h"
#include "packet/wire.h"

enum { FRONT = 256, UDP_L4 = 5, ECN = VIRTIO_NET_HDR_GSO_ECN };

// What fp_offload_measure ought to say.
static bool expected(const struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    if (frame->gso_type == 0)
        return true;
    if (frame->gso_size == 0 || flow->transport == 0)
        return false;
    uint32_t headers = flow->transport + 8U;
    uint8_t type = UDP_L4;
    if (flow->protocol == FP_PROTOCOL_TCP) {
        if (flow->transport + 20U > flow->end || frame->data[flow->transport + 12] >> 4 < 5)
            return false;
        headers = flow->transport + (frame->data[flow->transport + 12] >> 4) * 4U;
        type = flow->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    } else if (flow->protocol != FP_PROTOCOL_UDP) {
        return false;
    }
    return headers <= flow->end && headers <= 256 && (frame->gso_type & ~ECN) == type;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    struct virtio_net_hdr_mrg_rxbuf vnet = {0};
    vnet.hdr.flags = take8(&input);
    vnet.hdr.gso_type = take8(&input);
    vnet.hdr.gso_size = take16(&input);
    const uint32_t times = take8(&input) & 15;
    const size_t front = input.left < FRONT ? input.left : FRONT, rest = input.left - front;
    void *memory;
    struct fp_frame frame = {.segments = 1};
    uint8_t *copy = exact_copy(NULL, 0, FP_HEADROOM + front + rest * (times + 1), &memory);
    frame.data = copy - front - rest * (times + 1);
    frame.length = (uint32_t)(front + rest * (times + 1));
    if (front != 0)
        memcpy(frame.data, input.at, front);
    for (uint32_t i = 0; i <= times && rest != 0; i++)
        memcpy(frame.data + front + i * rest, input.at + front, rest);

    fp_vnet_read((const uint8_t *)&vnet, &frame);
    fp_flow_parse(frame.data, frame.length, &frame.flow);
    const bool good = expected(&frame);
    CHECK(fp_offload_measure(&frame) == good);
    if (!good || frame.gso_size == 0) {
        CHECK(frame.segments == 1 && frame.bytes == frame.length && frame.headers == 0);
    } else {
        void *before_memory;
        const uint8_t *before = exact_copy(frame.data, frame.length, 0, &before_memory);
        CHECK(frame.length == frame.flow.end);
        check_split(&frame);
        CHECK(memcmp(before, frame.data, frame.length) == 0); // the super-frame stays as it is
        check_vnet_write(&frame);
        free(before_memory);
    }
    free(memory);
    return 0;
}
