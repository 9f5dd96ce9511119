// SPDX-License-Identifier: Apache-2.0
// A frame from a port with any virtio-net header: the parser, records, the offloads, the checksums.
//
// Input: the 12 bytes of the vnet header, a byte whose low 4 bits move the frame in memory, then
// the frame.
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "bed.h"
#include "packet/checksum.h"
#include "packet/encap.h"
#include "packet/offload.h"
#include "packet/record.h"
#include "packet/wire.h"

enum { FRAGMENT = 44, AUTHENTICATION = 51 };

// What is behind a fragment's Fragment header (IPv6) or IP header (IPv4): it differs from fragment
// to fragment of one packet.
static uint32_t fragment_payload(const uint8_t *frame, const struct fp_flow *flow) {
    if (flow->version == 4)
        return flow->network + (frame[flow->network] & 15) * 4U;
    uint8_t next = frame[flow->network + FP_IPV6_NEXT];
    uint32_t at = flow->network + FP_IPV6_SIZE;
    while (next != FRAGMENT) {
        const uint32_t size =
            next == AUTHENTICATION ? 4 * (2U + frame[at + 1]) : 8 * (1U + frame[at + 1]);
        next = frame[at];
        at += size;
        CHECK(at < flow->end);
    }
    return at + 8;
}

// What doesn't name the flow doesn't change it: payload, padding, the rest of a fragmented packet.
static void check_parse(const uint8_t *frame, uint32_t length, struct fp_flow *flow) {
    fp_flow_parse_captured(frame, length, flow);
    check_flow(flow, length);
    fp_flow_parse(frame, length, flow);
    check_flow(flow, length);
    uint32_t rest = flow->end;
    if (flow->fragment)
        rest = fragment_payload(frame, flow);
    else if (flow->transport != 0)
        rest = flow->transport + 4U; // behind the ports
    if (rest >= length)
        return;
    void *memory;
    uint8_t *other = exact_copy(frame, length, 0, &memory);
    for (uint32_t i = rest; i < length; i++)
        other[i] = (uint8_t)~other[i];
    struct fp_flow again;
    fp_flow_parse(other, length, &again);
    CHECK(same_flow(flow, &again));
    free(memory);
}

// What forwarders see says no more than the frame does.
static void check_record(const struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    struct fp_record record;
    if (frame->length < FP_ETHERNET_SIZE)
        return;
    fp_record_fill(&record, frame, 42);
    CHECK(record.out == 0 && record.vni == 42 && record.length == frame->length);
    CHECK(record.dst_mac == fp_load_mac(frame->data));
    CHECK(record.ip_version == flow->version && record.protocol == flow->protocol);
    CHECK(record.fragment == flow->fragment);
    CHECK(flow->version == 4 || (record.src_ip == 0 && record.dst_ip == 0));
    CHECK(flow->transport != 0 || (record.src_port == 0 && record.dst_port == 0));
}

static void check_vnet_read(const uint8_t *header, struct fp_frame *frame) {
    struct virtio_net_hdr vnet;
    memcpy(&vnet, header, sizeof vnet);
    fp_vnet_read(header, frame);
    CHECK(frame->needs_checksum == (vnet.flags & 1));
    CHECK(frame->checksum_start == vnet.csum_start && frame->checksum_offset == vnet.csum_offset);
    CHECK(frame->gso_type == vnet.gso_type);
    CHECK(frame->gso_size == (vnet.gso_type == 0 ? 0 : vnet.gso_size));
}

static void check_complete(struct fp_frame *frame) {
    const uint32_t start = frame->checksum_start, at = start + frame->checksum_offset;
    void *memory;
    const uint8_t *before = exact_copy(frame->data, frame->length, 0, &memory);
    const bool inside = at + 2 <= frame->length;
    CHECK(fp_offload_complete(frame) == inside);
    if (inside) {
        uint16_t got;
        memcpy(&got, frame->data + at, sizeof got);
        const uint16_t wanted = (uint16_t)~slow_sum(0, before + start, frame->length - start);
        CHECK(got == (wanted != 0 ? wanted : 0xffff) && !frame->needs_checksum);
        memcpy(frame->data + at, before + at, 2);
    }
    CHECK(memcmp(frame->data, before, frame->length) == 0); // but for the field
    free(memory);
}

static void check_encap(const struct fp_frame *frame) {
    struct fp_frame copy = *frame;
    struct fp_packet packet;
    uint32_t completed = 0;
    void *memory;
    copy.data = exact_copy(frame->data, frame->length, FP_HEADROOM, &memory);
    const bool outside = frame->checksum_start + frame->checksum_offset + 2U > frame->length;
    const enum fp_drop expected =
        frame->needs_checksum && outside ? FP_DROP_bad_checksum_start : FP_DROP_NONE;
    CHECK(fp_encap(&copy, 42, &packet, &completed) == expected);
    CHECK(completed == (expected == FP_DROP_NONE && frame->needs_checksum));
    free(memory);
}

