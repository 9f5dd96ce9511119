// SPDX-License-Identifier: Apache-2.0
// Forwarders that are one C function over records, made by a compiler at run time (fastpath/forwarder/compiled.py).
#ifndef FP_COMPILED_H
#define FP_COMPILED_H

#include <stdint.h>

#include "packet/record.h"
#include "tables/tables.h"

// Decide on records, FP_BURST at most, by their `out`, which is undecided before. What is added to `counts`,
// all 0 before, is added to the forwarder's counters. Called by all workers at once: `worker` tells which
// one calls, or their number where it is the thread of a deferred forwarder. `now` is in seconds. Returns 0,
// or another number where it failed: then the whole burst is dropped.
typedef int (*fp_compiled_function)(struct fp_record *records, uint32_t count, uint64_t *counts,
                                    uint32_t now, uint32_t worker, void *const *arrays);

struct fp_compiled {
    fp_compiled_function function;
    void **arrays; // the function's own memory, whatever it may be
    uint32_t first; // index of the first of its counters, of which there are
    uint32_t counters;
};

// As struct fp_forwarder wants it, `state` being a struct fp_compiled.
void fp_compiled_forward(const struct fp_forwarder *self, const struct fp_context *context,
                         struct fp_frame *frames, uint32_t count);

#endif
