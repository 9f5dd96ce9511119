# SPDX-License-Identifier: Apache-2.0
"""Daemons that are killed, again and again, while traffic runs and while they are at work."""

import asyncio
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.control.cluster import keys
from fastpath.control.model.objects import Endpoint
from fastpath.control.store.sqlite.store import SqliteStore
from fastpath.errors import FastpathError
from tests.support.hosts.hosts import Namespace, reaches, wait_for
from tests.support.servers.site import HostDaemon, Site, links, site
from tests.support.servers.stream import Stream

ROUNDS = 40


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    with site(2, tmp_path) as made:
        made.start()
        yield made


@pytest.mark.parametrize("layout", ["direct", "bridge"])
def test_a_connection_outlives_the_daemons(two: Site, layout: str) -> None:
    h1, h2 = two.daemons
    c1, c2 = two.containers
    h1.network("web", subnets=["10.9.0.0/24"], layout=layout)
    h1.join(c1, "web")
    h2.join(c2, "web")
    wait_for(lambda: reaches(c1, "10.9.0.3", 2), "they see each other")
    before = links(c1)["eth0"]["ifindex"]
    stream = Stream(c1, c2, "10.9.0.3")
    stream.flows()
    for daemon in (h1, h2, h1):
        daemon.kill()
        daemon.start()
        stream.flows()
    assert h2.stop() == 0
    h2.start()
    stream.flows()
    stream.end()
    assert links(c1)["eth0"]["ifindex"] == before
    two.settle()


class Crowd:
    """Containers, networks, and what should be true of them however often daemons are killed."""

    def __init__(self, made: Site) -> None:
        self.site = made
        self.containers = {
            daemon.name: [Namespace.named("fpt-", f"x{number}{n}").add() for n in range(3)]
            for number, daemon in enumerate(made.daemons)
        }

    def close(self) -> None:
        for containers in self.containers.values():
            for container in containers:
                container.remove()

    def disturb(self, daemon: HostDaemon) -> None:
        """Ask the daemon for something at random; it may be refused, or die meanwhile."""
        network = random.choice(["a", "b", "c"])
        try:
            match random.randrange(4):
                case 0:
                    daemon.network(network, layout=random.choice(["direct", "bridge"]))
                case 1:
                    daemon.client.remove_network(network)
                case 2:
                    container = random.choice(self.containers[daemon.name])
                    daemon.join(container, network, name=f"{network}0")
                case 3:
                    own = [end for end in daemon.client.endpoints() if end.host == daemon.name]
                    if own:
                        daemon.client.remove_endpoint(random.choice(own).id)
        except FastpathError:
            return  # refused, or cut short; what became of it shows below

    def check(self) -> None:
        """All hosts say the same, the store holds just that, and so do the hosts' kernels."""
        first, second = self.site.daemons
        wait_for(lambda: self._agree(first, second), "the hosts agree")
        endpoints = first.client.endpoints()
        for daemon in self.site.daemons:
            own = [end for end in endpoints if end.host == daemon.name]
            wait_for(lambda d=daemon, o=own: self._links(d) == self._wanted(d, o), "no link is lost or left")  # type: ignore[misc]
            namespaces = {end.network for end in own}
            wait_for(lambda d=daemon, n=namespaces: self._namespaces(d) == n, "no namespace is lost or left")  # type: ignore[misc]
        assert self._claimed() == {
            *(keys.address(end.network, address.ip) for end in endpoints for address in end.addresses),
            *(keys.mac(end.network, end.mac) for end in endpoints),
        }

    def _agree(self, first: HostDaemon, second: HostDaemon) -> bool:
        one, two = first.client.endpoints(), second.client.endpoints()
        names = [{info.network.name for info in daemon.client.networks()} for daemon in (first, second)]
        return one == two and names[0] == names[1] and all(end.state == "ready" for end in one)

    def _links(self, daemon: HostDaemon) -> set[tuple[str, str]]:
        found = {(container.name, name) for container in self.containers[daemon.name] for name in container.links()}
        host = {("host", name) for name in daemon.host.links() if name.startswith("fp-") and name != "fp-gwbridge"}
        return {pair for pair in found if pair[1] not in ("lo", "eth1")} | {h for h in host if not _is_way_out(h[1])}

    def _wanted(self, daemon: HostDaemon, own: list[Endpoint]) -> set[tuple[str, str]]:
        return {(Path(end.sandbox.path).name, end.ifname) for end in own}

    def _namespaces(self, daemon: HostDaemon) -> set[str]:
        prefix = f"fastpath-{daemon.name}-"
        return {path.name.removeprefix(prefix) for path in Path("/run/netns").iterdir() if path.name.startswith(prefix)}

    def _claimed(self) -> set[str]:
        async def read() -> set[str]:
            store = SqliteStore(self.site.folder / "store.db")
            try:
                items = (await store.list(keys.CLAIMS)).items
            finally:
                await store.close()
            last = {item.key for item in items if item.key.startswith(f"{keys.CLAIMS}last/")}
            return {item.key for item in items} - {keys.NETWORKS_GUARD} - last

        return asyncio.run(read())


def _is_way_out(name: str) -> bool:
    return name.startswith("fp-gw")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_any_moment_nothing_is_lost_or_left(two: Site) -> None:
    random.seed(20)
    crowd = Crowd(two)
    try:
        for round_ in range(ROUNDS):
            victim = random.choice(two.daemons)
            workers = [threading.Thread(target=crowd.disturb, args=(random.choice(two.daemons),)) for _ in range(3)]
            for worker in workers:
                worker.start()
            threading.Event().wait(random.random() * 0.15)  # at a moment of its own, not at a time that matters
            victim.kill()
            victim.start()
            for worker in workers:
                worker.join(120)
            if round_ % 10 == 9:
                crowd.check()
        for daemon in two.daemons:
            for endpoint in [end for end in daemon.client.endpoints() if end.host == daemon.name]:
                daemon.client.remove_endpoint(endpoint.id)
        for info in two.daemons[0].client.networks():
            two.daemons[0].client.remove_network(info.network.name)
        crowd.check()
        for daemon in two.daemons:
            assert set(links(daemon.host)) <= {"lo", "u0", "fp-gwbridge"}
    finally:
        crowd.close()
