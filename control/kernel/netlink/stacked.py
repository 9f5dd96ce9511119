# SPDX-License-Identifier: Apache-2.0
"""Interfaces on top of another one, or on none: macvlan, VLAN, dummy; and routes to single hosts."""

import contextlib
import errno
import socket
from collections.abc import Iterator

from pyroute2.netlink.rtnl import RTM_DELROUTE, RTM_NEWROUTE, rt_scope
from pyroute2.netlink.rtnl.ifinfmsg import IFF_PROMISC
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from fastpath.addresses import IPAddress
from fastpath.control.kernel.netlink.bridged import REPLACE, BridgedLinks
from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.link import Link
from fastpath.control.kernel.netlink.links import MAIN_TABLE, nested, route
from fastpath.control.kernel.netlink.rtnetlink import build
from fastpath.errors import ConflictError, RefusedError


class StackedLinks(BridgedLinks):
    """BridgedLinks, with more methods for the macvlan driver."""

    def add_macvlan(self, name: str, parent: Link, mode: str, *, mac: str | None, mtu: int) -> Link:
        """Create a macvlan on the parent, down. Raise RefusedError if kernel or parent do not support it."""
        more = [("IFLA_LINK", parent.index), ("IFLA_MTU", mtu), *([("IFLA_ADDRESS", mac)] if mac is not None else [])]
        with _can(f"make a macvlan interface on {parent.name}", "macvlan"), _shared(parent.name, mode):
            return self._add(name, "macvlan", *more, data=[("IFLA_MACVLAN_MODE", mode)])

    def set_mode(self, link: Link, mode: str) -> None:
        """Set the mode of a macvlan, in its present namespace; not to or from passthru."""
        with explained(f"put the interface {link.name} into the mode {mode}"):
            kind = ("IFLA_INFO_KIND", "macvlan"), ("IFLA_INFO_DATA", nested(("IFLA_MACVLAN_MODE", mode)))
            self._set(link, ("IFLA_LINKINFO", nested(*kind)))

    def set_promiscuous(self, link: Link) -> None:
        """Make the interface promiscuous. A macvlan that is up passes this on to its parent, where the kernel counts
        the requests."""
        with explained(f"make the interface {link.name} promiscuous"):
            self._set(link, flags=IFF_PROMISC, change=IFF_PROMISC)

    def add_vlan(self, name: str, parent: Link, vid: int) -> Link:
        """Create a VLAN interface, down. Raise RefusedError if kernel or parent do not support it."""
        with _can(f"make a VLAN interface on {parent.name}", "8021q"):
            try:
                return self._add(name, "vlan", ("IFLA_LINK", parent.index), data=[("IFLA_VLAN_ID", vid)])
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
                raise ConflictError(
                    f"VLAN {vid} of {parent.name} has an interface of another name already: give that as the parent"
                ) from error

    def add_dummy(self, name: str) -> Link:
        """Create a dummy interface, down. Raise RefusedError if the kernel does not support it."""
        with _can("make a dummy interface to stand in for a parent", "dummy"):
            return self._add(name, "dummy")

    def host_routes(self, link: Link) -> Iterator[tuple[IPAddress, IPAddress | None]]:
        """Yield the IPv4 addresses that have a route of their own by this interface, each with the route's source."""
        for known in self.routes(link=link):
            if known.oif == link.index and known.dst.prefixlen == 32:
                yield known.dst.network_address, known.source

    def ensure_host_route(self, link: Link, to: IPAddress, source: IPAddress) -> None:
        """Route packets to an IPv4 address directly by this interface, with the address `source`."""
        with explained(f"add a route to {to} by {link.name}"):
            by = ("RTA_DST", str(to)), ("RTA_OIF", link.index), ("RTA_PREFSRC", str(source))
            self._netlink.change(RTM_NEWROUTE, route(socket.AF_INET, "link", *by, dst_len=32), REPLACE)

    def delete_host_route(self, link: Link, to: IPAddress) -> None:
        """Remove the route to a host. No error if there is none."""
        with explained(f"remove the route to {to} by {link.name}", errno.ESRCH):
            by = ("RTA_DST", str(to)), ("RTA_OIF", link.index)
            fields = {"dst_len": 32, "table": MAIN_TABLE, "scope": rt_scope["nowhere"]}
            self._netlink.change(RTM_DELROUTE, build(rtmsg, *by, family=socket.AF_INET, **fields))


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
    """Explain refusals that are due to other users of the parent."""
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