static bool all_zero(const uint8_t *bytes, uint32_t size) {
    for (uint32_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

// A packet that its sender left unfinished is recognised, and finished it is right.
static void check_infer(struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    const uint16_t offset = checksum_field(flow);
    frame->needs_checksum = false;
    frame->gso_size = 0;
    frame->gso_type = 0;
    if (offset == 0) {
        CHECK(!fp_offload_infer(frame) && !frame->needs_checksum);
        return;
    }
    const uint8_t *ip = frame->data + flow->network;
    const uint32_t size = flow->end - flow->transport;
    const uint16_t pseudo = slow_pseudo(ip, flow->version, flow->protocol, size);
    uint8_t *field = frame->data + flow->transport + offset;
    uint16_t was;
    memcpy(&was, field, sizeof was);
    // Whoever finishes the checksum sums up to the end of the frame: padding has to be zero.
    const bool clean = all_zero(frame->data + flow->end, frame->length - flow->end);
    CHECK(fp_offload_infer(frame) == (clean && was == pseudo));
    memcpy(field, &pseudo, sizeof pseudo);
    frame->needs_checksum = false;
    CHECK(fp_offload_infer(frame) == clean && frame->needs_checksum == clean);
    if (!clean) {
        memcpy(field, &was, sizeof was);
        return;
    }
    CHECK(frame->checksum_start == flow->transport && frame->checksum_offset == offset);
    check_vnet_write(frame);
    CHECK(fp_offload_complete(frame));
    CHECK(slow_sum(pseudo, frame->data + flow->transport, size) == 0xffff);
    memcpy(field, &was, sizeof was);
}

static uint16_t fast_sum(uint64_t sum, const uint8_t *bytes, uint32_t size) {
    return fp_checksum_fold(fp_checksum_add(sum, bytes, size));
}

static void check_sums(const uint8_t *bytes, uint32_t size) {
    for (uint32_t start = 0; start < 4 && start <= size; start++) {
        const uint16_t whole = slow_sum(0, bytes + start, size - start);
        CHECK(fast_sum(0, bytes + start, size - start) == whole);
        CHECK(fp_checksum(bytes + start, size - start) == (uint16_t)~whole);
    }
    for (uint32_t end = size; end > 0 && size - end < 34; end--) // every way to end a block of 32
        CHECK(fast_sum(0, bytes, end) == slow_sum(0, bytes, end));
    const uint32_t cut = size / 3 & ~1U; // pieces but the last have an even size
    const uint64_t head = fp_checksum_add(0, bytes, cut);
    const uint16_t whole = slow_sum(0, bytes, size);
    CHECK(fast_sum(head, bytes + cut, size - cut) == whole);
    CHECK(fp_checksum_fold(head + fp_checksum_add(0, bytes + cut, size - cut)) == whole);
    // However large the sum so far is: it is one of 64 bits.
    CHECK(same_sum(fast_sum(UINT64_MAX, bytes, size), whole));
    if (size < FP_IPV6_SIZE)
        return;
    for (uint8_t version = 4; version <= 6; version += 2) {
        const uint32_t length = (uint32_t)bytes[0] << 12 | bytes[1];
        const uint64_t sum = fp_checksum_pseudo(bytes, version, bytes[2], length);
        CHECK(fp_checksum_fold(sum) == slow_pseudo(bytes, version, bytes[2], length));
    }
}

// Repairing a checksum is as good as computing it anew.
static void check_replace(uint8_t *bytes, uint32_t size, uint16_t after) {
    size &= ~1U;
    if (size < 4)
        return;
    const uint32_t at = size / 2 & ~1U; // the changed word; the checksum stands in front
    uint16_t checksum, before;
    memset(bytes, 0, 2);
    checksum = fp_checksum(bytes, size);
    memcpy(bytes, &checksum, sizeof checksum);
    memcpy(&before, bytes + at, sizeof before);
    memcpy(bytes + at, &after, sizeof after);
    fp_checksum_replace(bytes, before, after);
    uint16_t repaired;
    memcpy(&repaired, bytes, sizeof repaired);
    memset(bytes, 0, 2);
    CHECK(same_sum(repaired, (uint16_t)~slow_sum(0, bytes, size)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    uint8_t header[FP_VNET_SIZE];
    for (uint32_t i = 0; i < sizeof header; i++)
        header[i] = take8(&input);
    const uint32_t shift = take8(&input) & 15;

    void *memory;
    struct fp_frame frame = {0};
    frame.data = exact_copy(input.at, input.left, FP_HEADROOM + shift, &memory);
    frame.length = (uint32_t)input.left;
    check_parse(frame.data, frame.length, &frame.flow);
    check_record(&frame);
    check_vnet_read(header, &frame);
    check_vnet_write(&frame);
    check_encap(&frame);
    check_complete(&frame);
    check_infer(&frame);
    check_sums(frame.data, frame.length);
    const uint16_t word = (uint16_t)(header[0] << 8 | header[1]);
    check_replace(frame.data, frame.length, word);
    free(memory);
    return 0;
}
