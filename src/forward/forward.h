// SPDX-License-Identifier: Apache-2.0
// How forwarders are asked: one, or several after each other until every frame is decided on.
#ifndef FP_FORWARD_H
#define FP_FORWARD_H

#include "tables/tables.h"

enum { FP_CHAIN = 16 };

// Forwarders that are asked in this order: each sees what those before it left undecided.
struct fp_chain {
    uint32_t count;
    const struct fp_forwarder *item[FP_CHAIN];
};

// Ask a forwarder for the target of every frame, and count the reasons of its own.
void fp_forward(const struct fp_forwarder *forwarder, const struct fp_context *context,
                struct fp_frame *frames, uint32_t count);

// The same only for those of the frames, of which there may be more than FP_BURST, whose target is
// undecided (FP_DEST_NONE).
void fp_forward_undecided(const struct fp_forwarder *forwarder, const struct fp_context *context,
                          struct fp_frame *frames, uint32_t count);

// As struct fp_forwarder wants it, `state` being a struct fp_chain.
void fp_chain_forward(const struct fp_forwarder *self, const struct fp_context *context,
                      struct fp_frame *frames, uint32_t count);

#endif
