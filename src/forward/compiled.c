// SPDX-License-Identifier: Apache-2.0
#include "forward/compiled.h"

// The function may write any number; one that only the engine uses would lose the frame without a trace.
static fp_dest checked(fp_dest out) {
    return fp_dest_kind(out) == FP_DEST_DEFERRED ? fp_dest_make(FP_DEST_DROP, FP_DROP_bad_target)
                                                 : out;
}

void fp_compiled_forward(const struct fp_forwarder *self, const struct fp_context *context,
                         struct fp_frame *frames, uint32_t count) {
    const struct fp_compiled *compiled = self->state;
    struct fp_record record[FP_BURST];
    uint64_t counts[FP_OWN];
    for (uint32_t i = 0; i < count; i++)
        fp_record_fill(&record[i], &frames[i], frames[i].segment->vni);
    for (uint32_t i = 0; i < compiled->counters; i++)
        counts[i] = 0;
    const int failed =
        compiled->function(record, count, counts, context->now, context->worker, compiled->arrays);
    for (uint32_t i = 0; i < count; i++)
        frames[i].target =
            failed ? fp_dest_make(FP_DEST_DROP, FP_DROP_forwarder_failed) : checked(record[i].out);
    for (uint32_t i = 0; i < compiled->counters; i++)
        fp_count(&self->own[context->worker][compiled->first + i], counts[i]);
}
