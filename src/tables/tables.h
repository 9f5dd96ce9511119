// SPDX-License-Identifier: Apache-2.0
// What the workers of one engine share: segments, ports, remotes, groups, the FDB and the directories.
//
// Owner: control (Python, holding the engine's lock) creates, publishes, withdraws and frees. Workers
// only read, but for the FDB and the remotes, which they also add to. Nothing is locked: a pointer that
// control withdrew is freed after fp_synchronize, when every worker has passed a quiescent point.
#ifndef FP_TABLES_H
#define FP_TABLES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "counters/tally.h"
#include "packet/frame.h"
#include "security/allowed.h"
#include "security/budget.h"
#include "security/refused.h"
#include "security/storm.h"
#include "tables/complete.h"
#include "tables/directory.h"
#include "tables/fdb.h"
#include "tables/remote.h"

enum {
    FP_PORTS = 1 << 16, // indices 1 … 65535
    FP_GROUPS = 1 << 12,
    FP_ADMITTED = 1 << 18, // remotes, and members of segments
    FP_TOLD_EACH_S = 100, // how often a port is told in a second that a packet is too big
    FP_WORKERS = 64,
    // What counts: each worker, and behind them all threads of deferred forwarders together (defer.h),
    // of which one at a time holds `threads_lock`.
    FP_COUNTERS = FP_WORKERS + 1,
    FP_OWN = 64, // reasons and counters that a forwarder may name
    FP_DROP_OWN =
        1 << 16, // a forwarder's own reason i, as a target: FP_DEST_DROP with FP_DROP_OWN + i
};

// An immutable list of indices; control replaces it whole.
struct fp_list {
    uint32_t count;
    uint32_t item[];
};

struct fp_context;

// The part that decides. `forward` gives every frame of the burst a target, which is undecided before
// (FP_DEST_NONE); it must not block. Call it by fp_forward (forward.h).
struct fp_forwarder {
    void (*forward)(const struct fp_forwarder *self, const struct fp_context *context,
                    struct fp_frame *frames, uint32_t count);
    void *state;
    fp_counter (*own)[FP_OWN]; // a row for each that counts; NULL: it names none
    bool reasons; // whether some of them are reasons
};

struct fp_segment {
    uint32_t index; // in FDB keys
    uint32_t vni;
    bool probes; // its frames may be longer than the path MTU to a remote; never changes, either
    bool members_only; // accept packets from its members only; never changes after it was published
    _Atomic bool learning;
    _Atomic bool hosts_only; // no remote is a router (path/routers.h)
    _Atomic uint32_t neighbours; // how many it has in the directory of that name
    _Atomic(const struct fp_complete *) complete; // NULL: any address may be somebody's
    _Atomic(const struct fp_forwarder *) forwarder;
    _Atomic(const struct fp_list *) remotes; // the flood list: indices of remotes
    _Atomic(const struct fp_list *) ports; // indices of all ports of the segment
    struct fp_refused refused;
    struct fp_tally tally[]; // one for each that counts
};

struct fp_port {
    uint32_t index;
    uint64_t serial; // no other port ever has it, unlike the index; given by fp_port_publish
    _Atomic uint32_t mtu; // bytes of the IP packet, as `ip link` counts; control may change it
    struct fp_segment *segment;
    _Atomic bool gone; // the interface was deleted; set by the worker that noticed
    _Atomic bool refuses_tcp, refuses_udp; // super-frames: an old kernel (see downlink.c)
    _Atomic(const struct fp_allowed *) allowed; // NULL: its frames are not checked
    struct fp_storm storm;
    struct fp_storm told; // how often it may still be told by ICMP, see too_big.h
    struct fp_budget *budget; // one for each worker
    struct fp_traffic *traffic; // one for each that counts
    int fd[FP_COUNTERS]; // each worker's own queue; deferred forwarders use the first worker's
};

struct fp_vni_page;
struct fp_sink;
struct fp_captures;

struct fp_tables {
    struct fp_fdb *fdb;
    struct fp_remotes *remotes;
    struct fp_directory *neighbours; // (segment, address) -> MAC, see respond.h
    struct fp_directory *admitted; // (0, address) -> remote; (segment, address) -> 1, see source.h
    _Atomic uint32_t
        vouched_until; // on the engine's clock: `complete` of all segments holds before that
    _Atomic uint32_t admissions; // counts the changes of `admitted` and of the segments
    _Atomic(const struct fp_captures *) captures; // NULL: no captures, see capture.h
    uint32_t counters; // how many count: the workers, and one more
    uint64_t last_serial; // control's: how many ports were published so far
    _Atomic uint32_t clock_offset; // added to the clock, see fp_now
    _Atomic bool clock_stands; // the machine's clock does not count
    const struct fp_sink *sink; // takes all that leaves (sink.h); NULL: TAPs and sockets do
    _Atomic(struct fp_vni_page *) vni_page[1 << 12]; // by the upper half of the VNI
    _Atomic(struct fp_port *) port[FP_PORTS];
    _Atomic(const struct fp_list *) group[FP_GROUPS];
    struct {
        _Alignas(64) _Atomic uint64_t count; // odd: within a turn, even: at rest
    } turn[FP_COUNTERS];
    _Alignas(64) pthread_mutex_t threads_lock; // on lines of its own: workers read what is above
    _Alignas(64) struct fp_tally tally[FP_COUNTERS]; // everything, by who counted it
};

