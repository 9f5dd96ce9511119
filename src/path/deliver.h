// SPDX-License-Identifier: Apache-2.0
// Delivery: send frames where the forwarder decided.
#ifndef FP_DELIVER_H
#define FP_DELIVER_H

#include "tables/tables.h"

// Send a frame to its target by the context's uplink and the ports. The target may be any number.
// What cannot be delivered is counted, with its reason. The frame's checksum may be completed in place, and
// the FP_VXLAN_SIZE bytes in front of it written; its bytes must stay until fp_uplink_flush.
void fp_deliver(const struct fp_context *context, struct fp_frame *frame);

#endif
