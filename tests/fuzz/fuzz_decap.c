// SPDX-License-Identifier: Apache-2.0
// A packet from the underlay, through everything that happens to it.
//
// Input: outer TOS, options (bit 0 strict, bit 1 the segments don't learn), then the UDP payload.
#include <stdlib.h>
#include <string.h>

#include "forward/bridge.h"
#include "monitor/count.h"
#include "offload_bed.h"
#include "packet/checksum.h"
#include "packet/encap.h"
#include "packet/offload.h"
#include "packet/wire.h"
#include "path/decap.h"

enum { OPTION_STRICT = 1, OPTION_NO_LEARNING = 2 };
enum { DROP_ECN = 4, CE = 3 };

// RFC 6040 section 4.2, figure 4: [outer][inner] -> inner; Not-ECT, ECT(1), ECT(0), CE.
static const uint8_t ecn_after[4][4] = {
    {0, 1, 2, 3},
    {0, 1, 1, 3},
    {0, 1, 2, 3},
    {DROP_ECN, 3, 3, 3},
};

// What fp_decap ought to say, from the payload alone.
struct expectation {
    enum fp_drop drop;
    bool reserved; // set bits that are reserved, in a packet of ours
    bool ignored; // and they are only counted
    uint8_t ecn;   // of the inner IP packet afterwards, if there is one
    struct fp_flow flow; // before the congestion mark is merged
};

static bool is_ours(uint32_t vni) {
    for (uint32_t i = 0; i < BED_SEGMENTS; i++)
        if (bed_vni[i] == vni)
            return true;
    return false;
}

static enum fp_drop expected_drop(struct expectation *expect, const uint8_t *payload, size_t size,
                                  uint8_t tos, bool strict) {
    if (size < 8)
        return FP_DROP_short_packet;
    if (!(payload[0] & 0x08))
        return FP_DROP_no_vni_flag;
    if (!is_ours((uint32_t)payload[4] << 16 | (uint32_t)payload[5] << 8 | payload[6]))
        return FP_DROP_unknown_vni;
    expect->reserved = payload[0] != 0x08 || payload[1] != 0 || payload[2] != 0 ||
                       payload[3] != 0 || payload[7] != 0;
    expect->ignored = expect->reserved && !strict && (payload[0] & 0x35) == 0;
    if (expect->reserved && !expect->ignored)
        return FP_DROP_reserved_bits;
    if (size - 8 < 14)
        return FP_DROP_runt;
    fp_flow_parse(payload + 8, (uint32_t)size - 8, &expect->flow);
    if (expect->flow.version == 0)
        return FP_DROP_NONE;
    expect->ecn = ecn_after[tos & 3][expect->flow.tos & 3];
    return expect->ecn == DROP_ECN ? FP_DROP_ecn_invalid : FP_DROP_NONE;
}

// Nothing of the inner frame changed but its congestion mark and, with it, the IPv4 checksum.
static void check_bytes(const struct fp_frame *frame, const uint8_t *before,
                        const struct expectation *expect) {
    void *memory;
    uint8_t *wanted = exact_copy(before, frame->length, 0, &memory);
    const struct fp_flow *flow = &frame->flow;
    if (flow->version == 4) {
        uint8_t *ip = wanted + flow->network;
        const uint8_t *got = frame->data + flow->network;
        const uint32_t size = (uint32_t)(ip[0] & 15) * 4;
        CHECK(same_sum(slow_sum(0, got, size), slow_sum(0, ip, size)));
        ip[1] = (uint8_t)((ip[1] & ~3) | expect->ecn);
        if (expect->ecn != (expect->flow.tos & 3))
            memcpy(ip + FP_IPV4_CHECKSUM, got + FP_IPV4_CHECKSUM, 2);
    } else if (flow->version == 6) {
        uint8_t *ip = wanted + flow->network;
        ip[1] = (uint8_t)((ip[1] & ~0x30) | (expect->ecn << 4));
    }
    CHECK(memcmp(frame->data, wanted, frame->length) == 0);
    free(memory);
    struct fp_flow again;
    fp_flow_parse(frame->data, frame->length, &again);
    CHECK(same_flow(flow, &again));
}

