// SPDX-License-Identifier: Apache-2.0
// A captured packet of any content: what is found lies in it, and what is written is found again.
//
// Input: the number of a link type below, or a link type, then the packet.
#include <string.h>

#include "bed.h"
#include "monitor/outer.h"
#include "packet/wire.h"

static void check_parse(struct input input, uint16_t link) {
    struct fp_outer outer;
    void *memory;
    uint8_t *packet = exact_copy(input.at, input.left, FP_ETHERNET_SIZE, &memory);
    if (fp_outer_parse(packet, (uint32_t)input.left, link, &outer)) {
        CHECK(outer.payload >= packet && outer.payload + outer.length <= packet + input.left);
        CHECK(outer.from.ss_family == AF_INET || outer.from.ss_family == AF_INET6);
    }
    free(memory);
}

static void check_round_trip(struct input input) {
    const bool ipv4 = take8(&input) & 1;
    const uint8_t tos = take8(&input);
    struct fp_address from = {.udp_port = take16(&input)}, to = {.udp_port = take16(&input)};
    for (int i = ipv4 ? 12 : 0; i < 16; i++) {
        from.ip[i] = take8(&input);
        to.ip[i] = take8(&input);
    }
    if (ipv4)
        from.ip[10] = from.ip[11] = to.ip[10] = to.ip[11] = 0xff;
    else
        to.ip[0] |= 0x20; // not by chance an IPv4 address in IPv6's form
    const uint32_t length = (uint32_t)input.left;
    uint8_t *packet = malloc(FP_ETHERNET_SIZE + FP_OUTER_SIZE + length);
    CHECK(packet != NULL);
    const uint32_t size = fp_outer_headers(packet + FP_ETHERNET_SIZE, &from, &to, tos, length);
    CHECK(size == (ipv4 ? 28U : 48U));
    if (length != 0)
        memcpy(packet + FP_ETHERNET_SIZE + size, input.at, length);
    struct fp_outer outer;
    struct fp_address found;
    CHECK(fp_outer_parse(packet + FP_ETHERNET_SIZE, size + length, FP_LINK_RAW, &outer));
    CHECK(outer.length == length && outer.udp_port == to.udp_port && outer.tos == tos);
    CHECK(length == 0 || memcmp(outer.payload, input.at, length) == 0);
    fp_address_from(&found, &outer.from);
    CHECK(memcmp(found.ip, from.ip, sizeof found.ip) == 0 && found.udp_port == from.udp_port);
    free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint16_t links[] = {FP_LINK_NULL, FP_LINK_ETHERNET, FP_LINK_RAW_12, FP_LINK_RAW_14,
                                     FP_LINK_RAW,  FP_LINK_LOOP,     FP_LINK_COOKED, FP_LINK_IPV4,
                                     FP_LINK_IPV6, FP_LINK_COOKED_2};
    struct input input = {data, size};
    const uint8_t link = take8(&input);
    if (link < sizeof links / sizeof links[0])
        check_parse(input, links[link]);
    else
        check_parse(input, link); // of an unknown one: as of a packet without a header
    if (input.left < UINT16_MAX - 100)
        check_round_trip(input);
    return 0;
}
