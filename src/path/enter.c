// SPDX-License-Identifier: Apache-2.0
#include "path/enter.h"

#include "packet/offload.h"
#include "packet/wire.h"

static uint32_t check_allowed(const struct fp_context *context, const struct fp_frame *frame,
                              const struct fp_allowed *allowed) {
    struct fp_claim claim = {0};
    const uint32_t reason = fp_allowed_check(allowed, frame, &claim);
    if (reason != FP_DROP_NONE)
        fp_refused_note(&frame->segment->refused, claim.ip, context->now);
    return reason;
}

uint32_t fp_enter_check(const struct fp_context *context, struct fp_frame *frame,
                        const struct fp_port *port) {
    if (frame->length < FP_ETHERNET_SIZE)
        return FP_DROP_runt;
    if (!fp_offload_measure(frame))
        return FP_DROP_bad_super_frame;
    if (fp_offload_is_tiny(frame))
        return FP_DROP_tiny_segments;
    const struct fp_allowed *allowed = atomic_load_explicit(&port->allowed, memory_order_acquire);
    return allowed != NULL ? check_allowed(context, frame, allowed) : FP_DROP_NONE;
}
