// SPDX-License-Identifier: Apache-2.0
#include "security/allowed.h"

#include <stdlib.h>
#include <string.h>

#include "counters/tally.h"
#include "packet/neighbour.h"
#include "packet/wire.h"

enum { DHCP6_CLIENT = 546, DHCP6_SERVER = 547 };
enum { IPV4_FRAGMENT_OFFSET = 0x1fff };

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t unspecified[16];

struct fp_allowed *fp_allowed_new(uint32_t senders, uint32_t addresses) {
    const size_t sender_bytes = senders * sizeof(struct fp_sender);
    struct fp_allowed *allowed =
        calloc(1, sizeof *allowed + sender_bytes + addresses * sizeof allowed->address[0]);
    if (allowed == NULL)
        return NULL;
    allowed->senders = senders;
    allowed->sender = (struct fp_sender *)(allowed + 1);
    allowed->address = (uint8_t (*)[16])(allowed->sender + senders);
    return allowed;
}

void fp_allowed_filled(struct fp_allowed *allowed) {
    if (allowed->senders == 0 || allowed->sender[0].v4 == 0)
        return;
    uint8_t source[FP_MAC_SIZE + 2];
    fp_store_mac(source, allowed->sender[0].mac);
    fp_store_be16(source + FP_MAC_SIZE, FP_ETHERTYPE_IPV4);
    memcpy(&allowed->plain_source, source, sizeof allowed->plain_source);
    memcpy(&allowed->plain_ip, allowed->address[allowed->sender[0].first] + sizeof v4_prefix,
           sizeof allowed->plain_ip);
}

// A frame that is being checked, and its sender.
struct check {
    const struct fp_allowed *allowed;
    const struct fp_sender *sender;
    const struct fp_frame *frame;
    struct fp_claim *claim;
};

static const struct fp_sender *find_sender(const struct fp_allowed *allowed, uint64_t mac) {
    uint32_t low = 0, high = allowed->senders;
    if (__builtin_expect(high != 0 && allowed->sender[0].mac == mac, 1))
        return &allowed->sender[0]; // there is no other one, as a rule
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (allowed->sender[middle].mac < mac)
            low = middle + 1;
        else
            high = middle;
    }
    return low < allowed->senders && allowed->sender[low].mac == mac ? &allowed->sender[low] : NULL;
}

bool fp_allowed_has(const struct fp_allowed *allowed, uint64_t mac) {
    return find_sender(allowed, mac) != NULL;
}

static bool owns4(const struct check *check, const uint8_t *ip) {
    const uint8_t (*own)[16] = check->allowed->address + check->sender->first;
    for (uint32_t i = 0; i < check->sender->v4; i++)
        if (memcmp(own[i] + sizeof v4_prefix, ip, 4) == 0)
            return true;
    return false;
}

// Kernels make a link-local address of the MAC address (RFC 4291 appendix A) or of a secret (RFC 7217).
// Nobody tells us of either, so a sender may have any, but for those made of another one's MAC address.
static bool is_link_local(const uint8_t *ip, uint64_t mac) {
    uint8_t made[8];
    if (ip[0] != 0xfe || (ip[1] & 0xc0) != 0x80)
        return false;
    if (ip[11] != 0xff || ip[12] != 0xfe)
        return true;
    fp_store_mac(made, mac ^ UINT64_C(0x020000000000));
    return memcmp(ip + 8, made, 3) == 0 && memcmp(ip + 13, made + 3, 3) == 0;
}

static bool owns6(const struct check *check, const uint8_t *ip) {
    const uint8_t (*own)[16] = check->allowed->address + check->sender->first + check->sender->v4;
    for (uint32_t i = 0; i < check->sender->v6; i++)
        if (memcmp(own[i], ip, 16) == 0)
            return true;
    return is_link_local(ip, check->sender->mac);
}

static uint32_t refuse4(const struct check *check, const uint8_t *ip, uint32_t reason) {
    if (memcmp(ip, unspecified, 4) == 0)
        return reason;
    memcpy(check->claim->ip, v4_prefix, sizeof v4_prefix);
    memcpy(check->claim->ip + sizeof v4_prefix, ip, 4);
    return reason;
}

static uint32_t refuse6(const struct check *check, const uint8_t *ip, uint32_t reason) {
    memcpy(check->claim->ip, ip, 16);
    return reason;
}

// Whether the bytes up to `end` stay as they are when an open checksum is finished.
static bool is_final(const struct check *check, uint32_t end) {
    return !check->frame->needs_checksum || fp_allowed_open_checksum(check->frame) >= end;
}

