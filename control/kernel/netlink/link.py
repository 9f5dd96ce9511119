# SPDX-License-Identifier: Apache-2.0
"""An interface, as RTM_NEWLINK describes it (<linux/if_link.h>)."""

import struct
from dataclasses import dataclass

from fastpath.control.kernel.netlink.rtnetlink import attributes, number, text

HEADER = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, changed flags
IFF_UP, IFF_PROMISC, IFF_LOWER_UP = 1, 0x100, 0x10000
ARPHRD_ETHER = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_PROTINFO = 1, 3, 4, 5, 10, 12
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_GSO_MAX_SIZE = 18, 20, 28, 29, 41
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_DATA = 1, 2, 5
IFLA_TUN_NUM_QUEUES, IFLA_BRPORT_ISOLATED, IFLA_MACVLAN_MODE, IFLA_VLAN_ID, VETH_INFO_PEER = 8, 33, 1, 1, 1
MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8, "source": 16}
_MODE_NAMES = {value: name for name, value in MACVLAN_MODES.items()}


def packed_mac(mac: str) -> bytes:
    """Return the bytes of a MAC address."""
    return bytes.fromhex(mac.replace(":", ""))


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


def parse_link(body: bytes) -> Link:
    """Return the interface that a message describes."""
    _, hardware, index, flags, _ = HEADER.unpack_from(body)
    found = dict(attributes(body, HEADER.size))
    information = dict(attributes(found.get(IFLA_LINKINFO, b"")))
    kind = text(information.get(IFLA_INFO_KIND, b""))
    data = dict(attributes(information.get(IFLA_INFO_DATA, b""))) if kind in ("tun", "macvlan") else {}
    port = dict(attributes(information.get(IFLA_INFO_SLAVE_DATA, b"")))
    lower = number(found.get(IFLA_LINK, b""))
    return Link(
        index=index,
        name=text(found.get(IFLA_IFNAME, b"")),
        kind=kind,
        alias=text(found.get(IFLA_IFALIAS, b"")),
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        mtu=number(found.get(IFLA_MTU, b"")),
        up=bool(flags & IFF_UP),
        master=number(found.get(IFLA_MASTER, b"")),
        peer=lower if kind == "veth" else 0,
        gso_max_size=number(found.get(IFLA_GSO_MAX_SIZE, b"")),
        queues=number(data.get(IFLA_TUN_NUM_QUEUES, b"")) if kind == "tun" else 0,
        isolated=bool(number(port.get(IFLA_BRPORT_ISOLATED, b""))),
        lower=lower,
        mode=_MODE_NAMES.get(number(data.get(IFLA_MACVLAN_MODE, b"")), "") if kind == "macvlan" else "",
        promiscuous=bool(flags & IFF_PROMISC),
        carrier=bool(flags & IFF_LOWER_UP),
        ethernet=hardware == ARPHRD_ETHER,
    )
