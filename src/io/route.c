// SPDX-License-Identifier: Apache-2.0
#include "io/route.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#ifndef IP_MTU
enum { IP_MTU = 14 }; // <linux/in.h>
#endif
#ifndef IPV6_MTU
enum { IPV6_MTU = 24 }; // <linux/in6.h>
#endif

uint32_t fp_route_mtu(int fd, const struct fp_remote *remote) {
    const bool ipv4 = remote->to.ss_family == AF_INET;
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    int mtu = 0;
    socklen_t size = sizeof mtu;
    // A socket of its own would be one of the caller's network namespace, which may be another one.
    if (connect(fd, (const struct sockaddr *)&remote->to, remote->to_size) < 0)
        return 0;
    if (getsockopt(fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_MTU : IPV6_MTU, &mtu, &size) < 0)
        mtu = 0;
    connect(fd, &nowhere, sizeof nowhere);
    return mtu > 0 ? (uint32_t)mtu : 0;
}
