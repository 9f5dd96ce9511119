// SPDX-License-Identifier: Apache-2.0
// What a frame is, as far as the kernel path has to know. Everything that it does not know is the engine's.
#ifndef FP_BPF_PARSE_H
#define FP_BPF_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/entries.h"

enum {
    // The bytes that are looked at: Ethernet and IPv4 or IPv6 with TCP, or with neighbour discovery and an
    // option. They are the fewest that will do: a sender's headers lie in front of its payload, which lies
    // elsewhere, and to take some of that to the headers makes the kernel copy the packet's front.
    FP_READ_IPV4 = 54,
    FP_READ_IPV6 = 74,
    FP_READ_DISCOVERY = 86,
    FP_NEXT_HEADER = ETH_HLEN + 6, // of IPv6
    FP_MORE_OR_OFFSET = 0x3fff, // IPv4: more fragments, or not the first one
    FP_OFFSET = 0x1fff,
    FP_ND_SIZE =
        24, // a solicitation or an advertisement without options, RFC 4861 sections 4.3 and 4.4
    FP_ND_TARGET = 8,
    FP_ND_OPTION_SIZE = 8,
    FP_ROUTER_SOLICIT = 133,
    FP_SOLICIT = 135,
    FP_ADVERTISE = 136,
    FP_REDIRECT = 137,
};

enum fp_kind {
    FP_KIND_ENGINE, // the engine has to decide
    FP_KIND_ANYWHERE, // of a flow that is always of this kind: TCP, ARP, neighbour discovery
    FP_KIND_LOCAL, // another IP packet: from port to port only
};

struct fp_packet {
    struct fp_bpf_sender sender; // without a scope
    __u8 destination[6];
    __u32 headers; // bytes before a TCP packet's payload; else 0
};

struct fp_arp { // RFC 826, for Ethernet and IPv4
    __be16 hardware, protocol;
    __u8 hardware_size, protocol_size;
    __be16 operation;
    __u8 sender_mac[6], sender_ip[4], target_mac[6], target_ip[4];
};

static __always_inline int fp_same_mac(const __u8 *one, const __u8 *other) {
    return one[0] == other[0] && one[1] == other[1] && one[2] == other[2] && one[3] == other[3] &&
           one[4] == other[4] && one[5] == other[5];
}

static __always_inline void fp_set_ipv4(struct fp_packet *packet, const void *ip) {
    packet->sender.what = FP_SENDER_IPV4;
    __builtin_memcpy(packet->sender.ip + 12, ip, 4);
}

static __always_inline enum fp_kind fp_parse_arp(const void *at, const void *end,
                                                 struct fp_packet *packet) {
    const struct fp_arp *arp = at;
    if (at + sizeof *arp > end || arp->hardware != bpf_htons(1) ||
        arp->protocol != bpf_htons(ETH_P_IP) || arp->hardware_size != 6 ||
        arp->protocol_size != 4 || !fp_same_mac(arp->sender_mac, packet->sender.mac) ||
        (arp->operation != bpf_htons(1) && arp->operation != bpf_htons(2)))
        return FP_KIND_ENGINE;
    fp_set_ipv4(packet, arp->sender_ip);
    return FP_KIND_ANYWHERE;
}

// `length`: bytes from the transport header to the end of the IP packet.
static __always_inline enum fp_kind fp_parse_tcp(const void *at, const void *end, __u32 length,
                                                 __u32 before, struct fp_packet *packet) {
    const struct tcphdr *tcp = at;
    if (at + sizeof *tcp > end || tcp->doff < 5 || tcp->doff * 4U > length)
        return FP_KIND_ENGINE;
    packet->headers = before + tcp->doff * 4U;
    return FP_KIND_ANYWHERE;
}

// DHCP servers are not to be found behind a port, and whether one may be is the engine's to say.
static __always_inline enum fp_kind fp_parse_udp(const void *at, const void *end, __u32 length,
                                                 __u16 server, __u16 client) {
    const __be16 *ports = at;
    if (length < 4 || at + 4 > end || ports[0] == bpf_htons(server) ||
        ports[1] == bpf_htons(client))
        return FP_KIND_ENGINE;
    return FP_KIND_LOCAL;
}

static __always_inline enum fp_kind fp_parse_ipv4(const void *at, const void *end, __u32 size,
                                                  int is_super, struct fp_packet *packet) {
    const struct iphdr *ip = at;
    if (at + sizeof *ip > end || ip->version != 4 || ip->ihl != 5)
        return FP_KIND_ENGINE;
    // The kernel writes 0 into a super-frame whose length has more than 16 bits.
    const __u32 length = is_super && ip->tot_len == 0 ? size : bpf_ntohs(ip->tot_len);
    if (length < sizeof *ip || length > size)
        return FP_KIND_ENGINE;
    fp_set_ipv4(packet, &ip->saddr);
    const __u32 left = length - sizeof *ip;
    const __u16 fragment = bpf_ntohs(ip->frag_off);
    at += sizeof *ip;
    if (ip->protocol == IPPROTO_UDP && !(fragment & FP_OFFSET))
        return fp_parse_udp(at, end, left, 67, 68);
    if (ip->protocol == IPPROTO_TCP && !(fragment & FP_MORE_OR_OFFSET))
        return fp_parse_tcp(at, end, left, ETH_HLEN + sizeof *ip, packet);
    return ip->protocol == IPPROTO_TCP ? FP_KIND_ENGINE : FP_KIND_LOCAL;
}

