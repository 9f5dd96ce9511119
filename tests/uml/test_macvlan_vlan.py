# SPDX-License-Identifier: Apache-2.0
"""Parents that the macvlan driver makes: VLAN sub-interfaces, and dummies."""

from collections.abc import Callable

import pytest

from fastpath import ConflictError, RefusedError
from fastpath.control.model.objects import Endpoint, Network
from tests.netns.macvlan.test_macvlan_crashes import (
    Body,
    check,
    ensure,
    in_child,
    remove,
    states,
    then_ensure,
    then_remove,
    then_strays,
)
from tests.netns.overlay.test_overlay_crashes import CRASHED, ENDED, EVERY
from tests.support.hosts.hosts import Lab, reaches
from tests.support.hosts.macvlan_lab import MacvlanHost, macvlan_state, network, untouched
from tests.support.hosts.overlay_lab import settle
from tests.uml.conftest import ROUTER10, ROUTER20

Following = Callable[[MacvlanHost, Network, Endpoint], None]
FOLLOWING = (then_ensure, then_remove, then_strays)


def test_sub_interfaces_are_made_on_demand_and_removed_with_their_network(two: Lab, both: list[MacvlanHost]) -> None:
    ten, twenty, plain = network("ten", parent="u0.10"), network("twenty", parent="u0.20"), network("plain")
    h1, h2 = both
    c1, c2 = two.containers
    before = macvlan_state(h1, c1, c2)
    ends = [h1.endpoint(c1, 11, ten), h1.endpoint(c1, 12, twenty, "eth1"), h1.endpoint(c1, 13, plain, "eth2")]
    for net, end in zip((ten, twenty, plain), ends, strict=True):
        h1.ensure(net, end)
        assert h1.problem(net) is None
    host = two.hosts[0]
    assert host.links() == {"lo", "u0", "u0.10", "u0.20"}
    assert "vlan protocol 802.1Q id 10" in host.ip("-d link show u0.10")
    assert h1.promiscuity() == 1 + 3  # one is the kernel's, since a veth filters no addresses
    other = h2.endpoint(c2, 14, ten)
    h2.ensure(ten, other)
    for address in ("192.0.2.11", ROUTER10):
        assert reaches(c2, address)
    assert not reaches(c2, "192.0.2.12", 1)  # another VLAN's
    assert not reaches(c2, ROUTER20, 1)
    h1.restart()
    assert h1.strays(ends, [ten, twenty, plain]) == []
    h1.remove(ten, ends[0])
    assert host.links() == {"lo", "u0", "u0.20"}
    h1.restart()
    h1.remove(twenty, ends[1])
    h1.remove(plain, ends[2])
    h2.remove(ten, other)
    assert macvlan_state(h1, c1, c2) == before


def test_to_ask_for_the_parents_address_leaves_nothing(two: Lab, both: list[MacvlanHost]) -> None:
    net = network(parent="u0.10", macvlan_mode="passthru")
    h1, _ = both
    host, c1 = two.hosts[0], two.containers[0]
    mac = h1.do(lambda: h1.driver.own_mac(net))
    assert host.links() == {"lo", "u0"}
    end = h1.endpoint(c1, 11, net, mac=mac)
    h1.ensure(net, end)
    assert reaches(c1, ROUTER10)
    assert f"link/ether {mac}" in c1.ip("link show eth0")
    assert f"link/ether {mac}" in host.ip("link show u0")
    h1.remove(net, end)
    assert host.links() == {"lo", "u0"}


def test_a_sub_interface_that_others_made_is_used_and_stays(two: Lab, both: list[MacvlanHost]) -> None:
    net = network(parent="u0.10")
    h1, _ = both
    host, c1 = two.hosts[0], two.containers[0]
    host.ip("link add link u0 name u0.10 type vlan id 10")
    host.ip("link set u0.10 up")
    before = settle(host.name)
    end = h1.endpoint(c1, 11, net)
    h1.ensure(net, end)
    assert reaches(c1, ROUTER10)
    h1.remove(net, end)
    h1.restart()
    assert h1.strays([], []) == []
    assert untouched(host) == before
    host.ip("link set u0.10 down")  # older kernels rename only what is
    host.ip("link set u0.10 name mine")
    with pytest.raises(ConflictError, match=r"VLAN 10 of u0 has an interface of another name already"):
        h1.ensure(net, end)
    assert host.links() == {"lo", "u0", "mine"}
    host.ip("link del mine")


