// SPDX-License-Identifier: Apache-2.0
// Uplink: a worker's way to the remotes. Frames are encapsulated, super-frames split first, and queued on
// the sending socket of their flow. Of what does not fit the path, the sender is
// told (too_big.h).
#ifndef FP_UPLINK_H
#define FP_UPLINK_H

#include <stdint.h>

#include "io/udp.h"

enum { FP_UPLINK_MEMORY = 512 << 10 };

struct fp_uplink {
    struct fp_udp_out *outlet; // the worker's sending sockets
    uint32_t outlets;
    // A socket whose packets the kernel may fragment, for what does not fit the path where nobody can be told; NULL:
    // such packets are dropped.
    struct fp_udp_out *fragments;
    uint8_t *memory; // FP_UPLINK_MEMORY bytes, for what a split writes
    uint32_t used;
};

// Queue the frame for a remote. What cannot be sent is dropped and counted.
void fp_uplink_send(const struct fp_context *context, struct fp_uplink *uplink,
                    struct fp_frame *frame, struct fp_remote *remote);

// Send all that is queued; the frames' bytes may change after that.
void fp_uplink_flush(const struct fp_context *context, struct fp_uplink *uplink);

#endif
