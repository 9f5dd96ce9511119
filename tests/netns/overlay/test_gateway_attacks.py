# SPDX-License-Identifier: Apache-2.0
"""What a container sends by its interface to the gateway bridge changes nothing for the host and other containers.

c1 ─ eth1 ┐
          ├ fp-gwbridge  h1 ─ u0 ── sw   192.0.2.100, the outside
c2 ─ eth1 ┘
"""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fastpath.control.drivers.gateway.bridge import GatewayBridge
from fastpath.control.drivers.gateway.config import BRIDGE
from tests.attacks import arp, packet, router_advertisement
from tests.netns.conftest import _lab
from tests.support.hosts.hosts import Lab, Namespace, reaches
from tests.support.hosts.overlay_lab import GATEWAY as GATEWAY_SETTINGS
from tests.support.hosts.overlay_lab import Daemon, daemons, endpoint, network

OUTSIDE = "192.0.2.100"
GATEWAY = "172.30.0.1"


@dataclass
class Site:
    """A host with two containers."""

    daemon: Daemon
    attacker: Namespace
    victim: Namespace
    outside: Namespace

    @property
    def host(self) -> Namespace:
        return self.daemon.host

    def ensure_both(self) -> None:
        net = network()
        for number, container in enumerate((self.attacker, self.victim), 1):
            self.daemon.ensure(net, endpoint(container, number, net, self.daemon.name))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from _lab(2)


@pytest.fixture(scope="module")
def site(lab: Lab) -> Iterator[Site]:
    lab.switch.address(f"{OUTSIDE}/24", device="br0")
    with daemons(lab, gateway=True) as running:
        found = Site(running[0], lab.containers[0], lab.containers[1], lab.switch)
        found.ensure_both()
        yield found


def told(where: Namespace, *words: str) -> Any:
    """What `ip` says."""
    return json.loads(where.run("ip", "-json", "-d", *words).stdout or "[]")


def way_out_of(container: Namespace) -> tuple[str, str]:
    """The address and the MAC address by which the bridge knows a container."""
    (link,) = told(container, "address", "show", "dev", "eth1")
    return next(a["local"] for a in link["addr_info"] if a["family"] == "inet"), link["address"]


def arrived(site: Site) -> None:
    """Everything that the attacker sent before has been handled: so has a ping, which came later."""
    assert reaches(site.attacker, GATEWAY)


def test_the_bridge_keeps_its_mac_address_as_containers_come_and_go(site: Site) -> None:
    (before,) = told(site.host, "link", "show", "dev", BRIDGE)
    net = network()
    site.daemon.remove(net, endpoint(site.attacker, 1, net, site.daemon.name))
    (without,) = told(site.host, "link", "show", "dev", BRIDGE)
    site.ensure_both()
    (after,) = told(site.host, "link", "show", "dev", BRIDGE)
    assert before["address"] == without["address"] == after["address"]
    assert before["address"] not in {link["address"] for link in told(site.host, "link") if link.get("master")}


def test_an_arp_message_does_not_take_over_what_another_container_receives(site: Site) -> None:
    address, mac = way_out_of(site.victim)
    assert reaches(site.host, address)
    site.attacker.inside(lambda: arp.claim("eth1", address, GATEWAY))
    arrived(site)
    (known,) = told(site.host, "neighbour", "show", address, "dev", BRIDGE)
    assert known["lladdr"] == mac
    assert known["state"] == ["PERMANENT"]
    assert reaches(site.host, address)


def test_frames_from_another_containers_mac_address_teach_the_bridge_nothing(site: Site) -> None:
    address, mac = way_out_of(site.victim)
    site.attacker.inside(lambda: arp.claim("eth1", "172.30.99.99", GATEWAY, mac))
    arrived(site)
    assert reaches(site.host, address)
    entries = json.loads(site.host.run("bridge", "-json", "fdb", "show", "br", BRIDGE).stdout)
    (port,) = {entry["ifname"] for entry in entries if entry["mac"] == mac and "master" in entry}
    (link,) = told(site.host, "link", "show", "dev", port)
    assert link["ifalias"].endswith(address)


