# SPDX-License-Identifier: Apache-2.0
"""What the routing table knows of the way to the remotes."""

import socket

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from fastpath.addresses import IPAddress, family_of

ETHERNET_MTU = 1500


def path_mtu(local: IPAddress | None, remotes: tuple[IPAddress, ...]) -> int:
    """The smallest MTU, in bytes, on the way from here to the remotes, as far as the routing table
    knows; where it knows nothing, the MTU of the interface that has `local`, else 1500."""
    with IPRoute() as ipr:
        found = [mtu for remote in remotes if (mtu := _route_mtu(ipr, remote)) is not None]
        if not found and local is not None and (mtu := _address_mtu(ipr, local)) is not None:
            found.append(mtu)
    return min(found, default=ETHERNET_MTU)


def _route_mtu(ipr: IPRoute, remote: IPAddress) -> int | None:
    try:
        routes = ipr.route("get", dst=str(remote), family=family_of(remote))
    except (NetlinkError, OSError):
        return None  # unreachable at present
    for route in routes:
        metrics = route.get("metrics")
        if metrics is not None and (mtu := metrics.get("mtu")):
            return int(mtu)
        if (index := route.get("oif")) is not None:
            return _link_mtu(ipr, index)
    return None


def _address_mtu(ipr: IPRoute, local: IPAddress) -> int | None:
    for address in ipr.get_addr(family=family_of(local)):
        if local.packed in (_packed(address.get("local")), _packed(address.get("address"))):
            return _link_mtu(ipr, address["index"])
    return None


def _packed(text: str | None) -> bytes:
    if text is None:
        return b""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def _link_mtu(ipr: IPRoute, index: int) -> int | None:
    try:
        links = list(ipr.get_links(index))
    except NetlinkError:
        return None  # it went meanwhile
    mtu = links[0].get("mtu") if links else None
    return int(mtu) if mtu is not None else None
