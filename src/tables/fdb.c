// SPDX-License-Identifier: Apache-2.0
#include "tables/fdb.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FP_FDB_TOMB UINT64_MAX // a key that once was; segment 65535 is never used
#define FP_FDB_DEAD UINT64_MAX // a value that nobody may touch
#define SEEN_MASK UINT32_C(0xffffff)

enum { PLACES = 1 << 16 }; // indices of ports, and of remotes

struct slot {
    _Atomic uint64_t key;
    _Atomic uint64_t value; // destination 63…32, seen 31…8, flags 7…0
};

struct bucket {
    _Alignas(64) struct slot slot[FP_FDB_WAYS];
};

struct fp_fdb {
    struct bucket *buckets;
    uint64_t seed;
    uint32_t mask; // buckets - 1
    uint32_t entries;
    size_t size; // of `buckets`, bytes
    _Atomic uint32_t used;
    uint32_t learnable; // how many entries may be learned
    _Atomic uint32_t learned;
    _Atomic uint32_t learned_from[2][PLACES]; // ports, remotes
    struct fp_fdb_share share[FP_FDB_SEGMENTS];
};

static inline uint64_t pack(fp_dest dest, uint32_t seen, uint8_t flags) {
    return ((uint64_t)dest << 32) | ((uint64_t)(seen & SEEN_MASK) << 8) | flags;
}

static inline struct fp_fdb_value unpack(uint64_t value) {
    struct fp_fdb_value out = {(fp_dest)(value >> 32), (uint32_t)(value >> 8) & SEEN_MASK,
                               (uint8_t)value};
    return out;
}

static inline bool is_live(uint64_t value) {
    return value != 0 && value != FP_FDB_DEAD;
}

static inline uint32_t segment_of(uint64_t key) {
    return (uint32_t)(key >> 48);
}

