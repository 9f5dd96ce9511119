// SPDX-License-Identifier: Apache-2.0
// The table of remotes beside a list, with addresses that crowd together around its end.
//
// Input: the address family, then operations, each a byte and the number of an address. A remote
// that is retired keeps its place until it is reclaimed, as the owner has to do it.
#include <netinet/in.h>
#include <string.h>

#include "bed.h"
#include "tables/remote.h"

enum {
    ADDRESSES = 96, // more than the 64 places that one address may take
    WINDOW = 12,    // their first places: so many on either side of the table's end
    HASH_SEED = 4711,
};

enum state { ABSENT, READY, RETIRED };

struct model {
    struct fp_remotes *remotes;
    int family;
    enum state state[ADDRESSES];
    uint32_t index[ADDRESSES];   // of the newest remote with this address
    uint32_t retired[ADDRESSES]; // of one that waits for its place to be freed, or 0
};

static struct fp_address addresses[ADDRESSES];

static struct fp_address number(uint32_t i) {
    struct fp_address address = {{[10] = 0xff, [11] = 0xff, [12] = 10}, 4789};
    address.ip[13] = (uint8_t)(i >> 16);
    address.ip[14] = (uint8_t)(i >> 8);
    address.ip[15] = (uint8_t)i;
    return address;
}

// Where an address lies in a table that has nothing else.
static uint32_t first_place(struct fp_remotes *remotes, const struct fp_address *address) {
    const uint32_t index = fp_remotes_add(remotes, address, FP_REMOTES_LIMIT);
    CHECK(index != FP_REMOTE_NONE && index < FP_REMOTES);
    fp_remotes_retire(remotes, index);
    fp_remotes_reclaim(remotes, index);
    return index;
}

static void choose_addresses(void) {
    struct fp_remotes *remotes = fp_remotes_new(AF_INET, 1, HASH_SEED);
    CHECK(remotes != NULL);
    uint32_t found = 0;
    for (uint32_t i = 0; found < ADDRESSES; i++) {
        CHECK(i < 1 << 24);
        const struct fp_address address = number(i);
        const uint32_t place = first_place(remotes, &address);
        if (place < WINDOW || place >= FP_REMOTES - WINDOW)
            addresses[found++] = address;
    }
    CHECK(fp_remotes_used(remotes) == 0);
    fp_remotes_free(remotes);
}

static void check_remote(const struct model *model, uint32_t i) {
    const struct fp_remote *remote = fp_remotes_get(model->remotes, model->index[i]);
    CHECK(remote != NULL && remote->traffic != NULL);
    CHECK(memcmp(remote->address.ip, addresses[i].ip, sizeof addresses[i].ip) == 0);
    CHECK(remote->address.udp_port == addresses[i].udp_port);
    CHECK(remote->to.ss_family == model->family);
    struct fp_address back;
    fp_address_from(&back, &remote->to);
    CHECK(memcmp(back.ip, addresses[i].ip, sizeof back.ip) == 0);
    CHECK(back.udp_port == addresses[i].udp_port);
    CHECK(remote->to_size ==
          (model->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)));
}

// Every address has the remote that it should have. (So no two have the same one.)
static void compare(const struct model *model) {
    uint32_t used = 0;
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        const uint32_t found = fp_remotes_find(model->remotes, &addresses[i]);
        CHECK(found == (model->state[i] == READY ? model->index[i] : FP_REMOTE_NONE));
        if (model->state[i] == READY) {
            check_remote(model, i);
            used++;
        }
        if (model->retired[i] != 0) {
            CHECK(fp_remotes_get(model->remotes, model->retired[i]) == NULL);
            used++;
        }
    }
    CHECK(fp_remotes_used(model->remotes) == used);
}

static void add(struct model *model, uint32_t i) {
    const uint32_t index = fp_remotes_add(model->remotes, &addresses[i], FP_REMOTES_LIMIT);
    CHECK(index < FP_REMOTES);
    if (model->state[i] == READY) {
        CHECK(index == model->index[i]);
    } else if (index != FP_REMOTE_NONE) {
        model->state[i] = READY;
        model->index[i] = index;
    } else {
        // Only where the places that it may take are taken: 64, but for index 0.
        CHECK(fp_remotes_used(model->remotes) >= 63);
    }
}

static void reclaim(struct model *model, uint32_t i) {
    if (model->retired[i] == 0)
        return;
    fp_remotes_reclaim(model->remotes, model->retired[i]);
    model->retired[i] = 0;
    if (model->state[i] == RETIRED)
        model->state[i] = ABSENT;
}

static void retire(struct model *model, uint32_t i) {
    if (model->state[i] != READY)
        return;
    reclaim(model, i); // the model remembers one retired remote of an address
    fp_remotes_retire(model->remotes, model->index[i]);
    model->state[i] = RETIRED;
    model->retired[i] = model->index[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool chosen;
    if (!chosen)
        choose_addresses();
    chosen = true;
    struct input input = {data, size};
    struct model model = {0};
    model.family = take8(&input) & 1 ? AF_INET6 : AF_INET;
    model.remotes = fp_remotes_new(model.family, 2, HASH_SEED);
    CHECK(model.remotes != NULL);
    while (input.left > 0) {
        const uint8_t operation = take8(&input);
        const uint32_t i = take8(&input) % ADDRESSES;
        if (operation & 1)
            add(&model, i);
        else if (operation & 2)
            retire(&model, i);
        else
            reclaim(&model, i);
        if (operation >= 0xe0)
            compare(&model); // not every time: it takes long
    }
    compare(&model);
    fp_remotes_free(model.remotes);
    return 0;
}
