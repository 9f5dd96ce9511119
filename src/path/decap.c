// SPDX-License-Identifier: Apache-2.0
#include "path/decap.h"

#include "monitor/count.h"
#include "packet/checksum.h"
#include "packet/offload.h"
#include "packet/wire.h"

enum { ECN_MASK = 3, NOT_ECT = 0, ECT_1 = 1, ECT_0 = 2, CE = 3 };

// Write the ECN bits of the inner IP header.
static void set_ecn(struct fp_frame *frame, uint8_t ecn) {
    uint8_t *ip = frame->data + frame->flow.network;
    frame->flow.tos = (uint8_t)((frame->flow.tos & ~ECN_MASK) | ecn);
    if (frame->flow.version == 6) {
        ip[1] = (uint8_t)((ip[1] & ~(ECN_MASK << 4)) | (ecn << 4));
        return;
    }
    uint16_t before, after; // the word that holds version, header length and TOS
    memcpy(&before, ip, sizeof before);
    ip[FP_IPV4_TOS] = frame->flow.tos;
    memcpy(&after, ip, sizeof after);
    fp_checksum_replace(ip + FP_IPV4_CHECKSUM, before, after);
}

// RFC 6040 section 4.2, as the kernel does it (include/net/inet_ecn.h).
static enum fp_drop merge_ecn(const struct fp_context *context, struct fp_frame *frame) {
    const uint8_t outer = frame->outer_tos & ECN_MASK;
    if (frame->flow.version == 0 || outer == NOT_ECT || outer == ECT_0)
        return FP_DROP_NONE;
    const uint8_t inner = frame->flow.tos & ECN_MASK;
    if (inner == NOT_ECT)
        return outer == CE ? FP_DROP_ecn_invalid : FP_DROP_NONE;
    if (outer == CE ? inner == CE : inner != ECT_0)
        return FP_DROP_NONE; // says so already
    set_ecn(frame, outer);
    fp_note(context, frame, FP_EVENT_ecn_marked);
    return FP_DROP_NONE;
}

// Whether each `size` bytes begin with the VXLAN header of a segment that we have.
static bool looks_like_train(const struct fp_tables *tables, const uint8_t *data, uint32_t length,
                             uint32_t size) {
    for (uint32_t at = size; at < length; at += size)
        if (length - at < FP_VXLAN_SIZE || !(fp_vxlan_flags(data + at) & FP_VXLAN_FLAG_I) ||
            fp_segment_find(tables, fp_vxlan_vni(data + at)) == NULL)
            return false;
    return true;
}

uint32_t fp_train_unit(const struct fp_tables *tables, const uint8_t *data, uint32_t length,
                       uint32_t size, bool kernel_peers) {
    struct fp_flow flow;
    if (size == 0 || size >= length)
        return length;
    if (!kernel_peers || length < FP_VXLAN_SIZE)
        return size;
    fp_flow_parse(data + FP_VXLAN_SIZE, length - FP_VXLAN_SIZE, &flow);
    if (fp_offload_checksum_field(&flow) == 0 || FP_VXLAN_SIZE + flow.end != length)
        return size;
    // Segments of a super-frame may be smaller than any packet of a train.
    const bool fits = size >= FP_VXLAN_SIZE + FP_ETHERNET_SIZE;
    return fits && looks_like_train(tables, data, length, size) ? 0 : length;
}

// A packet with a super-frame: its headers say of which kind, its sender (by way of the kernel) the size.
static bool measure(struct fp_frame *frame) {
    if (frame->gso_size == 0)
        return fp_offload_measure(frame);
    frame->gso_type = fp_offload_gso_type(frame);
    return frame->gso_type != 0 && fp_offload_measure(frame);
}

enum fp_drop fp_decap(const struct fp_context *context, struct fp_frame *frame, bool strict) {
    const uint8_t *header = fp_frame_at(frame, 0, FP_VXLAN_SIZE);
    frame->segment = NULL;
    frame->segments = 1;
    frame->bytes = frame->length;
    frame->gso_type = 0;
    frame->needs_checksum = false;
    if (header == NULL)
        return FP_DROP_short_packet;
    const uint32_t flags = fp_vxlan_flags(header);
    if (!(flags & FP_VXLAN_FLAG_I))
        return FP_DROP_no_vni_flag;
    frame->vni = fp_vxlan_vni(header);
    frame->segment = fp_segment_find(context->tables, frame->vni);
    if (frame->segment == NULL)
        return FP_DROP_unknown_vni;
    if (flags != FP_VXLAN_FLAG_I || header[7] != 0) {
        if (strict || (flags & FP_VXLAN_FLAGS_GPE) != 0)
            return FP_DROP_reserved_bits;
        fp_note(context, frame, FP_EVENT_reserved_bits_ignored);
    }
    frame->data += FP_VXLAN_SIZE;
    frame->length -= FP_VXLAN_SIZE;
    if (frame->length < FP_ETHERNET_SIZE)
        return FP_DROP_runt;
    fp_flow_parse(frame->data, frame->length, &frame->flow);
    const enum fp_drop drop = merge_ecn(context, frame);
    if (drop != FP_DROP_NONE)
        return drop;
    if (fp_offload_infer(frame))
        fp_note(context, frame, FP_EVENT_checksum_inferred);
    return measure(frame) ? FP_DROP_NONE : FP_DROP_bad_super_frame;
}
