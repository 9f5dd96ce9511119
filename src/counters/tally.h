// SPDX-License-Identifier: Apache-2.0
// Counters, and what is counted: reasons to drop, events, traffic.
//
// Every counter has one writer (its worker) and any number of readers, so adding is a plain load and
// store; "relaxed" only tells the compiler that somebody else may look. Readers sum over workers.
#ifndef FP_TALLY_H
#define FP_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

enum fp_drop {
    FP_DROP_NONE = 0, // not a reason: "keep the frame"
#define FP_DROP(name, sentence) FP_DROP_##name,
#include "counters/drop.def"
#undef FP_DROP
    FP_DROP_COUNT
};

enum fp_event {
#define FP_EVENT(name, sentence) FP_EVENT_##name,
#include "counters/event.def"
#undef FP_EVENT
    FP_EVENT_COUNT
};

typedef _Atomic uint64_t fp_counter;

static inline void fp_count(fp_counter *counter, uint64_t by) {
    const uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + by, memory_order_relaxed);
}

static inline uint64_t fp_counter_read(const fp_counter *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

// What a port or a remote counts, one cache line for each worker. Seen from the engine: "rx" came
// into the engine from there, "tx" left the engine to there. Bytes are those of inner frames.
struct fp_traffic {
    _Alignas(64) fp_counter rx_frames;
    fp_counter rx_bytes;
    fp_counter tx_frames;
    fp_counter tx_bytes;
    fp_counter
        drops; // frames from here that were discarded, and frames to here that did not get out
    fp_counter unlearned; // frames from here whose source address the FDB had no room for
};

// What a segment and a worker count. Index 0 of `drops` (FP_DROP_NONE) stays 0.
struct fp_tally {
    struct fp_traffic traffic;
    fp_counter drops[FP_DROP_COUNT];
    fp_counter events[FP_EVENT_COUNT];
};

#endif
