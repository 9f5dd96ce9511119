// SPDX-License-Identifier: Apache-2.0
// Counting, per CPU: nobody waits for anybody.
#ifndef FP_BPF_COUNT_H
#define FP_BPF_COUNT_H

#include "bpf/maps.h"

static __always_inline void fp_count(__u32 verdict) {
    __u64 *counter = bpf_map_lookup_elem(&fp_verdicts, &verdict);
    if (counter)
        *counter += 1;
}

// A super-frame counts as the frames that it stands for, with its bytes as they are.
static __always_inline __u64 fp_frames(const struct __sk_buff *skb) {
    return skb->gso_segs != 0 ? skb->gso_segs : 1;
}

static __always_inline void fp_count_sent(const struct __sk_buff *skb, __u32 port) {
    struct fp_bpf_traffic *traffic = bpf_map_lookup_elem(&fp_traffic, &port);
    if (traffic) {
        traffic->sent_frames += fp_frames(skb);
        traffic->sent_bytes += skb->len;
    }
}

static __always_inline void fp_count_received(const struct __sk_buff *skb, __u32 port) {
    struct fp_bpf_traffic *traffic = bpf_map_lookup_elem(&fp_traffic, &port);
    if (traffic) {
        traffic->received_frames += fp_frames(skb);
        traffic->received_bytes += skb->len;
    }
}

#endif
