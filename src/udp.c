// SPDX-License-Identifier: Apache-2.0
#include "udp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "wire.h"

enum { WAIT_MS = 1 }; // how long a full socket may hold up its worker before packets are dropped

static uint8_t received_tos(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            return *CMSG_DATA(c);
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            int class;
            memcpy(&class, CMSG_DATA(c), sizeof class);
            return (uint8_t)class;
        }
    }
    return 0;
}

int fp_udp_receive(int fd, struct fp_udp_in *in, struct fp_frame *frames) {
    for (uint32_t i = 0; i < FP_BURST; i++) {
        in->part[i].iov_base = frames[i].data - FP_VXLAN_SIZE;
        in->part[i].iov_len = FP_VXLAN_SIZE + FP_FRAME_SIZE;
        struct msghdr *message = &in->message[i].msg_hdr;
        message->msg_name = &in->from[i];
        message->msg_namelen = sizeof in->from[i];
        message->msg_iov = &in->part[i];
        message->msg_iovlen = 1;
        message->msg_control = &in->control[i];
        message->msg_controllen = sizeof in->control[i];
    }
    const int count = recvmmsg(fd, in->message, FP_BURST, MSG_DONTWAIT, NULL);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        frames[i].data -= FP_VXLAN_SIZE;
        frames[i].length = in->message[i].msg_len;
        frames[i].outer_tos = received_tos(&in->message[i].msg_hdr);
    }
    return count;
}

static void set_tos(struct fp_udp_out *out, uint32_t i, uint8_t tos) {
    struct msghdr *message = &out->message[i].msg_hdr;
    message->msg_control = NULL;
    message->msg_controllen = 0;
    if (tos == 0)
        return;
    const int value = tos;
    message->msg_control = &out->control[i];
    message->msg_controllen = sizeof out->control[i];
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    c->cmsg_level = out->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = out->family == AF_INET ? IP_TOS : IPV6_TCLASS;
    c->cmsg_len = CMSG_LEN(sizeof value);
    memcpy(CMSG_DATA(c), &value, sizeof value);
}

void fp_udp_queue(const struct fp_context *context, struct fp_udp_out *out,
                  const struct fp_packet *packet, const struct fp_frame *frame,
                  struct fp_remote *remote) {
    if (out->count == FP_BURST)
        fp_udp_flush(context, out);
    const uint32_t i = out->count++;
    out->frame[i] = frame;
    out->remote[i] = remote;
    out->part[i].iov_base = (void *)packet->data;
    out->part[i].iov_len = packet->length;
    struct msghdr *message = &out->message[i].msg_hdr;
    message->msg_name = &remote->to;
    message->msg_namelen = remote->to_size;
    message->msg_iov = &out->part[i];
    message->msg_iovlen = 1;
    set_tos(out, i, packet->tos);
}

static enum fp_drop reason_of(int error) {
    switch (error) {
    case EMSGSIZE:
        return FP_DROP_too_big;
    case EAGAIN:
    case ENOBUFS:
        return FP_DROP_underlay_full;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL:
        return FP_DROP_underlay_unreachable;
    default:
        return FP_DROP_underlay_error;
    }
}

void fp_udp_flush(const struct fp_context *context, struct fp_udp_out *out) {
    uint32_t done = 0;
    bool waited = false;
    while (done < out->count) {
        const int sent = sendmmsg(out->fd, out->message + done, out->count - done, MSG_DONTWAIT);
        if (sent > 0) {
            for (uint32_t i = done; i < done + (uint32_t)sent; i++)
                fp_count_out(context, out->frame[i], &out->remote[i]->traffic[context->worker]);
            done += (uint32_t)sent;
            continue;
        }
        const int error = errno;
        if (error == EINTR)
            continue;
        if (error == EAGAIN && !waited) { // hold the sender back for a moment rather than drop
            struct pollfd ready = {.fd = out->fd, .events = POLLOUT};
            waited = true;
            if (poll(&ready, 1, WAIT_MS) > 0)
                continue;
        }
        fp_drop_out(context, out->frame[done], reason_of(error),
                    &out->remote[done]->traffic[context->worker]);
        done++;
    }
    out->count = 0;
}
