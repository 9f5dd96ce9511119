// SPDX-License-Identifier: Apache-2.0
// Frames that arrived together, from segments of a few streams, each perhaps damaged: merged, and
// compared with what came in.
//
// Input: the gap between frames and options (1: checksums stay as they are after a change, 2: all packets
// are of one train), then for each frame a byte that says what it is (see make), and what that takes.
#include <string.h>

#include "offload_bed.h"
#include "packet/offload.h"
#include "packet/wire.h"

enum {
    VNI = 42,
    OPTION_RAW = 1,
    OPTION_TRAIN = 2,
    STREAMS = 4,
    MAX_FRAMES = 48,
    MAX_SIZE = 700,
    MEMORY = 1 << 16
};

struct stream {
    uint32_t sequence;
    uint16_t id;
};

// Right checksums, where there is a header that has them.
static void finish(uint8_t *frame, uint32_t length) {
    struct fp_flow flow;
    fp_flow_parse(frame, length, &flow);
    if (flow.version == 4) {
        uint8_t *ip = frame + flow.network;
        memset(ip + 10, 0, 2);
        const uint16_t checksum = (uint16_t)~slow_sum(0, ip, (ip[0] & 15) * 4U);
        memcpy(ip + 10, &checksum, 2);
    }
    const uint16_t field = checksum_field(&flow);
    if (field == 0)
        return;
    uint8_t *at = frame + flow.transport;
    const uint32_t size = flow.end - flow.transport;
    memset(at + field, 0, 2);
    const uint16_t pseudo = slow_pseudo(frame + flow.network, flow.version, flow.protocol, size);
    uint16_t checksum = (uint16_t)~slow_sum(pseudo, at, size);
    if (checksum == 0)
        checksum = 0xffff;
    memcpy(at + field, &checksum, 2);
}

// A segment of one of four streams: TCP or UDP over IPv4 or IPv6. Returns its length.
static uint32_t make_segment(uint8_t *to, uint32_t which, struct stream *stream, uint32_t payload,
                             uint8_t flags) {
    const bool tcp = which & 1, four = which & 2;
    const uint32_t ip_size = four ? 20 : 40, header = tcp ? 20 : 8;
    const uint32_t length = 14 + ip_size + header + payload;
    uint8_t *ip = to + 14, *at = ip + ip_size;
    memset(to, 0, 14 + ip_size + header);
    to[5] = 1;
    to[11] = 9;
    fp_store_be16(to + 12, four ? FP_ETHERTYPE_IPV4 : FP_ETHERTYPE_IPV6);
    const uint8_t protocol = tcp ? FP_PROTOCOL_TCP : FP_PROTOCOL_UDP;
    if (four) {
        ip[0] = 0x45;
        fp_store_be16(ip + 2, (uint16_t)(length - 14));
        fp_store_be16(ip + 4, stream->id++);
        ip[8] = 64;
        ip[9] = protocol;
        ip[15] = 1;
        ip[19] = 2;
    } else {
        ip[0] = 0x60;
        fp_store_be16(ip + 4, (uint16_t)(header + payload));
        ip[6] = protocol;
        ip[7] = 64;
        ip[23] = 1;
        ip[39] = 2;
    }
    fp_store_be16(at, 1000);
    fp_store_be16(at + 2, 2000);
    if (tcp) {
        fp_store_be32(at + 4, stream->sequence);
        at[12] = 0x50;
        at[13] = (uint8_t)(FP_TCP_ACK ^ flags);
    } else {
        fp_store_be16(at + 4, (uint16_t)(8 + payload));
    }
    for (uint32_t i = 0; i < payload; i++)
        at[header + i] = (uint8_t)((stream->sequence + i) * 167 >> 3);
    stream->sequence += payload;
    finish(to, length);
    return length;
}

enum { WHICH = 3, HAS_SIZE = 4, HAS_FLAGS = 8, CHANGES = 16, CUTS = 32, PADS = 64, IS_RAW = 128 };

