// SPDX-License-Identifier: Apache-2.0
// The FDB beside a list that is searched from one end to the other.
//
// Input: which table size, the reserve, the 8 bytes of the seed, 3 bytes of the clock, then operations, each a
// byte and its arguments. One thread only: what several do to each other is not seen here.
//
// When is FP_FDB_FULL right? A key may lie in 16 buckets of 4 slots. Tables for up to 32 entries
// have just these 64 slots, so there is room exactly while less than 64 are live or wait to be
// reclaimed. In a larger table a key may find its 16 buckets taken early, but not before 64 slots
// are.
#include <string.h>

#include "bed.h"
#include "tables/fdb.h"

enum {
    SLOTS = FP_FDB_PROBES * FP_FDB_WAYS,
    SEGMENTS = 4,
    MACS = 32,
    KEYS = SEGMENTS * MACS,
    SEEN = 0xffffff,
    MAX_TIME = 1 << 22, // less than half of the 24 bits that an entry's age has
};

static const uint32_t segments[SEGMENTS] = {1, 2, 1000, FP_FDB_SEGMENTS - 1};
static const uint32_t table_sizes[] = {1, 2, 7, 31, 32, 33, 64, 100};

struct record {
    bool live;
    struct fp_fdb_value value;
    uint32_t seen; // not modulo anything
};

struct model {
    struct fp_fdb *fdb;
    uint32_t entries, learnable;
    uint32_t now, begin;
    uint32_t dead; // slots that wait to be reclaimed
    uint32_t limit[SEGMENTS];
    uint32_t ageing[SEGMENTS];
    struct record record[KEYS]; // by segment, then address
};

// The low bits count. The last address is all ones, as far from 0 as the others are near.
static uint64_t mac_of(uint32_t key) {
    const uint32_t i = key % MACS;
    return i == MACS - 1 ? UINT64_C(0xffffffffffff) : UINT64_C(0x020000000000) + i;
}

static uint64_t key_of(uint32_t key) {
    return fp_fdb_key(segments[key / MACS], mac_of(key));
}

// Few destinations, so that it often matches.
static fp_dest take_dest(struct input *input) {
    const uint8_t byte = take8(input);
    const enum fp_dest_kind kind = byte & 4 ? FP_DEST_PORT : FP_DEST_REMOTE;
    return fp_dest_make(kind, byte & 8 ? FP_DEST_INDEX_MASK : byte & 3);
}

// A port's own address does not count in its segment's share.
static uint32_t used_by(const struct model *model, uint32_t segment) {
    uint32_t used = 0;
    for (uint32_t i = 0; i < MACS; i++) {
        const struct record *record = &model->record[segment * MACS + i];
        used += record->live && !(record->value.flags & FP_FDB_LOCAL);
    }
    return used;
}

static uint32_t used(const struct model *model) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        sum += model->record[i].live;
    return sum;
}

static bool is_learned(const struct record *record) {
    return record->live && !(record->value.flags & FP_FDB_STATIC);
}

// Learned entries of a segment (SEGMENTS: of all) that point to `dest` (0: anywhere).
static uint32_t learned(const struct model *model, uint32_t segment, fp_dest dest) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct record *record = &model->record[i];
        count += is_learned(record) && (segment == SEGMENTS || i / MACS == segment) &&
                 (dest == 0 || record->value.dest == dest);
    }
    return count;
}

// The fair part: see the top of fdb.h. Indices that no port or remote can have are counted nowhere.
static bool may_learn(const struct model *model, uint32_t key, fp_dest dest) {
    const uint32_t all = learned(model, SEGMENTS, 0), segment = key / MACS;
    if (all >= model->learnable)
        return false;
    if (model->limit[segment] != 0)
        return true;
    const uint32_t free = model->learnable - all, mine = learned(model, segment, 0);
    return mine < free && (fp_dest_index(dest) == FP_DEST_INDEX_MASK ||
                           learned(model, SEGMENTS, dest) < free - mine);
}

enum room { ROOM_NONE, ROOM_MAYBE, ROOM_SURE };

static enum room room_for(const struct model *model, uint32_t key, uint8_t flags) {
    const uint32_t limit = flags & FP_FDB_LOCAL ? 0 : model->limit[key / MACS];
    if (used(model) >= model->entries || (limit != 0 && used_by(model, key / MACS) >= limit))
        return ROOM_NONE;
    if (used(model) + model->dead < SLOTS)
        return ROOM_SURE;
    return model->entries <= SLOTS / 2 ? ROOM_NONE : ROOM_MAYBE;
}

