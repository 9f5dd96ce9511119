// SPDX-License-Identifier: Apache-2.0
// Outer headers, as the kernel writes and strips them: for those who want to see a whole packet.
#ifndef FP_OUTER_H
#define FP_OUTER_H

#include <stdint.h>

#include "remote.h"

enum { FP_OUTER_SIZE = 48 }; // IPv6 and UDP headers; IPv4's are smaller

// Write a packet with this UDP payload: an IP header of the destination's family, without options, and a
// UDP header, both with length and checksum. `to` has FP_OUTER_SIZE + `length` bytes. What we do not know
// of a header is as Linux has it by default: TTL 64, don't fragment. Returns the packet's length.
uint32_t fp_outer_write(uint8_t *to, const struct fp_address *source,
                        const struct fp_address *destination, uint8_t tos, const uint8_t *payload,
                        uint32_t length);

#endif
