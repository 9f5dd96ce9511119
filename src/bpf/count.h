// SPDX-License-Identifier: Apache-2.0
// Counting, per CPU: nobody waits for anybody.
#ifndef FP_BPF_COUNT_H
#define FP_BPF_COUNT_H

#include "bpf/maps.h"
#include "bpf/parse.h"

static __always_inline void fp_count(__u32 verdict) {
    __u64 *counter = bpf_map_lookup_elem(&fp_verdicts, &verdict);
    if (counter)
        *counter += 1;
}

// A super-frame counts as the frames that it stands for, each with its headers.
static __always_inline void fp_add(const struct __sk_buff *skb, const struct fp_packet *packet,
                                   __u64 *frames, __u64 *bytes) {
    const __u64 segments = skb->gso_segs != 0 ? skb->gso_segs : 1;
    *frames += segments;
    *bytes += skb->len + (segments - 1) * packet->headers;
}

static __always_inline void fp_count_rx(const struct __sk_buff *skb, const struct fp_packet *packet,
                                        struct fp_bpf_traffic *traffic) {
    if (traffic)
        fp_add(skb, packet, &traffic->rx_frames, &traffic->rx_bytes);
}

static __always_inline void fp_count_tx(const struct __sk_buff *skb, const struct fp_packet *packet,
                                        struct fp_bpf_traffic *traffic) {
    if (traffic)
        fp_add(skb, packet, &traffic->tx_frames, &traffic->tx_bytes);
}

static __always_inline struct fp_bpf_traffic *fp_traffic_of_port(__u32 port) {
    return bpf_map_lookup_elem(&fp_port_traffic, &port);
}

static __always_inline struct fp_bpf_traffic *fp_traffic_of_remote(__u32 vni, __u32 peer) {
    const struct fp_bpf_remote key = {.vni = vni, .peer = peer};
    return bpf_map_lookup_elem(&fp_remote_traffic, &key);
}

#endif
