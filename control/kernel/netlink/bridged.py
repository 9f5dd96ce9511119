# SPDX-License-Identifier: Apache-2.0
"""Bridges whose ports are not to be trusted, and neighbours that nobody can change by ARP or neighbour discovery."""

import errno
import socket
from collections.abc import Iterator
from typing import Any

from pyroute2.netlink import NLM_F_CREATE, NLM_F_REPLACE
from pyroute2.netlink.rtnl import (
    RTM_DELADDR,
    RTM_DELNEIGH,
    RTM_DELROUTE,
    RTM_GETADDR,
    RTM_GETNEIGH,
    RTM_GETROUTE,
    RTM_NEWNEIGH,
    rt_proto,
    rt_type,
)
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_PERMANENT, ifaddrmsg
from pyroute2.netlink.rtnl.ndmsg import NTF_MASTER, NUD_NOARP, NUD_PERMANENT, ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from fastpath.addresses import IPAddress, family_of, parse_ip
from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.link import Link
from fastpath.control.kernel.netlink.links import Links, nested
from fastpath.control.kernel.netlink.rtnetlink import Message, build

REPLACE = NLM_F_CREATE | NLM_F_REPLACE
# Off: what the port sends teaches the bridge nothing, and frames for unknown addresses are not sent there.
_UNTRUSTED = ("IFLA_BRPORT_LEARNING", 0), ("IFLA_BRPORT_UNICAST_FLOOD", 0), ("IFLA_BRPORT_MCAST_FLOOD", 0)


