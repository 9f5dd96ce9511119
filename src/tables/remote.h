// SPDX-License-Identifier: Apache-2.0
// The table of remotes: (IP address, UDP port) -> remote, one for the whole engine.
//
// A remote's place in the table is its index, so it never moves; indices are what the FDB and the
// flood lists hold. Any worker may add a remote that a packet came from: it claims an unused place by
// compare-and-swap. Only the owner (control) removes: it retires the place, waits until every worker has
// passed a quiescent point and no FDB entry names the index, and then lets it be used again.
#ifndef FP_REMOTE_H
#define FP_REMOTE_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "counters/tally.h"

enum {
    FP_REMOTES = 1 << 16,
    FP_REMOTES_LIMIT = FP_REMOTES / 2,
    FP_REMOTES_LEARNED = FP_REMOTES_LIMIT - 4096,
    FP_REMOTE_NONE = 0, // index 0 is never used
};

// An outer address: IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so that there is one form.
struct fp_address {
    uint8_t ip[16];
    uint16_t udp_port; // host byte order
};

enum fp_remote_state {
    FP_REMOTE_UNUSED = 0, // never used: a look-up stops here
    FP_REMOTE_FREED, // was used: a look-up goes on, but the place may be claimed
    FP_REMOTE_CLAIMED, // being filled in; readers treat it as absent
    FP_REMOTE_READY,
    FP_REMOTE_RETIRED,
};

struct fp_remote {
    _Atomic uint32_t state; // enum fp_remote_state
    uint32_t index; // its place in the table
    struct fp_address address;
    struct sockaddr_storage to; // what sendmsg wants, in the engine's address family
    uint32_t to_size;
    // Below: the longest UDP payload, in bytes, that fits the path; FP_UDP4_PAYLOAD where that is not known. Above:
    // when what a worker learned is forgotten, on the engine's clock; 0: control set it.
    _Atomic uint64_t path;
    // On the engine's clock: the kernel refused a train on the way there (udp.c).
    _Atomic uint32_t no_trains_until;
    struct fp_traffic *traffic; // one for each that counts
};

struct fp_remotes;

// A table for one address family (AF_INET or AF_INET6), whose remotes so many count (tables.h). `seed` should be random,
// so that a sender cannot aim for one neighbourhood of the table. Return NULL if there is no memory.
struct fp_remotes *fp_remotes_new(int family, uint32_t counters, uint64_t seed);
void fp_remotes_free(struct fp_remotes *remotes);

// Return the remote's index, or FP_REMOTE_NONE.
uint32_t fp_remotes_find(const struct fp_remotes *remotes, const struct fp_address *address);

// Find or add, while there are less than `limit` remotes (FP_REMOTES_LEARNED for workers, so that
// control always finds room; FP_REMOTES_LIMIT for control). FP_REMOTE_NONE: no room, or another
// thread is just adding an address in the same neighbourhood.
uint32_t fp_remotes_add(struct fp_remotes *remotes, const struct fp_address *address,
                        uint32_t limit);

// Return the remote at an index, or NULL if there is none.
struct fp_remote *fp_remotes_get(const struct fp_remotes *remotes, uint32_t index);

// Path MTUs are the longest IP packets of the underlay, in bytes; 0: not known.

// Set the path MTU to a remote. Workers learn none while one is set.
void fp_remote_set_path_mtu(struct fp_remote *remote, uint32_t mtu);
// Whether one is set or was learned, be it that the kernel has no answer.
bool fp_remote_knows_path_mtu(struct fp_remote *remote, uint32_t now);
// Learn what the kernel says, for a while, since it may change.
void fp_remote_learn_path_mtu(struct fp_remote *remote, uint32_t mtu, uint32_t now);
// Forget what was learned, if its time is over. Return whether it was.
bool fp_remote_forget_path_mtu(struct fp_remote *remote, uint32_t now);
uint32_t fp_remote_path_mtu(const struct fp_remote *remote);

// The longest UDP payload that fits the path.
static inline uint32_t fp_remote_payload(const struct fp_remote *remote) {
    return (uint32_t)atomic_load_explicit(&remote->path, memory_order_relaxed);
}

// Owner only: take a remote out of service, and (later, see above) free its place.
void fp_remotes_retire(struct fp_remotes *remotes, uint32_t index);
void fp_remotes_reclaim(struct fp_remotes *remotes, uint32_t index);

uint32_t fp_remotes_used(const struct fp_remotes *remotes);

// The address in a socket address of either family.
void fp_address_from(struct fp_address *address, const struct sockaddr_storage *from);

#endif
