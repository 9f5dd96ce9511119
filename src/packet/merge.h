// SPDX-License-Identifier: Apache-2.0
// Merge: consecutive segments of one flow -> super-frame (GRO). The rules are the kernel's,
// net/ipv4/tcp_offload.c and udp_offload.c; its gro selftest is repeated in the tests.
#ifndef FP_MERGE_H
#define FP_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "packet/frame.h"

// What is known of a frame that others may be merged into: its head.
struct fp_merge {
    struct fp_frame *head;
    const uint8_t *room_end; // the bytes behind the head up to here may be overwritten
    uint32_t next_sequence; // TCP
    uint16_t next_id; // IPv4
    uint16_t payload; // bytes in each segment
    uint16_t head_size; // bytes in front of them
    uint16_t headers; // the same, and 0 when nothing (more) can be merged into this frame
    bool verified; // the head's own checksum was found right
};

// Begin a merge with a frame that is complete and parsed, if others can be merged into it.
void fp_merge_begin(struct fp_merge *merge, struct fp_frame *head, const uint8_t *room_end);

static inline bool fp_merge_open(const struct fp_merge *merge) {
    return merge->headers != 0;
}

// Merge the frame at `segment`, which need not be parsed, into the head: its payload is moved behind the
// head's, which may overwrite its headers. Return false and change nothing if it does not belong there or its
// checksum is wrong. If both are in one buffer, the segment lies behind the head. FP_VXLAN_SIZE bytes in front
// of the segment are readable and writable.
bool fp_merge_append(struct fp_merge *merge, uint8_t *segment, uint32_t length);

// Finish the head's headers: a super-frame if anything was merged into it.
void fp_merge_end(struct fp_merge *merge);

#endif
