# SPDX-License-Identifier: Apache-2.0
"""The macvlan driver: all modes work, drift is repaired, and nothing is left."""

import pytest

from fastpath import ConflictError, UsageError
from fastpath.control.drivers import naming
from tests.attacks import router_advertisement
from tests.support.hosts.hosts import Lab, Namespace, reaches, wait_for
from tests.support.hosts.macvlan_lab import (
    BEYOND,
    ROUTER,
    macvlan_hosts,
    macvlan_state,
    network,
    untouched,
)
from tests.support.hosts.overlay_lab import settle

MODES = ["bridge", "private", "vepa", "passthru"]


@pytest.mark.parametrize(("mode", "talk"), [("bridge", True), ("private", False), ("vepa", False)])
def test_modes_decide_who_talks_on_one_host(two: Lab, mode: str, talk: bool) -> None:
    net = network(macvlan_mode=mode)
    with macvlan_hosts(two) as (h1, _):
        before = macvlan_state(h1, *two.containers)
        c1, c2 = two.containers
        ends = [h1.endpoint(c1, 11, net), h1.endpoint(c2, 12, net)]
        h1.ensure(net, *ends)
        for container in (c1, c2):
            for address in (ROUTER, BEYOND, "2001:db8::fe", "192.0.2.2"):
                assert reaches(container, address), (container.label, address)
        assert not reaches(c1, "192.0.2.1", 1)  # the host itself: that is what the shim is for
        assert reaches(c1, "192.0.2.12", 30 if talk else 1) is talk
        assert reaches(c1, "2001:db8::12", 30 if talk else 1) is talk
        if mode in ("vepa", "private"):  # what differs: a switch that sends back what came
            two.switch.run("bridge", "link", "set", "dev", "p1", "hairpin", "on")
            for container in (c1, c2):
                container.ip("neighbour flush all")
            comes_back = mode == "vepa"
            assert reaches(c1, "192.0.2.12", 30 if comes_back else 1) is comes_back
        for _ in range(2):
            h1.remove(net, *ends)
        assert macvlan_state(h1, *two.containers) == before


def test_passthru_takes_the_parent(two: Lab) -> None:
    net = network(macvlan_mode="passthru")
    with macvlan_hosts(two) as (h1, _):
        before = settle(two.hosts[0].name)
        c1, c2 = two.containers
        mac = h1.do(lambda: h1.driver.own_mac(net))
        end = h1.endpoint(c1, 11, net, mac=mac)
        h1.ensure(net, end)
        assert reaches(c1, ROUTER)
        assert f"link/ether {mac}" in c1.ip("link show eth0")
        assert not reaches(two.hosts[0], ROUTER, 1)  # its frames go to the container
        with pytest.raises(ConflictError, match=f"passthru hands u0 to one endpoint, and {end.id} has it"):
            h1.ensure(net, h1.endpoint(c2, 12, net))
        h1.restart()
        h1.ensure(net, end)
        with pytest.raises(ConflictError, match="passthru hands u0 to one endpoint"):
            h1.ensure(net, h1.endpoint(c2, 12, net))
        assert two.containers[1].links() == {"lo"}
        h1.remove(net, end)
        assert untouched(two.hosts[0]) == before
        h1.ensure(net, h1.endpoint(c2, 12, net))  # with an address of its own, which the kernel gives the parent, too
        assert reaches(c2, ROUTER)
        h1.remove(net, h1.endpoint(c2, 12, net))
        assert untouched(two.hosts[0]) == before


def test_two_hosts_on_one_lan(two: Lab) -> None:
    net = network()
    with macvlan_hosts(two) as hosts:
        for number, (host, container) in enumerate(zip(hosts, two.containers, strict=True), 11):
            host.ensure(net, host.endpoint(container, number, net))
        for address in ("192.0.2.12", "2001:db8::12", "192.0.2.2"):
            assert reaches(two.containers[0], address)


