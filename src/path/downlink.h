// SPDX-License-Identifier: Apache-2.0
// Downlink: a worker's way to a port. If the kernel refuses a super-frame, its segments are written instead.
#ifndef FP_DOWNLINK_H
#define FP_DOWNLINK_H

#include "tables/tables.h"

// Write the frame to the port. What the port does not take is dropped and counted.
void fp_downlink_send(const struct fp_context *context, const struct fp_frame *frame,
                      struct fp_port *port);

#endif
