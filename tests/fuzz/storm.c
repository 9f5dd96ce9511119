// SPDX-License-Identifier: Apache-2.0
// storm COUNT SEED: so many packets, most of them damaged, into fp_decap. Every packet has to be
// either accepted or counted as dropped for one reason, in what fp_decap returns and in the
// counters alike. What is accepted goes through merge in bursts, and through split.
//
// Packets lie at the end of one heap block, and all of it in front of their headroom is poisoned:
// the sanitizer sees what is too far on either side, as with a block for every packet, but faster.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sanitizer/asan_interface.h> // its macros are empty without the sanitizer

#include "bed.h"
#include "monitor/count.h"
#include "packet/checksum.h"
#include "packet/offload.h"
#include "packet/split.h"
#include "packet/wire.h"
#include "path/burst.h"
#include "path/decap.h"

enum {
    MAX_SEEDS = 32,
    MAX_SEED = 2048,
    HEADROOM = FP_HEADROOM - FP_VXLAN_SIZE, // what is left of it in front of the VXLAN header
};

// splitmix64: small, fast, and the same everywhere.
static uint64_t random_state;

static uint64_t random64(void) {
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t below(uint32_t bound) {
    return (uint32_t)(((random64() & 0xffffffff) * bound) >> 32);
}

static void random_bytes(uint8_t *at, uint32_t size) {
    for (; size >= 8; at += 8, size -= 8) {
        const uint64_t value = random64();
        memcpy(at, &value, sizeof value);
    }
    const uint64_t value = random64();
    memcpy(at, &value, size);
}

// ---- The seeds: valid packets, written front to back, lengths and checksums filled in at the end.

struct packet {
    uint32_t size;
    uint32_t ip; // where the IP header stands; 0: there is none
    uint8_t bytes[MAX_SEED];
};

static struct packet seeds[MAX_SEEDS];
static uint32_t seed_count;

static uint8_t *grow(struct packet *packet, uint32_t size) {
    CHECK(packet->size + size <= MAX_SEED);
    uint8_t *at = packet->bytes + packet->size;
    memset(at, 0, size);
    packet->size += size;
    return at;
}

// A new seed, up to its EtherType.
static struct packet *begin(uint32_t vni, uint16_t type) {
    CHECK(seed_count < MAX_SEEDS);
    struct packet *packet = &seeds[seed_count++];
    fp_vxlan_write(grow(packet, FP_VXLAN_SIZE), vni);
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9};
    memcpy(grow(packet, sizeof macs), macs, sizeof macs);
    fp_store_be16(grow(packet, 2), type);
    return packet;
}

static void tag(struct packet *packet, uint16_t type) {
    uint8_t *at = grow(packet, FP_VLAN_SIZE);
    fp_store_be16(at, 100);
    fp_store_be16(at + 2, type);
}

static uint8_t *ipv4(struct packet *packet, uint8_t protocol, uint8_t tos) {
    packet->ip = packet->size;
    uint8_t *ip = grow(packet, FP_IPV4_SIZE);
    static const uint8_t addresses[8] = {10, 0, 0, 1, 10, 0, 0, 2};
    ip[0] = 0x45;
    ip[FP_IPV4_TOS] = tos;
    ip[8] = 64;
    ip[FP_IPV4_PROTOCOL] = protocol;
    memcpy(ip + FP_IPV4_SOURCE, addresses, sizeof addresses);
    return ip;
}

static uint8_t *ipv6(struct packet *packet, uint8_t next, uint8_t tos) {
    packet->ip = packet->size;
    uint8_t *ip = grow(packet, FP_IPV6_SIZE);
    fp_store_be16(ip, (uint16_t)(0x6000 | tos << 4));
    ip[FP_IPV6_NEXT] = next;
    ip[7] = 64;
    for (uint8_t i = 0; i < 2; i++) {
        ip[FP_IPV6_SOURCE + i * 16] = 0xfd;
        ip[FP_IPV6_SOURCE + i * 16 + 15] = (uint8_t)(i + 1);
    }
    return ip;
}

static void extension(struct packet *packet, uint8_t next, uint32_t size) {
    uint8_t *at = grow(packet, size);
    at[0] = next;
    at[1] = (uint8_t)(size / 8 - 1);
}

