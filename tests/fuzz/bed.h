// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets and the storm share: a table with a few segments, frames in memory of
// exactly their size, and slow, obvious versions of what src/ does fast.
#ifndef FP_FUZZ_BED_H
#define FP_FUZZ_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "packet/frame.h"
#include "tables/tables.h"

// Not assert(): it must hold in every build, and libFuzzer keeps the input of whatever aborts.
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition);  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

// The input, taken from the front. Where it ends, zeros follow, so that every input is a valid one.
struct input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t take8(struct input *input) {
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

static inline uint16_t take16(struct input *input) {
    const uint16_t high = take8(input);
    return (uint16_t)((high << 8) | take8(input));
}

static inline uint32_t take32(struct input *input) {
    const uint32_t high = take16(input);
    return (high << 16) | take16(input);
}

static inline uint64_t take64(struct input *input) {
    const uint64_t high = take32(input);
    return (high << 32) | take32(input);
}

enum {
    BED_SEGMENTS = 3,
    BED_PORT = 1,
    BED_GROUP = 1,
};

// One worker's view of an engine with three segments, two remotes and a few static FDB entries.
struct bed {
    struct fp_context context;
    struct fp_segment *segment[BED_SEGMENTS];
    uint32_t here, elsewhere; // remotes: the one that all packets come from, and another one
};

extern const uint32_t bed_vni[BED_SEGMENTS];

// Static entries of every segment. The seeds use these addresses, too.
#define BED_MAC_OWN UINT64_C(0x020000000001) // our port's
#define BED_MAC_HERE UINT64_C(0x020000000002) // pinned to the remote `here`
#define BED_MAC_ELSEWHERE UINT64_C(0x020000000003) // pinned to the remote `elsewhere`
#define BED_MAC_GROUP UINT64_C(0x020000000004) // pinned to a group

// Aborts without memory.
void bed_new(struct bed *bed);
void bed_free(struct bed *bed);

// Forget what was learned, so that one input doesn't depend on the ones before it.
void bed_forget(struct bed *bed);

static inline uint64_t bed_drops(const struct bed *bed, uint32_t reason) {
    return fp_counter_read(&bed->context.tables->tally[0].drops[reason]);
}

static inline uint64_t bed_events(const struct bed *bed, uint32_t event) {
    return fp_counter_read(&bed->context.tables->tally[0].events[event]);
}

// Copy `size` bytes to the end of a heap block, `room` unused bytes in front of them, so that the
// sanitizer sees the first byte read or written outside. *memory is to be freed.
uint8_t *exact_copy(const uint8_t *bytes, size_t size, size_t room, void **memory);

// RFC 1071 word by word, in memory order: folded, not inverted, added to `sum`.
uint16_t slow_sum(uint16_t sum, const uint8_t *bytes, uint32_t size);

// The folded sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1).
uint16_t slow_pseudo(const uint8_t *ip, uint8_t version, uint8_t protocol, uint32_t length);

// The same number in ones' complement, where 0 and 0xffff are one.
static inline bool same_sum(uint16_t a, uint16_t b) {
    return a % 0xffff == b % 0xffff;
}

// Whatever the input was, offsets lie in order and within the frame.
void check_flow(const struct fp_flow *flow, uint32_t length);
bool same_flow(const struct fp_flow *a, const struct fp_flow *b);

// Where fp_flow_parse found a TCP or UDP header that reaches to its checksum field: the offset of
// the field from the header. Otherwise 0.
uint16_t checksum_field(const struct fp_flow *flow);

// Write the vnet header for ports of several MTUs into the headroom, and check what it says.
void check_vnet_write(const struct fp_frame *frame);

#endif
