// SPDX-License-Identifier: Apache-2.0
// Decapsulation: VXLAN packet -> inner frame (RFC 7348 section 5, RFC 6040).
#ifndef FP_DECAP_H
#define FP_DECAP_H

#include <stdbool.h>
#include <stdint.h>

#include "counters/tally.h"
#include "packet/frame.h"
#include "tables/tables.h"

// Return the size of the packets in `length` bytes which the kernel received as a train of packets of `size`
// bytes (UDP_GRO; 0: not a train). The kernel also says so of a single packet that holds a super-frame with
// that segment size, as its vxlan sends over a veth: the inner packet is exactly as long, and the result is
// `length`. If it could be either, the data is forged: a frame lies about its length, to read those behind
// it, or a payload imitates VXLAN headers. Then the result is 0: discard.
// Super-frames are looked for from `kernel_peers` only: without them `size` is the size of every packet, and
// what one says of itself costs that one alone.
uint32_t fp_train_unit(const struct fp_tables *tables, const uint8_t *data, uint32_t length,
                       uint32_t size, bool kernel_peers);

// Check a packet and strip its headers.
//
// In: `frame->data` and `length` are a UDP payload of any content. `outer_tos` is the packet's TOS or
// traffic class. `gso_size` is the segment size of a super-frame, else 0.
// Out, with FP_DROP_NONE: the inner frame with its VNI, segment and flow. Its congestion mark is
// corrected, an unfinished checksum is noted, and it is measured (fp_offload_measure).
// Out, otherwise: the reason to discard it; VNI and segment are set if they are known.
// `strict`: a set reserved bit is a reason to discard, not only an event.
enum fp_drop fp_decap(const struct fp_context *context, struct fp_frame *frame, bool strict);

#endif
