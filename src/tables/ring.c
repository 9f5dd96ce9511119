// SPDX-License-Identifier: Apache-2.0
#include "tables/ring.h"

#include <stddef.h>
#include <stdlib.h>

enum { ALIGNMENT = 16 };

// In front of every entry. Where one does not fit in front of the end, a filler takes up the rest.
struct header {
    uint32_t size; // of the entry, in bytes
    uint32_t span; // from this header to the next one
    uint32_t filler; // not an entry
    uint32_t unused;
};

_Static_assert(sizeof(struct header) == ALIGNMENT, "entries are aligned");

struct fp_ring *fp_ring_new(uint64_t size) {
    if (size < 4096 || (size & (size - 1)) != 0 || size > UINT32_MAX)
        return NULL;
    struct fp_ring *ring = aligned_alloc(64, sizeof *ring);
    if (ring == NULL)
        return NULL;
    *ring = (struct fp_ring){.size = size, .free_until = size};
    ring->bytes = aligned_alloc(64, size);
    if (ring->bytes == NULL) {
        free(ring);
        return NULL;
    }
    return ring;
}

void fp_ring_free(struct fp_ring *ring) {
    if (ring == NULL)
        return;
    free(ring->bytes);
    free(ring);
}

static struct header *header_at(const struct fp_ring *ring, uint64_t position) {
    return (struct header *)(void *)(ring->bytes + (position & (ring->size - 1)));
}

void *fp_ring_reserve(struct fp_ring *ring, uint32_t size) {
    const uint64_t span =
        sizeof(struct header) + (((uint64_t)size + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1));
    const uint64_t to_end = ring->size - (ring->written & (ring->size - 1));
    const uint64_t filler = span > to_end ? to_end : 0;
    if (span > ring->size)
        return NULL;
    if (ring->written + filler + span > ring->free_until) {
        ring->free_until = atomic_load_explicit(&ring->released, memory_order_acquire) + ring->size;
        if (ring->written + filler + span > ring->free_until)
            return NULL;
    }
    if (filler != 0) {
        *header_at(ring, ring->written) = (struct header){.span = (uint32_t)filler, .filler = 1};
        ring->written += filler;
    }
    struct header *header = header_at(ring, ring->written);
    *header = (struct header){.size = size, .span = (uint32_t)span};
    ring->written += span;
    return header + 1;
}

void fp_ring_publish(struct fp_ring *ring) {
    atomic_store_explicit(&ring->published, ring->written, memory_order_release);
}

void *fp_ring_next(const struct fp_ring *ring, uint64_t *position, uint32_t *size) {
    while (*position != atomic_load_explicit(&ring->published, memory_order_acquire)) {
        struct header *header = header_at(ring, *position);
        *position += header->span;
        if (!header->filler) {
            *size = header->size;
            return header + 1;
        }
    }
    return NULL;
}
