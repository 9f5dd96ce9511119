// SPDX-License-Identifier: Apache-2.0
// Entry: whether a frame that was read from a port may go on.
#ifndef FP_ENTER_H
#define FP_ENTER_H

#include "packet/offload.h"
#include "packet/wire.h"
#include "tables/tables.h"

// FP_DROP_NONE, or why the list of its port refuses the frame. What it claimed is noted.
uint32_t fp_enter_check_allowed(const struct fp_context *context, const struct fp_frame *frame,
                                const struct fp_allowed *allowed);

// FP_DROP_NONE, or why not. The frame has its source and segment; afterwards it is measured.
static inline uint32_t fp_enter_check(const struct fp_context *context, struct fp_frame *frame,
                                      const struct fp_port *port) {
    if (frame->length < FP_ETHERNET_SIZE)
        return FP_DROP_runt;
    if (!fp_offload_measure(frame))
        return FP_DROP_bad_super_frame;
    if (fp_offload_is_tiny(frame))
        return FP_DROP_tiny_segments;
    const struct fp_allowed *allowed = atomic_load_explicit(&port->allowed, memory_order_acquire);
    if (allowed == NULL || fp_allowed_is_plain(allowed, frame))
        return FP_DROP_NONE;
    return fp_enter_check_allowed(context, frame, allowed);
}

#endif
