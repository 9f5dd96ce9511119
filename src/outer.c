// SPDX-License-Identifier: Apache-2.0
#include "outer.h"

#include <string.h>

#include "checksum.h"
#include "wire.h"

enum { TTL = 64, DONT_FRAGMENT = 0x4000, IPV4_TTL = 8, IPV6_HOP_LIMIT = 7, V4_PREFIX = 12 };

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

uint32_t fp_outer_write(uint8_t *to, const struct fp_address *source,
                        const struct fp_address *destination, uint8_t tos, const uint8_t *payload,
                        uint32_t length) {
    const uint32_t udp_length = FP_UDP_SIZE + length;
    const bool v4 = is_v4(destination);
    const uint32_t ip_size =
        (v4 ? write_ipv4 : write_ipv6)(to, source->ip, destination->ip, tos, udp_length);
    uint8_t *udp = to + ip_size;
    fp_store_be16(udp, source->udp_port);
    fp_store_be16(udp + 2, destination->udp_port);
    fp_store_be16(udp + FP_UDP_LENGTH, field(udp_length));
    fp_store_be16(udp + FP_UDP_CHECKSUM, 0);
    memcpy(udp + FP_UDP_SIZE, payload, length);
    uint64_t sum = fp_checksum_pseudo(to, v4 ? 4 : 6, FP_PROTOCOL_UDP, udp_length);
    sum = fp_checksum_add(sum, udp, udp_length);
    uint16_t checksum = (uint16_t)~fp_checksum_fold(sum);
    if (checksum == 0)
        checksum = UINT16_MAX; // 0 says that there is none (RFC 768)
    memcpy(udp + FP_UDP_CHECKSUM, &checksum, sizeof checksum);
    return ip_size + udp_length;
}
