// SPDX-License-Identifier: Apache-2.0
// A burst: the frames that a worker handles together, and the merges that are open among them.
//
// Frames that came from a remote are merged before the forwarder sees them, so that it decides on a
// super-frame once, as it does on one that came from a port. Frames of one flow stay in order: a frame
// that can't be merged into the flow's last one takes its place.
#ifndef FP_BURST_H
#define FP_BURST_H

#include <stdbool.h>
#include <stdint.h>

#include "packet/frame.h"
#include "packet/merge.h"

enum { FP_SPARE_SIZE = 512 << 10 };

struct fp_burst {
    struct fp_frame frame[FP_BURST];
    struct fp_merge merge[FP_BURST]; // of the frame with the same index
    uint8_t latest[FP_BURST]; // by flow hash: 1 + the index of the frame that came last
    uint32_t count;
    uint32_t merging; // 1 + the index of the frame that the last one was merged into or is; 0: none
    uint8_t *spare; // FP_SPARE_SIZE bytes, for heads that have no room to grow where they are
    uint32_t spare_used;
};

// Begin with no frames.
void fp_burst_clear(struct fp_burst *burst);

// Another message begins: none of its packets is merged without being parsed.
static inline void fp_burst_new_train(struct fp_burst *burst) {
    burst->merging = 0;
}

// Merge the UDP payload at `packet` into the frame of the previous one, without parsing it, and return true, if it
// follows that one directly. Both are of one train.
bool fp_burst_follow(struct fp_burst *burst, uint8_t *packet, uint32_t length);

// Take burst->frame[burst->count], which is set up, decapsulated and has its source: merge it, or keep it
// as the next frame. The bytes behind it up to `room_end` belong to its buffer.
void fp_burst_take(struct fp_burst *burst, const uint8_t *room_end);

// Finish all merges. Return the number of frames that were merged into others.
uint32_t fp_burst_end(struct fp_burst *burst);

#endif
