# SPDX-License-Identifier: Apache-2.0
"""The parent of a macvlan network: down, removed, renamed, shared, unfit; and the host's own way to its containers."""

import pytest

from fastpath import ConflictError, RefusedError, UsageError
from fastpath.control.drivers import naming
from fastpath.control.model.objects import Network
from fastpath.errors import FastpathError
from tests.support.hosts.hosts import Lab, Namespace, reaches, wait_for
from tests.support.hosts.macvlan_lab import ROUTER, MacvlanHost, macvlan_hosts, macvlan_state, network


def test_a_parent_that_is_down_is_reported_and_survived(two: Lab) -> None:
    net = network(shim="yes")
    with macvlan_hosts(two) as (h1, _):
        host, c1 = two.hosts[0], two.containers[0]
        end = h1.endpoint(c1, 11, net)
        h1.ensure(net, end)
        assert h1.problem(net) is None
        before = macvlan_state(h1, c1)
        host.ip("link set u0 down")
        h1.ensure(net, end)
        assert h1.problem(net) == "the parent u0 of the network lan is down: `ip link set u0 up`"
        host.ip("link set u0 up")
        host.ip("address add 2001:db8::1/64 dev u0 nodad")  # which the kernel drops
        h1.ensure(net, end)
        assert h1.problem(net) is None
        assert macvlan_state(h1, c1) == before
        assert reaches(c1, ROUTER)
        two.switch.ip("link set p1 down")
        assert "has no carrier" in (h1.problem(net) or "")
        two.switch.ip("link set p1 up")
        wait_for(lambda: h1.problem(net) is None, "the carrier is back")


def test_a_parent_that_is_removed_is_reported_and_healed(two: Lab) -> None:
    net = network(shim="yes")
    with macvlan_hosts(two) as (h1, _):
        host, (c1, c2) = two.hosts[0], two.containers
        ends = [h1.endpoint(c1, 11, net), h1.endpoint(c2, 12, net)]
        h1.ensure(net, *ends)
        host.ip("link del u0")
        for restart in (False, True):
            if restart:
                h1.restart()
            with pytest.raises(RefusedError, match="this host has no interface u0, the parent of the network lan; it"):
                h1.ensure(net, *ends)
            assert h1.problem(net) == "this host has no interface u0, the parent of the network lan; it has none at all"
        assert c1.links() == {"lo"}  # the kernel took it along
        h1.do(lambda: h1.driver.remove_endpoint(net, ends[1]))
        host.ip(f"link add u0 type veth peer name p9 netns {two.switch.name}")
        two.switch.ip("link set p9 master br0 up")
        host.address("192.0.2.1/24", device="u0")
        h1.ensure(net, ends[0])
        assert h1.problem(net) is None
        assert reaches(c1, ROUTER)
        assert reaches(host, "192.0.2.11")
        h1.remove(net, ends[0])
        assert host.links() == {"lo", "u0"}


def test_a_parent_that_is_renamed_is_reported_and_goes_on(two: Lab) -> None:
    net = network()
    with macvlan_hosts(two) as (h1, _):
        host, (c1, c2) = two.hosts[0], two.containers
        end = h1.endpoint(c1, 11, net)
        h1.ensure(net, end)
        host.ip("link set u0 down")
        host.ip("link set u0 name lan0")
        host.ip("link set lan0 up")
        for restart in (False, True):
            if restart:
                h1.restart()
            c1.ip("address flush dev eth0")
            h1.ensure(net, end)  # what is there stays in order
            assert (h1.problem(net) or "").startswith("the parent u0 of the network lan is called lan0 now: rename it")
            assert reaches(c1, ROUTER)
            with pytest.raises(RefusedError, match="the parent u0 of the network lan is called lan0 now"):
                h1.ensure(net, h1.endpoint(c2, 12, net))
        host.ip("link property add dev lan0 altname u0")
        h1.ensure(net, end, h1.endpoint(c2, 12, net))
        assert h1.problem(net) is None
        assert reaches(c2, "192.0.2.11")


