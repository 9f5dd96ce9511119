# SPDX-License-Identifier: Apache-2.0
"""Where outbound traffic of containers leaves this host."""

import socket
from dataclasses import dataclass

from fastpath.control.kernel.netlink import StackedLinks

ETHERNET_MTU = 1500
LARGEST_MTU = 65535  # of a bridge


@dataclass(frozen=True)
class Way:
    """The interfaces of this host's default routes, of IPv4 and IPv6, and the smallest MTU of these routes."""

    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]
    mtu: int


def find_way(links: StackedLinks, own: int, underlay: str | None, family: int) -> Way:
    """Return the way out. The bridge itself (`own` is its index) is none. A host without a default route has its
    underlay's interface as the way out, in the family of its VTEP."""
    found: dict[int, tuple[str, ...]] = {}
    sizes = []
    there = {link.index: link for link in links.all()}
    for each in (socket.AF_INET, socket.AF_INET6):
        routes = [(there[index], mtu) for index, mtu in links.default_routes(each) if index in there and index != own]
        if not routes and each == family:
            routes = [(link, 0) for link in there.values() if link.name == underlay]
        found[each] = tuple(sorted({link.name for link, _ in routes}))
        sizes += [mtu or link.mtu for link, mtu in routes]
    return Way(found[socket.AF_INET], found[socket.AF_INET6], min(*sizes, LARGEST_MTU) if sizes else ETHERNET_MTU)