enum finish { FINISHED, PARTIAL }; // of checksums: the pseudo-header's sum only

// A TCP or UDP header with its payload, which ends the packet.
static void transport(struct packet *packet, uint8_t *ip, uint8_t protocol, uint32_t payload,
                      enum finish finish) {
    const uint32_t header = protocol == FP_PROTOCOL_TCP ? FP_TCP_SIZE : FP_UDP_SIZE;
    uint8_t *at = grow(packet, header + payload);
    const uint32_t size = header + payload;
    const uint32_t field = protocol == FP_PROTOCOL_TCP ? FP_TCP_CHECKSUM : FP_UDP_CHECKSUM;
    const uint8_t version = ip[0] >> 4;
    fp_store_be16(at, 40000);
    fp_store_be16(at + 2, 80);
    if (protocol == FP_PROTOCOL_TCP)
        at[FP_TCP_OFFSET] = FP_TCP_SIZE / 4 << 4;
    else
        fp_store_be16(at + 4, (uint16_t)size);
    memset(at + header, 'x', payload);
    if (version == 4) {
        fp_store_be16(ip + FP_IPV4_LENGTH, (uint16_t)(at + size - ip));
        const uint16_t checksum = (uint16_t)~slow_sum(0, ip, FP_IPV4_SIZE);
        memcpy(ip + FP_IPV4_CHECKSUM, &checksum, sizeof checksum);
    } else {
        fp_store_be16(ip + FP_IPV6_LENGTH, (uint16_t)(at + size - ip - FP_IPV6_SIZE));
    }
    uint16_t checksum = slow_pseudo(ip, version, protocol, size);
    if (finish == FINISHED)
        checksum = (uint16_t)~slow_sum(checksum, at, size);
    memcpy(at + field, &checksum, sizeof checksum);
}

static void make_seeds(void) {
    struct packet *packet;
    uint8_t *ip;

    packet = begin(42, FP_ETHERTYPE_ARP);
    static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
    memcpy(grow(packet, 28), request, sizeof request);

    static const uint8_t protocols[2] = {FP_PROTOCOL_TCP, FP_PROTOCOL_UDP};
    for (uint8_t i = 0; i < 4; i++) { // ECN bits 0 … 3
        packet = begin(42, FP_ETHERTYPE_IPV4);
        ip = ipv4(packet, protocols[i & 1], i);
        transport(packet, ip, protocols[i & 1], 20, i & 2 ? PARTIAL : FINISHED);
        packet = begin(0, FP_ETHERTYPE_IPV6);
        ip = ipv6(packet, protocols[i & 1], i);
        transport(packet, ip, protocols[i & 1], 21, i & 2 ? FINISHED : PARTIAL);
    }
    packet = begin(FP_VNI_MAX, FP_ETHERTYPE_IPV4); // as large as they mostly are
    ip = ipv4(packet, FP_PROTOCOL_TCP, 0);
    transport(packet, ip, FP_PROTOCOL_TCP, 1410, PARTIAL);

    packet = begin(42, FP_ETHERTYPE_IPV4); // padded
    ip = ipv4(packet, FP_PROTOCOL_TCP, 2);
    transport(packet, ip, FP_PROTOCOL_TCP, 0, PARTIAL);
    grow(packet, 6);

    packet = begin(42, FP_ETHERTYPE_IPV4); // the first fragment
    ip = ipv4(packet, FP_PROTOCOL_UDP, 2);
    ip[FP_IPV4_FRAGMENT] = 0x20;
    transport(packet, ip, FP_PROTOCOL_UDP, 24, PARTIAL);

    packet = begin(42, FP_ETHERTYPE_IPV6); // Hop-by-Hop, Routing, Destination Options
    ip = ipv6(packet, 0, 2);
    extension(packet, 43, 8);
    extension(packet, 60, 24);
    extension(packet, FP_PROTOCOL_TCP, 16);
    transport(packet, ip, FP_PROTOCOL_TCP, 10, FINISHED);

    packet = begin(42, FP_ETHERTYPE_IPV6); // a fragment
    ip = ipv6(packet, 44, 1);
    extension(packet, FP_PROTOCOL_UDP, 8);
    transport(packet, ip, FP_PROTOCOL_UDP, 16, FINISHED);

    packet = begin(42, FP_ETHERTYPE_VLAN);
    tag(packet, FP_ETHERTYPE_IPV4);
    ip = ipv4(packet, FP_PROTOCOL_UDP, 3);
    transport(packet, ip, FP_PROTOCOL_UDP, 33, PARTIAL);

    packet = begin(42, FP_ETHERTYPE_QINQ);
    tag(packet, FP_ETHERTYPE_VLAN);
    tag(packet, FP_ETHERTYPE_IPV6);
    ip = ipv6(packet, FP_PROTOCOL_TCP, 2);
    transport(packet, ip, FP_PROTOCOL_TCP, 33, PARTIAL);

    begin(42, 0x88cc); // nothing behind the Ethernet header
    packet = begin(42, FP_ETHERTYPE_IPV4); // a VNI that nobody has
    packet->bytes[5] = 1;
}

