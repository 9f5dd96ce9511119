# SPDX-License-Identifier: Apache-2.0
"""Interfaces that stand on another one, or on nothing: macvlan, VLAN, dummy; and routes of single hosts."""

import contextlib
import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator

from fastpath.addresses import IPAddress, parse_ip
from fastpath.control.kernel.netlink import rtnetlink
from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.link import (
    IFF_PROMISC,
    IFLA_ADDRESS,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINKINFO,
    IFLA_MACVLAN_MODE,
    IFLA_MTU,
    IFLA_VLAN_ID,
    MACVLAN_MODES,
    Link,
    packed_mac,
)
from fastpath.control.kernel.netlink.links import (
    MAIN_TABLE,
    NO_SCOPE,
    ON_LINK,
    ROUTE,
    RTA_DST,
    RTA_OIF,
    RTA_PREFSRC,
    STATIC,
    UNICAST,
    Links,
)
from fastpath.control.kernel.netlink.rtnetlink import CREATE, REPLACE, attribute, attributes
from fastpath.errors import ConflictError, RefusedError

NEIGHBOUR = struct.Struct("=BxxxiHBB")  # struct ndmsg: family, interface, state, flags, type
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT = 0x80


class StackedLinks(Links):
    """Links, with what the macvlan driver needs besides."""

    def add_macvlan(self, name: str, parent: Link, mode: str, *, mac: str | None, mtu: int) -> Link:
        """Make a macvlan on the parent, down. Raise RefusedError where kernel or parent can't."""
        more = [attribute(IFLA_LINK, parent.index), attribute(IFLA_MTU, mtu)]
        if mac is not None:
            more.append(attribute(IFLA_ADDRESS, packed_mac(mac)))
        with _can(f"make a macvlan interface on {parent.name}", "macvlan"), _shared(parent.name, mode):
            return self._add(name, "macvlan", *more, data=attribute(IFLA_MACVLAN_MODE, MACVLAN_MODES[mode]))

    def set_mode(self, link: Link, mode: str) -> None:
        """Set the mode of a macvlan, in its present namespace; not to or from passthru."""
        with explained(f"put the interface {link.name} into the mode {mode}"):
            data = attribute(IFLA_INFO_DATA, attribute(IFLA_MACVLAN_MODE, MACVLAN_MODES[mode]))
            self._set(link, attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, "macvlan") + data))

    def set_promiscuous(self, link: Link) -> None:
        """Make the interface promiscuous. A macvlan that is up hands it on to its parent, where the kernel counts how
        many want it."""
        with explained(f"make the interface {link.name} promiscuous"):
            self._set(link, b"", flags=IFF_PROMISC, changed=IFF_PROMISC)

    def add_vlan(self, name: str, parent: Link, vid: int) -> Link:
        """Make a VLAN interface, down. Raise RefusedError where kernel or parent can't."""
        with _can(f"make a VLAN interface on {parent.name}", "8021q"):
            try:
                data = attribute(IFLA_VLAN_ID, struct.pack("=H", vid))
                return self._add(name, "vlan", attribute(IFLA_LINK, parent.index), data=data)
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
                raise ConflictError(
                    f"VLAN {vid} of {parent.name} has an interface of another name already: give that as the parent"
                ) from error

    def add_dummy(self, name: str) -> Link:
        """Make a dummy interface, down. Raise RefusedError where the kernel can't."""
        with _can("make a dummy interface to stand in for a parent", "dummy"):
            return self._add(name, "dummy")

    def host_routes(self, link: Link) -> Iterator[tuple[IPAddress, IPAddress | None]]:
        """Yield the IPv4 addresses that have a route of their own by this interface, each with the route's source."""
        for route in self.routes():
            if route.oif == link.index and route.dst.prefixlen == 32:
                yield route.dst.network_address, route.source

    def ensure_host_route(self, link: Link, to: IPAddress, source: IPAddress) -> None:
        """Route packets to an IPv4 address directly by this interface, with the address `source`."""
        with explained(f"add a route to {to} by {link.name}"):
            body = ROUTE.pack(socket.AF_INET, 32, 0, 0, MAIN_TABLE, STATIC, ON_LINK, UNICAST, 0)
            body += attribute(RTA_DST, to.packed) + attribute(RTA_OIF, link.index)
            body += attribute(RTA_PREFSRC, source.packed)
            self._netlink.change(rtnetlink.NEWROUTE, body, CREATE | REPLACE)

    def neighbours(self, link: Link) -> dict[IPAddress, str]:
        """Return the permanent IPv4 neighbours by this interface, each with its MAC address."""
        with explained("list the neighbours"):
            answers = self._netlink.dump(rtnetlink.GETNEIGH, NEIGHBOUR.pack(socket.AF_INET, 0, 0, 0, 0))
        known = {}
        for body in answers:
            family, index, state, _, _ = NEIGHBOUR.unpack_from(body)
            found = dict(attributes(body, NEIGHBOUR.size))
            if family == socket.AF_INET and index == link.index and state & NUD_PERMANENT and NDA_DST in found:
                known[parse_ip(ipaddress.ip_address(found[NDA_DST]))] = found.get(NDA_LLADDR, b"").hex(":")
        return known

    def ensure_neighbour(self, link: Link, address: IPAddress, mac: str) -> None:
        """Say which MAC address has an IPv4 address there, so that nobody is asked."""
        with explained(f"add the neighbour {address} by {link.name}"):
            body = NEIGHBOUR.pack(socket.AF_INET, link.index, NUD_PERMANENT, 0, 0) + attribute(NDA_DST, address.packed)
            body += attribute(NDA_LLADDR, packed_mac(mac))
            self._netlink.change(rtnetlink.NEWNEIGH, body, CREATE | REPLACE)

    def delete_neighbour(self, link: Link, address: IPAddress) -> None:
        """Remove a neighbour. No error where there is none."""
        with explained(f"remove the neighbour {address} by {link.name}", errno.ENOENT):
            body = NEIGHBOUR.pack(socket.AF_INET, link.index, 0, 0, 0) + attribute(NDA_DST, address.packed)
            self._netlink.change(rtnetlink.DELNEIGH, body)

    def delete_host_route(self, link: Link, to: IPAddress) -> None:
        """Remove the route to a host. No error where there is none."""
        with explained(f"remove the route to {to} by {link.name}", errno.ESRCH):
            body = ROUTE.pack(socket.AF_INET, 32, 0, 0, MAIN_TABLE, 0, NO_SCOPE, 0, 0)
            body += attribute(RTA_DST, to.packed) + attribute(RTA_OIF, link.index)
            self._netlink.change(rtnetlink.DELROUTE, body)


@contextlib.contextmanager
def _can(what: str, module: str) -> Iterator[None]:
    with explained(what):
        try:
            yield
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            raise RefusedError(
                f"cannot {what}: this kernel can't (has it the module {module}?), or that interface can't"
            ) from error


@contextlib.contextmanager
def _shared(parent: str, mode: str) -> Iterator[None]:
    """Explain the refusals that come from other users of the parent."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise ConflictError(
                f"{parent} is a port of a bridge, a bond or the like: give that as the parent, or a sub-interface"
            ) from error
        if error.errno == errno.EINVAL:
            why = "it has macvlan interfaces already" if mode == "passthru" else "one in the mode passthru has it"
            raise ConflictError(f"{parent} cannot carry a macvlan in the mode {mode}: {why}") from error
        raise
