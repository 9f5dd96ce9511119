// SPDX-License-Identifier: Apache-2.0
// Captures: copies of frames and packets for inspection.
//
// A capture is a selection and a ring for each that counts (tables.h), a worker in short: it copies what is
// selected into its ring, and the reader takes it out. A worker never waits for a reader; a frame that
// finds no room is counted as missed. Without captures all of this costs the load of a pointer and a
// branch.
//
// Owner: control makes captures, publishes the list of them, withdraws it and, after fp_synchronize, frees.
// A capture's rings are read by one thread at a time.
#ifndef FP_CAPTURE_H
#define FP_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "packet/encap.h"
#include "tables/remote.h"
#include "tables/ring.h"
#include "tables/tables.h"

enum {
    FP_CAPTURES = 4, // at once
    FP_CAPTURE_TERMS = 64, // ports, and remotes, that one names
    FP_CAPTURE_ROOM = 1 << 18, // bytes of a ring, at least: some frames of any size
};

#define FP_CAPTURE_ALL_VNIS UINT32_MAX

enum fp_direction { FP_IN = 1, FP_OUT = 2 }; // seen from the engine; a bit set in a selection

// bpf_filter of libpcap: not 0 if the program accepts the packet of `length` bytes, whose first `present` bytes are at
// `packet`. It reads no others.
typedef unsigned int fp_filter(const void *program, const uint8_t *packet, unsigned int length,
                               unsigned int present);

// What to capture. A frame is taken if one of the terms says so, and segment, direction and filter agree.
struct fp_selection {
    bool outer; // packets as they are on the underlay, not frames
    bool passing; // a term: all that passes any port or remote
    uint8_t directions;
    uint32_t vni; // or FP_CAPTURE_ALL_VNIS
    uint64_t drops; // a bit for each reason: terms
    uint32_t ports, remotes; // how many of those are named: terms
    uint64_t port[FP_CAPTURE_TERMS]; // serials: a later port may get the index of a removed one
    uint8_t remote[FP_CAPTURE_TERMS][16]; // IP addresses, as fp_address has them
    uint32_t snap; // bytes that are kept of a frame, at most
    struct fp_address local; // this VTEP's, for outer headers
    fp_filter *filter; // NULL: none
    const void *program; // for it; stays control's
};

// An entry of a ring; `length` bytes of the frame follow.
struct fp_captured {
    uint64_t time; // nanoseconds since the epoch
    uint32_t length;
    uint32_t original; // the frame's own length
    uint32_t vni; // FP_CAPTURE_ALL_VNIS where there is none
    uint64_t port; // its serial; 0: no port, or one that was removed at that moment
    fp_dest where; // a port with its index, or a remote, or nothing that is known
    struct fp_address remote; // of that kind
    uint8_t direction;
    uint8_t reason; // why it was dropped there, or FP_DROP_NONE
};

struct fp_capture;

// What is published: an immutable list.
struct fp_captures {
    uint32_t count;
    struct fp_capture *item[FP_CAPTURES];
};

// `counters` is that of the tables; `room` bytes for each ring, a power of two of at least FP_CAPTURE_ROOM.
// Return NULL if there is no memory.
struct fp_capture *fp_capture_new(const struct fp_selection *selection, uint32_t counters,
                                  uint32_t room);
void fp_capture_free(struct fp_capture *capture);

// Publish a list. Return the list that it replaces (NULL: none), to be freed after fp_synchronize.
const struct fp_captures *fp_captures_publish(struct fp_tables *tables,
                                              const struct fp_captures *captures);

// Return a worker's ring, which holds struct fp_captured.
struct fp_ring *fp_capture_ring(const struct fp_capture *capture, uint32_t worker);

// Return the number of frames that were selected and found no room.
uint64_t fp_capture_missed(const struct fp_capture *capture);

// What workers call.

static inline bool fp_capturing(const struct fp_tables *tables) {
    return __builtin_expect(atomic_load_explicit(&tables->captures, memory_order_acquire) != NULL,
                            0);
}

void fp_capture_frame_now(const struct fp_context *context, const struct fp_frame *frame,
                          fp_dest where, const struct fp_address *remote,
                          enum fp_direction direction, uint32_t reason);
void fp_capture_packet_now(const struct fp_context *context, const struct fp_address *remote,
                           uint16_t own_port, const struct fp_packet *packet,
                           enum fp_direction direction, uint32_t reason);

// A frame comes in from its source, or (with a reason) is dropped there.
static inline void fp_capture_in(const struct fp_context *context, const struct fp_frame *frame,
                                 uint32_t reason) {
    if (fp_capturing(context->tables))
        fp_capture_frame_now(context, frame, frame->source, NULL, FP_IN, reason);
}

// A frame goes out to a port, or (with a reason) doesn't.
static inline void fp_capture_to_port(const struct fp_context *context,
                                      const struct fp_frame *frame, const struct fp_port *port,
                                      uint32_t reason) {
    if (fp_capturing(context->tables))
        fp_capture_frame_now(context, frame, fp_dest_make(FP_DEST_PORT, port->index), NULL, FP_OUT,
                             reason);
}

// A frame, which may still be a super-frame, goes out to a remote, or (with a reason) doesn't.
static inline void fp_capture_to_remote(const struct fp_context *context,
                                        const struct fp_frame *frame,
                                        const struct fp_remote *remote, uint32_t reason) {
    if (fp_capturing(context->tables))
        fp_capture_frame_now(context, frame, fp_dest_make(FP_DEST_REMOTE, 0), &remote->address,
                             FP_OUT, reason);
}

// A message came `from` the underlay, packets of `unit` bytes each but for the last one; they are as they
// came. With a reason: they are dropped.
void fp_capture_arrival(const struct fp_context *context, const struct fp_address *from,
                        const uint8_t *data, uint32_t length, uint32_t unit, uint8_t tos,
                        uint32_t reason);

#endif
