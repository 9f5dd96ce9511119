// SPDX-License-Identifier: Apache-2.0
// Port security: any frame from a port that has a list of senders.
//
// Input: a byte of options; with an open checksum, where it begins and belongs, 16 bits each; then the frame, in
// memory of exactly its size. What is let in is read again, with its checksum finished, by a slow and obvious
// reader, which finds no address of another one, no router and no DHCP server.
#include <stdlib.h>
#include <string.h>

#include "bed.h"
#include "packet/neighbour.h"
#include "packet/offload.h"
#include "packet/wire.h"
#include "path/enter.h"
#include "security/allowed.h"

enum { MANY = 1, SUPER_FRAME = 2, OPEN_CHECKSUM = 4, SENDERS = 5 };

#define MAC_SENDER UINT64_C(0x020000000001)

static const uint8_t own4[4] = {10, 9, 0, 1};
static const uint8_t own6[16] = {0xfd, 9, [15] = 1};
static struct bed bed;
static struct fp_allowed *one, *many;

static struct fp_allowed *list(uint32_t senders) {
    struct fp_allowed *allowed = fp_allowed_new(senders, 2 * senders);
    CHECK(allowed != NULL);
    for (uint32_t i = 0; i < senders; i++) {
        allowed->sender[i] = (struct fp_sender){MAC_SENDER + i, 2 * i, 1, 1};
        uint8_t *v4 = allowed->address[2 * i];
        memset(v4, 0, 10);
        memset(v4 + 10, 0xff, 2);
        memcpy(v4 + 12, own4, 4);
        memcpy(allowed->address[2 * i + 1], own6, 16);
        v4[15] = allowed->address[2 * i + 1][15] = (uint8_t)(1 + i);
    }
    fp_allowed_filled(allowed);
    return allowed;
}

static bool is_zero(const uint8_t *at, uint32_t size) {
    for (uint32_t i = 0; i < size; i++)
        if (at[i] != 0)
            return false;
    return true;
}

static bool may_use6(const uint8_t *ip, uint32_t number) {
    return (memcmp(ip, own6, 15) == 0 && ip[15] == number) || (ip[0] == 0xfe && ip[1] >> 6 == 2);
}

// Where a receiver that follows every header would find what the packet carries; 0 for nowhere.
static uint32_t follow(const uint8_t *ip, uint32_t size, uint8_t *protocol) {
    uint32_t at = FP_IPV6_SIZE;
    *protocol = ip[FP_IPV6_NEXT];
    while (*protocol == 0 || *protocol == 43 || *protocol == 44 || *protocol == 51 ||
           *protocol == 60) {
        if (size - at < 8)
            return 0;
        uint32_t length = 8 * (1 + (uint32_t)ip[at + 1]);
        if (*protocol == 44) {
            if (fp_load_be16(ip + at + 2) >> 3)
                return 0;
            length = 8;
        } else if (*protocol == 51) {
            length = 4 * (2 + (uint32_t)ip[at + 1]);
        }
        if (length > size - at)
            return 0;
        *protocol = ip[at];
        at += length;
    }
    return at < size ? at : 0;
}

static void check_accepted6(const uint8_t *ip, uint32_t size, uint32_t number) {
    uint8_t protocol;
    const uint32_t at = follow(ip, size, &protocol);
    const bool nowhere = is_zero(ip + FP_IPV6_SOURCE, 16);
    CHECK(nowhere || may_use6(ip + FP_IPV6_SOURCE, number));
    if (at == 0)
        return;
    const uint8_t *upper = ip + at;
    if (protocol == FP_PROTOCOL_UDP)
        CHECK(size - at >= 4 && fp_load_be16(upper) != 547 && fp_load_be16(upper + 2) != 546);
    if (protocol != FP_PROTOCOL_ICMPV6)
        return;
    CHECK(upper[0] != FP_ND_ROUTER_ADVERTISE && upper[0] != FP_ND_REDIRECT);
    if (upper[0] == FP_ND_ADVERTISE)
        CHECK(size - at >= 24 && may_use6(upper + FP_ND_TARGET, number));
}