def test_what_a_sub_interface_stands_on_goes_and_comes_back(two: Lab, both: list[MacvlanHost]) -> None:
    net = network(parent="u0.10")
    h1, _ = both
    host, c1 = two.hosts[0], two.containers[0]
    end = h1.endpoint(c1, 11, net)
    host.ip("link set u0 down")
    h1.ensure(net, end)
    assert h1.problem(net) == "the parent u0 of the network lan is down: `ip link set u0 up`"
    host.ip("link set u0 up")
    h1.ensure(net, end)
    assert h1.problem(net) is None
    assert reaches(c1, ROUTER10)
    for damage in ("link set u0.10 down", "link del u0.10", "link set u0.10 mtu 1000"):
        host.ip(damage)
        h1.ensure(net, end)
        assert h1.problem(net) is None
        assert reaches(c1, ROUTER10), damage
    host.ip("link set u0.10 down")
    host.ip("link set u0.10 name moved")
    h1.ensure(net, end)
    assert host.links() == {"lo", "u0", "u0.10"}
    host.ip("link del u0")
    with pytest.raises(RefusedError, match="this host has no interface u0, the parent of the network lan"):
        h1.ensure(net, end)
    host.ip(f"link add u0 type veth peer name p9 netns {two.switch.name}")
    two.switch.ip("link set p9 master br0 up")
    host.address("192.0.2.1/24", "2001:db8::1/64", device="u0")
    h1.ensure(net, end)
    assert reaches(c1, ROUTER10)
    h1.remove(net, end)
    assert host.links() == {"lo", "u0"}


def test_a_dummy_stands_in_for_a_parent(two: Lab, both: list[MacvlanHost]) -> None:
    net = network(parent="", internal=True, mtu=9000)
    h1, _ = both
    c1, c2 = two.containers
    before = macvlan_state(h1, c1, c2)
    ends = [h1.endpoint(c1, 11, net), h1.endpoint(c2, 12, net)]
    h1.do(lambda: h1.driver.check(net))
    assert macvlan_state(h1, c1, c2) == before
    h1.ensure(net, *ends)
    assert h1.problem(net) is None
    assert "mtu 9000" in c1.ip("link show eth0")
    assert "default" not in c1.ip("route")
    assert reaches(c1, "192.0.2.12")
    assert not reaches(c1, "192.0.2.2", 1)
    h1.restart()
    h1.remove(net, *ends)
    assert macvlan_state(h1, c1, c2) == before


@pytest.mark.parametrize(
    ("parent", "body", "following"),
    [
        ("u0.10", ensure, then_ensure),
        ("u0.10", ensure, then_remove),
        ("u0.10", ensure, then_strays),
        ("u0.10", remove, then_ensure),
        ("u0.10", remove, then_strays),
        ("u0.10", check, then_strays),
        ("", ensure, then_remove),
    ],
)
def test_nothing_is_left_whatever_the_step(
    two: Lab, both: list[MacvlanHost], parent: str, body: Body, following: Following
) -> None:
    net = network(parent=parent)
    host, _ = both
    container = two.containers[0]
    end = host.endpoint(container, 11, net)
    before, reference = states(host, container, net, end)
    steps, status = 1 + FOLLOWING.index(following) - EVERY, CRASHED
    while status == CRASHED:
        steps += EVERY
        status = in_child(host, steps, body, net, end)
        assert status in (CRASHED, ENDED)
        host.restart()
        following(host, net, end)
        what = f"{following.__name__} after {steps} steps of {body}"
        if following is then_ensure:
            host.strays([end], [net])
            assert macvlan_state(host, container) == reference, what
            then_remove(host, net, end)
        assert macvlan_state(host, container) == before, what
        host.restart()
    assert steps > 2
