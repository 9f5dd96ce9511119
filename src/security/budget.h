// SPDX-License-Identifier: Apache-2.0
// A worker's packet budget: no port sends more than its share of a turn, and no turn lasts long.
//
// A worker serves ports in rounds (deficit round robin). In each round a port gets FP_BUDGET_PORT packets;
// a packet is whatever goes out, each copy of a flooded frame and each segment of a super-frame. What a
// frame costs is known only after the forwarder has decided, so a port may overdraw its budget by one
// burst: then it is passed over until it has paid, and its next bursts are as short as they have to be.
// What other ports send is never in the way of ordinary traffic: 64 frames, or super-frames of 64 KB.
#ifndef FP_BUDGET_H
#define FP_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "packet/frame.h"

enum {
    FP_BUDGET_PORT = 256, // packets of one port in one round
    FP_BUDGET_TURN = 1024, // packets after which a turn ends, since control may be waiting
};

// Of one port at one worker, which alone touches it. All 0 is right to begin with.
struct fp_budget {
    _Alignas(64) int64_t credit; // below 0: it has to be paid first
    uint32_t withheld; // of a burst of FP_BURST frames, so many are not to be read
};

// A round begins. False: pass the port over.
static inline bool fp_budget_begin(struct fp_budget *budget) {
    budget->credit += FP_BUDGET_PORT;
    if (budget->credit > FP_BUDGET_PORT)
        budget->credit = FP_BUDGET_PORT;
    return budget->credit > 0;
}

// How many frames to read at most.
static inline uint32_t fp_budget_frames(const struct fp_budget *budget) {
    return FP_BURST - budget->withheld;
}

// So many frames were read, and became so many packets.
static inline void fp_budget_end(struct fp_budget *budget, uint32_t frames, uint64_t packets) {
    budget->credit -= (int64_t)packets;
    budget->withheld = 0;
    if (packets > FP_BUDGET_PORT / 2) { // less is ordinary: two super-frames of 64 KB
        const uint64_t room = (uint64_t)FP_BUDGET_PORT * frames / packets;
        if (room < FP_BURST)
            budget->withheld = FP_BURST - (room > 0 ? (uint32_t)room : 1);
    }
}

#endif
