// SPDX-License-Identifier: Apache-2.0
#include "shuttle.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    BURST = 64,              /* blobs read before they are sent */
    BURST_BYTES = 256 << 10, /* … or so many bytes */
    ROOM = 1 << 16,          /* the largest UDP datagram, and more */
    TRAIN = 63,              /* segments in one send: the kernel's limit is 64 before Linux 6.9 */
    TRAIN_BYTES = 65507,     /* the largest payload over IPv4 */
    ARRIVALS = 16,           /* datagrams, or trains of them, in one recvmmsg */
    MAGIC = 0x6670626e,
};

struct prefix {
    uint32_t magic;
    uint32_t length; /* of the blob, with this prefix */
};

struct control {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

struct shuttle {
    int tap;
    int udp;
    uint32_t segment;
    uint32_t collected; /* bytes of a torn-up blob that are there already */
    struct mmsghdr messages[BURST];
    struct iovec parts[BURST];
    struct control controls[BURST];
    struct mmsghdr arrivals[ARRIVALS];
    struct iovec arrival_parts[ARRIVALS];
    struct control arrival_controls[ARRIVALS];
    uint8_t blobs[BURST][ROOM];
    uint8_t received[ARRIVALS][ROOM];
    uint8_t collecting[ROOM];
};

static int is_empty(void) {
    return errno == EAGAIN || errno == EINTR;
}

/* Read blobs until there are none. Return their number, or -1. */
static int read_blobs(struct shuttle *s) {
    size_t bytes = 0;
    int count = 0;
    while (count < BURST && bytes < BURST_BYTES) {
        uint8_t *blob = s->blobs[count];
        ssize_t length =
            read(s->tap, blob + sizeof(struct prefix), TRAIN_BYTES - sizeof(struct prefix));
        if (length < 0)
            return count > 0 || is_empty() ? count : -1;
        struct prefix prefix = {MAGIC, (uint32_t)length + (uint32_t)sizeof prefix};
        memcpy(blob, &prefix, sizeof prefix);
        s->parts[count++] = (struct iovec){.iov_base = blob, .iov_len = prefix.length};
        bytes += prefix.length;
    }
    return count;
}

/* Return how many blobs from `first` on can leave as one train: small ones of one size. */
static int train_length(const struct shuttle *s, int first, int count) {
    size_t size = s->parts[first].iov_len;
    int length = 1;
    if (size > s->segment)
        return 1;
    while (first + length < count && length < TRAIN && s->parts[first + length].iov_len == size &&
           (size_t)(length + 1) * size <= TRAIN_BYTES)
        length++;
    return length;
}

static void set_segment(struct msghdr *message, struct control *control, uint16_t segment) {
    message->msg_control = control->bytes;
    message->msg_controllen = CMSG_SPACE(sizeof segment);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(header), &segment, sizeof segment);
}

/* Move frames from TAP to UDP. Return the number of blobs, or -1. */
static int from_tap(struct shuttle *s) {
    int count = read_blobs(s);
    unsigned messages = 0, sent = 0;
    for (int first = 0, length; first < count; first += length) {
        struct msghdr *message = &s->messages[messages].msg_hdr;
        size_t size = s->parts[first].iov_len;
        length = train_length(s, first, count);
        memset(message, 0, sizeof *message);
        message->msg_iov = &s->parts[first];
        message->msg_iovlen = (size_t)length;
        if (length > 1 || size > s->segment)
            set_segment(message, &s->controls[messages],
                        (uint16_t)(size > s->segment ? s->segment : size));
        messages++;
    }
    while (sent < messages) {
        int done = sendmmsg(s->udp, s->messages + sent, messages - sent, 0);
        if (done > 0) {
            sent += (unsigned)done;
        } else if (errno == EAGAIN) {
            struct pollfd full = {.fd = s->udp, .events = POLLOUT};
            poll(&full, 1, 10);
        } else if (errno != EINTR && errno != ECONNREFUSED && errno != ENOBUFS) {
            return -1;
        }
    }
    return count;
}

