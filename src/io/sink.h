// SPDX-License-Identifier: Apache-2.0
// A sink takes what leaves the engine, in the place of TAPs and sockets: for replays, which send nothing.
#ifndef FP_SINK_H
#define FP_SINK_H

#include "packet/encap.h"
#include "packet/frame.h"
#include "tables/remote.h"
#include "tables/tables.h"

// Both functions are required. They may use the bytes only until they return. What they get counts as sent.
struct fp_sink {
    // A frame, or a super-frame, that leaves by a port.
    void (*frame)(const struct fp_sink *self, const struct fp_frame *frame,
                  const struct fp_port *port);
    // A packet (the UDP payload) that leaves for a remote, made of the frame or of a segment of it.
    void (*packet)(const struct fp_sink *self, const struct fp_frame *frame,
                   const struct fp_packet *packet, const struct fp_remote *remote);
};

#endif