static uint32_t make(struct input *input, struct stream *streams, uint8_t options, uint8_t *to) {
    const uint8_t what = take8(input);
    uint32_t length;
    if (what & IS_RAW) {
        length = take8(input);
        for (uint32_t i = 0; i < length; i++)
            to[i] = take8(input);
        return length;
    }
    const uint32_t payload = what & HAS_SIZE ? take16(input) % MAX_SIZE : 90;
    const uint8_t flags = what & HAS_FLAGS ? take8(input) : 0;
    length = make_segment(to, what & WHICH, &streams[what & WHICH], payload, flags);
    if (what & CHANGES) {
        const uint32_t at = take8(input) % length;
        to[at] ^= take8(input);
        if (!(options & OPTION_RAW))
            finish(to, length);
    }
    if (what & CUTS)
        length -= take8(input) % length;
    if (what & PADS)
        for (uint32_t i = take8(input) & 15; i > 0; i--)
            to[length++] = 0;
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct fp_burst burst;
    static uint8_t scratch[MEMORY];
    struct input input = {data, size};
    const uint32_t gap = FP_VXLAN_SIZE + (take8(&input) & 63);
    const uint8_t options = take8(&input);
    struct stream streams[STREAMS] = {0};
    struct arrived arrived[MAX_FRAMES];
    uint32_t count = 0, used = 0;
    while (input.left > 0 && count < MAX_FRAMES && used + MAX_SIZE + 400 < MEMORY) {
        uint8_t *at = scratch + used;
        const uint32_t length = make(&input, streams, options, at);
        if (length < FP_ETHERNET_SIZE) // fp_decap lets none of these pass
            continue;
        arrived[count].bytes = at;
        arrived[count].length = length;
        fp_flow_parse(at, length, &arrived[count++].flow);
        used += length;
    }
    // One behind the other in memory that ends with the last one, as in a receive buffer.
    const size_t room = FP_HEADROOM + used + (size_t)count * gap;
    uint8_t *memory = malloc(room), *at = memory + FP_HEADROOM;
    burst.spare = malloc(FP_SPARE_SIZE);
    CHECK(memory != NULL && burst.spare != NULL);
    fp_burst_clear(&burst);
    for (uint32_t i = 0; i < count; i++) { // all are there before the first is looked at
        memset(at, 0xaa, gap);
        at += gap;
        fp_vxlan_write(at - FP_VXLAN_SIZE, VNI);
        memcpy(at, arrived[i].bytes, arrived[i].length);
        at += arrived[i].length;
    }
    at = memory + FP_HEADROOM;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *data_at = at + gap, *packet = data_at - FP_VXLAN_SIZE;
        const uint32_t length = arrived[i].length;
        at = data_at + length;
        if ((options & OPTION_TRAIN) && fp_burst_follow(&burst, packet, FP_VXLAN_SIZE + length))
            continue;
        // Nobody wrote over it, or it was put back.
        CHECK(fp_vxlan_flags(packet) == FP_VXLAN_FLAG_I && fp_vxlan_vni(packet) == VNI);
        CHECK(memcmp(data_at, arrived[i].bytes, length) == 0);
        struct fp_frame *frame = &burst.frame[burst.count];
        *frame = (struct fp_frame){
            .data = data_at, .length = length, .bytes = length, .segments = 1, .vni = VNI};
        fp_flow_parse(frame->data, frame->length, &frame->flow);
        fp_offload_infer(frame);
        fp_burst_take(&burst, memory + room);
    }
    const uint32_t merged = fp_burst_end(&burst);
    CHECK(merged == count - burst.count);
    check_merged(&burst, arrived, count);
    for (uint32_t i = 0; i < burst.count; i++) {
        struct fp_frame frame = burst.frame[i];
        if (frame.gso_size != 0 && fp_offload_measure(&frame))
            CHECK(check_split(&frame) == burst.frame[i].segments);
    }
    free(memory);
    free(burst.spare);
    return 0;
}
