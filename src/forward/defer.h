// SPDX-License-Identifier: Apache-2.0
// Deferral: forwarders that no worker can run, because they need the interpreter or may take their time.
//
// The workers put such a forwarder's frames into rings, one for each worker, and go on; a thread of the
// forwarder's own takes bursts of them, decides, and delivers
// (fastpath/engine/workers/forwarder_thread.pyx). Where it does not keep up, a ring is full and frames
// are dropped: nobody else waits.
#ifndef FP_DEFER_H
#define FP_DEFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tables/ring.h"
#include "tables/tables.h"

enum {
    FP_DEFERRED_BURST = 256, // frames that the forwarder sees at once, at most
    FP_DEFERRED_SPARE = 64, // bytes behind a frame by which it may grow
    FP_DEFERRED_RING = 2 << 20, // bytes of each ring: some 7,000 small frames, 32 of 64 KB
};

struct fp_deferral {
    uint32_t workers;
    int wake; // an eventfd, written to when frames come while the thread sleeps
    _Atomic bool asleep;
    struct fp_ring *ring[FP_WORKERS];
    uint64_t position[FP_WORKERS]; // the thread's, in each ring
    uint32_t next; // the ring to look at first
};

// NULL: no memory. `wake` stays the caller's.
struct fp_deferral *fp_deferral_new(uint32_t workers, int wake);
void fp_deferral_free(struct fp_deferral *deferral);

// As struct fp_forwarder wants it, `state` being the deferral: a worker's part.
void fp_defer_forward(const struct fp_forwarder *self, const struct fp_context *context,
                      struct fp_frame *frames, uint32_t count);

// The thread's part: up to `room` frames. Their bytes may be changed, FP_HEADROOM bytes in front and
// FP_DEFERRED_SPARE behind them too, until fp_deferral_release.
uint32_t fp_deferral_take(struct fp_deferral *deferral, struct fp_frame *frames, uint32_t room);
void fp_deferral_release(struct fp_deferral *deferral);

// The thread is about to sleep: true if it may, false if frames came meanwhile. Afterwards, awake.
bool fp_deferral_doze(struct fp_deferral *deferral);
void fp_deferral_awake(struct fp_deferral *deferral);

#endif
