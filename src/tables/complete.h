// SPDX-License-Identifier: Apache-2.0
// What control knows all of: subnets of a segment in which nobody has an address that is not a neighbour's.
//
// The list is immutable; control replaces it whole. It holds only while control vouches for it
// (fp_tables.vouched_until): what other hosts add meanwhile must not be taken for nobody's.
#ifndef FP_COMPLETE_H
#define FP_COMPLETE_H

#include <stdbool.h>
#include <stdint.h>

struct fp_subnet {
    uint8_t ip[16]; // its first address; IPv4 as ::ffff:a.b.c.d
    uint8_t bits; // of these, up to 128
};

struct fp_complete {
    uint32_t subnets, exceptions;
    struct fp_subnet *subnet;
    uint8_t (*exception)[16]; // addresses that may be anybody's, increasing
};

// A list with room for so many, to be filled in; NULL without memory. Freed with free().
struct fp_complete *fp_complete_new(uint32_t subnets, uint32_t exceptions);

// Whether an address (16 bytes) that is no neighbour's is nobody's.
bool fp_complete_is_nobodys(const struct fp_complete *complete, const uint8_t *ip);

#endif
