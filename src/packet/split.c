// SPDX-License-Identifier: Apache-2.0
// What differs between the segments: IP length and ID, sequence number, some TCP flags, UDP length, and
// so the checksums. The rest of each is summed once, in fp_split_begin.
#include "packet/split.h"

#include <arpa/inet.h>

#include "packet/checksum.h"
#include "packet/wire.h"

static uint64_t word_at(const uint8_t *at) {
    uint16_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t less(uint64_t sum, const uint8_t *word) {
    return sum + (uint16_t)~word_at(word); // in ones' complement that is a subtraction
}

void fp_split_begin(struct fp_split *split, const struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    const uint8_t *ip = frame->data + flow->network, *transport = frame->data + flow->transport;
    split->frame = frame;
    split->done = split->index = 0;
    split->ip_sum = 0;
    if (flow->version == 4) {
        uint64_t sum = fp_checksum_add(0, ip, (uint32_t)(ip[0] & 0x0f) * 4);
        sum = less(sum, ip + FP_IPV4_LENGTH);
        sum = less(sum, ip + FP_IPV4_ID);
        split->ip_sum = less(sum, ip + FP_IPV4_CHECKSUM);
    }
    uint64_t sum = fp_checksum_pseudo(ip, flow->version, flow->protocol, 0);
    sum = fp_checksum_add(sum, transport, frame->headers - flow->transport);
    if (flow->protocol == FP_PROTOCOL_TCP) {
        sum = less(sum, transport + FP_TCP_SEQUENCE);
        sum = less(sum, transport + FP_TCP_SEQUENCE + 2);
        sum = less(sum, transport + FP_TCP_OFFSET); // with the flags
        sum = less(sum, transport + FP_TCP_CHECKSUM);
    } else {
        sum = less(sum, transport + FP_UDP_LENGTH);
        sum = less(sum, transport + FP_UDP_CHECKSUM);
    }
    split->sum = sum;
}

static void store_checksum(uint8_t *at, uint64_t sum) {
    const uint16_t checksum = (uint16_t)~fp_checksum_fold(sum);
    memcpy(at, &checksum, sizeof checksum);
}

static void patch_ip(const struct fp_split *split, uint8_t *ip, uint32_t length) {
    if (split->frame->flow.version == 6) {
        fp_store_be16(ip + FP_IPV6_LENGTH, (uint16_t)(length - FP_IPV6_SIZE));
        return;
    }
    const uint32_t id = fp_load_be16(ip + FP_IPV4_ID) + split->index;
    fp_store_be16(ip + FP_IPV4_LENGTH, (uint16_t)length);
    fp_store_be16(ip + FP_IPV4_ID, (uint16_t)id);
    store_checksum(ip + FP_IPV4_CHECKSUM,
                   split->ip_sum + word_at(ip + FP_IPV4_LENGTH) + word_at(ip + FP_IPV4_ID));
}

// Returns the sum of the words that were patched.
static uint64_t patch_tcp(const struct fp_split *split, uint8_t *tcp, bool last) {
    fp_store_be32(tcp + FP_TCP_SEQUENCE, fp_load_be32(tcp + FP_TCP_SEQUENCE) + split->done);
    if (split->index != 0)
        tcp[FP_TCP_FLAGS] &= (uint8_t)~FP_TCP_CWR; // the first segment says it
    if (!last)
        tcp[FP_TCP_FLAGS] &= (uint8_t)~(FP_TCP_FIN | FP_TCP_PSH);
    return word_at(tcp + FP_TCP_SEQUENCE) + word_at(tcp + FP_TCP_SEQUENCE + 2) +
           word_at(tcp + FP_TCP_OFFSET);
}

uint32_t fp_split_next(struct fp_split *split, uint8_t *to) {
    const struct fp_frame *frame = split->frame;
    const struct fp_flow *flow = &frame->flow;
    const uint32_t left = frame->length - frame->headers - split->done;
    if (left == 0 && split->index != 0)
        return 0;
    const bool last = left <= frame->gso_size;
    const uint32_t payload = last ? left : frame->gso_size;
    const uint32_t length = frame->headers + payload;
    uint8_t *transport = to + flow->transport;
    memcpy(to, frame->data, frame->headers);
    uint64_t sum = split->sum + htons((uint16_t)(length - flow->transport));
    patch_ip(split, to + flow->network, length - flow->network);
    if (flow->protocol == FP_PROTOCOL_TCP) {
        sum += patch_tcp(split, transport, last);
    } else {
        fp_store_be16(transport + FP_UDP_LENGTH, (uint16_t)(length - flow->transport));
        sum += word_at(transport + FP_UDP_LENGTH);
    }
    sum = fp_checksum_move(sum, to + frame->headers, frame->data + frame->headers + split->done,
                           payload);
    uint8_t *field =
        transport + (flow->protocol == FP_PROTOCOL_TCP ? FP_TCP_CHECKSUM : FP_UDP_CHECKSUM);
    store_checksum(field, sum);
    if (flow->protocol == FP_PROTOCOL_UDP && word_at(field) == 0)
        memset(field, 0xff, 2); // 0 would say "no checksum" (RFC 768)
    split->done += payload;
    split->index++;
    return length;
}
