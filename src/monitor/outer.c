// SPDX-License-Identifier: Apache-2.0
#include "monitor/outer.h"

#include <netinet/in.h>
#include <string.h>

#include "packet/checksum.h"
#include "packet/flow.h"
#include "packet/wire.h"

enum {
    COOKED_SIZE = 16,
    COOKED_2_SIZE = 20,
    FAMILY_SIZE = 4,
    TTL = 64,
    DONT_FRAGMENT = 0x4000,
    IPV4_TTL = 8,
    IPV6_HOP_LIMIT = 7,
    UDP_DESTINATION = 2,
    V4_PREFIX = 12,
};

bool fp_outer_knows(uint16_t link) {
    switch (link) {
    case FP_LINK_NULL:
    case FP_LINK_ETHERNET:
    case FP_LINK_RAW_12:
    case FP_LINK_RAW_14:
    case FP_LINK_RAW:
    case FP_LINK_LOOP:
    case FP_LINK_COOKED:
    case FP_LINK_IPV4:
    case FP_LINK_IPV6:
    case FP_LINK_COOKED_2:
        return true;
    default:
        return false;
    }
}

// The size of the header in front of the IP packet, and the EtherType that it has; 0: the packet tells.
static uint32_t link_header(const uint8_t *data, uint32_t length, uint16_t link, uint16_t *type) {
    *type = 0;
    switch (link) {
    case FP_LINK_COOKED:
        *type = length >= COOKED_SIZE ? fp_load_be16(data + COOKED_SIZE - sizeof *type) : 0;
        return COOKED_SIZE;
    case FP_LINK_COOKED_2:
        *type = length >= COOKED_2_SIZE ? fp_load_be16(data) : 0;
        return COOKED_2_SIZE;
    case FP_LINK_NULL: // the number of IPv6's family differs among systems
    case FP_LINK_LOOP:
        return FAMILY_SIZE;
    default:
        return 0;
    }
}

// Make the packet look as if it had an Ethernet header: only its EtherType is looked at. NULL: too short.
static uint8_t *as_ethernet(uint8_t *data, uint32_t *length, uint16_t link) {
    uint16_t type;
    if (link == FP_LINK_ETHERNET)
        return data;
    const uint32_t header = link_header(data, *length, link, &type);
    if (*length <= header)
        return NULL;
    uint8_t *ip = data + header;
    if (type == 0)
        type = ip[0] >> 4 == 6 ? FP_ETHERTYPE_IPV6 : FP_ETHERTYPE_IPV4;
    memset(ip - FP_ETHERNET_SIZE, 0, FP_ETHERNET_SIZE);
    fp_store_be16(ip - sizeof type, type);
    *length += FP_ETHERNET_SIZE - header;
    return ip - FP_ETHERNET_SIZE;
}

static void read_sender(struct sockaddr_storage *from, const uint8_t *ip, uint8_t version,
                        const uint8_t *udp) {
    memset(from, 0, sizeof *from);
    if (version == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)from;
        in->sin_family = AF_INET;
        memcpy(&in->sin_port, udp, sizeof in->sin_port);
        memcpy(&in->sin_addr, ip + FP_IPV4_SOURCE, sizeof in->sin_addr);
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)from;
        in6->sin6_family = AF_INET6;
        memcpy(&in6->sin6_port, udp, sizeof in6->sin6_port);
        memcpy(&in6->sin6_addr, ip + FP_IPV6_SOURCE, sizeof in6->sin6_addr);
    }
}

bool fp_outer_parse(uint8_t *data, uint32_t length, uint16_t link, struct fp_outer *outer) {
    struct fp_flow flow;
    uint8_t *frame = as_ethernet(data, &length, link);
    if (frame == NULL)
        return false;
    fp_flow_parse_captured(frame, length, &flow);
    if (flow.transport == 0 || flow.protocol != FP_PROTOCOL_UDP ||
        flow.end - flow.transport < FP_UDP_SIZE)
        return false;
    uint8_t *udp = frame + flow.transport;
    uint32_t size = fp_load_be16(udp + FP_UDP_LENGTH);
    if (size == 0) // what does not fit, as in IPv6 (RFC 2675) and in what a card has yet to cut
        size = flow.end - flow.transport;
    if (size < FP_UDP_SIZE || size > flow.end - flow.transport)
        return false;
    read_sender(&outer->from, frame + flow.network, flow.version, udp);
    outer->payload = udp + FP_UDP_SIZE;
    outer->length = size - FP_UDP_SIZE;
    outer->udp_port = fp_load_be16(udp + UDP_DESTINATION);
    outer->tos = flow.tos;
    return true;
}

