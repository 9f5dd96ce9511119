// SPDX-License-Identifier: Apache-2.0
// Whether a frame's source is its sender's, and whether it fits the way: the engine's rules
// (security/allowed.h, packet/offload.h) for those frames that the kernel path carries.
#ifndef FP_BPF_CHECK_H
#define FP_BPF_CHECK_H

#include "bpf/maps.h"
#include "bpf/parse.h"

enum {
    FP_MAX_TCP_SEGMENTS = 2048,
    FP_MAX_OTHER_SEGMENTS = 128
}; // FP_SEGMENTS_TCP, FP_SEGMENTS_UDP

// As is_link_local in security/allowed.c: any of them, but for those made of another one's MAC address.
static __always_inline int fp_is_link_local(const __u8 *ip, const __u8 *mac) {
    if (ip[0] != 0xfe || (ip[1] & 0xc0) != 0x80)
        return 0;
    if (ip[11] != 0xff || ip[12] != 0xfe)
        return 1;
    return ip[8] == (mac[0] ^ 2) && ip[9] == mac[1] && ip[10] == mac[2] && ip[13] == mac[3] &&
           ip[14] == mac[4] && ip[15] == mac[5];
}

// `scope`: where the frame came from, as in struct fp_bpf_sender.
static __always_inline int fp_is_allowed(__u32 scope, struct fp_packet *packet) {
    packet->sender.scope = scope;
    if (bpf_map_lookup_elem(&fp_senders, &packet->sender))
        return 1;
    struct fp_bpf_sender itself = {.scope = scope, .what = FP_SENDER_ITSELF};
    __builtin_memcpy(itself.mac, packet->sender.mac, 6);
    const __u32 *flags = bpf_map_lookup_elem(&fp_senders, &itself);
    return flags && ((*flags & FP_SENDER_ANY_ADDRESS) ||
                     (packet->sender.what == FP_SENDER_IPV6 &&
                      fp_is_link_local(packet->sender.ip, packet->sender.mac)));
}

// Whether a super-frame stands for more packets than any kernel makes of one.
static __always_inline int fp_is_tiny(const struct __sk_buff *skb, const struct fp_packet *packet) {
    const __u32 most = packet->headers != 0 ? FP_MAX_TCP_SEGMENTS : FP_MAX_OTHER_SEGMENTS;
    const __u32 size = skb->gso_size;
    return size != 0 && (__u64)size * most < skb->len;
}

// Whether every packet that a frame stands for fits an MTU (bytes of IP packets).
static __always_inline int fp_fits(const struct __sk_buff *skb, const struct fp_packet *packet,
                                   __u32 mtu) {
    const __u32 frame = skb->gso_size != 0 ? packet->headers + skb->gso_size : skb->len;
    return frame - ETH_HLEN <= mtu;
}

#endif
