// SPDX-License-Identifier: Apache-2.0
#include "packet/icmp.h"

#include "packet/checksum.h"

enum {
    ICMP_SIZE = 8, // of both versions, in front of what is quoted
    ICMP_CODE = 1,
    ICMP_CHECKSUM = 2,
    ICMP_MTU = 4, // of 4 bytes in version 6; of 2 bytes, behind 2 of zeros, in version 4
    ICMP4_UNREACHABLE = 3,
    ICMP4_FRAGMENTATION_NEEDED = 4, // code
    ICMP4_QUENCH = 4,
    ICMP4_REDIRECT = 5,
    ICMP4_TIME_EXCEEDED = 11,
    ICMP4_PARAMETER_PROBLEM = 12,
    ICMP6_TOO_BIG = 2,
    ICMP6_INFORMATION = 128, // and up; errors are below
    ICMP6_REDIRECT = 137,

    IPV4_DF = 0x4000,
    IPV4_OFFSET = 0x1fff,
    IPV4_ERROR_SIZE = 576, // RFC 1812 section 4.3.2.3
    IPV4_MIN_MTU = 68, // RFC 791
    IPV4_TTL = 8,
    IPV6_HOP_LIMIT = 7,
    HOPS = 64,
    INTERNETWORK_CONTROL = 0xc0, // TOS; RFC 1812 section 4.3.2.5
};

