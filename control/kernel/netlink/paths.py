# SPDX-License-Identifier: Apache-2.0
"""Path MTUs from the routing table."""

from dataclasses import replace

from fastpath.addresses import IPAddress
from fastpath.control.kernel.netlink.links import Links, Route
from fastpath.errors import FastpathError

ETHERNET_MTU = 1500


def path_mtu(local: IPAddress | None, remotes: tuple[IPAddress, ...]) -> int:
    """Return the smallest MTU, in bytes, of the paths to the remotes, as the routing table has it; if it has none, the
    MTU of the interface that has `local`, or else 1500. What ICMP messages say is left out: anybody can forge them."""
    with Links() as links:
        found = [mtu for remote in remotes if (mtu := _route_mtu(links, local, remote)) is not None]
        if not found and local is not None and (mtu := _address_mtu(links, local)) is not None:
            found.append(mtu)
    return min(found, default=ETHERNET_MTU)


def _route_mtu(links: Links, local: IPAddress | None, remote: IPAddress) -> int | None:
    route = _route(links, remote, local)
    if route is None and local is not None:
        route = _route(links, remote, None)  # this host does not have `local` yet
    if route is None:
        return None  # unreachable at present
    if route.mtu:
        return route.mtu
    return _link_mtu(links, route.oif) if route.oif is not None else None


def _route(links: Links, remote: IPAddress, source: IPAddress | None) -> Route | None:
    try:
        route = links.route_to(remote, source, configured=True)
        if route.oif is None and not route.mtu:
            route = replace(links.route_to(remote, source), mtu=0)
    except FastpathError:
        return None
    return route


def _address_mtu(links: Links, local: IPAddress) -> int | None:
    for index, address in links.addresses():
        if address.ip == local:
            return _link_mtu(links, index)
    return None


def _link_mtu(links: Links, index: int) -> int | None:
    link = links.by_index(index)
    return link.mtu if link is not None else None  # None: it was removed meanwhile
