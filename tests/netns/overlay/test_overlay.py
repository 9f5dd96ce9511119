# SPDX-License-Identifier: Apache-2.0
"""The overlay driver: both layouts carry traffic, repair drift, and leave nothing."""

from collections.abc import Callable

import pytest

from fastpath import ConflictError, TapPort
from fastpath.addresses import parse_ip
from fastpath.control.drivers.overlay.driver import Overlay
from fastpath.control.host.underlay_watch import underlay_mtu
from fastpath.control.kernel import netns
from fastpath.control.model.choices import Layout
from tests.support.hosts.hosts import Lab, Namespace, ip, reaches, wait_for
from tests.support.hosts.overlay_lab import MTU, Daemon, daemons, endpoint, exactly, network, ours, settle
from tests.support.sandboxes import is_alive

LOCAL, REMOTE = parse_ip("192.0.2.1"), parse_ip("192.0.2.2")
LAYOUTS: list[Layout] = ["direct", "bridge"]
both = pytest.mark.parametrize("layout", LAYOUTS)


def connect(running: list[Daemon], vni: int) -> None:
    for daemon, remote in zip(running, ("192.0.2.2", "192.0.2.1"), strict=True):
        daemon.engine.segments[vni].add_remote(remote)


def namespace_of(daemon: Daemon, name: str = "blue") -> str:
    return f"fastpath-{daemon.name}-{name}"


@both
def test_two_hosts_share_a_subnet(two: Lab, layout: Layout) -> None:
    net = network(layout)
    with daemons(two) as running:
        before = [ours(daemon, *two.containers) for daemon in running]
        ends = [endpoint(c, n, net, d.name) for n, (c, d) in enumerate(zip(two.containers, running, strict=True), 1)]
        for daemon, end in zip(running, ends, strict=True):
            port = daemon.ensure(net, end)
            assert isinstance(port, TapPort)
            assert port.persist
            assert port.mtu == MTU
        connect(running, 300)
        assert reaches(two.containers[0], "10.0.0.2")
        assert reaches(two.containers[1], "fd00:0::1")
        if layout == "bridge":
            assert reaches(two.containers[0], "10.0.0.254")
        for _ in range(2):
            for daemon, end in zip(running, ends, strict=True):
                daemon.remove(net, end)
        for _ in range(2):
            for daemon in running:
                daemon.remove_network(net)
        assert [ours(daemon, *two.containers) for daemon in running] == before


@both
def test_ensure_twice_changes_nothing_and_a_restart_neither(two: Lab, layout: Layout) -> None:
    net = network(layout)
    with daemons(two, gateway=True) as running:
        daemon, container = running[0], two.containers[0]
        end = endpoint(container, 1, net, daemon.name)
        port = daemon.ensure(net, end)
        places = [container.name, daemon.host.name, *([namespace_of(daemon)] if layout == "bridge" else [])]
        before = settle(*places)
        assert daemon.ensure(net, end) is port
        assert exactly(*places) == before
        daemon.restart()
        daemon.ensure(net, end)
        wait_for(lambda: exactly(*places) == before, "all is as it was, and the kernel has noticed the carrier")
        assert daemon.do(lambda: daemon.overlay.remove_strays([end], [net])) == []
        assert exactly(*places) == before


DRIFT: dict[str, str] = {
    "down": "link set eth0 down",
    "mtu": "link set eth0 mtu 1200",
    "mac": "link set eth0 address 02:00:00:00:00:99",
    "address": "address del 10.0.0.1/24 dev eth0",
    "v6 address": "address del fd00:0::1/64 dev eth0",
    "all addresses": "address flush dev eth0",
    "deleted": "link del eth0",
}


