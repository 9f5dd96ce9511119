// SPDX-License-Identifier: Apache-2.0
#include "packet/record.h"

#include "packet/wire.h"

enum { VLAN_ID_MASK = 0xfff, IPV4_TTL = 8, IPV6_HOP_LIMIT = 7 };

static uint64_t load_be64(const uint8_t *at) {
    return ((uint64_t)fp_load_be32(at) << 32) | fp_load_be32(at + 4);
}

static void fill_ethernet(struct fp_record *record, const struct fp_frame *frame) {
    const uint8_t *data = frame->data;
    uint32_t at = 2 * FP_MAC_SIZE;
    uint16_t type = fp_load_be16(data + at);
    record->dst_mac = fp_load_mac(data);
    record->src_mac = fp_load_mac(data + FP_MAC_SIZE);
    while ((type == FP_ETHERTYPE_VLAN || type == FP_ETHERTYPE_QINQ) &&
           fp_frame_at(frame, at, 2 + FP_VLAN_SIZE) != NULL &&
           at < FP_ETHERNET_SIZE + FP_VLAN_SIZE) {
        if (record->vlan == 0)
            record->vlan = fp_load_be16(data + at + 2) & VLAN_ID_MASK;
        at += FP_VLAN_SIZE;
        type = fp_load_be16(data + at);
    }
    record->ethertype = type;
}

static void fill_ip(struct fp_record *record, const struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    const uint8_t *ip = frame->data + flow->network;
    record->ip_version = flow->version;
    record->protocol = flow->protocol;
    record->tos = flow->tos;
    record->fragment = flow->fragment;
    if (flow->version == 4) {
        record->ttl = ip[IPV4_TTL];
        record->src_ip = fp_load_be32(ip + FP_IPV4_SOURCE);
        record->dst_ip = fp_load_be32(ip + FP_IPV4_SOURCE + 4);
    } else if (flow->version == 6) {
        record->ttl = ip[IPV6_HOP_LIMIT];
        record->src_ip6[0] = load_be64(ip + FP_IPV6_SOURCE);
        record->src_ip6[1] = load_be64(ip + FP_IPV6_SOURCE + 8);
        record->dst_ip6[0] = load_be64(ip + FP_IPV6_SOURCE + 16);
        record->dst_ip6[1] = load_be64(ip + FP_IPV6_SOURCE + 24);
    }
}

void fp_record_fill(struct fp_record *record, const struct fp_frame *frame, uint32_t vni) {
    const struct fp_flow *flow = &frame->flow;
    *record = (struct fp_record){
        .port = frame->source,
        .vni = vni,
        .length = frame->length,
        .segments = frame->segments,
        .flow_hash = flow->hash,
    };
    fill_ethernet(record, frame);
    if (flow->version != 0)
        fill_ip(record, frame);
    const bool has_ports = flow->protocol == FP_PROTOCOL_TCP || flow->protocol == FP_PROTOCOL_UDP;
    if (has_ports && flow->transport != 0 && flow->transport + 4U <= flow->end) {
        record->src_port = fp_load_be16(frame->data + flow->transport);
        record->dst_port = fp_load_be16(frame->data + flow->transport + 2);
    }
}
