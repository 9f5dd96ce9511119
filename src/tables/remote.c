// SPDX-License-Identifier: Apache-2.0
#include "tables/remote.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "packet/frame.h"
#include "packet/wire.h"
#include "tables/hash.h"

enum {
    PROBES = 64,
    LEARNED_S = 10, // the kernel keeps a path MTU for ten minutes, but may be told a larger one
};

struct fp_remotes {
    int family;
    uint64_t seed;
    uint32_t counters;
    _Atomic uint32_t used;
    size_t traffic_size;
    struct fp_traffic *traffic; // [FP_REMOTES][counters]
    struct fp_remote remote[FP_REMOTES];
};

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Fresh anonymous pages: zero, and costing memory only where they are touched.
static void *map(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

struct fp_remotes *fp_remotes_new(int family, uint32_t counters, uint64_t seed) {
    struct fp_remotes *remotes = map(sizeof *remotes);
    if (remotes == NULL)
        return NULL;
    remotes->family = family;
    remotes->seed = seed;
    remotes->counters = counters;
    remotes->traffic_size = sizeof(struct fp_traffic) * counters * FP_REMOTES;
    remotes->traffic = map(remotes->traffic_size);
    if (remotes->traffic == NULL) {
        munmap(remotes, sizeof *remotes);
        return NULL;
    }
    return remotes;
}

void fp_remotes_free(struct fp_remotes *remotes) {
    if (remotes == NULL)
        return;
    munmap(remotes->traffic, remotes->traffic_size);
    munmap(remotes, sizeof *remotes);
}

static inline uint32_t place_of(const struct fp_remotes *remotes,
                                const struct fp_address *address) {
    return fp_hash_address(remotes->seed, address->ip, address->udp_port);
}

static inline uint32_t index_at(uint32_t place, uint32_t step) {
    return (place + step) & (FP_REMOTES - 1);
}

static inline bool same(const struct fp_address *a, const struct fp_address *b) {
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0 && a->udp_port == b->udp_port;
}

static inline uint32_t state_of(const struct fp_remote *remote) {
    return atomic_load_explicit(&remote->state, memory_order_acquire);
}

uint32_t fp_remotes_find(const struct fp_remotes *remotes, const struct fp_address *address) {
    const uint32_t place = place_of(remotes, address);
    for (uint32_t step = 0; step < PROBES; step++) {
        const uint32_t index = index_at(place, step);
        const struct fp_remote *remote = &remotes->remote[index];
        const uint32_t state = state_of(remote);
        if (state == FP_REMOTE_READY && same(&remote->address, address))
            return index;
        if (state == FP_REMOTE_UNUSED && index != FP_REMOTE_NONE)
            break;
    }
    return FP_REMOTE_NONE;
}

static void fill(struct fp_remotes *remotes, uint32_t index, const struct fp_address *address) {
    struct fp_remote *remote = &remotes->remote[index];
    remote->index = index;
    remote->address = *address;
    remote->traffic = &remotes->traffic[(size_t)index * remotes->counters];
    atomic_store_explicit(&remote->no_trains_until, 0, memory_order_relaxed);
    atomic_store_explicit(&remote->path, FP_UDP4_PAYLOAD, memory_order_relaxed);
    memset(&remote->to, 0, sizeof remote->to);
    if (remotes->family == AF_INET) {
        struct sockaddr_in *to = (struct sockaddr_in *)&remote->to;
        to->sin_family = AF_INET;
        to->sin_port = htons(address->udp_port);
        memcpy(&to->sin_addr, address->ip + sizeof v4_prefix, sizeof to->sin_addr);
        remote->to_size = sizeof *to;
    } else {
        struct sockaddr_in6 *to = (struct sockaddr_in6 *)&remote->to;
        to->sin6_family = AF_INET6;
        to->sin6_port = htons(address->udp_port);
        memcpy(&to->sin6_addr, address->ip, sizeof to->sin6_addr);
        remote->to_size = sizeof *to;
    }
    atomic_store_explicit(&remote->state, FP_REMOTE_READY, memory_order_release);
}

// Claim a place for an address that was not there a moment ago. The second one with the same
// address meets the first one's place on its way, claimed or ready: so no address is added twice.
static uint32_t claim(struct fp_remotes *remotes, const struct fp_address *address) {
    const uint32_t place = place_of(remotes, address);
    for (uint32_t step = 0; step < PROBES; step++) {
        const uint32_t index = index_at(place, step);
        struct fp_remote *remote = &remotes->remote[index];
        if (index == FP_REMOTE_NONE)
            continue;
        uint32_t state = state_of(remote);
        const bool unused = state == FP_REMOTE_UNUSED || state == FP_REMOTE_FREED;
        if (unused && atomic_compare_exchange_strong(&remote->state, &state, FP_REMOTE_CLAIMED)) {
            fill(remotes, index, address);
            return index;
        }
        if (unused || state == FP_REMOTE_CLAIMED ||
            (state == FP_REMOTE_READY && same(&remote->address, address)))
            break; // another thread is or was faster, perhaps with this address: find it next time
    }
    return FP_REMOTE_NONE;
}

uint32_t fp_remotes_add(struct fp_remotes *remotes, const struct fp_address *address,
                        uint32_t limit) {
    uint32_t index = fp_remotes_find(remotes, address);
    if (index != FP_REMOTE_NONE)
        return index;
    if (atomic_fetch_add(&remotes->used, 1) < limit)
        index = claim(remotes, address);
    if (index == FP_REMOTE_NONE)
        atomic_fetch_sub(&remotes->used, 1);
    return index;
}

struct fp_remote *fp_remotes_get(const struct fp_remotes *remotes, uint32_t index) {
    if (index == FP_REMOTE_NONE || index >= FP_REMOTES)
        return NULL;
    struct fp_remote *remote = (struct fp_remote *)&remotes->remote[index];
    return state_of(remote) == FP_REMOTE_READY ? remote : NULL;
}

static uint32_t outer_headers(const struct fp_remote *remote) {
    return (remote->to.ss_family == AF_INET ? FP_IPV4_SIZE : FP_IPV6_SIZE) + FP_UDP_SIZE;
}

static uint32_t payload_of(const struct fp_remote *remote, uint32_t mtu) {
    const uint32_t headers = outer_headers(remote);
    if (mtu == 0 || mtu >= headers + FP_UDP4_PAYLOAD)
        return FP_UDP4_PAYLOAD;
    return mtu > headers ? mtu - headers : 0;
}

void fp_remote_set_path_mtu(struct fp_remote *remote, uint32_t mtu) {
    atomic_store(&remote->path, payload_of(remote, mtu));
}

bool fp_remote_forget_path_mtu(struct fp_remote *remote, uint32_t now) {
    uint64_t path = atomic_load_explicit(&remote->path, memory_order_relaxed);
    const uint32_t until = (uint32_t)(path >> 32);
    return until != 0 && (int32_t)(until - now) <= 0 &&
           atomic_compare_exchange_strong(&remote->path, &path, FP_UDP4_PAYLOAD);
}

bool fp_remote_knows_path_mtu(struct fp_remote *remote, uint32_t now) {
    fp_remote_forget_path_mtu(remote, now);
    return atomic_load_explicit(&remote->path, memory_order_relaxed) != FP_UDP4_PAYLOAD;
}

void fp_remote_learn_path_mtu(struct fp_remote *remote, uint32_t mtu, uint32_t now) {
    uint64_t unknown = FP_UDP4_PAYLOAD; // or else control was quicker
    const uint64_t until = now + LEARNED_S != 0 ? now + LEARNED_S : 1;
    atomic_compare_exchange_strong(&remote->path, &unknown, until << 32 | payload_of(remote, mtu));
}

uint32_t fp_remote_path_mtu(const struct fp_remote *remote) {
    const uint32_t payload = fp_remote_payload(remote);
    return payload < FP_UDP4_PAYLOAD ? payload + outer_headers(remote) : 0;
}

void fp_remotes_retire(struct fp_remotes *remotes, uint32_t index) {
    atomic_store(&remotes->remote[index].state, FP_REMOTE_RETIRED);
}

void fp_remotes_reclaim(struct fp_remotes *remotes, uint32_t index) {
    struct fp_remote *remote = &remotes->remote[index];
    memset(remote->traffic, 0, sizeof *remote->traffic * remotes->counters);
    atomic_store(&remote->state, FP_REMOTE_FREED);
    atomic_fetch_sub(&remotes->used, 1);
}

uint32_t fp_remotes_used(const struct fp_remotes *remotes) {
    return atomic_load_explicit(&remotes->used, memory_order_relaxed);
}

void fp_address_from(struct fp_address *address, const struct sockaddr_storage *from) {
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        memcpy(address->ip, v4_prefix, sizeof v4_prefix);
        memcpy(address->ip + sizeof v4_prefix, &in->sin_addr, sizeof in->sin_addr);
        address->udp_port = ntohs(in->sin_port);
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        memcpy(address->ip, &in6->sin6_addr, sizeof in6->sin6_addr);
        address->udp_port = ntohs(in6->sin6_port);
    }
}
