// SPDX-License-Identifier: Apache-2.0
// A directory: (segment, IP address) -> a number that is not 0. One writer, any number of readers.
//
// Theory of operation
//
// Every entry is a node in a pool; nodes of one hash form a chain. Readers take no lock: they follow
// the chain. The owner (control) puts a complete node in front of its chain, changes a number by one
// store, and takes a node out of its chain by one store, too. A node that was taken out keeps its link
// for readers that stand on it; it is set aside until fp_directory_reclaim, which the owner calls after
// every reader has passed a quiescent point. So each change costs the length of a chain, however many
// entries there are, and nothing is ever moved or rebuilt. The hash has a secret seed, so nobody outside
// can make a chain long.
#ifndef FP_DIRECTORY_H
#define FP_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

struct fp_directory;

struct fp_directory_entry {
    uint32_t segment;
    uint8_t ip[16]; // IPv4 as ::ffff:a.b.c.d
    uint64_t number;
};

// Return a directory for `entries` entries (1 … 2^26), or NULL if there is no memory. Only entries in use cost
// memory. `seed` should be random.
struct fp_directory *fp_directory_new(uint32_t entries, uint64_t seed);
void fp_directory_free(struct fp_directory *directory);

// Return the number of an address, or 0 if it has none.
uint64_t fp_directory_get(const struct fp_directory *directory, uint32_t segment,
                          const uint8_t *ip);

// Owner only, from here on.

// Add an entry or change its number; *added says which. Return false if there is no room; fp_directory_reclaim may
// make some.
bool fp_directory_set(struct fp_directory *directory, uint32_t segment, const uint8_t *ip,
                      uint64_t number, bool *added);

// Return false if there is no such entry. fp_directory_reclaim makes its node usable again.
bool fp_directory_delete(struct fp_directory *directory, uint32_t segment, const uint8_t *ip);

// Make the nodes of deleted entries usable again. Call it only after every reader passed a quiescent
// point since.
void fp_directory_reclaim(struct fp_directory *directory);

// Yield the entries one by one: *cursor starts at 0. Return false at the end. The caller may delete the entry that it
// got last.
bool fp_directory_next(const struct fp_directory *directory, uint32_t *cursor,
                       struct fp_directory_entry *entry);

uint32_t fp_directory_used(const struct fp_directory *directory);

#endif
