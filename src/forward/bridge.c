// SPDX-License-Identifier: Apache-2.0
#include "forward/bridge.h"

#include "forward/respond.h"
#include "monitor/count.h"
#include "packet/wire.h"

#define FP_MAC_MASK ((UINT64_C(1) << 48) - 1)

static inline fp_dest drop(uint32_t reason) {
    return fp_dest_make(FP_DEST_DROP, reason);
}

// Whether the static entry for `key` points to the host that the frame came from, only by another UDP
// port: where a VTEP sends from says nothing about where it listens.
static bool same_host(const struct fp_context *context, fp_dest source, uint64_t key) {
    struct fp_fdb_value value;
    fp_fdb_lookup(context->tables->fdb, &key, 1, &value);
    if (fp_dest_kind(source) != FP_DEST_REMOTE || fp_dest_kind(value.dest) != FP_DEST_REMOTE)
        return false;
    const struct fp_remotes *remotes = context->tables->remotes;
    const struct fp_remote *from = fp_remotes_get(remotes, fp_dest_index(source));
    const struct fp_remote *entry = fp_remotes_get(remotes, fp_dest_index(value.dest));
    return from != NULL && entry != NULL &&
           memcmp(from->address.ip, entry->address.ip, sizeof from->address.ip) == 0;
}

// The source of a frame, and what was found out about it. In a burst the next frame often has the same one, and
// nothing is to be learned from that.
struct verdict {
    uint64_t key; // 0: none
    fp_dest source;
    uint32_t reason; // FP_DROP_NONE, or why frames from there must not be passed on
};

// Learn the frame's source address. FP_DROP_NONE, or why the frame must not be passed on. `again`: whether each
// frame from there has to be counted.
static uint32_t learn(const struct fp_context *context, struct fp_frame *frame, uint64_t key,
                      bool *again) {
    switch (fp_fdb_learn(context->tables->fdb, key, frame->source, context->now)) {
    case FP_FDB_LEARNED:
        fp_note(context, frame, FP_EVENT_learned);
        break;
    case FP_FDB_MOVED:
        fp_note(context, frame, FP_EVENT_moved);
        break;
    case FP_FDB_FULL:
        fp_count_unlearned(context, frame);
        *again = true;
        break;
    case FP_FDB_PINNED:
        return same_host(context, frame->source, key) ? FP_DROP_NONE : FP_DROP_static_source;
    case FP_FDB_OWN:
        return FP_DROP_own_source;
    case FP_FDB_KNOWN:
        break;
    }
    return FP_DROP_NONE;
}

// Without learning, a frame that claims to come from an address behind one of our ports is still refused: that of
// the port's own interface, or one that control placed there.
static uint32_t check_own(const struct fp_context *context, const struct fp_frame *frame,
                          uint64_t key) {
    struct fp_fdb_value value;
    fp_fdb_lookup(context->tables->fdb, &key, 1, &value);
    if (!(value.flags & FP_FDB_STATIC) || fp_dest_kind(value.dest) != FP_DEST_PORT ||
        value.dest == frame->source)
        return FP_DROP_NONE;
    return value.flags & FP_FDB_LOCAL ? FP_DROP_own_source : FP_DROP_static_source;
}

static uint32_t admit(const struct fp_context *context, struct fp_frame *frame, uint64_t key,
                      bool *again) {
    const uint64_t mac = key & FP_MAC_MASK;
    if (mac == 0 || fp_mac_is_multicast(mac))
        return FP_DROP_bad_source_mac;
    const bool learning = atomic_load_explicit(&frame->segment->learning, memory_order_relaxed);
    if (!learning || fp_dest_kind(frame->source) == FP_DEST_NONE)
        return check_own(context, frame, key);
    return learn(context, frame, key, again);
}

static inline uint64_t source_key(const struct fp_frame *frame) {
    return fp_fdb_key(frame->segment->index, fp_load_mac(frame->data + FP_MAC_SIZE));
}

static inline uint64_t destination_key(const struct fp_frame *frame) {
    return fp_fdb_key(frame->segment->index, fp_load_mac(frame->data));
}

