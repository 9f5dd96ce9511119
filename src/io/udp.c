// SPDX-License-Identifier: Apache-2.0
#include "io/udp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "io/route.h"
#include "monitor/capture.h"
#include "monitor/count.h"
#include "packet/wire.h"

enum {
    WAIT_MS = 1, // how long a full socket may hold up its worker before packets are dropped
    // How long a remote gets no trains after the kernel refused one. The route may have changed meanwhile: a
    // refusal costs no packet, only the calls that send its packets one by one.
    NO_TRAINS_S = 300,
};

#ifndef UDP_SEGMENT
enum { UDP_SEGMENT = 103, UDP_GRO = 104 }; // <linux/udp.h>
#endif

static int control_int(const struct cmsghdr *c) {
    int value;
    memcpy(&value, CMSG_DATA(c), sizeof value);
    return value;
}

static void read_control(struct msghdr *message, struct fp_arrival *arrival) {
    arrival->tos = 0;
    arrival->size = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            arrival->tos = *CMSG_DATA(c);
        else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
            arrival->tos = (uint8_t)control_int(c);
        else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
            arrival->size = (uint32_t)control_int(c);
    }
}

int fp_udp_receive(int fd, struct fp_udp_in *in, uint8_t *buffers, size_t stride, uint32_t room) {
    for (uint32_t i = 0; i < room; i++) {
        in->part[i].iov_base = buffers + i * stride + FP_HEADROOM - FP_VXLAN_SIZE;
        in->part[i].iov_len = FP_VXLAN_SIZE + FP_FRAME_SIZE;
        struct msghdr *message = &in->message[i].msg_hdr;
        message->msg_name = &in->from[i];
        message->msg_namelen = sizeof in->from[i];
        message->msg_iov = &in->part[i];
        message->msg_iovlen = 1;
        message->msg_control = &in->control[i];
        message->msg_controllen = sizeof in->control[i];
    }
    const int count = recvmmsg(fd, in->message, room, MSG_DONTWAIT, NULL);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        in->arrival[i].data = in->part[i].iov_base;
        in->arrival[i].length = in->message[i].msg_len;
        read_control(&in->message[i].msg_hdr, &in->arrival[i]);
    }
    return count;
}

static void put_control(struct msghdr *message, struct cmsghdr *c, int level, int type,
                        const void *value, size_t size) {
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), value, size);
    message->msg_controllen += CMSG_SPACE(size);
}

