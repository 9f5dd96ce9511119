# SPDX-License-Identifier: Apache-2.0
"""The kernel's own vxlan devices, for the kernel path (docs/kernel-path.md)."""

import errno
import socket
from dataclasses import dataclass

from pyroute2.netlink.rtnl import RTM_DELNEIGH, RTM_GETLINK, RTM_GETNEIGH, RTM_NEWNEIGH
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import NTF_SELF, NUD_NOARP, NUD_PERMANENT, ndmsg

from fastpath.addresses import IPAddress, parse_ip
from fastpath.control.kernel.netlink.bridged import REPLACE
from fastpath.control.kernel.netlink.explain import explained
from fastpath.control.kernel.netlink.link import Link
from fastpath.control.kernel.netlink.links import Links
from fastpath.control.kernel.netlink.rtnetlink import build

VXLAN_DF_SET = 1  # linux/if_link.h


@dataclass(frozen=True)
class Tunnel:
    """What a vxlan device is made with: its UDP socket has this address and port, in the namespace where it is made,
    and sends from one of `source_ports` (the first and the last) for each flow. Its IPv4
    packets have DF, as the engine's."""

    vni: int
    local: IPAddress
    udp_port: int
    source_ports: tuple[int, int]


class TunnelLinks(Links):
    """Links, with more methods for vxlan devices."""

    def add_tunnel(self, name: str, tunnel: Tunnel, mtu: int, namespace: int) -> None:
        """Create a vxlan device, down, in the namespace of a file descriptor; its socket is in this one. It knows
        nobody and learns nothing: frames for addresses without an entry are dropped. Raise ConflictError if the name
        is taken."""
        low, high = tunnel.source_ports
        local = "IFLA_VXLAN_LOCAL" if tunnel.local.version == 4 else "IFLA_VXLAN_LOCAL6"
        settings = (
            ("IFLA_VXLAN_ID", tunnel.vni),
            (local, str(tunnel.local)),
            ("IFLA_VXLAN_PORT", tunnel.udp_port),
            ("IFLA_VXLAN_PORT_RANGE", {"low": low, "high": high}),
            ("IFLA_VXLAN_LEARNING", 0),
            ("IFLA_VXLAN_UDP_CSUM", 1),
            ("IFLA_VXLAN_DF", VXLAN_DF_SET),
        )
        with explained(f"make the vxlan device {name} (UDP port {tunnel.udp_port})"):
            self._create(name, "vxlan", ("IFLA_MTU", mtu), ("IFLA_NET_NS_FD", namespace), data=settings)

    def tunnel(self, link: Link) -> Tunnel:
        """Return what a vxlan device was made with."""
        with explained(f"look at the interface {link.name}"):
            answer = self._netlink.get(RTM_GETLINK, build(ifinfmsg, index=link.index))
        data = answer.get(("linkinfo", "data"))
        ports, vni, udp_port = (data.get(key) for key in ("vxlan_port_range", "vxlan_id", "vxlan_port"))
        local = data.get("vxlan_local") or data.get("vxlan_local6")
        return Tunnel(vni, parse_ip(local), udp_port, (ports["low"], ports["high"]))

    def tunnel_entries(self, link: Link) -> dict[str, IPAddress]:
        """Return where a vxlan device sends the frames for each MAC address."""
        with explained(f"list the addresses of {link.name}"):
            answers = list(self._netlink.dump(RTM_GETNEIGH, build(ndmsg, family=socket.AF_BRIDGE, ifindex=link.index)))
        return {
            each.get("lladdr"): parse_ip(each.get("dst"))
            for each in answers
            if each["ifindex"] == link.index and each.get("dst") is not None
        }

    def ensure_tunnel_entries(self, link: Link, wanted: dict[str, IPAddress]) -> int:
        """Make the entries of a vxlan device these, and none else. Return how many differed."""
        known = self.tunnel_entries(link)
        for mac in known.keys() - wanted.keys():
            self.delete_tunnel_entry(link, mac, known[mac])
        changed = [mac for mac, address in wanted.items() if known.get(mac) != address]
        for mac in changed:
            self.set_tunnel_entry(link, mac, wanted[mac])
        return len(known.keys() - wanted.keys()) + len(changed)

    def set_tunnel_entry(self, link: Link, mac: str, address: IPAddress) -> None:
        """Let a vxlan device send frames for a MAC address to a VTEP, and nowhere else."""
        self._change_entry(RTM_NEWNEIGH, link, mac, address)

    def delete_tunnel_entry(self, link: Link, mac: str, address: IPAddress) -> None:
        """Undo this. No error if there is no such entry."""
        self._change_entry(RTM_DELNEIGH, link, mac, address)

    def _change_entry(self, kind: int, link: Link, mac: str, address: IPAddress) -> None:
        about = {"family": socket.AF_BRIDGE, "ifindex": link.index, "flags": NTF_SELF}
        message = build(ndmsg, ("NDA_LLADDR", mac), ("NDA_DST", str(address)), state=NUD_NOARP | NUD_PERMANENT, **about)
        ignored = (errno.ENOENT,) if kind == RTM_DELNEIGH else ()
        with explained(f"change the address {mac} of {link.name}", *ignored):
            self._netlink.change(kind, message, REPLACE if kind == RTM_NEWNEIGH else 0)
