// SPDX-License-Identifier: Apache-2.0
#include "path/burst.h"

#include <string.h>

#include "packet/wire.h"

enum { SEGMENTS = 64 }; // room that is made for a head that grows, in segments

void fp_burst_clear(struct fp_burst *burst) {
    memset(burst->latest, 0, sizeof burst->latest);
    burst->count = burst->merging = burst->spare_used = 0;
}

// Move a head that has no room behind it, and might get more segments, to where it has.
static void make_room(struct fp_burst *burst, struct fp_merge *merge) {
    struct fp_frame *head = merge->head;
    if (!fp_merge_open(merge) ||
        merge->room_end - (head->data + head->length) >= (ptrdiff_t)merge->payload)
        return;
    uint32_t size = FP_VXLAN_SIZE + head->length + SEGMENTS * merge->payload;
    if (size > FP_FRAME_SIZE)
        size = FP_FRAME_SIZE;
    if (size < FP_VXLAN_SIZE + head->length + merge->payload ||
        size > FP_SPARE_SIZE - burst->spare_used)
        return;
    uint8_t *to = burst->spare + burst->spare_used;
    burst->spare_used += size;
    memcpy(to, head->data - FP_VXLAN_SIZE, FP_VXLAN_SIZE + head->length);
    head->data = to + FP_VXLAN_SIZE;
    merge->room_end = to + size;
}

bool fp_burst_follow(struct fp_burst *burst, uint8_t *packet, uint32_t length) {
    if (burst->merging == 0 || length <= FP_VXLAN_SIZE)
        return false;
    struct fp_merge *merge = &burst->merge[burst->merging - 1];
    // Reserved bits are looked at elsewhere: they must be 0 here.
    return fp_vxlan_flags(packet) == FP_VXLAN_FLAG_I && packet[7] == 0 &&
           fp_vxlan_vni(packet) == merge->head->vni &&
           fp_merge_append(merge, packet + FP_VXLAN_SIZE, length - FP_VXLAN_SIZE);
}

void fp_burst_take(struct fp_burst *burst, const uint8_t *room_end) {
    struct fp_frame *frame = &burst->frame[burst->count];
    uint8_t *latest = &burst->latest[frame->flow.hash % FP_BURST];
    if (*latest != 0) {
        struct fp_merge *merge = &burst->merge[*latest - 1];
        const struct fp_frame *head = merge->head;
        if (head->flow.hash == frame->flow.hash && head->segment == frame->segment &&
            head->source == frame->source && !frame->needs_checksum && frame->gso_size == 0) {
            make_room(burst, merge);
            if (fp_merge_append(merge, frame->data, frame->length)) {
                burst->merging = *latest;
                return;
            }
        }
    }
    // The frame before, in the same buffer, may only grow up to this one from now on.
    if (burst->count > 0 && burst->merge[burst->count - 1].room_end == room_end)
        burst->merge[burst->count - 1].room_end = frame->data - FP_VXLAN_SIZE;
    fp_merge_begin(&burst->merge[burst->count], frame, room_end);
    burst->count++;
    burst->merging = *latest = (uint8_t)burst->count;
}

uint32_t fp_burst_end(struct fp_burst *burst) {
    uint32_t merged = 0;
    for (uint32_t i = 0; i < burst->count; i++) {
        if (burst->frame[i].segments > 1 && burst->frame[i].gso_size == 0) {
            merged += burst->frame[i].segments - 1;
            fp_merge_end(&burst->merge[i]);
        }
    }
    return merged;
}
