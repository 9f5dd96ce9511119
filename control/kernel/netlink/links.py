# SPDX-License-Identifier: Apache-2.0
"""Interfaces, their addresses and routes, in the namespace of the calling thread: look, and bring about."""

import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from fastpath.addresses import IPAddress, family_of
from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.model.objects import MIN_MTU_V6, IPInterface
from fastpath.errors import ConflictError, RefusedError, UsageError

IFA_F_NODAD = 0x02
IFF_UP, IFF_PROMISC, IFF_LOWER_UP = 1, 0x100, 0x10000
ARPHRD_ETHER = 1
RTEXT_FILTER_SKIP_STATS = 8  # those of IPv6, which take a third of the time to read
TCP_HEADERS = 72  # IPv6 and TCP with timestamps
MAX_TCP_HEADER = 321  # less by so much than gso_max_size are super-frames (net/core/sock.c, sk_setup_caps)


def train_packets(mtu: int) -> int:
    """How many packets with frames of full size one train carries: 65,507 bytes of UDP payload."""
    return max(1, 65507 // (mtu + 14 + 8))


@dataclass(frozen=True)
class Link:
    """An interface, as it was when it was looked at."""

    index: int
    name: str
    kind: str
    """tun, veth, bridge …; empty for hardware and lo."""
    alias: str
    mac: str
    mtu: int
    up: bool
    master: int
    peer: int
    """Of a veth: the index of its other end, in that end's namespace. Else 0."""
    gso_max_size: int
    isolated: bool
    """As a port of a bridge: reaches no other such port."""
    queues: int
    """Of a TAP: how many are open, in all processes together."""
    lower: int
    """The index of what it stands on (a macvlan's or VLAN's parent, a veth's other end), there. Else 0."""
    mode: str
    """Of a macvlan: bridge, private, vepa or passthru. Else empty."""
    promiscuous: bool
    """Somebody switched that on, for this interface (IFF_PROMISC)."""
    carrier: bool
    ethernet: bool


class Links:
    """A netlink socket, for one thread. Methods raise FastpathError."""

    def __init__(self) -> None:
        self._ipr = IPRoute()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ipr.close()

    def all(self) -> list[Link]:
        """Every interface here."""
        with explained("list the interfaces"):
            return [_link(message) for message in self._ipr.get_links(ext_mask=RTEXT_FILTER_SKIP_STATS)]

    def find(self, name: str) -> Link | None:
        """The interface of that name."""
        try:
            messages = list(self._ipr.link("get", ifname=name))
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise RefusedError(f"cannot look at the interface {name}: {os.strerror(error.code)}") from error
        return _link(messages[0]) if messages else None

    def get(self, name: str) -> Link:
        """The interface of that name. Raises RefusedError where there is none."""
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
        """Make the interface so, and say how it is now; what is None may be as it is."""
        if name is not None and name != link.name:  # older kernels rename only what is down
            self.change(link, state="down")
            self.change(link, ifname=name)
            link = self.get(name)
        changes: dict[str, Any] = {}
        if alias is not None and alias != link.alias:
            changes["ifalias"] = alias
        if mac is not None and mac != link.mac:
            changes["address"] = mac
        if mtu is not None and mtu != link.mtu:
            changes["mtu"] = mtu
        if master is not None and master != link.master:
            changes["master"] = master
        if up is not None and up != link.up:
            changes["state"] = "up" if up else "down"
        if not changes:
            return link
        self.change(link, **changes)
        given: dict[str, Any] = {"alias": alias, "mac": mac, "mtu": mtu, "master": master, "up": up}
        return replace(link, **{key: value for key, value in given.items() if value is not None})

    def change(self, link: Link, **changes: Any) -> None:
        """Set attributes of an interface, as pyroute2 names them, at once."""
        with explained(f"change the interface {link.name}"):
            self._ipr.link("set", index=link.index, **changes)

    def move(self, link: Link, namespace: int, shown: str, new_name: str) -> None:
        """Move an interface into the namespace of a file descriptor, `shown` being what people call that, and
        rename it. Raises FastpathError where it is no network namespace or the name is taken there."""
        try:
            self._ipr.link("set", index=link.index, net_ns_fd=namespace, ifname=new_name)
        except NetlinkError as error:
            if error.code == errno.EEXIST:
                raise ConflictError(f"an interface named {new_name} exists already in {shown}") from error
            if error.code in (errno.EINVAL, errno.EBADF):
                raise UsageError(f'"{shown}" is not a network namespace: see `ip netns`') from error
            raise RefusedError(f"cannot move the interface to {shown}: {os.strerror(error.code)}") from error

    def delete(self, link: Link) -> None:
        """Remove an interface, if it is still there."""
        with explained(f"remove the interface {link.name}", errno.ENODEV):
            self._ipr.link("del", index=link.index)

    def limit_super_frames(self, link: Link, mtu: int) -> None:
        """Have the kernel make TCP super-frames on an interface that one train can carry: of so many segments
        at most. Kernels that can't be told keep their limit of 64 KiB."""
        smallest = mtu - TCP_HEADERS  # payload of a segment
        if smallest <= 0:
            return
        size = min(65536, (train_packets(mtu) + 1) * smallest - 1 + MAX_TCP_HEADER)
        if size != link.gso_max_size:
            with contextlib.suppress(NetlinkError):
                self._ipr.link("set", index=link.index, gso_max_size=size)

    def add_bridge(self, name: str, **more: Any) -> Link:
        """A bridge. Raises ConflictError where the name is taken."""
        with explained(f"make the bridge {name}"):
            self._ipr.link("add", ifname=name, kind="bridge", **more)
        return self.get(name)

    def add_veth(self, name: str, mtu: int, peer: str, peer_mac: str | None, peer_namespace: int) -> Link:
        """A pair, of which this end stays here and the other one comes into being, with its final name, in the
        namespace of that file descriptor. Raises ConflictError where either name is taken; nothing is made then."""
        other: dict[str, Any] = {"ifname": peer, "net_ns_fd": peer_namespace, "mtu": mtu}
        if peer_mac is not None:
            other["address"] = peer_mac
        with explained(f"make a veth pair {name} and {peer}"):
            self._ipr.link("add", ifname=name, kind="veth", mtu=mtu, peer=other)
        return self.get(name)

    def isolate(self, link: Link) -> None:
        """A port of a bridge that reaches none of its other isolated ports (bridge(8))."""
        with explained(f"isolate the bridge port {link.name}"):
            self._ipr.brport("set", index=link.index, isolated=1)

    def addresses(self, link: Link | None = None) -> Iterator[tuple[int, IPInterface]]:
        """The addresses of one interface, or of all, each with the interface's index."""
        with explained("list the addresses"):
            for message in self._ipr.get_addr(**({"index": link.index} if link is not None else {})):
                text = message.get("local") or message.get("address")
                yield message["index"], ipaddress.ip_interface(f"{text}/{message['prefixlen']}")

    def ensure_addresses(self, link: Link, addresses: Iterable[IPInterface]) -> None:
        """Add those that are missing; others may stay. IPv6 ones are not probed for duplicates first: they
        would be of no use for a second, and who has which address is agreed upon elsewhere."""
        there = {address for index, address in self.addresses(link) if index == link.index}
        for address in addresses:
            if address in there:
                continue
            if address.version == 6 and link.mtu < MIN_MTU_V6:
                raise RefusedError(
                    f"{link.name} cannot have the address {address}: IPv6 needs an MTU of {MIN_MTU_V6}, and it is "
                    f"{link.mtu} there"
                )
            more = {"flags": IFA_F_NODAD} if address.version == 6 else {}
            with explained(f"give {link.name} the address {address}", errno.EEXIST):
                self._ipr.addr(
                    "add",
                    index=link.index,
                    address=str(address.ip),
                    prefixlen=address.network.prefixlen,
                    family=family_of(address.ip),
                    **({"broadcast": str(address.network.broadcast_address)} if _has_broadcast(address) else {}),
                    **more,
                )

    def routes(self, family: socket.AddressFamily = socket.AF_INET) -> Iterator[dict[str, Any]]:
        """The main table's routes: `dst` a network, `oif` an index, `gateway` or None."""
        everything = "0.0.0.0/0" if family == socket.AF_INET else "::/0"
        with explained("list the routes"):
            for message in self._ipr.get_routes(family=family, table=254):
                dst = message.get("dst")
                network = f"{dst}/{message['dst_len']}" if dst is not None else everything
                yield {
                    "dst": ipaddress.ip_network(network, strict=False),
                    "oif": message.get("oif"),
                    "gateway": message.get("gateway"),
                    "metric": message.get("priority") or 0,
                }

    def ensure_default_route(self, gateway: IPAddress, link: Link) -> None:
        """By this gateway, unless there is a default route already."""
        if any(route["dst"].prefixlen == 0 for route in self.routes(family_of(gateway))):
            return
        with explained(f"add a default route via {gateway}", errno.EEXIST):
            self._ipr.route("add", dst="default", gateway=str(gateway), oif=link.index, family=family_of(gateway))


def _has_broadcast(address: IPInterface) -> bool:
    return address.version == 4 and address.network.prefixlen < 31


def _link(message: Any) -> Link:
    information = message.get("linkinfo")
    kind = information.get("kind") if information is not None else None
    place = information.get("slave_data") if information is not None else None
    tun = information.get("data") if kind == "tun" else None
    macvlan = information.get("data") if kind == "macvlan" else None
    return Link(
        index=message["index"],
        name=message.get("ifname"),
        kind=kind or "",
        alias=message.get("ifalias") or "",
        mac=message.get("address") or "",
        mtu=message.get("mtu") or 0,
        up=bool(message["flags"] & IFF_UP),
        master=message.get("master") or 0,
        peer=(message.get("link") or 0) if kind == "veth" else 0,
        gso_max_size=message.get("gso_max_size") or 0,
        queues=(tun.get_attr("IFLA_TUN_NUM_QUEUES") or 0) if tun is not None else 0,
        isolated=bool(place.get_attr("IFLA_BRPORT_ISOLATED")) if place is not None else False,
        lower=message.get("link") or 0,
        mode=(macvlan.get_attr("IFLA_MACVLAN_MODE") or "") if macvlan is not None else "",
        promiscuous=bool(message["flags"] & IFF_PROMISC),
        carrier=bool(message["flags"] & IFF_LOWER_UP),
        ethernet=message["ifi_type"] == ARPHRD_ETHER,
    )


def move_link(name: str, netns: str, new_name: str) -> None:
    """Move an interface into a network namespace (a name as in `ip netns`, or a path) and rename it.
    Raises FastpathError where there is no such namespace or the name is taken there."""
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
