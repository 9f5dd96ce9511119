# SPDX-License-Identifier: Apache-2.0
"""The gateway bridge is the way out, and does not connect containers with each other."""

import ipaddress

import pytest

from fastpath import ConflictError
from fastpath.control.drivers.gateway.bridge import GatewayBridge
from fastpath.control.drivers.gateway.config import BRIDGE, GatewaySettings
from tests.support.hosts.hosts import Lab, Namespace, ip, reaches
from tests.support.hosts.overlay_lab import Daemon, daemons, endpoint, network, ours

OUTSIDE = "192.0.2.100"  # has no route to any container


@pytest.fixture
def outside(two: Lab) -> Namespace:
    two.switch.address(f"{OUTSIDE}/24", device="br0")
    return two.switch


def gateway_address(where: Namespace) -> str:
    return where.ip("-brief address show dev eth1").split()[2].partition("/")[0]


def both_here(daemon: Daemon, lab: Lab) -> None:
    """Both containers on one host."""
    for number, container in enumerate(lab.containers, 1):
        net = network()
        daemon.ensure(net, endpoint(container, number, net, daemon.name))


def test_containers_reach_the_outside_with_the_hosts_address(two: Lab, outside: Namespace) -> None:
    with daemons(two, gateway=True) as running:
        both_here(running[0], two)
        for container in two.containers:
            assert reaches(container, OUTSIDE)


def test_nobody_comes_in_and_containers_do_not_meet_there(two: Lab, outside: Namespace) -> None:
    with daemons(two, gateway=True) as running:
        both_here(running[0], two)
        left, right = two.containers
        assert gateway_address(left) != gateway_address(right)
        ip("-n", outside.name, "route", "add", "172.30.0.0/16", "via", "192.0.2.1")
        assert not reaches(outside, gateway_address(right), 1)
        assert not reaches(left, gateway_address(right), 1)  # on the bridge
        left.ip(f"route add {gateway_address(right)}/32 via 172.30.0.1 dev eth1")
        right.ip(f"route add {gateway_address(left)}/32 via 172.30.0.1 dev eth1")
        assert not reaches(left, gateway_address(right), 1)  # by way of the host
        assert reaches(left, "10.0.0.2")


def test_an_internal_network_has_no_way_out(two: Lab, outside: Namespace) -> None:
    inner, outer = network(internal=True), network("direct", "red", 1)
    with daemons(two, gateway=True) as running:
        daemon, container = running[0], two.containers[0]
        before = ours(daemon, container)
        first, second = (endpoint(container, 1, n, daemon.name, f"eth{i}") for i, n in enumerate((inner, outer)))
        daemon.ensure(inner, first)
        assert container.links() == {"lo", "eth0"}
        assert "default" not in container.ip("route")
        daemon.ensure(outer, second)
        assert reaches(container, OUTSIDE)
        for again in (False, True):
            if again:
                daemon.restart()
            daemon.ensure(inner, first)
            daemon.ensure(outer, second)
            assert container.links() == {"lo", "eth0", "eth1", "eth2"}
        daemon.remove(outer, second)
        assert container.links() == {"lo", "eth0"}
        daemon.remove(inner, first)
        for net in (inner, outer):
            daemon.remove_network(net)
        assert ours(daemon, container) == before


def test_an_address_is_kept_over_a_restart_and_free_again_afterwards(two: Lab) -> None:
    net = network()
    with daemons(two, gateway=True) as running:
        daemon = running[0]
        both_here(daemon, two)
        before = [gateway_address(container) for container in two.containers]
        daemon.restart()
        both_here(daemon, two)
        assert [gateway_address(container) for container in two.containers] == before
        daemon.remove(net, endpoint(two.containers[0], 1, net, daemon.name))
        daemon.remove(net, endpoint(two.containers[1], 2, net, daemon.name))
        daemon.ensure(net, endpoint(two.containers[1], 2, net, daemon.name))
        assert gateway_address(two.containers[1]) == "172.30.0.2"


def test_a_default_route_that_is_there_stays(two: Lab) -> None:
    net = network()
    with daemons(two, gateway=True) as running:
        daemon, container = running[0], two.containers[0]
        container.ip("link add v0 type veth peer name v1")
        container.address("10.77.0.1/24", device="v0")
        container.ip("link set v1 up")
        container.ip("route add default via 10.77.0.2")
        daemon.ensure(net, endpoint(container, 1, net, daemon.name))
        assert container.ip("route show default").split()[:3] == ["default", "via", "10.77.0.2"]


def test_a_full_subnet_says_so_and_leaves_nothing(two: Lab) -> None:
    with daemons(two) as running:
        daemon, net = running[0], network()
        gateway = GatewayBridge(daemon.name, GatewaySettings(ipaddress.IPv4Interface("172.30.0.1/30")))
        daemon.overlay._gateway = gateway
        daemon.do(gateway.ensure)
        daemon.ensure(net, endpoint(two.containers[0], 1, net, daemon.name))
        before = ours(daemon, *two.containers)
        with pytest.raises(ConflictError, match="has no free address"):
            daemon.ensure(net, endpoint(two.containers[1], 2, net, daemon.name))
        assert ours(daemon, *two.containers) == before
        daemon.do(gateway.remove)


def test_another_ones_bridge_is_not_used(two: Lab) -> None:
    with daemons(two, gateway=True) as running:
        daemon, container, net = running[0], two.containers[0], network()
        if BRIDGE in daemon.host.links():
            daemon.host.ip(f"link del {BRIDGE}")
        daemon.host.ip(f"link add {BRIDGE} type bridge")
        daemon.host.ip(f"link set {BRIDGE} alias fastpath:another:gateway")
        before = ours(daemon, container)
        with pytest.raises(ConflictError, match=f"ip link del {BRIDGE}"):
            daemon.ensure(net, endpoint(container, 1, net, daemon.name))
        assert ours(daemon, container) == before
        daemon.host.ip(f"link del {BRIDGE}")
        daemon.ensure(net, endpoint(container, 1, net, daemon.name))
        assert container.links() == {"lo", "eth0", "eth1"}


def test_a_subnet_in_use_and_a_name_in_use_are_refused(two: Lab) -> None:
    with daemons(two) as running:
        daemon = running[0]
        before = ours(daemon)
        with pytest.raises(ConflictError, match=r"overlaps this host's route to 192\.0\.2\.0/24"):
            daemon.do(GatewayBridge(daemon.name, GatewaySettings(ipaddress.IPv4Interface("192.0.0.1/16"))).ensure)
        assert ours(daemon) == before
        daemon.host.ip(f"link add {BRIDGE} type bridge")
        daemon.host.ip(f"link set {BRIDGE} alias fastpath:other:gateway")
        before = ours(daemon)
        with pytest.raises(ConflictError, match="is not the gateway bridge of"):
            daemon.do(GatewayBridge(daemon.name).ensure)
        daemon.do(GatewayBridge(daemon.name).remove)
        assert ours(daemon) == before


def test_ensure_twice_and_remove_twice(two: Lab) -> None:
    with daemons(two) as running:
        daemon = running[0]
        before = ours(daemon)
        gateway = GatewayBridge(daemon.name)
        daemon.do(gateway.ensure)
        there = ours(daemon)
        assert "masquerade" in there[1]
        daemon.do(gateway.ensure)
        assert ours(daemon) == there
        daemon.do(gateway.remove)
        daemon.do(gateway.remove)
        assert ours(daemon) == before