// ---- Streams: packets that follow each other, so that there is something to merge.

enum { STREAMS = 4, STREAM_PAYLOAD = 40 };

static struct packet streams[STREAMS]; // TCP and UDP over IPv4 and IPv6

static void make_streams(void) {
    const uint32_t before = seed_count;
    for (uint32_t i = 0; i < STREAMS; i++) {
        const uint8_t protocol = i & 1 ? FP_PROTOCOL_TCP : FP_PROTOCOL_UDP;
        struct packet *packet = begin(42, i & 2 ? FP_ETHERTYPE_IPV4 : FP_ETHERTYPE_IPV6);
        uint8_t *ip = i & 2 ? ipv4(packet, protocol, 0) : ipv6(packet, protocol, 0);
        transport(packet, ip, protocol, STREAM_PAYLOAD, FINISHED);
        streams[i] = *packet;
    }
    seed_count = before; // they are no seeds
}

static void store_checksum(uint8_t *at, uint64_t sum) {
    const uint16_t checksum = (uint16_t)~fp_checksum_fold(sum);
    memcpy(at, &checksum, sizeof checksum);
}

// The next packet of a stream.
static const struct packet *advance(uint32_t number) {
    struct packet *packet = &streams[number];
    uint8_t *ip = packet->bytes + packet->ip;
    const bool four = number & 2, tcp = number & 1;
    uint8_t *at = ip + (four ? FP_IPV4_SIZE : FP_IPV6_SIZE);
    const uint32_t size = packet->size - (uint32_t)(at - packet->bytes);
    if (four) {
        fp_store_be16(ip + FP_IPV4_ID, (uint16_t)(fp_load_be16(ip + FP_IPV4_ID) + 1));
        memset(ip + FP_IPV4_CHECKSUM, 0, 2);
        store_checksum(ip + FP_IPV4_CHECKSUM, fp_checksum_add(0, ip, FP_IPV4_SIZE));
    }
    if (tcp) {
        fp_store_be32(at + FP_TCP_SEQUENCE, fp_load_be32(at + FP_TCP_SEQUENCE) + STREAM_PAYLOAD);
        at[FP_TCP_FLAGS] = below(16) == 0 ? FP_TCP_ACK | FP_TCP_PSH : FP_TCP_ACK;
    }
    const uint64_t word = random64();
    memcpy(at + size - STREAM_PAYLOAD, &word, sizeof word);
    uint8_t *field = at + (tcp ? FP_TCP_CHECKSUM : FP_UDP_CHECKSUM);
    memset(field, 0, 2);
    const uint8_t protocol = tcp ? FP_PROTOCOL_TCP : FP_PROTOCOL_UDP;
    const uint64_t pseudo = fp_checksum_pseudo(ip, four ? 4 : 6, protocol, size);
    store_checksum(field, fp_checksum_add(pseudo, at, size));
    return packet;
}

// ---- Packets of all kinds.

static uint8_t *block, *block_end; // the heap block at whose end they lie
static uint8_t *readable; // from here on it is not poisoned

