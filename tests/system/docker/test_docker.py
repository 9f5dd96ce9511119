# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/operators/docker.md on two hosts, each with a real dockerd."""

import threading

import pytest

from fastpath.errors import FastpathError
from tests.support.hosts.hosts import Namespace, reaches, wait_for
from tests.support.servers.docker_host import DockerHost
from tests.support.servers.docker_site import DockerSite
from tests.support.servers.site import links, pinged

LAYOUTS = ["direct", "bridge"]
MANY = 8  # containers that are made at once on each host

pytestmark = pytest.mark.slow


def interfaces(host: DockerHost, container: str) -> dict[str, list[str]]:
    """The words that `ip address` has of each interface in a container."""
    found: dict[str, list[str]] = {}
    for line in host.inside(container, "ip", "address").splitlines():
        words = line.split()
        if not line.startswith(" "):
            current = found.setdefault(words[1].rstrip(":").partition("@")[0], [])
        current += words
    return found


def after(words: list[str], word: str) -> str:
    return words[words.index(word) + 1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_containers_on_two_hosts(two: DockerSite, layout: str) -> None:
    h1, h2 = two.hosts
    h1.create("demo-overlay", "10.0.0.0/24", "-o", f"fastpath.layout={layout}")
    h2.create("demo-overlay", "10.0.0.0/24")
    assert h1.inspect("network", "demo-overlay")["Driver"] == "fastpath"
    h1.container("c1", "demo-overlay")
    h2.container("c2", "demo-overlay")
    assert [h1.address("c1", "demo-overlay"), h2.address("c2", "demo-overlay")] == ["10.0.0.2", "10.0.0.3"]
    two.known()
    assert h1.pinged("c1", "10.0.0.3") == 3
    assert h2.pinged("c2", "10.0.0.2") == 3
    assert "10.0.0.2" in h2.docker("run", "--rm", "--net=demo-overlay", "busybox", "ping", "-c1", "10.0.0.2")

    found = interfaces(h1, "c1")
    assert set(found) == {"lo", "eth0", "eth1"}
    assert after(found["eth0"], "mtu") == "1450"
    assert after(found["eth0"], "link/ether") == "02:42:0a:00:00:02"
    assert after(found["eth0"], "inet") == "10.0.0.2/24"
    assert "default via 172" in (routes := h1.inside("c1", "ip", "route"))
    assert "dev eth1" in routes.splitlines()[0]

    namespace = f"fastpath-{h1.name}-docker-10.0.0.0-24"
    if layout == "bridge":
        there = Namespace("", namespace)
        veth = [name for name in links(there) if name.startswith("veth")]
        assert len(veth) == 1
        assert set(links(there)) == {"lo", "br0", "vxlan0", *veth}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_transfer_arrives_whole(two: DockerSite, layout: str) -> None:
    h1, h2 = two.hosts
    for host in two.hosts:
        host.create("web", "10.0.1.0/24", "-o", f"fastpath.layout={layout}")
    h1.container("server", "web")
    h2.container("client", "web")
    h1.inside("server", "sh", "-c", "mkdir /srv; head -c 100000000 /dev/urandom > /srv/big; httpd -p 80 -h /srv")
    h2.inside("client", "wget", "-q", "-O", "/got", "http://10.0.1.2/big")
    sent, got = h1.inside("server", "md5sum", "/srv/big"), h2.inside("client", "md5sum", "/got")
    assert sent.split()[0] == got.split()[0]
    if layout == "direct":  # the next transfer is the kernel's, once its path is proven
        wait_for(lambda: {peer.kernel_path for peer in h1.daemon.client.peers()} == {"up"}, "the path is proven")
        h2.inside("client", "wget", "-q", "-O", "/got", "http://10.0.1.2/big")
        assert h1.daemon.client.stats()["kernel_path"]["traffic"]["tx_bytes"] > 100_000_000


def test_internal_networks_have_no_way_out(two: DockerSite) -> None:
    h1, h2 = two.hosts
    for host in two.hosts:
        host.create("inner", "10.0.2.0/24", "--internal")
    h1.container("c1", "inner")
    h2.container("c2", "inner")
    two.known()
    assert h1.pinged("c1", "10.0.2.3") == 3
    assert set(interfaces(h1, "c1")) == {"lo", "eth0"}
    assert "default" not in h1.inside("c1", "ip", "route")


def test_published_ports_and_outbound_connections(two: DockerSite) -> None:
    h1, h2 = two.hosts
    for host in two.hosts:
        host.create("web", "10.0.3.0/24")
    h1.container("server", "web", "-p", "8080:80")
    h1.inside("server", "sh", "-c", "mkdir /srv; echo hello > /srv/index.html; httpd -p 80 -h /srv")
    h2.container("client", "web")
    outside = h2.daemon.host  # another machine: it reaches the host's address only
    assert "hello" in outside.run("busybox", "wget", "-q", "-O", "-", "http://192.0.2.1:8080/").stdout
    assert "hello" in h2.inside("client", "wget", "-q", "-O", "-", "http://10.0.3.2/")
    assert h2.pinged("client", "192.0.2.1") == 3  # masqueraded


def test_addresses_that_were_asked_for(two: DockerSite) -> None:
    h1, h2 = two.hosts
    words = ("--ipv6", "--subnet", "fd00:4::/64", "--gateway", "10.0.4.254", "--aux-address", "router=10.0.4.2")
    for host in two.hosts:
        host.create("six", "10.0.4.0/24", *words)
    more = ("--ip", "10.0.4.77", "--ip6", "fd00:4::77", "--mac-address", "02:11:22:33:44:55")
    h1.container("c1", "six", *more)
    h2.container("c2", "six")
    own = interfaces(h1, "c1")["eth0"]
    assert after(own, "inet") == "10.0.4.77/24"
    assert "fd00:4::77/64" in own
    assert after(own, "link/ether") == "02:11:22:33:44:55"
    assert h2.address("c2", "six") == "10.0.4.1"  # .254 is the gateway's, .2 is kept
    two.known()
    assert h1.pinged("c1", "10.0.4.1") == 3
    assert h2.inside("c2", "ping", "-6", "-c", "3", "fd00:4::77")
    assert "10.0.4.77 is taken" in h2.refused("run", "--net", "six", "--ip", "10.0.4.77", "busybox", "true")
    assert "02:11:22:33:44:55 is taken" in h2.refused(
        *("run", "--net", "six", "--mac-address", "02:11:22:33:44:55", "busybox", "true")
    )
    assert "10.0.4.254 is the gateway" in h1.refused("run", "--net", "six", "--ip", "10.0.4.254", "busybox", "true")


def test_several_networks_on_one_container(two: DockerSite) -> None:
    h1, h2 = two.hosts
    for host in two.hosts:
        host.create("one", "10.0.5.0/24")
        host.create("two", "10.0.6.0/24", "-o", "fastpath.layout=bridge")
    h1.container("c1", "one")
    h2.container("c2", "one")
    for host, name in ((h1, "c1"), (h2, "c2")):
        host.docker("network", "connect", "two", name)
    assert set(interfaces(h1, "c1")) == {"lo", "eth0", "eth1", "eth2"}
    two.known()
    assert h1.pinged("c1", "10.0.5.3") == 3
    assert h1.pinged("c1", "10.0.6.3") == 3
    h1.docker("network", "disconnect", "one", "c1")
    assert h1.pinged("c1", "10.0.6.3") == 3
    assert h2.pinged("c2", "10.0.5.2") == 0
    h1.docker("network", "connect", "--ip", "10.0.5.9", "one", "c1")
    two.known()
    assert h2.pinged("c2", "10.0.5.9") == 3


def test_options_of_docker_s_overlay(two: DockerSite) -> None:
    h1, h2 = two.hosts
    overlay = "com.docker.network.driver.overlay.vxlanid_list=4711"
    h1.create("web", "10.0.7.0/24", "-o", "com.docker.network.driver.mtu=1400", "-o", overlay)
    h1.container("c1", "web")
    assert after(interfaces(h1, "c1")["eth0"], "mtu") == "1350"
    assert h1.daemon.client.network("docker-10.0.7.0-24").network.vni == 4711
    h2.create("web", "10.0.7.0/24")
    h2.container("c2", "web")
    assert after(interfaces(h2, "c2")["eth0"], "mtu") == "1350"
    two.known()
    assert h2.pinged("c2", "10.0.7.2") == 3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_mtu_follows_the_underlay_s(two: DockerSite, layout: str) -> None:
    h1, h2 = two.hosts
    for number, host in enumerate(two.hosts, 1):
        host.create("web", "10.0.11.0/24", "-o", f"fastpath.layout={layout}")
        host.container(f"c{number}", "web")
    try:
        h1.daemon.host.ip("link set u0 mtu 1400")
        for host, name in ((h1, "c1"), (h2, "c2")):
            wait_for(lambda h=host, n=name: after(interfaces(h, n)["eth0"], "mtu") == "1350", "the MTU is less")  # type: ignore[misc]
    finally:
        h1.daemon.host.ip("link set u0 mtu 1500")
    wait_for(lambda: after(interfaces(h2, "c2")["eth0"], "mtu") == "1450", "the MTU is as before")
    assert h2.pinged("c2", "10.0.11.2") == 3


def test_what_is_docker_s_is_removed_by_docker(two: DockerSite) -> None:
    h1, h2 = two.hosts
    h1.create("web", "10.0.12.0/24")
    h1.container("c1", "web")
    (end,) = h1.daemon.client.endpoints()
    with pytest.raises(FastpathError, match="docker network disconnect"):
        h1.daemon.client.remove_endpoint(end.id)
    with pytest.raises(FastpathError, match="has 1 endpoint"):
        h2.daemon.client.remove_network("docker-10.0.12.0-24")
    assert "active endpoints" in h1.refused("network", "rm", "web")


def test_a_namespace_without_docker_in_a_network_of_docker_s(two: DockerSite) -> None:
    h1, h2 = two.hosts
    h1.create("web", "10.0.13.0/24", "--internal")
    h1.container("c1", "web")
    plain = two.site.containers[1]
    end = h2.daemon.join(plain, "docker-10.0.13.0-24", name="eth7")
    h1.daemon.knows(end)
    assert pinged(plain, "10.0.13.2") == 3
    h2.daemon.client.remove_endpoint(end.id)


def test_a_network_by_name(two: DockerSite) -> None:
    h1, h2 = two.hosts
    h1.daemon.network("blue", subnets=["10.0.8.0/24"])
    h1.create("mine", "10.0.8.0/24", "-o", "fastpath.network=blue")
    words = ("network", "create", "-d", "fastpath", "--ipam-driver", "fastpath", "-o", "fastpath.network=blue")
    h2.docker(*words, "--ipam-opt", "fastpath.network=blue", "yours")
    h1.container("c1", "mine")
    h2.container("c2", "yours")
    two.known()
    assert h1.pinged("c1", h2.address("c2", "yours")) == 3
    for host, container, network in ((h1, "c1", "mine"), (h2, "c2", "yours")):
        host.docker("rm", "-f", container)
        host.docker("network", "rm", network)
    assert "blue" in {info.network.name for info in h1.daemon.client.networks()}  # Docker did not make it
    h1.daemon.client.remove_network("blue")


def test_subnets_that_nobody_asked_for_differ(two: DockerSite) -> None:
    create = ("network", "create", "-d", "fastpath", "--ipam-driver", "fastpath")
    threads = [threading.Thread(target=host.docker, args=(*create, f"n{n}")) for host in two.hosts for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pools = [host.inspect("network", f"n{n}")["IPAM"]["Config"][0]["Subnet"] for host in two.hosts for n in range(3)]
    assert len(set(pools)) == 6


def test_what_cannot_be_is_said_in_words_of_docker(two: DockerSite) -> None:
    h1, h2 = two.hosts
    create = ("network", "create", "-d", "fastpath")
    ours = (*create, "--ipam-driver", "fastpath")
    subnet = ("--subnet", "10.0.9.0/24")
    assert "--ipam-driver fastpath" in h1.refused(*create, *subnet, "x")
    assert "encrypted" in h1.refused(*ours, *subnet, "-o", "encrypted", "x")
    assert "did you mean fastpath.layout?" in h1.refused(*ours, *subnet, "-o", "fastpath.lay=bridge", "x")
    assert "fastpath.layout=round" in h1.refused(*ours, *subnet, "-o", "fastpath.layout=round", "x")
    h1.create("x", "10.0.9.0/24", "--gateway", "10.0.9.9")
    said = h2.refused(*ours, *subnet, "--gateway", "10.0.9.8", "-o", "fastpath.layout=bridge", "x")
    for word in ("10.0.9.9", "10.0.9.8", "layout direct", "layout bridge"):
        assert word in said
    assert "internal" in h2.refused(*ours, *subnet, "--internal", "x")
    assert "overlaps 10.0.9.0/24 of the network docker-10.0.9.0-24" in h2.refused(*ours, "--subnet", "10.0.9.0/25", "y")


def test_many_containers_at_once(two: DockerSite) -> None:
    for host in two.hosts:
        host.create("crowd", "10.0.10.0/24")

    def make(host: DockerHost, number: int) -> None:
        host.container(f"m{number}", "crowd")

    def work(function: object, count: int) -> None:
        threads = [threading.Thread(target=function, args=(h, n)) for h in two.hosts for n in range(count)]  # type: ignore[arg-type]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    work(make, MANY)
    given = [host.address(f"m{number}", "crowd") for host in two.hosts for number in range(MANY)]
    assert len(set(given)) == 2 * MANY
    two.known()
    assert all(two.hosts[0].pinged("m0", address, 1) for address in given[MANY::2])
    work(lambda host, number: host.docker("rm", "-f", f"m{number}"), MANY)
    wait_for(lambda: not two.keys("/fastpath/v1/objects/endpoints/"), "the store has none of them any more")


def test_other_containers_leave_under_dockers_drop_and_reach_nothing_of_dockers(two: DockerSite) -> None:
    """A namespace with an endpoint of ours, and a container in a network of Docker's that publishes nothing."""
    h1 = two.hosts[0]
    ours, host, outside = two.site.containers[0], h1.daemon.host, two.site.lab.switch
    outside.address("192.0.2.253/24", device="br0")
    h1.daemon.network("web", subnets=["10.9.0.0/24"])
    endpoint = h1.daemon.join(ours, "web")
    h1.docker("network", "create", "--subnet", "172.29.0.0/24", "own")
    h1.container("c1", "own")
    try:
        assert "-P FORWARD DROP" in host.run("iptables", "-S", "FORWARD").stdout
        wait_for(lambda: "fastpath" in host.run("iptables", "-S", "DOCKER-USER").stdout, "the rules are there")
        assert pinged(ours, "192.0.2.253") == 3
        assert not reaches(ours, h1.address("c1", "own"), 1)
        assert h1.pinged("c1", "192.0.2.253") == 3
        own = ours.ip("-brief -4 address show dev eth1").split()[2].partition("/")[0]
        assert "100% packet loss" in h1.inside("c1", "ping", "-c1", "-W1", own, check=False)
        h1.daemon.healthy()
    finally:
        h1.daemon.client.remove_endpoint(endpoint.id)
        h1.daemon.client.remove_network("web")
        h1.docker("rm", "-f", "c1")
        h1.docker("network", "rm", "own")
        host.ip("link delete fp-gwbridge")
