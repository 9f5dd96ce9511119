// SPDX-License-Identifier: Apache-2.0
// Split: super-frame -> frames of wire size, as net/ipv4/tcp_offload.c and udp_offload.c do it (GSO).
#ifndef FP_SPLIT_H
#define FP_SPLIT_H

#include <stdint.h>

#include "packet/frame.h"

// A super-frame being split. All members belong to the two functions below.
struct fp_split {
    const struct fp_frame *frame; // not changed; its checksums need not be finished
    uint32_t done; // payload bytes
    uint32_t index; // of the next segment
    uint64_t ip_sum; // of the IPv4 header, less the words that differ between segments
    uint64_t sum; // of the pseudo-header and the transport header, likewise
};

// Begin with a frame that fp_offload_measure accepted and that has a gso_size.
void fp_split_begin(struct fp_split *split, const struct fp_frame *frame);

// Write the next segment, a whole frame with finished checksums, to `to`, which does not overlap the
// super-frame and has room for `headers` + `gso_size` bytes. Returns its length, 0 after the last one.
uint32_t fp_split_next(struct fp_split *split, uint8_t *to);

#endif
