// SPDX-License-Identifier: Apache-2.0
// Decapsulation: VXLAN packet -> inner frame (RFC 7348 section 5, RFC 6040).
#ifndef FP_DECAP_H
#define FP_DECAP_H

#include <stdbool.h>
#include <stdint.h>

#include "count.h"
#include "frame.h"
#include "tables.h"

// In: `frame->data` and `length` are a UDP payload of any content, `outer_tos` its TOS or traffic
// class. Out, with FP_DROP_NONE: the inner frame, its VNI, segment and flow, its congestion mark
// corrected, an unfinished checksum noted. Otherwise the reason to discard it (vni and segment are
// set where they are known). `strict`: set reserved bits are a reason, not only an event.
enum fp_drop fp_decap(const struct fp_context *context, struct fp_frame *frame, bool strict);

#endif
