// SPDX-License-Identifier: Apache-2.0
// The frame descriptor, the burst, and destinations.
//
// A burst belongs to one worker; its frames' bytes lie in that worker's buffers and live for one turn.
#ifndef FP_FRAME_H
#define FP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet/flow.h"

enum {
    FP_BURST = 64, // frames handled in one turn, at most
    FP_HEADROOM = 64, // bytes in front of a frame's buffer, for a vnet or a VXLAN header
    FP_FRAME_SIZE = 65600, // room for the largest IP packet with its Ethernet header and tags
    FP_UDP4_PAYLOAD = 65507, // the largest UDP payload over IPv4; IPv6 takes 20 more
    FP_SUPER_HEADERS = 256, // Ethernet to transport headers of a super-frame, at most
};

// Where a frame comes from or goes to: a kind in the top 4 bits, an index (or reason) below.
typedef uint32_t fp_dest;

enum fp_dest_kind {
    FP_DEST_NONE = 0, // undecided; an unused FDB value
    FP_DEST_PORT = 1, // index of a port
    FP_DEST_REMOTE = 2, // index of a remote
    FP_DEST_FLOOD = 3, // everywhere in the segment but where it came from
    FP_DEST_GROUP = 4, // index of a list of remotes (a group address with several destinations)
    FP_DEST_DROP = 5, // a reason (enum fp_drop), or one of the forwarder's own
    FP_DEST_DEFERRED = 6, // nothing to do: a copy waits (defer.h), or it was sent already
};

#define FP_DEST_INDEX_MASK UINT32_C(0x0fffffff)

static inline fp_dest fp_dest_make(enum fp_dest_kind kind, uint32_t index) {
    return ((uint32_t)kind << 28) | (index & FP_DEST_INDEX_MASK);
}

static inline uint32_t fp_dest_kind(fp_dest dest) {
    return dest >> 28;
}

static inline uint32_t fp_dest_index(fp_dest dest) {
    return dest & FP_DEST_INDEX_MASK;
}

struct fp_segment;

struct fp_frame {
    uint8_t *data; // the Ethernet header; FP_VXLAN_SIZE bytes in front of it are ours
    uint32_t length; // bytes from there, without the frame check sequence
    uint32_t segments; // how many frames it stands for: more than 1 in a super-frame
    uint32_t bytes; // the length of all those together
    fp_dest source; // set at entry
    fp_dest target; // set by the forwarder
    uint32_t vni; // of the packet it came in; 0 if it came from a port
    struct fp_segment *segment;

    // What the virtio-net header says (Virtio 1.2 section 5.1.6), in host byte order.
    uint16_t checksum_start; // the checksum covers everything from here,
    uint16_t checksum_offset; // and belongs this far behind checksum_start
    uint16_t gso_size; // payload bytes of each segment of a super-frame; 0: not one
    uint16_t
        headers; // of a super-frame: the bytes in front of the payload, repeated in each segment
    uint8_t gso_type; // VIRTIO_NET_HDR_GSO_*
    bool needs_checksum; // the checksum field holds the pseudo-header's sum only

    uint8_t outer_tos; // TOS or traffic class of the packet it came in
    uint64_t time_ns; // when it was captured, since the epoch; in a replay only
    struct fp_flow flow;
};

// The `size` bytes at `offset` of the frame, or NULL if the frame ends before them.
static inline uint8_t *fp_frame_at(const struct fp_frame *frame, uint32_t offset, uint32_t size) {
    if (offset > frame->length || size > frame->length - offset)
        return NULL;
    return frame->data + offset;
}

#endif
