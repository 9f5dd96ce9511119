// SPDX-License-Identifier: Apache-2.0
// The forwarding database: (segment, MAC) -> destination. One table for all segments.
//
// Theory of operation
//
// An entry is 16 bytes, a key and a value; four entries fill a cache line, the bucket. A key lives in
// the bucket that its hash names or in one of the next FP_FDB_PROBES - 1; a look-up stops at the first
// bucket that has a slot which was never used. The table has at least twice as many slots as entries
// are allowed, so nearly every look-up touches one cache line; the hash has a secret seed, so nobody
// outside can aim for one bucket.
//
// Readers take no lock: they load a key, and if it matches, its value. What keeps that safe is that a
// slot is never given to another key while a reader may still be between the two loads:
//
//     unused      key 0 or FP_FDB_TOMB, value 0            may be claimed (compare-and-swap of the key)
//     claimed     key K,                value 0            a look-up misses; anybody may give it a value
//     live        key K,                value v            v changes by compare-and-swap only
//     retired     key FP_FDB_TOMB,      value FP_FDB_DEAD  nobody may touch it until
//     unused      fp_fdb_reclaim, which the owner calls after every reader has passed a quiescent point
//
// Any number of threads may look up and learn; only the owner (control) sets, retires, ages, reclaims.
//
// Whoever can send frames can make addresses up. So learned entries leave the reserve free for those that
// control sets, and what may still be learned is shared: a segment learns while it has learned less than is
// still free, and within it a port or remote while it has less than the segment may still learn. One that
// takes all it can get leaves room for every other one. Where a segment has a limit, that limit alone holds.
#ifndef FP_FDB_H
#define FP_FDB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "packet/frame.h"

enum {
    FP_FDB_WAYS = 4,
    FP_FDB_PROBES =
        16, // at a load of 1/2, 8 would leave about 12 addresses in a million without a place
    FP_FDB_SEGMENTS = 65535, // segment indices 1 … 65534; 0 is never used, so that no key is 0
};

enum fp_fdb_flag {
    FP_FDB_STATIC = 1, // set by hand: never ages, never moves by learning
    FP_FDB_LOCAL = 2, // a port's own address; does not count in the segment's share
};

struct fp_fdb_value {
    fp_dest dest; // kind FP_DEST_NONE: no entry
    uint32_t seen; // seconds on the engine's clock when a frame last came from there, modulo 2^24
    uint8_t flags; // enum fp_fdb_flag
};

struct fp_fdb_entry {
    uint64_t mac;
    uint32_t segment;
    struct fp_fdb_value value;
};

// Each segment's share. The owner writes `limit` and `ageing`; everybody keeps `used` and `learned`.
struct fp_fdb_share {
    _Atomic uint32_t used; // without the ports' own addresses
    _Atomic uint32_t learned; // of these
    _Atomic uint32_t limit; // entries; 0: a fair part of the table
    _Atomic uint32_t ageing; // seconds; 0: learned entries stay
};

enum fp_fdb_outcome {
    FP_FDB_KNOWN, // nothing changed but perhaps the age
    FP_FDB_LEARNED, // a new entry
    FP_FDB_MOVED, // a learned entry has a new destination
    FP_FDB_PINNED, // a static entry points elsewhere; it stays as it is
    FP_FDB_OWN, // the address is one of our ports' own
    FP_FDB_FULL, // no room in the table, or in the share of the segment, port or remote
};

struct fp_fdb;

// A table for `entries` entries (1 … 2^26), or NULL without memory. `seed` should be random.
struct fp_fdb *fp_fdb_new(uint32_t entries, uint64_t seed);
void fp_fdb_free(struct fp_fdb *fdb);

// Keep room for so many entries that are not learned. 0, unless it is called before anything is learned.
void fp_fdb_reserve(struct fp_fdb *fdb, uint32_t entries);

static inline uint64_t fp_fdb_key(uint32_t segment, uint64_t mac) {
    return ((uint64_t)segment << 48) | mac;
}

// Look up `count` keys (at most FP_BURST) at once: the cache misses overlap. values[i].dest has kind
// FP_DEST_NONE if there is no entry.
void fp_fdb_lookup(const struct fp_fdb *fdb, const uint64_t *keys, uint32_t count,
                   struct fp_fdb_value *values);

// Bring the key's bucket closer, ahead of fp_fdb_learn.
void fp_fdb_prefetch(const struct fp_fdb *fdb, uint64_t key);

// A frame from `key`'s address came from `dest` at second `now`.
enum fp_fdb_outcome fp_fdb_learn(struct fp_fdb *fdb, uint64_t key, fp_dest dest, uint32_t now);

// Owner only, from here on.

// Add or replace an entry by hand; `flags` as in fp_fdb_value. False: no room, which may be
// different after fp_fdb_reclaim.
bool fp_fdb_set(struct fp_fdb *fdb, uint64_t key, fp_dest dest, uint8_t flags, uint32_t now);

// Which entries to retire. Unset members match everything.
struct fp_fdb_match {
    uint32_t segment; // 0: any
    uint64_t mac; // used where has_mac
    fp_dest dest; // 0: any
    bool has_mac;
    bool learned_only; // spare static entries
};

// Retire what matches; returns how many. The slots come back with fp_fdb_reclaim.
uint32_t fp_fdb_retire(struct fp_fdb *fdb, const struct fp_fdb_match *match);

// Retire learned entries that were last seen longer than their segment's ageing time before `now`.
uint32_t fp_fdb_age(struct fp_fdb *fdb, uint32_t now);

// Make retired slots usable again. Call it only after every reader passed a quiescent point since.
void fp_fdb_reclaim(struct fp_fdb *fdb);

// Walk over the live entries: *cursor starts at 0; false at the end.
bool fp_fdb_next(const struct fp_fdb *fdb, uint64_t *cursor, struct fp_fdb_entry *entry);

uint32_t fp_fdb_used(const struct fp_fdb *fdb);
uint32_t fp_fdb_entries(const struct fp_fdb *fdb); // the bound given to fp_fdb_new
uint32_t fp_fdb_learned(const struct fp_fdb *fdb);
uint32_t fp_fdb_learned_from(const struct fp_fdb *fdb, fp_dest dest); // a port or a remote
struct fp_fdb_share *fp_fdb_share(struct fp_fdb *fdb, uint32_t segment);

#endif
