// SPDX-License-Identifier: Apache-2.0
#include "forward/respond.h"

#include "monitor/count.h"
#include "packet/checksum.h"
#include "packet/neighbour.h"
#include "packet/wire.h"

// Offsets from the Ethernet header on, as everywhere here: these packets have neither tags nor extension
// headers.
enum {
    ARP = FP_ETHERNET_SIZE,
    ARP_SENDER_MAC = ARP + FP_ARP_SENDER_MAC,
    ARP_SENDER_IP = ARP + FP_ARP_SENDER_IP,
    ARP_TARGET_MAC = ARP + FP_ARP_TARGET_MAC,
    ARP_TARGET_IP = ARP + FP_ARP_TARGET_IP,
    ARP_SIZE = ARP + FP_ARP_SIZE,

    IP6 = FP_ETHERNET_SIZE,
    IP6_HOP_LIMIT = IP6 + 7,
    IP6_SOURCE = IP6 + FP_IPV6_SOURCE,
    IP6_DESTINATION = IP6_SOURCE + 16,
    ND = IP6 + FP_IPV6_SIZE,
    ND_CHECKSUM = ND + FP_ICMP6_CHECKSUM,
    ND_TARGET = ND + FP_ND_TARGET,
    ND_OPTIONS = ND + FP_ND_OPTIONS,
    ND_ADVERTISEMENT_SIZE = ND_OPTIONS + 8, // with the target's link-layer address
    ND_HOP_LIMIT = 255, // of a packet that no router passed on
    ND_ROUTER = 0x80, // flags
    ND_SOLICITED = 0x40,
    ND_OVERRIDE = 0x20,
};

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t solicited_node[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
static const uint8_t unspecified[16];

#define MAC_BROADCAST UINT64_C(0xffffffffffff)
#define MAC_ALL_NODES UINT64_C(0x333300000001)

struct question {
    uint8_t target[16]; // IPv4 as ::ffff:a.b.c.d
    uint64_t asker; // the MAC address
};

static bool read_arp(const struct fp_frame *frame, struct question *question) {
    const uint8_t *at = fp_frame_at(frame, 0, ARP_SIZE);
    if (at == NULL || frame->needs_checksum || fp_load_mac(at) != MAC_BROADCAST ||
        fp_load_be16(at + ARP + FP_ARP_HARDWARE) != FP_ARP_ETHERNET ||
        fp_load_be16(at + ARP + FP_ARP_PROTOCOL) != FP_ETHERTYPE_IPV4 ||
        at[ARP + FP_ARP_SIZES] != FP_MAC_SIZE || at[ARP + FP_ARP_SIZES + 1] != 4 ||
        fp_load_be16(at + ARP + FP_ARP_OPERATION) != FP_ARP_REQUEST)
        return false;
    question->asker = fp_load_mac(at + ARP_SENDER_MAC);
    memcpy(question->target, v4_prefix, sizeof v4_prefix);
    memcpy(question->target + sizeof v4_prefix, at + ARP_TARGET_IP, 4);
    return question->asker == fp_load_mac(at + FP_MAC_SIZE) &&
           memcmp(at + ARP_SENDER_IP, at + ARP_TARGET_IP, 4) != 0;
}

// The options are well-formed, and if the asker tells its link-layer address, it is the frame's.
static bool check_options(const struct fp_frame *frame, bool probe, uint64_t asker) {
    for (uint32_t offset = ND_OPTIONS, size; offset < frame->flow.end; offset += size) {
        const uint32_t left = frame->flow.end - offset;
        const uint8_t *option = fp_frame_at(frame, offset, 8); // the least that one takes
        if (left < 8 || option == NULL)
            return false;
        size = 8 * (uint32_t)option[1];
        if (size == 0 || size > left)
            return false;
        if (option[0] == FP_ND_SOURCE_MAC &&
            (probe || size != 8 || fp_load_mac(option + 2) != asker))
            return false;
    }
    return true;
}

static bool check_sum(const struct fp_frame *frame, const uint8_t *at) {
    if (frame->needs_checksum) // left to be finished, which an answer does not need
        return frame->checksum_start == ND && frame->checksum_offset == ND_CHECKSUM - ND;
    const uint32_t size = frame->flow.end - ND;
    const uint64_t pseudo = fp_checksum_pseudo(at + IP6, 6, FP_PROTOCOL_ICMPV6, size);
    return fp_checksum_fold(fp_checksum_add(pseudo, at + ND, size)) == 0xffff;
}

// Those that RFC 4861 section 7.1.1 calls valid, to the address that section 7.2.2 sends them to.
static bool read_solicitation(const struct fp_frame *frame, struct question *question) {
    const struct fp_flow *flow = &frame->flow;
    const uint8_t *at = fp_frame_at(frame, 0, ND_OPTIONS);
    if (at == NULL || flow->version != 6 || flow->network != IP6 || flow->transport != ND ||
        flow->protocol != FP_PROTOCOL_ICMPV6 || flow->end < ND_OPTIONS ||
        flow->end > frame->length || at[IP6_HOP_LIMIT] != ND_HOP_LIMIT || at[ND] != FP_ND_SOLICIT ||
        at[ND + FP_ICMP6_CODE] != 0)
        return false;
    const uint8_t *source = at + IP6_SOURCE, *target = at + ND_TARGET;
    const bool probe = memcmp(source, unspecified, sizeof unspecified) == 0;
    if (memcmp(at + IP6_DESTINATION, solicited_node, sizeof solicited_node) != 0 ||
        memcmp(at + IP6_DESTINATION + 13, target + 13, 3) != 0 || source[0] == 0xff ||
        target[0] == 0xff || memcmp(target, v4_prefix, sizeof v4_prefix) == 0 ||
        memcmp(source, target, 16) == 0)
        return false;
    question->asker = fp_load_mac(at + FP_MAC_SIZE);
    memcpy(question->target, target, sizeof question->target);
    return check_options(frame, probe, question->asker) && check_sum(frame, at);
}

static void write_reply(struct fp_frame *frame, uint64_t asker, uint64_t mac) {
    uint8_t *at = frame->data;
    uint8_t answer[4];
    memcpy(answer, at + ARP_TARGET_IP, sizeof answer);
    fp_store_mac(at, asker);
    fp_store_mac(at + FP_MAC_SIZE, mac);
    fp_store_be16(at + ARP + FP_ARP_OPERATION, FP_ARP_REPLY);
    memcpy(at + ARP_TARGET_IP, at + ARP_SENDER_IP, 4);
    fp_store_mac(at + ARP_TARGET_MAC, asker);
    memcpy(at + ARP_SENDER_IP, answer, sizeof answer);
    fp_store_mac(at + ARP_SENDER_MAC, mac);
    frame->length = ARP_SIZE;
}

_Static_assert(ND_ADVERTISEMENT_SIZE - ND_OPTIONS <= FP_VXLAN_SIZE, "it must fit");

static void write_advertisement(struct fp_frame *frame, const struct question *question,
                                uint64_t mac, bool router) {
    uint8_t asker[16];
    memcpy(asker, frame->data + IP6_SOURCE, sizeof asker);
    const bool probe = memcmp(asker, unspecified, sizeof unspecified) == 0;
    // What stands behind the frame is another's, what stands in front of it is ours.
    if (frame->length < ND_ADVERTISEMENT_SIZE)
        frame->data -= ND_ADVERTISEMENT_SIZE - frame->length;
    frame->length = ND_ADVERTISEMENT_SIZE;
    uint8_t *at = frame->data;
    memset(at, 0, ND_ADVERTISEMENT_SIZE);
    fp_store_mac(at, probe ? MAC_ALL_NODES : question->asker);
    fp_store_mac(at + FP_MAC_SIZE, mac);
    fp_store_be16(at + FP_ETHERNET_SIZE - 2, FP_ETHERTYPE_IPV6);
    at[IP6] = 6 << 4;
    fp_store_be16(at + IP6 + FP_IPV6_LENGTH, ND_ADVERTISEMENT_SIZE - ND);
    at[IP6 + FP_IPV6_NEXT] = FP_PROTOCOL_ICMPV6;
    at[IP6_HOP_LIMIT] = ND_HOP_LIMIT;
    memcpy(at + IP6_SOURCE, question->target, 16);
    memcpy(at + IP6_DESTINATION, probe ? all_nodes : asker, 16);
    at[ND] = FP_ND_ADVERTISE;
    at[ND + FP_ND_FLAGS] =
        (uint8_t)((router ? ND_ROUTER : 0) | (probe ? 0 : ND_SOLICITED) | ND_OVERRIDE);
    memcpy(at + ND_TARGET, question->target, 16);
    at[ND_OPTIONS] = FP_ND_TARGET_MAC;
    at[ND_OPTIONS + 1] = 1; // times 8 bytes
    fp_store_mac(at + ND_OPTIONS + 2, mac);
    const uint32_t size = ND_ADVERTISEMENT_SIZE - ND;
    const uint64_t pseudo = fp_checksum_pseudo(at + IP6, 6, FP_PROTOCOL_ICMPV6, size);
    const uint16_t sum = (uint16_t)~fp_checksum_fold(fp_checksum_add(pseudo, at + ND, size));
    memcpy(at + ND_CHECKSUM, &sum, sizeof sum);
}

// What becomes of a question for an address that is no neighbour's.
static fp_dest not_known(const struct fp_context *context, const struct fp_segment *segment,
                         const uint8_t *target) {
    const struct fp_complete *complete =
        atomic_load_explicit(&segment->complete, memory_order_acquire);
    if (complete != NULL && fp_is_vouched(context) && fp_complete_is_nobodys(complete, target))
        return fp_dest_make(FP_DEST_DROP, FP_DROP_unknown_target);
    return fp_dest_make(FP_DEST_NONE, 0);
}

fp_dest fp_respond(const struct fp_context *context, struct fp_frame *frame) {
    const fp_dest not_ours = fp_dest_make(FP_DEST_NONE, 0);
    const uint8_t *type = fp_frame_at(frame, FP_ETHERNET_SIZE - 2, 2);
    struct question question;
    if (type == NULL || frame->gso_size != 0)
        return not_ours;
    const bool arp = fp_load_be16(type) == FP_ETHERTYPE_ARP;
    if (!(arp ? read_arp(frame, &question) : read_solicitation(frame, &question)))
        return not_ours;

    const uint32_t segment = frame->segment->index;
    const uint64_t number = fp_directory_get(context->tables->neighbours, segment, question.target);
    const uint64_t mac = number & ~FP_NEIGHBOUR_ROUTER;
    if (mac == 0)
        return not_known(context, frame->segment, question.target);
    if (mac == question.asker)
        return not_ours;
    const uint64_t key = fp_fdb_key(segment, mac);
    struct fp_fdb_value found;
    fp_fdb_lookup(context->tables->fdb, &key, 1, &found);
    if (fp_dest_kind(found.dest) == FP_DEST_NONE)
        return not_ours; // the question may teach us where the neighbour is
    if (found.dest == frame->source)
        return fp_dest_make(FP_DEST_DROP, FP_DROP_same_port);

    if (arp)
        write_reply(frame, question.asker, mac);
    else
        write_advertisement(frame, &question, mac, number & FP_NEIGHBOUR_ROUTER);
    frame->bytes = frame->length;
    frame->needs_checksum = false;
    fp_flow_parse(frame->data, frame->length, &frame->flow);
    fp_note(context, frame, FP_EVENT_answered);
    return frame->source;
}