def test_ensure_twice_changes_nothing_and_a_restart_neither(two: Lab) -> None:
    net = network(shim="yes")
    places = (two.hosts[0], *two.containers)
    with macvlan_hosts(two) as (h1, _):
        ends = [h1.endpoint(c, n, net) for n, c in enumerate(two.containers, 11)]
        h1.ensure(net, *ends)
        before = settle(*(place.name for place in places))
        for _ in range(2):
            h1.ensure(net, *ends)
            assert untouched(*places) == before
            h1.restart()
        assert h1.strays(ends, [net]) == []
        assert untouched(*places) == before


DRIFT = {
    "down": "link set eth0 down",
    "mtu": "link set eth0 mtu 1200",
    "mac": "link set eth0 address 02:00:00:00:00:99",
    "address": "address del 192.0.2.11/24 dev eth0",
    "v6 address": "address del 2001:db8::11/64 dev eth0",
    "all addresses": "address flush dev eth0",
    "route": "route del default",
    "v6 route": "-6 route del default",
    "mode": "link set eth0 type macvlan mode private",
    "promiscuous": "link set eth0 promisc off",
    "deleted": "link del eth0",
}


def test_drift_in_the_sandbox_is_repaired(two: Lab) -> None:
    net = network()
    with macvlan_hosts(two) as (h1, _):
        c1, c2 = two.containers
        ends = [h1.endpoint(c1, 11, net), h1.endpoint(c2, 12, net)]
        h1.ensure(net, *ends)
        before = macvlan_state(h1, *two.containers)
        for restart in (False, True):
            for what, words in DRIFT.items():
                c1.ip(words)
                if restart:
                    h1.restart()
                h1.ensure(net, *ends)
                assert macvlan_state(h1, *two.containers) == before, what
                assert "mode bridge" in c1.ip("-d link show eth0"), what
                assert "default via 2001:db8::fe" in c1.ip("-6 route"), what
        for _ in range(2):  # the same again looks as it did when it was repaired
            c1.ip("link set eth0 mtu 1200")
            h1.ensure(net, *ends)
            assert macvlan_state(h1, *two.containers) == before
        c1.ip("link set eth0 down")
        c1.ip("link set eth0 name other")
        h1.ensure(net, *ends)
        assert macvlan_state(h1, *two.containers) == before
        assert reaches(c1, "192.0.2.12")


def test_internal_networks_have_no_way_out(two: Lab) -> None:
    net = network(internal=True)
    with macvlan_hosts(two) as (h1, _):
        c1 = two.containers[0]
        h1.ensure(net, h1.endpoint(c1, 11, net))
        assert "default" not in c1.ip("route") + c1.ip("-6 route")
        assert reaches(c1, "192.0.2.2")
        assert not reaches(c1, BEYOND, 1)


def test_a_default_route_that_is_there_stays(two: Lab) -> None:
    net = network()
    with macvlan_hosts(two) as (h1, _):
        c1 = two.containers[0]
        c1.ip("link add way type veth peer name out")
        c1.address("10.77.0.2/24", device="way")
        c1.ip("route add default via 10.77.0.1")
        h1.ensure(net, h1.endpoint(c1, 11, net))
        assert c1.ip("route show default").split("\n")[0].split()[:3] == ["default", "via", "10.77.0.1"]


def test_mtu_is_the_parents_or_less(two: Lab) -> None:
    with macvlan_hosts(two) as (h1, _):
        c1, host = two.containers[0], two.hosts[0]
        net, small, large = network(), network(mtu=1300), network(mtu=9000)
        end = h1.endpoint(c1, 11, net)

        def mtu() -> str:
            return c1.ip("link show eth0").split(" mtu ")[1].split()[0]

        h1.ensure(net, end)
        assert mtu() == "1500"
        host.ip("link set u0 mtu 1400")
        h1.ensure(net, end)
        assert mtu() == "1400"
        host.ip("link set u0 mtu 1500")
        h1.ensure(net, end)
        assert mtu() == "1500"
        h1.ensure(small, end)
        assert mtu() == "1300"
        with pytest.raises(UsageError, match="wants an MTU of 9000, but its parent u0 has 1500"):
            h1.ensure(large, end)
        assert h1.problem(large) == "the parent u0 has an MTU of 1500, the network lan wants 9000"


