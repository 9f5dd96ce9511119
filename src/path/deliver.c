// SPDX-License-Identifier: Apache-2.0
#include "path/deliver.h"

#include "monitor/count.h"
#include "packet/wire.h"
#include "path/downlink.h"
#include "path/uplink.h"
#include "security/allowed.h"

// Head-end replication; how many copies were made.
static uint32_t to_remotes(const struct fp_context *context, struct fp_frame *frame,
                           const struct fp_list *remotes) {
    uint32_t copies = 0;
    if (remotes == NULL)
        return 0;
    for (uint32_t i = 0; i < remotes->count; i++) {
        struct fp_remote *remote = fp_remotes_get(context->tables->remotes, remotes->item[i]);
        if (remote == NULL)
            continue;
        fp_uplink_send(context, context->uplink, frame, remote);
        copies++;
    }
    return copies;
}

// Whether the port that the frame came from may send it to so many, if it did come from a port.
static bool may_flood(const struct fp_context *context, const struct fp_frame *frame,
                      uint64_t copies) {
    if (fp_dest_kind(frame->source) != FP_DEST_PORT)
        return true;
    struct fp_port *port = fp_port_get(context->tables, fp_dest_index(frame->source));
    return port == NULL || fp_storm_take(&port->storm, context->now, copies * frame->segments);
}

// Whether somebody behind the port may have this address. A container takes whatever the kernel path hands it for its
// own: bpf_redirect_peer sets the packet's type (skb_scrub_packet), and one that forwards would send it on.
static bool may_have(const struct fp_port *port, uint64_t mac) {
    const struct fp_allowed *allowed = atomic_load_explicit(&port->allowed, memory_order_acquire);
    return fp_mac_is_multicast(mac) || allowed == NULL || fp_allowed_has(allowed, mac);
}

// To every port but the frame's own, and to the flood list unless the frame came from a remote.
static uint32_t flood(const struct fp_context *context, struct fp_frame *frame) {
    const struct fp_list *ports = frame->segment->ports;
    const uint64_t mac = fp_load_mac(frame->data);
    uint32_t copies = 0;
    for (uint32_t i = 0; i < ports->count; i++) {
        if (frame->source == fp_dest_make(FP_DEST_PORT, ports->item[i]))
            continue;
        struct fp_port *port = fp_port_get(context->tables, ports->item[i]);
        if (port == NULL || !may_have(port, mac))
            continue;
        fp_downlink_send(context, frame, port);
        copies++;
    }
    if (fp_dest_kind(frame->source) == FP_DEST_PORT)
        copies += to_remotes(context, frame, frame->segment->remotes);
    fp_note(context, frame, FP_EVENT_flooded);
    if (!fp_mac_is_multicast(mac))
        fp_note(context, frame, FP_EVENT_unknown_unicast);
    return copies;
}

static void to_all(const struct fp_context *context, struct fp_frame *frame) {
    const struct fp_list *ports = frame->segment->ports, *remotes = frame->segment->remotes;
    const uint64_t copies = (uint64_t)ports->count + (remotes != NULL ? remotes->count : 0);
    if (!may_flood(context, frame, copies))
        fp_drop(context, frame, FP_DROP_storm);
    else if (flood(context, frame) == 0)
        fp_drop(context, frame, FP_DROP_no_destination);
}

static void to_group(const struct fp_context *context, struct fp_frame *frame, uint32_t index) {
    const struct fp_list *group = fp_group_get(context->tables, index);
    if (group != NULL && !may_flood(context, frame, group->count))
        fp_drop(context, frame, FP_DROP_storm);
    else if (to_remotes(context, frame, group) == 0)
        fp_drop(context, frame, FP_DROP_bad_target);
}

static void to_port(const struct fp_context *context, struct fp_frame *frame, uint32_t index) {
    struct fp_port *port = fp_port_get(context->tables, index);
    // A forwarder that got a number wrong must not reach into another segment.
    if (port == NULL || port->segment != frame->segment)
        fp_drop(context, frame, FP_DROP_bad_target);
    else
        fp_downlink_send(context, frame, port);
}

static void to_remote(const struct fp_context *context, struct fp_frame *frame, uint32_t index) {
    struct fp_remote *remote = fp_remotes_get(context->tables->remotes, index);
    if (remote == NULL)
        fp_drop(context, frame, FP_DROP_bad_target);
    else
        fp_uplink_send(context, context->uplink, frame, remote);
}

void fp_deliver(const struct fp_context *context, struct fp_frame *frame) {
    const uint32_t index = fp_dest_index(frame->target);
    switch (fp_dest_kind(frame->target)) {
    case FP_DEST_PORT:
        to_port(context, frame, index);
        break;
    case FP_DEST_REMOTE:
        to_remote(context, frame, index);
        break;
    case FP_DEST_FLOOD:
        to_all(context, frame);
        break;
    case FP_DEST_GROUP:
        to_group(context, frame, index);
        break;
    case FP_DEST_DROP:
        fp_drop(context, frame,
                index > FP_DROP_NONE && index < FP_DROP_COUNT ? index : FP_DROP_forwarder);
        break;
    case FP_DEST_DEFERRED:
        break;
    case FP_DEST_NONE:
        fp_drop(context, frame, FP_DROP_undecided);
        break;
    default:
        fp_drop(context, frame, FP_DROP_bad_target);
    }
}
