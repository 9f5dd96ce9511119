// SPDX-License-Identifier: Apache-2.0
#include "offload_bed.h"

#include <linux/virtio_net.h>
#include <string.h>

#include "packet/offload.h"
#include "packet/split.h"
#include "packet/wire.h"

enum { DONT_FRAGMENT = 0x4000, IPV4_MAX = 65535 };

static bool is_tcp(const struct fp_flow *flow) {
    return flow->protocol == FP_PROTOCOL_TCP;
}

static uint32_t slow_headers(const uint8_t *frame, const struct fp_flow *flow) {
    return flow->transport + (is_tcp(flow) ? (frame[flow->transport + 12] >> 4) * 4U : 8U);
}

bool slow_is_right(const uint8_t *frame, uint32_t length) {
    struct fp_flow flow;
    fp_flow_parse(frame, length, &flow);
    if (checksum_field(&flow) == 0)
        return false;
    const uint8_t *ip = frame + flow.network;
    const uint32_t size = flow.end - flow.transport;
    const uint16_t pseudo = slow_pseudo(ip, flow.version, flow.protocol, size);
    if (slow_sum(pseudo, frame + flow.transport, size) != 0xffff)
        return false;
    return flow.version == 6 || slow_sum(0, ip, (ip[0] & 15) * 4U) == 0xffff;
}

// The headers of a segment are the super-frame's but for what has to differ.
static void check_segment_headers(const struct fp_frame *frame, const uint8_t *segment,
                                  uint32_t index, uint32_t done, uint32_t payload) {
    const struct fp_flow *flow = &frame->flow;
    uint8_t wanted[FP_SUPER_HEADERS];
    memcpy(wanted, frame->data, frame->headers);
    uint8_t *ip = wanted + flow->network, *transport = wanted + flow->transport;
    const uint32_t length = frame->headers - flow->network + payload;
    const bool last = done + payload == frame->length - frame->headers;
    if (flow->version == 4) {
        fp_store_be16(ip + 2, (uint16_t)length);
        fp_store_be16(ip + 4, (uint16_t)(fp_load_be16(ip + 4) + index));
        memcpy(ip + 10, segment + flow->network + 10, 2); // checked by slow_is_right
    } else {
        fp_store_be16(ip + 4, (uint16_t)(length - 40));
    }
    const uint32_t field = is_tcp(flow) ? 16 : 6;
    memcpy(transport + field, segment + flow->transport + field, 2);
    if (is_tcp(flow)) {
        fp_store_be32(transport + 4, fp_load_be32(transport + 4) + done);
        if (!last)
            transport[13] &= 0xf6; // FIN, PSH
        if (index != 0)
            transport[13] &= 0x7f; // CWR
    } else {
        fp_store_be16(transport + 4, (uint16_t)(8 + payload));
        CHECK(transport[6] != 0 || transport[7] != 0);
    }
    CHECK(memcmp(segment, wanted, frame->headers) == 0);
}

uint32_t check_split(const struct fp_frame *frame) {
    const uint32_t all = frame->length - frame->headers;
    uint32_t index = 0, done = 0, bytes = 0;
    struct fp_split split;
    fp_split_begin(&split, frame);
    for (;;) {
        const uint32_t left = all - done;
        const uint32_t payload = left < frame->gso_size ? left : frame->gso_size;
        const bool over = left == 0 && index != 0;
        uint8_t *segment = malloc(over ? 1 : frame->headers + payload); // of just that size
        CHECK(segment != NULL);
        const uint32_t length = fp_split_next(&split, segment);
        if (over) {
            CHECK(length == 0);
            free(segment);
            break;
        }
        CHECK(length == frame->headers + payload);
        CHECK(slow_is_right(segment, length));
        CHECK(memcmp(segment + frame->headers, frame->data + frame->headers + done, payload) == 0);
        check_segment_headers(frame, segment, index, done, payload);
        free(segment);
        index++;
        done += payload;
        bytes += length;
    }
    CHECK(done == all && index == frame->segments && bytes == frame->bytes);
    return index;
}

// Whether the frame, which is the `index`th of those merged into `head`, is one that belongs there.
static void check_member(const struct arrived *head, const struct arrived *before,
                         const struct arrived *now, uint32_t headers, bool last) {
    const struct fp_flow *flow = &head->flow;
    uint8_t a[FP_SUPER_HEADERS], b[FP_SUPER_HEADERS];
    CHECK(slow_is_right(now->bytes, now->length) && now->flow.end == now->length);
    CHECK(now->length > headers && now->length <= head->length);
    CHECK(last || now->length == head->length); // only the last one may be shorter
    memcpy(a, head->bytes, headers);
    memcpy(b, now->bytes, headers);
    const uint32_t ip = flow->network, transport = flow->transport;
    if (flow->version == 4) {
        const uint16_t id = fp_load_be16(b + ip + 4);
        if (before != NULL && fp_load_be16(a + ip + 6) != DONT_FRAGMENT)
            CHECK(id == (uint16_t)(fp_load_be16(before->bytes + ip + 4) + 1));
        CHECK(a[ip] == 0x45 && (fp_load_be16(a + ip + 6) & 0x3fff) == 0);
        memset(a + ip + 2, 0, 4);
        memset(b + ip + 2, 0, 4);
        memset(a + ip + 10, 0, 2);
        memset(b + ip + 10, 0, 2);
    } else {
        memset(a + ip + 4, 0, 2);
        memset(b + ip + 4, 0, 2);
    }
    if (is_tcp(flow)) {
        const uint8_t flags = b[transport + 13];
        CHECK((flags & 0xf6) == FP_TCP_ACK); // but for FIN and PSH
        CHECK(last || flags == FP_TCP_ACK); // which are at the end
        if (before != NULL)
            CHECK(fp_load_be32(b + transport + 4) ==
                  fp_load_be32(before->bytes + transport + 4) + (before->length - headers));
        a[transport + 13] = b[transport + 13] = 0;
        memset(a + transport + 4, 0, 4);
        memset(b + transport + 4, 0, 4);
        memset(a + transport + 16, 0, 2);
        memset(b + transport + 16, 0, 2);
    } else {
        CHECK(fp_load_be16(b + transport + 4) == now->length - transport);
        CHECK(b[transport + 6] != 0 || b[transport + 7] != 0);
        memset(a + transport + 4, 0, 4);
        memset(b + transport + 4, 0, 4);
    }
    CHECK(memcmp(a, b, headers) == 0);
}