def test_a_name_that_is_taken_is_refused_and_nothing_changes(two: Lab) -> None:
    net = network()
    with macvlan_hosts(two) as (h1, _):
        c1 = two.containers[0]
        c1.ip("link add eth0 type veth peer name other")
        before = macvlan_state(h1, c1)
        with pytest.raises(ConflictError, match="an interface named eth0 exists already in"):
            h1.ensure(net, h1.endpoint(c1, 11, net))
        assert macvlan_state(h1, c1) == before


def test_promiscuity_is_counted_and_undone(two: Lab) -> None:
    """It is the kernel that counts: each endpoint's interface holds one, and another one is there while the parent,
    a veth, has to take more addresses than its own."""
    net = network()
    with macvlan_hosts(two) as (h1, _):
        c1, c2 = two.containers
        ends = [h1.endpoint(c1, 11, net), h1.endpoint(c2, 12, net)]
        assert h1.promiscuity() == 0
        for present in (1, 2):
            h1.ensure(net, *ends[:present])
            assert h1.promiscuity() == present + 1
        h1.restart()  # killed: nothing of it was in the process
        h1.ensure(net, *ends)
        assert h1.promiscuity() == 3
        assert "PROMISC" not in two.hosts[0].ip("link show u0")  # its own switch is its owner's
        h1.do(lambda: h1.driver.remove_endpoint(net, ends[0]))
        assert h1.promiscuity() == 2
        h1.remove(net, ends[1])
        assert h1.promiscuity() == 0
        two.hosts[0].ip("link set u0 promisc on")  # somebody else wants it, and goes on to
        h1.ensure(net, *ends)
        h1.remove(net, *ends)
        assert "PROMISC" in two.hosts[0].ip("link show u0")
        gone = Namespace.named("fpt-", "gone").add()
        h1.ensure(net, h1.endpoint(gone, 13, net))
        assert h1.promiscuity() == 3
        gone.remove()
        wait_for(lambda: h1.promiscuity() == 1, "it goes with the container")


def test_no_container_follows_a_router_that_advertises_itself(two: Lab) -> None:
    """Neither one that we place, nor one that was placed and brought up by somebody else, which hears it first."""
    net = network()
    with macvlan_hosts(two) as (h1, _):
        own, theirs = two.containers
        end, managed = h1.endpoint(own, 11, net), h1.endpoint(theirs, 12, net, manager="docker", state="joining")
        theirs.run("sysctl", "-qw", "net.ipv6.conf.default.accept_ra=1")
        before = h1.host.run("sysctl", "-a", "--pattern", r"\.(all|default)\.").stdout
        h1.ensure(net, end, managed)
        assert h1.host.run("sysctl", "-a", "--pattern", r"\.(all|default)\.").stdout == before
        assert theirs.run("sysctl", "-n", "net.ipv6.conf.default.accept_ra").stdout.strip() == "0"
        theirs.run("sysctl", "-qw", "net.ipv6.conf.default.accept_ra=1")  # as in a sandbox that came later
        h1.host.ip(f"link set {naming.source_name(managed)} netns {theirs.name} name eth0")
        theirs.address("192.0.2.12/24", "2001:db8::12/64", device="eth0")

        def advertise() -> bool:
            two.switch.inside(lambda: router_advertisement.advertise("br0", "2001:db8:bad::/64"))
            return "proto ra" in theirs.ip("-6 route") and "2001:db8:bad:" in theirs.ip("-6 address")

        wait_for(advertise, "the container of somebody else believes it")
        h1.ensure(net, managed)
        two.switch.inside(lambda: router_advertisement.advertise("br0", "2001:db8:bad::/64"))
        for container, address in ((own, "2001:db8::11"), (theirs, "2001:db8::12")):
            assert reaches(container, "2001:db8::fe")
            assert "proto ra" not in container.ip("-6 route")
            assert "2001:db8:bad:" not in container.ip("-6 address")
            assert address in container.ip("-6 address")
