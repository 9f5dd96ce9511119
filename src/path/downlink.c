// SPDX-License-Identifier: Apache-2.0
#include "path/downlink.h"

#include <errno.h>

#include "io/sink.h"
#include "io/tap.h"
#include "monitor/capture.h"
#include "monitor/count.h"
#include "packet/offload.h"
#include "packet/split.h"
#include "packet/wire.h"

enum { MAX_UDP_SEGMENTS = 64 }; // UDP_MAX_SEGMENTS before Linux 6.9

static enum fp_drop reason_of(int error) {
    switch (error) {
    case EIO:
    case EBADFD:
        return FP_DROP_port_down;
    case EAGAIN:
    case ENOBUFS:
        return FP_DROP_port_full;
    default:
        return FP_DROP_port_error;
    }
}

static void count(const struct fp_context *context, const struct fp_frame *frame,
                  struct fp_port *port, int result) {
    struct fp_traffic *traffic = &port->traffic[context->worker];
    const enum fp_drop reason = result < 0 ? reason_of(-result) : FP_DROP_NONE;
    fp_capture_to_port(context, frame, port, reason);
    if (reason != FP_DROP_NONE)
        fp_drop_out(context, frame, reason, traffic);
    else
        fp_count_out(context, frame, traffic);
}

// Some kernels do not take every kind of super-frame, or answer EINVAL to merged ones (some of mid-2024).
static int send_split(const struct fp_context *context, const struct fp_frame *frame,
                      struct fp_port *port) {
    uint8_t memory[FP_SUPER_HEADERS + UINT16_MAX];
    struct fp_frame segment = {.data = memory, .segment = frame->segment, .segments = 1};
    struct fp_split split;
    int result = 0;
    fp_split_begin(&split, frame);
    while ((segment.length = segment.bytes = fp_split_next(&split, memory)) != 0) {
        result = fp_tap_write(port->fd[context->worker], &segment, UINT32_MAX);
        count(context, &segment, port, result);
    }
    return result;
}

// Whether a kernel that takes such super-frames at all takes this one. What a neighbour can make up (no
// open checksum, or elsewhere; too many segments) says nothing about others.
static bool is_ordinary(const struct fp_frame *frame) {
    return frame->needs_checksum && frame->checksum_start == frame->flow.transport &&
           frame->checksum_offset == fp_offload_checksum_field(&frame->flow) &&
           (frame->flow.protocol == FP_PROTOCOL_TCP || frame->segments <= MAX_UDP_SEGMENTS);
}

static _Atomic bool *refusal(const struct fp_frame *frame, struct fp_port *port) {
    return frame->flow.protocol == FP_PROTOCOL_TCP ? &port->refuses_tcp : &port->refuses_udp;
}

void fp_downlink_send(const struct fp_context *context, const struct fp_frame *frame,
                      struct fp_port *port) {
    const struct fp_sink *sink = context->tables->sink;
    if (sink != NULL) {
        sink->frame(sink, frame, port);
        fp_count_out(context, frame, &port->traffic[context->worker]);
        return;
    }
    const bool whole =
        frame->gso_size == 0 || !atomic_load_explicit(refusal(frame, port), memory_order_relaxed);
    if (whole) {
        const int result = fp_tap_write(port->fd[context->worker], frame, port->mtu);
        if (result != -EINVAL || frame->gso_size == 0) {
            if (result > 0)
                fp_note(context, frame, FP_EVENT_super_frame_inferred);
            count(context, frame, port, result);
            return;
        }
    }
    fp_note(context, frame, FP_EVENT_super_frame_refused);
    if (send_split(context, frame, port) >= 0 && whole && is_ordinary(frame))
        atomic_store_explicit(refusal(frame, port), true, memory_order_relaxed);
}
