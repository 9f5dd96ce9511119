// SPDX-License-Identifier: Apache-2.0
// Packets into a sending socket whose kernel takes some, and refuses others for any reason: sendmmsg, sendmsg
// and poll are replaced (by the linker, see Makefile). Every packet arrives as it was, in order, or is counted.
//
// Input: options (bit 0: trains may be used), then operations and the kernel's answers as they are asked for.
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "bed.h"
#include "io/udp.h"
#include "packet/wire.h"

enum { REMOTES = 2, MAX_PACKETS = 600, ARENA = 1 << 20, SEGMENT_OPTION = 103, OPTION_GSO = 1 };

struct sent {
    const uint8_t *data;
    uint32_t size;
    uint32_t remote;
    uint8_t tos;
    bool alone; // when it was queued, its remote was known for getting no trains
};

static struct input input;
static struct sent queued[MAX_PACKETS];
static uint32_t queued_count, next[REMOTES], arrived[REMOTES];
static uint64_t trains, refused;
static struct fp_remote *remotes[REMOTES];
static bool gso;

// What the kernel says: 0, or an errno.
static int answer(uint8_t choice) {
    static const int errors[] = {EIO,   EMSGSIZE, EINVAL, EOPNOTSUPP, EAGAIN,
                                 EINTR, ENOBUFS,  EPERM,  ENETUNREACH};
    return choice < 160 ? 0 : errors[choice % (sizeof errors / sizeof errors[0])];
}

// A packet reached the remote: it is the next one, or one behind packets that were refused.
static void arrive(uint32_t remote, const uint8_t *data, uint32_t size, uint8_t tos,
                   bool in_train) {
    uint32_t at = next[remote];
    while (at < queued_count && (queued[at].remote != remote || queued[at].size != size ||
                                 memcmp(queued[at].data, data, size) != 0))
        at++;
    CHECK(at < queued_count && queued[at].tos == tos && !(in_train && queued[at].alone));
    next[remote] = at + 1;
    arrived[remote]++;
}

static uint32_t remote_of(const struct msghdr *message) {
    for (uint32_t i = 0; i < REMOTES; i++)
        if (message->msg_name == &remotes[i]->to && message->msg_namelen == remotes[i]->to_size)
            return i;
    CHECK(false);
    return 0;
}

static void read_options(struct msghdr *message, uint8_t *tos, uint32_t *segment) {
    *tos = 0;
    *segment = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == SEGMENT_OPTION) {
            uint16_t size;
            CHECK(c->cmsg_len == CMSG_LEN(sizeof size));
            memcpy(&size, CMSG_DATA(c), sizeof size);
            *segment = size;
        } else {
            int value;
            CHECK(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS);
            memcpy(&value, CMSG_DATA(c), sizeof value);
            *tos = (uint8_t)value;
        }
    }
}

static void take_message(struct msghdr *message) {
    static uint8_t bytes[1 << 16];
    uint32_t length = 0, segment;
    uint8_t tos;
    const uint32_t remote = remote_of(message);
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *part = &message->msg_iov[i];
        CHECK(part->iov_len != 0 && length + part->iov_len <= FP_UDP4_PAYLOAD);
        memcpy(bytes + length, part->iov_base, part->iov_len);
        length += (uint32_t)part->iov_len;
    }
    read_options(message, &tos, &segment);
    if (segment == 0) {
        arrive(remote, bytes, length, tos, false);
        return;
    }
    CHECK(gso && length > segment && (length - 1) / segment + 1 <= FP_TRAIN_PACKETS);
    trains++;
    for (uint32_t at = 0; at < length; at += segment)
        arrive(remote, bytes + at, length - at < segment ? length - at : segment, tos, true);
}

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    CHECK(fd == 7 && count > 0 && count <= FP_TRAINS && flags == MSG_DONTWAIT);
    const uint8_t choice = take8(&input);
    errno = answer(choice);
    if (errno != 0) {
        uint32_t segment;
        uint8_t tos;
        read_options(&messages[0].msg_hdr, &tos, &segment);
        refused += segment != 0 &&
                   (errno == EIO || errno == EMSGSIZE || errno == EINVAL || errno == EOPNOTSUPP);
        return -1;
    }
    const unsigned taken = choice == 0 ? count : 1 + choice % count;
    for (unsigned i = 0; i < taken; i++)
        take_message(&messages[i].msg_hdr);
    return (int)taken;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
    CHECK(fd == 7 && flags == MSG_DONTWAIT);
    errno = answer(take8(&input));
    if (errno != 0)
        return -1;
    struct msghdr copy = *message;
    take_message(&copy);
    return (ssize_t)message->msg_iov[0].iov_len;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout) {
    CHECK(count == 1 && fds->events == POLLOUT && timeout >= 0 && timeout <= 10);
    return take8(&input) & 1;
}

