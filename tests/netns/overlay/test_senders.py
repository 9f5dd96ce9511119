# SPDX-License-Identifier: Apache-2.0
"""In the layout `bridge` the endpoints of one host share the engine's port: the network's bridge checks what they send
to each other.

c1 (attacker) ─ eth0 ┐
                     ├ br0 ─ vxlan0 ─ engine     the namespace of the network, on h1
c2 (victim)   ─ eth0 ┘
"""

import ipaddress
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from fastpath.control.drivers import naming
from fastpath.control.drivers.overlay.sender_rules import TABLE
from fastpath.control.model.objects import Endpoint, Network
from tests.attacks import arp, spoofing
from tests.netns.conftest import _lab
from tests.support.hosts.hosts import Lab, Namespace, reaches
from tests.support.hosts.overlay_lab import Daemon, daemons, endpoint, network

OWN, VICTIM, GATEWAY = "10.0.0.1", "10.0.0.2", "10.0.0.254"
OWN6, VICTIM6, GATEWAY6 = "fd00:0::1", "fd00:0::2", "fd00:0::fe"
MAC, VICTIM_MAC, NOBODYS = "02:42:0a:00:00:01", "02:42:0a:00:00:02", "02:00:00:00:be:ef"
LINK_LOCAL, VICTIMS_LINK_LOCAL = "fe80::42:aff:fe00:1", "fe80::42:aff:fe00:2"
FLOATING, NOWHERE = "10.0.0.99", "0.0.0.0"  # noqa: S104  # of a frame, not of a socket


@dataclass
class Site:
    """A host with two containers in one network."""

    daemon: Daemon
    attacker: Namespace
    victim: Namespace
    net: Network

    @property
    def bridge(self) -> Namespace:
        return Namespace("br0", f"fastpath-{self.daemon.name}-{self.net.name}")

    def ends(self) -> list[Endpoint]:
        both = enumerate((self.attacker, self.victim), 1)
        return [endpoint(container, number, self.net, self.daemon.name) for number, container in both]

    def ensure(self, *, security: bool = True, allowed: str | None = None) -> None:
        net = self.net.model_copy(update={"port_security": security})
        for end in self.ends():
            more = (ipaddress.ip_interface(f"{allowed}/24"),) if allowed and end.mac == MAC else ()
            self.daemon.ensure(net, end.model_copy(update={"allowed": more}))

    def heard(self, *frames: Packet) -> list[bytes]:
        """Which of the frames that the attacker sends arrive at the victim."""
        marker = b"this one arrives"
        with self.attacker.raw("eth0") as out, self.victim.raw("eth0") as into:
            for frame in frames:
                out.send(bytes(frame))
            out.send(bytes(spoofing.echo(MAC, VICTIM_MAC, OWN, VICTIM) / Raw(marker)))
            arrived = _until(into, marker)
        sent = [bytes(frame) for frame in frames]
        return [frame for frame in sent if any(other.endswith(frame[18:]) for other in arrived)]


def _until(sock: socket.socket, marker: bytes) -> list[bytes]:
    frames: list[bytes] = []
    while marker not in (frame := sock.recv(1 << 16)):
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from _lab(2)


@pytest.fixture(scope="module")
def site(lab: Lab) -> Iterator[Site]:
    with daemons(lab) as running:
        found = Site(running[0], lab.containers[0], lab.containers[1], network("bridge", port_security=True))
        found.ensure()
        yield found


