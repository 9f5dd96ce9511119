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
//
// Everything is looked for behind VLAN tags as well. A protocol that is neither IP nor ARP is checked by its
// MAC address alone.
#ifndef FP_ALLOWED_H
#define FP_ALLOWED_H

#include <stdint.h>

#include "packet/frame.h"

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
};

// A list with room for so many, to be filled in; NULL without memory. Freed with free().
struct fp_allowed *fp_allowed_new(uint32_t senders, uint32_t addresses);

// What a frame that is refused claimed: an IP address that is not its sender's; all 0 if it claimed none.
struct fp_claim {
    uint8_t ip[16]; // IPv4 as ::ffff:a.b.c.d
};

// FP_DROP_NONE, or why the frame is refused. It was measured, and came from a port with that list.
uint32_t fp_allowed_check(const struct fp_allowed *allowed, const struct fp_frame *frame,
                          struct fp_claim *claim);

#endif
