# SPDX-License-Identifier: Apache-2.0
"""What this host forwards for containers, and what it does not.

c1 ─ eth1 ┐                     u0 ── sw   192.0.2.100, 2001:db8::100: the outside
          ├ fp-gwbridge ─ h1 ──┤
c2 ─ eth1 ┘                     docker0 ── h2 (d0)   172.17.0.2: a container of Docker's
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fastpath.control.drivers.gateway import bridge
from fastpath.control.drivers.gateway.bridge import GatewayBridge
from fastpath.control.drivers.gateway.config import BRIDGE
from fastpath.control.drivers.gateway.forwarding import MARK
from fastpath.control.drivers.gateway.others import Others
from fastpath.control.kernel.keeper import Keeper
from tests.attacks import access, router_advertisement
from tests.netns.conftest import _lab
from tests.support.hosts.hosts import Lab, Namespace, reaches, server, wait_for
from tests.support.hosts.overlay_lab import Daemon, daemons, endpoint, network

OUTSIDE, OUTSIDE6 = "192.0.2.100", "2001:db8::100"
BEYOND = "198.51.100.1"  # behind the outside
DOCKERS = "172.17.0.2"
PUBLISHED = "198.51.100.77"  # leads to DOCKERS

# What Docker 29 makes with its nftables back end for the default bridge, with one port that is published.
DOCKER_NFTABLES = f"""
table ip docker-bridges {{
    map into {{ type ifname : verdict; elements = {{ "docker0" : jump into-docker0 }} }}
    map out {{ type ifname : verdict; elements = {{ "docker0" : jump out-docker0 }} }}
    chain filter-FORWARD {{
        type filter hook forward priority filter; policy accept;
        oifname vmap @into
        iifname vmap @out
    }}
    chain into-docker0 {{
        ct state established,related counter accept
        iifname "docker0" counter accept
        ip daddr {DOCKERS} tcp dport 80 counter accept
        counter drop
    }}
    chain out-docker0 {{
        ct state established,related counter accept
        counter accept
    }}
    chain nat-PREROUTING {{
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr {PUBLISHED} tcp dport 8080 counter dnat to {DOCKERS}:80
    }}
    chain nat-POSTROUTING {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname != "docker0" ip saddr 172.17.0.0/16 counter masquerade
    }}
    chain raw-PREROUTING {{
        type filter hook prerouting priority raw; policy accept;
        ip daddr {DOCKERS} iifname != "docker0" counter drop
    }}
}}
"""


@dataclass
class Site:
    """A host with two containers of ours and one of Docker's, with Docker's rules in `docker()`."""

    daemon: Daemon
    left: Namespace
    right: Namespace
    dockers: Namespace
    outside: Namespace

    @property
    def host(self) -> Namespace:
        return self.daemon.host

    @property
    def gateway(self) -> GatewayBridge:
        assert self.daemon.gateway is not None
        return self.daemon.gateway

    def ensure(self) -> None:
        self.daemon.do(self.daemon.overlay.ensure_gateway)
        net = network()
        for number, container in enumerate((self.left, self.right), 1):
            self.daemon.ensure(net, endpoint(container, number, net, self.daemon.name))

    def sysctl(self, *names: str) -> list[str]:
        return self.host.run("sysctl", "-n", *names).stdout.split()

    @contextlib.contextmanager
    def docker(self, program: str = "iptables-nft") -> Iterator[None]:
        """What Docker has in the kernel, with forwarding switched on by it."""
        rules = """
            -P FORWARD DROP
            -N DOCKER-USER
            -A DOCKER-USER -j RETURN
            -A FORWARD -j DOCKER-USER
            -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            -A FORWARD ! -i docker0 -o docker0 -m conntrack --ctstate DNAT -j ACCEPT
            -A FORWARD -i docker0 ! -o docker0 -j ACCEPT"""
        for rule in rules.strip().splitlines():
            self.host.run(program, *rule.split())
        self.host.run(program, *f"-t nat -A PREROUTING -d {PUBLISHED} -j DNAT --to {DOCKERS}".split())
        self.host.run("sysctl", "-w", "net.ipv4.ip_forward=1")
        try:
            yield
        finally:
            self.host.run("sysctl", "-w", "net.ipv4.ip_forward=0")
            for rule in ("-P FORWARD ACCEPT", "-F", "-X", "-t nat -F"):
                self.host.run(program, *rule.split())
            for table in ("ip filter", "ip nat"):
                self.host.run("nft", "delete", "table", *table.split(), check=False)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from _lab(2)


@pytest.fixture(scope="module")
def site(lab: Lab) -> Iterator[Site]:
    host, dockers = lab.hosts
    lab.switch.address(f"{OUTSIDE}/24", f"{OUTSIDE6}/64", device="br0")
    lab.switch.address(f"{BEYOND}/32", device="lo")
    host.ip(f"route add default via {OUTSIDE}")
    host.ip(f"link add docker0 type veth peer name d0 netns {dockers.name}")
    host.address("172.17.0.1/16", device="docker0")
    dockers.address(f"{DOCKERS}/16", device="d0")
    dockers.ip("route add default via 172.17.0.1")
    lab.switch.ip("route add 172.16.0.0/12 via 192.0.2.1")
    with daemons(lab, gateway=True) as running:
        found = Site(running[0], lab.containers[0], lab.containers[1], dockers, lab.switch)
        found.ensure()
        yield found


def address_of(container: Namespace) -> str:
    return container.ip("-brief -4 address show dev eth1").split()[2].partition("/")[0]


def dropped(site: Site, why: str) -> int:
    """The number of packets that our tables dropped for this reason."""
    found = json.loads(site.host.run("nft", "-j", "list", "ruleset").stdout)["nftables"]
    rules = [each["rule"] for each in found if each.get("rule", {}).get("comment") == why]
    return sum(part["counter"]["packets"] for rule in rules for part in rule["expr"] if "counter" in part)


def test_the_host_is_no_router_but_for_its_containers(site: Site) -> None:
    assert reaches(site.left, BEYOND)
    assert site.sysctl("net.ipv4.ip_forward", "net.ipv4.conf.u0.forwarding", "net.ipv4.conf.docker0.forwarding") == [
        "0",
        "1",
        "0",
    ]
    before = dropped(site, "this host forwards for its containers only")
    assert not reaches(site.outside, DOCKERS, 1)
    assert dropped(site, "this host forwards for its containers only") > before
    assert not reaches(site.dockers, BEYOND, 1)


def test_forwarding_ends_with_the_last_container_and_was_not_ours_if_it_was_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.sysctl("net.ipv4.conf.u0.tag") == [str(MARK)]
    monkeypatch.setattr(bridge, "EMPTY_S", 0.0)
    net = network()
    for number, container in enumerate((site.left, site.right), 1):
        assert not site.daemon.do(site.gateway.is_idle)
        site.daemon.remove(net, endpoint(container, number, net, site.daemon.name))
    site.daemon.do(site.daemon.overlay.ensure_gateway)
    assert BRIDGE not in site.host.links()
    assert site.sysctl("net.ipv4.conf.u0.forwarding", "net.ipv4.conf.u0.tag") == ["0", "0"]
    assert "fastpath" not in site.host.run("nft", "list", "tables").stdout
    site.host.run("sysctl", "-w", "net.ipv4.conf.u0.forwarding=1")
    site.ensure()
    site.daemon.do(site.gateway.remove)
    assert site.sysctl("net.ipv4.conf.u0.forwarding", "net.ipv4.conf.u0.tag") == ["1", "0"]
    site.host.run("sysctl", "-w", "net.ipv4.conf.u0.forwarding=0")
    site.ensure()
    assert reaches(site.left, BEYOND)


def test_containers_reach_the_way_out_only_and_follow_it(site: Site) -> None:
    with site.docker():
        site.ensure()
        before = dropped(site, "not the way out")
        assert not reaches(site.left, DOCKERS, 1)
        assert dropped(site, "not the way out") > before
        assert reaches(site.left, BEYOND)
    site.host.ip("route replace default via 172.17.0.2")
    try:
        site.ensure()
        assert not reaches(site.left, OUTSIDE, 1)
        assert reaches(site.left, DOCKERS)
    finally:
        site.host.ip(f"route replace default via {OUTSIDE}")
    site.ensure()
    assert reaches(site.left, OUTSIDE)
    assert site.sysctl("net.ipv4.conf.docker0.forwarding") == ["0"]


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
def test_what_docker_isolates_stays_isolated_and_the_way_out_works(site: Site, program: str) -> None:
    with site.docker(program):
        site.ensure()
        assert reaches(site.left, BEYOND)
        assert reaches(site.left, PUBLISHED)
        assert not reaches(site.left, DOCKERS, 1)
        assert not reaches(site.dockers, address_of(site.left), 1)
        rules = [line for line in site.host.run(program, "-S", "DOCKER-USER").stdout.splitlines() if "fastpath" in line]
        assert rules == [
            "-A DOCKER-USER -i fp-gwbridge -o u0 -m comment --comment fastpath -j ACCEPT",
            "-A DOCKER-USER -o fp-gwbridge -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -m comment "
            "--comment fastpath -j ACCEPT",
        ]
        site.host.run("nft", "delete", "table", "inet", "fastpath_gateway")  # even without our own table
        assert not reaches(site.left, DOCKERS, 1)
        site.ensure()
    site.ensure()


def test_the_way_out_works_beside_docker_with_nftables(site: Site) -> None:
    """Docker 29 with `"firewall-backend": "nftables"`: no chain for users, no drop by policy. It asks for a host that
    forwards."""
    site.host.run("nft", DOCKER_NFTABLES)
    site.host.run("sysctl", "-w", "net.ipv4.ip_forward=1")
    try:
        site.ensure()
        assert site.gateway.problems == []
        assert reaches(site.left, BEYOND)
        assert reaches(site.dockers, BEYOND)
        with server(site.dockers, "python3", "-m", "http.server", "80", port=80):
            assert site.left.inside(lambda: access.reach(PUBLISHED, 8080)) == access.OPEN
        assert not reaches(site.left, DOCKERS, 1)
        assert not reaches(site.dockers, address_of(site.left), 1)
        site.host.run("nft", "delete", "table", "inet", "fastpath_gateway")  # even without our own table
        assert not reaches(site.left, DOCKERS, 1)
    finally:
        site.host.run("sysctl", "-w", "net.ipv4.ip_forward=0")
        site.host.run("nft", "delete", "table", "ip", "docker-bridges")
    site.ensure()


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
def test_a_forward_chain_that_drops_is_told_until_it_knows_the_bridge(site: Site, program: str) -> None:
    """That of an administrator: there is no chain of Docker's."""
    try:
        for rule in ("-P FORWARD DROP", "-A FORWARD -j REJECT"):
            site.host.run(program, *rule.split())
            site.ensure()
            (problem,) = site.gateway.problems
            assert "drops what it does not know, so that containers may not reach the outside" in problem.text
            assert not reaches(site.left, OUTSIDE, 1)
            site.host.run(program, "-P", "FORWARD", "ACCEPT")
        for way in ("-i", "-o"):
            site.host.run(program, "-I", "FORWARD", way, BRIDGE, "-j", "ACCEPT")
        site.ensure()
        assert site.gateway.problems == []
        assert reaches(site.left, OUTSIDE)
    finally:
        site.host.run(program, "-P", "FORWARD", "ACCEPT")
        site.host.run(program, "-F")
        site.host.run("nft", "delete", "table", "ip", "filter", check=False)


