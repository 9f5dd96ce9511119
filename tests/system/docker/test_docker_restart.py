# SPDX-License-Identifier: Apache-2.0
"""Docker, daemon and store are stopped, killed and started again; hosts lose their power, or their memory."""

from collections.abc import Iterator

import pytest

from fastpath.control.cluster import keys
from tests.support.hosts.hosts import wait_for
from tests.support.servers.docker_host import DockerHost
from tests.support.servers.docker_site import DockerSite
from tests.support.servers.stream import Stream
from tests.system.docker.conftest import Machines


@pytest.fixture
def lasting(machines: Machines) -> Iterator[DockerSite]:
    """Containers that outlive their dockerd."""
    with machines.borrow("--live-restore") as made:
        yield made


@pytest.fixture
def spent(machines: Machines) -> Iterator[DockerSite]:
    """Hosts that keep what Docker forgot, which no test after this one is to find."""
    with machines.borrow(keep=False) as made:
        yield made


def connect(two: DockerSite, layout: str = "direct", *, noticed: bool = True) -> None:
    """c1 on the first host and c2 on the second, which hear from each other, and whose interfaces the daemons have
    `noticed` in their sandboxes."""
    h1, h2 = two.hosts
    for host, name in ((h1, "c1"), (h2, "c2")):
        host.create("web", "10.0.0.0/24", "-o", f"fastpath.layout={layout}")
        host.container(name, "web", "--restart", "no")
    wait_for(lambda: h1.pinged("c1", "10.0.0.3"), "they see each other")
    if noticed:
        ready(two, 2)


def ready(two: DockerSite, count: int) -> None:
    """Wait until every host's daemon shows so many endpoints, all of them complete."""
    for daemon in two.site.daemons:
        wait_for(
            lambda d=daemon: [e.state for e in d.client.endpoints()] == ["ready"] * count,  # type: ignore[misc]
            f"{count} endpoints are ready",
        )


@pytest.mark.parametrize("layout", ["direct", "bridge"])
def test_a_transfer_outlives_docker_and_the_daemon(lasting: DockerSite, layout: str) -> None:
    h1, h2 = lasting.hosts
    connect(lasting, layout, noticed=False)
    with h1.namespace("c1") as c1, h2.namespace("c2") as c2:
        stream = Stream(c1, c2, "10.0.0.3")
        stream.flows()
        for daemon in lasting.site.daemons:  # also before anybody noticed where the interfaces are
            daemon.kill()
            daemon.start()
            stream.flows()
        ready(lasting, 2)
        for host in lasting.hosts:
            host.kill()
            host.start()
            stream.flows()
        h1.kill()
        h1.daemon.kill()
        h1.launch()
        h1.daemon.start()
        h1.wait()
        stream.flows()
        lasting.etcd.kill()
        stream.flows()
        lasting.etcd.start()
        stream.flows()
        assert h2.daemon.stop() == 0
        h2.daemon.start()
        stream.flows()
        stream.end()
    for host in lasting.hosts:
        assert host.daemon.healthy().problems == ()


def test_containers_that_end_while_the_daemon_is_away(lasting: DockerSite) -> None:
    h1, h2 = lasting.hosts
    connect(lasting)
    h1.daemon.kill()
    h1.docker("kill", "c1")  # dockerd asks the daemon for most of a minute
    assert len(h2.daemon.client.endpoints()) == 2
    h1.daemon.start()
    wait_for(lambda: len(h2.daemon.client.endpoints()) == 1, "the endpoint is gone")


def test_docker_that_was_killed_takes_its_containers_along(two: DockerSite) -> None:
    h1, h2 = two.hosts
    connect(two)
    h1.kill()
    h1.start()  # it ends what it finds
    wait_for(lambda: len(h2.daemon.client.endpoints()) == 1, "the endpoint is gone")
    h1.docker("start", "c1")
    assert h1.pinged("c1", "10.0.0.3") == 3
    h1.stop()
    wait_for(lambda: len(h2.daemon.client.endpoints()) == 1, "the endpoint is gone")
    h1.start()


