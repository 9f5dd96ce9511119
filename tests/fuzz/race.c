// SPDX-License-Identifier: Apache-2.0
// What workers and control do to the shared tables at the same time, with ThreadSanitizer watching.
//
//     race ROUNDS
//
// Workers learn and look up addresses and remotes, in turns, as the real ones do. Control meanwhile
// sets, retires, ages and reclaims FDB entries, retires and reclaims remotes, sets and deletes neighbours, dismisses
// members of the segment, and replaces a flood list, a port's list of senders, and what is known to be nobody's address,
// all of which it frees at once. Workers take
// the port's flood tokens and note refused addresses, which control reads.
// Every address has destinations of its own, so a look-up that finds another
// one's shows that a slot was given away too early. Nothing here depends on time.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bed.h"
#include "packet/wire.h"
#include "path/source.h"
#include "tables/tables.h"

enum {
    WORKERS = 3,
    KEYS = 3000, // more than the table takes, so that slots change hands all the time
    ENTRIES = 1024,
    ADDRESSES = 200,
    NEIGHBOURS = 64, // less than there are addresses, so that places change hands
    MEMBERS = 8,
    SEGMENT = 1,
};

static struct fp_tables *tables;
static struct fp_segment *segment;
static struct fp_port *port;
static _Atomic uint32_t outsider; // 1 + the number of the address that is dismissed just now
static _Atomic bool done;
static uint32_t rounds;

static uint32_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

static uint64_t key_of(uint32_t number) {
    return fp_fdb_key(SEGMENT, UINT64_C(0x020000000000) + number);
}

// One of the two places where an address may be.
static fp_dest dest_of(uint32_t number, uint32_t which) {
    return fp_dest_make(FP_DEST_PORT, 2 * number + (which & 1));
}

static struct fp_address address_of(uint32_t number) {
    struct fp_address address = {{[10] = 0xff, [11] = 0xff, [12] = 10}, 4789};
    address.ip[14] = (uint8_t)(number >> 8);
    address.ip[15] = (uint8_t)number;
    return address;
}

static void look_up_burst(uint64_t *random) {
    uint64_t keys[FP_BURST];
    uint32_t numbers[FP_BURST];
    struct fp_fdb_value values[FP_BURST];
    for (uint32_t i = 0; i < FP_BURST; i++) {
        numbers[i] = next(random) % KEYS;
        keys[i] = key_of(numbers[i]);
    }
    fp_fdb_lookup(tables->fdb, keys, FP_BURST, values);
    for (uint32_t i = 0; i < FP_BURST; i++)
        CHECK(values[i].dest == 0 || fp_dest_index(values[i].dest) / 2 == numbers[i]);
}

static void use_remote(uint64_t *random) {
    const struct fp_address address = address_of(next(random) % ADDRESSES);
    uint32_t index = fp_remotes_find(tables->remotes, &address);
    if (index == FP_REMOTE_NONE)
        index = fp_remotes_add(tables->remotes, &address, FP_REMOTES_LEARNED);
    const struct fp_remote *remote = fp_remotes_get(tables->remotes, index);
    if (remote != NULL) // it may be retired already, but then its place is not given away yet
        CHECK(memcmp(&remote->address.ip, &address.ip, sizeof address.ip) == 0);
}

// What a neighbour's number may be: the one of its address, in the one or the other state.
static void look_up_neighbour(uint64_t *random) {
    const uint32_t number = next(random) % ADDRESSES;
    const struct fp_address address = address_of(number);
    const uint64_t found = fp_directory_get(tables->neighbours, SEGMENT, address.ip);
    CHECK(found == 0 || found / 2 == number + 1);
}

// A member of the segment is one for the whole turn, or from some point on; who is dismissed is none any more.
static void look_up_source(struct fp_source *source, uint32_t worker, uint64_t *random) {
    const struct fp_context context = {.tables = tables, .worker = worker};
    const struct fp_address address = address_of(next(random) % MEMBERS);
    struct sockaddr_storage from = {.ss_family = AF_INET};
    memcpy(&((struct sockaddr_in *)&from)->sin_addr, address.ip + 12, 4);
    struct fp_frame frame = {.segment = segment};
    const uint32_t dismissed = atomic_load(&outsider); // none while this is its number
    const bool looked = fp_source_look(&context, source, &from);
    const bool member = looked && fp_source_mark(&context, source, &frame);
    if (looked)
        CHECK(source->remote == address.ip[15] + 1U);
    if (dismissed == address.ip[15] + 1U && atomic_load(&outsider) == dismissed)
        CHECK(!member);
}

static void use_flood_list(void) {
    const struct fp_list *list = atomic_load_explicit(&segment->remotes, memory_order_acquire);
    for (uint32_t i = 0; i < list->count; i++)
        CHECK(list->item[i] == list->count);
}

static void use_senders(void) {
    const struct fp_allowed *allowed = atomic_load_explicit(&port->allowed, memory_order_acquire);
    for (uint32_t i = 0; allowed != NULL && i < allowed->senders; i++)
        CHECK(allowed->sender[i].mac == allowed->senders);
}

