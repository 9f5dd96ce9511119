// SPDX-License-Identifier: Apache-2.0
#include "monitor/count.h"

#include <stddef.h>

#include "monitor/capture.h"

struct label {
    const char *name;
    const char *sentence;
};

static const struct label drops[FP_DROP_COUNT] = {
#define FP_DROP(name, sentence) [FP_DROP_##name] = {#name, sentence},
#include "counters/drop.def"
#undef FP_DROP
};

static const struct label events[FP_EVENT_COUNT] = {
#define FP_EVENT(name, sentence) [FP_EVENT_##name] = {#name, sentence},
#include "counters/event.def"
#undef FP_EVENT
};

const char *fp_drop_name(uint32_t drop) {
    return drop < FP_DROP_COUNT ? drops[drop].name : NULL;
}

const char *fp_drop_sentence(uint32_t drop) {
    return drop < FP_DROP_COUNT ? drops[drop].sentence : NULL;
}

const char *fp_event_name(uint32_t event) {
    return event < FP_EVENT_COUNT ? events[event].name : NULL;
}

const char *fp_event_sentence(uint32_t event) {
    return event < FP_EVENT_COUNT ? events[event].sentence : NULL;
}

// The traffic counters of a source, or NULL if it is gone.
static struct fp_traffic *traffic_of(const struct fp_context *context, fp_dest source) {
    const uint32_t index = fp_dest_index(source);
    if (fp_dest_kind(source) == FP_DEST_PORT) {
        const struct fp_port *port = fp_port_get(context->tables, index);
        return port != NULL ? &port->traffic[context->worker] : NULL;
    }
    if (fp_dest_kind(source) == FP_DEST_REMOTE) {
        const struct fp_remote *remote = fp_remotes_get(context->tables->remotes, index);
        return remote != NULL ? &remote->traffic[context->worker] : NULL;
    }
    return NULL;
}

void fp_count_unsent(const struct fp_context *context, struct fp_segment *segment, uint32_t frames,
                     uint32_t reason, struct fp_traffic *traffic) {
    struct fp_tally *worker = &context->tables->tally[context->worker];
    fp_count(&worker->drops[reason], frames);
    fp_count(&worker->traffic.drops, frames);
    if (segment != NULL) {
        struct fp_tally *tally = &segment->tally[context->worker];
        fp_count(&tally->drops[reason], frames);
        fp_count(&tally->traffic.drops, frames);
    }
    if (traffic != NULL)
        fp_count(&traffic->drops, frames);
}

void fp_drop_out(const struct fp_context *context, const struct fp_frame *frame, uint32_t reason,
                 struct fp_traffic *traffic) {
    fp_count_unsent(context, frame->segment, frame->segments, reason, traffic);
}

void fp_count_drop(const struct fp_context *context, const struct fp_frame *frame,
                   uint32_t reason) {
    fp_drop_out(context, frame, reason, traffic_of(context, frame->source));
}

void fp_drop(const struct fp_context *context, const struct fp_frame *frame, uint32_t reason) {
    fp_capture_in(context, frame, reason);
    fp_count_drop(context, frame, reason);
}

void fp_count_event(const struct fp_context *context, struct fp_segment *segment, uint32_t event,
                    uint32_t times) {
    fp_count(&context->tables->tally[context->worker].events[event], times);
    if (segment != NULL)
        fp_count(&segment->tally[context->worker].events[event], times);
}

void fp_note(const struct fp_context *context, const struct fp_frame *frame, uint32_t event) {
    fp_count_event(context, frame->segment, event, 1);
}

void fp_count_unlearned(const struct fp_context *context, const struct fp_frame *frame) {
    struct fp_traffic *source = traffic_of(context, frame->source);
    fp_note(context, frame, FP_EVENT_fdb_full);
    if (source != NULL)
        fp_count(&source->unlearned, 1);
}

static void count_rx(struct fp_traffic *traffic, const struct fp_frame *frame) {
    fp_count(&traffic->rx_frames, frame->segments);
    fp_count(&traffic->rx_bytes, frame->bytes);
}

static void count_tx(struct fp_traffic *traffic, uint32_t frames, uint64_t bytes) {
    fp_count(&traffic->tx_frames, frames);
    fp_count(&traffic->tx_bytes, bytes);
}

void fp_count_in(const struct fp_context *context, const struct fp_frame *frame) {
    fp_capture_in(context, frame, FP_DROP_NONE);
    count_rx(&context->tables->tally[context->worker].traffic, frame);
    if (frame->segment != NULL)
        count_rx(&frame->segment->tally[context->worker].traffic, frame);
    struct fp_traffic *source = traffic_of(context, frame->source);
    if (source != NULL)
        count_rx(source, frame);
}

void fp_count_sent(const struct fp_context *context, struct fp_segment *segment, uint32_t frames,
                   uint64_t bytes, struct fp_traffic *traffic) {
    count_tx(&context->tables->tally[context->worker].traffic, frames, bytes);
    if (segment != NULL)
        count_tx(&segment->tally[context->worker].traffic, frames, bytes);
    count_tx(traffic, frames, bytes);
}

void fp_count_out(const struct fp_context *context, const struct fp_frame *frame,
                  struct fp_traffic *traffic) {
    fp_count_sent(context, frame->segment, frame->segments, frame->bytes, traffic);
}
