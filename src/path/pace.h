// SPDX-License-Identifier: Apache-2.0
// Pace: how a worker shares its core. When it sleeps, when it looks for work instead, and when it lets
// frames gather. Times are nanoseconds of one clock, which the caller reads, so that tests need none.
// docs/benchmarks/performance.md has the measurements behind the numbers.
#ifndef FP_PACE_H
#define FP_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct fp_pace {
    uint64_t spin_ns; // for how long to look for work before sleeping
    uint64_t interval_ns; // between frames, lately
    uint64_t not_before; // the core is somebody else's until then
    uint32_t vain; // sleeps in a row that were longer than looking for work would have been
};

// The machine's monotonic clock.
uint64_t fp_pace_clock(void);

void fp_pace_init(struct fp_pace *pace, uint64_t spin_ns);

// Return whether to look for more work at `now` rather than to sleep; the last work was done at `since`.
bool fp_pace_look(const struct fp_pace *pace, uint64_t since, uint64_t now);

// A turn handled `frames` frames; the one before ended at `since`, this one at `now`. Return the time until which
// frames should gather before the next turn; `now`: not at all.
uint64_t fp_pace_gather(struct fp_pace *pace, uint64_t since, uint64_t now, uint32_t frames);

// The worker let others have the core, and had it back at `now`.
void fp_pace_yielded(struct fp_pace *pace, uint64_t since, uint64_t now);

// The worker slept.
void fp_pace_slept(struct fp_pace *pace, uint64_t since, uint64_t now);

#endif
