# SPDX-License-Identifier: Apache-2.0
"""Read and change interfaces, their addresses and routes."""

import contextlib
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, TypedDict, Unpack

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL
from pyroute2.netlink.rtnl import (
    RTM_DELLINK,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    rt_proto,
    rt_scope,
    rt_type,
)
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import IFF_UP, ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from fastpath.addresses import IPAddress, family_of
from fastpath.control.kernel.netlink import changes
from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.link import Link, parse_link
from fastpath.control.kernel.netlink.rtnetlink import HEADER, Message, Rtnetlink, build
from fastpath.control.model.objects import MIN_MTU_V6, IPInterface, IPNetwork
from fastpath.errors import ConflictError, RefusedError, UsageError
from fastpath.text import to_kernel

SKIP_STATS = ("IFLA_EXT_MASK", 8)  # RTEXT_FILTER_SKIP_STATS: IPv6 statistics would take a third of the time
TCP_HEADERS = 72  # IPv6 and TCP with timestamps
# IFA_F_TEMPORARY, …_DADFAILED, …_DEPRECATED and …_TENTATIVE of <linux/if_addr.h>
PASSING = 0x01 | 0x08 | 0x20 | 0x40
MAX_TCP_HEADER = 321  # less by so much than gso_max_size are super-frames (net/core/sock.c, sk_setup_caps)
MAIN_TABLE = 254
RTM_F_FIB_MATCH = 0x2000  # <linux/rtnetlink.h>
MARKED = 64  # interfaces of one sandbox with our mark: a container may give it to others of its own
_RTMSG = struct.Struct("=BBBB")  # the beginning of struct rtmsg: family, length of the destination, of the source, TOS
NEW = NLM_F_CREATE | NLM_F_EXCL


