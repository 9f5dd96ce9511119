# SPDX-License-Identifier: Apache-2.0
"""Hosts that lose the store, and nothing else, and hosts that were away for longer than they are waited for."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fastpath.control.cluster import keys
from fastpath.control.model.objects import Endpoint
from fastpath.errors import FastpathError
from tests.support.hosts.hosts import Namespace, wait_for
from tests.support.servers.etcd_server import Etcd, Place
from tests.support.servers.site import MORTAL, HostDaemon, Site, links, pinged, site

ADDRESS = "192.0.2.100"
FORGOTTEN_S = 10  # lease and grace time of MORTAL
PINGS_A_SECOND = 20


@dataclass
class Cluster:
    """Three hosts, a network, and an endpoint of it on each."""

    site: Site
    etcd: Etcd
    endpoints: list[Endpoint]

    @property
    def daemons(self) -> list[HostDaemon]:
        return self.site.daemons

    def state(self, of: int, seen_by: int) -> str:
        """What a host's `peers` says of another one; hosts are counted from 0."""
        name = self.daemons[of].name
        return next((peer.state for peer in self.daemons[seen_by].client.peers() if peer.host == name), "forgotten")

    def index(self, host: int) -> object:
        """The number of the interface of a host's container."""
        return links(self.site.containers[host])["eth0"]["ifindex"]

    def stored(self, host: int) -> Endpoint | None:
        """A host's endpoint, as the store has it."""
        found = self.etcd.items(keys.OBJECTS).values()
        ends = [Endpoint.model_validate_json(text) for text in found if b'"sandbox"' in text]
        return next((end for end in ends if end.id == self.endpoints[host].id), None)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    with site(3, folder, f"etcd://{ADDRESS}:2379", MORTAL) as made:
        made.lab.switch.ip(f"address add {ADDRESS}/24 dev br0")
        place = Place("one", 2379, 2380)
        with Etcd(folder, host=ADDRESS, place=place, within=made.lab.switch) as etcd:
            made.start()
            made.daemons[0].network("web", subnets=["10.9.0.0/24"])
            pairs = zip(made.daemons, made.containers, strict=True)
            endpoints = [daemon.join(container, "web") for daemon, container in pairs]
            for daemon in made.daemons:
                for endpoint in endpoints:
                    daemon.knows(endpoint)
            yield Cluster(made, etcd, endpoints)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("three")) as made:
        yield made


@contextlib.contextmanager
def without_store(host: Namespace) -> Iterator[None]:
    """Nothing of a host reaches the store."""
    host.run("nft", "add table inet cut")
    host.run("nft", "add chain inet cut out { type filter hook output priority 0 ; }")
    host.run("nft", f"add rule inet cut out ip daddr {ADDRESS} drop")
    try:
        yield
    finally:
        host.run("nft", "delete table inet cut")


@contextlib.contextmanager
def pinging(frm: Namespace, to: str) -> Iterator[None]:
    """No ping is lost within the block."""
    process = frm.spawn("ping", "-q", "-i", str(1 / PINGS_A_SECOND), "-W", "5", to)
    yield
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    words = out.split()
    sent, answered = (int(words[words.index(word) - 1]) for word in ("packets", "received,"))
    assert sent - answered <= 1, out + err  # the last one may be on its way


def test_a_host_without_the_store(three: Cluster) -> None:
    """Others hear it, so it stays their peer, however long it is not registered; nobody gets its address."""
    c1, c2, c3 = three.site.containers
    before = three.index(0)
    with contextlib.ExitStack() as stack:
        for frm, to in ((c2, "10.9.0.2"), (c1, "10.9.0.4"), (c3, "10.9.0.2")):
            stack.enter_context(pinging(frm, to))
        with without_store(three.daemons[0].host):
            for other in (1, 2):
                wait_for(lambda other=other: three.state(0, other) == "unregistered", "its lease ends")  # type: ignore[misc]
            with contextlib.suppress(subprocess.TimeoutExpired):  # three times as long as a dead host is waited for
                c1.spawn("sleep", "1000").wait(3 * FORGOTTEN_S)
            assert [three.state(0, other) for other in (1, 2)] == ["unregistered"] * 2
            problems = three.daemons[1].client.status().problems
            assert any("h1" in problem and "is not registered in the store any more" in problem for problem in problems)
            with pytest.raises(FastpathError, match=r"10\.9\.0\.2 is taken"):
                three.daemons[1].join(three.site.lab.switch, "web", name="x0", addresses=["10.9.0.2"])
        three.site.settle()
    assert three.index(0) == before
    assert three.stored(0) is not None
    assert "h1" in three.daemons[2].log.read_text()
    wait_for(lambda: three.etcd.count(keys.HEARD) == 0, "nobody is witness any more")


def test_it_is_known_after_a_restart_of_another_one(three: Cluster) -> None:
    with without_store(three.daemons[0].host):
        wait_for(lambda: three.state(0, 1) == "unregistered", "its lease ends")
        three.daemons[1].kill()
        three.daemons[1].start()
        assert pinged(three.site.containers[1], "10.9.0.2") == 3
        assert three.state(0, 1) == "unregistered"
    three.site.settle()


def reaped(three: Cluster, host: int) -> None:
    """Stop a host's daemon until the others have taken back its endpoint."""
    three.daemons[host].pause()
    wait_for(lambda: three.stored(host) is None, "its endpoint is taken back")


def test_a_host_that_slept(three: Cluster) -> None:
    """What it had is there again, under the same name and address, and its container's interface is the same."""
    before, daemon = three.index(2), three.daemons[2]
    reaped(three, 2)
    daemon.send_signal(signal.SIGCONT)
    wait_for(lambda: three.stored(2) is not None, "it is written again")
    assert three.index(2) == before
    three.site.settle()
    for other in three.daemons[:2]:
        other.knows(three.endpoints[2])
    assert pinged(three.site.containers[0], "10.9.0.4") == 3
    assert "was deleted while this host was away, and is written again" in daemon.log.read_text()


def test_a_host_whose_address_was_given_away(three: Cluster) -> None:
    """Two containers with one address would harm each other: the first one's interface goes, and that is told."""
    daemon = three.daemons[2]
    reaped(three, 2)
    taken = three.daemons[1].join(three.site.lab.switch, "web", name="x0", addresses=["10.9.0.4"])
    daemon.send_signal(signal.SIGCONT)
    wait_for(lambda: "eth0" not in three.site.containers[2].links(), "its interface goes")
    assert f"that of endpoint {taken.id} of {three.daemons[1].name} now" in daemon.log.read_text()
    three.site.settle()
    wait_for(lambda: pinged(three.site.containers[0], "10.9.0.4") == 3, "the other one is reached")