@pytest.mark.parametrize("first", ["docker", "daemon"])
def test_a_host_that_lost_its_power(two: DockerSite, first: str) -> None:
    h1, h2 = two.hosts
    connect(two)
    h1.daemon.kill()
    h1.crash()
    if first == "docker":
        h1.launch()  # which asks a daemon that is not there
        h1.daemon.start()
        h1.wait()
    else:
        h1.daemon.start()
        wait_for(lambda: len(h2.daemon.client.endpoints()) == 1, "the endpoint is gone")
        h1.start()
    h1.docker("start", "c1")
    wait_for(lambda: h1.pinged("c1", "10.0.0.3") == 3, "they see each other")


def test_a_host_that_does_not_come_back(two: DockerSite) -> None:
    h1, h2 = two.hosts
    connect(two)
    settings = h1.daemon.config.read_text()
    h1.daemon.stop()
    h1.daemon.config.write_text(settings.replace("lease_ttl = 120", "lease_ttl = 5"))
    h1.daemon.start()
    h1.daemon.healthy()
    h1.daemon.kill()
    h1.crash()
    h1.daemon.config.write_text(settings)
    wait_for(lambda: len(h2.daemon.client.endpoints()) == 1, "its endpoint is taken back")
    assert keys.address("docker-10.0.0.0-24", h2.daemon.client.endpoints()[0].addresses[0].ip) in two.keys(keys.CLAIMS)
    assert len(two.keys(keys.addresses("docker-10.0.0.0-24"))) == 1
    h2.container("c3", "web", "--ip", "10.0.0.2")
    assert h2.pinged("c3", "10.0.0.3") == 3
    h1.daemon.start()  # for the tests that follow
    h1.start()


def test_without_the_store_what_goes_goes(two: DockerSite) -> None:
    h1, h2 = two.hosts
    connect(two)
    two.etcd.kill()
    h1.docker("rm", "-f", "c1")
    assert not [name for name in h1.daemon.host.links() if name.startswith("fp-")]
    h1.docker("network", "rm", "web")
    said = h1.refused(
        "network", "create", "-d", "fastpath", "--ipam-driver", "fastpath", "--subnet", "10.5.0.0/24", "x"
    )
    assert "etcd" in said
    two.etcd.start()
    wait_for(lambda: len(h2.daemon.client.endpoints()) == 1, "the endpoint is gone")
    wait_for(lambda: keys.user("docker-10.0.0.0-24", h1.name) not in two.keys(keys.CLAIMS), "the network was left")


def test_a_daemon_that_lost_its_memory(two: DockerSite) -> None:
    h1, _ = two.hosts
    connect(two)
    h1.docker("rm", "-f", "c1")
    h1.daemon.kill()
    (h1.daemon.folder / "state" / "docker.json").unlink()
    h1.daemon.start()
    assert "docker network rm it, and create it again" in h1.refused(*_run("web"))
    h1.docker("network", "rm", "web")
    h1.create("web", "10.0.0.0/24")
    h1.container("c1", "web")
    assert h1.pinged("c1", "10.0.0.3") == 3


def test_a_network_that_vanished_from_the_cluster(two: DockerSite) -> None:
    h1, h2 = two.hosts
    connect(two)
    for host, name in ((h1, "c1"), (h2, "c2")):
        host.docker("rm", "-f", name)
    h1.daemon.client.remove_network("docker-10.0.0.0-24")
    for host, name in ((h1, "c1"), (h2, "c2")):
        host.container(name, "web")
    two.known()
    assert h1.pinged("c1", h2.address("c2", "web")) == 3


def _run(network: str) -> tuple[str, ...]:
    return ("run", "--rm", "--net", network, "busybox", "true")


def test_docker_that_lost_its_memory(spent: DockerSite) -> None:
    h1, h2 = spent.hosts
    connect(spent)
    forget(h1)
    wait_for(lambda: len(h2.daemon.client.endpoints()) == 1, "the endpoint is gone")
    h1.create("web", "10.0.0.0/24")
    h1.container("c1", "web")
    assert h1.pinged("c1", "10.0.0.3") == 3


def forget(host: DockerHost) -> None:
    """Its dockerd begins with an empty data folder."""
    host.crash()
    host.forget()
    host.start()
    host.load_image()
