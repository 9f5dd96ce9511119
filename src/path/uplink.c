// SPDX-License-Identifier: Apache-2.0
#include "path/uplink.h"

#include "io/route.h"
#include "io/sink.h"
#include "monitor/capture.h"
#include "monitor/count.h"
#include "packet/encap.h"
#include "packet/split.h"
#include "packet/wire.h"
#include "path/too_big.h"

static void flush(const struct fp_context *context, struct fp_udp_out *out) {
    if (out->trains != 0)
        fp_udp_flush(context, out);
}

void fp_uplink_flush(const struct fp_context *context, struct fp_uplink *uplink) {
    for (uint32_t i = 0; i < uplink->outlets; i++)
        flush(context, &uplink->outlet[i]);
    if (uplink->fragments != NULL)
        flush(context, uplink->fragments);
    uplink->used = 0;
}

// One flow always takes the same source port.
static struct fp_udp_out *outlet_of(const struct fp_uplink *uplink, const struct fp_frame *frame) {
    return &uplink->outlet[((uint64_t)frame->flow.hash * uplink->outlets) >> 32];
}

static void queue(const struct fp_context *context, struct fp_udp_out *out,
                  const struct fp_frame *frame, const struct fp_packet *packet,
                  struct fp_remote *remote) {
    const struct fp_sink *sink = context->tables->sink;
    if (sink == NULL) {
        fp_udp_queue(context, out, packet, frame->segment, remote);
        return;
    }
    sink->packet(sink, frame, packet, remote);
    fp_count_sent(context, frame->segment, 1, packet->length - FP_VXLAN_SIZE,
                  &remote->traffic[context->worker]);
}

static void send_split(const struct fp_context *context, struct fp_uplink *uplink,
                       struct fp_udp_out *out, const struct fp_frame *frame,
                       struct fp_remote *remote) {
    const uint32_t vni = frame->segment->vni;
    const uint32_t room = FP_VXLAN_SIZE + (uint32_t)frame->headers + frame->gso_size;
    struct fp_packet packet = {.tos = fp_encap_tos(frame->flow.tos)};
    struct fp_split split;
    fp_split_begin(&split, frame);
    for (;;) {
        if (FP_UPLINK_MEMORY - uplink->used < room)
            fp_uplink_flush(context, uplink);
        uint8_t *to = uplink->memory + uplink->used;
        const uint32_t length = fp_split_next(&split, to + FP_VXLAN_SIZE);
        if (length == 0)
            return;
        fp_vxlan_write(to, vni);
        packet.data = to;
        packet.length = FP_VXLAN_SIZE + length;
        uplink->used += packet.length;
        queue(context, out, frame, &packet, remote);
    }
}

static void drop(const struct fp_context *context, const struct fp_frame *frame,
                 const struct fp_remote *remote, enum fp_drop reason) {
    fp_capture_to_remote(context, frame, remote, reason);
    fp_drop_out(context, frame, reason, &remote->traffic[context->worker]);
}

// The longest frame that this one becomes, in bytes.
static uint32_t longest(const struct fp_frame *frame) {
    const uint32_t segment = (uint32_t)frame->headers + frame->gso_size;
    return frame->gso_size != 0 && segment < frame->length ? segment : frame->length;
}

// Whether the frame fits after all: the engine's own probes are to find that out, and what was learned of the path
// is asked anew when its time is over.
static bool fits_now(const struct fp_context *context, const struct fp_udp_out *out,
                     const struct fp_frame *frame, struct fp_remote *remote, uint32_t length) {
    if (frame->segment->probes)
        return FP_VXLAN_SIZE + length <= FP_UDP4_PAYLOAD;
    if (!fp_remote_forget_path_mtu(remote, context->now))
        return false;
    fp_remote_learn_path_mtu(remote, fp_route_mtu(out->fd, remote), context->now);
    return FP_VXLAN_SIZE + length <= fp_remote_payload(remote);
}

// The frame does not fit. Return where to send it nevertheless; NULL: it was dropped.
static struct fp_udp_out *exceeding(const struct fp_context *context, struct fp_uplink *uplink,
                                    const struct fp_frame *frame, const struct fp_remote *remote,
                                    uint32_t length) {
    enum fp_drop reason = FP_DROP_too_big;
    if (fp_too_big_tell(context, frame, remote, length)) {
        reason = FP_DROP_exceeds_path;
    } else if (uplink->fragments != NULL && FP_VXLAN_SIZE + length <= FP_UDP4_PAYLOAD) {
        fp_note(context, frame, FP_EVENT_fragmented);
        return uplink->fragments;
    }
    drop(context, frame, remote, reason);
    return NULL;
}

void fp_uplink_send(const struct fp_context *context, struct fp_uplink *uplink,
                    struct fp_frame *frame, struct fp_remote *remote) {
    const uint32_t length = longest(frame);
    struct fp_udp_out *out = outlet_of(uplink, frame);
    if (__builtin_expect(FP_VXLAN_SIZE + length > fp_remote_payload(remote), 0) &&
        context->tables->sink == NULL && // a file takes packets of any length
        !fits_now(context, out, frame, remote, length)) {
        out = exceeding(context, uplink, frame, remote, length);
        if (out == NULL)
            return;
    }
    if (frame->gso_size != 0) {
        fp_capture_to_remote(context, frame, remote, FP_DROP_NONE);
        fp_note(context, frame, FP_EVENT_split);
        send_split(context, uplink, out, frame, remote);
        return;
    }
    struct fp_packet packet;
    uint32_t completed = 0;
    const enum fp_drop reason = fp_encap(frame, frame->segment->vni, &packet, &completed);
    if (reason != FP_DROP_NONE) {
        drop(context, frame, remote, reason);
        return;
    }
    fp_capture_to_remote(context, frame, remote, FP_DROP_NONE);
    if (completed)
        fp_note(context, frame, FP_EVENT_checksum_completed);
    queue(context, out, frame, &packet, remote);
}
