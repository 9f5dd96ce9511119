// SPDX-License-Identifier: Apache-2.0
// Changes to a frame that leave all checksums right (RFC 1624), also the unfinished one of a frame whose
// checksum the kernel left open, and the headers of a super-frame, which each of its segments gets.
//
// The frame's descriptor is kept right. Functions return false, and change nothing, if the frame has no such field.
#ifndef FP_REWRITE_H
#define FP_REWRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "packet/frame.h"

enum fp_side { FP_SIDE_SOURCE, FP_SIDE_DESTINATION };

// Where a frame's bytes may lie, which is where it may grow to.
struct fp_room {
    uint8_t *first, *end;
};

void fp_rewrite_mac(struct fp_frame *frame, enum fp_side side, uint64_t mac);

// `address` has 4 or 16 bytes, as `version` says, which has to be the frame's. The checksums of TCP, UDP and
// ICMPv6 cover addresses. Fragments of IPv6 are refused, since their checksum may be in another fragment.
bool fp_rewrite_ip(struct fp_frame *frame, enum fp_side side, uint8_t version,
                   const uint8_t *address);

// The port of TCP or UDP. Fragments are refused.
bool fp_rewrite_port(struct fp_frame *frame, enum fp_side side, uint16_t port);

// Decrement TTL or hop limit. Return false also if it would become 0.
bool fp_rewrite_ttl(struct fp_frame *frame);

// Add an IEEE 802.1Q tag, or remove the outer one. A frame has at most two.
bool fp_rewrite_push_vlan(struct fp_frame *frame, uint16_t vlan, const struct fp_room *room);
bool fp_rewrite_pop_vlan(struct fp_frame *frame);

// Replace the frame by another one of `length` bytes.
bool fp_rewrite_replace(struct fp_frame *frame, const uint8_t *data, uint32_t length,
                        const struct fp_room *room);

// Update the descriptor after any change to the frame's bytes. Return false for a super-frame whose headers are
// not those of a super-frame any more: it must be discarded, and counts as the frames that it was.
bool fp_rewrite_settle(struct fp_frame *frame);

#endif
