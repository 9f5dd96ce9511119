# SPDX-License-Identifier: Apache-2.0
"""Docker's containers in a LAN: two hosts with a real dockerd each, and a router."""

import re
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from fastpath.control.cluster import keys
from tests.support.hosts.hosts import reaches, wait_for
from tests.support.servers.docker_host import DockerHost
from tests.support.servers.docker_site import DockerSite
from tests.support.servers.site import pinged
from tests.system.docker.conftest import Machines

ROUTER, BEYOND = "192.0.2.254", "198.51.100.1"
RANGES = ("192.0.2.128/26", "192.0.2.192/27")


@pytest.fixture
def two(machines: Machines) -> Iterator[DockerSite]:
    with machines.borrow("--live-restore") as made:
        switch = made.site.lab.switch
        if BEYOND not in switch.ip("address show dev lo"):
            switch.address(f"{ROUTER}/24", device="br0")
            switch.ip(f"address add {BEYOND}/32 dev lo")
        promiscuous = [promiscuity(host) for host in made.hosts]
        yield made
    wait_for(lambda: [promiscuity(host) for host in made.hosts] == promiscuous, "the parents are as they were")


def promiscuity(host: DockerHost) -> int:
    found = re.search(r"promiscuity (\d+)", host.daemon.host.ip("-d link show u0"))
    assert found is not None
    return int(found[1])


def create(host: DockerHost, name: str, *more: str, parent: str = "u0") -> None:
    words = ("network", "create", "-d", "fastpath-macvlan", "--subnet", "192.0.2.0/24", "--gateway", ROUTER)
    host.docker(*words, "-o", f"parent={parent}", *more, name)


def both(two: DockerSite, *more: str) -> tuple[DockerHost, DockerHost]:
    """The network `lan`; each host has a part of the addresses for its containers."""
    for host, part in zip(two.hosts, RANGES, strict=True):
        create(host, "lan", "--ip-range", part, *more)
    return two.hosts[0], two.hosts[1]


def test_the_command_of_the_documents(two: DockerSite) -> None:
    h1, h2 = both(two)
    h1.container("c1", "lan")
    h1.container("c2", "lan")
    h2.container("c3", "lan")
    first, second, third = h1.address("c1", "lan"), h1.address("c2", "lan"), h2.address("c3", "lan")
    assert (first, second, third) == ("192.0.2.128", "192.0.2.129", "192.0.2.192")
    for address in (second, third, ROUTER, BEYOND, "192.0.2.2"):
        assert h1.pinged("c1", address) == 3, address
    assert pinged(two.site.lab.switch, first) == 3
    shown = h1.inside("c1", "ip", "address")
    assert re.findall(r"^\d+: (\w+)", shown, re.M) == ["lo", "eth0"]
    assert "02:42:c0:00:02:80" in shown
    assert h1.inside("c1", "ip", "route").splitlines()[0].strip() == f"default via {ROUTER} dev eth0"
    assert promiscuity(h1) >= 2
    assert h1.inspect("network", "lan")["Driver"] == "fastpath-macvlan"
    (info,) = h2.daemon.client.networks()
    assert (info.network.name, info.endpoints, info.local_endpoints) == ("docker-192.0.2.0-24", 3, 1)
    h1.daemon.healthy()


def test_addresses_of_our_ipam_are_unique_in_the_lan(two: DockerSite) -> None:
    h1, h2 = two.hosts
    for host in two.hosts:
        create(host, "lan", "--ipam-driver", "fastpath")
    h1.container("c1", "lan")
    h2.container("c2", "lan")
    # 192.0.2.1 and .2 are the hosts' own
    assert [h1.address("c1", "lan"), h2.address("c2", "lan")] == ["192.0.2.3", "192.0.2.4"]
    assert h1.pinged("c1", "192.0.2.4") == 3
    said = h2.refused("run", "--net", "lan", "--ip", "192.0.2.1", "busybox", "true")
    assert "192.0.2.1 is taken" in said


def test_an_address_that_another_host_s_docker_gave_is_refused(two: DockerSite) -> None:
    h1, h2 = two.hosts
    for host in two.hosts:
        create(host, "lan", "--ip-range", RANGES[0])
    h1.container("c1", "lan")
    said = h2.refused("run", "--name", "c2", "--net", "lan", "busybox", "true")
    assert "the address 192.0.2.128 is taken" in said
    h1.docker("rm", "-f", "c1")
    claim = keys.address("docker-192.0.2.0-24", ip_address("192.0.2.128"))
    wait_for(lambda: claim not in two.keys(keys.CLAIMS), "the address is free")
    h2.docker("start", "c2")


@pytest.mark.parametrize(("mode", "talk"), [("bridge", 3), ("private", 0), ("vepa", 0)])
def test_modes(two: DockerSite, mode: str, talk: int) -> None:
    h1, _ = both(two, "-o", f"macvlan_mode={mode}")
    h1.container("c1", "lan")
    h1.container("c2", "lan")
    assert h1.pinged("c1", ROUTER) == 3
    assert h1.pinged("c1", h1.address("c2", "lan")) == talk


