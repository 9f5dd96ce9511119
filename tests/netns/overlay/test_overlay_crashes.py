# SPDX-License-Identifier: Apache-2.0
"""The overlay driver is killed after any step: the next process repairs everything."""

import contextlib
import os
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from fastpath import Engine, RefusedError
from fastpath.control.drivers.gateway.bridge import GatewayBridge
from fastpath.control.drivers.overlay import direct, namespaces
from fastpath.control.drivers.overlay.driver import Overlay
from fastpath.control.kernel import netns, nftables, syscalls, sysctl
from fastpath.control.kernel.netlink import Rtnetlink, StackedLinks
from fastpath.control.model.choices import Layout
from fastpath.control.model.objects import Endpoint, Network
from tests.support.hosts.forks import fork
from tests.support.hosts.hosts import Lab, wait_for
from tests.support.hosts.overlay_lab import MTU, Daemon, daemons, endpoint, network, ours

CRASHED, ENDED = 17, 18
# A process is killed after every third step, before each of the three that may follow after other steps: together
# they are all steps. FASTPATH_EVERY_STEP=1 takes every step before each.
EVERY = 1 if os.environ.get("FASTPATH_EVERY_STEP") else 3
Body = Callable[[Overlay, GatewayBridge, Network, Endpoint, "Fuse"], None]


class Fuse:
    """Ends this process after so many changes to the system."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            result = function(*arguments, **more)
            self.left -= 1
            if self.left <= 0:
                os._exit(CRASHED)
            return result

        return counted

    def light(self) -> None:
        """In a child: every change counts from now on."""
        for holder, name in (
            (syscalls, "mount"),
            (syscalls, "unmount"),
            (sysctl, "ensure"),
            (nftables, "run"),
            (direct, "discard"),
            (namespaces, "discard"),
            (Rtnetlink, "change"),
        ):
            setattr(holder, name, self.step(getattr(holder, name)))


def in_child(daemon: Daemon, steps: int, body: Body, net: Network, end: Endpoint) -> int:
    """Call `body` in a process that is killed after so many steps; its exit status. No thread but this one runs
    here, so that a fork is safe."""
    child = fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        with netns.opened(f"/run/netns/{daemon.host.name}") as fd:
            syscalls.enter_namespace(fd)
        fuse = Fuse(steps)
        engine = Engine("127.0.0.1", udp_port=4799)
        bridge = GatewayBridge(daemon.name)
        body(Overlay(engine, daemon.name, bridge), bridge, net, end, fuse)
        os._exit(ENDED)  # as if killed: nothing is closed
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def ensure(overlay: Overlay, gateway_bridge: GatewayBridge, net: Network, end: Endpoint, fuse: Fuse) -> None:
    fuse.light()
    gateway_bridge.ensure()
    overlay.ensure_network(net, MTU)
    overlay.ensure_endpoint(net, end, MTU)


def remove(overlay: Overlay, gateway_bridge: GatewayBridge, net: Network, end: Endpoint, fuse: Fuse) -> None:
    gateway_bridge.ensure()
    overlay.ensure_network(net, MTU)
    overlay.ensure_endpoint(net, end, MTU)
    fuse.light()
    overlay.remove_endpoint(net, end)
    overlay.remove_network(net)
    gateway_bridge.remove()


def then_ensure(daemon: Daemon, net: Network, end: Endpoint) -> None:
    daemon.ensure(net, end)


def then_remove(daemon: Daemon, net: Network, end: Endpoint) -> None:
    daemon.remove(net, end)
    daemon.remove_network(net)


def then_strays(daemon: Daemon, net: Network, end: Endpoint) -> None:
    daemon.do(lambda: daemon.overlay.remove_strays([], []))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["direct", "bridge"])
@pytest.mark.parametrize("body", [ensure, remove])
def test_nothing_is_left_whatever_the_step(
    two: Lab, layout: Layout, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(layout)
    monkeypatch.setattr("fastpath.control.drivers.cleanup.HALF_MADE_S", -1)
    with daemons(two, gateway=True) as running:
        running[1].close()
        daemon = running.pop(0)
        running.clear()
        container = two.containers[0]
        end = endpoint(container, 1, net, daemon.name)
        before = ours(daemon, container)
        daemon.ensure(net, end)
        reference = ours(daemon, container)
        daemon.remove(net, end)
        daemon.remove_network(net)
        assert ours(daemon, container) == before
        daemon.close()
        for first, following in enumerate((then_ensure, then_remove, then_strays), 1):
            steps, status = first - EVERY, CRASHED
            while status == CRASHED:
                steps += EVERY
                status = in_child(daemon, steps, body, net, end)
                what = f"{following.__name__} after {steps} steps of {body}"
                assert status in (CRASHED, ENDED), what
                daemon.start()
                following(daemon, net, end)
                if following is then_ensure:
                    wait_for(lambda: ours(daemon, container) == reference, what)
                    then_remove(daemon, net, end)
                wait_for(lambda: ours(daemon, container) == before, what)
                daemon.close()
            assert steps > (15 if body is ensure else 2)


@pytest.mark.parametrize("layout", ["direct", "bridge"])
def test_a_step_that_fails_undoes_the_others(two: Lab, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(layout)
    verbs = ("change", "move", "ensure_addresses", "add_veth", "isolate", "ensure_default_route")
    with daemons(two, gateway=True) as running:
        daemon, container = running[0], two.containers[0]
        end = endpoint(container, 1, net, daemon.name)
        daemon.do(lambda: daemon.overlay.ensure_network(net, MTU))
        before = ours(daemon, container)
        left = 0

        def failing(real: Callable[..., Any]) -> Callable[..., Any]:
            def method(*arguments: Any, **more: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    raise RefusedError("the step that fails")
                return real(*arguments, **more)

            return method

        for verb in verbs:
            monkeypatch.setattr(StackedLinks, verb, failing(getattr(StackedLinks, verb)))
        for failed in range(1, 100):  # looked at below
            left = failed
            with contextlib.suppress(RefusedError):
                daemon.ensure(net, end)
            if left > 0:
                break  # there are fewer steps than that
            wait_for(lambda: ours(daemon, container) == before, f"step {failed} is undone")
        assert 8 < failed < 50
        after = ours(daemon, container)
        for again in range(1, 10):  # what was there before stays, whatever fails
            left = again
            container.ip("link set eth0 mtu 1000")
            with contextlib.suppress(RefusedError):
                daemon.ensure(net, end)
            left = 0
            daemon.ensure(net, end)
            assert ours(daemon, container) == after
