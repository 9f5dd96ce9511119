// SPDX-License-Identifier: Apache-2.0
// Packets in and out of UDP sockets, many with one system call.
#ifndef FP_UDP_H
#define FP_UDP_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "encap.h"
#include "frame.h"
#include "tables.h"

// Control data of one message: a TOS or traffic class.
union fp_udp_control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

// A worker's receiving side. All members belong to fp_udp_receive.
struct fp_udp_in {
    struct mmsghdr message[FP_BURST];
    struct iovec part[FP_BURST];
    struct sockaddr_storage from[FP_BURST];
    union fp_udp_control control[FP_BURST];
};

// One of a worker's sending sockets, with the packets that wait for the next flush. The packets'
// bytes stay in the frames' buffers until then.
struct fp_udp_out {
    int fd;
    int family;
    uint32_t count;
    struct mmsghdr message[FP_BURST];
    struct iovec part[FP_BURST];
    union fp_udp_control control[FP_BURST];
    const struct fp_frame *frame[FP_BURST];
    struct fp_remote *remote[FP_BURST];
};

// Receive up to FP_BURST packets: sets data, length and outer_tos of `frames`, and in->from. Each
// frame's `data` says where the inner frame should come to lie; on return it points to the VXLAN
// header in front of that. Returns how many, or -errno (never -EAGAIN).
int fp_udp_receive(int fd, struct fp_udp_in *in, struct fp_frame *frames);

// Queue a packet for a remote; flushes first where the queue is full.
void fp_udp_queue(const struct fp_context *context, struct fp_udp_out *out,
                  const struct fp_packet *packet, const struct fp_frame *frame,
                  struct fp_remote *remote);

// Send what waits. What the kernel doesn't take is counted, with its reason.
void fp_udp_flush(const struct fp_context *context, struct fp_udp_out *out);

#endif