def attacks() -> dict[str, Packet]:
    found = {
        "another's MAC address": spoofing.echo(VICTIM_MAC, VICTIM_MAC, VICTIM, VICTIM),
        "nobody's MAC address": spoofing.echo(NOBODYS, spoofing.BROADCAST, OWN, VICTIM),
        "another IPv4 address": spoofing.echo(MAC, VICTIM_MAC, "10.0.0.77", VICTIM),
        "another IPv6 address": spoofing.echo(MAC, VICTIM_MAC, "fd00:0::77", VICTIM6),
        "no IPv6 address": spoofing.echo(MAC, VICTIM_MAC, "::", VICTIM6),
        "a link-local address of another": spoofing.echo(MAC, VICTIM_MAC, VICTIMS_LINK_LOCAL, VICTIM6),
        "IPv4 behind a tag": Ether(src=MAC, dst=VICTIM_MAC) / Dot1Q(vlan=7) / IP(src=GATEWAY, dst=VICTIM) / UDP(),
        "ARP for the gateway": spoofing.arp_announcement(MAC, GATEWAY),
        "ARP reply for the gateway": spoofing.arp_reply(MAC, VICTIM_MAC, GATEWAY, VICTIM),
        "ARP that names another": spoofing.arp_announcement(MAC, OWN, sender=NOBODYS),
        "ARP behind a tag": Ether(src=MAC, dst=VICTIM_MAC) / Dot1Q(vlan=7) / ARP(op=2, hwsrc=MAC, psrc=GATEWAY),
        "anything behind two tags": Ether(src=MAC, dst=VICTIM_MAC) / Dot1Q(vlan=7) / Dot1Q(vlan=8) / ARP(psrc=OWN),
        "an answer from nowhere": spoofing.arp_announcement(MAC, NOWHERE, operation=2),
        "advertisement for the gateway": spoofing.advertisement(MAC, OWN6, GATEWAY6),
        "advertisement that names another": spoofing.advertisement(MAC, OWN6, OWN6, at=NOBODYS),
        "advertisement for a link-local address": spoofing.advertisement(MAC, OWN6, VICTIMS_LINK_LOCAL),
        "solicitation that names another": spoofing.solicitation(MAC, OWN6, VICTIM6, at=NOBODYS),
        "a second option that names another": spoofing.solicitation(MAC, OWN6, VICTIM6)
        / ICMPv6NDOptSrcLLAddr(lladdr=NOBODYS),
        "duplicate detection for another": spoofing.solicitation(MAC, "::", VICTIM6),
        "duplicate detection that names a MAC address": Ether(src=MAC, dst=spoofing.ALL_NODES)
        / IPv6(src="::", dst="ff02::1", hlim=255)
        / ICMPv6ND_NS(tgt=OWN6)
        / ICMPv6NDOptSrcLLAddr(lladdr=MAC),
        "a router": spoofing.router_advertisement(MAC, LINK_LOCAL),
        "a router of any address": spoofing.router_advertisement(MAC, "fe80::5"),
        "a redirect": spoofing.redirect(MAC, LINK_LOCAL, VICTIM6, via=OWN6),
        "a DHCP server": spoofing.dhcp_offer(MAC, OWN, server=OWN),
        "a DHCP server by another port": spoofing.dhcp_offer(MAC, OWN, server=OWN, port=1067),
        "a DHCPv6 server": spoofing.dhcp6_advertise(MAC, LINK_LOCAL),
        "a DHCPv6 server by another port": spoofing.dhcp6_advertise(MAC, OWN6, port=1547),
    }
    for disguise, frames in spoofing.hidden_router_advertisements(MAC, LINK_LOCAL).items():
        found[f"a router behind {disguise}"] = frames[0]  # without it, nobody puts the rest together
    return found


def right() -> dict[str, Packet]:
    tag = Dot1Q(vlan=7)
    discover = IP(src=NOWHERE, dst="255.255.255.255") / UDP(sport=68, dport=67) / BOOTP() / DHCP()
    return {
        "IPv4": spoofing.echo(MAC, VICTIM_MAC, OWN, VICTIM),
        "IPv6": spoofing.echo(MAC, VICTIM_MAC, OWN6, VICTIM6),
        "IPv6 of a link-local address": spoofing.echo(MAC, VICTIM_MAC, LINK_LOCAL, VICTIM6),
        "IPv6 of a stable private address": spoofing.echo(MAC, VICTIM_MAC, "fe80::1234:5678:9abc:def0", VICTIM6),
        "IPv4 behind a tag": Ether(src=MAC, dst=VICTIM_MAC) / tag / IP(src=OWN, dst=VICTIM) / UDP(sport=9, dport=9),
        "ARP": spoofing.arp_announcement(MAC, OWN),
        "an ARP probe": Ether(src=MAC, dst=spoofing.BROADCAST) / ARP(hwsrc=MAC, psrc=NOWHERE, pdst=OWN),
        "an advertisement": spoofing.advertisement(MAC, OWN6, OWN6),
        "a solicitation": spoofing.solicitation(MAC, OWN6, VICTIM6),
        "duplicate detection": spoofing.solicitation(MAC, "::", OWN6),
        "a DHCP client": Ether(src=MAC, dst=spoofing.BROADCAST) / discover,
        "another protocol": Ether(src=MAC, dst=VICTIM_MAC, type=0x88B5) / Raw(b"an experiment, which nobody reads"),
    }


