// SPDX-License-Identifier: Apache-2.0
#include "path/pace.h"

#include <time.h>

enum {
    VAIN = 16, // times of looking for work without finding any, until it is not tried any more
    TAKEN_NS = 250000, // somebody else had the core for longer than that:
    AVOID_NS = 100000000, // for how long the worker then sleeps at once
    GATHER = 48, // frames to gather,
    GATHER_BELOW_NS = 8000, // where they come at least that often,
    GATHER_NS = 50000, // and for no longer than that
    MAX_INTERVAL_NS = 1 << 20,
};

uint64_t fp_pace_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void fp_pace_init(struct fp_pace *pace, uint64_t spin_ns) {
    *pace = (struct fp_pace){.spin_ns = spin_ns, .interval_ns = MAX_INTERVAL_NS};
}

bool fp_pace_look(const struct fp_pace *pace, uint64_t since, uint64_t now) {
    return now - since < pace->spin_ns && pace->vain < VAIN && now >= pace->not_before;
}

uint64_t fp_pace_gather(struct fp_pace *pace, uint64_t since, uint64_t now, uint32_t frames) {
    if (frames == 0)
        return now;
    pace->interval_ns = (3 * pace->interval_ns + (now - since) / frames) / 4;
    if (pace->interval_ns >= GATHER_BELOW_NS || now < pace->not_before)
        return now;
    const uint64_t wanted = GATHER * pace->interval_ns;
    return now + (wanted < GATHER_NS ? wanted : GATHER_NS);
}

void fp_pace_yielded(struct fp_pace *pace, uint64_t since, uint64_t now) {
    // Do not look for work here: being woken is quicker than getting the core back.
    if (now - since > TAKEN_NS)
        pace->not_before = now + AVOID_NS;
}

void fp_pace_slept(struct fp_pace *pace, uint64_t since, uint64_t now) {
    pace->interval_ns = MAX_INTERVAL_NS;
    pace->vain = now - since < pace->spin_ns ? 0 : pace->vain + 1;
}