def test_passthru(two: DockerSite) -> None:
    # The hosts' own way to the store is by u0, which passthru would take from them.
    host, switch = two.hosts[0], two.site.lab.switch
    # Nor may u9 answer when somebody asks for u0's address: passthru would keep the answers of the store.
    host.daemon.host.run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
    host.daemon.host.ip("link add u9 type veth peer name p9")
    try:
        host.daemon.host.ip(f"link set p9 netns {switch.name} up")
        switch.ip("link set p9 up master br0")
        host.daemon.host.ip("link set u9 up")
        create(host, "lan", "-o", "macvlan_mode=passthru", "--ip-range", RANGES[0], parent="u9")
        host.container("c1", "lan")
        mac = re.search(r"link/ether (\S+)", host.daemon.host.ip("link show u9"))
        assert mac is not None
        assert mac[1] in host.inside("c1", "ip", "link", "show", "eth0")
        assert host.pinged("c1", ROUTER) == 3
        said = host.refused("run", "--name", "c2", "--net", "lan", "busybox", "true")
        assert "passthru hands u9 to one endpoint" in said
        two.clear()
    finally:
        host.daemon.host.ip("link delete u9")
        host.daemon.host.run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0")


def test_the_host_reaches_its_containers_by_a_shim(two: DockerSite) -> None:
    h1, _ = both(two, "-o", "shim=yes")
    h1.container("c1", "lan")
    assert pinged(h1.daemon.host, h1.address("c1", "lan")) == 3
    parent = h1.daemon.host.ip("-br link show u0").split()[2]
    assert parent in two.site.lab.switch.ip("neighbour show to 192.0.2.1")  # for the LAN it is where it was


def test_a_container_in_an_overlay_and_in_the_lan(two: DockerSite) -> None:
    h1, h2 = both(two)
    for host in two.hosts:
        host.create("web", "10.5.0.0/24")
    h1.container("c1", "web")
    h2.container("c2", "web")
    two.known()
    h1.docker("network", "connect", "--ip", "192.0.2.140", "lan", "c1")
    assert h1.pinged("c1", "10.5.0.3") == 3
    assert pinged(two.site.lab.switch, "192.0.2.140") == 3
    h1.docker("network", "disconnect", "lan", "c1")
    assert not reaches(two.site.lab.switch, "192.0.2.140", 2)
    assert h1.pinged("c1", "10.5.0.3") == 3


def test_internal_networks_have_no_way_out(two: DockerSite) -> None:
    h1, h2 = both(two, "--internal")
    h1.container("c1", "lan")
    h2.container("c2", "lan")
    assert "default" not in h1.inside("c1", "ip", "route")
    assert h1.pinged("c1", h2.address("c2", "lan")) == 3


def test_daemon_and_dockerd_are_killed_and_come_back(two: DockerSite) -> None:
    h1, h2 = both(two)
    h1.container("c1", "lan")
    h2.container("c2", "lan")
    h1.daemon.healthy()
    h1.daemon.kill()
    h1.kill()
    switch, address = two.site.lab.switch, "192.0.2.128"
    assert pinged(switch, address) == 3
    h1.daemon.start()
    h1.start()
    assert pinged(switch, address) == 3
    with h1.namespace("c1") as c1:
        assert pinged(c1, h2.address("c2", "lan")) == 3
    h1.container("c3", "lan")
    assert h1.address("c3", "lan") == "192.0.2.129"
    h1.docker("kill", "c1")
    h1.docker("start", "c1")
    assert pinged(switch, address) == 3


def test_a_parent_that_is_down_keeps_nothing_from_being_removed(two: DockerSite) -> None:
    """Nor does the store, to which it is the way."""
    h1, _ = both(two)
    h1.container("c1", "lan")
    parent = h1.daemon.host
    parent.ip("link set u0 down")
    try:
        wait_for(lambda: "u0 of the network docker-192.0.2.0-24 is down" in str(h1.daemon.client.status().problems), "")
        h1.docker("rm", "-f", "c1")
        h1.docker("network", "rm", "lan")
        assert not [name for name in parent.links() if name.startswith("fp")]
    finally:
        parent.ip("link set u0 up")


def test_what_cannot_be_is_said_in_words_of_docker(two: DockerSite) -> None:
    h1, h2 = two.hosts
    words = ("network", "create", "-d", "fastpath-macvlan")
    subnet = ("--subnet", "192.0.2.0/24")
    assert "has no interface nic9" in h1.refused(*words, *subnet, "-o", "parent=nic9", "x")
    assert "did you mean parent?" in h1.refused(*words, *subnet, "-o", "parnet=u0", "x")
    assert "did you mean bridge?" in h1.refused(*words, *subnet, "-o", "parent=u0", "-o", "macvlan_mode=brigde", "x")
    create(h1, "lan")
    other = ("--subnet", "198.51.100.0/24", "-o", "parent=u0", "y")
    assert "give a VLAN of its own" in h1.refused(*words, *other)
    assert "-o parent u8" in h2.refused(*words, *subnet, "--gateway", ROUTER, "-o", "parent=u8", "z")
