// SPDX-License-Identifier: Apache-2.0
// The packet around a VXLAN header, as captures have it, and sockets do not: read and written.
#ifndef FP_OUTER_H
#define FP_OUTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tables/remote.h"

// Link types of captures, by <https://www.tcpdump.org/linktypes.html>.
enum {
    FP_LINK_NULL =
        0, // BSD's loopback: the address family, in the byte order of the host that captured
    FP_LINK_ETHERNET = 1,
    FP_LINK_RAW_12 = 12, // as FP_LINK_RAW: numbers that some systems wrote
    FP_LINK_RAW_14 = 14,
    FP_LINK_RAW = 101,
    FP_LINK_LOOP = 108, // OpenBSD's loopback: the address family, in network byte order
    FP_LINK_COOKED = 113, // Linux "any"
    FP_LINK_IPV4 = 228,
    FP_LINK_IPV6 = 229,
    FP_LINK_COOKED_2 = 276, // Linux "any", since libpcap 1.10
};

enum { FP_OUTER_SIZE = 48 }; // IPv6 and UDP headers

struct fp_outer {
    struct sockaddr_storage from; // the sender, with its UDP port
    uint8_t *payload;
    uint32_t length; // of it
    uint16_t udp_port; // that it was sent to
    uint8_t tos; // or traffic class
};

// Whether packets of this link type can be looked into.
bool fp_outer_knows(uint16_t link);

// Look into a captured packet of any content. False: it is not a whole UDP datagram in one IP packet. The 14
// bytes in front of one without an Ethernet header are written to.
bool fp_outer_parse(uint8_t *data, uint32_t length, uint16_t link, struct fp_outer *outer);

// Write the IP and UDP headers that a packet with `length` bytes of UDP payload would have on its way between two
// addresses of one family; returns their size, at most FP_OUTER_SIZE. What we do not know of a header is as
// Linux has it by default: TTL 64, don't fragment. The UDP checksum is 0: none (RFC 7348 section 5, RFC 6935).
uint32_t fp_outer_headers(uint8_t *to, const struct fp_address *source,
                          const struct fp_address *destination, uint8_t tos, uint32_t length);

// The same with the payload behind it, and the UDP checksum. `to` has FP_OUTER_SIZE + `length` bytes. Returns
// the packet's length.
uint32_t fp_outer_write(uint8_t *to, const struct fp_address *source,
                        const struct fp_address *destination, uint8_t tos, const uint8_t *payload,
                        uint32_t length);

#endif
