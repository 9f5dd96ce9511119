# SPDX-License-Identifier: Apache-2.0
"""Interfaces, their addresses and routes: read and change them."""

import contextlib
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from fastpath.addresses import IPAddress, family_of
from fastpath.control.kernel.netlink import rtnetlink
from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.link import (
    HEADER,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_BRPORT_ISOLATED,
    IFLA_EXT_MASK,
    IFLA_GSO_MAX_SIZE,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    IFLA_PROTINFO,
    VETH_INFO_PEER,
    Link,
    packed_mac,
    parse_link,
)
from fastpath.control.kernel.netlink.rtnetlink import CREATE, EXCLUSIVE, NESTED, Rtnetlink, attribute, attributes
from fastpath.control.model.objects import MIN_MTU_V6, IPInterface, IPNetwork
from fastpath.errors import ConflictError, RefusedError, UsageError

SKIP_STATS = attribute(IFLA_EXT_MASK, 8)  # RTEXT_FILTER_SKIP_STATS: those of IPv6, which take a third of the time
TCP_HEADERS = 72  # IPv6 and TCP with timestamps
MAX_TCP_HEADER = 321  # less by so much than gso_max_size are super-frames (net/core/sock.c, sk_setup_caps)
AF_BRIDGE = 7
EMPTY = (0, 0, 0, 0, 0)  # of struct ifinfomsg
MAIN_TABLE = 254
UNICAST, STATIC = 1, 4  # RTN_UNICAST, RTPROT_STATIC
UNIVERSE, ON_LINK, NO_SCOPE = 0, 253, 255  # enum rt_scope_t
ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, index
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFA_F_NODAD = 0x02
ROUTE = struct.Struct(
    "=BBBBBBBBI"
)  # struct rtmsg: family, dst length, src length, tos, table, protocol, scope, type, 0
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_TABLE = 1, 4, 5, 6, 7, 8, 15
RTAX_MTU = 2


