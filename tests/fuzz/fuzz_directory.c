// SPDX-License-Identifier: Apache-2.0
// The directory beside a list, with few places and chains that are long for it.
//
// Input: its size, then operations, each a byte and, but for a reclaim, the number of an address.
#include <string.h>

#include "bed.h"
#include "tables/directory.h"

enum { ADDRESSES = 40, MAX_ENTRIES = 24 };

enum operation { SET, DELETE, RECLAIM, WALK, OPERATIONS };

struct model {
    struct fp_directory *directory;
    uint32_t entries; // its bound
    uint32_t used, aside; // entries, and places of deleted ones that were not reclaimed
    uint64_t number[ADDRESSES]; // 0: none
};

// The same few addresses in two segments, that differ in their first or last byte.
static uint32_t address(uint32_t i, uint8_t *ip) {
    memset(ip, 0, 16);
    ip[i & 2 ? 0 : 15] = (uint8_t)(1 + i / 4);
    return 1 + (i & 1);
}

static void set(struct model *model, uint32_t i, uint64_t number) {
    uint8_t ip[16];
    const uint32_t segment = address(i, ip);
    const bool is_new = model->number[i] == 0;
    const bool room = !is_new || model->used + model->aside < model->entries;
    bool added;
    CHECK(fp_directory_set(model->directory, segment, ip, number, &added) == room);
    CHECK(added == (is_new && room));
    model->used += added;
    if (room)
        model->number[i] = number;
}

static void delete(struct model *model, uint32_t i) {
    uint8_t ip[16];
    const uint32_t segment = address(i, ip);
    const bool was = model->number[i] != 0;
    CHECK(fp_directory_delete(model->directory, segment, ip) == was);
    model->number[i] = 0;
    model->used -= was;
    model->aside += was;
}

static void compare(const struct model *model) {
    uint8_t ip[16];
    CHECK(fp_directory_used(model->directory) == model->used && model->used <= model->entries);
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        const uint32_t segment = address(i, ip);
        CHECK(fp_directory_get(model->directory, segment, ip) == model->number[i]);
    }
    CHECK(fp_directory_get(model->directory, 3, ip) == 0);
}

static void walk(const struct model *model) {
    struct fp_directory_entry entry;
    uint32_t cursor = 0, found = 0;
    while (fp_directory_next(model->directory, &cursor, &entry)) {
        uint32_t i = 0;
        uint8_t ip[16];
        while (i < ADDRESSES && (address(i, ip) != entry.segment || memcmp(ip, entry.ip, 16) != 0))
            i++;
        CHECK(i < ADDRESSES && entry.number != 0 && entry.number == model->number[i]);
        found++;
    }
    CHECK(found == model->used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    struct model model = {.entries = 1 + take8(&input) % MAX_ENTRIES};
    model.directory = fp_directory_new(model.entries, 4711);
    CHECK(model.directory != NULL);
    for (uint64_t count = 1; input.left > 0; count++) {
        switch ((enum operation)(take8(&input) % OPERATIONS)) {
        case SET:
            set(&model, take8(&input) % ADDRESSES, count);
            break;
        case DELETE:
            delete(&model, take8(&input) % ADDRESSES);
            break;
        case RECLAIM:
            fp_directory_reclaim(model.directory);
            model.aside = 0;
            break;
        default:
            walk(&model);
        }
        compare(&model);
    }
    walk(&model);
    fp_directory_free(model.directory);
    return 0;
}
