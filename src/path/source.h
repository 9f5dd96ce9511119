// SPDX-License-Identifier: Apache-2.0
// Which remote a message from the underlay came from, and what it is admitted to.
//
// Where a VTEP sends from says nothing about where it listens, so only the IP address counts. Messages
// of one remote come in rows, most of them for one segment: what was found for the last one is remembered,
// for the turn, and where only admitted remotes may send, until control changes who is admitted.
#ifndef FP_SOURCE_H
#define FP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "tables/tables.h"

struct fp_source {
    bool known_only; // refuse what comes from anybody but the admitted remotes
    uint16_t udp_port; // the port of remotes that are learned, not configured
    struct fp_address from; // of the last message, with the port that it was sent from
    bool valid; // the rest still holds
    bool member; // whether that remote is one of `segment`
    uint32_t admissions; // as the tables counted them
    struct fp_address address; // of the last message, with the port where that remote listens
    uint32_t remote; // its index, or FP_REMOTE_NONE
    const struct fp_segment *segment; // the last one that was asked about; NULL: none
};

// A turn begins: forget what may have changed.
static inline void fp_source_begin(struct fp_source *source, const struct fp_tables *tables) {
    const uint32_t now = atomic_load_explicit(&tables->admissions, memory_order_acquire);
    source->valid &= source->known_only && source->admissions == now;
    source->admissions = now;
}

// Look at where a message came from. False: it must be refused.
bool fp_source_look(const struct fp_context *context, struct fp_source *source,
                    const struct sockaddr_storage *from);

// Give a frame of that message its source; a remote that is not known yet is added, where the frame's
// segment learns. False: the remote is no member of the segment, and the frame must be dropped.
bool fp_source_mark(const struct fp_context *context, struct fp_source *source,
                    struct fp_frame *frame);

#endif
