// SPDX-License-Identifier: Apache-2.0
#include "bed.h"

#include <linux/virtio_net.h>
#include <string.h>

#include "packet/offload.h"
#include "packet/wire.h"

const uint32_t bed_vni[BED_SEGMENTS] = {0, 42, 0xffffff};

static void pin(struct bed *bed, uint32_t segment, uint64_t mac, fp_dest dest, uint8_t flags) {
    CHECK(fp_fdb_set(bed->context.tables->fdb, fp_fdb_key(segment, mac), dest, flags, 0));
}

static uint32_t add_remote(struct bed *bed, uint8_t last_byte) {
    const struct fp_address address = {
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last_byte}, 4789};
    const uint32_t index = fp_remotes_add(bed->context.tables->remotes, &address, FP_REMOTES_LIMIT);
    CHECK(index != FP_REMOTE_NONE);
    return index;
}

void bed_new(struct bed *bed) {
    memset(bed, 0, sizeof *bed);
    struct fp_tables *tables = fp_tables_new(64, 64, 0, AF_INET, 1);
    CHECK(tables != NULL);
    bed->context.tables = tables;
    bed->here = add_remote(bed, 1);
    bed->elsewhere = add_remote(bed, 2);
    for (uint32_t i = 0; i < BED_SEGMENTS; i++) {
        const uint32_t index = i + 1;
        struct fp_segment *segment = fp_segment_new(index, bed_vni[i], 1);
        CHECK(segment != NULL && fp_segment_publish(tables, bed_vni[i], segment));
        bed->segment[i] = segment;
        pin(bed, index, BED_MAC_OWN, fp_dest_make(FP_DEST_PORT, BED_PORT),
            FP_FDB_STATIC | FP_FDB_LOCAL);
        pin(bed, index, BED_MAC_HERE, fp_dest_make(FP_DEST_REMOTE, bed->here), FP_FDB_STATIC);
        pin(bed, index, BED_MAC_ELSEWHERE, fp_dest_make(FP_DEST_REMOTE, bed->elsewhere),
            FP_FDB_STATIC);
        pin(bed, index, BED_MAC_GROUP, fp_dest_make(FP_DEST_GROUP, BED_GROUP), FP_FDB_STATIC);
    }
}

void bed_free(struct bed *bed) {
    for (uint32_t i = 0; i < BED_SEGMENTS; i++)
        free(bed->segment[i]);
    fp_tables_free(bed->context.tables);
}

void bed_forget(struct bed *bed) {
    const struct fp_fdb_match learned = {.learned_only = true};
    fp_fdb_retire(bed->context.tables->fdb, &learned);
    fp_fdb_reclaim(bed->context.tables->fdb);
}

uint8_t *exact_copy(const uint8_t *bytes, size_t size, size_t room, void **memory) {
    *memory = malloc(room + size);
    CHECK(*memory != NULL);
    uint8_t *copy = (uint8_t *)*memory + room;
    memset(*memory, 0xaa, room);
    if (size != 0)
        memcpy(copy, bytes, size);
    return copy;
}

static uint16_t add_word(uint16_t sum, uint16_t word) {
    const uint32_t wide = (uint32_t)sum + word;
    return (uint16_t)(wide > 0xffff ? wide - 0xffff : wide); // end-around carry
}

uint16_t slow_sum(uint16_t sum, const uint8_t *bytes, uint32_t size) {
    for (uint32_t i = 0; i < size; i += 2) {
        const uint8_t pair[2] = {bytes[i], i + 1 < size ? bytes[i + 1] : 0};
        uint16_t word;
        memcpy(&word, pair, sizeof word);
        sum = add_word(sum, word);
    }
    return sum;
}

uint16_t slow_pseudo(const uint8_t *ip, uint8_t version, uint8_t protocol, uint32_t length) {
    const uint8_t rest[8] = {
        (uint8_t)(length >> 24),
        (uint8_t)(length >> 16),
        (uint8_t)(length >> 8),
        (uint8_t)length,
        0,
        0,
        0,
        protocol,
    };
    const uint16_t addresses =
        version == 4 ? slow_sum(0, ip + FP_IPV4_SOURCE, 8) : slow_sum(0, ip + FP_IPV6_SOURCE, 32);
    return slow_sum(addresses, rest, sizeof rest);
}