/* A full TAP, or one that is down, drops the frame, as a full switch port does. */
static void write_blob(const struct shuttle *s, const uint8_t *blob, size_t length) {
    const size_t skip = sizeof(struct prefix);
    ssize_t written = write(s->tap, blob + skip, length - skip);
    (void)written;
}

static uint32_t blob_length(const uint8_t *bytes, size_t length) {
    struct prefix prefix = {0, 0};
    if (length >= sizeof prefix)
        memcpy(&prefix, bytes, sizeof prefix);
    return prefix.magic == MAGIC && prefix.length > sizeof prefix && prefix.length <= ROOM
               ? prefix.length
               : 0;
}

/* Take one arrival: whole blobs are written in place, torn ones are put together first. */
static void arrived(struct shuttle *s, const uint8_t *bytes, size_t length, size_t segment) {
    while (length > 0) {
        size_t piece = length < segment ? length : segment;
        uint32_t wanted = blob_length(bytes, length);
        if (wanted != 0 && wanted <= length) {
            s->collected = 0;
            write_blob(s, bytes, wanted);
            piece = wanted;
        } else {
            if (wanted != 0)
                s->collected = 0;
            else if (s->collected == 0)
                return; /* the rest of something torn */
            if (s->collected + piece > ROOM) {
                s->collected = 0;
                return;
            }
            memcpy(s->collecting + s->collected, bytes, piece);
            s->collected += (uint32_t)piece;
            uint32_t whole = blob_length(s->collecting, s->collected);
            if (s->collected == whole)
                write_blob(s, s->collecting, whole);
            if (s->collected >= whole || piece != s->segment)
                s->collected = 0;
        }
        bytes += piece;
        length -= piece;
    }
}

static size_t segment_of(struct msghdr *message, size_t length) {
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header))
        if (header->cmsg_level == SOL_UDP && header->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(header), sizeof segment);
            return segment > 0 ? (size_t)segment : length;
        }
    return length;
}

/* Move frames from UDP to TAP. Return the number of datagrams or trains, or -1. */
static int from_udp(struct shuttle *s) {
    for (int i = 0; i < ARRIVALS; i++)
        s->arrivals[i].msg_hdr.msg_controllen = sizeof s->arrival_controls[i].bytes;
    int count = recvmmsg(s->udp, s->arrivals, ARRIVALS, 0, NULL);
    if (count < 0)
        return is_empty() || errno == ECONNREFUSED ? 0 : -1;
    for (int i = 0; i < count; i++) {
        size_t length = s->arrivals[i].msg_len;
        arrived(s, s->received[i], length, segment_of(&s->arrivals[i].msg_hdr, length));
    }
    return count;
}

int fpb_shuttle(int tap, int udp, int segment) {
    struct shuttle *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ENOMEM;
    s->tap = tap;
    s->udp = udp;
    s->segment = (uint32_t)segment;
    for (int i = 0; i < ARRIVALS; i++) {
        s->arrival_parts[i] = (struct iovec){.iov_base = s->received[i], .iov_len = ROOM};
        s->arrivals[i].msg_hdr.msg_iov = &s->arrival_parts[i];
        s->arrivals[i].msg_hdr.msg_iovlen = 1;
        s->arrivals[i].msg_hdr.msg_control = s->arrival_controls[i].bytes;
    }
    for (;;) {
        int out = from_tap(s), in = out < 0 ? -1 : from_udp(s);
        if (out < 0 || in < 0)
            break;
        if (out == 0 && in == 0) {
            struct pollfd both[2] = {{.fd = tap, .events = POLLIN}, {.fd = udp, .events = POLLIN}};
            if (poll(both, 2, -1) < 0 && errno != EINTR)
                break;
        }
    }
    int error = errno;
    free(s);
    return error;
}
