# SPDX-License-Identifier: Apache-2.0
"""An interface, from an RTM_NEWLINK message (<linux/if_link.h>)."""

from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.rtnl.ifinfmsg import IFF_LOWER_UP, IFF_PROMISC, IFF_UP

from fastpath.control.kernel.netlink.rtnetlink import Message
from fastpath.text import from_kernel

ARPHRD_ETHER = 1


@dataclass(frozen=True)
class Link:
    """A snapshot of an interface."""

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
    """Of a port of a bridge: whether it is cut off from other isolated ports, teaches the bridge no addresses, and gets
    no frames for unknown ones."""
    learning: bool
    """Of a port of a bridge: whether the bridge learns addresses from what it sends."""
    flooded: bool
    """Of a port of a bridge: whether it gets frames for unknown addresses."""
    queues: int
    """Of a TAP: the number of open queues, in all processes together."""
    lower: int
    """The index of the interface below it (a macvlan's or VLAN's parent, a veth's other end), in its namespace. Else
    0."""
    mode: str
    """Of a macvlan: bridge, private, vepa or passthru. Else empty."""
    promiscuous: bool
    """Whether somebody made this interface promiscuous (IFF_PROMISC)."""
    carrier: bool
    ethernet: bool


def parse_link(message: Message) -> Link:
    """Return the interface that a message describes."""
    found = {each[0]: each for each in message["attrs"]}  # message.get would search all attributes each time

    def value(attribute: str, default: Any) -> Any:
        return (found[attribute][1] if attribute in found else None) or default

    def text(attribute: str) -> str:
        """Return a name: pyroute2 leaves those that are not UTF-8 as they are."""
        raw = value(attribute, "")
        return from_kernel(raw) if isinstance(raw, bytes) else raw

    information = value("IFLA_LINKINFO", None)
    kind = (information.get("kind") or "") if information is not None else ""
    flags, lower = message["flags"], value("IFLA_LINK", 0)
    return Link(
        index=message["index"],
        name=text("IFLA_IFNAME"),
        kind=kind,
        alias=text("IFLA_IFALIAS"),
        mac=value("IFLA_ADDRESS", ""),
        mtu=value("IFLA_MTU", 0),
        up=bool(flags & IFF_UP),
        master=value("IFLA_MASTER", 0),
        peer=lower if kind == "veth" else 0,
        gso_max_size=value("IFLA_GSO_MAX_SIZE", 0),
        queues=(information.get(("data", "tun_num_queues")) or 0) if kind == "tun" else 0,
        isolated=_of_port(information, "isolated")
        and not any(_of_port(information, each) for each in ("learning", "unicast_flood", "mcast_flood")),
        learning=_of_port(information, "learning"),
        flooded=_of_port(information, "unicast_flood"),
        lower=lower,
        mode=(information.get(("data", "macvlan_mode")) or "") if kind == "macvlan" else "",
        promiscuous=bool(flags & IFF_PROMISC),
        carrier=bool(flags & IFF_LOWER_UP),
        ethernet=message["ifi_type"] == ARPHRD_ETHER,
    )


def _of_port(information: Message | None, setting: str) -> bool:
    """Return a setting of a bridge's port."""
    return information is not None and bool(information.get(("slave_data", setting)))
