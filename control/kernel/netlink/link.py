# SPDX-License-Identifier: Apache-2.0
"""An interface, as RTM_NEWLINK describes it (<linux/if_link.h>)."""

from dataclasses import dataclass

from pyroute2.netlink.rtnl.ifinfmsg import IFF_LOWER_UP, IFF_PROMISC, IFF_UP

from fastpath.control.kernel.netlink.rtnetlink import Message

ARPHRD_ETHER = 1


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


def parse_link(message: Message) -> Link:
    """Return the interface that a message describes."""
    kind = message.get(("linkinfo", "kind")) or ""
    flags, lower = message["flags"], message.get("link") or 0
    return Link(
        index=message["index"],
        name=message.get("ifname") or "",
        kind=kind,
        alias=message.get("ifalias") or "",
        mac=message.get("address") or "",
        mtu=message.get("mtu") or 0,
        up=bool(flags & IFF_UP),
        master=message.get("master") or 0,
        peer=lower if kind == "veth" else 0,
        gso_max_size=message.get("gso_max_size") or 0,
        queues=(message.get(("linkinfo", "data", "tun_num_queues")) or 0) if kind == "tun" else 0,
        isolated=bool(message.get(("linkinfo", "slave_data", "isolated"))),
        lower=lower,
        mode=(message.get(("linkinfo", "data", "macvlan_mode")) or "") if kind == "macvlan" else "",
        promiscuous=bool(flags & IFF_PROMISC),
        carrier=bool(flags & IFF_LOWER_UP),
        ethernet=message["ifi_type"] == ARPHRD_ETHER,
    )
