// SPDX-License-Identifier: Apache-2.0
// The learning bridge: the forwarder that a segment has unless it is given another one.
//
// It learns where source addresses are and sends each frame to its destination's port or remote, or
// floods; questions after neighbours that control told us of are answered (respond.h). Split horizon:
// what came from a remote never goes to a remote, since every VTEP of a segment reaches every other one
// directly.
//
// Its steps are there for other forwarders too (fastpath/forwarder/native.pxd). Each takes a burst, FP_BURST frames
// at most, of which it leaves those alone that are decided on.
#ifndef FP_BRIDGE_H
#define FP_BRIDGE_H

#include <stdint.h>

#include "tables/tables.h"

// As struct fp_forwarder wants it; `self->state` is not used.
void fp_bridge_forward(const struct fp_forwarder *self, const struct fp_context *context,
                       struct fp_frame *frames, uint32_t count);

// Learn where the frames' source addresses are, if the segment learns. Frames that must not be passed on
// are dropped: bad_source_mac, own_source, static_source.
void fp_bridge_learn(const struct fp_context *context, struct fp_frame *frames, uint32_t count);

// found[i]: where the destination of frame i is, a port, remote or group; of kind FP_DEST_NONE where
// nobody knows. This one looks up all of them.
void fp_bridge_lookup(const struct fp_context *context, const struct fp_frame *frames,
                      uint32_t count, fp_dest *found);

// Both, and answer questions after neighbours: a frame that is answered becomes the answer. One function,
// since the frames' bytes are far from each other in memory, and better touched only once.
void fp_bridge_learn_and_lookup(const struct fp_context *context, struct fp_frame *frames,
                                uint32_t count, fp_dest *found);

#endif