def test_rules_of_docker_s_users_come_first_and_ours_are_replaced_and_removed(site: Site) -> None:
    with site.docker():
        for rule in (f"-i {BRIDGE} -j ACCEPT", f"-o {BRIDGE} -j ACCEPT", f"-i {BRIDGE} -d 10.0.0.0/8 -j DROP"):
            site.host.run("iptables-nft", "-I", "DOCKER-USER", *rule.split())
        for _ in range(2):
            site.ensure()
            rules = site.host.run("iptables-nft", "-S", "DOCKER-USER").stdout.splitlines()
            assert [rule.split()[-1] for rule in rules[1:]] == ["DROP", "ACCEPT", "ACCEPT", "RETURN"]
        site.daemon.do(lambda: Others(BRIDGE).remove())
        left = site.host.run("iptables-nft", "-S", "DOCKER-USER").stdout.splitlines()
        assert left[1:] == [f"-A DOCKER-USER -d 10.0.0.0/8 -i {BRIDGE} -j DROP", "-A DOCKER-USER -j RETURN"]
    site.ensure()


def test_one_container_cannot_fill_what_the_kernel_tracks(site: Site) -> None:
    flood = (
        "import socket\ns = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(60)]\n"
        f"for port, one in enumerate(s): one.sendto(b'x', ('{OUTSIDE}', 20000 + port))"
    )
    why, given, unkept = "too many connections of one container", site.gateway._given, site.gateway._tables
    keeper = site.daemon.do(Keeper)
    site.host.run("sysctl", "-w", "net.netfilter.nf_conntrack_udp_timeout=600")
    try:
        site.gateway._given, site.gateway._tables = type(given)(**{**vars(given), "connections": 20}), keeper
        site.ensure()
        site.left.run("python3", "-c", flood)
        before = wait_for(lambda: dropped(site, why), "packets are dropped")
        assert before >= 40
        assert reaches(site.right, OUTSIDE)
        # Another way out replaces no table that counts.
        site.host.ip("route replace default via 172.17.0.2")
        site.ensure()
        site.host.ip(f"route replace default via {OUTSIDE}")
        site.ensure()
        site.left.run("python3", "-c", flood)
        wait_for(lambda: dropped(site, why) >= before + 60, "all further ones are dropped")
    finally:
        site.gateway._given, site.gateway._tables = given, unkept
        keeper.close()
        site.host.ip(f"route replace default via {OUTSIDE}")
        site.ensure()


