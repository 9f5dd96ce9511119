// SPDX-License-Identifier: Apache-2.0
// The internet checksum (RFC 1071): full, fused with a copy, pseudo-header and incremental (RFC 1624).
//
// A "sum" is a ones'-complement sum of 16-bit words in memory order, not folded and not inverted.
// Sums of pieces may be added if every piece but the last has an even size.
#ifndef FP_CHECKSUM_H
#define FP_CHECKSUM_H

#include <stdbool.h>
#include <stdint.h>

// Add `length` bytes at `data` (any alignment) to `sum`.
uint64_t fp_checksum_add(uint64_t sum, const uint8_t *data, uint32_t length);

// The same, and copy the bytes to `to`, which lies in front of `from` or does not overlap it.
uint64_t fp_checksum_move(uint64_t sum, uint8_t *to, const uint8_t *from, uint32_t length);

// The ways in which the two above can be done; they take the last one that the processor has.
enum fp_checksum_way { FP_CHECKSUM_PORTABLE, FP_CHECKSUM_AVX2, FP_CHECKSUM_AVX512 };
bool fp_checksum_has(enum fp_checksum_way way);
// `to` NULL: only add. Needs fp_checksum_has(way).
uint64_t fp_checksum_by(enum fp_checksum_way way, uint64_t sum, uint8_t *to, const uint8_t *from,
                        uint32_t length);

// Fold a sum to 16 bits, in memory order: store it with memcpy, not with fp_store_be16.
static inline uint16_t fp_checksum_fold(uint64_t sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

// The checksum of a whole header or packet, ready to be stored with memcpy.
static inline uint16_t fp_checksum(const uint8_t *data, uint32_t length) {
    return (uint16_t)~fp_checksum_fold(fp_checksum_add(0, data, length));
}

// The sum of a TCP or UDP pseudo-header. `ip` is the IP header (`version` 4 or 6, RFC 9293 section
// 3.1, RFC 8200 section 8.1), `length` the size of the transport header and its payload in bytes.
uint64_t fp_checksum_pseudo(const uint8_t *ip, uint8_t version, uint8_t protocol, uint32_t length);

// Repair the checksum stored at `at` after one 16-bit word changed; both words in memory order.
void fp_checksum_replace(uint8_t *at, uint16_t before, uint16_t after);

#endif
