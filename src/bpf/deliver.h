// SPDX-License-Identifier: Apache-2.0
// Where a frame goes. There is no other way out of the programs than these functions.
#ifndef FP_BPF_DELIVER_H
#define FP_BPF_DELIVER_H

#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include "bpf/count.h"
#include "bpf/maps.h"

static __always_inline int fp_drop(__u32 verdict) {
    fp_count(verdict);
    return TC_ACT_SHOT;
}

// The frame leaves the device, as if the host's stack had sent it.
static __always_inline int fp_send(__u32 ifindex, __u32 verdict) {
    fp_count(verdict);
    return (int)bpf_redirect(ifindex, 0);
}

// To the container behind a port. Kernels without the fix of CVE-2025-37959 keep the packet's type, which
// is PACKET_OTHERHOST here, and the container would ignore it.
static __always_inline int fp_receive(struct __sk_buff *skb, __u32 port, __u32 verdict) {
    bpf_skb_change_type(skb, PACKET_HOST);
    fp_count(verdict);
    return (int)bpf_redirect_peer(port, 0);
}

static __always_inline const struct fp_bpf_destination *fp_find(__u32 vni, const __u8 *mac) {
    struct fp_bpf_mac key = {.vni = vni};
    __builtin_memcpy(key.mac, mac, 6);
    return bpf_map_lookup_elem(&fp_destinations, &key);
}

// Whether the interface is a port of that network, now.
static __always_inline int fp_is_port(__u32 ifindex, __u32 vni) {
    const struct fp_bpf_port *port = bpf_map_lookup_elem(&fp_ports, &ifindex);
    return port && port->vni == vni;
}

#endif