static void queue(struct bed *bed, struct fp_udp_out *out, uint8_t *arena, uint32_t *used) {
    static const uint16_t sizes[] = {9, 64, 64, 64, 64, 100, 1450, 60000};
    const uint8_t what = take8(&input);
    struct sent *sent = &queued[queued_count];
    sent->size = sizes[what & 7];
    if (*used + sent->size + 8 > ARENA || queued_count == MAX_PACKETS)
        return;
    sent->remote = what >> 3 & 1;
    sent->tos = what & 16 ? 2 : 0;
    const bool alone = what & 128;
    sent->alone = alone || atomic_load(&remotes[sent->remote]->no_trains_until) > bed->context.now;
    *used += what & 32 ? 8 : 0; // or right behind the one before
    uint8_t *data = arena + *used;
    for (uint32_t i = 0; i < sent->size; i++) // all of them differ
        data[i] = (uint8_t)(i < 8 ? queued_count >> (i & 1) * 8 : i);
    *used += sent->size;
    sent->data = data;
    queued_count++;
    const struct fp_packet packet = {
        .data = data, .length = sent->size, .tos = sent->tos, .alone = alone};
    fp_udp_queue(&bed->context, out, &packet, bed->segment[what >> 6 & 1], remotes[sent->remote]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t arena[ARENA];
    static struct fp_udp_out out;
    static struct bed bed;
    if (bed.context.tables == NULL) {
        bed_new(&bed);
        remotes[0] = fp_remotes_get(bed.context.tables->remotes, bed.here);
        remotes[1] = fp_remotes_get(bed.context.tables->remotes, bed.elsewhere);
    }
    const uint64_t trains_before = bed_events(&bed, FP_EVENT_trains);
    const uint64_t refused_before = bed_events(&bed, FP_EVENT_train_refused);
    uint64_t tx_before[REMOTES], drops_before[REMOTES];
    for (uint32_t i = 0; i < REMOTES; i++) {
        tx_before[i] = fp_counter_read(&remotes[i]->traffic[0].tx_frames);
        drops_before[i] = fp_counter_read(&remotes[i]->traffic[0].drops);
        atomic_store(&remotes[i]->no_trains_until, 0);
    }
    input = (struct input){data, size};
    gso = take8(&input) & OPTION_GSO;
    memset(&out, 0, sizeof out);
    out.fd = 7;
    out.family = AF_INET;
    out.gso = gso;
    queued_count = 0;
    trains = refused = 0;
    memset(next, 0, sizeof next);
    memset(arrived, 0, sizeof arrived);
    uint32_t used = 0;
    while (input.left > 0) {
        const uint8_t what = take8(&input);
        if (what & 128) // trains that were refused are tried again some time
            bed.context.now += 100;
        for (uint32_t i = what & 127; i > 0 && input.left > 0; i--)
            queue(&bed, &out, arena, &used);
        fp_udp_flush(&bed.context, &out);
        CHECK(out.trains == 0 && out.parts == 0);
    }
    uint32_t all[REMOTES] = {0};
    for (uint32_t i = 0; i < queued_count; i++)
        all[queued[i].remote]++;
    for (uint32_t i = 0; i < REMOTES; i++) {
        CHECK(fp_counter_read(&remotes[i]->traffic[0].tx_frames) - tx_before[i] == arrived[i]);
        CHECK(fp_counter_read(&remotes[i]->traffic[0].drops) - drops_before[i] ==
              all[i] - arrived[i]);
        const uint32_t until = atomic_load(&remotes[i]->no_trains_until);
        CHECK(until == 0 || (refused != 0 && until <= bed.context.now + 300));
    }
    CHECK(bed_events(&bed, FP_EVENT_trains) - trains_before == trains);
    CHECK(bed_events(&bed, FP_EVENT_train_refused) - refused_before == refused);
    return 0;
}