class BridgedLinks(Links):
    """Links, with more methods for the gateway bridge."""

    def ignore_groups(self, bridge: Link) -> None:
        """Let a bridge not follow multicast groups, of which anybody can announce thousands."""
        kind = ("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", nested(("IFLA_BR_MCAST_SNOOPING", 0)))
        with explained(f"change the bridge {bridge.name}"):
            self._set(bridge, ("IFLA_LINKINFO", nested(*kind)))

    def isolate(self, link: Link) -> None:
        """Cut a port of a bridge off from the other isolated ports, and let it neither teach the bridge addresses nor
        receive frames for unknown ones (bridge(8))."""
        with explained(f"isolate the bridge port {link.name}"):
            self._set_port(link, ("IFLA_BRPORT_ISOLATED", 1), *_UNTRUSTED)

    def ensure_port(self, link: Link, *, learning: bool, flooded: bool) -> None:
        """Let a bridge learn addresses from what a port sends, or not, and send frames for unknown ones there, or
        not."""
        if (link.learning, link.flooded) != (learning, flooded):
            settings = ("IFLA_BRPORT_LEARNING", int(learning)), ("IFLA_BRPORT_UNICAST_FLOOD", int(flooded))
            with explained(f"change the bridge port {link.name}"):
                self._set_port(link, *settings)

    def _set_port(self, link: Link, *settings: tuple[str, object]) -> None:
        port = ("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", nested(*settings))
        self._set(link, ("IFLA_LINKINFO", nested(*port)))

    def bridge_entries(self, bridge: Link) -> set[tuple[int, str]]:
        """Return the static entries of a bridge's table: the index of a port, and a MAC address."""
        with explained(f"list the addresses of the bridge {bridge.name}"):
            answers = self._netlink.dump(RTM_GETNEIGH, build(ndmsg, family=socket.AF_BRIDGE))
        return {
            (each["ifindex"], each.get("lladdr") or "")
            for each in answers
            if each.get("master") == bridge.index and each["state"] & NUD_NOARP
        }

    def ensure_bridge_entry(self, port: Link, mac: str) -> None:
        """Let a bridge send frames for a MAC address to this port, whichever port has sent from it."""
        with explained(f"add {mac} to the bridge's addresses at {port.name}"):
            about = {"family": socket.AF_BRIDGE, "ifindex": port.index, "state": NUD_NOARP, "flags": NTF_MASTER}
            self._netlink.change(RTM_NEWNEIGH, build(ndmsg, ("NDA_LLADDR", mac), **about), REPLACE)

    def has_bridge_entry(self, port: Link, mac: str) -> bool:
        """Return whether a bridge has a static entry for a MAC address at this interface, as its port."""
        if not port.master:
            return False
        asked = build(ndmsg, ("NDA_LLADDR", mac), family=socket.AF_BRIDGE, ifindex=port.index, flags=NTF_MASTER)
        with explained(f"look for {mac} in the bridge's addresses at {port.name}", errno.ENOENT):
            found = self._netlink.get(RTM_GETNEIGH, asked)
            return found["ifindex"] == port.index and bool(found["state"] & NUD_NOARP)
        return False

    def neighbours(self, link: Link, family: int = socket.AF_INET) -> dict[IPAddress, str]:
        """Return the permanent neighbours by this interface, each with its MAC address."""
        with explained("list the neighbours"):
            answers = self._netlink.dump(RTM_GETNEIGH, build(ndmsg, ("NDA_IFINDEX", link.index), family=family))
        return {
            parse_ip(each.get("dst")): each.get("lladdr") or ""
            for each in answers
            if (each["family"], each["ifindex"]) == (family, link.index) and each["state"] & NUD_PERMANENT
        }

    def ensure_neighbour(self, link: Link, address: IPAddress, mac: str) -> None:
        """Set the MAC address of a neighbour, so that nothing is sent to ask for it, and no answer changes it."""
        with explained(f"add the neighbour {address} by {link.name}"):
            message = _neighbour(link, address, ("NDA_LLADDR", mac), state=NUD_PERMANENT)
            self._netlink.change(RTM_NEWNEIGH, message, REPLACE)

    def delete_neighbour(self, link: Link, address: IPAddress) -> None:
        """Remove a neighbour. No error if there is none."""
        with explained(f"remove the neighbour {address} by {link.name}", errno.ENOENT):
            self._netlink.change(RTM_DELNEIGH, _neighbour(link, address))

    def forget_routers(self, link: Link) -> None:
        """Remove the routes that IPv6 routers advertised by an interface, and the addresses formed of their
        prefixes."""
        with explained(f"list what routers told {link.name}"):
            routes = list(self._netlink.dump(RTM_GETROUTE, build(rtmsg, family=socket.AF_INET6)))
            addresses = list(self._netlink.dump(RTM_GETADDR, build(ifaddrmsg, family=socket.AF_INET6)))
        for each in addresses:
            if each["index"] == link.index and each["scope"] == 0 and not each["flags"] & IFA_F_PERMANENT:
                about = {"family": socket.AF_INET6, "index": link.index, "prefixlen": each["prefixlen"]}
                with explained(f"remove an address of {link.name}", errno.EADDRNOTAVAIL):
                    address = ("IFA_ADDRESS", each.get("address"))
                    self._netlink.change(RTM_DELADDR, build(ifaddrmsg, address, **about))
        for each in routes:
            if (each.get("oif"), each["proto"]) == (link.index, rt_proto["ra"]):
                with explained(f"remove a route by {link.name}", errno.ESRCH):
                    self._netlink.change(RTM_DELROUTE, each)

    def default_routes(self, family: int) -> Iterator[tuple[int, int]]:
        """Yield the default routes of all tables: the index of the interface, and the route's own MTU or 0."""
        with explained("list the routes"):
            answers = self._netlink.dump(RTM_GETROUTE, build(rtmsg, family=family))
        for each in answers:
            if (each["family"], each["dst_len"], each["type"]) == (family, 0, rt_type["unicast"]):
                mtu = each.get(("metrics", "mtu")) or 0
                hops = each.get("multipath") or ()
                yield from ((index, mtu) for index in (each.get("oif"), *(hop["oif"] for hop in hops)) if index)


def _neighbour(link: Link, address: IPAddress, *more: tuple[str, object], **fields: Any) -> Message:
    about = ("NDA_DST", str(address)), *more
    return build(ndmsg, *about, family=family_of(address), ifindex=link.index, **fields)
