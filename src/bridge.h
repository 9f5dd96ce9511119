// SPDX-License-Identifier: Apache-2.0
// The learning bridge: the forwarder that a segment has unless it is given another one.
//
// It learns where source addresses are and sends each frame to its destination's port or remote, or
// floods; questions after neighbours that control told us of are answered (respond.h). Split horizon: what came from a remote never goes to a remote, since every VTEP of a segment
// reaches every other one directly.
#ifndef FP_BRIDGE_H
#define FP_BRIDGE_H

#include <stdint.h>

#include "tables.h"

// As struct fp_forwarder wants it; `self->state` is not used.
void fp_bridge_forward(const struct fp_forwarder *self, const struct fp_context *context,
                       struct fp_frame *frames, uint32_t count);

#endif