// An address of the subnet is nobody's, unless it is an exception: so the first ones are.
static void use_complete(uint64_t *random) {
    const struct fp_complete *complete =
        atomic_load_explicit(&segment->complete, memory_order_acquire);
    const uint32_t number = next(random) % ADDRESSES;
    const struct fp_address address = address_of(number);
    if (complete != NULL)
        CHECK(fp_complete_is_nobodys(complete, address.ip) == (number >= complete->exceptions));
}

static void refuse(uint64_t *random) {
    const struct fp_address address = address_of(next(random) % ADDRESSES);
    fp_refused_note(&segment->refused, address.ip, fp_now(tables));
}

static void *work(void *argument) {
    const uint32_t worker = (uint32_t)(uintptr_t)argument;
    uint64_t random = 0x9e3779b97f4a7c15 * (worker + 1);
    struct fp_source source = {.known_only = true, .udp_port = 4789};
    while (!atomic_load(&done)) {
        fp_turn_begin(tables, worker);
        fp_source_begin(&source, tables);
        for (uint32_t i = 0; i < 16; i++)
            look_up_source(&source, worker, &random);
        for (uint32_t i = 0; i < 16; i++) {
            const uint32_t number = next(&random) % KEYS;
            fp_fdb_learn(tables->fdb, key_of(number), dest_of(number, next(&random)),
                         fp_now(tables));
        }
        look_up_burst(&random);
        use_remote(&random);
        for (uint32_t i = 0; i < 16; i++)
            look_up_neighbour(&random);
        use_flood_list();
        use_senders();
        use_complete(&random);
        refuse(&random);
        fp_storm_take(&port->storm, fp_now(tables), next(&random) % 4);
        fp_turn_end(tables, worker);
    }
    return NULL;
}

static void change_fdb(uint64_t *random) {
    const uint32_t number = next(random) % KEYS;
    const struct fp_fdb_match one = {
        .segment = SEGMENT, .mac = UINT64_C(0x020000000000) + number, .has_mac = true};
    const struct fp_fdb_match all = {.segment = SEGMENT};
    if (fp_fdb_set(tables->fdb, key_of(number), dest_of(number, 0), FP_FDB_STATIC,
                   fp_now(tables))) {
        struct fp_fdb_value value;
        const uint64_t key = key_of(number);
        fp_fdb_lookup(tables->fdb, &key, 1, &value);
        CHECK(value.dest == dest_of(number, 0) && value.flags == FP_FDB_STATIC);
    }
    fp_fdb_retire(tables->fdb, &one);
    if (next(random) % 16 == 0)
        fp_fdb_retire(tables->fdb, &all);
    if (next(random) % 8 == 0)
        fp_clock_advance(tables, 2);
    fp_fdb_age(tables->fdb, fp_now(tables));
    fp_synchronize(tables);
    fp_fdb_reclaim(tables->fdb);
}

static void change_remotes(uint64_t *random) {
    const struct fp_address address = address_of(next(random) % ADDRESSES);
    const uint32_t index = fp_remotes_find(tables->remotes, &address);
    if (index == FP_REMOTE_NONE)
        return;
    fp_remotes_retire(tables->remotes, index);
    fp_synchronize(tables);
    fp_remotes_reclaim(tables->remotes, index);
}

static void change_neighbours(uint64_t *random) {
    for (uint32_t i = 0; i < 16; i++) {
        const uint32_t number = next(random) % ADDRESSES;
        const struct fp_address address = address_of(number), other = address_of(number ^ 1);
        bool added;
        if (!fp_directory_set(tables->neighbours, SEGMENT, address.ip,
                              2 * (uint64_t)(number + 1) + (next(random) & 1), &added)) {
            fp_synchronize(tables);
            fp_directory_reclaim(tables->neighbours);
        }
        fp_directory_delete(tables->neighbours, SEGMENT, other.ip);
    }
}

// Dismiss one member, and let it in again. Between the two calls of fp_synchronize no worker lets it in.
static void change_members(uint64_t *random) {
    const uint32_t number = next(random) % MEMBERS;
    const struct fp_address address = address_of(number);
    const uint32_t where = next(random) & 1 ? SEGMENT : 0; // of the segment alone, or of the engine
    bool added;
    CHECK(fp_directory_delete(tables->admitted, where, address.ip));
    fp_admissions_changed(tables);
    fp_synchronize(tables);
    atomic_store(&outsider, number + 1);
    for (uint32_t i = 0; i < 100; i++)
        next(random);
    atomic_store(&outsider, 0);
    fp_directory_reclaim(tables->admitted);
    CHECK(fp_directory_set(tables->admitted, where, address.ip, number + 1, &added) && added);
    fp_admissions_changed(tables);
}

static struct fp_list *list_of(uint32_t count) {
    struct fp_list *list = malloc(sizeof *list + count * sizeof list->item[0]);
    CHECK(list != NULL);
    list->count = count;
    for (uint32_t i = 0; i < count; i++)
        list->item[i] = count;
    return list;
}