static uint32_t check_arp(const struct check *check, uint32_t offset) {
    const uint8_t *arp = fp_frame_at(check->frame, offset, FP_ARP_SIZE);
    if (!is_final(check, offset + FP_ARP_SIZE))
        return FP_DROP_hidden_headers;
    if (arp == NULL || fp_load_be16(arp + FP_ARP_HARDWARE) != FP_ARP_ETHERNET ||
        fp_load_be16(arp + FP_ARP_PROTOCOL) != FP_ETHERTYPE_IPV4 ||
        arp[FP_ARP_SIZES] != FP_MAC_SIZE || arp[FP_ARP_SIZES + 1] != 4 ||
        fp_load_mac(arp + FP_ARP_SENDER_MAC) != check->sender->mac)
        return FP_DROP_spoofed_arp;
    const uint8_t *ip = arp + FP_ARP_SENDER_IP;
    if (owns4(check, ip))
        return FP_DROP_NONE;
    const bool probe = memcmp(ip, unspecified, 4) == 0; // RFC 5227
    if (probe && fp_load_be16(arp + FP_ARP_OPERATION) == FP_ARP_REQUEST)
        return FP_DROP_NONE;
    return refuse4(check, ip, FP_DROP_spoofed_arp);
}

// What has no IP header that can be read.
static uint32_t check_other(const struct check *check) {
    uint32_t at = FP_ETHERNET_SIZE;
    uint16_t type = fp_load_be16(check->frame->data + at - 2);
    for (int tags = 0; tags < FP_FLOW_VLAN_TAGS; tags++) {
        if ((type != FP_ETHERTYPE_VLAN && type != FP_ETHERTYPE_QINQ) ||
            check->frame->length - at < FP_VLAN_SIZE)
            break;
        at += FP_VLAN_SIZE;
        type = fp_load_be16(check->frame->data + at - 2);
    }
    switch (type) {
    case FP_ETHERTYPE_ARP:
        return check_arp(check, at);
    case FP_ETHERTYPE_IPV4:
    case FP_ETHERTYPE_IPV6:
    case FP_ETHERTYPE_VLAN:
    case FP_ETHERTYPE_QINQ:
        return FP_DROP_hidden_headers;
    default:
        return is_final(check, at) ? FP_DROP_NONE : FP_DROP_hidden_headers;
    }
}

// Clients do not look at the port that an answer comes from, so the one that it goes to counts, too.
static uint32_t check_dhcp(const struct check *check, uint32_t at, uint16_t server,
                           uint16_t client) {
    const uint8_t *ports = check->frame->data + at;
    if (at + 4 > check->frame->flow.end)
        return FP_DROP_hidden_headers;
    return fp_load_be16(ports) == server || fp_load_be16(ports + 2) == client ? FP_DROP_rogue_dhcp
                                                                              : FP_DROP_NONE;
}

static bool is_dhcp_client(const struct check *check) {
    const struct fp_flow *flow = &check->frame->flow;
    const uint8_t *ports = check->frame->data + flow->transport;
    return flow->protocol == FP_PROTOCOL_UDP && flow->transport != 0 &&
           flow->transport + 4U <= flow->end && fp_load_be16(ports) == FP_DHCP_CLIENT &&
           fp_load_be16(ports + 2) == FP_DHCP_SERVER;
}

static uint32_t check_ipv4(const struct check *check) {
    const struct fp_flow *flow = &check->frame->flow;
    const uint8_t *ip = check->frame->data + flow->network;
    const uint8_t *source = ip + FP_IPV4_SOURCE;
    const uint32_t at = flow->network + (ip[0] & 0x0fU) * 4;
    if (!is_final(check, at + 4)) // with the ports
        return FP_DROP_hidden_headers;
    if (!owns4(check, source)) {
        const bool nowhere = memcmp(source, unspecified, 4) == 0;
        return nowhere && is_dhcp_client(check) ? FP_DROP_NONE
                                                : refuse4(check, source, FP_DROP_spoofed_source);
    }
    if (flow->protocol != FP_PROTOCOL_UDP)
        return FP_DROP_NONE;
    const bool later =
        flow->fragment && (fp_load_be16(ip + FP_IPV4_FRAGMENT) & IPV4_FRAGMENT_OFFSET) != 0;
    return later ? FP_DROP_NONE : check_dhcp(check, at, FP_DHCP_SERVER, FP_DHCP_CLIENT);
}

// Every link-layer address in the options is the sender's. What is malformed is refused, as receivers do.
static uint32_t check_options(const struct check *check, uint32_t offset) {
    const uint32_t end = check->frame->flow.end;
    for (uint32_t size; offset < end; offset += size) {
        const uint8_t *option = check->frame->data + offset;
        if (end - offset < 8)
            return FP_DROP_spoofed_arp;
        size = 8 * (uint32_t)option[1];
        if (size == 0 || size > end - offset)
            return FP_DROP_spoofed_arp;
        const bool names = option[0] == FP_ND_SOURCE_MAC || option[0] == FP_ND_TARGET_MAC;
        if (names && (size != 8 || fp_load_mac(option + 2) != check->sender->mac))
            return FP_DROP_spoofed_arp;
    }
    return FP_DROP_NONE;
}