// Room for a packet of this size that ends where the block ends.
static uint8_t *place(uint32_t size) {
    uint8_t *first = block_end - size - HEADROOM;
    if (first > readable)
        ASAN_POISON_MEMORY_REGION(readable, (size_t)(first - readable));
    else
        ASAN_UNPOISON_MEMORY_REGION(first, (size_t)(readable - first));
    readable = first;
    return block_end - size;
}

static const struct packet *some_seed(void) {
    return &seeds[below(seed_count)];
}

static uint32_t copy_seed(uint8_t **packet) {
    const struct packet *seed = some_seed();
    *packet = place(seed->size);
    memcpy(*packet, seed->bytes, seed->size);
    return seed->size;
}

static uint32_t next_of_a_stream(uint8_t **packet) {
    const struct packet *next = advance(below(STREAMS));
    *packet = place(next->size);
    memcpy(*packet, next->bytes, next->size);
    return next->size;
}

static uint32_t truncated(uint8_t **packet) {
    const struct packet *seed = some_seed();
    const uint32_t size = below(seed->size);
    *packet = place(size);
    memcpy(*packet, seed->bytes, size);
    return size;
}

// Cut off behind the IP header, whose length says so: headers end where the packet's memory ends.
static uint32_t shortened(uint8_t **packet) {
    const struct packet *seed = some_seed();
    while (seed->ip == 0)
        seed = some_seed();
    const bool four = seed->bytes[seed->ip] >> 4 == 4;
    const uint32_t header = four ? FP_IPV4_SIZE : FP_IPV6_SIZE;
    const uint32_t size = seed->ip + header + below(64);
    if (size >= seed->size)
        return copy_seed(packet);
    *packet = place(size);
    memcpy(*packet, seed->bytes, size);
    uint8_t *ip = *packet + seed->ip;
    if (four)
        fp_store_be16(ip + FP_IPV4_LENGTH, (uint16_t)(size - seed->ip));
    else
        fp_store_be16(ip + FP_IPV6_LENGTH, (uint16_t)(size - seed->ip - header));
    return size;
}

static uint32_t extended(uint8_t **packet) {
    const struct packet *seed = some_seed();
    const uint32_t more = 1 + below(64);
    *packet = place(seed->size + more);
    memcpy(*packet, seed->bytes, seed->size);
    random_bytes(*packet + seed->size, more);
    return seed->size + more;
}

// The front of one and the back of another.
static uint32_t spliced(uint8_t **packet) {
    const struct packet *front = some_seed(), *back = some_seed();
    const uint32_t head = below(front->size + 1), tail = below(back->size + 1);
    *packet = place(head + tail);
    memcpy(*packet, front->bytes, head);
    memcpy(*packet + head, back->bytes + back->size - tail, tail);
    return head + tail;
}

static uint32_t all_random(uint8_t **packet, bool good_header) {
    const uint32_t size = below(16) == 0 ? below(1600) : below(128);
    *packet = place(size);
    random_bytes(*packet, size);
    if (good_header && size >= FP_VXLAN_SIZE)
        fp_vxlan_write(*packet, bed_vni[below(BED_SEGMENTS)]);
    return size;
}

// Flip bits or replace bytes; mostly in the headers.
static void damage(uint8_t *packet, uint32_t size) {
    const uint32_t reach = size > 100 && below(8) != 0 ? 100 : size;
    if (reach == 0)
        return;
    for (uint32_t left = 1 + below(4); left > 0; left--) {
        uint8_t *at = packet + below(reach);
        if (below(2) == 0)
            *at ^= (uint8_t)(1 << below(8));
        else
            *at = (uint8_t)random64();
    }
}

static uint32_t next_packet(uint8_t **packet) {
    uint32_t size;
    switch (below(24)) {
    case 0:
        return copy_seed(packet);
    case 1:
        return truncated(packet);
    case 2:
        return shortened(packet);
    case 3:
        return extended(packet);
    case 4:
        size = shortened(packet);
        break;
    case 5:
        return all_random(packet, false);
    case 6:
    case 7:
        return all_random(packet, true);
    case 8:
    case 9:
        return spliced(packet);
    case 10:
        size = spliced(packet);
        break;
    case 11:
        size = truncated(packet);
        break;
    case 16:
        size = next_of_a_stream(packet);
        break;
    case 17:
    case 18:
    case 19:
    case 20:
    case 21:
    case 22:
    case 23:
        return next_of_a_stream(packet);
    default:
        size = copy_seed(packet);
        break;
    }
    damage(*packet, size);
    return size;
}