static bool is_v4(const struct fp_address *address) {
    static const uint8_t prefix[V4_PREFIX] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(address->ip, prefix, sizeof prefix) == 0;
}

// What does not fit into a length field: 0, as in a packet that the kernel has yet to cut.
static uint16_t field(uint32_t length) {
    return length <= UINT16_MAX ? (uint16_t)length : 0;
}

static uint32_t write_ipv4(uint8_t *ip, const uint8_t *source, const uint8_t *destination,
                           uint8_t tos, uint32_t length) {
    memset(ip, 0, FP_IPV4_SIZE);
    ip[0] = 0x45;
    ip[FP_IPV4_TOS] = tos;
    fp_store_be16(ip + FP_IPV4_LENGTH, field(FP_IPV4_SIZE + length));
    fp_store_be16(ip + FP_IPV4_FRAGMENT, DONT_FRAGMENT);
    ip[IPV4_TTL] = TTL;
    ip[FP_IPV4_PROTOCOL] = FP_PROTOCOL_UDP;
    memcpy(ip + FP_IPV4_SOURCE, source + V4_PREFIX, 4);
    memcpy(ip + FP_IPV4_SOURCE + 4, destination + V4_PREFIX, 4);
    const uint16_t checksum = fp_checksum(ip, FP_IPV4_SIZE);
    memcpy(ip + FP_IPV4_CHECKSUM, &checksum, sizeof checksum);
    return FP_IPV4_SIZE;
}

static uint32_t write_ipv6(uint8_t *ip, const uint8_t *source, const uint8_t *destination,
                           uint8_t tos, uint32_t length) {
    fp_store_be32(ip, UINT32_C(6) << 28 | (uint32_t)tos << 20);
    fp_store_be16(ip + FP_IPV6_LENGTH, field(length));
    ip[FP_IPV6_NEXT] = FP_PROTOCOL_UDP;
    ip[IPV6_HOP_LIMIT] = TTL;
    memcpy(ip + FP_IPV6_SOURCE, source, 16);
    memcpy(ip + FP_IPV6_SOURCE + 16, destination, 16);
    return FP_IPV6_SIZE;
}

uint32_t fp_outer_headers(uint8_t *to, const struct fp_address *source,
                          const struct fp_address *destination, uint8_t tos, uint32_t length) {
    const uint32_t udp_length = FP_UDP_SIZE + length;
    const uint32_t ip_size = (is_v4(destination) ? write_ipv4 : write_ipv6)(
        to, source->ip, destination->ip, tos, udp_length);
    uint8_t *udp = to + ip_size;
    fp_store_be16(udp, source->udp_port);
    fp_store_be16(udp + UDP_DESTINATION, destination->udp_port);
    fp_store_be16(udp + FP_UDP_LENGTH, field(udp_length));
    fp_store_be16(udp + FP_UDP_CHECKSUM, 0);
    return ip_size + FP_UDP_SIZE;
}

uint32_t fp_outer_write(uint8_t *to, const struct fp_address *source,
                        const struct fp_address *destination, uint8_t tos, const uint8_t *payload,
                        uint32_t length) {
    const uint32_t headers = fp_outer_headers(to, source, destination, tos, length);
    const uint32_t udp_length = FP_UDP_SIZE + length;
    uint8_t *udp = to + headers - FP_UDP_SIZE;
    memcpy(to + headers, payload, length);
    uint64_t sum = fp_checksum_pseudo(to, is_v4(destination) ? 4 : 6, FP_PROTOCOL_UDP, udp_length);
    sum = fp_checksum_add(sum, udp, udp_length);
    uint16_t checksum = (uint16_t)~fp_checksum_fold(sum);
    if (checksum == 0)
        checksum = UINT16_MAX; // 0 says that there is none (RFC 768)
    memcpy(udp + FP_UDP_CHECKSUM, &checksum, sizeof checksum);
    return headers + length;
}