static uint32_t check_discovery(const struct check *check, uint32_t at, bool nowhere) {
    const uint8_t *icmp = check->frame->data + at;
    const uint32_t options = icmp[0] == FP_ND_ROUTER_SOLICIT ? FP_ND_ROUTER_OPTIONS : FP_ND_OPTIONS;
    // A fragment, or too short: receivers drop both, which is no reason to pass them on (RFC 6980).
    if (check->frame->flow.fragment || check->frame->flow.end - at < options)
        return FP_DROP_hidden_headers;
    // An advertisement says who has the target; a solicitation from :: that the sender is about to.
    const bool claims = icmp[0] == FP_ND_ADVERTISE || (icmp[0] == FP_ND_SOLICIT && nowhere);
    if (claims && !owns6(check, icmp + FP_ND_TARGET))
        return refuse6(check, icmp + FP_ND_TARGET, FP_DROP_spoofed_arp);
    return check_options(check, at + options);
}

static uint32_t check_icmp6(const struct check *check, uint32_t at, bool nowhere) {
    switch (check->frame->data[at]) {
    case FP_ND_ROUTER_ADVERTISE:
    case FP_ND_REDIRECT:
        return FP_DROP_rogue_router;
    case FP_ND_ADVERTISE:
        return nowhere ? FP_DROP_spoofed_source : check_discovery(check, at, nowhere);
    case FP_ND_ROUTER_SOLICIT:
    case FP_ND_SOLICIT:
        return check_discovery(check, at, nowhere);
    case FP_MLD_REPORT: // RFC 3590 and 3810: a host without an address yet sends them
    case FP_MLD_DONE:
    case FP_MLD2_REPORT:
        return FP_DROP_NONE;
    default:
        return nowhere ? FP_DROP_spoofed_source : FP_DROP_NONE;
    }
}

// Whether an open checksum belongs behind all that is checked. What lies in ICMPv6 is, but for its own checksum.
static bool is_final6(const struct check *check, enum fp_upper_kind kind,
                      const struct fp_upper *upper) {
    if (!check->frame->needs_checksum)
        return true;
    if (kind == FP_UPPER_LATER) // of a packet that was finished before it was cut
        return false;
    if (kind == FP_UPPER_READ && upper->protocol == FP_PROTOCOL_ICMPV6)
        return fp_allowed_open_checksum(check->frame) == upper->at + FP_ICMP6_CHECKSUM;
    return is_final(check, upper->at + (kind == FP_UPPER_READ ? 4 : 0)); // with the ports
}

static uint32_t check_ipv6(const struct check *check) {
    const struct fp_flow *flow = &check->frame->flow;
    const uint8_t *source = check->frame->data + flow->network + FP_IPV6_SOURCE;
    struct fp_upper upper = {.at = flow->transport, .protocol = flow->protocol};
    const bool own = owns6(check, source);
    const bool nowhere = !own && memcmp(source, unspecified, sizeof unspecified) == 0;
    if (!own && !nowhere)
        return refuse6(check, source, FP_DROP_spoofed_source);
    const enum fp_upper_kind kind =
        flow->transport != 0 ? FP_UPPER_READ : fp_flow_upper(check->frame->data, flow, &upper);
    if (kind == FP_UPPER_HIDDEN || !is_final6(check, kind, &upper))
        return FP_DROP_hidden_headers;
    if (kind == FP_UPPER_READ && upper.protocol == FP_PROTOCOL_ICMPV6)
        return check_icmp6(check, upper.at, nowhere);
    if (nowhere)
        return FP_DROP_spoofed_source;
    if (kind == FP_UPPER_READ && upper.protocol == FP_PROTOCOL_UDP)
        return check_dhcp(check, upper.at, DHCP6_SERVER, DHCP6_CLIENT);
    return FP_DROP_NONE;
}

uint32_t fp_allowed_check(const struct fp_allowed *allowed, const struct fp_frame *frame,
                          struct fp_claim *claim) {
    const uint64_t mac = fp_load_mac(frame->data + FP_MAC_SIZE);
    const struct check check = {allowed, find_sender(allowed, mac), frame, claim};
    if (check.sender == NULL)
        return FP_DROP_spoofed_source;
    switch (frame->flow.version) {
    case 4:
        return check_ipv4(&check);
    case 6:
        return check_ipv6(&check);
    default:
        return check_other(&check);
    }
}
