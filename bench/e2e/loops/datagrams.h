/* SPDX-License-Identifier: Apache-2.0
 *
 * Load of the benchmarks: datagrams as fast as a socket takes them, or at a rate, and their
 * counterpart; a request/response prober and its responder. No allocation, no Python. Sockets are
 * made by the caller and are blocking, with a receive timeout, so that every loop ends by itself.
 * All times are CLOCK_MONOTONIC, in ns: the processes at both ends count within the same window.
 */
#ifndef FPB_DATAGRAMS_H
#define FPB_DATAGRAMS_H

#include <stdint.h>

enum {
    FPB_BATCH = 32,      /* datagrams in one sendmmsg */
    FPB_MAX_SIZE = 1472, /* bytes of payload */
    FPB_MIN_SIZE = 8,    /* each datagram carries a sequence number */
    FPB_NO_NUMBER = 0xffffffff,
};

/* Traffic flows from `begin` to `end`; it is counted from `count` on. */
struct fpb_window {
    uint64_t begin;
    uint64_t count;
    uint64_t end;
};

struct fpb_tally {
    uint64_t datagrams; /* accepted by the socket, or received, within the window */
    uint64_t total;     /* the same, from begin to end */
    uint64_t retries; /* sends that the socket refused (ENOBUFS, EAGAIN) and that were repeated */
    uint64_t late; /* received with a lower sequence number than one before: reordered */
    uint64_t odd; /* received with another size: not counted as datagrams */
    uint64_t lost; /* requests without a response within the socket's timeout */
};

/* How datagrams are sent: `rate` a second (0: as fast as they are taken), `batch` at most in one
 * call. Between two of them the sender spins, or, with a `tick`, sleeps for so many ns, as programs
 * do that share their core with others; the next call then has more to send. */
struct fpb_pace {
    double rate;
    uint32_t batch;
    uint64_t tick;
};

uint64_t fpb_now(void);
void fpb_sleep_until(uint64_t when);

/* Return whether a send or receive that failed with this errno is simply repeated. */
int fpb_is_passing(int error);

/* Send datagrams of `size` bytes over `flows` connected sockets in turn. Returns 0 or an errno. */
int fpb_send(const int *sockets, uint32_t flows, uint32_t size, const struct fpb_pace *pace,
             const struct fpb_window *window, struct fpb_tally *tally);

/* Receive until window->end. Return 0 or an errno. `number_at` says where in a datagram its sequence
 * number stands; at FPB_NO_NUMBER there is none, and nothing counts as late. */
int fpb_receive(int socket, uint32_t size, uint32_t number_at, const struct fpb_window *window,
                struct fpb_tally *tally);

/* Send copies of one Ethernet frame through a packet socket, `rate` a second (0: as fast as they are
 * taken), until window->end or until `limit` frames are sent (0: no limit). The last three bytes of
 * the MAC address at `mac_at` go through all numbers below `entries`, a power of two, in an order in
 * which neighbours in time are far apart. Returns 0 or an errno. */
int fpb_frames(int socket, const uint8_t *frame, uint32_t size, uint32_t mac_at, uint32_t entries,
               uint64_t limit, double rate, const struct fpb_window *window,
               struct fpb_tally *tally);

/* Over UDP or TCP: send a request, wait for the response, again and again; the round-trip times in ns of those begun
 * within the window go to `rtt`, `room` at most. tally->datagrams of them are valid. */
int fpb_request(int socket, uint32_t size, const struct fpb_window *window, uint32_t *rtt,
                uint64_t room, struct fpb_tally *tally);

/* Return every datagram to its sender, or what a TCP socket receives, until window->end. */
int fpb_respond(int socket, const struct fpb_window *window, struct fpb_tally *tally);

#endif
