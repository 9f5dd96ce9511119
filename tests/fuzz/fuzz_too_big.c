// SPDX-License-Identifier: Apache-2.0
// "Too big": any frame from a port that does not fit, beside a slow reader of what is answered.
//
// Input: the MTU of the path (2 bytes), options, then the frame. Behind it is nothing.
#include <stdlib.h>
#include <string.h>

#include "bed.h"
#include "packet/icmp.h"
#include "packet/offload.h"
#include "packet/wire.h"

enum {
    SUPER_FRAME = 1, // it is said to be one, if its headers can be those of one
    SEGMENT = 100,
    ICMP_SIZE = 8,
};

static uint32_t at_most(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

// What the answer quotes is the beginning of the packet; lengths and checksums are right.
static void check_answer4(const uint8_t *ip, uint32_t size, const uint8_t *question,
                          uint32_t length, uint32_t mtu) {
    CHECK(size <= 576 && size == fp_load_be16(ip + FP_IPV4_LENGTH) && ip[0] == 0x45);
    CHECK(slow_sum(0, ip, FP_IPV4_SIZE) == 0xffff);
    CHECK(ip[FP_IPV4_PROTOCOL] == FP_PROTOCOL_ICMP);
    CHECK(memcmp(ip + 12, question + 16, 4) == 0 && memcmp(ip + 16, question + 12, 4) == 0);
    CHECK(ip[16] != 0 && ip[16] < 224 && ip[12] < 224); // hosts'
    const uint8_t *icmp = ip + FP_IPV4_SIZE;
    CHECK(slow_sum(0, icmp, size - FP_IPV4_SIZE) == 0xffff);
    CHECK(icmp[0] == 3 && icmp[1] == 4 && fp_load_be32(icmp + 4) == mtu && mtu >= 68);
    const uint32_t quoted = size - FP_IPV4_SIZE - ICMP_SIZE;
    CHECK(quoted == at_most(length, 576 - FP_IPV4_SIZE - ICMP_SIZE));
    CHECK(memcmp(icmp + ICMP_SIZE, question, quoted) == 0);
    // With DF, not a later fragment, no error.
    CHECK((fp_load_be16(question + FP_IPV4_FRAGMENT) & 0x5fff) == 0x4000);
    if (question[FP_IPV4_PROTOCOL] == FP_PROTOCOL_ICMP) {
        const uint8_t type = question[(question[0] & 15) * 4];
        CHECK(type != 3 && type != 4 && type != 5 && type != 11 && type != 12);
    }
}

static void check_answer6(const uint8_t *ip, uint32_t size, const uint8_t *question,
                          uint32_t length, uint32_t mtu) {
    CHECK(size <= 1280 && size == FP_IPV6_SIZE + (uint32_t)fp_load_be16(ip + FP_IPV6_LENGTH));
    CHECK(ip[0] == 0x60 && ip[FP_IPV6_NEXT] == FP_PROTOCOL_ICMPV6);
    CHECK(memcmp(ip + 8, question + 24, 16) == 0 && memcmp(ip + 24, question + 8, 16) == 0);
    CHECK(ip[8] != 0xff && ip[24] != 0xff);
    const uint8_t *icmp = ip + FP_IPV6_SIZE;
    const uint32_t payload = size - FP_IPV6_SIZE;
    CHECK(slow_sum(slow_pseudo(ip, 6, FP_PROTOCOL_ICMPV6, payload), icmp, payload) == 0xffff);
    CHECK(icmp[0] == 2 && icmp[1] == 0 && fp_load_be32(icmp + 4) == (mtu < 1280 ? 1280 : mtu));
    CHECK(payload - ICMP_SIZE == at_most(length, 1280 - FP_IPV6_SIZE - ICMP_SIZE));
    CHECK(memcmp(icmp + ICMP_SIZE, question, payload - ICMP_SIZE) == 0);
    if (question[FP_IPV6_NEXT] == FP_PROTOCOL_ICMPV6)
        CHECK(question[FP_IPV6_SIZE] >= 128 && question[FP_IPV6_SIZE] != 137);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    const uint32_t mtu = take16(&input);
    const uint8_t options = take8(&input);
    if (input.left < FP_ETHERNET_SIZE)
        return 0;
    void *memory, *room;
    struct fp_frame frame = {.segments = 1};
    frame.data = exact_copy(input.at, input.left, 0, &memory);
    frame.length = frame.bytes = (uint32_t)input.left;
    fp_flow_parse(frame.data, frame.length, &frame.flow);
    if (options & SUPER_FRAME) {
        frame.gso_type = fp_offload_gso_type(&frame);
        frame.gso_size = SEGMENT;
    }
    const bool whole = frame.gso_type == 0 || fp_offload_measure(&frame);
    const struct fp_flow *flow = &frame.flow;
    uint8_t *to = exact_copy(memory, 0, FP_ICMP_TOO_BIG_SIZE, &room);
    to -= FP_ICMP_TOO_BIG_SIZE; // all of it is to be written
    uint32_t packet = flow->end - flow->network;
    if (frame.gso_type != 0 && whole)
        packet = at_most(packet, (uint32_t)frame.headers + SEGMENT - flow->network);
    const uint32_t length = whole ? fp_icmp_too_big(to, &frame, packet, mtu) : 0;
    CHECK(memcmp(frame.data, input.at, input.left) == 0);
    if (length != 0) {
        CHECK(length <= FP_ICMP_TOO_BIG_SIZE && packet > mtu && flow->network != 0);
        CHECK(memcmp(to, frame.data + 6, 6) == 0 && memcmp(to + 6, frame.data, 6) == 0);
        CHECK(memcmp(to + 12, frame.data + 12, flow->network - 12U) == 0); // tags and type
        CHECK(!(to[0] & 1) && !(to[6] & 1));
        const uint8_t *ip = to + flow->network, *question = frame.data + flow->network;
        (flow->version == 4 ? check_answer4 : check_answer6)(ip, length - flow->network, question,
                                                             flow->end - flow->network, mtu);
    }
    free(memory);
    free(room);
    return 0;
}
