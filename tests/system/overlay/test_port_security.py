# SPDX-License-Identifier: Apache-2.0
"""A container that pretends to be another one, the gateway, a router or a DHCP server reaches nobody.

c1 (attacker)    c2 (victim)     each with eth0 in the network "web" (layout direct) and db0 in "nest" (bridge)
h1               h2              hosts, each with a daemon
+------ sw ------+               the underlay
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from scapy.packet import Packet

from fastpath.control.model.objects import Endpoint
from tests.attacks import spoofing
from tests.support.hosts.hosts import Namespace, ip, reaches, wait_for
from tests.support.servers.site import HostDaemon, Site, pinged, site

NOBODYS = "02:00:00:00:be:ef"


@dataclass
class Place:
    """A network in which both containers have an interface of the same name."""

    site: Site
    name: str
    device: str
    subnet: str  # the first three bytes of IPv4 addresses
    attacker: Endpoint
    victim: Endpoint

    @property
    def prefix6(self) -> str:
        return f"fd00:{self.subnet.split('.')[1]}::"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(2, tmp_path_factory.mktemp("site")) as made:
        made.start()
        yield made


@pytest.fixture(scope="module", params=["direct", "bridge"])
def place(two: Site, request: pytest.FixtureRequest) -> Place:
    h1, h2 = two.daemons
    c1, c2 = two.containers
    name, device, number = ("web", "eth0", 9) if request.param == "direct" else ("nest", "db0", 8)
    h1.network(name, subnets=[f"10.{number}.0.0/24", f"fd00:{number}::/64"], layout=request.param, internal=True)
    wait_for(lambda: name in [info.network.name for info in h2.client.networks()], "h2 knows the network")
    first, second = h1.join(c1, name, name=device), h2.join(c2, name, name=device)
    h1.knows(second)
    h2.knows(first)
    return Place(two, name, device, f"10.{number}.0", first, second)


def drops(daemon: HostDaemon) -> dict[str, int]:
    return daemon.counters()


def attacks(place: Place) -> list[tuple[str, Packet]]:
    """(drop reason, frame) of each attack."""
    mac, own4, own6 = place.attacker.mac, f"{place.subnet}.2", f"{place.prefix6}2"
    victim, victim4, victim6 = place.victim.mac, f"{place.subnet}.3", f"{place.prefix6}3"
    gateway4 = f"{place.subnet}.1"
    broadcast = spoofing.BROADCAST
    return [
        ("spoofed_source", spoofing.echo(NOBODYS, broadcast, own4, victim4)),
        ("spoofed_source", spoofing.echo(mac, victim, f"{place.subnet}.77", victim4)),
        ("spoofed_source", spoofing.echo(mac, victim, f"{place.prefix6}77", victim6)),
        ("spoofed_arp", spoofing.arp_announcement(mac, gateway4)),
        ("spoofed_arp", spoofing.arp_reply(mac, victim, gateway4, victim4)),
        ("spoofed_arp", spoofing.advertisement(mac, own6, f"{place.prefix6}1")),
        ("rogue_router", spoofing.router_advertisement(mac, "fe80::5")),
        ("hidden_headers", spoofing.hidden_router_advertisements(mac, "fe80::5")["many headers"][0]),
        ("rogue_dhcp", spoofing.dhcp_offer(mac, own4, server=own4)),
        ("rogue_dhcp", spoofing.dhcp6_advertise(mac, "fe80::5")),
    ]


def heard(sock: socket.socket, marker: bytes) -> list[bytes]:
    """All frames up to the marker."""
    frames: list[bytes] = []
    while marker not in (frame := sock.recv(1 << 16)):
        frames.append(frame)
    return frames


def test_nothing_of_an_attack_arrives(place: Place) -> None:
    h1, (c1, c2) = place.site.daemons[0], place.site.containers
    before, made = drops(h1), attacks(place)
    with c1.raw(place.device) as out, c2.raw(place.device) as into:
        for _, frame in made:
            out.send(bytes(frame))

        def counted() -> bool:
            now = drops(h1)
            return all(
                now.get(reason, 0) - before.get(reason, 0) >= [name for name, _ in made].count(reason)
                for reason, _ in made
            )

        wait_for(counted, "all that was sent is dropped")
        marker = b"this one may arrive"
        out.send(
            bytes(
                spoofing.echo(place.attacker.mac, place.victim.mac, f"{place.subnet}.2", f"{place.subnet}.3") / marker
            )
        )
        arrived = heard(into, marker)
    wrong = {bytes(frame)[12:42] for _, frame in made}
    assert [frame for frame in arrived if frame[12:42] in wrong] == []
    assert pinged(c1, f"{place.subnet}.3") == 3
    assert pinged(c1, f"{place.prefix6}3") == 3
    table = c2.run("ip", "neigh", "show", "dev", place.device).stdout
    assert f"{place.subnet}.1 lladdr {place.attacker.mac}" not in table


def test_a_question_for_an_address_that_nobody_has_is_not_flooded(place: Place) -> None:
    h2, (_, c2) = place.site.daemons[1], place.site.containers

    def dropped() -> bool:
        assert not reaches(c2, f"{place.subnet}.99", 1)
        return drops(h2).get("unknown_target", 0) > 0

    wait_for(dropped, "the daemon knows what the store says, and vouches for it")
    third = Namespace.named("fpt-", "fourth").add()
    try:
        made = place.site.daemons[0].join(third, place.name, addresses=[f"{place.subnet}.99"])
        h2.knows(made)
        wait_for(lambda: reaches(c2, f"{place.subnet}.99", 1), "somebody has it now")
        place.site.daemons[0].client.remove_endpoint(made.id)
    finally:
        third.remove()


def test_an_address_that_moves_is_allowed_first(place: Place) -> None:
    h1, h2 = place.site.daemons
    c1, c2 = place.site.containers
    floating = f"{place.subnet}.200"
    ip("-n", c1.name, "address", "add", f"{floating}/24", "dev", place.device)
    try:
        before = drops(h1).get("spoofed_arp", 0)
        assert not reaches(c2, floating, 1)
        with c1.raw(place.device) as out:
            out.send(bytes(spoofing.arp_announcement(place.attacker.mac, floating)))
        wait_for(lambda: drops(h1).get("spoofed_arp", 0) > before, "who says that it has it is not heard")
        h1.host.fastpath("endpoint", "allow", place.attacker.id, floating, "--socket", str(h1.socket))
        wait_for(lambda: reaches(c2, floating, 1), "it is allowed")
        h1.host.fastpath("endpoint", "allow", place.attacker.id, floating, "--remove", "--socket", str(h1.socket))
        c2.run("ip", "neigh", "flush", "dev", place.device)
        wait_for(lambda: not reaches(c2, floating, 1), "it is not allowed any more")
        h1.host.fastpath("network", "set", place.name, "--port-security", "off", "--socket", str(h1.socket))
        wait_for(lambda: reaches(c2, floating, 1), "nothing is checked")
        h2.host.fastpath("network", "set", place.name, "--port-security", "on", "--socket", str(h2.socket))
        wait_for(lambda: not reaches(c2, floating, 1), "all is checked again")
    finally:
        ip("-n", c1.name, "address", "delete", f"{floating}/24", "dev", place.device)


def test_an_address_that_somebody_uses_is_not_given_away(place: Place) -> None:
    h1, (c1, _) = place.site.daemons[0], place.site.containers
    with c1.raw(place.device) as out:
        before = drops(h1).get("spoofed_arp", 0)
        out.send(bytes(spoofing.arp_announcement(place.attacker.mac, f"{place.subnet}.4")))
        wait_for(lambda: drops(h1).get("spoofed_arp", 0) > before, "it is dropped")
    third = Namespace.named("fpt-", "third").add()
    try:
        made = h1.join(third, place.name)
        assert [str(address.ip) for address in made.addresses if address.version == 4] == [f"{place.subnet}.5"]
        h1.client.remove_endpoint(made.id)
    finally:
        third.remove()


def test_the_lists_survive_the_daemon(place: Place) -> None:
    """kill -9: the next daemon takes the interfaces over, and is as strict."""
    h1, (c1, _) = place.site.daemons[0], place.site.containers
    h1.kill()
    h1.start()
    with c1.raw(place.device) as out:
        out.send(bytes(spoofing.arp_announcement(place.attacker.mac, f"{place.subnet}.1")))
        wait_for(lambda: drops(h1).get("spoofed_arp", 0) >= 1, "it is dropped")
    wait_for(lambda: reaches(c1, f"{place.subnet}.3", 1), "what is right passes")
