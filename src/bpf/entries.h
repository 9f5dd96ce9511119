// SPDX-License-Identifier: Apache-2.0
// Keys and values of the kernel path's maps, for the programs and for who loads them. In every key, all
// bytes count: there is no padding.
#ifndef FP_BPF_ENTRIES_H
#define FP_BPF_ENTRIES_H

#include <linux/types.h>

// fp_ports, by the ifindex of a veth's host end.
enum { FP_PORT_ON = 1 }; // flags: 0 sends everything to the engine
struct fp_bpf_port {
    __u32 vni;
    __u32 tap; // ifindex of the engine's TAP
    __u32 flags;
};

// fp_destinations: who is reached without the engine. A MAC address that is not there is the engine's.
struct fp_bpf_mac {
    __u32 vni;
    __u8 mac[6];
    __u16 zero;
};
enum { FP_DESTINATION_LOCAL = 1, FP_DESTINATION_REMOTE = 2 };
struct fp_bpf_destination {
    __u32 kind;
    __u32 ifindex; // of a port, or of the network's vxlan device
    __u32 mtu; // of a remote: the longest IP packet that fits the path to its peer
    __u32 peer; // of a remote: its peer's number, for fp_remote_traffic
};

// fp_senders: who may send. `scope` is the ifindex of a port, or of a vxlan device for the endpoints of
// other hosts. A sender has one entry for itself and one for each address.
enum { FP_SENDER_ITSELF = 0, FP_SENDER_IPV4 = 4, FP_SENDER_IPV6 = 6 };
enum { FP_SENDER_ANY_ADDRESS = 1 }; // the value, of the entry for itself
struct fp_bpf_sender {
    __u32 scope;
    __u8 mac[6];
    __u16 what; // an IPv6 packet from ::ffff:a.b.c.d is not one from a.b.c.d
    __u8 ip[16]; // IPv4 in the last 4 bytes; 0 in the entry for itself
};

// fp_port_traffic, by the ifindex of a port, and fp_remote_traffic: what the kernel path carried. Seen from
// the engine, as its own counters are: `rx` came from there.
struct fp_bpf_remote {
    __u32 vni;
    __u32 peer;
};
struct fp_bpf_traffic {
    __u64 rx_frames;
    __u64 rx_bytes;
    __u64 tx_frames;
    __u64 tx_bytes;
};

// fp_verdicts, an array: how many frames met which fate.
enum {
#define FP_VERDICT(name, sentence) FP_VERDICT_##name,
#include "bpf/verdict.def"
#undef FP_VERDICT
    FP_VERDICTS
};

#endif
