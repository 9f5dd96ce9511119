// SPDX-License-Identifier: Apache-2.0
// Call a forwarder, or a chain of them, until every frame has a target.
#ifndef FP_FORWARD_H
#define FP_FORWARD_H

#include "tables/tables.h"

enum { FP_CHAIN = 16 };

// Forwarders, called in this order: each gets the frames that those before it left undecided.
struct fp_chain {
    uint32_t count;
    const struct fp_forwarder *item[FP_CHAIN];
};

// Ask a forwarder for the target of every frame, and count the reasons of its own.
void fp_forward(const struct fp_forwarder *forwarder, const struct fp_context *context,
                struct fp_frame *frames, uint32_t count);

// The same, but only for frames whose target is undecided (FP_DEST_NONE). There may be more than FP_BURST.
void fp_forward_undecided(const struct fp_forwarder *forwarder, const struct fp_context *context,
                          struct fp_frame *frames, uint32_t count);

// The function of a struct fp_forwarder whose `state` is a struct fp_chain.
void fp_chain_forward(const struct fp_forwarder *self, const struct fp_context *context,
                      struct fp_frame *frames, uint32_t count);

#endif
