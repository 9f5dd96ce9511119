// SPDX-License-Identifier: Apache-2.0
#include "tables/directory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tables/hash.h"

enum { NONE = 0 }; // no node: the pool's first one is never used

struct node {
    uint8_t ip[16];
    uint32_t segment;
    _Atomic uint32_t next; // in the chain
    _Atomic uint64_t number; // 0: not in use
};

struct fp_directory {
    struct node *nodes; // [entries + 1]
    _Atomic uint32_t *heads; // [mask + 1], indices of nodes
    uint32_t *spare; // [entries], indices of nodes: first those that are free, then those set aside
    uint64_t seed;
    uint32_t entries;
    uint32_t mask;
    uint32_t touched; // nodes that were ever used
    uint32_t free, aside; // how many there are in `spare`
};

// Fresh anonymous pages: zero, and costing memory only where they are touched.
static void *map(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void unmap(void *memory, size_t size) {
    if (memory != NULL)
        munmap(memory, size);
}

static size_t nodes_size(const struct fp_directory *directory) {
    return ((size_t)directory->entries + 1) * sizeof *directory->nodes;
}

static size_t heads_size(const struct fp_directory *directory) {
    return ((size_t)directory->mask + 1) * sizeof *directory->heads;
}

static size_t spare_size(const struct fp_directory *directory) {
    return (size_t)directory->entries * sizeof *directory->spare;
}

struct fp_directory *fp_directory_new(uint32_t entries, uint64_t seed) {
    if (entries < 1 || entries > (UINT32_C(1) << 26))
        return NULL;
    struct fp_directory *directory = calloc(1, sizeof *directory);
    if (directory == NULL)
        return NULL;
    uint32_t heads = 1;
    while (heads < entries)
        heads *= 2;
    directory->seed = seed;
    directory->entries = entries;
    directory->mask = heads - 1;
    directory->nodes = map(nodes_size(directory));
    directory->heads = map(heads_size(directory));
    directory->spare = map(spare_size(directory));
    if (directory->nodes == NULL || directory->heads == NULL || directory->spare == NULL) {
        fp_directory_free(directory);
        return NULL;
    }
    return directory;
}

void fp_directory_free(struct fp_directory *directory) {
    if (directory == NULL)
        return;
    unmap(directory->nodes, nodes_size(directory));
    unmap(directory->heads, heads_size(directory));
    unmap(directory->spare, spare_size(directory));
    free(directory);
}

static _Atomic uint32_t *head_of(const struct fp_directory *directory, uint32_t segment,
                                 const uint8_t *ip) {
    return &directory->heads[fp_hash_address(directory->seed, ip, segment) & directory->mask];
}

static inline bool is_for(const struct node *node, uint32_t segment, const uint8_t *ip) {
    return node->segment == segment && memcmp(node->ip, ip, sizeof node->ip) == 0;
}

static inline uint32_t follow(const _Atomic uint32_t *link) {
    return atomic_load_explicit(link, memory_order_acquire);
}

uint64_t fp_directory_get(const struct fp_directory *directory, uint32_t segment,
                          const uint8_t *ip) {
    uint32_t index = follow(head_of(directory, segment, ip));
    while (index != NONE && !is_for(&directory->nodes[index], segment, ip))
        index = follow(&directory->nodes[index].next);
    return atomic_load_explicit(&directory->nodes[index].number, memory_order_relaxed);
}

// For the owner: the link that leads to the address's node, or the one at the end of the chain.
static _Atomic uint32_t *link_to(const struct fp_directory *directory, uint32_t segment,
                                 const uint8_t *ip) {
    _Atomic uint32_t *link = head_of(directory, segment, ip);
    uint32_t index;
    while ((index = follow(link)) != NONE && !is_for(&directory->nodes[index], segment, ip))
        link = &directory->nodes[index].next;
    return link;
}

static uint32_t take_node(struct fp_directory *directory) {
    if (directory->free == 0)
        return directory->touched < directory->entries ? ++directory->touched : NONE;
    uint32_t *place = &directory->spare[--directory->free];
    const uint32_t index = *place;
    *place = directory->spare[directory->free + directory->aside]; // no gap between the two kinds
    return index;
}

bool fp_directory_set(struct fp_directory *directory, uint32_t segment, const uint8_t *ip,
                      uint64_t number, bool *added) {
    uint32_t index = follow(link_to(directory, segment, ip));
    *added = false;
    if (index != NONE) {
        atomic_store_explicit(&directory->nodes[index].number, number, memory_order_relaxed);
        return true;
    }
    index = take_node(directory);
    if (index == NONE)
        return false;
    _Atomic uint32_t *head = head_of(directory, segment, ip);
    struct node *node = &directory->nodes[index];
    memcpy(node->ip, ip, sizeof node->ip);
    node->segment = segment;
    atomic_store_explicit(&node->number, number, memory_order_relaxed);
    atomic_store_explicit(&node->next, follow(head), memory_order_relaxed);
    atomic_store_explicit(head, index, memory_order_release); // from here on readers see the node
    *added = true;
    return true;
}

bool fp_directory_delete(struct fp_directory *directory, uint32_t segment, const uint8_t *ip) {
    _Atomic uint32_t *link = link_to(directory, segment, ip);
    const uint32_t index = follow(link);
    if (index == NONE)
        return false;
    struct node *node = &directory->nodes[index];
    atomic_store_explicit(link, follow(&node->next), memory_order_release);
    atomic_store_explicit(&node->number, 0, memory_order_relaxed);
    directory->spare[directory->free + directory->aside++] = index;
    return true;
}

void fp_directory_reclaim(struct fp_directory *directory) {
    directory->free += directory->aside;
    directory->aside = 0;
}

bool fp_directory_next(const struct fp_directory *directory, uint32_t *cursor,
                       struct fp_directory_entry *entry) {
    while (*cursor < directory->touched) {
        const struct node *node = &directory->nodes[++*cursor];
        entry->number = atomic_load_explicit(&node->number, memory_order_relaxed);
        if (entry->number == 0)
            continue;
        entry->segment = node->segment;
        memcpy(entry->ip, node->ip, sizeof entry->ip);
        return true;
    }
    return false;
}

uint32_t fp_directory_used(const struct fp_directory *directory) {
    return directory->touched - directory->free - directory->aside;
}
