# SPDX-License-Identifier: Apache-2.0
"""Frames of a container that pretends to be another one, a router or a DHCP server."""

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Advertise
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    PadN,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

BROADCAST, ALL_NODES = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"


def arp_announcement(mac: str, address: str, *, sender: str | None = None, operation: int = 1) -> Packet:
    """A gratuitous ARP (RFC 5227): `address` is at `sender`, by default the frame's own `mac`."""
    arp = ARP(op=operation, hwsrc=sender or mac, psrc=address, hwdst="00:00:00:00:00:00", pdst=address)
    return Ether(src=mac, dst=BROADCAST) / arp


def arp_reply(mac: str, to: str, address: str, victim: str) -> Packet:
    """An ARP reply that tells `victim` at `to` that `address` is here."""
    return Ether(src=mac, dst=to) / ARP(op=2, hwsrc=mac, psrc=address, hwdst=to, pdst=victim)


def advertisement(mac: str, source: str, target: str, *, at: str | None = None) -> Packet:
    """An unsolicited neighbour advertisement: `target` is `at`, by default at the frame's own `mac`."""
    nd = ICMPv6ND_NA(tgt=target, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=at or mac)
    return Ether(src=mac, dst=ALL_NODES) / IPv6(src=source, dst="ff02::1", hlim=255) / nd


def solicitation(mac: str, source: str, target: str, *, at: str | None = None) -> Packet:
    """A neighbour solicitation; from :: it is duplicate address detection and names no link-layer address."""
    nd = ICMPv6ND_NS(tgt=target)
    if source != "::":
        nd = nd / ICMPv6NDOptSrcLLAddr(lladdr=at or mac)
    return Ether(src=mac, dst=ALL_NODES) / IPv6(src=source, dst="ff02::1", hlim=255) / nd


def router_advertisement(mac: str, source: str) -> Packet:
    """A router advertisement with a prefix."""
    return Ether(src=mac, dst=ALL_NODES) / IPv6(src=source, dst="ff02::1", hlim=255) / _router()


def _router() -> Packet:
    return ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64)


def hidden_router_advertisements(mac: str, source: str) -> dict[str, list[Packet]]:
    """The same in the disguises of RFC 7113 section 3 and RFC 6980: frames of each, by the name of the disguise."""
    ether, ip = Ether(src=mac, dst=ALL_NODES), IPv6(src=source, dst="ff02::1", hlim=255)
    whole = bytes((ip / IPv6ExtHdrDestOpt(nh=58) / _router())[IPv6ExtHdrDestOpt])
    padding = IPv6ExtHdrDestOpt(nh=58, options=[PadN(optdata=bytes(4))] * 4)
    chain = bytes((ip / padding / _router())[IPv6ExtHdrDestOpt])
    return {
        "hop-by-hop": [ether / ip / IPv6ExtHdrHopByHop() / _router()],
        "destination options": [ether / ip / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / _router()],
        "many headers": [_many_headers(ether, ip)],
        "a fragment that is the whole": [ether / ip / IPv6ExtHdrFragment(nh=60, id=1) / Raw(whole)],
        "two fragments": [
            ether / ip / IPv6ExtHdrFragment(nh=60, m=1, id=2) / Raw(whole[:24]),
            ether / ip / IPv6ExtHdrFragment(nh=60, offset=3, id=2) / Raw(whole[24:]),
        ],
        "a chain over two fragments": [
            ether / ip / IPv6ExtHdrFragment(nh=60, m=1, id=3) / Raw(chain[:16]),
            ether / ip / IPv6ExtHdrFragment(nh=60, offset=2, id=3) / Raw(chain[16:]),
        ],
        "a fragment of a fragment": [
            ether / ip / IPv6ExtHdrFragment(nh=44, id=4) / IPv6ExtHdrFragment(nh=60, id=5) / Raw(whole)
        ],
        "a VLAN tag": [Ether(src=mac, dst=ALL_NODES) / Dot1Q(vlan=7) / ip / _router()],
    }


def _many_headers(ether: Packet, ip: Packet) -> Packet:
    for _ in range(9):
        ip = ip / IPv6ExtHdrDestOpt()
    return ether / ip / _router()


def redirect(mac: str, source: str, destination: str, *, via: str) -> Packet:
    """An ICMPv6 redirect: `destination` is to be reached `via` another one."""
    return (
        Ether(src=mac, dst=ALL_NODES)
        / IPv6(src=source, dst="ff02::1", hlim=255)
        / ICMPv6ND_Redirect(tgt=via, dst=destination)
    )


def dhcp_offer(mac: str, source: str, *, server: str, port: int = 67) -> Packet:
    """A DHCP server's offer, which makes `server` the router and resolver."""
    return (
        Ether(src=mac, dst=BROADCAST)
        / IP(src=source, dst="255.255.255.255")
        / UDP(sport=port, dport=68)
        / BOOTP(op=2, yiaddr="10.9.0.99", siaddr=server)
        / DHCP(options=[("message-type", "offer"), ("router", server), ("name_server", server), "end"])
    )


def dhcp6_advertise(mac: str, source: str, *, port: int = 547) -> Packet:
    """A DHCPv6 server's advertisement."""
    ip = IPv6(src=source, dst="ff02::1")
    return Ether(src=mac, dst=ALL_NODES) / ip / UDP(sport=port, dport=546) / DHCP6_Advertise(trid=1)


def echo(mac: str, to: str, source: str, destination: str) -> Packet:
    """A ping from any address, of either family."""
    if ":" in source:
        return Ether(src=mac, dst=to) / IPv6(src=source, dst=destination) / ICMPv6EchoRequest()
    return Ether(src=mac, dst=to) / IP(src=source, dst=destination) / ICMP()
