// SPDX-License-Identifier: Apache-2.0
// Packets in and out of UDP sockets, many with one system call: several messages at once (sendmmsg,
// recvmmsg), and several packets in one message, a train (UDP_SEGMENT, UDP_GRO; udp(7)).
#ifndef FP_UDP_H
#define FP_UDP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "packet/encap.h"
#include "packet/frame.h"
#include "tables/tables.h"

enum {
    FP_TRAIN_PACKETS = 63, // kernels before 6.9 take 64
    FP_TRAINS = 64, // messages that wait for one flush
    FP_PARTS = 512, // pieces of memory in them
};

// Control data of one message: a TOS or traffic class, and the packet size of a train.
union fp_udp_control {
    struct cmsghdr align;
    uint8_t bytes[2 * CMSG_SPACE(sizeof(int))];
};

// One received message: `length` bytes at `data`, packets of `size` bytes each but for the last one, or
// a single packet (`size` 0). See fp_train_unit.
struct fp_arrival {
    uint8_t *data;
    uint32_t length;
    uint32_t size;
    uint8_t tos;
};

// A worker's receiving side. All members belong to fp_udp_receive.
struct fp_udp_in {
    struct mmsghdr message[FP_BURST];
    struct iovec part[FP_BURST];
    struct sockaddr_storage from[FP_BURST];
    union fp_udp_control control[FP_BURST];
    struct fp_arrival arrival[FP_BURST];
};

// Packets of equal size, but for a shorter last one, for one remote.
struct fp_train {
    struct fp_remote *remote;
    struct fp_segment *segment;
    uint32_t size; // of the first packet
    uint32_t bytes; // of all
    uint32_t packets;
    uint32_t first_part, parts;
    uint8_t tos;
    bool complete; // takes no more
};

// One of a worker's sending sockets, with the trains that wait for the next flush. The packets' bytes
// stay where they are until then.
struct fp_udp_out {
    int fd;
    int family;
    uint16_t udp_port; // its own
    bool gso; // may use UDP_SEGMENT
    uint32_t trains;
    uint32_t parts;
    struct fp_train train[FP_TRAINS];
    struct mmsghdr message[FP_TRAINS];
    struct iovec part[FP_PARTS];
    union fp_udp_control control[FP_TRAINS];
};

// Receive up to `room` (at most FP_BURST) messages into buffers `stride` bytes apart, each with
// FP_HEADROOM and FP_FRAME_SIZE bytes. Inner frames come to lie FP_HEADROOM behind a buffer's start.
// Returns how many, or -errno (never -EAGAIN); in->arrival and in->from describe them.
int fp_udp_receive(int fd, struct fp_udp_in *in, uint8_t *buffers, size_t stride, uint32_t room);

// Queue a packet for a remote; flushes first where there is no room.
void fp_udp_queue(const struct fp_context *context, struct fp_udp_out *out,
                  const struct fp_packet *packet, struct fp_segment *segment,
                  struct fp_remote *remote);

// Send what waits. What the kernel doesn't take is counted, with its reason.
void fp_udp_flush(const struct fp_context *context, struct fp_udp_out *out);

#endif
