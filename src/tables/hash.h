// SPDX-License-Identifier: Apache-2.0
// How tables that have IP addresses as keys find their places. The seed is a secret, so that nobody outside can aim
// for one place.
#ifndef FP_HASH_H
#define FP_HASH_H

#include <stdint.h>
#include <string.h>

static inline uint64_t fp_hash_scramble(uint64_t hash) {
    hash = (hash ^ (hash >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return hash ^ (hash >> 32);
}

// Every bit of the address counts (16 bytes), since hosts of one subnet differ in the last ones only; so does `more`,
// the rest of the key.
static inline uint32_t fp_hash_address(uint64_t seed, const uint8_t *ip, uint64_t more) {
    uint64_t half[2];
    memcpy(half, ip, sizeof half);
    uint64_t hash = fp_hash_scramble(seed ^ half[0]);
    hash = fp_hash_scramble(hash ^ half[1]);
    return (uint32_t)fp_hash_scramble(hash ^ more);
}

#endif
