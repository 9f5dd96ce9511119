# SPDX-License-Identifier: Apache-2.0
"""Two hosts with the guard, and those who try to get a packet past it: tests/system/overlay/test_guard.py has the
picture."""

import contextlib
import functools
import ipaddress
import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastpath.addresses import IPAddress
from fastpath.control.drivers.gateway import rules
from fastpath.control.host.guard.rules import copy_of, counts, table_of
from fastpath.control.kernel import nftables
from tests.attacks import access, vxlan
from tests.support.hosts import nft_edits
from tests.support.hosts.hosts import Namespace, wait_for
from tests.support.servers.site import HostDaemon, Site

UNDERLAY = {4: "192.0.2.{}", 6: "2001:db8::{}"}
ROOT = Path(__file__).parents[3]


@dataclass
class Scene:
    """The hosts, the family of their underlay, and their networks."""

    site: Site
    version: int
    vnis: list[int]
    c2: IPAddress
    owned: bool = True  # nobody can change the copy of h1's guard

    @property
    def tables(self) -> list[str]:
        """The tables of h1: the guard, its copy, and those of the gateway."""
        guard = table_of(ipaddress.ip_address(self.vtep(1)), 4789)
        return [guard, copy_of(guard), *rules.TABLES]

    def listed(self) -> nft_edits.Objects:
        """What h1's tables consist of, but one that nobody can change."""
        tables = [table for table in self.tables if not (self.owned and table == self.tables[1])]
        return self.site.lab.hosts[0].inside(lambda: [each for table in tables for each in nftables.objects(table)])

    def kept(self) -> list[str]:
        """The same without what passes, to compare."""
        return [json.dumps(nftables.lasting(each)) for each in self.listed()]

    @property
    def daemons(self) -> list[HostDaemon]:
        return self.site.daemons[:2]

    def vtep(self, number: int) -> str:
        return UNDERLAY[self.version].format(number)

    def caught(self, number: int) -> dict[str, int]:
        """What each rule of a host has caught."""
        host = self.site.lab.hosts[number - 1]
        table = table_of(ipaddress.ip_address(self.vtep(number)), 4789)
        return {count.name: count.packets for count in host.inside(lambda: list(counts(nftables.objects(table))))}


def connected(made: Site, version: int) -> Scene:
    """Two daemons and their networks; containers reach the underlay by the gateway bridge."""
    daemons = made.daemons[:2]
    for daemon in daemons:
        daemon.launch()
    for daemon in daemons:
        daemon.wait(lambda status: status.healthy and status.peers_up == 1, "hears from the other")
    c1, c2, _ = made.containers
    networks = [
        daemons[0].network("web", subnets=["10.9.0.0/24"]),
        daemons[0].network("inner", subnets=["10.8.0.0/24"], internal=True),
    ]
    ends = [daemons[0].join(c1, "web"), daemons[1].join(c2, "web")]
    ends += [daemons[0].join(c1, "inner", name="eth5"), daemons[1].join(c2, "inner", name="eth5")]
    for daemon in daemons:
        for end in ends:
            daemon.knows(end)
    other_bridge(made)
    # The daemon notices that this host is a router now: it does not confine forwarding any more.
    rule_set = functools.partial(made.lab.hosts[0].run, "nft", "list", "ruleset")
    wait_for(lambda: "jump foreign" not in rule_set().stdout, "it notices")
    return Scene(made, version, [network.network.vni or 0 for network in networks], ends[1].addresses[0].ip)


def other_bridge(made: Site) -> None:
    """c3 is a container of a bridge that is not ours, as Docker's, on a host that forwards what comes."""
    host, c3 = made.lab.hosts[0], made.containers[2]
    host.ip("link add other0 address 02:00:00:00:09:01 type bridge")
    host.ip(f"link add d3 type veth peer name eth0 netns {c3.name}")
    host.ip("link set d3 master other0 up")
    host.address("192.168.99.1/24", "fd00:9::1/64", device="other0")
    c3.address("192.168.99.2/24", "fd00:9::2/64", device="eth0")
    c3.ip("route add default via 192.168.99.1")
    c3.ip("-6 route add default via fd00:9::1")
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")


class Ear:
    """Hears frames of attackers."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def listen(self, container: Namespace, *interfaces: str) -> None:
        self._sockets += [container.inside(functools.partial(self._open, name)) for name in interfaces]

    @staticmethod
    def _open(interface: str) -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(vxlan.ETHERTYPE))
        sock.bind((interface, vxlan.ETHERTYPE))
        sock.setblocking(False)
        return sock

    def heard(self) -> set[bytes]:
        """What the frames carried that came since the last call."""
        found = set()
        for sock in self._sockets:
            with contextlib.suppress(BlockingIOError):
                while True:
                    found.add(sock.recv(2048)[14:].rstrip(b"\0"))
        return found

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


@contextlib.contextmanager
def forgers(scene: Scene) -> Iterator[None]:
    """Containers of either bridge forge packets every 10 ms. So do one that pretends to be a peer, and a user of the
    host."""
    h1, (c1, _, c3) = scene.site.lab.hosts[0], scene.site.containers
    nobody = ("setpriv", f"--reuid={access.NOBODY}", "--clear-groups")
    who: list[tuple[Namespace, tuple[str, ...], tuple[str, ...]]]
    who = [(c1, nobody, ("forge", scene.vtep(2))), (c3, nobody, ("forge", scene.vtep(2)))]
    who += [(c3, (), ("spoof", scene.vtep(2), scene.vtep(1))), (h1, nobody, ("forge", scene.vtep(2)))]
    attack = (sys.executable, "-m", "tests.attacks.vxlan")
    more = ("--vni", str(scene.vnis[0]), "--count", "1000000", "--persist", "--text", "edit")
    started = [where.spawn(*rights, *attack, *words, *more, cwd=ROOT) for where, rights, words in who]
    try:
        yield
        assert all(process.poll() is None for process in started)
    finally:
        for process in started:
            process.kill()
            process.communicate()


def masquerade_others(scene: Scene) -> None:
    """What leaves the other bridge gets the host's address, as Docker does it."""
    rule = 'add rule inet others p iifname != "fp-gwbridge" oifname "u0" masquerade'
    chain = "add chain inet others p { type nat hook postrouting priority srcnat; }"
    begin = "add table inet others; delete table inet others; add table inet others"
    scene.site.lab.hosts[0].run("nft", f"{begin}; {chain}; {rule}")
