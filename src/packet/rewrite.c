// SPDX-License-Identifier: Apache-2.0
#include "packet/rewrite.h"

#include "packet/checksum.h"
#include "packet/offload.h"
#include "packet/wire.h"

enum {
    IPV4_TTL = 8,
    IPV6_HOP_LIMIT = 7,
    ICMPV6_CHECKSUM = 2,
    IPV4_OFFSET_MASK = 0x1fff,
    VLAN_ID_MASK = 0xfff,
};

static bool is_tag(uint16_t type) {
    return type == FP_ETHERTYPE_VLAN || type == FP_ETHERTYPE_QINQ;
}

void fp_rewrite_mac(struct fp_frame *frame, enum fp_side side, uint64_t mac) {
    fp_store_mac(frame->data + (side == FP_SIDE_SOURCE ? FP_MAC_SIZE : 0), mac);
}

// The offset of the transport header, also in the first fragment of an IPv4 packet; 0: there is none.
static uint32_t transport_of(const struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    if (flow->transport != 0 || flow->version != 4)
        return flow->transport;
    const uint8_t *ip = frame->data + flow->network;
    if (fp_load_be16(ip + FP_IPV4_FRAGMENT) & IPV4_OFFSET_MASK)
        return 0;
    return flow->network + (uint32_t)(ip[0] & 0x0f) * 4;
}

// The checksum that covers addresses and ports, or NULL.
static uint8_t *transport_checksum(const struct fp_frame *frame) {
    const uint32_t transport = transport_of(frame);
    uint32_t field;
    switch (frame->flow.protocol) {
    case FP_PROTOCOL_TCP:
        field = FP_TCP_CHECKSUM;
        break;
    case FP_PROTOCOL_UDP:
        field = FP_UDP_CHECKSUM;
        break;
    case FP_PROTOCOL_ICMPV6:
        field = ICMPV6_CHECKSUM;
        break;
    default:
        return NULL;
    }
    if (transport == 0 || transport + field + 2 > frame->flow.end)
        return NULL;
    return frame->data + transport + field;
}

static bool is_open(const struct fp_frame *frame, const uint8_t *checksum) {
    return frame->needs_checksum &&
           checksum == frame->data + frame->checksum_start + frame->checksum_offset;
}

// Repair a transport checksum after `size` bytes that it covers changed.
static void repair(const struct fp_frame *frame, uint8_t *checksum, const uint8_t *before,
                   const uint8_t *after, uint32_t size) {
    const bool udp = frame->flow.protocol == FP_PROTOCOL_UDP;
    const bool open = is_open(frame, checksum);
    uint16_t value, old, new;
    memcpy(&value, checksum, sizeof value);
    if (udp && !open && value == 0)
        return; // there is none
    // An open one holds the pseudo-header's sum as it is, not its complement.
    if (open)
        value = (uint16_t)~value;
    for (uint32_t i = 0; i < size; i += 2) {
        memcpy(&old, before + i, sizeof old);
        memcpy(&new, after + i, sizeof new);
        fp_checksum_replace((uint8_t *)&value, old, new);
    }
    if (open)
        value = (uint16_t)~value;
    else if (udp && value == 0)
        value = 0xffff;
    memcpy(checksum, &value, sizeof value);
}

bool fp_rewrite_ip(struct fp_frame *frame, enum fp_side side, uint8_t version,
                   const uint8_t *address) {
    const struct fp_flow *flow = &frame->flow;
    const uint32_t size = version == 4 ? 4 : 16;
    if (flow->version != version || (version != 4 && version != 6) ||
        (version == 6 && flow->fragment))
        return false;
    uint8_t *ip = frame->data + flow->network;
    uint8_t *at = ip + (version == 4 ? FP_IPV4_SOURCE : FP_IPV6_SOURCE) +
                  (side == FP_SIDE_DESTINATION ? size : 0);
    uint8_t *checksum = transport_checksum(frame);
    if (checksum != NULL)
        repair(frame, checksum, at, address, size);
    if (version == 4) {
        for (uint32_t i = 0; i < size; i += 2) {
            uint16_t old, new;
            memcpy(&old, at + i, sizeof old);
            memcpy(&new, address + i, sizeof new);
            fp_checksum_replace(ip + FP_IPV4_CHECKSUM, old, new);
        }
    }
    memcpy(at, address, size);
    fp_flow_parse(frame->data, frame->length, &frame->flow); // the hash
    return true;
}