struct fp_uplink;

// What a worker tells a forwarder about the turn.
struct fp_context {
    struct fp_tables *tables;
    struct fp_uplink *uplink; // its way to the remotes
    uint32_t worker; // or the number of workers, for a deferred forwarder
    uint32_t now; // seconds on the engine's clock
};

// `fdb_entries` and `neighbours` bound the FDB and the neighbours of all segments.
struct fp_tables *fp_tables_new(uint32_t fdb_entries, uint32_t neighbours, uint64_t seed,
                                int family, uint32_t workers);
void fp_tables_free(struct fp_tables *tables);

// `counters` is that of the tables.
struct fp_segment *fp_segment_new(uint32_t index, uint32_t vni, uint32_t counters);
struct fp_port *fp_port_new(uint32_t index, struct fp_segment *segment, uint32_t mtu,
                            uint32_t counters);
void fp_port_free(struct fp_port *port);

// Publish a segment under its VNI, or withdraw it (NULL). False: no memory.
bool fp_segment_publish(struct fp_tables *tables, uint32_t vni, struct fp_segment *segment);
struct fp_segment *fp_segment_find(const struct fp_tables *tables, uint32_t vni);

// Publish a port at its index, or withdraw the one that is there (NULL).
void fp_port_publish(struct fp_tables *tables, uint32_t index, struct fp_port *port);

// Each returns the list that it replaces, to be freed after fp_synchronize.
const struct fp_list *fp_group_publish(struct fp_tables *tables, uint32_t index,
                                       const struct fp_list *list);
const struct fp_list *fp_segment_set_remotes(struct fp_segment *segment,
                                             const struct fp_list *list);
const struct fp_list *fp_segment_set_ports(struct fp_segment *segment, const struct fp_list *list);
const struct fp_allowed *fp_port_set_allowed(struct fp_port *port,
                                             const struct fp_allowed *allowed);

const struct fp_complete *fp_segment_set_complete(struct fp_segment *segment,
                                                  const struct fp_complete *complete);

void fp_segment_set_forwarder(struct fp_segment *segment, const struct fp_forwarder *forwarder);
void fp_segment_set_learning(struct fp_segment *segment, bool learning);
void fp_segment_set_hosts_only(struct fp_segment *segment, bool hosts_only);

static inline struct fp_port *fp_port_get(const struct fp_tables *tables, uint32_t index) {
    if (index >= FP_PORTS)
        return NULL;
    return atomic_load_explicit(&tables->port[index], memory_order_acquire);
}

static inline const struct fp_list *fp_group_get(const struct fp_tables *tables, uint32_t index) {
    if (index >= FP_GROUPS)
        return NULL;
    return atomic_load_explicit(&tables->group[index], memory_order_acquire);
}

// The remote that packets from this address are taken to come from, or FP_REMOTE_NONE where it is not
// admitted.
static inline uint32_t fp_admitted_find(const struct fp_tables *tables, const uint8_t *ip) {
    return (uint32_t)fp_directory_get(tables->admitted, 0, ip);
}

// Control changed `admitted`. Workers look again from their next turn on, so fp_synchronize comes after this.
static inline void fp_admissions_changed(struct fp_tables *tables) {
    atomic_fetch_add(&tables->admissions, 1);
}

// Seconds on the engine's clock: the machine's monotonic one, plus an offset that tests use to let
// time pass.
uint32_t fp_now(const struct fp_tables *tables);
void fp_clock_advance(struct fp_tables *tables, uint32_t seconds);
// From now on the clock stands there, until it is set again: time in a replay is that of the capture.
void fp_clock_set(struct fp_tables *tables, uint32_t seconds);

// From now on, and for so many seconds, `complete` of all segments holds; 0: no more.
void fp_vouch(struct fp_tables *tables, uint32_t seconds);

static inline bool fp_is_vouched(const struct fp_context *context) {
    const uint32_t until =
        atomic_load_explicit(&context->tables->vouched_until, memory_order_relaxed);
    return (int32_t)(until - context->now) > 0;
}

// A worker's turn: between the two it may hold what the tables point to. The thread of a deferred forwarder
// holds `threads_lock` as well.
void fp_turn_begin(struct fp_tables *tables, uint32_t worker);
void fp_turn_end(struct fp_tables *tables, uint32_t worker);
// How many turns began and ended: odd within a turn. Called by control.
uint64_t fp_turn_count(const struct fp_tables *tables, uint32_t worker);

// Wait until every worker that is within a turn now has ended it. Never called by a worker.
void fp_synchronize(struct fp_tables *tables);

#endif