def test_another_interface_of_the_parents_name_takes_over(two: Lab) -> None:
    net = network()
    with macvlan_hosts(two) as (h1, _):
        host, c1 = two.hosts[0], two.containers[0]
        end = h1.endpoint(c1, 11, net)
        h1.ensure(net, end)
        host.ip("link set u0 down")
        host.ip("link set u0 name old0")
        host.ip(f"link add u0 type veth peer name p9 netns {two.switch.name}")
        two.switch.ip("link set p9 master br0 up")
        host.ip("link set u0 up")
        h1.ensure(net, end)
        assert h1.problem(net) is None
        assert reaches(c1, ROUTER)


UNFIT = {
    "a tun": ("tuntap add t0 mode tun", "t0", "t0 cannot be the parent of a macvlan network: it is not an Ethernet"),
    "a macvlan": ("link add link u0 name t0 type macvlan", "t0", "t0 is a macvlan itself: give the interface"),
    "nothing": ("link add spare type veth peer name t0", "nix", "this host has no interface nix, .*; it has spare, t0"),
    "a VLAN of nothing": ("link set lo up", "nix.10", "this host has no interface nix, the parent"),
    "a VLAN without module": ("link set lo up", "u0.10", "cannot make a VLAN interface on u0: this kernel can't"),
    "no parent": ("link set lo up", "", r"cannot make a dummy interface .*: this kernel can't \(has it the module dum"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_cannot_be_a_parent_is_told_in_one_line(two: Lab, what: str) -> None:
    words, parent, message = UNFIT[what]
    net = network(parent=parent)
    with macvlan_hosts(two) as (h1, _):
        c1 = two.containers[0]
        two.hosts[0].ip(words)
        if _kernel_has(two.hosts[0], what):
            pytest.skip(
                "this kernel has what the reference kernel lacks: tests/system/macvlan/test_macvlan_vlan.py tests it"
            )
        before = two.hosts[0].links(), c1.links(), h1.promiscuity()
        for call in (lambda: h1.driver.check(net), lambda: h1.driver.ensure_endpoint(net, h1.endpoint(c1, 11, net), 0)):
            with pytest.raises(FastpathError, match=message) as raised:
                h1.do(call)
            assert "\n" not in str(raised.value)
        assert (two.hosts[0].links(), c1.links(), h1.promiscuity()) == before


def _kernel_has(where: Namespace, what: str) -> bool:
    tried = {
        "a VLAN without module": "link add link u0 name tried type vlan id 4000",
        "no parent": "link add tried type dummy",
    }
    if what not in tried or where.run("ip", *tried[what].split(), check=False).returncode != 0:
        return False
    where.ip("link del tried")
    return True


def test_a_parent_that_others_use(two: Lab) -> None:
    with macvlan_hosts(two) as (h1, _):
        host, (c1, c2) = two.hosts[0], two.containers
        host.ip("link add br9 type bridge")
        host.ip("link set u0 master br9")
        net = network()
        before = macvlan_state(h1, c1)
        with pytest.raises(ConflictError, match="u0 is a port of a bridge, a bond or the like: give that as the"):
            h1.ensure(net, h1.endpoint(c1, 11, net))
        assert macvlan_state(h1, c1) == before
        host.ip("link set u0 nomaster")
        host.ip("link add link u0 name theirs type macvlan mode bridge")
        with pytest.raises(ConflictError, match="u0 cannot carry a macvlan in the mode passthru: it has macvlan"):
            h1.ensure(network(macvlan_mode="passthru"), h1.endpoint(c1, 11, net))
        h1.ensure(net, h1.endpoint(c1, 11, net))
        host.ip("link property add dev u0 altname also")
        other = network("other", parent="also")
        with pytest.raises(ConflictError, match="u0 is the parent of the network lan already, on this host"):
            h1.ensure(other, h1.endpoint(c2, 12, other))
        h1.remove(net, h1.endpoint(c1, 11, net))
        h1.ensure(other, h1.endpoint(c2, 12, other))
        h1.remove(other, h1.endpoint(c2, 12, other))
        assert host.links() == {"lo", "u0", "br9", "theirs"}


def test_check_tries_and_leaves_nothing(two: Lab) -> None:
    with macvlan_hosts(two) as (h1, _):
        before = macvlan_state(h1)
        for mode in ("bridge", "private", "vepa", "passthru"):
            h1.do(lambda m=mode: h1.driver.check(network(macvlan_mode=m)))  # type: ignore[misc]
        with pytest.raises(UsageError, match="wants an MTU of 9000"):
            h1.do(lambda: h1.driver.check(network(mtu=9000)))
        assert macvlan_state(h1) == before


def shim(host: MacvlanHost, net: Network) -> str:
    name = naming.short_name("fpsh-", net.name)
    return host.host.ip(f"route show dev {name}") if name in host.host.links() else "none"


def test_the_host_reaches_its_containers_by_the_shim(two: Lab) -> None:
    net = network(shim="yes")
    with macvlan_hosts(two) as (h1, h2):
        host, (c1, c2) = two.hosts[0], two.containers
        before = macvlan_state(h1, c1, c2)
        mac = host.ip("-br link show u0").split()[2]
        two.switch.run("sysctl", "-qw", "net.ipv4.neigh.br0.locktime=0")  # it believes whoever spoke last
        assert reaches(two.switch, "192.0.2.1")
        end, other = h1.endpoint(c1, 11, net), h2.endpoint(c2, 12, net)
        h1.ensure(net, end)
        h2.ensure(net, other)
        assert h1.problem(net) is None
        assert reaches(host, "192.0.2.11")
        assert reaches(c1, "192.0.2.1")
        assert mac in two.switch.ip("neighbour show to 192.0.2.1")  # nobody has told it otherwise
        assert reaches(c2, "192.0.2.1")  # from another host: by the parent
        assert reaches(host, "192.0.2.12")
        # To the LAN the host has its parent's MAC address, and no other.
        for _ in range(3):
            two.switch.ip("neighbour flush all")
            assert reaches(two.switch, "192.0.2.1")
            neighbour = two.switch.ip("neighbour show to 192.0.2.1")
            assert mac in neighbour
        name = naming.short_name("fpsh-", net.name)
        for damage in (
            f"neighbour flush dev {name} nud permanent",
            f"link del {name}",
            f"route flush dev {name}",
            f"link set {name} down",
        ):
            host.ip(damage)
            h1.ensure(net, end)
            assert reaches(host, "192.0.2.11"), damage
        host.ip("address del 192.0.2.1/24 dev u0")
        h1.ensure(net, end)
        assert "this host has no address in 192.0.2.0/24" in (h1.problem(net) or "")
        host.ip("address add 192.0.2.99/24 dev u0")
        h1.ensure(net, end)
        assert h1.problem(net) is None
        assert shim(h1, net).split() == "192.0.2.11 proto static scope link src 192.0.2.99".split()
        assert reaches(host, "192.0.2.11")
        host.ip("address del 192.0.2.99/24 dev u0")
        host.ip("address add 192.0.2.1/24 dev u0")
        h1.remove(net, end)
        h2.remove(net, other)
        assert macvlan_state(h1, c1, c2) == before


def test_an_interface_of_the_shims_name_is_not_touched(two: Lab) -> None:
    net = network(shim="yes")
    with macvlan_hosts(two) as (h1, _):
        host, c1 = two.hosts[0], two.containers[0]
        name = naming.short_name("fpsh-", net.name)
        host.ip(f"link add {name} type bridge")
        h1.ensure(net, h1.endpoint(c1, 11, net))
        assert h1.problem(net) == f"an interface named {name} exists already, and is not this host's shim"
        assert reaches(c1, ROUTER)
        h1.remove(net, h1.endpoint(c1, 11, net))
        assert h1.strays([], []) == []
        assert name in host.links()
