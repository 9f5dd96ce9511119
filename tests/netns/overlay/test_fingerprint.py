# SPDX-License-Identifier: Apache-2.0
"""The fingerprint of a namespace shows every change, and stays the same under traffic."""

import json
from collections.abc import Callable, Iterator

import pytest

from fastpath.control.kernel.netlink import Rtnetlink, fingerprint, link_fingerprint
from tests.support.hosts.hosts import Namespace, wait_for


@pytest.fixture
def place() -> Iterator[Namespace]:
    made = Namespace.named("fpt-", "look")
    try:
        made.add()
        made.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")  # addresses that come by themselves are changes
        made.ip("link add br0 type bridge")
        made.ip("link add v0 type veth peer name v1")
        for name in ("v0", "v1", "br0"):  # or the kernel draws another "reachable" time every 300 s
            made.run("sysctl", "-qw", f"net.ipv6.neigh.{name}.base_reachable_time_ms=0")
        made.ip("link set v0 master br0 up")
        made.ip("link set v1 up")
        made.ip("link set br0 up")
        made.ip("address add 192.0.2.1/24 dev br0")
        wait_for(lambda: all(is_up(made, name) for name in ("v0", "v1", "br0")), "all are up")
        yield made
    finally:
        made.remove()


def is_up(place: Namespace, name: str) -> bool:
    (told,) = json.loads(place.ip(f"-json link show {name}"))
    return bool(told["operstate"] == "UP")


def everything(place: Namespace) -> bytes:
    def look() -> bytes:
        with Rtnetlink() as netlink:
            return fingerprint(netlink)

    return place.inside(look)


def link(place: Namespace, name: str) -> bytes:
    def look() -> bytes:
        with Rtnetlink() as netlink:
            return link_fingerprint(netlink, name)

    return place.inside(look)


@pytest.mark.parametrize(
    "words",
    [
        "link set v1 mtu 1400",
        "link set v1 down",
        "link set v0 nomaster",
        "link set v1 alias other",
        "link set v1 address 02:00:00:00:00:01",
        "link set v1 gso_max_size 30000",
        "link add br1 type bridge",
        "link delete v0",
        "address add 192.0.2.2/24 dev br0",
        "address delete 192.0.2.1/24 dev br0",
        "route add default via 192.0.2.9",
        "route delete 192.0.2.0/24",
    ],
)
def test_changes_show(place: Namespace, words: str) -> None:
    before = everything(place)
    place.ip(words)
    assert everything(place) != before


def test_traffic_does_not(place: Namespace) -> None:
    def unchanged(look: Callable[[], bytes]) -> bool:
        before = look()
        place.run("ping", "-c3", "-i0.1", "-W0.1", "192.0.2.7", check=False)  # nobody is there: ARP, counted
        return look() == before

    place.run("ping", "-c1", "-W0.1", "192.0.2.7", check=False)
    assert unchanged(lambda: everything(place))
    assert unchanged(lambda: link(place, "v1"))


def test_one_interface(place: Namespace) -> None:
    assert link(place, "nobody") == b""
    before = link(place, "v0")
    assert before
    place.ip("link set v0 type bridge_slave isolated on")
    assert link(place, "v0") != before