// An advertisement names its own source; a link-layer address in the only option is the sender's.
static __always_inline enum fp_kind fp_parse_discovery(const void *at, const void *end,
                                                       __u32 length, const struct ipv6hdr *ip,
                                                       struct fp_packet *packet) {
    const __u8 *icmp = at;
    if (at + FP_ND_SIZE > end || icmp[1] != 0 || ip->hop_limit != 255)
        return FP_KIND_ENGINE;
    const int advertise = icmp[0] == FP_ADVERTISE;
    for (int i = 0; advertise && i < 16; i++)
        if (icmp[FP_ND_TARGET + i] != packet->sender.ip[i])
            return FP_KIND_ENGINE;
    if (length == FP_ND_SIZE)
        return FP_KIND_ANYWHERE;
    const __u8 *option = icmp + FP_ND_SIZE;
    if (length != FP_ND_SIZE + FP_ND_OPTION_SIZE || (void *)option + FP_ND_OPTION_SIZE > end ||
        option[0] != 1 + advertise || option[1] != 1 ||
        !fp_same_mac(option + 2, packet->sender.mac))
        return FP_KIND_ENGINE;
    return FP_KIND_ANYWHERE;
}

static __always_inline enum fp_kind fp_parse_icmp6(const void *at, const void *end, __u32 length,
                                                   const struct ipv6hdr *ip,
                                                   struct fp_packet *packet) {
    const __u8 *icmp = at;
    if (length < 4 || at + 4 > end)
        return FP_KIND_ENGINE;
    if (icmp[0] == FP_SOLICIT || icmp[0] == FP_ADVERTISE)
        return fp_parse_discovery(at, end, length, ip, packet);
    return icmp[0] >= FP_ROUTER_SOLICIT && icmp[0] <= FP_REDIRECT ? FP_KIND_ENGINE : FP_KIND_LOCAL;
}

// Behind an extension header could be anything: the engine reads those.
static __always_inline enum fp_kind fp_parse_ipv6(const void *at, const void *end, __u32 size,
                                                  int is_super, struct fp_packet *packet) {
    const struct ipv6hdr *ip = at;
    if (at + sizeof *ip > end || ip->version != 6 || size < sizeof *ip)
        return FP_KIND_ENGINE;
    const __u32 left = size - sizeof *ip;
    const __u32 length = is_super && ip->payload_len == 0 ? left : bpf_ntohs(ip->payload_len);
    if (length > left)
        return FP_KIND_ENGINE;
    packet->sender.what = FP_SENDER_IPV6;
    __builtin_memcpy(packet->sender.ip, &ip->saddr, 16);
    at += sizeof *ip;
    switch (ip->nexthdr) {
    case IPPROTO_TCP:
        return fp_parse_tcp(at, end, length, ETH_HLEN + sizeof *ip, packet);
    case IPPROTO_UDP:
        return fp_parse_udp(at, end, length, 547, 546);
    case IPPROTO_ICMPV6:
        return fp_parse_icmp6(at, end, length, ip, packet);
    default:
        return FP_KIND_ENGINE;
    }
}

// Make so many bytes readable, or all that there are. Return 0, or another number if that failed.
static __always_inline int fp_read(struct __sk_buff *skb, __u32 bytes) {
    // Constant offsets only: others the verifier allows to those alone who may see the kernel's pointers.
    if ((void *)(long)skb->data + bytes <= (void *)(long)skb->data_end)
        return 0;
    return (int)bpf_skb_pull_data(skb, skb->len < bytes ? skb->len : bytes);
}

static __always_inline int fp_read_ipv6(struct __sk_buff *skb) {
    const __u8 *at = (void *)(long)skb->data;
    if ((void *)(long)skb->data + FP_READ_IPV4 > (void *)(long)skb->data_end)
        return 0; // that is all of it
    if (at[FP_NEXT_HEADER] == IPPROTO_ICMPV6)
        return fp_read(skb, FP_READ_DISCOVERY);
    return fp_read(skb, FP_READ_IPV6);
}

// Parse a frame. Packet pointers that were loaded before are invalid afterwards.
static __always_inline enum fp_kind fp_parse(struct __sk_buff *skb, struct fp_packet *packet) {
    if (fp_read(skb, FP_READ_IPV4) != 0)
        return FP_KIND_ENGINE;
    if (skb->protocol == bpf_htons(ETH_P_IPV6) && fp_read_ipv6(skb) != 0)
        return FP_KIND_ENGINE;
    const void *at = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    const struct ethhdr *ethernet = at;
    if (skb->vlan_present || at + sizeof *ethernet > end)
        return FP_KIND_ENGINE;
    __builtin_memset(packet, 0, sizeof *packet);
    __builtin_memcpy(packet->destination, ethernet->h_dest, 6);
    __builtin_memcpy(packet->sender.mac, ethernet->h_source, 6);
    const __u32 size = skb->len - sizeof *ethernet;
    const int is_super = skb->gso_size != 0;
    at += sizeof *ethernet;
    switch (ethernet->h_proto) {
    case bpf_htons(ETH_P_ARP):
        return fp_parse_arp(at, end, packet);
    case bpf_htons(ETH_P_IP):
        return fp_parse_ipv4(at, end, size, is_super, packet);
    case bpf_htons(ETH_P_IPV6):
        return fp_parse_ipv6(at, end, size, is_super, packet);
    default:
        return FP_KIND_ENGINE;
    }
}

#endif