void check_flow(const struct fp_flow *flow, uint32_t length) {
    CHECK(flow->end <= length);
    if (flow->network == 0) {
        CHECK(flow->version == 0 && flow->transport == 0 && flow->protocol == 0);
        CHECK(flow->tos == 0 && !flow->fragment && flow->end == length);
        return;
    }
    CHECK(flow->version == 4 || flow->version == 6);
    const uint32_t header = flow->version == 4 ? FP_IPV4_SIZE : FP_IPV6_SIZE;
    CHECK(flow->network >= FP_ETHERNET_SIZE && flow->network + header <= flow->end);
    if (flow->transport != 0) {
        CHECK(flow->transport >= flow->network + header && flow->transport < flow->end);
        CHECK(!flow->fragment);
    }
}

bool same_flow(const struct fp_flow *a, const struct fp_flow *b) {
    return a->network == b->network && a->transport == b->transport && a->end == b->end &&
           a->version == b->version && a->protocol == b->protocol && a->tos == b->tos &&
           a->fragment == b->fragment && a->hash == b->hash;
}

uint16_t checksum_field(const struct fp_flow *flow) {
    uint16_t offset = 0;
    if (flow->transport != 0 && flow->protocol == FP_PROTOCOL_TCP)
        offset = FP_TCP_CHECKSUM;
    if (flow->transport != 0 && flow->protocol == FP_PROTOCOL_UDP)
        offset = FP_UDP_CHECKSUM;
    return offset != 0 && flow->transport + offset + 2U <= flow->end ? offset : 0;
}

// A header that makes a super-frame of a frame that was none.
static void check_super_frame(const struct virtio_net_hdr *vnet, const struct fp_frame *frame,
                              uint32_t mtu) {
    const struct fp_flow *flow = &frame->flow;
    CHECK(frame->gso_size == 0 && flow->protocol == FP_PROTOCOL_TCP && flow->transport != 0);
    CHECK(flow->end - flow->network > mtu);
    const uint8_t plain = flow->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    const bool cwr = frame->data[flow->transport + FP_TCP_FLAGS] & FP_TCP_CWR;
    CHECK(vnet->gso_type == (cwr ? plain | VIRTIO_NET_HDR_GSO_ECN : plain));
    // The kernel refuses headers that are longer than the frame. Every segment fits into the MTU,
    // and there is more than one.
    CHECK(vnet->hdr_len <= frame->length);
    CHECK((uint32_t)vnet->hdr_len - flow->network + vnet->gso_size == mtu);
    CHECK(vnet->gso_size != 0 && (uint32_t)vnet->hdr_len + vnet->gso_size < flow->end);
}

void check_vnet_write(const struct fp_frame *frame) {
    static const uint32_t mtus[] = {0, 21, 68, 576, 1280, 1450, 1500, 9000, 65535};
    for (size_t i = 0; i < sizeof mtus / sizeof mtus[0]; i++) {
        uint8_t *header = frame->data - FP_VNET_SIZE;
        const bool made_super = fp_vnet_write(header, frame, mtus[i]);
        struct virtio_net_hdr_mrg_rxbuf vnet;
        memcpy(&vnet, header, sizeof vnet);
        CHECK(vnet.hdr.flags == (frame->needs_checksum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0));
        CHECK(vnet.hdr.csum_start == (frame->needs_checksum ? frame->checksum_start : 0));
        CHECK(vnet.hdr.csum_offset == (frame->needs_checksum ? frame->checksum_offset : 0));
        if (made_super)
            check_super_frame(&vnet.hdr, frame, mtus[i]);
        else
            CHECK(vnet.hdr.gso_type == frame->gso_type && vnet.hdr.gso_size == frame->gso_size);
    }
}
