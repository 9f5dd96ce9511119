# SPDX-License-Identifier: Apache-2.0
"""The network below the overlay: this host's address there, its MTU, and changes of both."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterable

from fastpath.addresses import IPAddress, parse_ip
from fastpath.control.kernel.netlink import Link, Links, path_mtu
from fastpath.control.model.objects import IPNetwork
from fastpath.errors import FastpathError, RefusedError, UsageError

log = logging.getLogger("fastpath")

# RTMGRP_LINK, …_IPV4_IFADDR, …_IPV4_ROUTE, …_IPV6_IFADDR, …_IPV6_ROUTE of <linux/rtnetlink.h>, and of forwarding and
# the like RTNLGRP_IPV4_NETCONF, …_IPV6_NETCONF
GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400 | 1 << 23 | 1 << 24
QUIET_S, LATEST_S = 0.3, 3.0
VRF = "vrf"  # the kind of such an interface


def resolve_vtep(text: str | None) -> tuple[IPAddress, str]:
    """Return the VTEP's address and its interface. `text` is an address of this host or the name of an interface; None
    means the interface of the default route. IPv4 addresses of an interface have precedence. Raise FastpathError if
    there is no such address, or it is in a VRF."""
    with Links() as links:
        address, link = _find_vtep(links, text)
        if link is not None:
            _check_vrf(links, link)
        return address, link.name if link is not None else ""


def _find_vtep(links: Links, text: str | None) -> tuple[IPAddress, Link | None]:
    """Return the address, and the interface that has it, unless that has just gone."""
    if text is None:
        named: Link | None = _default_link(links)
    else:
        named = links.find(text) if 1 <= len(text) <= 15 else None
    if named is not None:
        return _address(links, named), named
    try:
        wanted = parse_ip(text or "")
    except UsageError as error:
        raise UsageError(f'"{text}" is neither an interface nor an address: see `ip address`') from error
    for index, address in links.addresses():
        if address.ip == wanted:
            return wanted, next((link for link in links.all() if link.index == index), None)
    raise RefusedError(f"this host does not have the address {wanted}: see `ip address` for those it has")


def _check_vrf(links: Links, link: Link) -> None:
    """Raise RefusedError if the interface is in a VRF, and sockets of this process are not: they get no packets of it
    (udp_sk_bound_dev_eq in include/net/udp.h), and what they send asks another routing table."""
    vrf = link if link.kind == VRF else links.by_index(link.master)
    if vrf is not None and vrf.kind == VRF and _bound_to() != vrf.name:
        raise RefusedError(
            f"the interface {link.name} is in the VRF {vrf.name}, which the daemon's sockets are not: give an address "
            "or an interface outside of VRFs (--vtep)"
        )


def _bound_to() -> str:
    """Return the device that new sockets of this process are bound to, as by `ip vrf exec`; empty: none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return os.fsdecode(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0"))


def underlay_mtu(vtep: IPAddress, remotes: Iterable[IPAddress] = ()) -> int:
    """Return the size of the largest IP packet that reaches every remote, in bytes, as far as this host knows."""
    return path_mtu(vtep, tuple(remotes))


def routed_subnets() -> list[tuple[IPNetwork, str]]:
    """Return the subnets that this host has routes to, with their origin: no container network may overlap them."""
    with Links() as links:
        names = {link.index: link.name for link in links.all()}
        return [
            (route.dst, f"this host's routes (by {names.get(route.oif or 0, 'no interface')})")
            for family in (socket.AF_INET, socket.AF_INET6)
            for route in links.routes(family)
            if route.dst.prefixlen > 0 and not route.dst.is_link_local and not route.dst.is_multicast
        ]


def own_addresses() -> set[IPAddress]:
    """Return all addresses that this host has."""
    with Links() as links:
        return {address.ip for _, address in links.addresses()}


def _default_link(links: Links) -> Link:
    for family in (socket.AF_INET, socket.AF_INET6):
        defaults = [r for r in links.routes(family) if r.dst.prefixlen == 0 and r.oif is not None]
        if defaults:
            index = min(defaults, key=lambda route: route.metric).oif
            for link in links.all():  # it may have gone meanwhile
                if link.index == index:
                    return link
    raise RefusedError("this host has no default route: say which address or interface remotes reach it by (--vtep)")


def _address(links: Links, link: Link) -> IPAddress:
    addresses = links.lasting_addresses(link)
    for address in sorted(addresses, key=lambda each: each.version):  # sorted is stable: the primary one first
        with contextlib.suppress(FastpathError):
            return parse_ip(address.ip)
    raise RefusedError(f"the interface {link.name} has no address that remotes could reach: see `ip address`")


class UnderlayWatch:
    """Calls back, in the event loop that starts it, after links, addresses or routes of the present network namespace
    changed: when QUIET_S have passed without another change, after LATEST_S at the latest. The callback has to find
    out what changed."""

    def __init__(self, changed: Callable[[], object], *, quiet: float = QUIET_S, latest: float = LATEST_S) -> None:
        self._changed = changed
        self._quiet, self._latest = quiet, latest
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0

    def start(self) -> None:
        """Begin to watch, in the running loop."""
        self._loop = asyncio.get_running_loop()
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, GROUPS))
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        """End the watch."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        assert self._socket is not None  # noqa: S101  # the reader goes with it
        try:
            while self._socket.recv(1 << 16):
                pass
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # the buffer was full: there were many changes
                raise
        now = self._loop.time()
        if self._timer is None:
            self._deadline = now + self._latest
        else:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + self._quiet, self._deadline), self._call)

    def _call(self) -> None:
        self._timer = None
        try:
            self._changed()
        except Exception:
            log.exception("the callback for a change of the underlay failed")
