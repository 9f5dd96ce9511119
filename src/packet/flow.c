// SPDX-License-Identifier: Apache-2.0
#include "packet/flow.h"

#include "packet/wire.h"

// IPv6 extension headers that may stand before the transport header (RFC 8200 section 4).
enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION = 60 };
enum { MAX_EXTENSIONS = 8, FRAGMENT_OFFSET = 0xfff8 };

static inline uint64_t load64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t load32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

// One multiply-and-fold round. Good enough to spread flows over ports and queues; not a secret.
static inline uint64_t mix(uint64_t hash, uint64_t value) {
    const __uint128_t product =
        (__uint128_t)(hash ^ value) * (__uint128_t)UINT64_C(0x9e3779b97f4a7c15);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t mix_address6(uint64_t hash, const uint8_t *at) {
    return mix(mix(hash, load64(at)), load64(at + 8));
}

static uint64_t hash_ports(uint64_t hash, const uint8_t *frame, const struct fp_flow *flow) {
    const bool has_ports = flow->protocol == FP_PROTOCOL_TCP || flow->protocol == FP_PROTOCOL_UDP;
    // All fragments of a packet must take one way, and only the first one has ports: use none.
    if (has_ports && flow->transport != 0 && flow->transport + 4U <= flow->end)
        hash = mix(hash, load32(frame + flow->transport));
    return mix(hash, flow->protocol);
}

static bool parse_ipv4(const uint8_t *frame, uint32_t at, uint32_t length, bool captured,
                       struct fp_flow *flow) {
    if (length - at < FP_IPV4_SIZE)
        return false;
    const uint8_t *ip = frame + at;
    const uint32_t header = (uint32_t)(ip[0] & 0x0f) * 4;
    uint32_t total = fp_load_be16(ip + FP_IPV4_LENGTH);
    if (captured && (total == 0 || total > length - at))
        total = length - at;
    if ((ip[0] >> 4) != 4 || header < FP_IPV4_SIZE || total < header || total > length - at)
        return false;
    flow->network = (uint16_t)at;
    flow->version = 4;
    flow->end = at + total;
    flow->tos = ip[FP_IPV4_TOS];
    flow->protocol = ip[FP_IPV4_PROTOCOL];
    flow->fragment = (fp_load_be16(ip + FP_IPV4_FRAGMENT) & 0x3fff) != 0;
    if (!flow->fragment && total > header)
        flow->transport = (uint16_t)(at + header);
    const uint64_t hash = mix(0, load64(ip + FP_IPV4_SOURCE));
    flow->hash = (uint32_t)hash_ports(hash, frame, flow);
    return true;
}

#define BIT(protocol) (UINT64_C(1) << (protocol))
#define EXTENSIONS                                                                                 \
    (BIT(HOP_BY_HOP) | BIT(ROUTING) | BIT(FRAGMENT) | BIT(AUTHENTICATION) | BIT(DESTINATION))
#define TRANSPORTS (BIT(FP_PROTOCOL_TCP) | BIT(FP_PROTOCOL_UDP) | BIT(FP_PROTOCOL_ICMPV6))

static inline bool is_extension(uint8_t next) {
    return next < 64 && (EXTENSIONS >> next & 1) != 0;
}

static inline bool is_transport(uint8_t next) {
    return next < 64 && (TRANSPORTS >> next & 1) != 0;
}

// The size of an extension header that is not a fragment's, and of which 8 bytes are there.
static inline uint32_t extension_size(const uint8_t *header, uint8_t kind) {
    // RFC 4302 section 2.2 counts in words
    return kind == AUTHENTICATION ? 4 * (2 + (uint32_t)header[1]) : 8 * (1 + (uint32_t)header[1]);
}

static bool parse_ipv6(const uint8_t *frame, uint32_t at, uint32_t length, bool captured,
                       struct fp_flow *flow) {
    if (length - at < FP_IPV6_SIZE)
        return false;
    const uint8_t *ip = frame + at;
    uint32_t payload = fp_load_be16(ip + FP_IPV6_LENGTH);
    if (captured && (payload == 0 || payload > length - at - FP_IPV6_SIZE))
        payload = length - at - FP_IPV6_SIZE;
    if ((ip[0] >> 4) != 6 || payload > length - at - FP_IPV6_SIZE)
        return false;
    flow->network = (uint16_t)at;
    flow->version = 6;
    flow->end = at + FP_IPV6_SIZE + payload;
    flow->tos = (uint8_t)(fp_load_be16(ip) >> 4);

    uint8_t next = ip[FP_IPV6_NEXT];
    uint32_t offset = at + FP_IPV6_SIZE;
    for (int i = 0; i < MAX_EXTENSIONS && is_extension(next); i++) {
        if (flow->end - offset < 8)
            break; // truncated: `next` stays an extension, so there is no transport header
        if (next == FRAGMENT) {
            // Only the first fragment has the headers behind it: hash all of them by what is common.
            flow->fragment = true;
            next = frame[offset];
            break;
        }
        const uint32_t size = extension_size(frame + offset, next);
        if (size > flow->end - offset)
            break;
        next = frame[offset];
        offset += size;
    }
    flow->protocol = next;
    if (is_transport(next) && !flow->fragment && offset < flow->end && offset <= UINT16_MAX)
        flow->transport = (uint16_t)offset;
    const uint64_t hash =
        mix_address6(mix_address6(0, ip + FP_IPV6_SOURCE), ip + FP_IPV6_SOURCE + 16);
    flow->hash = (uint32_t)hash_ports(hash, frame, flow);
    return true;
}

enum fp_upper_kind fp_flow_upper(const uint8_t *frame, const struct fp_flow *flow,
                                 struct fp_upper *upper) {
    uint8_t next = frame[flow->network + FP_IPV6_NEXT];
    uint32_t offset = flow->network + FP_IPV6_SIZE;
    bool fragment = false;
    for (int i = 0; i < MAX_EXTENSIONS && is_extension(next); i++) {
        if (flow->end - offset < 8)
            return FP_UPPER_HIDDEN;
        uint32_t size = 8;
        if (next != FRAGMENT) {
            size = extension_size(frame + offset, next);
        } else {
            if (fragment) // of a fragment
                return FP_UPPER_HIDDEN;
            if (fp_load_be16(frame + offset + 2) & FRAGMENT_OFFSET)
                return FP_UPPER_LATER;
            fragment = true;
        }
        if (size > flow->end - offset)
            return FP_UPPER_HIDDEN;
        next = frame[offset];
        offset += size;
    }
    if (is_extension(next))
        return FP_UPPER_HIDDEN;
    *upper = (struct fp_upper){offset, next};
    if (!is_transport(next))
        return FP_UPPER_OTHER;
    return offset < flow->end ? FP_UPPER_READ : FP_UPPER_HIDDEN;
}

static void parse(const uint8_t *frame, uint32_t length, int most_tags, bool captured,
                  struct fp_flow *flow) {
    memset(flow, 0, sizeof *flow);
    flow->end = length;
    if (length < FP_ETHERNET_SIZE)
        return;
    uint32_t at = FP_ETHERNET_SIZE;
    uint16_t type = fp_load_be16(frame + at - 2);
    for (int tags = 0; tags < most_tags; tags++) {
        if ((type != FP_ETHERTYPE_VLAN && type != FP_ETHERTYPE_QINQ) || length - at < FP_VLAN_SIZE)
            break;
        at += FP_VLAN_SIZE;
        type = fp_load_be16(frame + at - 2);
    }
    if (type == FP_ETHERTYPE_IPV4 && parse_ipv4(frame, at, length, captured, flow))
        return;
    if (type == FP_ETHERTYPE_IPV6 && parse_ipv6(frame, at, length, captured, flow))
        return;
    flow->hash = (uint32_t)mix(mix(0, load64(frame)), load32(frame + 8) ^ type);
}

void fp_flow_parse(const uint8_t *frame, uint32_t length, struct fp_flow *flow) {
    parse(frame, length, FP_FLOW_VLAN_TAGS, false, flow);
}

void fp_flow_parse_captured(const uint8_t *frame, uint32_t length, struct fp_flow *flow) {
    parse(frame, length, FP_FLOW_CAPTURED_TAGS, true, flow);
}