static inline uint32_t bucket_of(const struct fp_fdb *fdb, uint64_t key) {
    uint64_t hash = (key ^ fdb->seed) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ (hash >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(hash >> 32) & fdb->mask;
}

static inline struct bucket *probe(const struct fp_fdb *fdb, uint32_t first, uint32_t step) {
    return &fdb->buckets[(first + step) & fdb->mask];
}

static inline uint64_t load(const _Atomic uint64_t *at) {
    return atomic_load_explicit(at, memory_order_acquire);
}

struct fp_fdb *fp_fdb_new(uint32_t entries, uint64_t seed) {
    if (entries < 1 || entries > (UINT32_C(1) << 26))
        return NULL;
    uint32_t buckets = FP_FDB_PROBES; // so that a probe never wraps onto itself
    while (buckets * FP_FDB_WAYS < entries * 2)
        buckets *= 2;
    struct fp_fdb *fdb = calloc(1, sizeof *fdb);
    if (fdb == NULL)
        return NULL;
    // Fresh anonymous pages: zero without being touched, so a sparse table costs little memory.
    fdb->size = (size_t)buckets * sizeof(struct bucket);
    void *memory =
        mmap(NULL, fdb->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        free(fdb);
        return NULL;
    }
    (void)madvise(memory, fdb->size, MADV_HUGEPAGE); // a hint: fewer TLB misses in large tables
    fdb->buckets = memory;
    fdb->seed = seed;
    fdb->mask = buckets - 1;
    fdb->entries = fdb->learnable = entries;
    return fdb;
}

void fp_fdb_reserve(struct fp_fdb *fdb, uint32_t entries) {
    fdb->learnable = entries < fdb->entries ? fdb->entries - entries : 0;
}

void fp_fdb_free(struct fp_fdb *fdb) {
    if (fdb == NULL)
        return;
    munmap(fdb->buckets, fdb->size);
    free(fdb);
}

// The slot that holds `key`, or NULL. The caller loads the value.
static inline struct slot *find_from(const struct fp_fdb *fdb, uint64_t key, uint32_t first) {
    for (uint32_t step = 0; step < FP_FDB_PROBES; step++) {
        // All ways are compared without a branch: which of them matches can't be predicted.
        struct bucket *bucket = probe(fdb, first, step);
        uint32_t match = 0, unused = 0;
        for (uint32_t way = 0; way < FP_FDB_WAYS; way++) {
            const uint64_t found = load(&bucket->slot[way].key);
            match |= (uint32_t)(found == key) << way;
            unused |= (uint32_t)(found == 0) << way;
        }
        if (match != 0)
            return &bucket->slot[__builtin_ctz(match)];
        if (unused != 0)
            return NULL;
    }
    return NULL;
}

static inline struct slot *find(const struct fp_fdb *fdb, uint64_t key) {
    return find_from(fdb, key, bucket_of(fdb, key));
}

void fp_fdb_prefetch(const struct fp_fdb *fdb, uint64_t key) {
    __builtin_prefetch(&fdb->buckets[bucket_of(fdb, key)]);
}

// Frames of one flow come in a row.
static inline bool is_repeated(const uint64_t *keys, uint32_t i) {
    return i > 0 && keys[i] == keys[i - 1];
}

void fp_fdb_lookup(const struct fp_fdb *fdb, const uint64_t *keys, uint32_t count,
                   struct fp_fdb_value *values) {
    uint32_t first[FP_BURST];
    for (uint32_t i = 0; i < count; i++) {
        if (is_repeated(keys, i))
            continue;
        first[i] = bucket_of(fdb, keys[i]);
        __builtin_prefetch(&fdb->buckets[first[i]]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_repeated(keys, i)) {
            values[i] = values[i - 1];
            continue;
        }
        const struct slot *slot = find_from(fdb, keys[i], first[i]);
        const uint64_t value = slot != NULL ? load(&slot->value) : 0;
        values[i] = unpack(is_live(value) ? value : 0);
    }
}

static inline uint32_t count_of(const _Atomic uint32_t *count) {
    return atomic_load_explicit(count, memory_order_relaxed);
}

// Where entries that were learned from there are counted, or NULL.
static _Atomic uint32_t *learned_from(const struct fp_fdb *fdb, fp_dest dest) {
    const uint32_t kind = fp_dest_kind(dest), index = fp_dest_index(dest);
    if ((kind != FP_DEST_PORT && kind != FP_DEST_REMOTE) || index >= PLACES)
        return NULL;
    return (_Atomic uint32_t *)&fdb->learned_from[kind == FP_DEST_REMOTE][index];
}

// Whether a segment and a port or remote may learn one more: see the top of fdb.h. Threads that learn at
// the same time may each come to one more.
static bool may_learn(const struct fp_fdb *fdb, uint32_t segment, fp_dest dest) {
    const struct fp_fdb_share *share = &fdb->share[segment];
    const uint32_t all = count_of(&fdb->learned), free = fdb->learnable - all;
    if (all >= fdb->learnable)
        return false;
    if (count_of(&share->limit) != 0)
        return true; // `reserve` compares with it
    const uint32_t mine = count_of(&share->learned);
    const _Atomic uint32_t *from = learned_from(fdb, dest);
    return mine < free && (from == NULL || count_of(from) < free - mine);
}

// Count an entry where it belongs, once more (1) or less (-1).
static void count_entry(struct fp_fdb *fdb, uint32_t segment, uint64_t packed, int by) {
    const struct fp_fdb_value value = unpack(packed);
    struct fp_fdb_share *share = &fdb->share[segment];
    if (!(value.flags & FP_FDB_LOCAL))
        atomic_fetch_add(&share->used, (uint32_t)by);
    if (value.flags & FP_FDB_STATIC)
        return;
    atomic_fetch_add(&share->learned, (uint32_t)by);
    atomic_fetch_add(&fdb->learned, (uint32_t)by);
    _Atomic uint32_t *from = learned_from(fdb, value.dest);
    if (from != NULL)
        atomic_fetch_add(from, (uint32_t)by);
}

static void release(struct fp_fdb *fdb, uint32_t segment, uint64_t value) {
    count_entry(fdb, segment, value, -1);
    atomic_fetch_sub(&fdb->used, 1);
}

// Count one more entry. False if the table, or the segment's limit, has no room.
static bool reserve(struct fp_fdb *fdb, uint32_t segment, uint64_t value) {
    if (atomic_fetch_add(&fdb->used, 1) >= fdb->entries) {
        atomic_fetch_sub(&fdb->used, 1);
        return false;
    }
    count_entry(fdb, segment, value, 1);
    const struct fp_fdb_share *share = &fdb->share[segment];
    const uint32_t limit = count_of(&share->limit);
    if (limit == 0 || (value & FP_FDB_LOCAL) || atomic_load(&share->used) <= limit)
        return true;
    release(fdb, segment, value);
    return false;
}

// An entry changed from `before` to `after`.
static void recount(struct fp_fdb *fdb, uint32_t segment, uint64_t before, uint64_t after) {
    count_entry(fdb, segment, after, 1);
    count_entry(fdb, segment, before, -1);
}

enum insertion { INSERTED, TAKEN, NO_ROOM };

static inline bool give_value(struct slot *slot, uint64_t value, uint64_t *before) {
    *before = 0;
    return atomic_compare_exchange_strong(&slot->value, before, value);
}

// Claim an unused slot for `key` and give it `value`. TAKEN: another thread brought the same key.
// (Two threads may, very rarely, each claim a slot for one key, when a slot that the one had passed
// is reclaimed before the other comes: look-ups then see the first of the two, and the other ages.)
static enum insertion claim(struct fp_fdb *fdb, uint64_t key, uint64_t value) {
    const uint32_t first = bucket_of(fdb, key);
    for (uint32_t step = 0; step < FP_FDB_PROBES; step++) {
        struct bucket *bucket = probe(fdb, first, step);
        for (uint32_t way = 0; way < FP_FDB_WAYS; way++) {
            struct slot *slot = &bucket->slot[way];
            uint64_t before, found = load(&slot->key);
            const bool unused = (found == 0 || found == FP_FDB_TOMB) && load(&slot->value) == 0;
            if (unused && atomic_compare_exchange_strong(&slot->key, &found, key)) {
                if (give_value(slot, value, &before))
                    return INSERTED;
                // Between the look and the claim the slot was used and retired: it stays ours by key,
                // and can be given a value once it was reclaimed.
                return before == FP_FDB_DEAD ? NO_ROOM : TAKEN;
            }
            if (found == key)
                return TAKEN;
        }
    }
    return NO_ROOM;
}

// Make a new entry: in `slot`, which has the key but no value yet, or where there is room (NULL).
static enum insertion insert(struct fp_fdb *fdb, struct slot *slot, uint64_t key, uint64_t value) {
    if (!reserve(fdb, segment_of(key), value))
        return NO_ROOM;
    uint64_t before;
    enum insertion insertion;
    if (slot == NULL)
        insertion = claim(fdb, key, value);
    else
        insertion = give_value(slot, value, &before) ? INSERTED : TAKEN;
    if (insertion != INSERTED)
        release(fdb, segment_of(key), value);
    return insertion;
}

enum fp_fdb_outcome fp_fdb_learn(struct fp_fdb *fdb, uint64_t key, fp_dest dest, uint32_t now) {
    struct slot *slot = find(fdb, key);
    uint64_t old = slot != NULL ? load(&slot->value) : 0;
    if (old == 0) {
        if (!may_learn(fdb, segment_of(key), dest))
            return FP_FDB_FULL;
        const enum insertion insertion = insert(fdb, slot, key, pack(dest, now, 0));
        if (insertion == TAKEN)
            return FP_FDB_KNOWN;
        return insertion == INSERTED ? FP_FDB_LEARNED : FP_FDB_FULL;
    }
    if (old == FP_FDB_DEAD)
        return FP_FDB_KNOWN; // just being retired: the next frame will tell
    const struct fp_fdb_value value = unpack(old);
    const bool moved = value.dest != dest;
    if (value.flags & FP_FDB_STATIC) {
        if (!moved)
            return FP_FDB_KNOWN;
        return value.flags & FP_FDB_LOCAL ? FP_FDB_OWN : FP_FDB_PINNED;
    }
    // Written only when something changed, so that learning doesn't dirty the cache line every time.
    if (!moved && value.seen == (now & SEEN_MASK))
        return FP_FDB_KNOWN;
    const uint64_t next = pack(dest, now, 0);
    uint64_t seen = old;
    if (atomic_compare_exchange_strong(&slot->value, &seen, next) && moved)
        recount(fdb, segment_of(key), old, next);
    return moved ? FP_FDB_MOVED : FP_FDB_KNOWN;
}

bool fp_fdb_set(struct fp_fdb *fdb, uint64_t key, fp_dest dest, uint8_t flags, uint32_t now) {
    const uint64_t value = pack(dest, now, flags);
    // Workers may learn the address meanwhile: go on until a look-up finds what was set.
    for (;;) {
        struct slot *slot = find(fdb, key);
        uint64_t old = slot != NULL ? load(&slot->value) : 0;
        if (old == value)
            return true;
        if (old == FP_FDB_DEAD)
            return false; // until it was reclaimed
        if (old == 0) {
            if (insert(fdb, slot, key, value) == NO_ROOM)
                return false;
            continue;
        }
        if (atomic_compare_exchange_strong(&slot->value, &old, value))
            recount(fdb, segment_of(key), old, value);
    }
}

// Retire the slot if it is still as it was seen. The value goes first: a worker that takes the slot
// for `key`'s fails to change it. Then the key: from here on the address may be learned elsewhere.
static bool retire_slot(struct fp_fdb *fdb, struct slot *slot, uint64_t key, uint64_t value) {
    uint64_t seen = value;
    if (!atomic_compare_exchange_strong(&slot->value, &seen, FP_FDB_DEAD))
        return false;
    atomic_store(&slot->key, FP_FDB_TOMB);
    release(fdb, segment_of(key), value);
    return true;
}

// Load a slot; false if it holds no live entry.
static inline bool read_slot(const struct slot *slot, uint64_t *key, uint64_t *value) {
    *key = load(&slot->key);
    *value = load(&slot->value);
    return is_live(*value) && *key != 0 && *key != FP_FDB_TOMB;
}

static bool matches(const struct fp_fdb_match *match, uint64_t key, uint64_t packed) {
    const struct fp_fdb_value value = unpack(packed);
    return (match->segment == 0 || match->segment == segment_of(key)) &&
           (!match->has_mac || match->mac == (key & UINT64_C(0xffffffffffff))) &&
           (match->dest == 0 || match->dest == value.dest) &&
           !(match->learned_only && (value.flags & FP_FDB_STATIC));
}

static inline struct slot *slot_at(const struct fp_fdb *fdb, uint64_t index) {
    return &fdb->buckets[index / FP_FDB_WAYS].slot[index % FP_FDB_WAYS];
}

static inline uint64_t slot_count(const struct fp_fdb *fdb) {
    return ((uint64_t)fdb->mask + 1) * FP_FDB_WAYS;
}

// Retire the slot's entry if it matches; again if a worker changed it between the look and the
// deed.
static bool retire_match(struct fp_fdb *fdb, struct slot *slot, const struct fp_fdb_match *match) {
    uint64_t key, value;
    while (read_slot(slot, &key, &value) && matches(match, key, value))
        if (retire_slot(fdb, slot, key, value))
            return true;
    return false;
}

uint32_t fp_fdb_retire(struct fp_fdb *fdb, const struct fp_fdb_match *match) {
    uint32_t retired = 0;
    if (match->has_mac && match->segment != 0) { // one entry: no need to walk the table
        struct slot *slot;
        while ((slot = find(fdb, fp_fdb_key(match->segment, match->mac))) != NULL &&
               retire_match(fdb, slot, match))
            retired++;
        return retired;
    }
    for (uint64_t i = 0; i < slot_count(fdb); i++)
        retired += retire_match(fdb, slot_at(fdb, i), match);
    return retired;
}

uint32_t fp_fdb_age(struct fp_fdb *fdb, uint32_t now) {
    uint32_t retired = 0;
    for (uint64_t i = 0; i < slot_count(fdb); i++) {
        uint64_t key, packed;
        if (!read_slot(slot_at(fdb, i), &key, &packed))
            continue;
        const struct fp_fdb_value value = unpack(packed);
        const uint32_t ageing =
            atomic_load_explicit(&fdb->share[segment_of(key)].ageing, memory_order_relaxed);
        uint32_t idle = (now - value.seen) & SEEN_MASK;
        if (idle > SEEN_MASK / 2) // a worker's clock was read after ours
            idle = 0;
        if (!(value.flags & FP_FDB_STATIC) && ageing != 0 && idle > ageing)
            retired += retire_slot(fdb, slot_at(fdb, i), key, packed);
    }
    return retired;
}

void fp_fdb_reclaim(struct fp_fdb *fdb) {
    // The tombstones stay: an entry further on may have probed past them. They are used again first.
    for (uint64_t i = 0; i < slot_count(fdb); i++) {
        struct slot *slot = slot_at(fdb, i);
        if (load(&slot->value) != FP_FDB_DEAD)
            continue;
        atomic_store(&slot->key, FP_FDB_TOMB); // see `claim`
        atomic_store(&slot->value, 0);
    }
}

bool fp_fdb_next(const struct fp_fdb *fdb, uint64_t *cursor, struct fp_fdb_entry *entry) {
    while (*cursor < slot_count(fdb)) {
        uint64_t key, value;
        if (!read_slot(slot_at(fdb, (*cursor)++), &key, &value))
            continue;
        entry->mac = key & UINT64_C(0xffffffffffff);
        entry->segment = segment_of(key);
        entry->value = unpack(value);
        return true;
    }
    return false;
}

uint32_t fp_fdb_used(const struct fp_fdb *fdb) {
    return atomic_load_explicit(&fdb->used, memory_order_relaxed);
}

uint32_t fp_fdb_entries(const struct fp_fdb *fdb) {
    return fdb->entries;
}

uint32_t fp_fdb_learned(const struct fp_fdb *fdb) {
    return count_of(&fdb->learned);
}

uint32_t fp_fdb_learned_from(const struct fp_fdb *fdb, fp_dest dest) {
    const _Atomic uint32_t *from = learned_from(fdb, dest);
    return from != NULL ? count_of(from) : 0;
}

struct fp_fdb_share *fp_fdb_share(struct fp_fdb *fdb, uint32_t segment) {
    return segment < FP_FDB_SEGMENTS ? &fdb->share[segment] : NULL;
}
