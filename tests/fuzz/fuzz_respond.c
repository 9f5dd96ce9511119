// SPDX-License-Identifier: Apache-2.0
// Neighbour suppression: any frame from a port, in a segment that has neighbours.
//
// Input: a byte of options, then the frame. In front of it are just the 8 bytes that are ours, behind it
// is nothing.
#include <stdlib.h>
#include <string.h>

#include "bed.h"
#include "forward/bridge.h"
#include "forward/respond.h"
#include "packet/wire.h"

enum {
    OTHER_PORT = 1, // not the one where BED_MAC_OWN is
    UNFINISHED = 2, // the checksum is said to be left open
    REPAIRED = 4, // the ICMPv6 checksum is put right, which the fuzzer would hardly find
    SUPER_FRAME = 8, // it is said to be one
    ARP_SIZE = 42,
    ADVERTISEMENT_SIZE = 86,
    ICMP = FP_ETHERNET_SIZE + FP_IPV6_SIZE,
};

#define MAC_NOWHERE UINT64_C(0x020000000005)

static struct bed bed;

static void add_neighbour(uint8_t last, uint64_t number) {
    const uint8_t ips[2][16] = {{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = last},
                                {0xfd, [15] = last}};
    for (uint32_t i = 0; i < BED_SEGMENTS; i++) {
        for (uint32_t family = 0; family < 2; family++) {
            bool added;
            CHECK(fp_directory_set(bed.context.tables->neighbours, bed.segment[i]->index,
                                   ips[family], number, &added));
            CHECK(added);
            bed.segment[i]->neighbours++;
        }
    }
}