// Whether the address is one host's.
static bool is_host4(const uint8_t *address) {
    return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

static bool is_host6(const uint8_t *address) {
    static const uint8_t unspecified[16];
    return address[0] != 0xff && memcmp(address, unspecified, sizeof unspecified) != 0;
}

static bool is_error4(uint8_t type) {
    return type == ICMP4_UNREACHABLE || type == ICMP4_QUENCH || type == ICMP4_REDIRECT ||
           type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER_PROBLEM;
}

static bool may_tell4(const uint8_t *ip, uint32_t length, uint32_t mtu) {
    const uint32_t header = (uint32_t)(ip[0] & 0x0f) * 4;
    const uint16_t fragment = fp_load_be16(ip + FP_IPV4_FRAGMENT);
    if (!(fragment & IPV4_DF) || (fragment & IPV4_OFFSET) || mtu < IPV4_MIN_MTU ||
        !is_host4(ip + FP_IPV4_SOURCE) || !is_host4(ip + FP_IPV4_SOURCE + 4))
        return false;
    return ip[FP_IPV4_PROTOCOL] != FP_PROTOCOL_ICMP || (length > header && !is_error4(ip[header]));
}

static bool may_tell6(const struct fp_frame *frame, const uint8_t *ip) {
    struct fp_upper upper;
    const enum fp_upper_kind kind = fp_flow_upper(frame->data, &frame->flow, &upper);
    if (!is_host6(ip + FP_IPV6_SOURCE) || !is_host6(ip + FP_IPV6_SOURCE + 16))
        return false;
    if (kind != FP_UPPER_READ || upper.protocol != FP_PROTOCOL_ICMPV6)
        return kind == FP_UPPER_READ || kind == FP_UPPER_OTHER;
    const uint8_t type = frame->data[upper.at];
    return type >= ICMP6_INFORMATION && type != ICMP6_REDIRECT;
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

// Write the packet at `to`, and return its length. `length` bytes of `ip` are there.
static uint32_t write4(uint8_t *to, const uint8_t *ip, uint32_t length, uint32_t mtu) {
    const uint32_t quoted = smaller(length, IPV4_ERROR_SIZE - FP_IPV4_SIZE - ICMP_SIZE);
    uint8_t *icmp = to + FP_IPV4_SIZE;
    memset(to, 0, FP_IPV4_SIZE + ICMP_SIZE);
    to[0] = 4 << 4 | FP_IPV4_SIZE / 4;
    to[FP_IPV4_TOS] = INTERNETWORK_CONTROL;
    fp_store_be16(to + FP_IPV4_LENGTH, (uint16_t)(FP_IPV4_SIZE + ICMP_SIZE + quoted));
    fp_store_be16(to + FP_IPV4_FRAGMENT, IPV4_DF);
    to[IPV4_TTL] = HOPS;
    to[FP_IPV4_PROTOCOL] = FP_PROTOCOL_ICMP;
    memcpy(to + FP_IPV4_SOURCE, ip + FP_IPV4_SOURCE + 4, 4);
    memcpy(to + FP_IPV4_SOURCE + 4, ip + FP_IPV4_SOURCE, 4);
    uint16_t sum = fp_checksum(to, FP_IPV4_SIZE);
    memcpy(to + FP_IPV4_CHECKSUM, &sum, sizeof sum);

    icmp[0] = ICMP4_UNREACHABLE;
    icmp[ICMP_CODE] = ICMP4_FRAGMENTATION_NEEDED;
    fp_store_be16(icmp + ICMP_MTU + 2, (uint16_t)mtu);
    memcpy(icmp + ICMP_SIZE, ip, quoted);
    sum = fp_checksum(icmp, ICMP_SIZE + quoted);
    memcpy(icmp + ICMP_CHECKSUM, &sum, sizeof sum);
    return FP_IPV4_SIZE + ICMP_SIZE + quoted;
}

static uint32_t write6(uint8_t *to, const uint8_t *ip, uint32_t length, uint32_t mtu) {
    const uint32_t quoted = smaller(length, FP_IPV6_MIN_MTU - FP_IPV6_SIZE - ICMP_SIZE);
    uint8_t *icmp = to + FP_IPV6_SIZE;
    memset(to, 0, FP_IPV6_SIZE + ICMP_SIZE);
    to[0] = 6 << 4;
    fp_store_be16(to + FP_IPV6_LENGTH, (uint16_t)(ICMP_SIZE + quoted));
    to[FP_IPV6_NEXT] = FP_PROTOCOL_ICMPV6;
    to[IPV6_HOP_LIMIT] = HOPS;
    memcpy(to + FP_IPV6_SOURCE, ip + FP_IPV6_SOURCE + 16, 16);
    memcpy(to + FP_IPV6_SOURCE + 16, ip + FP_IPV6_SOURCE, 16);

    icmp[0] = ICMP6_TOO_BIG;
    fp_store_be32(icmp + ICMP_MTU, mtu);
    memcpy(icmp + ICMP_SIZE, ip, quoted);
    const uint64_t pseudo = fp_checksum_pseudo(to, 6, FP_PROTOCOL_ICMPV6, ICMP_SIZE + quoted);
    const uint16_t sum =
        (uint16_t)~fp_checksum_fold(fp_checksum_add(pseudo, icmp, ICMP_SIZE + quoted));
    memcpy(icmp + ICMP_CHECKSUM, &sum, sizeof sum);
    return FP_IPV6_SIZE + ICMP_SIZE + quoted;
}

uint32_t fp_icmp_too_big(uint8_t *to, const struct fp_frame *frame, uint32_t size, uint32_t mtu) {
    const struct fp_flow *flow = &frame->flow;
    const uint8_t *data = frame->data, *ip = data + flow->network;
    if (flow->network == 0 || fp_mac_is_multicast(fp_load_mac(data)) ||
        fp_mac_is_multicast(fp_load_mac(data + FP_MAC_SIZE)))
        return 0;
    if (flow->version == 6 && mtu < FP_IPV6_MIN_MTU)
        mtu = FP_IPV6_MIN_MTU; // RFC 8201 section 4: nobody sends less
    const uint32_t length = flow->end - flow->network;
    if (size <= mtu || !(flow->version == 4 ? may_tell4(ip, length, mtu) : may_tell6(frame, ip)))
        return 0;
    memcpy(to, data + FP_MAC_SIZE, FP_MAC_SIZE);
    memcpy(to + FP_MAC_SIZE, data, FP_MAC_SIZE);
    memcpy(to + 2 * FP_MAC_SIZE, data + 2 * FP_MAC_SIZE, flow->network - 2 * FP_MAC_SIZE);
    uint8_t *at = to + flow->network;
    return flow->network +
           (flow->version == 4 ? write4(at, ip, length, mtu) : write6(at, ip, length, mtu));
}