@both
def test_drift_in_the_sandbox_is_repaired(two: Lab, layout: Layout) -> None:
    net = network(layout)
    with daemons(two, gateway=True) as running:
        daemon, container = running[0], two.containers[0]
        end = endpoint(container, 1, net, daemon.name)
        daemon.ensure(net, end)
        before = ours(daemon, container)
        for restart in (False, True):
            for what, words in DRIFT.items():
                container.ip(words)
                if restart:
                    daemon.restart()
                daemon.ensure(net, end)
                assert ours(daemon, container) == before, what
        for _ in range(2):  # the same again looks as it did when it was repaired
            container.ip("link set eth0 mtu 1200")
            daemon.ensure(net, end)
            assert ours(daemon, container) == before
        container.ip("link set eth0 down")
        container.ip("link set eth0 name other")
        daemon.ensure(net, end)
        assert ours(daemon, container) == before
        container.ip("link del eth1")
        daemon.ensure(net, end)
        assert ours(daemon, container) == before


def test_drift_in_a_networks_namespace_is_repaired(two: Lab) -> None:
    net = network("bridge")
    with daemons(two) as running:
        daemon, container = running[0], two.containers[0]
        end = endpoint(container, 1, net, daemon.name)
        daemon.ensure(net, end)
        name, before = namespace_of(daemon), ours(daemon, container)
        veth = next(link for link in Namespace("n", name).links() if link.startswith("veth"))
        for words in (
            "link set br0 down",
            "link del br0",
            "link set vxlan0 nomaster",
            "link del vxlan0",
            f"link set {veth} nomaster",
            f"link set {veth} down",
            f"link del {veth}",
            "address flush dev br0",
        ):
            ip("-n", name, *words.split())
            daemon.ensure(net, end)
            assert ours(daemon, container) == before, words
        ip("netns", "delete", name)
        daemon.ensure(net, end)
        assert ours(daemon, container) == before
        daemon.remove_network(net)


@both
def test_the_mtu_is_followed(two: Lab, layout: Layout) -> None:
    net = network(layout)
    with daemons(two) as running:
        daemon, container = running[0], two.containers[0]
        end = endpoint(container, 1, net, daemon.name)
        daemon.ensure(net, end)
        daemon.host.ip("link set u0 mtu 1400")
        assert daemon.do(lambda: underlay_mtu(LOCAL, [REMOTE])) == 1400
        port = daemon.ensure(net, end, 1350)
        assert port.mtu == 1350
        assert "mtu 1350" in container.ip("link show dev eth0")
        if layout == "bridge":
            for name in ("br0", "vxlan0"):
                assert "mtu 1350" in ip("-n", namespace_of(daemon), "link", "show", "dev", name)


@both
def test_a_name_that_is_taken_is_refused_and_nothing_changes(two: Lab, layout: Layout) -> None:
    net = network(layout)
    with daemons(two, gateway=True) as running:
        daemon, container = running[0], two.containers[0]
        container.ip("link add eth0 type veth peer name other")
        daemon.do(lambda: daemon.overlay.ensure_network(net, MTU))
        before = ours(daemon, container)
        with pytest.raises(ConflictError, match="an interface named eth0 exists already in"):
            daemon.ensure(net, endpoint(container, 1, net, daemon.name))
        assert ours(daemon, container) == before


@both
def test_two_networks_in_one_sandbox(two: Lab, layout: Layout) -> None:
    blue, red = network(layout, "blue", 0), network(layout, "red", 1)
    with daemons(two, gateway=True) as running:
        before = [ours(daemon, *two.containers) for daemon in running]
        for number, (container, daemon) in enumerate(zip(two.containers, running, strict=True), 1):
            daemon.ensure(blue, endpoint(container, number, blue, daemon.name, "eth0"))
            assert "eth1" in container.links()  # the gateway's, which makes room
            daemon.ensure(red, endpoint(container, number, red, daemon.name, "eth1"))
            assert container.links() == {"lo", "eth0", "eth1", "eth2"}
            assert "default via 172.30.0.1 dev eth2" in container.ip("route")
        connect(running, 300)
        connect(running, 301)
        for address in ("10.0.0.2", "10.1.0.2"):
            assert reaches(two.containers[0], address)
        for number, (container, daemon) in enumerate(zip(two.containers, running, strict=True), 1):
            daemon.remove(blue, endpoint(container, number, blue, daemon.name, "eth0"))
            assert container.links() == {"lo", "eth1", "eth2"}
            daemon.remove(red, endpoint(container, number, red, daemon.name, "eth1"))
            assert container.links() == {"lo"}
            for net in (blue, red):
                daemon.remove_network(net)
        assert [ours(daemon, *two.containers) for daemon in running] == before