static void check_accepted4(const uint8_t *ip, uint32_t size, uint32_t number) {
    const uint8_t *source = ip + FP_IPV4_SOURCE;
    const uint32_t header = (ip[0] & 15U) * 4;
    const bool later = (fp_load_be16(ip + FP_IPV4_FRAGMENT) & 0x1fff) != 0;
    CHECK(is_zero(source, 4) || (memcmp(source, own4, 3) == 0 && source[3] == number));
    if (ip[FP_IPV4_PROTOCOL] == FP_PROTOCOL_UDP && !later)
        CHECK(size - header >= 4 && fp_load_be16(ip + header) != 67 &&
              fp_load_be16(ip + header + 2) != 68);
}

static void check_accepted(const struct fp_frame *frame) {
    const uint64_t number = fp_load_mac(frame->data + FP_MAC_SIZE) - MAC_SENDER + 1;
    const struct fp_flow *flow = &frame->flow;
    CHECK(number >= 1 && number <= SENDERS);
    if (flow->version == 4)
        check_accepted4(frame->data + flow->network, flow->end - flow->network, (uint32_t)number);
    else if (flow->version == 6)
        check_accepted6(frame->data + flow->network, flow->end - flow->network, (uint32_t)number);
    else
        CHECK(fp_load_be16(frame->data + 12) != FP_ETHERTYPE_IPV4 &&
              fp_load_be16(frame->data + 12) != FP_ETHERTYPE_IPV6);
}

static bool is_reason(uint32_t reason) {
    return reason == FP_DROP_spoofed_source || reason == FP_DROP_spoofed_arp ||
           reason == FP_DROP_rogue_router || reason == FP_DROP_rogue_dhcp ||
           reason == FP_DROP_hidden_headers;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (bed.context.tables == NULL) {
        bed_new(&bed);
        one = list(1);
        many = list(SENDERS);
    }
    struct input input = {data, size};
    const uint8_t options = take8(&input);
    const bool open = options & OPEN_CHECKSUM;
    const uint16_t start = open ? take16(&input) : 0, offset = open ? take16(&input) : 0;
    if (input.left < FP_ETHERNET_SIZE)
        return 0;
    void *memory;
    struct fp_port port = {.segment = bed.segment[1], .allowed = options & MANY ? many : one};
    struct fp_frame frame = {.segments = 1, .segment = bed.segment[1], .needs_checksum = open};
    frame.checksum_start = start;
    frame.checksum_offset = offset;
    frame.data = exact_copy(input.at, input.left, 0, &memory);
    frame.length = frame.bytes = (uint32_t)input.left;
    fp_flow_parse(frame.data, frame.length, &frame.flow);
    if (options & SUPER_FRAME) {
        frame.gso_size = 8;
        frame.gso_type = frame.flow.version == 4 ? 1 : 4;
    }
    const uint32_t reason = fp_enter_check(&bed.context, &frame, &port);
    struct fp_claim claim;
    if (fp_allowed_is_plain(port.allowed,
                            &frame)) // the short way lets nothing in that the long one refuses
        CHECK(fp_allowed_check(port.allowed, &frame, &claim) == FP_DROP_NONE);
    CHECK(memcmp(frame.data, input.at, input.left) == 0);
    if (reason == FP_DROP_NONE) {
        if (open && frame.gso_size == 0 && fp_offload_complete(&frame))
            fp_flow_parse(frame.data, frame.length, &frame.flow);
        check_accepted(&frame);
    }
    if (reason != FP_DROP_NONE)
        CHECK(is_reason(reason) || (frame.gso_size != 0 && (reason == FP_DROP_bad_super_frame ||
                                                            reason == FP_DROP_tiny_segments)));
    free(memory);
    return 0;
}