static void learn_all(const struct fp_context *context, struct fp_frame *frames, uint32_t count,
                      const uint64_t *key) {
    struct verdict last = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (fp_dest_kind(frames[i].target) != FP_DEST_NONE)
            continue;
        if (key[i] != last.key || frames[i].source != last.source) {
            bool again = false;
            last.reason = admit(context, &frames[i], key[i], &again);
            last.key = again ? 0 : key[i];
            last.source = frames[i].source;
        }
        if (last.reason != FP_DROP_NONE)
            frames[i].target = drop(last.reason);
    }
}

// Whether the frame may be a question that we can answer. Few frames go to a group.
static inline bool may_ask(const struct fp_frame *frame, uint64_t destination) {
    return __builtin_expect(fp_mac_is_multicast(destination), 0) &&
           fp_dest_kind(frame->target) == FP_DEST_NONE &&
           fp_dest_kind(frame->source) == FP_DEST_PORT &&
           atomic_load_explicit(&frame->segment->neighbours, memory_order_relaxed) != 0;
}

void fp_bridge_learn(const struct fp_context *context, struct fp_frame *frames, uint32_t count) {
    uint64_t source[FP_BURST];
    for (uint32_t i = 0; i < count; i++) {
        source[i] = source_key(&frames[i]);
        if (i == 0 || source[i] != source[i - 1])
            fp_fdb_prefetch(context->tables->fdb, source[i]);
    }
    learn_all(context, frames, count, source);
}

void fp_bridge_lookup(const struct fp_context *context, const struct fp_frame *frames,
                      uint32_t count, fp_dest *found) {
    uint64_t destination[FP_BURST];
    struct fp_fdb_value value[FP_BURST];
    for (uint32_t i = 0; i < count; i++)
        destination[i] = destination_key(&frames[i]);
    fp_fdb_lookup(context->tables->fdb, destination, count, value);
    for (uint32_t i = 0; i < count; i++)
        found[i] = value[i].dest;
}

void fp_bridge_learn_and_lookup(const struct fp_context *context, struct fp_frame *frames,
                                uint32_t count, fp_dest *found) {
    uint64_t source[FP_BURST], destination[FP_BURST];
    struct fp_fdb_value value[FP_BURST];
    for (uint32_t i = 0; i < count; i++) {
        source[i] = source_key(&frames[i]);
        destination[i] = destination_key(&frames[i]);
        if (i == 0 || source[i] != source[i - 1])
            fp_fdb_prefetch(context->tables->fdb, source[i]);
        if (i == 0 || destination[i] != destination[i - 1])
            fp_fdb_prefetch(context->tables->fdb, destination[i]);
    }
    learn_all(context, frames, count, source);
    fp_fdb_lookup(context->tables->fdb, destination, count, value);
    for (uint32_t i = 0; i < count; i++) {
        found[i] = value[i].dest;
        if (may_ask(&frames[i], destination[i]))
            frames[i].target = fp_respond(context, &frames[i]);
    }
}

static inline fp_dest decide(const struct fp_frame *frame, fp_dest found) {
    const bool from_port = fp_dest_kind(frame->source) == FP_DEST_PORT;
    switch (fp_dest_kind(found)) {
    case FP_DEST_PORT:
        return found == frame->source ? drop(FP_DROP_same_port) : found;
    case FP_DEST_REMOTE:
    case FP_DEST_GROUP:
        return from_port ? found : drop(FP_DROP_split_horizon);
    default:
        return fp_dest_make(FP_DEST_FLOOD, 0);
    }
}

void fp_bridge_forward(const struct fp_forwarder *self, const struct fp_context *context,
                       struct fp_frame *frames, uint32_t count) {
    (void)self;
    fp_dest found[FP_BURST];
    fp_bridge_learn_and_lookup(context, frames, count, found);
    for (uint32_t i = 0; i < count; i++)
        if (fp_dest_kind(frames[i].target) == FP_DEST_NONE)
            frames[i].target = decide(&frames[i], found[i]);
}
