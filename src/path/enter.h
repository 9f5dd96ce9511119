// SPDX-License-Identifier: Apache-2.0
// Entry: whether a frame that was read from a port may go on.
#ifndef FP_ENTER_H
#define FP_ENTER_H

#include "tables/tables.h"

// FP_DROP_NONE, or why not. The frame has its source and segment; afterwards it is measured.
uint32_t fp_enter_check(const struct fp_context *context, struct fp_frame *frame,
                        const struct fp_port *port);

#endif