def train_packets(mtu: int) -> int:
    """Return how many packets with frames of full size one train carries: 65,507 bytes of UDP payload."""
    return max(1, 65507 // (mtu + 14 + 8))


@dataclass(frozen=True)
class Route:
    """One route of the main table."""

    dst: IPNetwork
    oif: int | None
    metric: int
    mtu: int
    source: IPAddress | None
    """The address that this host speaks as to that destination."""


class Links:
    """The links of the namespace that a socket belongs to; without a socket, of the calling thread's namespace. Methods
    raise FastpathError."""

    def __init__(self, netlink: Rtnetlink | None = None) -> None:
        self._own = netlink is None
        self._netlink = netlink if netlink is not None else Rtnetlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._own:
            self._netlink.close()

    def all(self) -> list[Link]:
        """Return every interface here."""
        with explained("list the interfaces"):
            answers = self._netlink.dump(rtnetlink.GETLINK, HEADER.pack(*EMPTY) + SKIP_STATS)
        return [parse_link(body) for body in answers]

    def find(self, name: str) -> Link | None:
        """Return the interface of that name, or of that alternative name."""
        return self._look(f"look at the interface {name}", 0, attribute(IFLA_IFNAME, name))

    def by_index(self, index: int) -> Link | None:
        """Return the interface of that index."""
        return self._look(f"look at the interface {index}", index, b"") if index else None

    def _look(self, what: str, index: int, name: bytes) -> Link | None:
        with explained(what, errno.ENODEV):
            return parse_link(self._netlink.get(rtnetlink.GETLINK, HEADER.pack(0, 0, index, 0, 0) + name + SKIP_STATS))
        return None

    def get(self, name: str) -> Link:
        """Return the interface of that name. Raise RefusedError where there is none."""
        found = self.find(name)
        if found is None:
            raise RefusedError(f"there is no interface named {name}")
        return found

    def ensure(
        self,
        link: Link,
        *,
        name: str | None = None,
        alias: str | None = None,
        mac: str | None = None,
        mtu: int | None = None,
        master: int | None = None,
        up: bool | None = None,
    ) -> Link:
        """Change what differs, and return the interface as it is then; None leaves an attribute alone."""
        if name is not None and name != link.name:  # older kernels rename only what is down
            self.change(link, up=False)
            self.change(link, name=name)
            link = self.get(name)
        given = {"alias": alias, "mac": mac, "mtu": mtu, "master": master, "up": up}
        changes: dict[str, Any] = {k: v for k, v in given.items() if v is not None and v != getattr(link, k)}
        if not changes:
            return link
        self.change(link, **changes)
        return replace(link, **changes)

    def change(
        self,
        link: Link,
        *,
        name: str | None = None,
        alias: str | None = None,
        mac: str | None = None,
        mtu: int | None = None,
        master: int | None = None,
        up: bool | None = None,
    ) -> None:
        """Set attributes of an interface, all at once."""
        wanted = b""
        if name is not None:
            wanted += attribute(IFLA_IFNAME, name)
        if alias is not None:
            wanted += attribute(IFLA_IFALIAS, alias.encode())
        if mac is not None:
            wanted += attribute(IFLA_ADDRESS, packed_mac(mac))
        if mtu is not None:
            wanted += attribute(IFLA_MTU, mtu)
        if master is not None:
            wanted += attribute(IFLA_MASTER, master)
        with explained(f"change the interface {link.name}"):
            self._set(link, wanted, flags=IFF_UP if up else 0, changed=IFF_UP if up is not None else 0)

    def _set(self, link: Link, wanted: bytes, *, flags: int = 0, changed: int = 0) -> None:
        self._netlink.change(rtnetlink.NEWLINK, HEADER.pack(0, 0, link.index, flags, changed) + wanted)

    def _add(self, name: str, kind: str, *more: bytes, data: bytes = b"") -> Link:
        """Make an interface, down."""
        information = attribute(IFLA_INFO_KIND, kind) + (attribute(IFLA_INFO_DATA, data) if data else b"")
        body = HEADER.pack(*EMPTY) + attribute(IFLA_IFNAME, name) + b"".join(more)
        self._netlink.change(rtnetlink.NEWLINK, body + attribute(IFLA_LINKINFO, information), CREATE | EXCLUSIVE)
        return self.get(name)

    def move(self, link: Link, namespace: int, shown: str, new_name: str) -> None:
        """Move an interface into the namespace of a file descriptor, `shown` being what people call that, and
        rename it. Raise FastpathError where it is no network namespace or the name is taken there."""
        try:
            self._set(link, attribute(IFLA_NET_NS_FD, namespace) + attribute(IFLA_IFNAME, new_name))
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise ConflictError(f"an interface named {new_name} exists already in {shown}") from error
            if error.errno in (errno.EINVAL, errno.EBADF):
                raise UsageError(f'"{shown}" is not a network namespace: see `ip netns`') from error
            raise RefusedError(f"cannot move the interface to {shown}: {error.strerror}") from error

    def delete(self, link: Link) -> None:
        """Remove an interface, if it is still there."""
        with explained(f"remove the interface {link.name}", errno.ENODEV):
            self._netlink.change(rtnetlink.DELLINK, HEADER.pack(0, 0, link.index, 0, 0))

    def limit_super_frames(self, link: Link, mtu: int) -> None:
        """Have the kernel make TCP super-frames on an interface that one train can carry: of so many segments
        at most. Kernels that can't be told keep their limit of 64 KiB."""
        smallest = mtu - TCP_HEADERS  # payload of a segment
        if smallest <= 0:
            return
        size = min(65536, (train_packets(mtu) + 1) * smallest - 1 + MAX_TCP_HEADER)
        if size != link.gso_max_size:
            with contextlib.suppress(OSError):
                self._set(link, attribute(IFLA_GSO_MAX_SIZE, size))

    def add_bridge(self, name: str) -> Link:
        """Make a bridge. Raise ConflictError where the name is taken."""
        with explained(f"make the bridge {name}"):
            return self._add(name, "bridge")

    def add_veth(self, name: str, mtu: int, peer: str, peer_mac: str | None, peer_namespace: int) -> Link:
        """Make a pair, of which this end stays here and the other one comes into being, with its final name, in the
        namespace of that file descriptor. Raise ConflictError where either name is taken; nothing is made then."""
        other = HEADER.pack(*EMPTY) + attribute(IFLA_IFNAME, peer) + attribute(IFLA_MTU, mtu)
        other += attribute(IFLA_NET_NS_FD, peer_namespace)
        if peer_mac is not None:
            other += attribute(IFLA_ADDRESS, packed_mac(peer_mac))
        with explained(f"make a veth pair {name} and {peer}"):
            return self._add(name, "veth", attribute(IFLA_MTU, mtu), data=attribute(VETH_INFO_PEER, other))

    def isolate(self, link: Link) -> None:
        """Keep a port of a bridge from its other isolated ports (bridge(8))."""
        isolated = attribute(IFLA_PROTINFO | NESTED, attribute(IFLA_BRPORT_ISOLATED, b"\x01"))
        with explained(f"isolate the bridge port {link.name}"):
            self._netlink.change(rtnetlink.SETLINK, HEADER.pack(AF_BRIDGE, 0, link.index, 0, 0) + isolated)

    def addresses(self, link: Link | None = None) -> Iterator[tuple[int, IPInterface]]:
        """Yield the addresses of one interface, or of all, each with the interface's index."""
        with explained("list the addresses"):
            answers = self._netlink.dump(rtnetlink.GETADDR, bytes(ADDRESS.size))
        for body in answers:
            _, length, _, _, index = ADDRESS.unpack_from(body)
            found = dict(attributes(body, ADDRESS.size))
            packed = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
            if packed is not None and (link is None or link.index == index):
                yield index, ipaddress.ip_interface((packed, length))

    def ensure_addresses(self, link: Link, addresses: Iterable[IPInterface]) -> None:
        """Add those that are missing; others may stay. IPv6 ones are not probed for duplicates first: they
        would be of no use for a second, and who has which address is agreed upon elsewhere."""
        there = {address for _, address in self.addresses(link)}
        for address in addresses:
            if address in there:
                continue
            if address.version == 6 and link.mtu < MIN_MTU_V6:
                raise RefusedError(
                    f"{link.name} cannot have the address {address}: IPv6 needs an MTU of {MIN_MTU_V6}, and it is "
                    f"{link.mtu} there"
                )
            flags = IFA_F_NODAD if address.version == 6 else 0
            body = ADDRESS.pack(family_of(address.ip), address.network.prefixlen, flags, UNIVERSE, link.index)
            body += attribute(IFA_LOCAL, address.ip.packed) + attribute(IFA_ADDRESS, address.ip.packed)
            if _has_broadcast(address):
                body += attribute(IFA_BROADCAST, address.network.broadcast_address.packed)
            with explained(f"give {link.name} the address {address}", errno.EEXIST):
                self._netlink.change(rtnetlink.NEWADDR, body, CREATE | EXCLUSIVE)

    def routes(self, family: socket.AddressFamily = socket.AF_INET) -> Iterator[Route]:
        """Yield the main table's routes."""
        with explained("list the routes"):
            answers = self._netlink.dump(rtnetlink.GETROUTE, ROUTE.pack(family, *bytes(8)))
        for body in answers:
            table, route = _route(body)
            if table == MAIN_TABLE and body[0] == family:
                yield route

    def route_to(self, address: IPAddress) -> Route:
        """Return the route that a packet to this address would take. Raise RefusedError where it would take none."""
        asked = ROUTE.pack(family_of(address), address.max_prefixlen, *bytes(7)) + attribute(RTA_DST, address.packed)
        with explained(f"find a route to {address}"):
            return _route(self._netlink.get(rtnetlink.GETROUTE, asked))[1]

    def ensure_default_route(self, gateway: IPAddress, link: Link) -> None:
        """Add one by this gateway, unless there is a default route already."""
        family = family_of(gateway)
        if any(route.dst.prefixlen == 0 for route in self.routes(family)):
            return
        body = ROUTE.pack(family, 0, 0, 0, MAIN_TABLE, STATIC, UNIVERSE, UNICAST, 0)
        body += attribute(RTA_GATEWAY, gateway.packed) + attribute(RTA_OIF, link.index)
        with explained(f"add a default route via {gateway}", errno.EEXIST):
            self._netlink.change(rtnetlink.NEWROUTE, body, CREATE | EXCLUSIVE)


def _route(body: bytes) -> tuple[int, Route]:
    """Return the table and the route that a message describes."""
    family, length, _, _, table, *_ = ROUTE.unpack_from(body)
    found = dict(attributes(body, ROUTE.size))
    dst = found.get(RTA_DST) or bytes(4 if family == socket.AF_INET else 16)
    source = found.get(RTA_PREFSRC)
    metrics = dict(attributes(found.get(RTA_METRICS, b"")))
    return rtnetlink.number(found.get(RTA_TABLE, b"")) or table, Route(
        dst=ipaddress.ip_network((dst, length), strict=False),
        oif=rtnetlink.number(found[RTA_OIF]) if RTA_OIF in found else None,
        metric=rtnetlink.number(found.get(RTA_PRIORITY, b"")),
        mtu=rtnetlink.number(metrics.get(RTAX_MTU, b"")),
        source=ipaddress.ip_address(source) if source is not None else None,
    )


def _has_broadcast(address: IPInterface) -> bool:
    return address.version == 4 and address.network.prefixlen < 31


def move_link(name: str, netns: str, new_name: str) -> None:
    """Move an interface into a network namespace (a name as in `ip netns`, or a path) and rename it.
    Raise FastpathError where there is no such namespace or the name is taken there."""
    path = netns if "/" in netns else f"/run/netns/{netns}"
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f'there is no network namespace "{netns}": see `ip netns`') from error
    try:
        with Links() as links:
            links.move(links.get(name), target, netns, new_name)
    finally:
        os.close(target)
