// SPDX-License-Identifier: Apache-2.0
// Frames that do not fit the path to their remote: their senders are told, as a router would do.
#ifndef FP_TOO_BIG_H
#define FP_TOO_BIG_H

#include <stdbool.h>
#include <stdint.h>

#include "tables/tables.h"

// `frame` becomes packets of which the longest has `length` bytes of inner frame, and that is too long for the path
// to `remote`. If it came from a port, tell its sender by that port, FP_TOLD_EACH_S times a second at most. Return
// whether the sender was told, or was often enough; false: nobody can be told (see icmp.h).
bool fp_too_big_tell(const struct fp_context *context, const struct fp_frame *frame,
                     const struct fp_remote *remote, uint32_t length);

#endif
