// SPDX-License-Identifier: Apache-2.0
#include "datagrams.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

/* A batch of datagrams with buffers of its own. */
struct batch {
    struct mmsghdr messages[FPB_BATCH];
    struct iovec parts[FPB_BATCH];
    uint8_t buffers[FPB_BATCH][FPB_MAX_SIZE + 1];
};

uint64_t fpb_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void batch_init(struct batch *batch, uint32_t size) {
    memset(batch, 0, sizeof *batch);
    for (uint32_t i = 0; i < FPB_BATCH; i++) {
        batch->parts[i] = (struct iovec){.iov_base = batch->buffers[i], .iov_len = size};
        batch->messages[i].msg_hdr.msg_iov = &batch->parts[i];
        batch->messages[i].msg_hdr.msg_iovlen = 1;
    }
}

void fpb_sleep_until(uint64_t when) {
    struct timespec until = {.tv_sec = (time_t)(when / 1000000000u),
                             .tv_nsec = (long)(when % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

int fpb_is_passing(int error) {
    /* ECONNREFUSED: the receiver has not started */
    return error == ENOBUFS || error == EAGAIN || error == EINTR || error == ECONNREFUSED;
}

/* How many datagrams to send now: a whole batch, or what the rate allows. */
static uint32_t due(uint64_t now, const struct fpb_pace *pace, const struct fpb_window *window,
                    const struct fpb_tally *tally) {
    double count = (double)(now - window->begin) * pace->rate / 1e9 - (double)tally->total;
    if (pace->rate <= 0 || count >= pace->batch)
        return pace->batch;
    return count < 1 ? 0 : (uint32_t)count;
}

/* Count what a send call returned. Return 0, or an errno that ends the load. */
static int note_sent(int sent, uint64_t now, const struct fpb_window *window,
                     struct fpb_tally *tally) {
    if (sent < 0) {
        tally->retries++;
        return fpb_is_passing(errno) ? 0 : errno;
    }
    tally->total += (uint64_t)sent;
    if (now >= window->count)
        tally->datagrams += (uint64_t)sent;
    return 0;
}

/* Send `wanted` datagrams at most, with consecutive sequence numbers, the next flow's turn being
 * `turn`. Several flows take one datagram each in turn, and so one call each. */
static int send_some(struct batch *batch, const int *sockets, uint32_t flows, uint32_t size,
                     uint64_t sequence, uint32_t wanted) {
    if (flows == 1) {
        for (uint32_t i = 0; i < wanted; i++) {
            uint64_t number = sequence + i;
            memcpy(batch->buffers[i], &number, sizeof number);
        }
        return sendmmsg(sockets[0], batch->messages, wanted, 0);
    }
    for (uint32_t i = 0; i < wanted; i++) {
        uint64_t number = sequence + i;
        memcpy(batch->buffers[0], &number, sizeof number);
        if (send(sockets[number % flows], batch->buffers[0], size, 0) < 0)
            return i > 0 ? (int)i : -1;
    }
    return (int)wanted;
}

int fpb_send(const int *sockets, uint32_t flows, uint32_t size, const struct fpb_pace *pace,
             const struct fpb_window *window, struct fpb_tally *tally) {
    struct batch batch;
    batch_init(&batch, size);
    fpb_sleep_until(window->begin);
    for (;;) {
        uint64_t now = fpb_now();
        if (now >= window->end)
            return 0;
        uint32_t wanted = due(now, pace, window, tally);
        if (wanted == 0) { /* a sleep would come back late where this core is the sender's own */
            if (pace->tick > 0)
                fpb_sleep_until(now + pace->tick);
            continue;
        }
        int sent = send_some(&batch, sockets, flows, size, tally->total, wanted);
        int error = note_sent(sent, now, window, tally);
        if (error != 0)
            return error;
    }
}

int fpb_frames(int socket, const uint8_t *frame, uint32_t size, uint32_t mac_at, uint32_t entries,
               uint64_t limit, double rate, const struct fpb_window *window,
               struct fpb_tally *tally) {
    const struct fpb_pace pace = {.rate = rate, .batch = FPB_BATCH};
    struct batch batch;
    batch_init(&batch, size);
    for (uint32_t i = 0; i < FPB_BATCH; i++)
        memcpy(batch.buffers[i], frame, size);
    fpb_sleep_until(window->begin);
    for (;;) {
        uint64_t now = fpb_now();
        if (now >= window->end || (limit > 0 && tally->total >= limit))
            return 0;
        uint32_t wanted = due(now, &pace, window, tally);
        for (uint32_t i = 0; i < wanted; i++) {
            uint32_t number = (uint32_t)(tally->total + i) * 2654435761u & (entries - 1);
            uint8_t *mac = batch.buffers[i] + mac_at;
            mac[3] = (uint8_t)(number >> 16);
            mac[4] = (uint8_t)(number >> 8);
            mac[5] = (uint8_t)number;
        }
        if (wanted == 0)
            continue;
        int error = note_sent(sendmmsg(socket, batch.messages, wanted, 0), now, window, tally);
        if (error != 0)
            return error;
    }
}

int fpb_receive(int socket, uint32_t size, uint32_t number_at, const struct fpb_window *window,
                struct fpb_tally *tally) {
    struct batch batch;
    uint64_t highest = 0;
    batch_init(&batch, FPB_MAX_SIZE + 1);
    for (;;) {
        int received = recvmmsg(socket, batch.messages, FPB_BATCH, MSG_WAITFORONE, NULL);
        int error = errno;
        uint64_t now = fpb_now();
        if (now >= window->end)
            return 0;
        if (received < 0) {
            if (!fpb_is_passing(error))
                return error;
            continue;
        }
        for (int i = 0; i < received; i++) {
            uint64_t number;
            if (batch.messages[i].msg_len != size) {
                tally->odd++;
                continue;
            }
            if (number_at != FPB_NO_NUMBER) {
                memcpy(&number, batch.buffers[i] + number_at, sizeof number);
                if (number < highest)
                    tally->late++;
                else
                    highest = number;
            }
            tally->total++;
            tally->datagrams += now >= window->count;
        }
    }
}

int fpb_request(int socket, uint32_t size, const struct fpb_window *window, uint32_t *rtt,
                uint64_t room, struct fpb_tally *tally) {
    uint8_t request[FPB_MAX_SIZE + 1] = {0}, response[FPB_MAX_SIZE + 1];
    fpb_sleep_until(window->begin);
    for (uint64_t number = 1;; number++) {
        uint64_t start = fpb_now(), answered = 0;
        if (start >= window->end)
            return 0;
        memcpy(request, &number, sizeof number);
        if (send(socket, request, size, 0) < 0) {
            if (!fpb_is_passing(errno))
                return errno;
            tally->retries++;
            continue;
        }
        while (answered != number) { /* skip responses that come after their timeout */
            ssize_t length = recv(socket, response, sizeof response, 0);
            if (length < 0)
                break;
            if ((uint32_t)length == size)
                memcpy(&answered, response, sizeof answered);
            else
                tally->odd++;
        }
        uint64_t took = fpb_now() - start;
        if (answered == number)
            tally->total++;
        if (start < window->count)
            continue;
        if (answered != number)
            tally->lost++;
        else if (tally->datagrams < room)
            rtt[tally->datagrams++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
    }
}

int fpb_respond(int socket, const struct fpb_window *window, struct fpb_tally *tally) {
    uint8_t buffer[FPB_MAX_SIZE + 1];
    struct sockaddr_storage from;
    while (fpb_now() < window->end) {
        socklen_t from_length = sizeof from;
        ssize_t length =
            recvfrom(socket, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &from_length);
        if (length < 0 && !fpb_is_passing(errno))
            return errno;
        if (length < 0)
            continue;
        if (length == 0)
            return 0; /* over TCP: the other end has closed */
        if (sendto(socket, buffer, (size_t)length, 0, (struct sockaddr *)&from, from_length) < 0)
            tally->retries++;
        tally->total++;
    }
    return 0;
}