bool fp_rewrite_port(struct fp_frame *frame, enum fp_side side, uint16_t port) {
    const struct fp_flow *flow = &frame->flow;
    const bool has_ports = flow->protocol == FP_PROTOCOL_TCP || flow->protocol == FP_PROTOCOL_UDP;
    uint8_t *checksum = transport_checksum(frame);
    if (!has_ports || flow->transport == 0 || checksum == NULL)
        return false;
    uint8_t *at = frame->data + flow->transport + (side == FP_SIDE_DESTINATION ? 2 : 0);
    uint8_t after[2];
    fp_store_be16(after, port);
    if (!is_open(frame, checksum)) // the pseudo-header has no ports
        repair(frame, checksum, at, after, sizeof after);
    memcpy(at, after, sizeof after);
    fp_flow_parse(frame->data, frame->length, &frame->flow);
    return true;
}

bool fp_rewrite_ttl(struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    if (flow->version == 0)
        return false;
    uint8_t *ip = frame->data + flow->network;
    uint8_t *ttl = ip + (flow->version == 4 ? IPV4_TTL : IPV6_HOP_LIMIT);
    if (*ttl <= 1)
        return false;
    uint16_t before, after;
    memcpy(&before, ip + IPV4_TTL, sizeof before);
    *ttl = (uint8_t)(*ttl - 1);
    memcpy(&after, ip + IPV4_TTL, sizeof after);
    if (flow->version == 4)
        fp_checksum_replace(ip + FP_IPV4_CHECKSUM, before, after);
    return true;
}

// The frame's headers moved by so many bytes from its beginning.
static bool moved(struct fp_frame *frame, int by) {
    if (frame->needs_checksum)
        frame->checksum_start = (uint16_t)(frame->checksum_start + by);
    return fp_rewrite_settle(frame);
}

bool fp_rewrite_push_vlan(struct fp_frame *frame, uint16_t vlan, const struct fp_room *room) {
    uint16_t type = fp_load_be16(frame->data + 2 * FP_MAC_SIZE);
    const uint8_t *inner = fp_frame_at(frame, FP_ETHERNET_SIZE + 2, 2);
    if (is_tag(type) && (inner == NULL || is_tag(fp_load_be16(inner))))
        return false;
    if (frame->data - room->first < FP_VLAN_SIZE || vlan > VLAN_ID_MASK ||
        frame->checksum_start > UINT16_MAX - FP_VLAN_SIZE)
        return false;
    memmove(frame->data - FP_VLAN_SIZE, frame->data, 2 * FP_MAC_SIZE);
    frame->data -= FP_VLAN_SIZE;
    frame->length += FP_VLAN_SIZE;
    fp_store_be16(frame->data + 2 * FP_MAC_SIZE, FP_ETHERTYPE_VLAN);
    fp_store_be16(frame->data + FP_ETHERNET_SIZE, vlan);
    return moved(frame, FP_VLAN_SIZE);
}

bool fp_rewrite_pop_vlan(struct fp_frame *frame) {
    if (!is_tag(fp_load_be16(frame->data + 2 * FP_MAC_SIZE)) ||
        fp_frame_at(frame, FP_ETHERNET_SIZE, FP_VLAN_SIZE) == NULL)
        return false;
    if (frame->needs_checksum && frame->checksum_start < FP_ETHERNET_SIZE + FP_VLAN_SIZE)
        return false;
    memmove(frame->data + FP_VLAN_SIZE, frame->data, 2 * FP_MAC_SIZE);
    frame->data += FP_VLAN_SIZE;
    frame->length -= FP_VLAN_SIZE;
    return moved(frame, -FP_VLAN_SIZE);
}

bool fp_rewrite_replace(struct fp_frame *frame, const uint8_t *data, uint32_t length,
                        const struct fp_room *room) {
    if (length < FP_ETHERNET_SIZE || length > (uint64_t)(room->end - frame->data))
        return false;
    memmove(frame->data, data, length);
    frame->length = length;
    frame->needs_checksum = false;
    frame->gso_type = 0;
    frame->gso_size = 0;
    return fp_rewrite_settle(frame);
}

bool fp_rewrite_settle(struct fp_frame *frame) {
    const uint32_t segments = frame->segments;
    fp_flow_parse(frame->data, frame->length, &frame->flow);
    if (fp_offload_measure(frame))
        return true;
    frame->segments = segments;
    return false;
}
