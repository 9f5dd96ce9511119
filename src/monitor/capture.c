// SPDX-License-Identifier: Apache-2.0
#include "monitor/capture.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "monitor/outer.h"
#include "packet/wire.h"

enum { LARGEST = FP_OUTER_SIZE + FP_VXLAN_SIZE + FP_FRAME_SIZE };

_Static_assert(FP_DROP_COUNT <= 64, "a selection has a bit for each reason");
_Static_assert(3 * (LARGEST + sizeof(struct fp_captured)) <= FP_CAPTURE_ROOM,
               "any frame finds room");

// One worker's, or that of all threads of deferred forwarders, of which one writes at a time.
struct lane {
    struct fp_ring *ring;
    uint8_t *packet; // LARGEST bytes, for one with its outer headers
    _Alignas(64) fp_counter missed;
};

struct fp_capture {
    struct fp_selection selection;
    uint32_t counters;
    struct lane lane[];
};

// One frame or packet on its way past the captures.
struct sight {
    const uint8_t *data;
    uint32_t length;
    uint32_t vni;
    fp_dest where;
    uint64_t port; // its serial; 0: none
    const struct fp_address *remote; // NULL: not known
    uint8_t direction;
    uint32_t reason;
};

struct fp_capture *fp_capture_new(const struct fp_selection *selection, uint32_t counters,
                                  uint32_t room) {
    const size_t size = sizeof(struct fp_capture) + counters * sizeof(struct lane);
    struct fp_capture *capture = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (capture == NULL)
        return NULL;
    memset(capture, 0, size);
    capture->selection = *selection;
    capture->counters = counters;
    for (uint32_t i = 0; i < counters; i++) {
        struct lane *lane = &capture->lane[i];
        lane->ring = fp_ring_new(room);
        lane->packet = selection->outer ? malloc(LARGEST) : NULL;
        if (lane->ring == NULL || (selection->outer && lane->packet == NULL)) {
            fp_capture_free(capture);
            return NULL;
        }
    }
    return capture;
}

void fp_capture_free(struct fp_capture *capture) {
    if (capture == NULL)
        return;
    for (uint32_t i = 0; i < capture->counters; i++) {
        fp_ring_free(capture->lane[i].ring);
        free(capture->lane[i].packet);
    }
    free(capture);
}

const struct fp_captures *fp_captures_publish(struct fp_tables *tables,
                                              const struct fp_captures *captures) {
    return atomic_exchange(&tables->captures, captures);
}

