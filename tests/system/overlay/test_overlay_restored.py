# SPDX-License-Identifier: Apache-2.0
"""The back-up and the restore of docs/operators/operating.md: etcd gets an older snapshot, and the
hosts go over to it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.hosts.hosts import Namespace, reaches, wait_for
from tests.support.servers.docker_site import docker_site
from tests.support.servers.etcd_server import Etcd, Place
from tests.support.servers.site import HostDaemon, Site, links, pinged, site

ADDRESS = "192.0.2.100"


@dataclass
class Restored:
    """Hosts and an etcd, whose state of an earlier time can come back."""

    site: Site
    etcd: Etcd
    folder: Path

    def etcdctl(self, *words: str) -> None:
        command = ("etcdctl", "--endpoints", f"http://{ADDRESS}:2379", *words)
        self.site.lab.switch.run("env", "ETCDCTL_API=3", *command)

    def save(self) -> None:
        self.etcdctl("snapshot", "save", str(self.folder / "snapshot.db"))

    def restore(self) -> None:
        self.etcd.stop()
        shutil.rmtree(self.etcd.data)
        own = "http://127.0.0.1:2380"
        words = ["--name", "one", "--initial-cluster", f"one={own}", "--initial-advertise-peer-urls", own]
        words += ["--initial-cluster-token", "restored", "--data-dir", str(self.etcd.data)]
        self.etcdctl("snapshot", "restore", str(self.folder / "snapshot.db"), *words)
        self.etcd.start()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Restored]:
    with site(2, tmp_path, f"etcd://{ADDRESS}:2379") as made:
        made.lab.switch.ip(f"address add {ADDRESS}/24 dev br0")
        with Etcd(tmp_path, host=ADDRESS, place=Place("one", 2379, 2380), within=made.lab.switch) as etcd:
            made.start()
            yield Restored(made, etcd, tmp_path)


def interfaces(where: Namespace) -> set[str]:
    return set(links(where)) - {"lo"}


def networks(daemon: HostDaemon) -> set[str]:
    return {each.network.name for each in daemon.client.networks()}


def addresses(daemon: HostDaemon) -> set[str]:
    return {str(address.ip) for endpoint in daemon.client.endpoints() for address in endpoint.addresses}


def test_what_was_there_then_stays_and_what_came_later_goes(two: Restored) -> None:
    h1, h2 = two.site.daemons
    c1, c2 = two.site.containers
    h1.network("web", subnets=["10.9.0.0/24"])
    h1.join(c1, "web")
    old = h2.join(c2, "web", name="old0")
    h1.knows(old)
    assert pinged(c1, "10.9.0.3") == 3
    h1.network("early", subnets=["10.7.0.0/24"])
    two.save()
    h1.client.remove_network("early")
    h2.client.remove_endpoint(old.id)
    h2.network("later", subnets=["10.8.0.0/24"])
    h2.join(c2, "later", name="later0")
    h2.join(c2, "web", name="new0")

    two.restore()
    for daemon in (h1, h2):
        wait_for(lambda d=daemon: networks(d) == {"early", "web"}, "it hears of it")  # type: ignore[misc]
    # eth1 is the way out, which a container has with its first network.
    wait_for(lambda: interfaces(c2) == {"old0", "eth1"}, "what came later is gone, and what was removed is back")
    wait_for(lambda: reaches(c1, "10.9.0.3", 2), "it has its address, and is up")
    two.site.settle()
    assert pinged(c1, "10.9.0.3") == 3
    assert {each.ifname for each in h1.client.endpoints()} == {"eth0", "old0"}


def test_docker_s_containers_that_came_later_have_to_be_restarted(tmp_path: Path) -> None:
    with docker_site(tmp_path) as made:
        two = Restored(made.site, made.etcd, tmp_path)
        h1, h2 = made.hosts
        for host in (h1, h2):
            host.create("web", "10.9.0.0/24")
        h1.container("c1", "web")
        h2.container("gone", "web")
        for host in (h1, h2):  # of a container that was just started, the store says `joining`
            wait_for(lambda d=host.daemon: {each.state for each in d.client.endpoints()} == {"ready"}, "all are ready")  # type: ignore[misc]
        two.save()
        h2.docker("rm", "-f", "gone")
        h2.container("late", "web", "--ip", "10.9.0.9")
        h2.create("more", "10.7.0.0/24")
        made.known()
        assert h1.pinged("c1", "10.9.0.9") == 3

        two.restore()
        for host in (h1, h2):  # what is told of is gone, as its sandbox is
            wait_for(lambda d=host.daemon: addresses(d) == {"10.9.0.2"}, "one is left")  # type: ignore[misc]
        wait_for(lambda: "eth0" not in h2.inside("late", "ip", "address"), "what came later has no interface")
        h2.docker("restart", "-t", "0", "late")
        made.known()
        assert h1.pinged("c1", "10.9.0.9") == 3
        assert "10.7.0." in h2.docker("run", "--rm", "--net=more", "busybox", "ip", "address")
        made.site.settle()
