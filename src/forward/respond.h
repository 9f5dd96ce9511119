// SPDX-License-Identifier: Apache-2.0
// Neighbour suppression: who has this address? Questions by ARP (RFC 826) and IPv6 neighbour discovery
// (RFC 4861) are flooded to every VTEP of a segment. Where control has told us the answer (a neighbour),
// and the FDB knows the way there, the engine answers instead, in the neighbour's name.
//
// A question for an address of which control has told us that nobody has it (complete.h) is dropped. It would cost
// every host of the segment a packet, and whoever answers cannot be right.
//
// All other frames are forwarded as usual: malformed questions, those that did not come from a port, and those
// for other unknown addresses; announcements (gratuitous ARP); and a neighbour's question for its own address, by
// which it looks for other users of that address.
#ifndef FP_RESPOND_H
#define FP_RESPOND_H

#include "tables/tables.h"

// In a neighbour's number (see directory.h), above its MAC address: the R flag of advertisements.
#define FP_NEIGHBOUR_ROUTER (UINT64_C(1) << 48)

// `frame` came from a port and goes to a group address. Return its target. If the engine answers, the frame
// becomes the answer and goes back. If the neighbour is behind the same port, the frame is dropped: the
// neighbour has heard the question itself; so it is if nobody has the address. Otherwise the kind is FP_DEST_NONE, and the frame is unchanged.
fp_dest fp_respond(const struct fp_context *context, struct fp_frame *frame);

#endif