static void put(struct fp_capture *capture, struct lane *lane, const struct sight *sight) {
    const uint32_t snap = capture->selection.snap;
    const uint32_t kept = sight->length < snap ? sight->length : snap;
    struct fp_captured *entry = fp_ring_reserve(lane->ring, (uint32_t)sizeof *entry + kept);
    if (entry == NULL) {
        fp_count(&lane->missed, 1);
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *entry = (struct fp_captured){
        .time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
        .length = kept,
        .original = sight->length,
        .vni = sight->vni,
        .port = sight->port,
        .where = sight->where,
        .direction = sight->direction,
        .reason = (uint8_t)sight->reason,
    };
    if (sight->remote != NULL)
        entry->remote = *sight->remote;
    memcpy(entry + 1, sight->data, kept);
    fp_ring_publish(lane->ring);
}

struct fp_ring *fp_capture_ring(const struct fp_capture *capture, uint32_t worker) {
    return capture->lane[worker].ring;
}

uint64_t fp_capture_missed(const struct fp_capture *capture) {
    uint64_t missed = 0;
    for (uint32_t i = 0; i < capture->counters; i++)
        missed += fp_counter_read(&capture->lane[i].missed);
    return missed;
}

static bool names_port(const struct fp_selection *selection, uint64_t serial) {
    for (uint32_t i = 0; i < selection->ports; i++)
        if (selection->port[i] == serial)
            return true;
    return false;
}

static bool names_remote(const struct fp_selection *selection, const struct fp_address *remote) {
    for (uint32_t i = 0; i < selection->remotes; i++)
        if (memcmp(selection->remote[i], remote->ip, sizeof remote->ip) == 0)
            return true;
    return false;
}

static bool wants(const struct fp_selection *selection, const struct sight *sight) {
    if (!(selection->directions & sight->direction) ||
        (selection->vni != FP_CAPTURE_ALL_VNIS && selection->vni != sight->vni))
        return false;
    if (sight->reason != FP_DROP_NONE)
        return selection->drops >> sight->reason & 1;
    if (selection->passing)
        return true;
    if (fp_dest_kind(sight->where) == FP_DEST_PORT)
        return names_port(selection, sight->port);
    return sight->remote != NULL && names_remote(selection, sight->remote);
}

static void keep(struct fp_capture *capture, struct lane *lane, const struct sight *sight) {
    const struct fp_selection *selection = &capture->selection;
    if (selection->filter == NULL ||
        selection->filter(selection->program, sight->data, sight->length, sight->length) != 0)
        put(capture, lane, sight);
}

// The list is read once more: control may have withdrawn it since the worker asked whether there is one.
static const struct fp_captures *list_of(const struct fp_context *context) {
    static const struct fp_captures none;
    const struct fp_captures *captures =
        atomic_load_explicit(&context->tables->captures, memory_order_acquire);
    return captures != NULL ? captures : &none;
}

void fp_capture_frame_now(const struct fp_context *context, const struct fp_frame *frame,
                          fp_dest where, const struct fp_address *remote,
                          enum fp_direction direction, uint32_t reason) {
    const struct fp_captures *captures = list_of(context);
    struct sight sight = {.data = frame->data,
                          .length = frame->length,
                          .vni = frame->segment != NULL ? frame->segment->vni : FP_CAPTURE_ALL_VNIS,
                          .where = where,
                          .remote = remote,
                          .direction = (uint8_t)direction,
                          .reason = reason};
    if (fp_dest_kind(where) == FP_DEST_PORT) {
        const struct fp_port *port = fp_port_get(context->tables, fp_dest_index(where));
        sight.port = port != NULL ? port->serial : 0;
    } else if (fp_dest_kind(where) == FP_DEST_REMOTE && remote == NULL) {
        const struct fp_remote *known =
            fp_remotes_get(context->tables->remotes, fp_dest_index(where));
        sight.remote = known != NULL ? &known->address : NULL;
    }
    for (uint32_t i = 0; i < captures->count; i++) {
        struct fp_capture *capture = captures->item[i];
        if (!capture->selection.outer && wants(&capture->selection, &sight))
            keep(capture, &capture->lane[context->worker], &sight);
    }
}

// Dropped packets are seen by captures of frames too, without their VXLAN header.
static struct sight inside(const struct sight *packet) {
    struct sight sight = *packet;
    const uint32_t header = sight.length < FP_VXLAN_SIZE ? sight.length : FP_VXLAN_SIZE;
    sight.data += header;
    sight.length -= header;
    return sight;
}

void fp_capture_packet_now(const struct fp_context *context, const struct fp_address *remote,
                           uint16_t own_port, const struct fp_packet *packet,
                           enum fp_direction direction, uint32_t reason) {
    const struct fp_captures *captures = list_of(context);
    struct sight sight = {.data = packet->data,
                          .length = packet->length,
                          .vni = packet->length >= FP_VXLAN_SIZE ? fp_vxlan_vni(packet->data)
                                                                 : FP_CAPTURE_ALL_VNIS,
                          .where = fp_dest_make(FP_DEST_REMOTE, 0),
                          .remote = remote,
                          .direction = (uint8_t)direction,
                          .reason = reason};
    for (uint32_t i = 0; i < captures->count; i++) {
        struct fp_capture *capture = captures->item[i];
        struct lane *lane = &capture->lane[context->worker];
        if (!wants(&capture->selection, &sight))
            continue;
        struct sight seen = inside(&sight);
        if (capture->selection.outer) {
            struct fp_address own = capture->selection.local;
            if (direction == FP_OUT)
                own.udp_port = own_port;
            seen.data = lane->packet;
            seen.length = fp_outer_write(lane->packet, direction == FP_IN ? remote : &own,
                                         direction == FP_IN ? &own : remote, packet->tos,
                                         packet->data, packet->length);
        } else if (reason == FP_DROP_NONE) {
            continue; // captures of frames see the frame
        }
        keep(capture, lane, &seen);
    }
}

void fp_capture_arrival(const struct fp_context *context, const struct fp_address *from,
                        const uint8_t *data, uint32_t length, uint32_t unit, uint8_t tos,
                        uint32_t reason) {
    uint32_t at = 0;
    if (!fp_capturing(context->tables))
        return;
    do {
        const uint32_t left = length - at;
        const struct fp_packet packet = {
            .data = data + at, .length = unit != 0 && unit < left ? unit : left, .tos = tos};
        fp_capture_packet_now(context, from, 0, &packet, FP_IN, reason);
        at += packet.length;
    } while (at < length);
}