static void check_super_frame(const struct fp_frame *frame, const struct arrived *arrived,
                              const uint32_t *member) {
    const struct arrived *head = &arrived[member[0]], *before = NULL;
    const struct fp_flow *flow = &frame->flow;
    const uint32_t headers = slow_headers(head->bytes, &head->flow);
    uint32_t at = headers, bytes = 0;
    uint8_t flags = 0;
    for (uint32_t i = 0; i < frame->segments; i++) {
        const struct arrived *now = &arrived[member[i]];
        check_member(head, before, now, headers, i + 1 == frame->segments);
        const uint32_t payload = now->length - headers;
        CHECK(at + payload <= frame->length);
        CHECK(memcmp(frame->data + at, now->bytes + headers, payload) == 0);
        flags |= now->bytes[flow->transport + 13];
        at += payload;
        bytes += now->length;
        before = now;
    }
    CHECK(at == frame->length && bytes == frame->bytes);
    CHECK(frame->length - flow->network <= IPV4_MAX);
    // What the port is told.
    CHECK(frame->headers == headers && frame->gso_size == head->length - headers);
    CHECK(frame->needs_checksum && frame->checksum_start == flow->transport);
    CHECK(frame->checksum_offset == (is_tcp(flow) ? 16 : 6));
    CHECK(frame->gso_type == (!is_tcp(flow)        ? 5
                              : flow->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
                                                   : VIRTIO_NET_HDR_GSO_TCPV6));
    CHECK(is_tcp(flow) || frame->segments <= 64);
    CHECK(!is_tcp(flow) || frame->data[flow->transport + 13] == flags);
    // The headers: parsed anew they say the same, and measured they are those of as many segments.
    struct fp_frame again = *frame;
    fp_flow_parse(frame->data, frame->length, &again.flow);
    CHECK(same_flow(&again.flow, flow) && flow->end == frame->length);
    CHECK(fp_offload_measure(&again) && again.segments == frame->segments);
    CHECK(again.bytes == frame->bytes && again.headers == frame->headers);
    CHECK(fp_offload_infer(&again)); // the field holds the pseudo-header's sum
    if (flow->version == 4)
        CHECK(slow_sum(0, frame->data + flow->network, 20) == 0xffff);
}

static bool same_bytes(const struct fp_frame *frame, const struct arrived *arrived) {
    return frame->length == arrived->length &&
           memcmp(frame->data, arrived->bytes, frame->length) == 0;
}

// Where the payload of a frame stands within a head: a merged frame is found by content, in order.
static bool continues(const struct fp_frame *frame, uint32_t at, const struct arrived *now,
                      uint32_t headers) {
    return now->flow.hash == frame->flow.hash && now->length > headers &&
           at + now->length - headers <= frame->length &&
           memcmp(frame->data + at, now->bytes + headers, now->length - headers) == 0;
}

void check_merged(const struct fp_burst *burst, const struct arrived *arrived, uint32_t count) {
    uint32_t kept = 0;
    bool used[FP_BURST] = {false};
    CHECK(count <= FP_BURST && burst->count <= count);
    for (uint32_t i = 0; i < burst->count; i++) {
        const struct fp_frame *frame = &burst->frame[i];
        // Of its flow it is the first that is still missing: order is kept.
        uint32_t first = 0;
        while (first < count && (used[first] || arrived[first].flow.hash != frame->flow.hash))
            first++;
        CHECK(first < count);
        used[first] = true;
        kept += frame->segments;
        if (frame->segments == 1) {
            CHECK(same_bytes(frame, &arrived[first]) && frame->gso_size == 0);
            CHECK(frame->bytes == frame->length);
            continue;
        }
        const uint32_t headers = slow_headers(arrived[first].bytes, &arrived[first].flow);
        uint32_t member[FP_BURST] = {first}, found = 1, at = arrived[first].length;
        CHECK(frame->segments <= count);
        for (uint32_t k = first + 1; k < count && found < frame->segments; k++) {
            if (used[k] || arrived[k].flow.hash != frame->flow.hash)
                continue;
            CHECK(continues(frame, at, &arrived[k], headers)); // none of the flow is left out
            at += arrived[k].length - headers;
            used[k] = true;
            member[found++] = k;
        }
        CHECK(found == frame->segments);
        check_super_frame(frame, arrived, member);
    }
    CHECK(kept == count);
}