static void store(struct model *model, uint32_t key, fp_dest dest, uint8_t flags) {
    struct record *record = &model->record[key];
    record->live = true;
    record->value = (struct fp_fdb_value){dest, model->now & SEEN, flags};
    record->seen = model->now;
}

static void learn(struct model *model, struct input *input) {
    const uint32_t key = take8(input) % KEYS;
    const fp_dest dest = take_dest(input);
    const struct record old = model->record[key];
    const enum room room = may_learn(model, key, dest) ? room_for(model, key, 0) : ROOM_NONE;
    const enum fp_fdb_outcome outcome = fp_fdb_learn(model->fdb, key_of(key), dest, model->now);
    if (!old.live) {
        CHECK(outcome == FP_FDB_LEARNED || outcome == FP_FDB_FULL);
        CHECK(room == ROOM_MAYBE || (outcome == FP_FDB_LEARNED) == (room == ROOM_SURE));
        if (outcome == FP_FDB_LEARNED)
            store(model, key, dest, 0);
    } else if (old.value.flags & FP_FDB_STATIC) {
        const enum fp_fdb_outcome elsewhere =
            old.value.flags & FP_FDB_LOCAL ? FP_FDB_OWN : FP_FDB_PINNED;
        CHECK(outcome == (old.value.dest == dest ? FP_FDB_KNOWN : elsewhere));
    } else {
        CHECK(outcome == (old.value.dest == dest ? FP_FDB_KNOWN : FP_FDB_MOVED));
        store(model, key, dest, 0);
    }
}

static void set(struct model *model, struct input *input) {
    static const uint8_t some_flags[] = {0, FP_FDB_STATIC, FP_FDB_STATIC | FP_FDB_LOCAL};
    const uint32_t key = take8(input) % KEYS;
    const fp_dest dest = take_dest(input);
    const uint8_t flags = some_flags[take8(input) % 3];
    const enum room room = model->record[key].live ? ROOM_SURE : room_for(model, key, flags);
    const bool done = fp_fdb_set(model->fdb, key_of(key), dest, flags, model->now);
    CHECK(room == ROOM_MAYBE || done == (room == ROOM_SURE));
    if (done)
        store(model, key, dest, flags);
}

static void retire(struct model *model, struct input *input) {
    const uint8_t which = take8(input);
    const uint32_t key = take8(input) % KEYS;
    const struct fp_fdb_match match = {
        .segment = which & 1 ? segments[key / MACS] : 0,
        .has_mac = which & 2,
        .mac = which & 2 ? mac_of(key) : 0,
        .dest = which & 4 ? take_dest(input) : 0,
        .learned_only = which & 8,
    };
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        struct record *record = &model->record[i];
        if (!record->live || (which & 1 && i / MACS != key / MACS) ||
            (which & 2 && mac_of(i) != mac_of(key)) ||
            (which & 4 && record->value.dest != match.dest) ||
            (which & 8 && record->value.flags & FP_FDB_STATIC))
            continue;
        record->live = false;
        count++;
    }
    CHECK(fp_fdb_retire(model->fdb, &match) == count);
    model->dead += count;
}

// The owner may have read the clock before a worker that learns meanwhile: up to 3 seconds back.
static void age(struct model *model, struct input *input) {
    const uint32_t now = model->now - (take8(input) & 3);
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        struct record *record = &model->record[i];
        const uint32_t ageing = model->ageing[i / MACS];
        const int64_t idle = (int32_t)(now - record->seen);
        if (!record->live || record->value.flags & FP_FDB_STATIC || ageing == 0 || idle <= ageing)
            continue;
        record->live = false;
        count++;
    }
    CHECK(fp_fdb_age(model->fdb, now) == count);
    model->dead += count;
}

static void lookup(const struct model *model, struct input *input) {
    uint64_t keys[FP_BURST];
    struct fp_fdb_value values[FP_BURST];
    const uint32_t first = take8(input) % KEYS, count = take8(input) % (FP_BURST + 1);
    for (uint32_t i = 0; i < count; i++)
        keys[i] = key_of((first + i) % KEYS);
    fp_fdb_lookup(model->fdb, keys, count, values);
    for (uint32_t i = 0; i < count; i++) {
        const struct record *record = &model->record[(first + i) % KEYS];
        CHECK(fp_dest_kind(values[i].dest) == FP_DEST_NONE || record->live);
        CHECK(values[i].dest == (record->live ? record->value.dest : 0));
        if (record->live)
            CHECK(values[i].seen == record->value.seen && values[i].flags == record->value.flags);
    }
}

