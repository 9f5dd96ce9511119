// SPDX-License-Identifier: Apache-2.0
// A head's headers stay as they came until fp_merge_end, but for PSH and FIN, so that the next segment's
// can be compared with them byte by byte.
#include "packet/merge.h"

#include "packet/checksum.h"
#include "packet/offload.h"
#include "packet/wire.h"

enum { DONT_FRAGMENT = 0x4000, MAX_IP = 65535 };
enum { MAX_UDP_SEGMENTS = 64 }; // UDP_MAX_SEGMENTS before Linux 6.9; a TAP refuses more

// Whether a TCP header's flags allow a merge at all: ACK, and perhaps PSH or FIN.
static bool plain_flags(uint8_t flags) {
    return (flags & (uint8_t)~(FP_TCP_PSH | FP_TCP_FIN)) == FP_TCP_ACK;
}

static void close_merge(struct fp_merge *merge) {
    merge->headers = 0;
}

void fp_merge_begin(struct fp_merge *merge, struct fp_frame *head, const uint8_t *room_end) {
    const struct fp_flow *flow = &head->flow;
    const uint8_t *ip = head->data + flow->network, *transport = head->data + flow->transport;
    merge->head = head;
    merge->room_end = room_end;
    merge->verified = false;
    close_merge(merge);
    // No padding, no IPv4 options, no IPv6 extension headers, nothing unfinished.
    const uint32_t ip_size = flow->version == 4 ? FP_IPV4_SIZE : FP_IPV6_SIZE;
    if (flow->transport == 0 || flow->transport != flow->network + ip_size ||
        flow->end != head->length || head->needs_checksum || head->gso_type != 0 ||
        fp_offload_checksum_field(flow) == 0)
        return;
    const uint32_t headers = fp_offload_headers(head);
    if (headers == 0 || headers >= flow->end || headers > FP_SUPER_HEADERS)
        return;
    if (flow->protocol == FP_PROTOCOL_TCP) {
        const uint8_t flags = transport[FP_TCP_FLAGS];
        if (!plain_flags(flags) || (flags & (FP_TCP_PSH | FP_TCP_FIN)))
            return;
    } else if (transport[FP_UDP_CHECKSUM] == 0 && transport[FP_UDP_CHECKSUM + 1] == 0) {
        return; // no checksum: there is nothing to verify, and a super-frame would get one
    } else if (fp_load_be16(transport + FP_UDP_LENGTH) != flow->end - flow->transport) {
        return;
    }
    merge->headers = merge->head_size = (uint16_t)headers;
    merge->payload = (uint16_t)(flow->end - headers);
    merge->next_sequence = fp_load_be32(transport + FP_TCP_SEQUENCE) + merge->payload;
    merge->next_id = (uint16_t)(fp_load_be16(ip + FP_IPV4_ID) + 1);
}

// Whether the IP header is the head's, but for length, ID and checksum, and fits the segment.
static bool same_ip(const struct fp_merge *merge, const uint8_t *ip, uint32_t length) {
    const uint8_t *head = merge->head->data + merge->head->flow.network;
    if (merge->head->flow.version == 6)
        return memcmp(ip, head, FP_IPV6_LENGTH) == 0 &&
               fp_load_be16(ip + FP_IPV6_LENGTH) == length - FP_IPV6_SIZE &&
               memcmp(ip + FP_IPV6_NEXT, head + FP_IPV6_NEXT, FP_IPV6_SIZE - FP_IPV6_NEXT) == 0;
    const bool dont_fragment = fp_load_be16(ip + FP_IPV4_FRAGMENT) == DONT_FRAGMENT;
    return memcmp(ip, head, FP_IPV4_LENGTH) == 0 && fp_load_be16(ip + FP_IPV4_LENGTH) == length &&
           memcmp(ip + FP_IPV4_FRAGMENT, head + FP_IPV4_FRAGMENT, 4) == 0 && // with TTL, protocol
           memcmp(ip + FP_IPV4_SOURCE, head + FP_IPV4_SOURCE, 8) == 0 &&
           (dont_fragment || fp_load_be16(ip + FP_IPV4_ID) == merge->next_id) &&
           fp_checksum_fold(fp_checksum_add(0, ip, FP_IPV4_SIZE)) == 0xffff;
}

// Whether the transport header is the head's, but for what counts up, and the checksum.
static bool same_transport(const struct fp_merge *merge, const uint8_t *transport,
                           uint32_t length) {
    const struct fp_flow *flow = &merge->head->flow;
    const uint8_t *head = merge->head->data + flow->transport;
    if (memcmp(transport, head, 4) != 0) // ports
        return false;
    if (flow->protocol == FP_PROTOCOL_UDP)
        return fp_load_be16(transport + FP_UDP_LENGTH) == length &&
               (transport[FP_UDP_CHECKSUM] != 0 || transport[FP_UDP_CHECKSUM + 1] != 0);
    const uint32_t options = merge->headers - flow->transport - (uint32_t)FP_TCP_SIZE;
    return fp_load_be32(transport + FP_TCP_SEQUENCE) == merge->next_sequence &&
           memcmp(transport + FP_TCP_ACKNOWLEDGMENT, head + FP_TCP_ACKNOWLEDGMENT, 5) == 0 &&
           plain_flags(transport[FP_TCP_FLAGS]) &&
           memcmp(transport + 14, head + 14, 2) == 0 && // window
           memcmp(transport + 18, head + 18, 2 + options) == 0; // urgent pointer, options
}

