# SPDX-License-Identifier: Apache-2.0
"""The hosts of these tests. They share one lab, and each test leaves it as it was: a process that is started takes a
tenth of a second of CPU time here, and a lab takes fifty of them."""

from collections.abc import Iterator

import pytest

from tests.support.hosts.hosts import Lab
from tests.support.hosts.macvlan_lab import MacvlanHost, macvlan_hosts

ROUTER10, ROUTER20 = "192.0.2.254", "192.0.2.253"


def vlans(lab: Lab) -> None:
    """The router's side: VLAN 10 and 20, each with an address, which is told in its own VLAN only."""
    for place in (lab.switch, *lab.containers):
        place.run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
    lab.switch.ip("address flush dev br0")
    for vid, address in ((10, ROUTER10), (20, ROUTER20)):
        lab.switch.ip(f"link add link br0 name br0.{vid} type vlan id {vid}")
        lab.switch.address(f"{address}/24", device=f"br0.{vid}")


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Lab, list[MacvlanHost]]]:
    lab = Lab(2)
    try:
        with macvlan_hosts(lab) as both:
            vlans(lab)
            yield lab, both
    finally:
        lab.close()


@pytest.fixture
def two(shared: tuple[Lab, list[MacvlanHost]]) -> Lab:
    """Two hosts with a container each."""
    return shared[0]


@pytest.fixture
def both(shared: tuple[Lab, list[MacvlanHost]]) -> list[MacvlanHost]:
    """The driver on each, which knows nothing yet."""
    for host in shared[1]:
        host.restart()
    return shared[1]
