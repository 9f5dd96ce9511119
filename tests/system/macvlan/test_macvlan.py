# SPDX-License-Identifier: Apache-2.0
"""Macvlan networks as their users see them: two hosts in one LAN, with daemons, and a router."""

import ipaddress
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.hosts.hosts import Namespace, reaches, wait_for
from tests.support.servers.site import MORTAL, SETTINGS, HostDaemon, Site, links, pinged, site

ROUTER, BEYOND = "192.0.2.254", "198.51.100.1"
LAN = {"driver": "macvlan", "subnets": ["192.0.2.0/24"], "gateways": [ROUTER]}


def lans(folder: Path, settings: str = SETTINGS) -> Iterator[Site]:
    with site(2, folder, settings=settings) as made:
        made.lab.switch.address(f"{ROUTER}/24", device="br0")
        made.lab.switch.ip(f"address add {BEYOND}/32 dev lo")
        made.start()
        yield made


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    yield from lans(tmp_path)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Site]:
    yield from lans(tmp_path, MORTAL)


def lan(daemon: HostDaemon, **options: str) -> None:
    daemon.network("lan", options={"parent": "u0", **options}, **LAN)


def known(daemon: HostDaemon, name: str = "lan") -> None:
    wait_for(lambda: name in [info.network.name for info in daemon.client.networks()], "the network is known")


def test_two_hosts_in_one_lan(two: Site) -> None:
    (h1, h2), (c1, c2) = two.daemons, two.containers
    before = [set(links(daemon.host)) for daemon in two.daemons]
    lan(h1)
    known(h2)
    first, second = h1.join(c1, "lan"), h2.join(c2, "lan")
    # 192.0.2.1 and .2 are the hosts' own
    assert [str(end.addresses[0]) for end in (first, second)] == ["192.0.2.3/24", "192.0.2.4/24"]
    for container in (c1, c2):
        assert set(links(container)) == {"lo", "eth0"}  # no bridge leads out: the LAN does
        for address in (ROUTER, BEYOND):
            assert pinged(container, address) == 3
    assert pinged(c1, "192.0.2.4") == 3
    info = h2.client.network("lan")
    assert (info.network.vni, info.mtu, info.endpoints, info.local_endpoints) == (None, None, 2, 1)
    assert info.network.options == {"parent": "u0", "macvlan_mode": "bridge"}
    assert h1.client.fdb() == []
    assert h1.healthy()
    assert h2.healthy()
    h1.client.remove_endpoint(first.id)
    h2.client.remove_endpoint(second.id)
    h2.client.remove_network("lan")
    for daemon, container, there in zip(two.daemons, two.containers, before, strict=True):
        assert set(links(container)) == {"lo"}
        assert set(links(daemon.host)) == there
        assert daemon.healthy()


def test_addresses_are_unique_in_the_lan(two: Site) -> None:
    """Many at once, on both hosts, of a range that has room for just so many."""
    h1, h2 = two.daemons
    lan(h1, ip_range="192.0.2.64/28")
    known(h2)
    places = [Namespace.named("fpt-", f"many{number}").add() for number in range(16)]
    try:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda n: (h1, h2)[n % 2].join(places[n], "lan"), range(16)))
        addresses = {str(end.addresses[0].ip) for end in made}
        assert addresses == {str(address) for address in ipaddress.ip_network("192.0.2.64/28")}
        assert len({end.mac for end in made}) == 16
        with pytest.raises(Exception, match=r"the part 192\.0\.2\.64/28 of the subnet 192\.0\.2\.0/24 is full"):
            h1.join(two.containers[0], "lan")
        asked = h1.join(two.containers[0], "lan", addresses=["192.0.2.200"])
        assert pinged(two.containers[0], "192.0.2.79") == 3
        h1.client.remove_endpoint(asked.id)
    finally:
        for place in places:
            place.remove()
    for daemon in (h1, h2):
        wait_for(lambda d=daemon: d.client.endpoints() == [], "they are forgotten")  # type: ignore[misc]


@pytest.mark.parametrize("killed", [False, True])
def test_a_daemon_that_ends_leaves_everything_and_takes_it_over(two: Site, killed: bool) -> None:
    (h1, h2), (c1, c2) = two.daemons, two.containers
    lan(h1, shim="yes")
    known(h2)
    h1.join(c1, "lan")
    h2.join(c2, "lan")
    wait_for(lambda: reaches(h1.host, "192.0.2.3", 2), "the host reaches its container")
    before = links(c1)["eth0"]
    if killed:
        h1.kill()
    else:
        assert h1.stop() == 0
    assert pinged(c1, ROUTER) == pinged(c1, "192.0.2.4") == pinged(h1.host, "192.0.2.3") == 3
    c1.ip("address flush dev eth0")  # and what happens meanwhile is repaired
    h1.start()
    h1.healthy()
    wait_for(lambda: reaches(c1, BEYOND, 2), "it is as it was")
    after = links(c1)["eth0"]
    assert (after["ifindex"], after["address"]) == (before["ifindex"], before["address"])


