// SPDX-License-Identifier: Apache-2.0
// Forwarders that are one C function over records, made by a compiler at run time (fastpath/forwarder/compiled.py).
#ifndef FP_COMPILED_H
#define FP_COMPILED_H

#include <stdint.h>

#include "packet/record.h"
#include "tables/tables.h"

// Set `out` of each record, FP_BURST at most; it is undecided before. `counts` begins with zeros, and what the
// function adds there is added to the forwarder's counters. All workers may call it at the same time: `worker`
// is the caller's index, or the number of workers if the thread of a deferred forwarder calls. `now` is in
// seconds. Return 0; any other number is a failure, and the whole burst is dropped.
typedef int (*fp_compiled_function)(struct fp_record *records, uint32_t count, uint64_t *counts,
                                    uint32_t now, uint32_t worker, void *const *arrays);

struct fp_compiled {
    fp_compiled_function function;
    void **arrays; // the function's own memory
    uint32_t first; // index of the first of its counters, of which there are
    uint32_t counters;
};

// The function of a struct fp_forwarder whose `state` is a struct fp_compiled.
void fp_compiled_forward(const struct fp_forwarder *self, const struct fp_context *context,
                         struct fp_frame *frames, uint32_t count);

#endif
