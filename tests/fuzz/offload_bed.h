// SPDX-License-Identifier: Apache-2.0
// Split and merge as slowly and obviously as they can be said. Shared by fuzz_split, fuzz_merge and the storm.
#ifndef FP_FUZZ_OFFLOAD_BED_H
#define FP_FUZZ_OFFLOAD_BED_H

#include "bed.h"
#include "path/burst.h"

// Whether the transport checksum and that of an IPv4 header come out right.
bool slow_is_right(const uint8_t *frame, uint32_t length);

// Split a super-frame that fp_offload_measure accepted, and check each segment on its own and all of them
// together. Returns how many there were.
uint32_t check_split(const struct fp_frame *frame);

// A frame of a burst as it came in, to compare with what becomes of it.
struct arrived {
    const uint8_t *bytes;
    uint32_t length;
    struct fp_flow flow;
};

// Whether fp_burst_take and fp_burst_end made of `count` frames what they may: every frame is there once,
// in order within its flow, and what was merged is a super-frame of right segments that belong together.
void check_merged(const struct fp_burst *burst, const struct arrived *arrived, uint32_t count);

#endif