def test_a_network_that_is_removed_while_a_daemon_is_away(mortal: Site) -> None:
    (h1, h2), (c1, _) = mortal.daemons, mortal.containers
    before = set(links(h1.host))
    lan(h1, shim="yes")
    known(h2)
    h1.join(c1, "lan")
    wait_for(h2.client.endpoints, "h2 knows")
    h1.kill()
    wait_for(lambda: not h2.client.endpoints(), "h1 and what it had are forgotten")
    h2.client.remove_network("lan")
    h1.start()
    wait_for(lambda: (set(links(c1)), set(links(h1.host))) == ({"lo"}, before), "nothing is left on h1")
    h1.healthy()


def test_the_parent_goes_and_comes_back(two: Site) -> None:
    (h1, _), (c1, c2) = two.daemons, two.containers
    host = h1.host
    host.ip(f"link add lan0 type veth peer name q1 netns {two.lab.switch.name}")
    two.lab.switch.ip("link set q1 master br0 up")
    host.ip("link set lan0 up")
    h1.network("lan", options={"parent": "lan0"}, **LAN)
    end = h1.join(c1, "lan")
    h1.join(c2, "lan")
    assert pinged(c1, ROUTER) == 3

    def complains(what: str) -> None:
        h1.wait(lambda status: len(status.problems) == 1 and what in status.problems[0], f"only: {what}")

    host.ip("link set lan0 down")
    complains("the parent lan0 of the network lan is down")
    host.ip("link set lan0 up")
    h1.healthy()
    assert pinged(c1, ROUTER) == 3

    host.ip("link set lan0 down")
    host.ip("link set lan0 name other")
    host.ip("link set other up")
    complains("the parent lan0 of the network lan is called other now")
    assert pinged(c1, ROUTER) == 3
    host.ip("link property add dev other altname lan0")
    h1.healthy()

    host.ip("link del other")
    complains("this host has no interface lan0, the parent of the network lan")
    assert set(links(c1)) == {"lo"}
    h1.client.remove_endpoint(end.id)  # which needs no parent
    host.ip(f"link add lan0 type veth peer name q2 netns {two.lab.switch.name}")
    two.lab.switch.ip("link set q2 master br0 up")
    host.ip("link set lan0 up")
    h1.healthy()
    assert set(links(c1)) == {"lo"}
    assert pinged(c2, ROUTER) == 3


def test_passthru_and_both_kinds_of_network_in_one_container(two: Site) -> None:
    (h1, h2), (c1, c2) = two.daemons, two.containers
    h1.host.ip(f"link add lan0 type veth peer name q1 netns {two.lab.switch.name}")
    two.lab.switch.ip("link set q1 master br0 up")
    h1.host.ip("link set lan0 up")
    mac = links(h1.host)["lan0"]["address"]
    h1.network("lan", options={"parent": "lan0", "macvlan_mode": "passthru"}, **LAN)
    h1.network("web", subnets=["10.9.0.0/24"])
    end = h1.join(c1, "lan", name="lan0")
    assert end.mac == mac
    with pytest.raises(Exception, match="passthru hands lan0 to one endpoint"):
        h1.join(c2, "lan")
    assert [each.id for each in h1.client.endpoints()] == [end.id]
    web = h1.join(c1, "web")
    known(h2, "web")
    h2.join(c2, "web")
    wait_for(lambda: reaches(c1, "10.9.0.3", 2), "the overlay")
    assert pinged(c1, ROUTER) == 3
    assert set(links(c1)) == {"lo", "lan0", "eth0", "eth1"}
    h1.client.remove_endpoint(web.id)
    assert set(links(c1)) == {"lo", "lan0"}  # the way out of the overlay went with it
    assert pinged(c1, BEYOND) == 3
    h1.client.remove_endpoint(end.id)
    assert set(links(c1)) == {"lo"}


def test_drift_is_repaired(two: Site) -> None:
    (h1, _), (c1, _) = two.daemons, two.containers
    lan(h1)
    h1.join(c1, "lan")
    for damage in ("link delete eth0", "link set eth0 down", "route del default", "link set eth0 promisc off"):
        c1.ip(damage)
        wait_for(lambda: reaches(c1, BEYOND, 2) and "PROMISC" in str(links(c1)["eth0"]["flags"]), f"after {damage}")