def test_nothing_of_an_attack_arrives(site: Site) -> None:
    made = attacks()
    arrived = site.heard(*made.values())
    assert [name for name, frame in made.items() if bytes(frame) in arrived] == []


def test_what_is_right_arrives(site: Site) -> None:
    made = right()
    arrived = site.heard(*made.values())
    assert [name for name, frame in made.items() if bytes(frame) not in arrived] == []
    assert reaches(site.attacker, VICTIM)
    assert reaches(site.attacker, VICTIM6)
    assert reaches(site.attacker, GATEWAY)
    for address in (VICTIM, VICTIM6):
        site.attacker.run("ping", "-c1", "-s4000", "-W30", address)  # in fragments


def test_a_container_that_takes_anothers_addresses_receives_nothing_of_it(site: Site) -> None:
    (link,) = json.loads(site.attacker.run("ip", "-json", "link", "show", "dev", "eth0").stdout)
    assert link["address"] == MAC
    site.attacker.ip(f"link set eth0 address {VICTIM_MAC}")
    try:
        with site.attacker.raw("eth0") as out:
            out.send(bytes(spoofing.arp_announcement(VICTIM_MAC, VICTIM)))
        assert reaches(site.bridge, VICTIM)
    finally:
        site.attacker.ip(f"link set eth0 address {MAC}")
    assert reaches(site.attacker, VICTIM)


def test_the_resolver_believes_no_lie_about_a_neighbour(site: Site) -> None:
    assert reaches(site.bridge, VICTIM)
    site.attacker.inside(lambda: arp.claim("eth0", VICTIM, GATEWAY))
    assert reaches(site.attacker, GATEWAY)  # so it has heard what came before
    (known,) = json.loads(site.bridge.run("ip", "-json", "neighbour", "show", VICTIM, "dev", "br0").stdout)
    assert known["lladdr"] == VICTIM_MAC


def test_other_hosts_teach_the_bridge_nothing(site: Site) -> None:
    ports = json.loads(site.bridge.run("bridge", "-json", "-d", "link").stdout)
    assert len(ports) == 3
    assert {port["learning"] for port in ports} == {False}


def test_an_address_is_allowed_and_not_any_more(site: Site) -> None:
    frame = spoofing.arp_announcement(MAC, FLOATING)
    assert not site.heard(frame)
    site.ensure(allowed=FLOATING)
    assert site.heard(frame)
    site.ensure()
    assert not site.heard(frame)


def test_a_network_may_do_without(site: Site) -> None:
    frame = spoofing.arp_announcement(MAC, FLOATING)
    try:
        site.ensure(security=False)
        assert site.heard(frame)
        assert TABLE not in site.bridge.run("nft", "list", "tables").stdout
    finally:
        site.ensure()
    assert not site.heard(frame)


def test_what_somebody_changed_is_repaired(site: Site) -> None:
    frame = spoofing.arp_announcement(MAC, GATEWAY)
    port = naming.veth_name(site.ends()[0])
    site.bridge.run("nft", "flush", "ruleset")
    site.bridge.run("bridge", "link", "set", "dev", port, "learning", "on")
    site.bridge.run("bridge", "link", "set", "dev", "vxlan0", "learning", "on")
    site.bridge.run("bridge", "fdb", "del", MAC, "dev", port, "master")
    assert site.heard(frame)
    site.ensure()
    assert not site.heard(frame)
    entries = json.loads(site.bridge.run("bridge", "-json", "fdb", "show", "br", "br0").stdout)
    assert {e["mac"] for e in entries if e.get("state") == "static"} == {MAC, VICTIM_MAC}
    test_other_hosts_teach_the_bridge_nothing(site)


def test_an_endpoint_that_goes_leaves_no_rule(site: Site) -> None:
    own, victim = site.ends()
    site.daemon.remove(site.net, own)
    site.daemon.ensure(site.net, victim)
    assert MAC not in site.bridge.run("nft", "list", "ruleset").stdout
    site.ensure()
    assert reaches(site.attacker, VICTIM)