// Describe packets of a train to sendmsg; `size` 0: it is one packet.
static void write_message(const struct fp_udp_out *out, const struct fp_train *train,
                          struct msghdr *message, struct iovec *part, size_t parts,
                          union fp_udp_control *control, uint32_t size) {
    memset(message, 0, sizeof *message);
    message->msg_name = &train->remote->to;
    message->msg_namelen = train->remote->to_size;
    message->msg_iov = part;
    message->msg_iovlen = parts;
    message->msg_control = control;
    struct cmsghdr *c = &control->align;
    if (train->tos != 0) {
        const int tos = train->tos;
        const bool ipv4 = out->family == AF_INET;
        put_control(message, c, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_TOS : IPV6_TCLASS, &tos,
                    sizeof tos);
        c = (struct cmsghdr *)(control->bytes + CMSG_SPACE(sizeof tos));
    }
    if (size != 0) {
        const uint16_t segment = (uint16_t)size;
        put_control(message, c, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
    }
    if (message->msg_controllen == 0)
        message->msg_control = NULL;
}

// Whether the packet may travel in this train.
static bool fits(const struct fp_context *context, const struct fp_udp_out *out,
                 const struct fp_train *train, const struct fp_packet *packet,
                 const struct fp_segment *segment, const struct fp_remote *remote) {
    return out->gso && !train->complete && !packet->alone && train->remote == remote &&
           train->segment == segment && train->tos == packet->tos &&
           packet->length <= train->size && train->packets < FP_TRAIN_PACKETS &&
           train->bytes + packet->length <= FP_UDP4_PAYLOAD &&
           context->now >= atomic_load_explicit(&remote->no_trains_until, memory_order_relaxed);
}

void fp_udp_queue(const struct fp_context *context, struct fp_udp_out *out,
                  const struct fp_packet *packet, struct fp_segment *segment,
                  struct fp_remote *remote) {
    if (out->parts == FP_PARTS)
        fp_udp_flush(context, out);
    struct fp_train *train = out->trains > 0 ? &out->train[out->trains - 1] : NULL;
    if (train == NULL || !fits(context, out, train, packet, segment, remote)) {
        if (out->trains == FP_TRAINS)
            fp_udp_flush(context, out);
        train = &out->train[out->trains++];
        *train = (struct fp_train){.remote = remote,
                                   .segment = segment,
                                   .size = packet->length,
                                   .first_part = out->parts,
                                   .tos = packet->tos};
    }
    train->packets++;
    train->bytes += packet->length;
    train->complete = packet->alone || packet->length < train->size;
    // Packets that a split made lie one behind the other: they need no parts of their own.
    if (train->parts > 0) {
        struct iovec *last = &out->part[out->parts - 1];
        if ((uint8_t *)last->iov_base + last->iov_len == packet->data) {
            last->iov_len += packet->length;
            return;
        }
    }
    out->part[out->parts].iov_base = (void *)packet->data;
    out->part[out->parts].iov_len = packet->length;
    out->parts++;
    train->parts++;
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

// The kernel refused a packet. If that was for its size, senders are to be told the next time (too_big.h).
static void refused(const struct fp_context *context, const struct fp_udp_out *out,
                    struct fp_remote *remote, enum fp_drop reason) {
    if (reason == FP_DROP_too_big && !fp_remote_knows_path_mtu(remote, context->now))
        fp_remote_learn_path_mtu(remote, fp_route_mtu(out->fd, remote), context->now);
}

static void capture(const struct fp_context *context, const struct fp_udp_out *out,
                    const struct fp_train *train, const uint8_t *data, uint32_t length,
                    enum fp_drop reason) {
    const struct fp_packet packet = {.data = data, .length = length, .tos = train->tos};
    if (fp_capturing(context->tables))
        fp_capture_packet_now(context, &train->remote->address, out->udp_port, &packet, FP_OUT,
                              reason);
}

// Every packet of the train. Each lies within one part.
static void capture_train(const struct fp_context *context, const struct fp_udp_out *out,
                          const struct fp_train *train, enum fp_drop reason) {
    const struct iovec *part = &out->part[train->first_part];
    uint32_t left = train->bytes, at = 0;
    if (!fp_capturing(context->tables))
        return;
    while (left > 0) {
        const uint32_t length = left < train->size ? left : train->size;
        capture(context, out, train, (const uint8_t *)part->iov_base + at, length, reason);
        left -= length;
        at += length;
        if (at == part->iov_len) {
            part++;
            at = 0;
        }
    }
}

static void count_sent(const struct fp_context *context, const struct fp_udp_out *out,
                       const struct fp_train *train) {
    capture_train(context, out, train, FP_DROP_NONE);
    const uint32_t headers = train->packets * FP_VXLAN_SIZE;
    fp_count_sent(context, train->segment, train->packets, train->bytes - headers,
                  &train->remote->traffic[context->worker]);
    if (train->packets > 1)
        fp_count_event(context, train->segment, FP_EVENT_trains, 1);
}

// Wait once for a socket that is full: that holds the sender back rather than drop what it sends.
static bool wait_for_room(const struct fp_udp_out *out, int error, bool *waited) {
    struct pollfd ready = {.fd = out->fd, .events = POLLOUT};
    if (error != EAGAIN || *waited)
        return false;
    *waited = true;
    return poll(&ready, 1, WAIT_MS) > 0;
}

// The kernel refused a train: send it packet by packet. Where that works, this remote gets no
// trains for a while: EIO says that its route can't have them (no checksum offload, IPsec), EINVAL an old kernel.
// That a short last packet fits, where the others are too big for the path, says nothing.
static void send_singly(const struct fp_context *context, struct fp_udp_out *out,
                        const struct fp_train *train, bool *waited) {
    struct fp_traffic *traffic = &train->remote->traffic[context->worker];
    struct iovec *part = &out->part[train->first_part];
    union fp_udp_control control;
    uint32_t left = train->bytes;
    bool accepted = false;
    while (left > 0) {
        const uint32_t length = left < train->size ? left : train->size;
        struct iovec piece = {part->iov_base, length};
        struct msghdr message;
        write_message(out, train, &message, &piece, 1, &control, 0);
        int error;
        do
            error = sendmsg(out->fd, &message, MSG_DONTWAIT) < 0 ? errno : 0;
        while (error == EINTR || wait_for_room(out, error, waited));
        const enum fp_drop reason = error == 0 ? FP_DROP_NONE : reason_of(error);
        capture(context, out, train, piece.iov_base, length, reason);
        if (error == 0)
            fp_count_sent(context, train->segment, 1, length - FP_VXLAN_SIZE, traffic);
        else
            fp_count_unsent(context, train->segment, 1, reason, traffic);
        refused(context, out, train->remote, reason);
        accepted |= error == 0 && length == train->size;
        left -= length;
        part->iov_base = (uint8_t *)part->iov_base + length;
        part->iov_len -= length;
        if (part->iov_len == 0)
            part++;
    }
    fp_count_event(context, train->segment, FP_EVENT_train_refused, 1);
    if (accepted)
        atomic_store_explicit(&train->remote->no_trains_until, context->now + NO_TRAINS_S,
                              memory_order_relaxed);
}

static bool is_refusal(int error) {
    return error == EIO || error == EINVAL || error == EOPNOTSUPP || error == EMSGSIZE;
}

void fp_udp_flush(const struct fp_context *context, struct fp_udp_out *out) {
    uint32_t done = 0;
    bool waited = false;
    for (uint32_t i = 0; i < out->trains; i++) {
        const struct fp_train *train = &out->train[i];
        write_message(out, train, &out->message[i].msg_hdr, &out->part[train->first_part],
                      train->parts, &out->control[i], train->packets > 1 ? train->size : 0);
    }
    while (done < out->trains) {
        const int sent = sendmmsg(out->fd, out->message + done, out->trains - done, MSG_DONTWAIT);
        if (sent > 0) {
            for (uint32_t i = done; i < done + (uint32_t)sent; i++)
                count_sent(context, out, &out->train[i]);
            done += (uint32_t)sent;
            continue;
        }
        const int error = errno;
        const struct fp_train *train = &out->train[done];
        if (error == EINTR || wait_for_room(out, error, &waited))
            continue;
        if (train->packets > 1 && is_refusal(error)) {
            send_singly(context, out, train, &waited);
        } else {
            capture_train(context, out, train, reason_of(error));
            fp_count_unsent(context, train->segment, train->packets, reason_of(error),
                            &train->remote->traffic[context->worker]);
            refused(context, out, train->remote, reason_of(error));
        }
        done++;
    }
    out->trains = out->parts = 0;
}
