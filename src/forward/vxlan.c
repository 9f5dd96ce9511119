// SPDX-License-Identifier: Apache-2.0
#include "forward/vxlan.h"

#include "forward/bridge.h"
#include "packet/wire.h"

static inline bool is_from_port(const struct fp_frame *frame) {
    return fp_dest_kind(frame->source) == FP_DEST_PORT;
}

static inline bool is_undecided(const struct fp_frame *frame) {
    return fp_dest_kind(frame->target) == FP_DEST_NONE;
}

// Where frames from remotes go: the segment's port. Flooding finds it too, if there are more, or none yet.
static fp_dest port_of(const struct fp_segment *segment) {
    const struct fp_list *ports = atomic_load_explicit(&segment->ports, memory_order_acquire);
    return ports->count == 1 ? fp_dest_make(FP_DEST_PORT, ports->item[0])
                             : fp_dest_make(FP_DEST_FLOOD, 0);
}

static void from_remotes(const struct fp_context *context, struct fp_frame *frames,
                         uint32_t count) {
    fp_bridge_learn(context, frames, count);
    for (uint32_t i = 0; i < count; i++)
        if (is_undecided(&frames[i]))
            frames[i].target = port_of(frames[i].segment);
}

static fp_dest decide(const struct fp_frame *frame, fp_dest found) {
    const uint64_t source = fp_load_mac(frame->data + FP_MAC_SIZE);
    if (source == 0 || fp_mac_is_multicast(source))
        return fp_dest_make(FP_DEST_DROP, FP_DROP_bad_source_mac);
    const uint32_t kind = fp_dest_kind(found);
    return kind == FP_DEST_REMOTE || kind == FP_DEST_GROUP ? found : fp_dest_make(FP_DEST_FLOOD, 0);
}

static void from_port(const struct fp_context *context, struct fp_frame *frames, uint32_t count) {
    fp_dest found[FP_BURST];
    fp_bridge_lookup(context, frames, count, found);
    for (uint32_t i = 0; i < count; i++)
        if (is_undecided(&frames[i]))
            frames[i].target = decide(&frames[i], found[i]);
}

void fp_vxlan_forward(const struct fp_forwarder *self, const struct fp_context *context,
                      struct fp_frame *frames, uint32_t count) {
    (void)self;
    for (uint32_t first = 0, next; first < count; first = next) {
        const bool outwards = is_from_port(&frames[first]);
        for (next = first + 1; next < count && is_from_port(&frames[next]) == outwards; next++)
            ;
        (outwards ? from_port : from_remotes)(context, frames + first, next - first);
    }
}
