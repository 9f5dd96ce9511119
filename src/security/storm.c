// SPDX-License-Identifier: Apache-2.0
#include "security/storm.h"

enum { BURST_S = 2 };

static uint64_t pack(uint32_t now, uint64_t tokens) {
    return (uint64_t)now << 32 | tokens;
}

static uint64_t full(uint32_t limit) {
    const uint64_t tokens = (uint64_t)limit * BURST_S;
    return tokens < UINT32_MAX ? tokens : UINT32_MAX;
}

void fp_storm_set(struct fp_storm *storm, uint32_t limit, uint32_t now) {
    atomic_store(&storm->bucket, pack(now, full(limit)));
    atomic_store(&storm->limit, limit);
}

bool fp_storm_take(struct fp_storm *storm, uint32_t now, uint64_t copies) {
    const uint32_t limit = atomic_load_explicit(&storm->limit, memory_order_relaxed);
    if (limit == 0)
        return true;
    uint64_t old = atomic_load_explicit(&storm->bucket, memory_order_relaxed);
    for (;;) {
        const uint32_t filled = (uint32_t)(old >> 32);
        // Another worker may be a second ahead.
        const uint32_t passed = (int32_t)(now - filled) > 0 ? now - filled : 0;
        uint64_t tokens = (uint32_t)old + (uint64_t)passed * limit;
        if (tokens > full(limit))
            tokens = full(limit);
        if (copies > tokens)
            return false;
        if (atomic_compare_exchange_weak(&storm->bucket, &old,
                                         pack(filled + passed, tokens - copies)))
            return true;
    }
}
