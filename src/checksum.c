// SPDX-License-Identifier: Apache-2.0
#include "checksum.h"

#include "wire.h"

uint64_t fp_checksum_add(uint64_t sum, const uint8_t *data, uint32_t length) {
    // 32-bit words into 64-bit lanes: no carry is lost before 2^32 words, and compilers vectorise it.
    uint64_t lane[8] = {0};
    for (; length >= 32; data += 32, length -= 32) {
        uint32_t word[8];
        memcpy(word, data, sizeof word);
        for (int i = 0; i < 8; i++)
            lane[i] += word[i];
    }
    for (int i = 0; i < 8; i++)
        sum = (sum & 0xffffffff) + (sum >> 32) + lane[i];
    for (; length >= 4; data += 4, length -= 4) {
        uint32_t word;
        memcpy(&word, data, sizeof word);
        sum += word;
    }
    if (length > 0) {
        uint32_t rest = 0; // padded with zero bytes, RFC 1071 section 1
        memcpy(&rest, data, length);
        sum += rest;
    }
    return sum;
}

uint64_t fp_checksum_pseudo(const uint8_t *ip, uint8_t version, uint8_t protocol, uint32_t length) {
    uint8_t tail[8] = {0}; // the IPv6 form; the IPv4 one adds up to the same
    fp_store_be32(tail, length);
    tail[7] = protocol;
    const uint64_t addresses = version == 4 ? fp_checksum_add(0, ip + FP_IPV4_SOURCE, 8)
                                            : fp_checksum_add(0, ip + FP_IPV6_SOURCE, 32);
    return fp_checksum_add(addresses, tail, sizeof tail);
}

void fp_checksum_replace(uint8_t *at, uint16_t before, uint16_t after) {
    uint16_t checksum;
    memcpy(&checksum, at, sizeof checksum);
    // RFC 1624 equation 3: HC' = ~(~HC + ~m + m')
    const uint64_t sum = (uint64_t)(uint16_t)~checksum + (uint16_t)~before + after;
    checksum = (uint16_t)~fp_checksum_fold(sum);
    memcpy(at, &checksum, sizeof checksum);
}