@both
def test_a_sandbox_that_is_gone(two: Lab, layout: Layout) -> None:
    net = network(layout)
    with daemons(two, gateway=True) as running:
        daemon = running[0]
        for restart in (False, True):
            before = ours(daemon)
            gone = Namespace.named("fpt-", f"gone{int(restart)}").add()
            end = endpoint(gone, 1, net, daemon.name)
            daemon.ensure(net, end)
            if restart:
                daemon.restart()
                daemon.ensure(net, end)  # taken over: from here on we keep the namespace alive
            assert is_alive(end.sandbox)
            gone.remove()
            assert not is_alive(end.sandbox)
            with pytest.raises(Exception, match="there is no network namespace"):
                daemon.ensure(net, end)
            daemon.remove(net, end)
            daemon.remove(net, end)
            daemon.remove_network(net)
            wait_for(lambda: ours(daemon) == before, "nothing is left")  # noqa: B023  # called at once


@both
def test_strays_go_and_what_is_wanted_or_others_stays(two: Lab, layout: Layout) -> None:
    net, other = network(layout), network(layout, "red", 1)
    with daemons(two, gateway=True) as running:
        daemon, neighbour = running
        before = ours(daemon, two.containers[0])
        neighbours_end = endpoint(two.containers[1], 2, net, neighbour.name)
        neighbour.ensure(net, neighbours_end)
        neighbours = settle(two.containers[1].name, neighbour.host.name)
        wanted = endpoint(two.containers[0], 1, net, daemon.name)
        stray = endpoint(two.containers[0], 1, other, daemon.name, "eth7")
        daemon.ensure(net, wanted)
        reference = ours(daemon, two.containers[0])
        daemon.ensure(other, stray)
        daemon.restart()
        said = daemon.do(lambda: daemon.overlay.remove_strays([wanted], [net]))
        assert len(said) == 1, said
        daemon.ensure(net, wanted)
        assert ours(daemon, two.containers[0]) == reference
        daemon.restart()
        daemon.do(lambda: daemon.overlay.remove_strays([], []))
        assert ours(daemon, two.containers[0]) == before
        assert exactly(two.containers[1].name, neighbour.host.name) == neighbours
        neighbour.remove(net, neighbours_end)


def test_a_namespace_that_is_not_ours_is_not_touched(two: Lab) -> None:
    net = network("bridge")
    with daemons(two) as running:
        daemon = running[0]
        name = namespace_of(daemon)
        ip("netns", "add", name)
        refused: list[Callable[[], object]] = [
            lambda: daemon.overlay.ensure_network(net, MTU),
            lambda: daemon.ensure(net, endpoint(two.containers[0], 1, net, daemon.name)),
        ]
        for call in refused:
            with pytest.raises(ConflictError, match="is not fastpath's"):
                daemon.do(call)
        daemon.remove_network(net)
        daemon.do(lambda: daemon.overlay.remove_strays([], []))
        assert netns.exists(f"/run/netns/{name}")


@both
def test_what_another_process_has_open_is_no_stray(two: Lab, layout: Layout) -> None:
    net = network(layout)
    with daemons(two) as running:
        daemon = running[0]
        end = endpoint(two.containers[0], 1, net, daemon.name)
        daemon.ensure(net, end)
        before = ours(daemon, two.containers[0])
        running.pop().close()
        twin = Daemon(two.hosts[1])
        twin.overlay = Overlay(twin.engine, daemon.name)  # of one name: a mistake, but no reason to cut connections
        said = twin.do(lambda: twin.overlay.remove_strays([], []))
        if layout == "direct":
            assert ours(daemon, two.containers[0]) == before
        else:
            assert "another process has its vxlan0 open" in said[0]
        with pytest.raises(ConflictError, match="in use by another process"):
            twin.ensure(net, end)
        twin.engine.close()
