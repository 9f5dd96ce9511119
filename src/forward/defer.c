// SPDX-License-Identifier: Apache-2.0
#include "forward/defer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "monitor/count.h"

// What stands in a ring: the descriptor, then room in front of the frame, the frame, room behind it.
struct entry {
    _Alignas(16) struct fp_frame frame;
    uint64_t standing; // of its source, see `standing_of`; 0: nothing was asked of it
    uint8_t bytes[];
};

#define GONE UINT64_MAX // the standing of a port that was removed already

struct fp_deferral *fp_deferral_new(uint32_t workers, int wake) {
    struct fp_deferral *deferral = calloc(1, sizeof *deferral);
    if (deferral == NULL)
        return NULL;
    deferral->workers = workers;
    deferral->wake = wake;
    for (uint32_t i = 0; i < workers; i++) {
        deferral->ring[i] = fp_ring_new(FP_DEFERRED_RING);
        if (deferral->ring[i] == NULL) {
            fp_deferral_free(deferral);
            return NULL;
        }
    }
    return deferral;
}

void fp_deferral_free(struct fp_deferral *deferral) {
    if (deferral == NULL)
        return;
    for (uint32_t i = 0; i < deferral->workers; i++)
        fp_ring_free(deferral->ring[i]);
    free(deferral);
}

enum { ADMITTED = 2, MEMBER = 4 }; // the standing of a remote

// What lets frames of a source in: the serial of the port, or whether the remote is admitted, and is a member.
static uint64_t standing_of(const struct fp_context *context, const struct fp_segment *segment,
                            fp_dest source) {
    const struct fp_tables *tables = context->tables;
    if (fp_dest_kind(source) == FP_DEST_PORT) {
        const struct fp_port *port = fp_port_get(tables, fp_dest_index(source));
        return port != NULL ? port->serial : GONE;
    }
    if (fp_dest_kind(source) != FP_DEST_REMOTE)
        return 0;
    const struct fp_remote *remote = fp_remotes_get(tables->remotes, fp_dest_index(source));
    if (remote == NULL)
        return 0;
    const uint8_t *ip = remote->address.ip;
    return (fp_admitted_find(tables, ip) != FP_REMOTE_NONE ? ADMITTED : 0) |
           (fp_directory_get(tables->admitted, segment->index, ip) != 0 ? MEMBER : 0);
}

// Why a frame that had this standing is not to be handled any more, or FP_DROP_NONE.
static uint32_t expired(const struct fp_context *context, const struct fp_segment *segment,
                        fp_dest source, uint64_t standing) {
    if (standing == 0)
        return FP_DROP_NONE;
    if (fp_dest_kind(source) != FP_DEST_REMOTE) // a port, or one that was found to be gone before
        return standing != GONE && standing_of(context, segment, source) == standing
                   ? FP_DROP_NONE
                   : FP_DROP_port_down;
    if (segment == NULL)
        return FP_DROP_NONE;
    const uint64_t lost = standing & ~standing_of(context, segment, source);
    if (lost & ADMITTED)
        return FP_DROP_unknown_vtep;
    return lost & MEMBER ? FP_DROP_not_member : FP_DROP_NONE;
}

static bool put(const struct fp_context *context, struct fp_ring *ring,
                const struct fp_frame *frame) {
    struct entry *entry = fp_ring_reserve(ring, (uint32_t)sizeof *entry + FP_HEADROOM +
                                                    frame->length + FP_DEFERRED_SPARE);
    if (entry == NULL)
        return false;
    entry->frame = *frame;
    entry->standing = standing_of(context, frame->segment, frame->source);
    if (fp_dest_kind(frame->source) == FP_DEST_REMOTE && frame->segment->members_only)
        entry->standing |=
            MEMBER; // it was when the frame came, though it may have been dismissed since
    memcpy(entry->bytes + FP_HEADROOM, frame->data, frame->length);
    return true;
}

void fp_defer_forward(const struct fp_forwarder *self, const struct fp_context *context,
                      struct fp_frame *frames, uint32_t count) {
    struct fp_deferral *deferral = self->state;
    struct fp_ring *ring = deferral->ring[context->worker];
    for (uint32_t i = 0; i < count; i++)
        frames[i].target = put(context, ring, &frames[i])
                               ? fp_dest_make(FP_DEST_DEFERRED, 0)
                               : fp_dest_make(FP_DEST_DROP, FP_DROP_forwarder_busy);
    fp_ring_publish(ring);
    // Either the thread sees these frames before it sleeps, or this sees that it sleeps.
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&deferral->asleep, memory_order_relaxed) &&
        atomic_exchange(&deferral->asleep, false) && eventfd_write(deferral->wake, 1) != 0 &&
        errno != EAGAIN) // EAGAIN: it is woken already
        fp_count_event(context, NULL, FP_EVENT_wait_failed, 1);
}

uint32_t fp_deferral_take(struct fp_deferral *deferral, struct fp_frame *frames, uint64_t *standing,
                          uint32_t room) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < deferral->workers; i++)
        deferral->position[i] = fp_ring_first(deferral->ring[i]);
    for (uint32_t i = 0; i < deferral->workers; i++) {
        const uint32_t which = (deferral->next + i) % deferral->workers;
        while (count < room) {
            uint32_t size;
            struct entry *entry =
                fp_ring_next(deferral->ring[which], &deferral->position[which], &size);
            if (entry == NULL)
                break;
            frames[count] = entry->frame;
            standing[count] = entry->standing;
            frames[count++].data = entry->bytes + FP_HEADROOM;
        }
    }
    deferral->next = (deferral->next + 1) % deferral->workers;
    return count;
}

void fp_deferral_expire(const struct fp_context *context, const struct fp_segment *segment,
                        struct fp_frame *frames, const uint64_t *standing, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t reason = expired(context, segment, frames[i].source, standing[i]);
        if (reason == FP_DROP_NONE)
            continue;
        if (reason == FP_DROP_port_down)
            frames[i].source = fp_dest_make(FP_DEST_NONE, 0);
        if (fp_dest_kind(frames[i].target) != FP_DEST_DEFERRED)
            frames[i].target = fp_dest_make(FP_DEST_DROP, reason);
    }
}

void fp_deferral_release(struct fp_deferral *deferral) {
    for (uint32_t i = 0; i < deferral->workers; i++)
        fp_ring_release(deferral->ring[i], deferral->position[i]);
}

bool fp_deferral_doze(struct fp_deferral *deferral) {
    atomic_store(&deferral->asleep, true);
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < deferral->workers; i++) {
        if (!fp_ring_empty(deferral->ring[i])) {
            fp_deferral_awake(deferral);
            return false;
        }
    }
    return true;
}

void fp_deferral_awake(struct fp_deferral *deferral) {
    atomic_store(&deferral->asleep, false);
}