// ---- The count.

static uint64_t segment_drops(const struct bed *bed, uint32_t reason) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < BED_SEGMENTS; i++)
        sum += fp_counter_read(&bed->segment[i]->tally[0].drops[reason]);
    return sum;
}

static bool has_segment(uint32_t reason) {
    return reason != FP_DROP_short_packet && reason != FP_DROP_no_vni_flag &&
           reason != FP_DROP_unknown_vni;
}

// One line for each reason; whether what was returned is what was counted.
static bool report(const struct bed *bed, const uint64_t *returned, uint64_t count) {
    bool agree = true;
    uint64_t dropped = 0;
    for (uint32_t i = 1; i < FP_DROP_COUNT; i++) {
        const uint64_t counted = bed_drops(bed, i);
        dropped += counted;
        if (counted != 0)
            printf("%-16s %10llu  %s\n", fp_drop_name(i), (unsigned long long)counted,
                   fp_drop_sentence(i));
        if (counted != returned[i] || (has_segment(i) && segment_drops(bed, i) != counted)) {
            printf("%s: %llu were returned, %llu counted, %llu of them by segments\n",
                   fp_drop_name(i), (unsigned long long)returned[i], (unsigned long long)counted,
                   (unsigned long long)segment_drops(bed, i));
            agree = false;
        }
    }
    const struct fp_traffic *traffic = &bed->context.tables->tally[0].traffic;
    const uint64_t accepted = fp_counter_read(&traffic->rx_frames);
    agree &= accepted == returned[FP_DROP_NONE] && fp_counter_read(&traffic->drops) == dropped;
    agree &= accepted + dropped == count;
    printf("%llu packets: %llu accepted, %llu dropped, %s\n", (unsigned long long)count,
           (unsigned long long)accepted, (unsigned long long)dropped,
           agree ? "every one counted" : "AND THE COUNTS DISAGREE");
    return agree;
}

// ---- Split and merge.

enum { BURST_MEMORY = 1 << 18, SPLIT_MEMORY = FP_SUPER_HEADERS + 65536 };

static struct fp_burst burst;
static uint8_t *burst_memory, *split_end;
static uint32_t burst_used;
static uint64_t merged_count, split_count;

static bool is_right(const uint8_t *frame, uint32_t length, const struct fp_flow *flow) {
    const uint8_t *ip = frame + flow->network;
    const uint32_t size = length - flow->transport;
    const uint64_t sum = fp_checksum_pseudo(ip, flow->version, flow->protocol, size);
    if (fp_checksum_fold(fp_checksum_add(sum, frame + flow->transport, size)) != 0xffff)
        return false;
    const uint32_t header = (ip[0] & 15) * 4U;
    return flow->version == 6 || fp_checksum_fold(fp_checksum_add(0, ip, header)) == 0xffff;
}

// Every segment lies at the very end of its memory.
static void split_up(const struct fp_frame *frame) {
    uint32_t done = 0, segments = 0, bytes = 0;
    struct fp_split split;
    fp_split_begin(&split, frame);
    for (;;) {
        const uint32_t left = frame->length - frame->headers - done;
        const uint32_t payload = left < frame->gso_size ? left : frame->gso_size;
        uint8_t *to = split_end - frame->headers - payload;
        const uint32_t length = fp_split_next(&split, to);
        if (length == 0)
            break;
        CHECK(length == frame->headers + payload && is_right(to, length, &frame->flow));
        CHECK(memcmp(to + frame->headers, frame->data + frame->headers + done, payload) == 0);
        done += payload;
        bytes += length;
        segments++;
    }
    CHECK(segments == frame->segments && bytes == frame->bytes);
    CHECK(done == frame->length - frame->headers);
    split_count++;
}

