# SPDX-License-Identifier: Apache-2.0
"""The macvlan driver is killed after any step: the next process repairs everything."""

import contextlib
import os
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from fastpath import RefusedError
from fastpath.control.drivers import naming
from fastpath.control.kernel import netns, syscalls
from fastpath.control.kernel.netlink import StackedLinks, links
from fastpath.control.model.objects import Endpoint, Network
from tests.netns.overlay.test_overlay_crashes import CRASHED, ENDED, EVERY, Fuse
from tests.support.hosts.forks import fork
from tests.support.hosts.hosts import Lab, Namespace, wait_for
from tests.support.hosts.macvlan_lab import MacvlanHost, macvlan_hosts, macvlan_state, network

Body = Callable[[MacvlanHost, Network, Endpoint, Fuse], None]


def ensure(host: MacvlanHost, net: Network, end: Endpoint, fuse: Fuse) -> None:
    fuse.light()
    host.driver.ensure_network(net, 0)
    host.driver.ensure_endpoint(net, end, 0)


def remove(host: MacvlanHost, net: Network, end: Endpoint, fuse: Fuse) -> None:
    host.driver.ensure_network(net, 0)
    host.driver.ensure_endpoint(net, end, 0)
    fuse.light()
    host.driver.remove_endpoint(net, end)
    host.driver.remove_network(net)


def check(host: MacvlanHost, net: Network, end: Endpoint, fuse: Fuse) -> None:
    fuse.light()
    host.driver.check(net)


def in_child(host: MacvlanHost, steps: int, body: Body, net: Network, end: Endpoint) -> int:
    """Call `body` in a process that is killed after so many steps; its exit status."""
    child = fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        with netns.opened(f"/run/netns/{host.host.name}") as fd:
            syscalls.enter_namespace(fd)
        body(host, net, end, Fuse(steps))
        os._exit(ENDED)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def then_ensure(host: MacvlanHost, net: Network, end: Endpoint) -> None:
    host.ensure(net, end)


def then_remove(host: MacvlanHost, net: Network, end: Endpoint) -> None:
    host.remove(net, end)


def then_strays(host: MacvlanHost, net: Network, end: Endpoint) -> None:
    host.strays([], [])


def states(host: MacvlanHost, container: Namespace, net: Network, end: Endpoint) -> tuple[Any, Any]:
    """All that the driver has to do with, without the endpoint and with it."""
    before = macvlan_state(host, container)
    host.ensure(net, end)
    reference = macvlan_state(host, container)
    host.remove(net, end)
    assert macvlan_state(host, container) == before
    return before, reference


@pytest.mark.parametrize("shim", ["yes", ""])
@pytest.mark.parametrize("body", [ensure, remove, check])
def test_nothing_is_left_whatever_the_step(two: Lab, body: Body, shim: str) -> None:
    net = network(shim=shim)
    with macvlan_hosts(two) as (host, _):
        container = two.containers[0]
        end = host.endpoint(container, 11, net)
        before, reference = states(host, container, net, end)
        for first, following in enumerate((then_ensure, then_remove, then_strays), 1):
            if body is check and following is then_remove:
                continue  # it is of no endpoint
            steps, status = first - EVERY, CRASHED
            while status == CRASHED:
                steps += EVERY
                status = in_child(host, steps, body, net, end)
                what = f"{following.__name__} after {steps} steps of {body}"
                assert status in (CRASHED, ENDED), what
                host.restart()
                following(host, net, end)
                if following is then_ensure:
                    assert host.strays([end], [net]) == [] or body is check, what
                    assert macvlan_state(host, container) == reference, what
                    then_remove(host, net, end)
                wait_for(lambda: macvlan_state(host, container) == before, what)
                host.restart()
            assert steps > (8 if body is ensure else 1)


@pytest.mark.parametrize("manager", ["", "docker"])
def test_a_step_that_fails_undoes_the_others(two: Lab, monkeypatch: pytest.MonkeyPatch, manager: str) -> None:
    net = network(shim="yes")
    verbs = ("change", "move", "ensure_addresses", "ensure_default_route")
    more = ("add_macvlan", "set_promiscuous", "ensure_host_route")
    with macvlan_hosts(two) as (host, _):
        container = two.containers[0]
        end = host.endpoint(container, 11, net, manager=manager)
        place, interface = (host.host, naming.source_name(end)) if manager else (container, "eth0")
        host.ensure(net)
        before = macvlan_state(host, container)
        left = 0

        def failing(real: Callable[..., Any]) -> Callable[..., Any]:
            def method(*arguments: Any, **more: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    raise RefusedError("the step that fails")
                return real(*arguments, **more)

            return method

        for holder, names in ((links.Links, verbs), (StackedLinks, more)):
            for name in names:
                monkeypatch.setattr(holder, name, failing(getattr(holder, name)))
        for failed in range(1, 100):  # looked at below
            left = failed
            with contextlib.suppress(RefusedError):
                host.ensure(net, end)
            if left > 0:
                break  # there are fewer steps than that
            assert macvlan_state(host, container) == before, f"step {failed} is undone"
        assert (4 if manager else 6) < failed < 30
        after = macvlan_state(host, container)
        for again in range(1, 5):  # what was there before stays, whatever fails
            left = again
            place.ip(f"link set {interface} mtu 1000")
            with contextlib.suppress(RefusedError):
                host.ensure(net, end)
            left = 0
            host.ensure(net, end)
            assert macvlan_state(host, container) == after


def test_strays_go_and_what_is_wanted_or_others_stays(two: Lab) -> None:
    net, other = network(), network("other", parent="v0")
    with macvlan_hosts(two) as (h1, h2):
        two.hosts[0].ip("link add v0 type veth peer name v1")
        two.hosts[0].ip("link set v0 up")
        two.hosts[0].ip("link set v1 up")
        c1, c2 = two.containers
        theirs = h2.endpoint(c2, 22, net)
        h2.ensure(net, theirs)
        two.hosts[0].ip("link add link u0 name theirs type macvlan mode bridge")
        wanted = h1.endpoint(c1, 11, net)
        h1.ensure(net, wanted)
        reference = macvlan_state(h1, c1), macvlan_state(h2, c2)
        stray = h1.endpoint(c1, 12, other, "eth7")
        h1.ensure(other, stray)
        h1.restart()
        assert len(h1.strays([wanted], [net])) == 1
        assert (macvlan_state(h1, c1), macvlan_state(h2, c2)) == reference
        assert h1.strays([wanted], [net]) == []
        assert len(h1.strays([], [])) == 1
        assert macvlan_state(h2, c2) == reference[1]
        assert "theirs" in two.hosts[0].links()
