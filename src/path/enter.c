// SPDX-License-Identifier: Apache-2.0
#include "path/enter.h"

uint32_t fp_enter_check_allowed(const struct fp_context *context, const struct fp_frame *frame,
                                const struct fp_allowed *allowed) {
    struct fp_claim claim = {0};
    const uint32_t reason = fp_allowed_check(allowed, frame, &claim);
    if (reason != FP_DROP_NONE)
        fp_refused_note(&frame->segment->refused, claim.ip, context->now);
    return reason;
}
