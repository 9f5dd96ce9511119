// SPDX-License-Identifier: Apache-2.0
// Routers: a segment may have hosts only. Then its remotes send no router advertisements and no redirects
// (RFC 4861 sections 4.2 and 4.5; RFC 6105), nor what hides whether it is one (RFC 7113). Ports have a check of
// their own (allowed.h).
#ifndef FP_ROUTERS_H
#define FP_ROUTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "tables/tables.h"

// FP_DROP_NONE, or why not. The frame is IPv6.
uint32_t fp_routers_check6(const struct fp_frame *frame);

// FP_DROP_NONE, or why the frame's segment refuses what a remote sent.
static inline uint32_t fp_routers_check(const struct fp_frame *frame) {
    if (frame->flow.version != 6 ||
        !atomic_load_explicit(&frame->segment->hosts_only, memory_order_relaxed))
        return FP_DROP_NONE;
    return fp_routers_check6(frame);
}

#endif
