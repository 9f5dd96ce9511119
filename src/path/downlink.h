// SPDX-License-Identifier: Apache-2.0
// Downlink: a worker's way to a port. A kernel that refuses a super-frame gets its segments.
#ifndef FP_DOWNLINK_H
#define FP_DOWNLINK_H

#include "tables/tables.h"

// Write the frame to the port. What the port doesn't take is counted, with its reason.
void fp_downlink_send(const struct fp_context *context, const struct fp_frame *frame,
                      struct fp_port *port);

#endif