static void begin(void) {
    bed_new(&bed);
    add_neighbour(1, BED_MAC_OWN);
    add_neighbour(2, BED_MAC_HERE);
    add_neighbour(3, BED_MAC_ELSEWHERE | FP_NEIGHBOUR_ROUTER);
    add_neighbour(5, MAC_NOWHERE);
    // Nobody else has an address in 10.0.0.0/9, but for one.
    struct fp_complete *complete = fp_complete_new(1, 1);
    CHECK(complete != NULL);
    *complete->subnet = (struct fp_subnet){{[10] = 0xff, [11] = 0xff, [12] = 10}, 96 + 9};
    memcpy(complete->exception[0], (uint8_t[16]){[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9},
           16);
    fp_segment_set_complete(bed.segment[1], complete);
    fp_vouch(bed.context.tables, 1000);
    bed.context.now = fp_now(bed.context.tables);
}

// Whether an ARP request is for an address that nobody has.
static bool is_for_nobody(const uint8_t *question, uint32_t length) {
    const uint8_t *target = question + 38;
    return length >= ARP_SIZE && fp_load_be16(question + 12) == FP_ETHERTYPE_ARP &&
           target[0] == 10 && target[1] < 128 &&
           !(target[1] == 0 && target[2] == 0 &&
             (target[3] == 1 || target[3] == 2 || target[3] == 3 || target[3] == 5 ||
              target[3] == 9));
}

static bool is_neighbour(uint64_t mac) {
    return mac == BED_MAC_OWN || mac == BED_MAC_HERE || mac == BED_MAC_ELSEWHERE;
}

static void repair(struct fp_frame *frame) {
    if (frame->flow.version != 6 || frame->flow.network != FP_ETHERNET_SIZE ||
        frame->flow.end < ICMP + 4)
        return;
    memset(frame->data + ICMP + 2, 0, 2);
    const uint32_t size = frame->flow.end - ICMP;
    const uint16_t pseudo =
        slow_pseudo(frame->data + FP_ETHERNET_SIZE, 6, FP_PROTOCOL_ICMPV6, size);
    const uint16_t sum = (uint16_t)~slow_sum(pseudo, frame->data + ICMP, size);
    memcpy(frame->data + ICMP + 2, &sum, sizeof sum);
}

static void check_answer(const struct fp_frame *frame, const uint8_t *question, uint32_t length) {
    const uint8_t *at = frame->data;
    const uint64_t mac = fp_load_mac(at + FP_MAC_SIZE);
    CHECK(length >= ARP_SIZE && frame->bytes == frame->length && frame->segments == 1);
    CHECK(!frame->needs_checksum && frame->gso_size == 0);
    CHECK(is_neighbour(mac) && mac != fp_load_mac(question + FP_MAC_SIZE));
    struct fp_flow flow;
    fp_flow_parse(at, frame->length, &flow);
    CHECK(same_flow(&flow, &frame->flow));
    if (frame->length == ARP_SIZE) {
        CHECK(fp_load_mac(at) == fp_load_mac(question + FP_MAC_SIZE));
        CHECK(fp_load_be16(at + 20) == 2 && memcmp(at + 28, question + 38, 4) == 0);
        CHECK(memcmp(at + 38, question + 28, 4) == 0 && fp_load_mac(at + 22) == mac);
        return;
    }
    CHECK(frame->length == ADVERTISEMENT_SIZE && flow.transport == ICMP &&
          flow.end == frame->length);
    const uint32_t size = ADVERTISEMENT_SIZE - ICMP;
    const uint16_t pseudo = slow_pseudo(at + FP_ETHERNET_SIZE, 6, FP_PROTOCOL_ICMPV6, size);
    CHECK(slow_sum(pseudo, at + ICMP, size) == 0xffff);
    CHECK(memcmp(at + ICMP + 8, question + ICMP + 8, 16) == 0); // the target
    CHECK(memcmp(at + FP_ETHERNET_SIZE + FP_IPV6_SOURCE, at + ICMP + 8, 16) == 0);
    CHECK(fp_load_mac(at + ICMP + 26) == mac);
}

// The bridge does the same where it may.
static void check_bridge(struct fp_frame frame, const uint8_t *question, const struct fp_frame *got,
                         fp_dest result) {
    void *memory;
    frame.data = exact_copy(question, frame.length, FP_VXLAN_SIZE, &memory);
    const bool group = fp_mac_is_multicast(fp_load_mac(question));
    const uint64_t answered = bed_events(&bed, FP_EVENT_answered);
    fp_bridge_forward(NULL, &bed.context, &frame, 1);
    if (bed_events(&bed, FP_EVENT_answered) != answered) {
        CHECK(group && frame.target == result && frame.length == got->length);
        CHECK(memcmp(frame.data, got->data, frame.length) == 0);
    } else {
        CHECK(memcmp(frame.data, question, frame.length) == 0);
    }
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (bed.context.tables == NULL)
        begin();
    struct input input = {data, size};
    const uint8_t options = take8(&input);
    if (input.left < FP_ETHERNET_SIZE)
        return 0;
    void *memory, *kept;
    struct fp_frame frame = {.segments = 1, .segment = bed.segment[1]};
    frame.data = exact_copy(input.at, input.left, FP_VXLAN_SIZE, &memory);
    frame.length = frame.bytes = (uint32_t)input.left;
    frame.source = fp_dest_make(FP_DEST_PORT, options & OTHER_PORT ? BED_PORT + 1 : BED_PORT);
    fp_flow_parse(frame.data, frame.length, &frame.flow);
    if (options & REPAIRED)
        repair(&frame);
    if (options & UNFINISHED) {
        frame.needs_checksum = true;
        frame.checksum_start = ICMP;
        frame.checksum_offset = 2;
    }
    frame.gso_size = options & SUPER_FRAME ? 100 : 0;
    const uint8_t *question = exact_copy(frame.data, frame.length, 0, &kept);
    const struct fp_frame before = frame;

    const uint64_t answered = bed_events(&bed, FP_EVENT_answered);
    const fp_dest result = fp_respond(&bed.context, &frame);
    const bool is_answer = fp_dest_kind(result) == FP_DEST_PORT;
    CHECK(bed_events(&bed, FP_EVENT_answered) == answered + is_answer);
    if (is_answer) {
        CHECK(result == before.source && before.gso_size == 0);
        CHECK(frame.data <= before.data && before.data - frame.data <= FP_VXLAN_SIZE);
        CHECK(frame.data + frame.length <= before.data + before.length);
        check_answer(&frame, question, before.length);
    } else {
        const bool unknown = result == fp_dest_make(FP_DEST_DROP, FP_DROP_unknown_target);
        CHECK(result == fp_dest_make(FP_DEST_NONE, 0) || unknown ||
              result == fp_dest_make(FP_DEST_DROP, FP_DROP_same_port));
        CHECK(!unknown || is_for_nobody(question, before.length));
        CHECK(memcmp(&frame, &before, sizeof frame) == 0);
        CHECK(memcmp(frame.data, question, frame.length) == 0);
    }
    check_bridge(before, question, &frame, result);
    bed_forget(&bed);
    free(memory);
    free(kept);
    return 0;
}
