# SPDX-License-Identifier: Apache-2.0
"""A host whose address changes, as by DHCP: the daemon and its peers follow by themselves, containers keep what they
have, and their connections."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hosts.hosts import ip, wait_for
from tests.support.servers.site import HostDaemon, Site, links, pinged, site
from tests.support.servers.stream import Stream


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    with site(2, tmp_path) as made:
        made.start()
        yield made


def move(made: Site, host: int, old: str, new: str) -> None:
    """Give a host's interface another address."""
    where = made.lab.hosts[host].name
    ip("-n", where, "address", "add", new, "dev", "u0")
    ip("-n", where, "address", "del", old, "dev", "u0")
    if new.partition("/")[0] not in str(links(made.lab.hosts[host])["u0"]):
        ip("-n", where, "address", "add", new, "dev", "u0")  # it went with the first one


def kernel_paths(*daemons: HostDaemon) -> set[str]:
    """What the hosts say of the way to each other."""
    return {peer.kernel_path for daemon in daemons for peer in daemon.client.peers()}


def test_the_daemon_follows_its_address(two: Site) -> None:
    h1, h2 = two.daemons
    c1, c2 = two.containers[:2]
    h1.network("web", subnets=["10.9.0.0/24"])
    ends = [h1.join(c1, "web"), h2.join(c2, "web")]
    for daemon in (h1, h2):
        for end in ends:
            daemon.knows(end)
    before = links(c2)["eth0"]["ifindex"]
    stream = Stream(c1, c2, "10.9.0.3")
    stream.flows()
    for old, new in (("192.0.2.2/24", "192.0.2.22/24"), ("192.0.2.22/24", "192.0.2.2/24")):
        move(two, 1, old, new)
        address = new.partition("/")[0]
        h2.wait(lambda status, address=address: status.vtep == address, "it has its new address")  # type: ignore[misc]
        two.settle()
        assert {str(peer.peer.vtep) for peer in h1.client.peers() if peer.peer is not None} == {address}
        wait_for(lambda: pinged(c1, "10.9.0.3") == 3, "pings are answered")
        # The guard that was put up for the new address admits the kernel path, too.
        wait_for(lambda: kernel_paths(h1, h2) == {"up"}, "the kernel path carries packets both ways")
        stream.flows()
    stream.end()
    assert links(c2)["eth0"]["ifindex"] == before


def test_an_interface_without_an_address_is_waited_for(two: Site) -> None:
    """It keeps its address until there is another one."""
    h1, h2 = two.daemons
    ip("-n", two.lab.hosts[1].name, "address", "del", "192.0.2.2/24", "dev", "u0")
    h2.wait(lambda status: any("no address of the family" in problem for problem in status.problems), "it tells")
    ip("-n", two.lab.hosts[1].name, "address", "add", "192.0.2.23/24", "dev", "u0")
    h2.wait(lambda status: status.vtep == "192.0.2.23", "it has its new address")
    two.settle()
    assert {str(peer.peer.vtep) for peer in h1.client.peers() if peer.peer is not None} == {"192.0.2.23"}