static void replace_flood_list(uint64_t *random) {
    const struct fp_list *stale = fp_segment_set_remotes(segment, list_of(next(random) % 50));
    fp_synchronize(tables);
    free((void *)stale);
}

static void replace_senders(uint64_t *random) {
    const uint32_t count = next(random) % 50;
    struct fp_allowed *allowed = count != 0 ? fp_allowed_new(count, 0) : NULL;
    for (uint32_t i = 0; i < count; i++)
        allowed->sender[i].mac = count;
    if (allowed != NULL)
        fp_allowed_filled(allowed);
    const struct fp_allowed *stale = fp_port_set_allowed(port, allowed);
    fp_storm_set(&port->storm, next(random) % 100, fp_now(tables));
    fp_synchronize(tables);
    free((void *)stale);
}

static void replace_complete(uint64_t *random) {
    const uint32_t count = next(random) % 50;
    struct fp_complete *complete = count != 0 ? fp_complete_new(1, count) : NULL;
    for (uint32_t i = 0; i < count; i++)
        memcpy(complete->exception[i], address_of(i).ip, 16);
    if (complete != NULL)
        *complete->subnet = (struct fp_subnet){{[10] = 0xff, [11] = 0xff, [12] = 10}, 96 + 8};
    const struct fp_complete *stale = fp_segment_set_complete(segment, complete);
    fp_vouch(tables, next(random) % 2);
    fp_synchronize(tables);
    free((void *)stale);
}

// What is read is one address that a worker wrote, not halves of two.
static void read_refused(void) {
    struct fp_address found = {0};
    uint32_t seen;
    for (uint32_t i = 0; i < FP_REFUSED; i++) {
        if (!fp_refused_read(&segment->refused, i, found.ip, &seen))
            continue;
        const uint32_t number = fp_load_be16(found.ip + 14);
        const struct fp_address whole = address_of(number);
        CHECK(number < ADDRESSES && memcmp(found.ip, whole.ip, sizeof found.ip) == 0);
    }
}

// At rest the books must balance.
static void check_counts(void) {
    struct fp_fdb_entry entry;
    uint64_t cursor = 0;
    uint32_t count = 0;
    static uint32_t from[2 * KEYS]; // learned entries, by the index of their port
    uint32_t pinned = 0;
    while (fp_fdb_next(tables->fdb, &cursor, &entry)) {
        count++;
        if (entry.value.flags & FP_FDB_STATIC)
            pinned++;
        else
            from[fp_dest_index(entry.value.dest)]++;
    }
    CHECK(count == fp_fdb_used(tables->fdb) && count <= ENTRIES);
    CHECK(count == atomic_load(&fp_fdb_share(tables->fdb, SEGMENT)->used));
    CHECK(count == fp_fdb_learned(tables->fdb) + pinned);
    for (uint32_t i = 0; i < 2 * KEYS; i++)
        CHECK(fp_fdb_learned_from(tables->fdb, fp_dest_make(FP_DEST_PORT, i)) == from[i]);
    const struct fp_fdb_match all = {0};
    CHECK(fp_fdb_retire(tables->fdb, &all) == count && fp_fdb_used(tables->fdb) == 0);
    uint32_t remotes = 0;
    for (uint32_t i = 1; i < FP_REMOTES; i++)
        remotes += fp_remotes_get(tables->remotes, i) != NULL;
    CHECK(remotes == fp_remotes_used(tables->remotes));
}

int main(int count, char **arguments) {
    rounds = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 20000;
    tables = fp_tables_new(ENTRIES, NEIGHBOURS, 12345, AF_INET, WORKERS);
    segment = fp_segment_new(SEGMENT, 42, WORKERS);
    port = fp_port_new(1, segment, 1450, WORKERS);
    CHECK(tables != NULL && segment != NULL && port != NULL);
    atomic_store(&fp_fdb_share(tables->fdb, SEGMENT)->ageing, 3);
    fp_segment_set_remotes(segment, list_of(1));
    segment->members_only = true;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct fp_address address = address_of(i);
        bool added;
        CHECK(fp_directory_set(tables->admitted, 0, address.ip, i + 1, &added) && added);
        CHECK(fp_directory_set(tables->admitted, SEGMENT, address.ip, i + 1, &added) && added);
    }
    CHECK(fp_segment_publish(tables, 42, segment));

    pthread_t threads[WORKERS];
    for (uintptr_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    uint64_t random = 4711;
    for (uint32_t round = 0; round < rounds; round++) {
        change_fdb(&random);
        change_remotes(&random);
        change_neighbours(&random);
        change_members(&random);
        replace_flood_list(&random);
        replace_senders(&random);
        replace_complete(&random);
        read_refused();
    }
    atomic_store(&done, true);
    for (uint32_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    check_counts();
    free((void *)fp_segment_set_remotes(segment, NULL));
    free((void *)fp_segment_set_complete(segment, NULL));
    fp_port_free(port);
    free(segment);
    fp_tables_free(tables);
    printf("%u rounds of changes under %d workers: no race, nothing lost\n", rounds, WORKERS);
    return 0;
}