static void limits(struct model *model, struct input *input) {
    const uint8_t which = take8(input);
    const uint32_t segment = which % SEGMENTS;
    struct fp_fdb_share *share = fp_fdb_share(model->fdb, segments[segment]);
    CHECK(share != NULL);
    if (which & 0x80) {
        model->ageing[segment] = take16(input);
        atomic_store(&share->ageing, model->ageing[segment]);
    } else {
        model->limit[segment] = take8(input);
        atomic_store(&share->limit, model->limit[segment]);
    }
}

// The table holds what the model holds, each key once, and its counts agree.
static void compare(const struct model *model) {
    bool found[KEYS] = {false};
    uint64_t cursor = 0;
    uint32_t count = 0;
    struct fp_fdb_entry entry;
    while (fp_fdb_next(model->fdb, &cursor, &entry)) {
        uint32_t key = entry.mac % MACS;
        while (key < KEYS && segments[key / MACS] != entry.segment)
            key += MACS;
        CHECK(key < KEYS && mac_of(key) == entry.mac && !found[key]);
        found[key] = true;
        const struct record *record = &model->record[key];
        CHECK(record->live && entry.value.dest == record->value.dest);
        CHECK(entry.value.seen == record->value.seen && entry.value.flags == record->value.flags);
        count++;
    }
    CHECK(!fp_fdb_next(model->fdb, &cursor, &entry)); // the end stays the end
    CHECK(count == used(model) && fp_fdb_used(model->fdb) == count && count <= model->entries);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        const struct fp_fdb_share *share = fp_fdb_share(model->fdb, segments[i]);
        CHECK(atomic_load(&share->used) == used_by(model, i));
        CHECK(atomic_load(&share->learned) == learned(model, i, 0));
    }
    CHECK(fp_fdb_learned(model->fdb) == learned(model, SEGMENTS, 0));
    for (uint32_t i = 0; i < 8; i++) {
        const fp_dest dest = fp_dest_make(i & 4 ? FP_DEST_PORT : FP_DEST_REMOTE, i & 3);
        CHECK(fp_fdb_learned_from(model->fdb, dest) == learned(model, SEGMENTS, dest));
    }
}

// Also what no operation asked for can be looked up.
static void compare_lookups(const struct model *model) {
    for (uint32_t first = 0; first < KEYS; first += FP_BURST) {
        const uint8_t arguments[2] = {(uint8_t)first, FP_BURST};
        struct input input = {arguments, sizeof arguments};
        lookup(model, &input);
    }
}

static void let_time_pass(struct model *model, struct input *input) {
    const uint32_t by = take16(input);
    if (model->now - model->begin + by < MAX_TIME)
        model->now += by;
}

static void step(struct model *model, struct input *input) {
    const uint8_t operation = take8(input);
    switch (operation % 10) {
    case 0: // learning is what mostly happens
    case 1:
    case 2:
        learn(model, input);
        break;
    case 3:
        set(model, input);
        break;
    case 4:
        retire(model, input);
        break;
    case 5:
        age(model, input);
        break;
    case 6:
        fp_fdb_reclaim(model->fdb);
        model->dead = 0;
        break;
    case 7:
        lookup(model, input);
        break;
    case 8:
        limits(model, input);
        break;
    case 9:
        let_time_pass(model, input);
        break;
    }
    if (operation >= 0xc0) // not every time: it takes long, and what is wrong mostly stays wrong
        compare(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    struct model model = {0};
    model.entries = table_sizes[take8(&input) % (sizeof table_sizes / sizeof table_sizes[0])];
    const uint32_t reserve = take8(&input) % (model.entries + 1);
    const uint64_t seed = take64(&input);
    model.begin = (uint32_t)take16(&input) << 16 | take8(&input) << 8 | 3;
    model.now = model.begin;
    model.fdb = fp_fdb_new(model.entries, seed);
    CHECK(model.fdb != NULL && fp_fdb_entries(model.fdb) == model.entries);
    fp_fdb_reserve(model.fdb, reserve);
    model.learnable = model.entries - reserve;
    while (input.left > 0)
        step(&model, &input);
    compare(&model);
    compare_lookups(&model);
    fp_fdb_free(model.fdb);
    return 0;
}
