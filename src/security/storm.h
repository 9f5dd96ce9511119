// SPDX-License-Identifier: Apache-2.0
// Storm control: how much a port may flood. One flooded frame becomes a copy for every other port and
// every remote of its segment, so a token stands for one copy: a bucket of them for each port, which all
// workers share. A flood that costs more than the bucket can ever hold does not pass.
#ifndef FP_STORM_H
#define FP_STORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// `limit`: copies for each second; the bucket holds those of two. 0: any number.
struct fp_storm {
    _Atomic uint32_t limit;
    _Atomic uint64_t bucket; // above: when it was filled, in seconds; below: the tokens in it
};

// Set the limit, and fill the bucket.
void fp_storm_set(struct fp_storm *storm, uint32_t limit, uint32_t now);

// Take so many tokens at the time `now`, in seconds. False: there are not as many.
bool fp_storm_take(struct fp_storm *storm, uint32_t now, uint64_t copies);

#endif