static void check_checksum(const struct fp_frame *frame) {
    if (!frame->needs_checksum)
        return;
    CHECK(frame->checksum_start == frame->flow.transport);
    CHECK(frame->checksum_offset == checksum_field(&frame->flow) && frame->checksum_offset != 0);
    CHECK(frame->checksum_start + frame->checksum_offset + 2U <= frame->length);
    const uint8_t *ip = frame->data + frame->flow.network;
    uint16_t field;
    memcpy(&field, frame->data + frame->checksum_start + frame->checksum_offset, sizeof field);
    CHECK(field == slow_pseudo(ip, frame->flow.version, frame->flow.protocol,
                               frame->flow.end - frame->flow.transport));
}

// The learning bridge by its rules: a frame from the remote `here`, nothing learned before.
static fp_dest expected_target(const struct fp_frame *frame, bool learning) {
    const uint64_t destination = fp_load_mac(frame->data), source = fp_load_mac(frame->data + 6);
    if (source == 0 || fp_mac_is_multicast(source))
        return fp_dest_make(FP_DEST_DROP, FP_DROP_bad_source_mac);
    if (source == BED_MAC_OWN)
        return fp_dest_make(FP_DEST_DROP, FP_DROP_own_source);
    if (learning && (source == BED_MAC_ELSEWHERE || source == BED_MAC_GROUP))
        return fp_dest_make(FP_DEST_DROP, FP_DROP_static_source);
    if (destination == BED_MAC_OWN)
        return fp_dest_make(FP_DEST_PORT, BED_PORT);
    const bool remote = destination == BED_MAC_HERE || destination == BED_MAC_ELSEWHERE ||
                        destination == BED_MAC_GROUP || (learning && destination == source);
    return remote ? fp_dest_make(FP_DEST_DROP, FP_DROP_split_horizon)
                  : fp_dest_make(FP_DEST_FLOOD, 0);
}

// Sent on to another VTEP, the packet brings the same frame there.
static void check_encap(struct bed *bed, struct fp_frame *frame) {
    struct fp_packet packet;
    uint32_t completed = 0;
    const bool unfinished = frame->needs_checksum;
    const uint32_t vni = frame->segment->vni;
    CHECK(fp_encap(frame, vni, &packet, &completed) == FP_DROP_NONE);
    CHECK(completed == unfinished && !frame->needs_checksum);
    CHECK(packet.data == frame->data - 8 && packet.length == frame->length + 8);
    const uint8_t header[8] = {8, 0, 0, 0, (uint8_t)(vni >> 16), (uint8_t)(vni >> 8), (uint8_t)vni};
    CHECK(memcmp(packet.data, header, sizeof header) == 0);
    const uint8_t inner = frame->flow.tos & 3;
    CHECK(packet.tos == (frame->flow.version == 0 ? 0 : inner == CE ? 2 : inner));

    void *memory;
    struct fp_frame twin = {0};
    twin.data = exact_copy(packet.data, packet.length, FP_HEADROOM - 8, &memory);
    twin.length = packet.length;
    twin.outer_tos = packet.tos;
    CHECK(fp_decap(&bed->context, &twin, true) == FP_DROP_NONE);
    CHECK(twin.vni == vni && twin.segment == frame->segment && twin.length == frame->length);
    CHECK(memcmp(twin.data, frame->data, frame->length) == 0);
    CHECK(same_flow(&twin.flow, &frame->flow));
    free(memory);
}

static void check_accepted(struct bed *bed, struct fp_frame *frame, bool learning) {
    check_flow(&frame->flow, frame->length);
    check_checksum(frame);
    CHECK(frame->gso_size == 0 && frame->gso_type == 0);

    frame->source = fp_dest_make(FP_DEST_REMOTE, bed->here);
    fp_count_in(&bed->context, frame);
    fp_segment_set_learning(frame->segment, learning);
    const fp_dest target = expected_target(frame, learning);
    fp_bridge_forward(NULL, &bed->context, frame, 1);
    CHECK(frame->target == target);

    check_vnet_write(frame);
    if (frame->needs_checksum) {
        struct fp_frame copy = *frame;
        void *memory;
        copy.data = exact_copy(frame->data, frame->length, 0, &memory);
        CHECK(fp_offload_complete(&copy) && !copy.needs_checksum);
        free(memory);
    }
    check_encap(bed, frame);
}

