// SPDX-License-Identifier: Apache-2.0
// Port security: who may send from behind a port, and from which addresses.
//
// Theory of operation
//
// A port has a list of senders (MAC addresses), each with its IP addresses, or none: then nothing is
// checked. The list is immutable; control replaces it whole. A frame is checked when it enters:
//
//   * Its source MAC address is a sender's. An IP packet comes from an address of that sender. The other
//     sources that a host needs are 0.0.0.0 for a DHCP client, :: for duplicate address detection, router
//     solicitations and multicast reports, and link-local ones (is_link_local says which).
//   * ARP and neighbour discovery tell others where an address is: they name the sender's only.
//   * Routers and DHCP servers are not to be found behind a checked port (RFC 6105, RFC 7610).
//   * Nothing may hide what it is: headers that receivers could read and we could not are refused, too
//     (RFC 7113: extension headers, fragments; RFC 6980: fragments of neighbour discovery). All but the
//     first fragment of a packet are checked by their address alone.
//   * A checksum that the kernel left open is written after this check, where the sender said (packet(7),
//     PACKET_VNET_HDR): that must not be over anything that is checked here.
//
// Everything is looked for behind VLAN tags as well. A protocol that is neither IP nor ARP is checked by its
// MAC address alone.
//
// Nearly all frames are plain: IPv4 without a VLAN tag, from the first address of the first sender. Two
// comparisons of bytes as they stand in the frame pass those (fp_allowed_is_plain); the rest takes the long way.
#ifndef FP_ALLOWED_H
#define FP_ALLOWED_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "packet/frame.h"
#include "packet/wire.h"

// `first`: its IPv4 addresses begin there in the list's addresses, its IPv6 addresses follow.
struct fp_sender {
    uint64_t mac;
    uint32_t first;
    uint32_t v4, v6; // how many
};

struct fp_allowed {
    uint32_t senders;
    struct fp_sender *sender; // by MAC address, which is increasing
    uint8_t (*address)[16]; // IPv4 as ::ffff:a.b.c.d
    // Of plain frames, as in the frame: source MAC address and EtherType, and source IP address.
    uint64_t plain_source; // 0: none is plain
    uint32_t plain_ip;
};

// A list with room for so many, to be filled in; NULL without memory. Freed with free().
struct fp_allowed *fp_allowed_new(uint32_t senders, uint32_t addresses);

// The list is filled in: find out which frames are plain.
void fp_allowed_filled(struct fp_allowed *allowed);

enum { FP_DHCP_SERVER = 67, FP_DHCP_CLIENT = 68 };

// Where the open checksum of a frame that has one will be written.
static inline uint32_t fp_allowed_open_checksum(const struct fp_frame *frame) {
    return (uint32_t)frame->checksum_start + frame->checksum_offset;
}

// Whether a measured frame is plain and no answer of a DHCP server: fp_allowed_check would let it pass.
static inline bool fp_allowed_is_plain(const struct fp_allowed *allowed,
                                       const struct fp_frame *frame) {
    const struct fp_flow *flow = &frame->flow;
    uint64_t source;
    uint32_t ip;
    if (flow->network != FP_ETHERNET_SIZE)
        return false;
    memcpy(&source, frame->data + FP_MAC_SIZE, sizeof source);
    memcpy(&ip, frame->data + FP_ETHERNET_SIZE + FP_IPV4_SOURCE, sizeof ip);
    if (source != allowed->plain_source || ip != allowed->plain_ip)
        return false;
    if (frame->needs_checksum &&
        (flow->transport == 0 || fp_allowed_open_checksum(frame) < flow->transport + 4U))
        return false;
    if (flow->protocol != FP_PROTOCOL_UDP)
        return true;
    if (flow->transport == 0 || flow->transport + 4U > flow->end)
        return false;
    const uint32_t ports = fp_load_be32(frame->data + flow->transport);
    return ports >> 16 != FP_DHCP_SERVER && (uint16_t)ports != FP_DHCP_CLIENT;
}

// Whether the list has this MAC address.
bool fp_allowed_has(const struct fp_allowed *allowed, uint64_t mac);

// What a frame that is refused claimed: an IP address that is not its sender's; all 0 if it claimed none.
struct fp_claim {
    uint8_t ip[16]; // IPv4 as ::ffff:a.b.c.d
};

// FP_DROP_NONE, or why the frame is refused. It was measured, and came from a port with that list.
uint32_t fp_allowed_check(const struct fp_allowed *allowed, const struct fp_frame *frame,
                          struct fp_claim *claim);

#endif