def test_what_keeps_containers_from_the_outside_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site.gateway.problems == []
    with site.docker():
        site.ensure()
        assert site.gateway.problems == []
        monkeypatch.setattr("shutil.which", lambda program: None)
        site.ensure()
        assert "the program iptables is missing" in site.gateway.problems[0].text
        monkeypatch.undo()
    # By its policy, or, as firewalld does it, by its last rule.
    for policy, last in (
        ("drop", "ct state established accept"),
        ("accept", "counter reject with icmpx admin-prohibited"),
    ):
        chain = f"add chain inet mine f {{ type filter hook forward priority 10; policy {policy}; }}"
        site.host.run("nft", f"add table inet mine; {chain}; add rule inet mine f {last}")
        try:
            site.ensure()
            (problem,) = site.gateway.problems
            assert "table inet mine drops what it does not know, so that containers may not reach" in problem.text
            site.host.run("nft", f'insert rule inet mine f iifname "{BRIDGE}" accept')
            site.ensure()
            assert site.gateway.problems == []
        finally:
            site.host.run("nft", "delete table inet mine")


def test_ipv6_leaves_too_and_the_host_keeps_its_routers(site: Site) -> None:
    site.host.run("sysctl", "-w", "net.ipv6.conf.u0.accept_ra=1")
    assert site.sysctl("net.ipv6.conf.all.forwarding") == ["0"]
    assert "default" not in site.left.ip("-6 route")
    site.outside.inside(lambda: router_advertisement.advertise("br0", "2001:db8:7::/64"))
    wait_for(lambda: "proto ra" in site.host.ip("-6 route show default"), "the host has a router")
    site.outside.ip("-6 address add 2001:db8:9::9/128 dev lo")
    site.outside.address("2001:db8:7::ff/64", device="br0")  # the host may take an address of this prefix as its own
    try:
        site.ensure()
        assert site.sysctl(
            "net.ipv6.conf.all.forwarding",
            "net.ipv6.conf.default.forwarding",
            "net.ipv6.conf.u0.forwarding",
            "net.ipv6.conf.u0.accept_ra",
        ) == ["1", "0", "0", "1"]
        assert "proto ra" in site.host.ip("-6 route show default")
        assert reaches(site.left, OUTSIDE6)
        assert reaches(site.left, "2001:db8:9::9")
        # Nobody comes in, and the host is no router for others.
        inner = next(a for a in site.left.ip("-6 -o address show dev eth1").split() if a.startswith("fd77"))
        site.outside.ip("-6 route add fd77::/64 via 2001:db8::1")
        site.outside.ip("-6 route add fd99::/64 via 2001:db8::1")
        site.host.address("fd99::1/64", device="docker0")
        site.dockers.address("fd99::2/64", device="d0")
        assert not reaches(site.outside, inner.partition("/")[0], 1)
        before = dropped(site, "this host forwards for its containers only")
        assert not reaches(site.outside, "fd99::2", 1)
        assert dropped(site, "this host forwards for its containers only") > before
        assert not reaches(site.left, "fd99::2", 1)
        site.daemon.do(site.gateway.remove)
        assert site.sysctl("net.ipv6.conf.all.forwarding") == ["0"]
        assert "proto ra" in site.host.ip("-6 route show default")
    finally:
        site.host.run("ip", "-6", "route", "flush", "proto", "ra")
    site.ensure()
    assert "default" not in site.host.ip("-6 route")
    site.host.ip(f"-6 route add default via {OUTSIDE6}")
    site.ensure()
    assert reaches(site.left, "2001:db8:9::9")
    site.host.ip("-6 route del default")
    site.ensure()
    refused = site.left.run("ping", "-c1", "-W30", "2001:db8:9::9", check=False).stdout
    assert "unreachable" in refused.lower() or "no route" in refused.lower()  # at once, not after a time-out
