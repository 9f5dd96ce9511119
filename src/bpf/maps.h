// SPDX-License-Identifier: Apache-2.0
// The maps. All hash maps take memory for the entries that they have only.
#ifndef FP_BPF_MAPS_H
#define FP_BPF_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/entries.h"

enum {
    FP_MAX_PORTS = 16384,
    FP_MAX_PEERS = 65536,
    FP_MAX_SENDERS = 524288,
    FP_MAX_DESTINATIONS = 262144
};

#define FP_HASH(NAME, TYPE, MAX, KEY, VALUE)                                                       \
    struct {                                                                                       \
        __uint(type, TYPE);                                                                        \
        __uint(map_flags, BPF_F_NO_PREALLOC);                                                      \
        __uint(max_entries, MAX);                                                                  \
        __type(key, KEY);                                                                          \
        __type(value, VALUE);                                                                      \
    } NAME SEC(".maps")

FP_HASH(fp_ports, BPF_MAP_TYPE_HASH, FP_MAX_PORTS, __u32, struct fp_bpf_port);
FP_HASH(fp_taps, BPF_MAP_TYPE_HASH, FP_MAX_PORTS, __u32, __u32); // ifindex of its port
FP_HASH(fp_tunnels, BPF_MAP_TYPE_HASH, FP_MAX_PORTS, __u32, __u32); // VNI of a vxlan device
FP_HASH(fp_senders, BPF_MAP_TYPE_HASH, FP_MAX_SENDERS, struct fp_bpf_sender, __u32);
FP_HASH(fp_destinations, BPF_MAP_TYPE_HASH, FP_MAX_DESTINATIONS, struct fp_bpf_mac,
        struct fp_bpf_destination);
FP_HASH(fp_port_traffic, BPF_MAP_TYPE_PERCPU_HASH, FP_MAX_PORTS, __u32, struct fp_bpf_traffic);
FP_HASH(fp_remote_traffic, BPF_MAP_TYPE_PERCPU_HASH, FP_MAX_PEERS, struct fp_bpf_remote,
        struct fp_bpf_traffic);

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, FP_VERDICTS);
    __type(key, __u32);
    __type(value, __u64);
} fp_verdicts SEC(".maps");

#endif
