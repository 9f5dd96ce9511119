// SPDX-License-Identifier: Apache-2.0
// What the kernel's routing knows.
#ifndef FP_ROUTE_H
#define FP_ROUTE_H

#include <stdint.h>

#include "tables/remote.h"

// Return the path MTU to a remote for packets of the socket `fd`: what the route or its interface has, or less where
// a router said so (IP_MTU, IPV6_MTU). 0: it is not known. The socket, which is bound to an address and a port, is
// connected meanwhile: messages with an address of their own go out as ever.
uint32_t fp_route_mtu(int fd, const struct fp_remote *remote);

#endif
