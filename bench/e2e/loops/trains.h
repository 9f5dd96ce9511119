/* SPDX-License-Identifier: Apache-2.0
 *
 * Load of the benchmarks: a stream of UDP datagrams as QUIC sends it. They leave in trains, which the
 * kernel cuts (UDP_SEGMENT), and arrive in trains where it puts them together (UDP_GRO). The receiver
 * acknowledges, and the sender has a fixed number of them under way: no congestion control, but never
 * a flood either. Both options are set by the caller. See datagrams.h for windows and tallies.
 */
#ifndef FPB_TRAINS_H
#define FPB_TRAINS_H

#include "datagrams.h"

enum {
    FPB_TRAIN_BYTES = 65507, /* the largest payload over IPv4 */
    FPB_ACK_EVERY =
        10,      /* datagrams; an acknowledgement has the number that comes next, in 8 bytes */
};

/* Send trains of `train` datagrams of `size` bytes over a connected socket, `limit` datagrams at most
 * being unacknowledged. Those that are not acknowledged within the socket's receive timeout are
 * counted as `lost` in the tally, and the stream goes on. Returns 0 or an errno. */
int fpb_stream(int socket, uint32_t size, uint32_t train, uint32_t limit,
               const struct fpb_window *window, struct fpb_tally *tally);

/* Receive datagrams of `size` bytes, alone or in trains, and acknowledge them, until window->end. */
int fpb_absorb(int socket, uint32_t size, const struct fpb_window *window, struct fpb_tally *tally);

#endif
