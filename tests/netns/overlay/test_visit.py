# SPDX-License-Identifier: Apache-2.0
"""A pass enters every namespace once, and opens one netlink socket there."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from fastpath import ConflictError, UsageError
from fastpath.control.drivers import cleanup
from fastpath.control.host.host_state import HostState, NetworkPlan
from fastpath.control.kernel import netns, visit
from fastpath.control.kernel.netlink import Rtnetlink
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.control.model.choices import Layout
from tests.support.hosts.hosts import Lab
from tests.support.hosts.overlay_lab import MTU, daemons, endpoint, network


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a namespace was entered, and a netlink socket opened."""
    counts: Counter[str] = Counter()
    enter, connect = visit.NamespaceThread.__init__, Rtnetlink.__init__

    def entering(worker: visit.NamespaceThread, path: str, *rest: object) -> None:
        counts[path] += 1
        enter(worker, path, *rest)  # type: ignore[arg-type]

    def connecting(netlink: Rtnetlink, *rest: object) -> None:
        counts["sockets"] += 1
        connect(netlink, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(visit.NamespaceThread, "__init__", entering)
    monkeypatch.setattr(Rtnetlink, "__init__", connecting)
    return counts


def test_a_socket_shows_the_namespace_that_it_was_opened_in(two: Lab) -> None:
    left, right = two.containers
    left.ip("link add v0 type veth peer name v1")
    threads = threading.active_count()
    with Visit(f"/run/netns/{left.name}") as here, Visit(f"/run/netns/{right.name}") as there:
        assert {link.name for link in here.links.all()} == {"lo", "v0", "v1"}
        assert {link.name for link in there.links.all()} == {"lo"}
        assert here.set_sysctl("ipv4/conf/v0/log_martians", 1)
        assert not here.set_sysctl("ipv4/conf/v0/log_martians", 1)
        assert not Path("/proc/sys/net/ipv4/conf/v0").exists()
        assert here.sandbox == netns.resolve(left.name)
    assert threading.active_count() == threads


def test_a_pass_enters_once_and_a_part_of_it_leaves(two: Lab, opened: Counter[str]) -> None:
    left, right = (f"/run/netns/{container.name}" for container in two.containers)
    visits = Visits()
    with visits:
        first = visits.to(left)
        with visits.part():
            assert visits.to(left) is first
            visits.to(right)
        with visits, visits.part():
            visits.to(right)
        assert visits.home is visits.home
        assert (opened[left], opened[right], opened["sockets"]) == (1, 2, 4)
        with pytest.raises(UsageError, match="no network namespace"):
            visits.to("/run/netns/fpt-nowhere")
        sandbox = first.sandbox
        assert visits.is_alive(sandbox)
        with pytest.raises(ConflictError, match="another one has its name now"):
            visits.to(sandbox.model_copy(update={"cookie": sandbox.cookie + 1}))
        visits.leave(left)
        assert visits.to(left) is not first
    with visits:
        visits.to(left)
    assert opened[left] == 3


@pytest.mark.parametrize("layout", ["direct", "bridge"])
def test_an_endpoint_takes_one_visit_to_each_namespace(two: Lab, layout: Layout, opened: Counter[str]) -> None:
    net = network(layout)
    with daemons(two, gateway=True) as running:
        daemon = running[0]
        state = HostState(daemon.name, {"overlay": daemon.overlay}, daemon.visits)
        ends = [endpoint(container, n, net, daemon.name) for n, container in enumerate(two.containers, 1)]
        daemon.do(lambda: state.ensure_endpoint(NetworkPlan(net, MTU, (ends[0],), {}), ends[0]))
        opened.clear()
        daemon.do(lambda: state.ensure_endpoint(NetworkPlan(net, MTU, tuple(ends), {}), ends[1]))
        entered = {ends[1].sandbox.path: 1}
        if layout == "bridge":
            entered[f"/run/netns/fastpath-{daemon.name}-{net.name}"] = 1
        assert opened == entered | {"sockets": 1 + len(entered)}  # one at home
        opened.clear()
        daemon.do(lambda: state.reconcile(NetworkPlan(net, MTU, tuple(ends), {})))
        assert opened == entered | {ends[0].sandbox.path: 1, "sockets": 2 + len(entered)}
        daemon.do(lambda: state.remove_network(net.name))


def test_strays_are_looked_for_without_a_visit_to_each_namespace(two: Lab, opened: Counter[str]) -> None:
    left, right = two.containers
    alias = f"fastpath:{left.name}:0123456789abcdef"
    left.ip("link add v0 type veth peer name v1")
    left.ip(f"link set v0 alias {alias}")
    right.ip("link add v0 type veth peer name v1")
    said = cleanup.remove_links(left.name, ())
    assert said == [f"removed v0 in /run/netns/{left.name}: nothing needs it"]
    assert opened[f"/run/netns/{left.name}"] == 1
    assert opened[f"/run/netns/{right.name}"] == 0
    assert left.links() == {"lo"}
    assert right.links() == {"lo", "v0", "v1"}


def test_a_namespace_that_has_just_gone_is_passed_over(two: Lab) -> None:
    left, right = (f"/run/netns/{container.name}" for container in two.containers)
    two.containers[1].ip("link set lo alias fastpath:here:network:blue")
    assert netns.that_mention("fastpath:", [left, "/run/netns/fpt-gone", "/dev/null", right]) == [right]
    assert netns.that_mention("fastpath:", [left]) == []
