// SPDX-License-Identifier: Apache-2.0
// Deferral: forwarders that cannot run in a worker, because they need the Python interpreter or may be slow.
//
// The workers put such a forwarder's frames into rings, one for each worker, and go on; a thread of the
// forwarder's own takes bursts of them, decides, and delivers
// (fastpath/engine/workers/forwarder_thread.pyx). If it does not keep up, a ring is full and frames are
// dropped: nothing else waits.
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

// Return NULL if there is no memory. The caller keeps `wake`.
struct fp_deferral *fp_deferral_new(uint32_t workers, int wake);
void fp_deferral_free(struct fp_deferral *deferral);

// For workers: the function of a struct fp_forwarder whose `state` is the deferral.
void fp_defer_forward(const struct fp_forwarder *self, const struct fp_context *context,
                      struct fp_frame *frames, uint32_t count);

// For the thread: take up to `room` frames, and return their number. `standing` is for fp_deferral_expire. Until fp_deferral_release the thread may
// change their bytes, FP_HEADROOM bytes in front of them, and FP_DEFERRED_SPARE bytes behind them.
uint32_t fp_deferral_take(struct fp_deferral *deferral, struct fp_frame *frames, uint64_t *standing,
                          uint32_t room);
// At the beginning of a turn: discard those that were not sent yet and whose port was removed meanwhile, or whose
// remote was dismissed. Another port may have that index now, and must neither be charged for them nor learned from
// them; nor may anything be learned from the remote. `segment` is that of all of them; NULL: it was removed, and they go
// nowhere.
void fp_deferral_expire(const struct fp_context *context, const struct fp_segment *segment,
                        struct fp_frame *frames, const uint64_t *standing, uint32_t count);
void fp_deferral_release(struct fp_deferral *deferral);

// For the thread: return true if it may sleep now, false if frames came meanwhile. After it slept: awake.
bool fp_deferral_doze(struct fp_deferral *deferral);
void fp_deferral_awake(struct fp_deferral *deferral);

#endif