@pytest.mark.parametrize("source", [None, "fe80::1"])
def test_the_host_takes_no_router_from_a_container(site: Site, source: str | None) -> None:
    site.attacker.inside(lambda: router_advertisement.advertise("eth1", source=source))
    arrived(site)
    assert not [route for route in told(site.host, "-6", "route", "show", "default") if route.get("protocol") == "ra"]
    found = [a["local"] for link in told(site.host, "-6", "address") for a in link["addr_info"]]
    assert not [address for address in found if address.startswith("2001:db8:bad:")]


@pytest.mark.parametrize("interface", ["eth0", "eth1"])
def test_a_container_takes_no_router_from_anybody(site: Site, interface: str) -> None:
    conf = site.victim.run(
        "sysctl", "-n", *(f"net.ipv6.conf.{interface}.{n}" for n in ("accept_ra", "accept_redirects"))
    )
    assert conf.stdout.split() == ["0", "0"]
    conf = site.victim.run("sysctl", "-n", *(f"net.ipv4.conf.{n}.accept_redirects" for n in ("all", interface)))
    assert conf.stdout.split() == ["0", "0"]


def test_the_bridge_has_the_mtu_of_the_way_out(site: Site) -> None:
    def sizes() -> list[int]:
        found = [told(site.host, "link", "show", "dev", BRIDGE), told(site.victim, "link", "show", "dev", "eth1")]
        return [link["mtu"] for (link,) in found]

    assert sizes() == [1500, 1500]
    try:
        site.host.ip("link set u0 mtu 1400")
        assert site.daemon.do(site.daemon.overlay.ensure_gateway)
        site.ensure_both()
        assert sizes() == [1400, 1400]
        site.host.ip(f"route add default via {OUTSIDE} mtu 1300")
        assert site.daemon.do(site.daemon.overlay.ensure_gateway)
        site.ensure_both()
        assert sizes() == [1300, 1300]
    finally:
        site.host.ip("link set u0 mtu 1500")
        site.host.run("ip", "route", "del", "default", check=False)
    assert site.daemon.do(site.daemon.overlay.ensure_gateway)
    site.ensure_both()
    assert sizes() == [1500, 1500]


def test_what_somebody_removes_is_there_again_after_the_next_look(site: Site) -> None:
    address, mac = way_out_of(site.victim)
    site.host.ip(f"neighbour del {address} dev {BRIDGE}")
    site.host.ip(f"neighbour add 172.30.77.77 lladdr {mac} dev {BRIDGE}")
    site.daemon.do(site.daemon.overlay.ensure_gateway)
    there = {n["dst"]: n["lladdr"] for n in told(site.host, "neighbour", "show", "dev", BRIDGE, "nud", "permanent")}
    assert there == dict(way_out_of(container) for container in (site.attacker, site.victim))


def test_the_next_daemon_cuts_nobody_off(site: Site) -> None:
    """It looks at one container after another, and the rules name all of them."""
    net = network()
    other = GatewayBridge(site.daemon.name, GATEWAY_SETTINGS)
    site.daemon.do(
        lambda: other.ensure_sandbox(endpoint(site.attacker, 1, net, site.daemon.name).sandbox, avoid="eth0")
    )
    assert reaches(site.victim, GATEWAY)
    assert reaches(site.attacker, GATEWAY)


@pytest.mark.parametrize(
    ("source", "mac", "ports", "arrives"),
    [
        ("own", "own", (5000, 9999), True),
        ("another's", "own", (5000, 9999), False),
        ("own", "another's", (5000, 9999), False),
        (OUTSIDE, "own", (5000, 9999), False),
        ("own", "own", (67, 68), False),  # a DHCP server's offer
    ],
)
def test_containers_send_from_their_own_addresses(
    site: Site, source: str, mac: str, ports: tuple[int, int], arrives: bool
) -> None:
    own, others = way_out_of(site.attacker), way_out_of(site.victim)
    sender = {"own": own[0], "another's": others[0]}.get(source, source)
    to = GATEWAY if ports[1] != 68 else "255.255.255.255"
    datagram = packet.udp4(sender, to, ports, b"hello")
    frame = packet.ethernet(own[1] if mac == "own" else others[1], packet.BROADCAST, 0x0800, datagram)

    def listen() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("", ports[1]))
        return sock

    with site.host.inside(listen) as listener:
        site.attacker.inside(lambda: packet.send("eth1", frame))
        arrived(site)
        if arrives:
            assert listener.recv(100, socket.MSG_DONTWAIT) == b"hello"
        else:
            with pytest.raises(BlockingIOError):
                listener.recv(100, socket.MSG_DONTWAIT)