// As if a port had handed it over as a super-frame.
static void split_some(const struct fp_frame *frame) {
    struct fp_frame copy = *frame;
    copy.gso_type = fp_offload_gso_type(&copy);
    copy.gso_size = (uint16_t)(1 + below(200));
    if (copy.length > 256)
        copy.gso_size = (uint16_t)(copy.gso_size + copy.length / 4);
    if (below(4) == 0 && fp_offload_measure(&copy) && copy.gso_type != 0)
        split_up(&copy);
}

// What the burst became is counted as all that came in.
static void end_burst(const struct bed *bed) {
    merged_count += fp_burst_end(&burst);
    for (uint32_t i = 0; i < burst.count; i++) {
        const struct fp_frame *frame = &burst.frame[i];
        struct fp_frame copy = *frame;
        check_flow(&frame->flow, frame->length);
        fp_count_in(&bed->context, frame);
        if (frame->segments == 1)
            continue;
        CHECK(fp_offload_measure(&copy) && copy.segments == frame->segments);
        CHECK(copy.bytes == frame->bytes && copy.length == frame->length);
        split_up(&copy);
    }
    fp_burst_clear(&burst);
    burst_used = 0;
}

static void take(const struct bed *bed, const struct fp_frame *accepted) {
    const uint32_t room = FP_HEADROOM + accepted->length;
    struct fp_frame *frame = &burst.frame[burst.count];
    *frame = *accepted;
    frame->data = burst_memory + burst_used + FP_HEADROOM;
    memcpy(frame->data, accepted->data, accepted->length);
    burst_used += room;
    fp_burst_take(&burst, burst_memory + BURST_MEMORY);
    if (burst.count == FP_BURST || BURST_MEMORY - burst_used < FP_HEADROOM + 2 * MAX_SEED)
        end_burst(bed);
}

static void run(struct bed *bed, uint64_t count, uint64_t *returned) {
    for (uint64_t i = 0; i < count; i++) {
        struct fp_frame frame = {0};
        frame.length = next_packet(&frame.data);
        const uint64_t dice = random64();
        frame.outer_tos = dice & 1 ? (uint8_t)(dice >> 8) : 0;
        const enum fp_drop drop = fp_decap(&bed->context, &frame, (dice & 6) == 0);
        CHECK(drop < FP_DROP_COUNT);
        returned[drop]++;
        if (drop != FP_DROP_NONE) {
            fp_drop(&bed->context, &frame, drop);
            continue;
        }
        check_flow(&frame.flow, frame.length);
        split_some(&frame);
        take(bed, &frame);
    }
    end_burst(bed);
}

int main(int argc, char **argv) {
    const uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    random_state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct bed bed;
    bed_new(&bed);
    make_seeds();
    make_streams();
    burst_memory = malloc(BURST_MEMORY);
    burst.spare = malloc(FP_SPARE_SIZE);
    uint8_t *split_memory = malloc(SPLIT_MEMORY);
    CHECK(burst_memory != NULL && burst.spare != NULL && split_memory != NULL);
    split_end = split_memory + SPLIT_MEMORY;
    fp_burst_clear(&burst);
    const size_t size = HEADROOM + 2 * MAX_SEED; // two spliced
    block = malloc(size);
    CHECK(block != NULL);
    readable = block;
    block_end = block + size;

    uint64_t returned[FP_DROP_COUNT] = {0};
    struct timespec begin_time, end_time;
    clock_gettime(CLOCK_MONOTONIC, &begin_time);
    run(&bed, count, returned);
    clock_gettime(CLOCK_MONOTONIC, &end_time);
    const double seconds = (double)(end_time.tv_sec - begin_time.tv_sec) +
                           (double)(end_time.tv_nsec - begin_time.tv_nsec) / 1e9;
    fprintf(stderr, "%.1f s\n", seconds); // not on stdout: that depends on COUNT and SEED only
    const bool agree = report(&bed, returned, count);
    printf("%llu frames were merged into others, %llu super-frames were split\n",
           (unsigned long long)merged_count, (unsigned long long)split_count);
    ASAN_UNPOISON_MEMORY_REGION(block, size);
    free(block);
    free(burst_memory);
    free(burst.spare);
    free(split_memory);
    bed_free(&bed);
    return agree ? 0 : 1;
}