// The head itself is verified late: most frames never get a second segment.
static bool head_is_right(struct fp_merge *merge) {
    if (merge->verified)
        return true;
    const struct fp_flow *flow = &merge->head->flow;
    const uint8_t *ip = merge->head->data + flow->network;
    const uint32_t rest = flow->end - flow->transport;
    uint64_t sum = fp_checksum_pseudo(ip, flow->version, flow->protocol, rest);
    sum = fp_checksum_add(sum, merge->head->data + flow->transport, rest);
    merge->verified =
        fp_checksum_fold(sum) == 0xffff &&
        (flow->version == 6 || fp_checksum_fold(fp_checksum_add(0, ip, FP_IPV4_SIZE)) == 0xffff);
    if (!merge->verified)
        close_merge(merge);
    return merge->verified;
}

static void adopt(struct fp_merge *merge, uint32_t payload, uint16_t id, uint8_t flags) {
    struct fp_frame *head = merge->head;
    head->length += payload;
    head->segments++;
    head->bytes += merge->headers + payload;
    merge->next_sequence += payload;
    merge->next_id = (uint16_t)(id + 1);
    if (head->flow.protocol == FP_PROTOCOL_TCP)
        head->data[head->flow.transport + FP_TCP_FLAGS] |= flags;
    if (payload < merge->payload)
        close_merge(merge);
    else if (head->flow.protocol == FP_PROTOCOL_TCP ? (flags & (FP_TCP_PSH | FP_TCP_FIN)) != 0
                                                    : head->segments == MAX_UDP_SEGMENTS)
        close_merge(merge);
}

bool fp_merge_append(struct fp_merge *merge, uint8_t *segment, uint32_t length) {
    const struct fp_frame *head = merge->head;
    const struct fp_flow *flow = &head->flow;
    const uint32_t headers = merge->headers, payload = length - headers;
    uint8_t *end = head->data + head->length;
    if (headers == 0 || length <= headers || payload > merge->payload ||
        merge->room_end - end < (ptrdiff_t)payload ||
        head->length - flow->network + payload > MAX_IP)
        return false;
    const uint8_t *ip = segment + flow->network, *transport = segment + flow->transport;
    if (memcmp(segment, head->data, flow->network) != 0 ||
        !same_ip(merge, ip, length - flow->network) ||
        !same_transport(merge, transport, length - flow->transport) || !head_is_right(merge))
        return false;
    // One pass over the payload sums it and moves it to where it belongs. That may overwrite the
    // segment's own headers, and the VXLAN header in front of them: they are kept, to be put back.
    uint8_t memory[FP_VXLAN_SIZE + FP_SUPER_HEADERS], *kept = memory + FP_VXLAN_SIZE;
    memcpy(memory, segment - FP_VXLAN_SIZE, FP_VXLAN_SIZE + headers);
    uint64_t sum = fp_checksum_pseudo(ip, flow->version, flow->protocol, length - flow->transport);
    sum = fp_checksum_add(sum, transport, headers - flow->transport);
    sum = fp_checksum_move(sum, end, segment + headers, payload);
    if (fp_checksum_fold(sum) != 0xffff) {
        memmove(segment + headers, end, payload);
        memcpy(segment - FP_VXLAN_SIZE, memory, FP_VXLAN_SIZE + headers);
        return false;
    }
    adopt(merge, payload, fp_load_be16(kept + flow->network + FP_IPV4_ID),
          kept[flow->transport + FP_TCP_FLAGS]);
    return true;
}

void fp_merge_end(struct fp_merge *merge) {
    struct fp_frame *head = merge->head;
    struct fp_flow *flow = &head->flow;
    if (head->segments <= 1 || head->gso_size != 0)
        return;
    uint8_t *ip = head->data + flow->network, *transport = head->data + flow->transport;
    const uint32_t length = head->length - flow->network, rest = head->length - flow->transport;
    if (flow->version == 4) {
        fp_store_be16(ip + FP_IPV4_LENGTH, (uint16_t)length);
        memset(ip + FP_IPV4_CHECKSUM, 0, 2);
        const uint16_t checksum = fp_checksum(ip, FP_IPV4_SIZE);
        memcpy(ip + FP_IPV4_CHECKSUM, &checksum, sizeof checksum);
    } else {
        fp_store_be16(ip + FP_IPV6_LENGTH, (uint16_t)(length - FP_IPV6_SIZE));
    }
    if (flow->protocol == FP_PROTOCOL_UDP)
        fp_store_be16(transport + FP_UDP_LENGTH, (uint16_t)rest);
    const uint16_t pseudo =
        fp_checksum_fold(fp_checksum_pseudo(ip, flow->version, flow->protocol, rest));
    head->checksum_start = flow->transport;
    head->checksum_offset = fp_offload_checksum_field(flow);
    memcpy(transport + head->checksum_offset, &pseudo, sizeof pseudo);
    head->needs_checksum = true;
    head->headers = merge->head_size;
    head->gso_size = merge->payload;
    head->gso_type = fp_offload_gso_type(head);
    flow->end = head->length;
}