def train_packets(mtu: int) -> int:
    """Return the number of packets with full frames that one train carries: 65,507 bytes of UDP payload."""
    return max(1, 65507 // (mtu + 14 + 8))


class Attributes(TypedDict, total=False):
    """Attributes of an interface that can be set. What is left out, or None, stays as it is."""

    name: str | None
    alias: str | None
    mac: str | None
    mtu: int | None
    master: int | None
    up: bool | None


KINDS: dict[Literal["name", "alias", "mac", "mtu", "master"], str] = {
    "name": "IFNAME",
    "alias": "IFALIAS",
    "mac": "ADDRESS",
    "mtu": "MTU",
    "master": "MASTER",
}

WORDS = {"name": "name", "alias": "alias", "mac": "MAC address", "mtu": "MTU", "master": "bridge", "up": "state (up)"}


@dataclass(frozen=True)
class Route:
    """One route of the main table."""

    dst: IPNetwork
    oif: int | None
    metric: int
    mtu: int
    source: IPAddress | None
    """The source address of this host for that destination."""


class Links:
    """The links of a socket's namespace; without a socket, of the calling thread's namespace. Methods raise
    FastpathError."""

    def __init__(self, netlink: Rtnetlink | None = None) -> None:
        self._own = netlink is None
        self._netlink = netlink if netlink is not None else Rtnetlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._own:
            self._netlink.close()

    def all(self) -> list[Link]:
        """Return all interfaces. Not for sandboxes, which may have very many."""
        return list(self._marked(b""))

    def marked(self, mark: str) -> list[Link]:
        """Return the interfaces whose alias contains `mark`. Raise RefusedError if a sandbox has so many interfaces, or
        so many with this mark, that to look at them would take too long."""
        found = []
        for link in self._marked(to_kernel(mark)):
            if mark in link.alias:
                found.append(link)
            if self._netlink.limits and len(found) > MARKED:
                raise RefusedError(f"more than {MARKED} interfaces in the sandbox have the alias {mark}…: change that")
        return found

    def _marked(self, mark: bytes) -> Iterator[Link]:
        """Yield the interfaces whose messages contain these bytes."""
        with explained("list the interfaces"):
            answers = self._netlink.dump(RTM_GETLINK, build(ifinfmsg, SKIP_STATS), lambda raw: mark in raw)
            if self._netlink.cut:
                raise RefusedError("the sandbox has too many interfaces to look at: remove some")
            yield from map(parse_link, answers)

    def find(self, name: str) -> Link | None:
        """Return the interface of that name, or of that alternative name."""
        return self._look(f"look at the interface {name}", build(ifinfmsg, ("IFLA_IFNAME", name), SKIP_STATS))

    def by_index(self, index: int) -> Link | None:
        """Return the interface of that index."""
        return self._look(f"look at the interface {index}", build(ifinfmsg, SKIP_STATS, index=index)) if index else None

    def _look(self, what: str, asked: Message) -> Link | None:
        with explained(what, errno.ENODEV):
            return parse_link(self._netlink.get(RTM_GETLINK, asked))
        return None

    def get(self, name: str) -> Link:
        """Return the interface of that name. Raise RefusedError if there is none."""
        found = self.find(name)
        if found is None:
            raise RefusedError(f"there is no interface named {name}")
        return found

    def ensure(self, link: Link, **wanted: Unpack[Attributes]) -> Link:
        """Set the attributes that differ, a name too, and return the changed interface."""
        name = wanted.pop("name", None)
        if name is not None and name != link.name:  # older kernels rename an interface only while it is down
            self.change(link, up=False)
            self.change(link, name=name)
            changes.note(f"the name {name}, which was {link.name}")
            link = self.get(name)
        given: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
        wrong = {key: value for key, value in given.items() if value != getattr(link, key)}
        if not wrong:
            return link
        self.change(link, **wrong)
        for key, value in wrong.items():
            changes.note(f"the {WORDS[key]} {value}, which was {getattr(link, key)}")
        return replace(link, **wrong)

    def change(self, link: Link, **wanted: Unpack[Attributes]) -> None:
        """Set attributes of an interface, all at once, whatever they are now."""
        values = [(f"IFLA_{kind}", value) for key, kind in KINDS.items() if (value := wanted.get(key)) is not None]
        up = wanted.get("up")
        with explained(f"change the interface {link.name}"):
            self._set(link, *values, flags=IFF_UP if up else 0, change=IFF_UP if up is not None else 0)

    def _set(self, link: Link, *wanted: tuple[str, object], **fields: int) -> None:
        self._netlink.change(RTM_NEWLINK, build(ifinfmsg, *wanted, index=link.index, **fields))

    def _add(self, name: str, kind: str, *more: tuple[str, object], data: Iterable[tuple[str, object]] = ()) -> Link:
        """Create an interface, down, and return it; `data` are the attributes of its kind."""
        self._create(name, kind, *more, data=data)
        return self.get(name)

    def _create(self, name: str, kind: str, *more: tuple[str, object], data: Iterable[tuple[str, object]] = ()) -> None:
        settings = list(data)
        information = nested(("IFLA_INFO_KIND", kind), *((("IFLA_INFO_DATA", nested(*settings)),) if settings else ()))
        wanted = build(ifinfmsg, ("IFLA_IFNAME", name), *more, ("IFLA_LINKINFO", information))
        self._netlink.change(RTM_NEWLINK, wanted, NEW)

    def move(self, link: Link, namespace: int, shown: str, new_name: str) -> None:
        """Move an interface into the namespace of a file descriptor and rename it. `shown` is the namespace's name in
        errors. Raise FastpathError if it is not a network namespace or the name is taken there."""
        try:
            self._set(link, ("IFLA_NET_NS_FD", namespace), ("IFLA_IFNAME", new_name))
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise ConflictError(f"an interface named {new_name} exists already in {shown}") from error
            if error.errno in (errno.EINVAL, errno.EBADF):
                raise UsageError(f'"{shown}" is not a network namespace: see `ip netns`') from error
            raise RefusedError(f"cannot move the interface to {shown}: {error.strerror}") from error

    def delete(self, link: Link) -> None:
        """Remove an interface, if it still exists."""
        with explained(f"remove the interface {link.name}", errno.ENODEV):
            self._netlink.change(RTM_DELLINK, build(ifinfmsg, index=link.index))

    def limit_super_frames(self, link: Link, mtu: int) -> None:
        """Limit the kernel's TCP super-frames on an interface to the number of segments that one train carries. Kernels
        without that setting keep their limit of 64 KiB."""
        smallest = mtu - TCP_HEADERS  # a segment's payload
        if smallest <= 0:
            return
        size = min(65536, (train_packets(mtu) + 1) * smallest - 1 + MAX_TCP_HEADER)
        if size != link.gso_max_size:
            with contextlib.suppress(OSError):
                self._set(link, ("IFLA_GSO_MAX_SIZE", size))

    def add_bridge(self, name: str) -> Link:
        """Create a bridge. Raise ConflictError if the name is taken."""
        with explained(f"make the bridge {name}"):
            return self._add(name, "bridge")

    def add_veth(self, name: str, mtu: int, peer: str, peer_mac: str | None, peer_namespace: int) -> Link:
        """Create a pair: one end here, the other one, with its final name, in the namespace of a file descriptor. Raise
        ConflictError, and create nothing, if either name is taken."""
        other = [("IFLA_IFNAME", peer), ("IFLA_MTU", mtu), ("IFLA_NET_NS_FD", peer_namespace)]
        if peer_mac is not None:
            other.append(("IFLA_ADDRESS", peer_mac))
        with explained(f"make a veth pair {name} and {peer}"):
            return self._add(name, "veth", ("IFLA_MTU", mtu), data=[("VETH_INFO_PEER", nested(*other))])

    def addresses(self, link: Link | None = None) -> Iterator[tuple[int, IPInterface]]:
        """Yield the addresses of one interface, or of all, each with the interface's index."""
        return self._addresses(link, lambda _: True)

    def lasting_addresses(self, link: Link) -> list[IPInterface]:
        """Return the addresses of an interface; those that will not last, such as IPv6 privacy addresses, or that
        cannot be used now, last."""
        found = [(a["flags"] & PASSING != 0, _interface(a)) for a in self._dump_addresses(link) if _has_address(a)]
        return [address for _, address in sorted(found, key=lambda each: each[0])]  # sorted is stable

    def _addresses(self, link: Link | None, keep: Callable[[bytes], bool]) -> Iterator[tuple[int, IPInterface]]:
        for answer in self._dump_addresses(link, keep):
            if _has_address(answer):
                yield answer["index"], _interface(answer)

    def _dump_addresses(self, link: Link | None, keep: Callable[[bytes], bool] = lambda _: True) -> Iterator[Message]:
        with explained("list the addresses"):
            asked = build(ifaddrmsg, index=link.index if link is not None else 0)
            answers = self._netlink.dump(RTM_GETADDR, asked, keep)
        for answer in answers:
            if link is None or link.index == answer["index"]:
                yield answer

    def ensure_addresses(self, link: Link, addresses: Iterable[IPInterface]) -> None:
        """Add missing addresses; others may stay. IPv6 addresses skip duplicate detection, which would delay their use
        by a second: the store already assigns each address once."""
        addresses = list(addresses)
        packed = [address.ip.packed for address in addresses]
        there = {address for _, address in self._addresses(link, lambda raw: any(each in raw for each in packed))}
        for address in addresses:
            if address in there:
                continue
            if address.version == 6 and link.mtu < MIN_MTU_V6:
                raise RefusedError(
                    f"{link.name} cannot have the address {address}: IPv6 needs an MTU of {MIN_MTU_V6}, and it is "
                    f"{link.mtu} there"
                )
            own = str(address.ip)
            wanted = build(
                ifaddrmsg,
                ("IFA_LOCAL", own),
                ("IFA_ADDRESS", own),
                *((("IFA_BROADCAST", str(address.network.broadcast_address)),) if _has_broadcast(address) else ()),
                family=family_of(address.ip),
                prefixlen=address.network.prefixlen,
                flags=IFA_F_NODAD if address.version == 6 else 0,
                index=link.index,
            )
            with explained(f"give {link.name} the address {address}", errno.EEXIST):
                self._netlink.change(RTM_NEWADDR, wanted, NEW)
            changes.note(f"the address {address}, which was gone")

    def routes(self, family: socket.AddressFamily = socket.AF_INET, link: Link | None = None) -> Iterator[Route]:
        """Yield the main table's routes, those by one interface or all."""
        by = [("RTA_OIF", link.index)] if link is not None else []
        return self._routes(family, lambda _: True, *by)

    def _routes(
        self, family: socket.AddressFamily, keep: Callable[[bytes], bool], *by: tuple[str, object]
    ) -> Iterator[Route]:
        with explained("list the routes"):
            asked = build(rtmsg, *by, family=family, table=MAIN_TABLE)
            answers = self._netlink.dump(RTM_GETROUTE, asked, keep)
        for answer in answers:
            if (answer.get("table"), answer["family"]) == (MAIN_TABLE, family):
                yield _route(answer)

    def route_to(self, address: IPAddress, source: IPAddress | None = None, *, configured: bool = False) -> Route:
        """Return the route of a packet to this address, from `source` if rules look at it. `configured`: as it is in
        the table, without the MTU that an ICMP message told the kernel; without interface if it has several. Raise
        RefusedError if there is none, or if this host does not have the address `source`."""
        asked = build(
            rtmsg,
            ("RTA_DST", str(address)),
            *([("RTA_SRC", str(source))] if source is not None else []),
            family=family_of(address),
            dst_len=address.max_prefixlen,
            src_len=source.max_prefixlen if source is not None else 0,
            flags=RTM_F_FIB_MATCH if configured else 0,
        )
        with explained(f"find a route to {address}"):
            return _route(self._netlink.get(RTM_GETROUTE, asked))

    def ensure_default_route(self, gateway: IPAddress, link: Link) -> None:
        """Add a default route by this gateway, unless there is a default route already."""
        family = family_of(gateway)
        # The kernel lists an IPv4 default route before others, so it is found in a dump that is cut, too.
        if any(self._routes(family, lambda raw: _RTMSG.unpack_from(raw, HEADER.size)[1] == 0)):
            return
        by = ("RTA_GATEWAY", str(gateway)), ("RTA_OIF", link.index)
        with explained(f"add a default route via {gateway}", errno.EEXIST):
            self._netlink.change(RTM_NEWROUTE, route(family, "universe", *by), NEW)


def nested(*attributes: tuple[str, object]) -> dict[str, Any]:
    """Return attributes as the value of another attribute."""
    return {"attrs": list(attributes)}


def route(family: socket.AddressFamily, scope: str, *attributes: tuple[str, object], dst_len: int = 0) -> Message:
    """Return the message of a new route of the main table."""
    return build(
        rtmsg,
        *attributes,
        family=family,
        dst_len=dst_len,
        table=MAIN_TABLE,
        proto=rt_proto["static"],
        scope=rt_scope[scope],
        type=rt_type["unicast"],
    )


def _route(message: Message) -> Route:
    """Return the route that a message describes."""
    dst, source = message.get("dst"), message.get("prefsrc")
    everything = "0.0.0.0/0" if message["family"] == socket.AF_INET else "::/0"
    return Route(
        dst=ipaddress.ip_network(f"{dst}/{message['dst_len']}" if dst else everything, strict=False),
        oif=message.get("oif"),
        metric=message.get("priority") or 0,
        mtu=message.get(("metrics", "mtu")) or 0,
        source=ipaddress.ip_address(source) if source is not None else None,
    )


def _has_broadcast(address: IPInterface) -> bool:
    return address.version == 4 and address.network.prefixlen < 31


def move_link(name: str, netns: str, new_name: str) -> None:
    """Move an interface into a network namespace (a name as in `ip netns`, or a path) and rename it.
    Raise FastpathError if there is no such namespace or the name is taken there."""
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


def _has_address(answer: Message) -> bool:
    return bool(answer.get("local") or answer.get("address"))


def _interface(answer: Message) -> IPInterface:
    return ipaddress.ip_interface(f"{answer.get('local') or answer.get('address')}/{answer['prefixlen']}")
