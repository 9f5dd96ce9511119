# SPDX-License-Identifier: Apache-2.0
"""What we ask the kernel over netlink. The only file that imports pyroute2."""

import contextlib
import errno
import os
import socket

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from fastpath.addresses import IPAddress, family_of
from fastpath.errors import ConflictError, RefusedError, UsageError

ETHERNET_MTU = 1500
TCP_HEADERS = 72  # IPv6 and TCP with timestamps
MAX_TCP_HEADER = 321  # less by so much than gso_max_size are super-frames (net/core/sock.c, sk_setup_caps)


def path_mtu(local: IPAddress | None, remotes: tuple[IPAddress, ...]) -> int:
    """The smallest MTU, in bytes, on the way from here to the remotes, as far as the routing table
    knows; where it knows nothing, the MTU of the interface that has `local`, else 1500."""
    with IPRoute() as ipr:
        found = [mtu for remote in remotes if (mtu := _route_mtu(ipr, remote)) is not None]
        if not found and local is not None and (mtu := _address_mtu(ipr, local)) is not None:
            found.append(mtu)
    return min(found, default=ETHERNET_MTU)


def move_link(name: str, netns: str, new_name: str) -> None:
    """Move an interface into a network namespace (a name as in `ip netns`, or a path) and rename it.
    Raises FastpathError where there is no such namespace or the name is taken there."""
    path = netns if "/" in netns else f"/run/netns/{netns}"
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise UsageError(f'there is no network namespace "{netns}": see `ip netns`') from None
    try:
        with IPRoute() as ipr:
            ipr.link("set", index=socket.if_nametoindex(name), net_ns_fd=target, ifname=new_name)
    except NetlinkError as error:
        if error.code == errno.EEXIST:
            raise ConflictError(f"an interface named {new_name} exists already in {netns}") from None
        if error.code in (errno.EINVAL, errno.EBADF):
            raise UsageError(f'"{netns}" is not a network namespace: see `ip netns`') from None
        raise RefusedError(f"cannot move the interface to {netns}: {os.strerror(error.code)}") from None
    finally:
        os.close(target)


def limit_super_frames(name: str, segments: int, mtu: int) -> None:
    """Have the kernel make TCP super-frames on an interface of so many segments at most, so that one train
    carries each. Kernels that can't be told keep their limit of 64 KiB."""
    smallest = mtu - TCP_HEADERS  # payload of a segment
    if smallest <= 0:
        return
    size = min(65536, (segments + 1) * smallest - 1 + MAX_TCP_HEADER)
    with contextlib.suppress(NetlinkError), IPRoute() as ipr:
        ipr.link("set", index=socket.if_nametoindex(name), gso_max_size=size)


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
    links = list(ipr.get_links(index))
    mtu = links[0].get("mtu") if links else None
    return int(mtu) if mtu is not None else None
