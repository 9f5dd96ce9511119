// SPDX-License-Identifier: Apache-2.0
#include "security/refused.h"

#include <string.h>

_Static_assert(FP_REFUSED == 1 << (64 - 59), "what is left of the hash");

void fp_refused_note(struct fp_refused *refused, const uint8_t *ip, uint32_t now) {
    uint64_t half[2];
    memcpy(half, ip, sizeof half);
    if ((half[0] | half[1]) == 0)
        return;
    const uint64_t mixed = (half[0] ^ half[1]) * UINT64_C(0x9e3779b97f4a7c15);
    const uint32_t i = (uint32_t)(mixed >> 59);
    uint32_t version = atomic_load_explicit(&refused->slot[i].version, memory_order_relaxed);
    if ((version & 1) ||
        !atomic_compare_exchange_strong(&refused->slot[i].version, &version, version + 1))
        return;
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&refused->slot[i].ip[0], half[0], memory_order_relaxed);
    atomic_store_explicit(&refused->slot[i].ip[1], half[1], memory_order_relaxed);
    atomic_store_explicit(&refused->slot[i].seen, now, memory_order_relaxed);
    atomic_store_explicit(&refused->slot[i].version, version + 2, memory_order_release);
}

bool fp_refused_read(const struct fp_refused *refused, uint32_t i, uint8_t *ip, uint32_t *seen) {
    const uint32_t version = atomic_load_explicit(&refused->slot[i].version, memory_order_acquire);
    const uint64_t half[2] = {
        atomic_load_explicit(&refused->slot[i].ip[0], memory_order_relaxed),
        atomic_load_explicit(&refused->slot[i].ip[1], memory_order_relaxed),
    };
    *seen = atomic_load_explicit(&refused->slot[i].seen, memory_order_relaxed);
    memcpy(ip, half, sizeof half);
    atomic_thread_fence(memory_order_acquire);
    return version != 0 && !(version & 1) &&
           atomic_load_explicit(&refused->slot[i].version, memory_order_relaxed) == version;
}
