// SPDX-License-Identifier: Apache-2.0
// Neighbour suppression: who has this address? Questions by ARP (RFC 826) and IPv6 neighbour discovery
// (RFC 4861) are flooded to every VTEP of a segment. Where control has told us the answer (a neighbour),
// and the FDB knows how to get there, we give it instead, in the neighbour's name.
//
// Everything that is not a well-formed question from a port, or that asks for an address that we do not
// know, goes its ordinary way. So do announcements (gratuitous ARP) and a neighbour's questions after its
// own address, which look for others that use it, too.
#ifndef FP_RESPOND_H
#define FP_RESPOND_H

#include "tables/tables.h"

// In a neighbour's number (see directory.h), above its MAC address: the R flag of advertisements.
#define FP_NEIGHBOUR_ROUTER (UINT64_C(1) << 48)

// `frame` came from a port and goes to a group address. Where it is answered, it becomes the answer and
// goes back; where the neighbour is behind the same port, it is dropped, since the neighbour has heard the
// question itself. Otherwise the result has kind FP_DEST_NONE, and the frame is as it was.
fp_dest fp_respond(const struct fp_context *context, struct fp_frame *frame);

#endif