static void check_dropped(struct bed *bed, const struct fp_frame *frame, enum fp_drop drop) {
    const uint64_t before = bed_drops(bed, drop);
    CHECK(fp_drop_name(drop) != NULL && fp_drop_sentence(drop) != NULL);
    CHECK((frame->segment == NULL) == (drop == FP_DROP_short_packet ||
                                       drop == FP_DROP_no_vni_flag || drop == FP_DROP_unknown_vni));
    fp_drop(&bed->context, frame, drop);
    CHECK(bed_drops(bed, drop) == before + 1);
}

// As if the kernel had said that it is a train, or holds a super-frame, with segments of some size.
static void check_segmented(struct bed *bed, const uint8_t *payload, uint32_t length, uint8_t tos) {
    const uint32_t sizes[] = {1, 8, 9, 21, 40, length / 3, length / 2, length - 1, length, 1448};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *memory;
        struct fp_frame frame = {0};
        frame.data = exact_copy(payload, length, FP_HEADROOM - FP_VXLAN_SIZE, &memory);
        frame.length = length;
        frame.outer_tos = tos;
        frame.gso_size = (uint16_t)sizes[i];
        const struct fp_tables *tables = bed->context.tables;
        const uint32_t unit = fp_train_unit(tables, frame.data, length, sizes[i], true);
        // From a peer that never sends super-frames, the kernel's word alone counts.
        CHECK(fp_train_unit(tables, frame.data, length, sizes[i], false) ==
              (sizes[i] == 0 || sizes[i] >= length ? length : sizes[i]));
        CHECK(unit == length || unit == 0 || (unit == sizes[i] && unit < length));
        if (unit == 0 && length != 0) { // it could be either: a VXLAN header wherever one may be
            for (uint32_t at = sizes[i]; at < length; at += sizes[i])
                CHECK(length - at >= FP_VXLAN_SIZE && (payload[at] & 0x08) != 0);
        } else if (fp_decap(&bed->context, &frame, false) == FP_DROP_NONE) {
            // Not a train: it is a whole UDP or TCP packet, and can be split.
            CHECK(unit != length || sizes[i] == 0 || sizes[i] >= length ||
                  frame.length == length - FP_VXLAN_SIZE);
            CHECK((frame.gso_size != 0) == (frame.gso_type != 0));
            if (frame.gso_size != 0)
                check_split(&frame);
        }
        free(memory);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct bed bed;
    if (bed.context.tables == NULL)
        bed_new(&bed);
    struct input input = {data, size};
    const uint8_t tos = take8(&input), options = take8(&input);
    const bool strict = options & OPTION_STRICT;
    struct expectation expect = {0};
    expect.drop = expected_drop(&expect, input.at, input.left, tos, strict);
    const uint64_t ignored = bed_events(&bed, FP_EVENT_reserved_bits_ignored);
    const uint64_t marked = bed_events(&bed, FP_EVENT_ecn_marked);
    const uint64_t inferred = bed_events(&bed, FP_EVENT_checksum_inferred);

    void *memory;
    struct fp_frame frame = {0};
    frame.data = exact_copy(input.at, input.left, FP_HEADROOM - FP_VXLAN_SIZE, &memory);
    frame.length = (uint32_t)input.left;
    frame.outer_tos = tos;
    const enum fp_drop drop = fp_decap(&bed.context, &frame, strict);
    CHECK(drop == expect.drop);
    CHECK(bed_events(&bed, FP_EVENT_reserved_bits_ignored) - ignored == expect.ignored);
    if (drop == FP_DROP_NONE) {
        const bool changed = expect.flow.version != 0 && expect.ecn != (expect.flow.tos & 3);
        CHECK(bed_events(&bed, FP_EVENT_ecn_marked) - marked == changed);
        CHECK(bed_events(&bed, FP_EVENT_checksum_inferred) - inferred == frame.needs_checksum);
        CHECK(frame.length == input.left - FP_VXLAN_SIZE && is_ours(frame.vni));
        CHECK(frame.segment->vni == frame.vni);
        check_bytes(&frame, input.at + FP_VXLAN_SIZE, &expect);
        check_accepted(&bed, &frame, !(options & OPTION_NO_LEARNING));
    } else {
        check_dropped(&bed, &frame, drop);
    }
    free(memory);
    check_segmented(&bed, input.at, (uint32_t)input.left, tos);
    bed_forget(&bed);
    return 0;
}
