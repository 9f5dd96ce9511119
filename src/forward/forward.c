// SPDX-License-Identifier: Apache-2.0
#include "forward/forward.h"

static void count_own(const struct fp_forwarder *forwarder, const struct fp_context *context,
                      const struct fp_frame *frames, uint32_t count) {
    const fp_dest first = fp_dest_make(FP_DEST_DROP, FP_DROP_OWN);
    for (uint32_t i = 0; i < count; i++)
        if (frames[i].target - first < FP_OWN)
            fp_count(&forwarder->own[context->worker][frames[i].target - first],
                     frames[i].segments);
}

void fp_forward(const struct fp_forwarder *forwarder, const struct fp_context *context,
                struct fp_frame *frames, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        frames[i].target = fp_dest_make(FP_DEST_NONE, 0);
    forwarder->forward(forwarder, context, frames, count);
    if (forwarder->reasons)
        count_own(forwarder, context, frames, count);
}

// A burst at most: the undecided ones are brought together, unless that is all of them.
static void forward_some(const struct fp_forwarder *forwarder, const struct fp_context *context,
                         struct fp_frame *frames, uint32_t count) {
    struct fp_frame undecided[FP_BURST];
    uint32_t place[FP_BURST], found = 0;
    for (uint32_t i = 0; i < count; i++)
        if (fp_dest_kind(frames[i].target) == FP_DEST_NONE)
            place[found++] = i;
    if (found == count) {
        fp_forward(forwarder, context, frames, count);
        return;
    }
    for (uint32_t i = 0; i < found; i++)
        undecided[i] = frames[place[i]];
    fp_forward(forwarder, context, undecided, found);
    for (uint32_t i = 0; i < found; i++)
        frames[place[i]] = undecided[i];
}

void fp_forward_undecided(const struct fp_forwarder *forwarder, const struct fp_context *context,
                          struct fp_frame *frames, uint32_t count) {
    for (uint32_t first = 0; first < count; first += FP_BURST)
        forward_some(forwarder, context, frames + first,
                     count - first < FP_BURST ? count - first : FP_BURST);
}

void fp_chain_forward(const struct fp_forwarder *self, const struct fp_context *context,
                      struct fp_frame *frames, uint32_t count) {
    const struct fp_chain *chain = self->state;
    for (uint32_t i = 0; i < chain->count; i++)
        fp_forward_undecided(chain->item[i], context, frames, count);
}
