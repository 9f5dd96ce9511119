// SPDX-License-Identifier: Apache-2.0
#include "tables/tables.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "packet/wire.h"

enum { PAGE_SHIFT = 12, PAGE_MASK = (1 << PAGE_SHIFT) - 1 };

struct fp_vni_page {
    _Atomic(struct fp_segment *) segment[1 << PAGE_SHIFT];
};

// Zeroed memory aligned to a cache line, so that workers' counters do not share one.
static void *new_aligned(size_t size) {
    size = (size + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

struct fp_tables *fp_tables_new(uint32_t fdb_entries, uint32_t neighbours, uint64_t seed,
                                int family, uint32_t workers) {
    if (workers < 1 || workers > FP_WORKERS)
        return NULL;
    struct fp_tables *tables = new_aligned(sizeof *tables);
    if (tables == NULL)
        return NULL;
    tables->counters = workers + 1;
    pthread_mutex_init(&tables->threads_lock, NULL);
    tables->fdb = fp_fdb_new(fdb_entries, seed);
    tables->remotes = fp_remotes_new(family, tables->counters, ~seed);
    tables->neighbours = fp_directory_new(neighbours, seed);
    tables->admitted = fp_directory_new(FP_ADMITTED, seed);
    if (tables->fdb == NULL || tables->remotes == NULL || tables->neighbours == NULL ||
        tables->admitted == NULL) {
        fp_tables_free(tables);
        return NULL;
    }
    return tables;
}

void fp_tables_free(struct fp_tables *tables) {
    if (tables == NULL)
        return;
    for (uint32_t i = 0; i < sizeof tables->vni_page / sizeof tables->vni_page[0]; i++)
        free(tables->vni_page[i]);
    fp_fdb_free(tables->fdb);
    fp_remotes_free(tables->remotes);
    fp_directory_free(tables->neighbours);
    fp_directory_free(tables->admitted);
    pthread_mutex_destroy(&tables->threads_lock);
    free(tables);
}

struct fp_segment *fp_segment_new(uint32_t index, uint32_t vni, uint32_t counters) {
    struct fp_segment *segment = new_aligned(sizeof *segment + counters * sizeof segment->tally[0]);
    if (segment == NULL)
        return NULL;
    segment->index = index;
    segment->vni = vni;
    return segment;
}

struct fp_port *fp_port_new(uint32_t index, struct fp_segment *segment, uint32_t mtu,
                            uint32_t counters) {
    struct fp_port *port = new_aligned(sizeof *port);
    if (port == NULL)
        return NULL;
    port->traffic = new_aligned(counters * sizeof *port->traffic);
    port->budget = new_aligned(counters * sizeof *port->budget);
    if (port->traffic == NULL || port->budget == NULL) {
        fp_port_free(port);
        return NULL;
    }
    port->index = index;
    port->segment = segment;
    port->mtu = mtu;
    fp_storm_set(&port->told, FP_TOLD_EACH_S, 0);
    for (uint32_t i = 0; i < FP_COUNTERS; i++)
        port->fd[i] = -1;
    return port;
}

void fp_port_free(struct fp_port *port) {
    if (port == NULL)
        return;
    free((void *)atomic_load(&port->allowed));
    free(port->budget);
    free(port->traffic);
    free(port);
}

bool fp_segment_publish(struct fp_tables *tables, uint32_t vni, struct fp_segment *segment) {
    if (vni > FP_VNI_MAX)
        return false;
    _Atomic(struct fp_vni_page *) *place = &tables->vni_page[vni >> PAGE_SHIFT];
    struct fp_vni_page *page = atomic_load(place);
    if (page == NULL) {
        page = new_aligned(sizeof *page);
        if (page == NULL)
            return false;
        atomic_store(place, page);
    }
    atomic_store(&page->segment[vni & PAGE_MASK], segment);
    fp_admissions_changed(tables); // a new segment may lie where one lay that workers remember
    return true;
}

struct fp_segment *fp_segment_find(const struct fp_tables *tables, uint32_t vni) {
    const struct fp_vni_page *page =
        atomic_load_explicit(&tables->vni_page[vni >> PAGE_SHIFT], memory_order_acquire);
    if (page == NULL)
        return NULL;
    return atomic_load_explicit(&page->segment[vni & PAGE_MASK], memory_order_acquire);
}

void fp_port_publish(struct fp_tables *tables, uint32_t index, struct fp_port *port) {
    if (port != NULL)
        port->serial = ++tables->last_serial;
    atomic_store(&tables->port[index], port);
}

const struct fp_list *fp_group_publish(struct fp_tables *tables, uint32_t index,
                                       const struct fp_list *list) {
    return atomic_exchange(&tables->group[index], list);
}

const struct fp_list *fp_segment_set_remotes(struct fp_segment *segment,
                                             const struct fp_list *list) {
    return atomic_exchange(&segment->remotes, list);
}

const struct fp_list *fp_segment_set_ports(struct fp_segment *segment, const struct fp_list *list) {
    return atomic_exchange(&segment->ports, list);
}

const struct fp_allowed *fp_port_set_allowed(struct fp_port *port,
                                             const struct fp_allowed *allowed) {
    return atomic_exchange(&port->allowed, allowed);
}

const struct fp_complete *fp_segment_set_complete(struct fp_segment *segment,
                                                  const struct fp_complete *complete) {
    return atomic_exchange(&segment->complete, complete);
}

void fp_vouch(struct fp_tables *tables, uint32_t seconds) {
    atomic_store(&tables->vouched_until, fp_now(tables) + seconds);
}

void fp_segment_set_forwarder(struct fp_segment *segment, const struct fp_forwarder *forwarder) {
    atomic_store(&segment->forwarder, forwarder);
}

void fp_segment_set_learning(struct fp_segment *segment, bool learning) {
    atomic_store(&segment->learning, learning);
}

void fp_segment_set_hosts_only(struct fp_segment *segment, bool hosts_only) {
    atomic_store(&segment->hosts_only, hosts_only);
}

uint32_t fp_now(const struct fp_tables *tables) {
    struct timespec now;
    if (atomic_load_explicit(&tables->clock_stands, memory_order_relaxed))
        return atomic_load_explicit(&tables->clock_offset, memory_order_relaxed);
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint32_t)now.tv_sec + atomic_load_explicit(&tables->clock_offset, memory_order_relaxed);
}

void fp_clock_advance(struct fp_tables *tables, uint32_t seconds) {
    atomic_fetch_add(&tables->clock_offset, seconds);
}

void fp_clock_set(struct fp_tables *tables, uint32_t seconds) {
    atomic_store(&tables->clock_offset, seconds);
    atomic_store(&tables->clock_stands, true);
}

void fp_turn_begin(struct fp_tables *tables, uint32_t worker) {
    // Sequentially consistent on purpose: either fp_synchronize sees this turn, or the turn sees
    // what was published before fp_synchronize.
    atomic_fetch_add(&tables->turn[worker].count, 1);
    atomic_thread_fence(memory_order_seq_cst);
}

void fp_turn_end(struct fp_tables *tables, uint32_t worker) {
    atomic_fetch_add_explicit(&tables->turn[worker].count, 1, memory_order_release);
}

uint64_t fp_turn_count(const struct fp_tables *tables, uint32_t worker) {
    return atomic_load_explicit(&tables->turn[worker].count, memory_order_relaxed);
}

void fp_synchronize(struct fp_tables *tables) {
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < tables->counters; i++) {
        const uint64_t seen = atomic_load(&tables->turn[i].count);
        const struct timespec pause = {0, 20000}; // a turn takes microseconds
        while ((seen & 1) && atomic_load(&tables->turn[i].count) == seen)
            nanosleep(&pause, NULL);
    }
}
