// SPDX-License-Identifier: Apache-2.0
#include "checksum.h"

#include <arpa/inet.h>

#include "wire.h"

uint64_t fp_checksum_add(uint64_t sum, const uint8_t *data, uint32_t length) {
    // 32-bit words into 64-bit lanes: no carry is lost before 2^32 words, and compilers vectorise
    // it.
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
    // Straight-line code: this runs for every TCP and UDP packet that arrives.
    uint32_t word[8];
    uint64_t sum = (uint64_t)htonl(length) + htonl(protocol);
    if (version == 4) {
        memcpy(word, ip + FP_IPV4_SOURCE, 8);
        return sum + word[0] + word[1];
    }
    memcpy(word, ip + FP_IPV6_SOURCE, sizeof word);
    for (int i = 0; i < 8; i++)
        sum += word[i];
    return sum;
}

void fp_checksum_replace(uint8_t *at, uint16_t before, uint16_t after) {
    uint16_t checksum;
    memcpy(&checksum, at, sizeof checksum);
    // RFC 1624 equation 3: HC' = ~(~HC + ~m + m')
    const uint64_t sum = (uint64_t)(uint16_t)~checksum + (uint16_t)~before + after;
    checksum = (uint16_t)~fp_checksum_fold(sum);
    memcpy(at, &checksum, sizeof checksum);
}
