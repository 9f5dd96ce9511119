// SPDX-License-Identifier: Apache-2.0
#include "outer.h"

#include <string.h>

#include "checksum.h"
#include "flow.h"
#include "wire.h"

enum { COOKED_SIZE = 16, TTL = 64, DONT_FRAGMENT = 0x4000, UDP_DESTINATION = 2 };

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Make the packet look as if it had an Ethernet header: only its EtherType is looked at. NULL: too short.
static uint8_t *as_ethernet(uint8_t *data, uint32_t *length, uint16_t link) {
    if (link == FP_LINK_ETHERNET)
        return data;
    if (link == FP_LINK_COOKED) { // its last two bytes are an EtherType
        if (*length < COOKED_SIZE)
            return NULL;
        *length -= COOKED_SIZE - FP_ETHERNET_SIZE;
        return data + COOKED_SIZE - FP_ETHERNET_SIZE;
    }
    if (*length == 0)
        return NULL;
    const uint16_t type = data[0] >> 4 == 6 ? FP_ETHERTYPE_IPV6 : FP_ETHERTYPE_IPV4;
    memset(data - FP_ETHERNET_SIZE, 0, FP_ETHERNET_SIZE);
    fp_store_be16(data - sizeof type, type);
    *length += FP_ETHERNET_SIZE;
    return data - FP_ETHERNET_SIZE;
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
    fp_flow_parse(frame, length, &flow);
    if (flow.transport == 0 || flow.protocol != FP_PROTOCOL_UDP ||
        flow.end - flow.transport < FP_UDP_SIZE)
        return false;
    uint8_t *udp = frame + flow.transport;
    const uint32_t size = fp_load_be16(udp + FP_UDP_LENGTH);
    if (size < FP_UDP_SIZE || size > flow.end - flow.transport)
        return false;
    read_sender(&outer->from, frame + flow.network, flow.version, udp);
    outer->payload = udp + FP_UDP_SIZE;
    outer->length = size - FP_UDP_SIZE;
    outer->udp_port = fp_load_be16(udp + UDP_DESTINATION);
    outer->tos = flow.tos;
    return true;
}

static uint32_t write_ipv4(uint8_t *to, const struct fp_address *from,
                           const struct fp_address *remote, uint8_t tos, uint32_t length) {
    memset(to, 0, FP_IPV4_SIZE);
    to[0] = 0x45;
    to[FP_IPV4_TOS] = tos;
    fp_store_be16(to + FP_IPV4_LENGTH, (uint16_t)(FP_IPV4_SIZE + FP_UDP_SIZE + length));
    fp_store_be16(to + FP_IPV4_FRAGMENT, DONT_FRAGMENT);
    to[FP_IPV4_PROTOCOL - 1] = TTL;
    to[FP_IPV4_PROTOCOL] = FP_PROTOCOL_UDP;
    memcpy(to + FP_IPV4_SOURCE, from->ip + sizeof v4_prefix, 4);
    memcpy(to + FP_IPV4_SOURCE + 4, remote->ip + sizeof v4_prefix, 4);
    const uint16_t checksum = fp_checksum(to, FP_IPV4_SIZE);
    memcpy(to + FP_IPV4_CHECKSUM, &checksum, sizeof checksum);
    return FP_IPV4_SIZE;
}

static uint32_t write_ipv6(uint8_t *to, const struct fp_address *from,
                           const struct fp_address *remote, uint8_t tos, uint32_t length) {
    fp_store_be32(to, 6U << 28 | (uint32_t)tos << 20);
    fp_store_be16(to + FP_IPV6_LENGTH, (uint16_t)(FP_UDP_SIZE + length));
    to[FP_IPV6_NEXT] = FP_PROTOCOL_UDP;
    to[FP_IPV6_NEXT + 1] = TTL;
    memcpy(to + FP_IPV6_SOURCE, from->ip, 16);
    memcpy(to + FP_IPV6_SOURCE + 16, remote->ip, 16);
    return FP_IPV6_SIZE;
}

uint32_t fp_outer_write(uint8_t *to, const struct fp_address *from, const struct fp_address *remote,
                        uint8_t tos, uint32_t length) {
    const bool ipv4 = memcmp(remote->ip, v4_prefix, sizeof v4_prefix) == 0;
    const uint32_t size = ipv4 ? write_ipv4(to, from, remote, tos, length)
                               : write_ipv6(to, from, remote, tos, length);
    uint8_t *udp = to + size;
    fp_store_be16(udp, from->udp_port);
    fp_store_be16(udp + UDP_DESTINATION, remote->udp_port);
    fp_store_be16(udp + FP_UDP_LENGTH, (uint16_t)(FP_UDP_SIZE + length));
    fp_store_be16(udp + FP_UDP_CHECKSUM, 0);
    return size + FP_UDP_SIZE;
}
