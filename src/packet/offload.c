// SPDX-License-Identifier: Apache-2.0
#include "packet/offload.h"

#include <linux/virtio_net.h>

#include "packet/checksum.h"
#include "packet/wire.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 // Linux 6.2
#endif

_Static_assert(sizeof(struct virtio_net_hdr_mrg_rxbuf) == FP_VNET_SIZE, "vnet header size");

// For functions whose local struct is copied as a whole, and is never indexed: a stack protector would cost as
// much as all else that they do.
#ifdef __has_attribute
#if __has_attribute(no_stack_protector)
#define FP_FIXED_FRAME __attribute__((no_stack_protector))
#endif
#endif
#ifndef FP_FIXED_FRAME
#define FP_FIXED_FRAME
#endif

FP_FIXED_FRAME void fp_vnet_read(const uint8_t *header, struct fp_frame *frame) {
    struct virtio_net_hdr_mrg_rxbuf vnet;
    memcpy(&vnet, header, sizeof vnet);
    frame->needs_checksum = vnet.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    frame->checksum_start = vnet.hdr.csum_start;
    frame->checksum_offset = vnet.hdr.csum_offset;
    frame->gso_type = vnet.hdr.gso_type;
    frame->gso_size = vnet.hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE ? vnet.hdr.gso_size : 0;
}

uint32_t fp_offload_headers(const struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    uint32_t size = FP_UDP_SIZE;
    if (flow->transport == 0)
        return 0;
    if (flow->protocol == FP_PROTOCOL_TCP) {
        const uint8_t *tcp = fp_frame_at(frame, flow->transport, FP_TCP_SIZE);
        size = tcp != NULL ? (uint32_t)(tcp[FP_TCP_OFFSET] >> 4) * 4 : 0;
        if (size < FP_TCP_SIZE)
            return 0;
    }
    return flow->transport + size <= flow->end ? flow->transport + size : 0;
}

uint8_t fp_offload_gso_type(const struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    if (flow->transport == 0)
        return VIRTIO_NET_HDR_GSO_NONE;
    if (flow->protocol == FP_PROTOCOL_UDP)
        return VIRTIO_NET_HDR_GSO_UDP_L4;
    if (flow->protocol != FP_PROTOCOL_TCP ||
        fp_frame_at(frame, flow->transport, FP_TCP_SIZE) == NULL)
        return VIRTIO_NET_HDR_GSO_NONE;
    const bool ecn = frame->data[flow->transport + FP_TCP_FLAGS] & FP_TCP_CWR;
    return (uint8_t)((flow->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6) |
                     (ecn ? VIRTIO_NET_HDR_GSO_ECN : 0));
}

bool fp_offload_measure(struct fp_frame *frame) {
    frame->segments = 1;
    frame->bytes = frame->length;
    frame->headers = 0;
    if (frame->gso_type == VIRTIO_NET_HDR_GSO_NONE)
        return true;
    const uint32_t headers = fp_offload_headers(frame);
    const uint8_t type = fp_offload_gso_type(frame);
    if (frame->gso_size == 0 || headers == 0 || headers > FP_SUPER_HEADERS ||
        type == VIRTIO_NET_HDR_GSO_NONE || ((type ^ frame->gso_type) & ~VIRTIO_NET_HDR_GSO_ECN))
        return false;
    frame->length = frame->flow.end;
    frame->headers = (uint16_t)headers;
    const uint32_t payload = frame->length - headers;
    if (payload > frame->gso_size)
        frame->segments = (payload - 1) / frame->gso_size + 1;
    frame->bytes = frame->length + (frame->segments - 1) * headers;
    return true;
}

// The segment size of a TCP packet that is larger than `mtu`, or 0 if it is not one.
static uint16_t segment_size(const struct fp_frame *frame, uint32_t mtu) {
    const struct fp_flow *flow = &frame->flow;
    if (flow->protocol != FP_PROTOCOL_TCP || flow->end - flow->network <= mtu)
        return 0;
    const uint32_t headers = fp_offload_headers(frame);
    return headers != 0 && headers - flow->network < mtu
               ? (uint16_t)(mtu - (headers - flow->network))
               : 0;
}

FP_FIXED_FRAME bool fp_vnet_write(uint8_t *header, const struct fp_frame *frame, uint32_t mtu) {
    struct virtio_net_hdr_mrg_rxbuf vnet = {0};
    if (frame->needs_checksum) {
        vnet.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        vnet.hdr.csum_start = frame->checksum_start;
        vnet.hdr.csum_offset = frame->checksum_offset;
    }
    vnet.hdr.gso_type = frame->gso_type;
    vnet.hdr.gso_size = frame->gso_size;
    vnet.hdr.hdr_len = frame->headers;
    const uint16_t size = frame->gso_type == VIRTIO_NET_HDR_GSO_NONE ? segment_size(frame, mtu) : 0;
    if (size != 0) {
        vnet.hdr.gso_size = size;
        vnet.hdr.gso_type = fp_offload_gso_type(frame);
        vnet.hdr.hdr_len = (uint16_t)fp_offload_headers(frame);
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

uint16_t fp_offload_checksum_field(const struct fp_flow *flow) {
    const uint16_t field = flow->protocol == FP_PROTOCOL_TCP   ? FP_TCP_CHECKSUM
                           : flow->protocol == FP_PROTOCOL_UDP ? FP_UDP_CHECKSUM
                                                               : 0;
    return flow->transport != 0 && flow->transport + field + 2U <= flow->end ? field : 0;
}

bool fp_offload_infer(struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    const uint16_t field = fp_offload_checksum_field(flow);
    if (field == 0)
        return false;
    uint16_t checksum;
    memcpy(&checksum, frame->data + flow->transport + field, sizeof checksum);
    if (checksum == 0) // no UDP checksum, which is finished; and no pseudo-header sums up to 0
        return false;
    const uint64_t pseudo = fp_checksum_pseudo(frame->data + flow->network, flow->version,
                                               flow->protocol, flow->end - flow->transport);
    if (fp_checksum_fold(pseudo) != checksum)
        return false;
    // The checksum is finished up to the end of the frame, so zero padding does no harm.
    for (uint32_t i = flow->end; i < frame->length; i++)
        if (frame->data[i] != 0)
            return false;
    frame->needs_checksum = true;
    frame->checksum_start = flow->transport;
    frame->checksum_offset = field;
    return true;
}
