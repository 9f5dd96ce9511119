// SPDX-License-Identifier: Apache-2.0
#include "offload.h"

#include <linux/virtio_net.h>

#include "checksum.h"
#include "wire.h"

_Static_assert(sizeof(struct virtio_net_hdr_mrg_rxbuf) == FP_VNET_SIZE, "vnet header size");

void fp_vnet_read(const uint8_t *header, struct fp_frame *frame) {
    struct virtio_net_hdr_mrg_rxbuf vnet;
    memcpy(&vnet, header, sizeof vnet);
    frame->needs_checksum = vnet.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    frame->checksum_start = vnet.hdr.csum_start;
    frame->checksum_offset = vnet.hdr.csum_offset;
    frame->gso_type = vnet.hdr.gso_type;
    frame->gso_size = vnet.hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE ? vnet.hdr.gso_size : 0;
}

// The segment size of a TCP packet that is larger than `mtu`, or 0 where it is not one.
static uint16_t segment_size(const struct fp_frame *frame, uint32_t mtu) {
    const struct fp_flow *flow = &frame->flow;
    if (flow->protocol != FP_PROTOCOL_TCP || flow->transport == 0 ||
        flow->end - flow->network <= mtu)
        return 0;
    const uint8_t *tcp = fp_frame_at(frame, flow->transport, FP_TCP_SIZE);
    if (tcp == NULL)
        return 0;
    const uint32_t headers =
        (uint32_t)(flow->transport - flow->network) + (uint32_t)(tcp[FP_TCP_OFFSET] >> 4) * 4;
    return headers < mtu ? (uint16_t)(mtu - headers) : 0;
}

bool fp_vnet_write(uint8_t *header, const struct fp_frame *frame, uint32_t mtu) {
    struct virtio_net_hdr_mrg_rxbuf vnet = {0};
    if (frame->needs_checksum) {
        vnet.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        vnet.hdr.csum_start = frame->checksum_start;
        vnet.hdr.csum_offset = frame->checksum_offset;
    }
    vnet.hdr.gso_type = frame->gso_type;
    vnet.hdr.gso_size = frame->gso_size;
    const uint16_t size = frame->gso_size == 0 ? segment_size(frame, mtu) : 0;
    if (size != 0) {
        const uint8_t *tcp = frame->data + frame->flow.transport;
        vnet.hdr.gso_size = size;
        vnet.hdr.gso_type =
            frame->flow.version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
        if (tcp[FP_TCP_FLAGS] & FP_TCP_CWR)
            vnet.hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
        vnet.hdr.hdr_len =
            (uint16_t)(frame->flow.transport + (uint32_t)(tcp[FP_TCP_OFFSET] >> 4) * 4);
    }
    memcpy(header, &vnet, sizeof vnet);
    return size != 0;
}

bool fp_offload_complete(struct fp_frame *frame) {
    const uint32_t start = frame->checksum_start;
    uint8_t *field = fp_frame_at(frame, start + frame->checksum_offset, sizeof(uint16_t));
    if (field == NULL || start > frame->length)
        return false;
    // The field holds the pseudo-header's sum, so summing over it adds just that.
    const uint64_t sum = fp_checksum_add(0, frame->data + start, frame->length - start);
    uint16_t checksum = (uint16_t)~fp_checksum_fold(sum);
    if (checksum == 0)
        checksum = 0xffff; // 0 means "no checksum" in UDP, and is the same number elsewhere
    memcpy(field, &checksum, sizeof checksum);
    frame->needs_checksum = false;
    return true;
}

bool fp_offload_infer(struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    uint16_t offset;
    if (flow->transport == 0)
        return false;
    if (flow->protocol == FP_PROTOCOL_TCP)
        offset = FP_TCP_CHECKSUM;
    else if (flow->protocol == FP_PROTOCOL_UDP)
        offset = FP_UDP_CHECKSUM;
    else
        return false;
    const uint32_t at = (uint32_t)flow->transport + offset;
    if (at + sizeof(uint16_t) > flow->end)
        return false;
    uint16_t checksum;
    memcpy(&checksum, frame->data + at, sizeof checksum);
    if (checksum == 0) // no UDP checksum, which is finished; and no pseudo-header sums up to 0
        return false;
    const uint64_t pseudo = fp_checksum_pseudo(frame->data + flow->network, flow->version,
                                               flow->protocol, flow->end - flow->transport);
    if (fp_checksum_fold(pseudo) != checksum)
        return false;
    // Whoever finishes the checksum sums to the end of the frame: zero padding is not in the way.
    for (uint32_t i = flow->end; i < frame->length; i++)
        if (frame->data[i] != 0)
            return false;
    frame->needs_checksum = true;
    frame->checksum_start = flow->transport;
    frame->checksum_offset = offset;
    return true;
}
