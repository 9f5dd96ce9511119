// SPDX-License-Identifier: Apache-2.0
// Which remote a message from the underlay came from, and whether it is admitted.
//
// Where a VTEP sends from says nothing about where it listens, so only the IP address counts. Messages
// of one remote come in rows: the last one's source is remembered for the turn.
#ifndef FP_SOURCE_H
#define FP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "tables/tables.h"

struct fp_source {
    bool known_only; // refuse what comes from anybody but the admitted remotes
    uint16_t udp_port; // the port of remotes that are learned, not configured
    struct fp_address from; // of the last message, with the port that it was sent from
    bool valid; // the rest is of this turn
    struct fp_address address; // of the last message, with the port where that remote listens
    uint32_t remote; // its index, or FP_REMOTE_NONE
};

// A turn begins: what is remembered may have changed.
static inline void fp_source_forget(struct fp_source *source) {
    source->valid = false;
}

// Look at where a message came from. False: it must be refused.
bool fp_source_look(const struct fp_context *context, struct fp_source *source,
                    const struct sockaddr_storage *from);

// Give a frame of that message its source; a remote that is not known yet is added, where the frame's
// segment learns.
void fp_source_mark(const struct fp_context *context, struct fp_source *source,
                    struct fp_frame *frame);

#endif
