# SPDX-License-Identifier: Apache-2.0
"""Interfaces that stand on another one, or on nothing: macvlan, VLAN, dummy; and routes of single hosts."""

import contextlib
import errno
import socket
from collections.abc import Iterator

from pyroute2.netlink.exceptions import NetlinkError

from fastpath.addresses import IPAddress, parse_ip
from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.links import IFF_PROMISC, Link, Links
from fastpath.errors import ConflictError, RefusedError

NUD_PERMANENT = 0x80


class StackedLinks(Links):
    """Links, with what the macvlan driver needs besides."""

    def by_index(self, index: int) -> Link | None:
        """The interface of that index, here."""
        return next((link for link in self.all() if link.index == index), None)

    def add_macvlan(self, name: str, parent: Link, mode: str, *, mac: str | None, mtu: int) -> Link:
        """A macvlan on the parent, down. Raises RefusedError where kernel or parent can't."""
        more = {"address": mac} if mac is not None else {}
        with _can(f"make a macvlan interface on {parent.name}", "macvlan"), _shared(parent.name, mode):
            self._ipr.link("add", ifname=name, kind="macvlan", link=parent.index, macvlan_mode=mode, mtu=mtu, **more)
        return self.get(name)

    def set_mode(self, link: Link, mode: str) -> None:
        """Another mode for a macvlan, in its present namespace; not to or from passthru."""
        with explained(f"put the interface {link.name} into the mode {mode}"):
            self._ipr.link("set", index=link.index, kind="macvlan", macvlan_mode=mode)

    def set_promiscuous(self, link: Link) -> None:
        """Switch it on. A macvlan that is up hands it on to its parent, where the kernel counts how many want it."""
        with explained(f"make the interface {link.name} promiscuous"):
            self._ipr.link("set", index=link.index, flags=IFF_PROMISC, change=IFF_PROMISC)

    def add_vlan(self, name: str, parent: Link, vid: int) -> Link:
        """A VLAN interface, down. Raises RefusedError where kernel or parent can't."""
        with _can(f"make a VLAN interface on {parent.name}", "8021q"):
            try:
                self._ipr.link("add", ifname=name, kind="vlan", link=parent.index, vlan_id=vid)
            except NetlinkError as error:
                if error.code != errno.EEXIST:
                    raise
                raise ConflictError(
                    f"VLAN {vid} of {parent.name} has an interface of another name already: give that as the parent"
                ) from error
        return self.get(name)

    def add_dummy(self, name: str) -> Link:
        """A dummy interface, down. Raises RefusedError where the kernel can't."""
        with _can("make a dummy interface to stand in for a parent", "dummy"):
            self._ipr.link("add", ifname=name, kind="dummy")
        return self.get(name)

    def host_routes(self, link: Link) -> Iterator[tuple[IPAddress, IPAddress | None]]:
        """The IPv4 addresses that have a route of their own by this interface, each with the route's source."""
        with explained("list the routes"):
            for message in self._ipr.get_routes(table=254, oif=link.index):
                if message.get("oif") == link.index and message["dst_len"] == 32:
                    source = message.get("prefsrc")
                    yield parse_ip(message.get("dst")), parse_ip(source) if source is not None else None

    def ensure_host_route(self, link: Link, to: IPAddress, source: IPAddress) -> None:
        """Reach an IPv4 address directly by this interface, as `source`."""
        with explained(f"add a route to {to} by {link.name}"):
            self._ipr.route("replace", dst=f"{to}/32", oif=link.index, prefsrc=str(source), scope="link")

    def neighbours(self, link: Link) -> dict[IPAddress, str]:
        """The permanent IPv4 neighbours by this interface, each with its MAC address."""
        with explained("list the neighbours"):
            found = self._ipr.get_neighbours(family=socket.AF_INET, ifindex=link.index)
            return {
                parse_ip(each.get("dst")): str(each.get("lladdr"))
                for each in found
                if each["ifindex"] == link.index and each["state"] & NUD_PERMANENT
            }

    def ensure_neighbour(self, link: Link, address: IPAddress, mac: str) -> None:
        """Who has an IPv4 address there, so that nobody is asked."""
        with explained(f"add the neighbour {address} by {link.name}"):
            self._ipr.neigh("replace", ifindex=link.index, dst=str(address), lladdr=mac, state=NUD_PERMANENT)

    def delete_neighbour(self, link: Link, address: IPAddress) -> None:
        """The inverse. No error where there is none."""
        with explained(f"remove the neighbour {address} by {link.name}", errno.ENOENT):
            self._ipr.neigh("del", ifindex=link.index, dst=str(address))

    def delete_host_route(self, link: Link, to: IPAddress) -> None:
        """The inverse. No error where there is none."""
        with explained(f"remove the route to {to} by {link.name}", errno.ESRCH):
            self._ipr.route("del", dst=f"{to}/32", oif=link.index, scope="link")


@contextlib.contextmanager
def _can(what: str, module: str) -> Iterator[None]:
    with explained(what):
        try:
            yield
        except NetlinkError as error:
            if error.code != errno.EOPNOTSUPP:
                raise
            raise RefusedError(
                f"cannot {what}: this kernel can't (has it the module {module}?), or that interface can't"
            ) from error


@contextlib.contextmanager
def _shared(parent: str, mode: str) -> Iterator[None]:
    """The refusals that come from who else uses the parent."""
    try:
        yield
    except NetlinkError as error:
        if error.code == errno.EBUSY:
            raise ConflictError(
                f"{parent} is a port of a bridge, a bond or the like: give that as the parent, or a sub-interface"
            ) from error
        if error.code == errno.EINVAL:
            why = "it has macvlan interfaces already" if mode == "passthru" else "one in the mode passthru has it"
            raise ConflictError(f"{parent} cannot carry a macvlan in the mode {mode}: {why}") from error
        raise
