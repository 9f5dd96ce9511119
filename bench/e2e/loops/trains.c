// SPDX-License-Identifier: Apache-2.0
#include "trains.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Take one acknowledgement. Return 0, or an errno that ends the load. */
static int await_ack(int socket, uint64_t *acked, struct fpb_tally *tally) {
    uint64_t next;
    ssize_t length = recv(socket, &next, sizeof next, 0);
    if (length < 0 && !fpb_is_passing(errno))
        return errno;
    if (length < 0 &&
        (errno == EAGAIN || errno == ECONNREFUSED)) { /* nobody answers: go on without */
        tally->lost += tally->total - *acked;
        *acked = tally->total;
    } else if (length == sizeof next && next > *acked && next <= tally->total) {
        *acked = next;
    }
    return 0;
}

int fpb_stream(int socket, uint32_t size, uint32_t train, uint32_t limit,
               const struct fpb_window *window, struct fpb_tally *tally) {
    uint8_t buffer[FPB_TRAIN_BYTES] = {0};
    uint64_t acked = 0;
    fpb_sleep_until(window->begin);
    for (;;) {
        uint64_t now = fpb_now();
        if (now >= window->end)
            return 0;
        if (tally->total + train > acked + limit) {
            int error = await_ack(socket, &acked, tally);
            if (error != 0)
                return error;
            continue;
        }
        for (uint32_t i = 0; i < train; i++) {
            uint64_t number = tally->total + i;
            memcpy(buffer + (size_t)i * size, &number, sizeof number);
        }
        if (send(socket, buffer, (size_t)train * size, 0) < 0) {
            if (!fpb_is_passing(errno))
                return errno;
            tally->retries++;
            continue;
        }
        tally->total += train;
        if (now >= window->count)
            tally->datagrams += train;
    }
}

/* Count the datagrams of one arrival. `next` is the number after the highest one so far. */
static void note_arrival(const uint8_t *bytes, size_t length, uint32_t size, uint64_t *next,
                         int counts, struct fpb_tally *tally) {
    if (length % size != 0)
        tally->odd++;
    for (size_t at = 0; at + size <= length; at += size) {
        uint64_t number;
        memcpy(&number, bytes + at, sizeof number);
        if (number < *next)
            tally->late++;
        else
            *next = number + 1;
        tally->total++;
        tally->datagrams += (uint64_t)counts;
    }
}

int fpb_absorb(int socket, uint32_t size, const struct fpb_window *window,
               struct fpb_tally *tally) {
    uint8_t buffer[FPB_TRAIN_BYTES];
    struct sockaddr_storage from;
    uint64_t next = 0, answered = 0;
    for (;;) {
        socklen_t from_length = sizeof from;
        ssize_t length =
            recvfrom(socket, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &from_length);
        int error = errno;
        uint64_t now = fpb_now();
        if (now >= window->end)
            return 0;
        if (length < 0) {
            if (!fpb_is_passing(error))
                return error;
            continue;
        }
        note_arrival(buffer, (size_t)length, size, &next, now >= window->count, tally);
        if (tally->total - answered < FPB_ACK_EVERY)
            continue;
        answered = tally->total;
        if (sendto(socket, &next, sizeof next, 0, (struct sockaddr *)&from, from_length) < 0)
            tally->retries++;
    }
}
