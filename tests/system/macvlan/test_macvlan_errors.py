# SPDX-License-Identifier: Apache-2.0
"""Macvlan networks that cannot be: one clear line, and nothing is changed. And what the commands show of those that
can."""

from collections.abc import Iterator

import pytest

from tests.support.servers.site import HostDaemon, Site, links, site

CREATE = "network create x --driver macvlan --subnet 198.51.100.0/24"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(1, tmp_path_factory.mktemp("site")) as made:
        made.start()
        h1 = made.daemons[0]
        lan = {"driver": "macvlan", "subnets": ["192.0.2.0/24"], "gateways": ["192.0.2.254"]}
        h1.network("lan", options={"parent": "u0"}, mtu=1400, **lan)
        h1.network("web", subnets=["10.9.0.0/24"])
        yield made


def state(daemon: HostDaemon) -> tuple[object, ...]:
    return (daemon.client.networks(), daemon.client.endpoints(), set(links(daemon.host)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (f"{CREATE} -o parent=u0", "u0 is the parent of the network lan already: join that one, or give a VLAN of its"),
        (f"{CREATE} -o parent=u0", "as in -o parent=u0.10"),
        (f"{CREATE} -o parnet=u0", 'a macvlan network has no option "parnet": did you mean parent?'),
        (f"{CREATE} -o mtu=9", 'no option "mtu": there are parent, macvlan_mode, shim, ip_range'),
        (f"{CREATE} -o parent=lo", "invalid -o parent=lo: the loopback interface leads nowhere"),
        (f"{CREATE} -o parent=eth0.4095", "4095 is not a VLAN ID, which is 1 to 4094"),
        (f"{CREATE} -o parent=eth0.0", "0 is not a VLAN ID"),
        (f"{CREATE} -o parent=much-too-long-a-name", "cannot be an interface name"),
        (f"{CREATE} -o parent=nix", "this host has no interface nix, the parent of the network x; it has u0"),
        (f"{CREATE} -o parent=u0 -o macvlan_mode=brigde", "did you mean bridge?"),
        (f"{CREATE} -o parent=u0 -o macvlan_mode=fast", "it is one of bridge, private, vepa, passthru"),
        (f"{CREATE} -o macvlan_mode=passthru", "passthru needs -o parent=INTERFACE"),
        (f"{CREATE} -o parent=u0 -o macvlan_mode=vepa -o shim=yes", "macvlan_mode=bridge only"),
        (f"{CREATE} -o parent=u0 -o shim=maybe", "it is yes or no"),
        (f"{CREATE} -o parent=u0 -o ip_range=10.0.0.0/8", "is in none of the subnets"),
        (f"{CREATE} -o parent=u0 -o ip_range=10", "a part of the subnet such as"),
        (f"{CREATE} -o parent=nix --vni 300", "a macvlan network has no VNI"),
        (f"{CREATE} -o parent=nix --layout bridge", "a macvlan network has no layout bridge"),
        ("network create x --driver macvlan -o parent=u0", "give --subnet"),
        ("network create x --driver macvlan --subnet 192.0.2.0/25 -o parent=fp-x", "no interface fp-x"),
        ("network create x --subnet 192.0.2.0/25", "overlaps 192.0.2.0/24 of the network lan"),
        ("network create lan --driver macvlan --subnet 192.0.2.0/24 -o parent=u0", "there is a network lan already"),
        ("endpoint create lan --sandbox {c1} --ip 192.0.2.1", "the address 192.0.2.1 is taken"),
        ("endpoint create lan --sandbox {c1} --ip 192.0.2.254", "is the gateway"),
        ("network create x --driver macvlam", "macvlan"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(one: Site, words: str, message: str) -> None:
    h1 = one.daemons[0]
    before = state(h1)
    full = [*words.format(c1=one.containers[0].name).split(), "--socket", str(h1.socket)]
    done = h1.host.fastpath(*full, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    if "--driver macvlam" not in words:
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert message in done.stderr
    assert state(h1) == before
    assert h1.healthy()


def test_commands_show_parent_and_mode(one: Site) -> None:
    h1 = one.daemons[0]

    def shown(*words: str) -> str:
        return " ".join(h1.host.fastpath("network", *words, "--socket", str(h1.socket)).stdout.split())

    assert "lan macvlan – 192.0.2.0/24 1400 bridge on u0 0 0" in shown("ls")
    assert "lan: macvlan, bridge on u0 subnet 192.0.2.0/24, gateway 192.0.2.254" in shown("inspect", "lan")
    assert "option parent=u0 option macvlan_mode=bridge" in shown("inspect", "lan")
    for option in ("parent", "macvlan_mode", "shim", "ip_range"):
        assert f" {option} " in shown("create", "--help")
