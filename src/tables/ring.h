// SPDX-License-Identifier: Apache-2.0
// A ring of entries of any size, from one producer to one consumer, without a lock.
//
// The producer reserves entries and publishes them together; the consumer looks at published entries, one
// after the other, and releases them together. An entry lies in one piece and stays where it is until it is
// released. Positions count bytes since the beginning, so they never wrap in practice.
#ifndef FP_RING_H
#define FP_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fp_ring {
    uint8_t *bytes;
    uint64_t size; // a power of two
    // The producer's.
    _Alignas(64) uint64_t written; // reserved up to here, perhaps not published yet
    uint64_t free_until; // what the consumer had released when last looked at, plus size
    // Between the two.
    _Alignas(64) _Atomic uint64_t published;
    _Alignas(64) _Atomic uint64_t released;
};

// `size` bytes (a power of two, 4096 at least) for entries with their headers. NULL: no memory.
struct fp_ring *fp_ring_new(uint64_t size);
void fp_ring_free(struct fp_ring *ring);

// Producer: `size` bytes, aligned to 16, for the next entry; NULL if there is no room now. An entry of
// more than half of the ring may never find room.
void *fp_ring_reserve(struct fp_ring *ring, uint32_t size);
// Producer: let the consumer see what was reserved.
void fp_ring_publish(struct fp_ring *ring);

// Consumer: the position of the first entry that was not released.
static inline uint64_t fp_ring_first(const struct fp_ring *ring) {
    return atomic_load_explicit(&ring->released, memory_order_relaxed);
}
// Consumer: the entry at `*position`, which moves on to the next one, or NULL: there is none yet.
void *fp_ring_next(const struct fp_ring *ring, uint64_t *position, uint32_t *size);
// Consumer: everything in front of `position` may be overwritten.
static inline void fp_ring_release(struct fp_ring *ring, uint64_t position) {
    atomic_store_explicit(&ring->released, position, memory_order_release);
}

// Whether everything that was published was released.
static inline bool fp_ring_empty(const struct fp_ring *ring) {
    return atomic_load_explicit(&ring->published, memory_order_acquire) ==
           atomic_load_explicit(&ring->released, memory_order_relaxed);
}

#endif
