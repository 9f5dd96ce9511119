# SPDX-License-Identifier: Apache-2.0
"""Docker's containers find each other by name across hosts: docs/operators/names.md, with two real dockerds."""

import pytest

from tests.support.hosts.hosts import wait_for
from tests.support.servers.docker_host import DockerHost
from tests.support.servers.docker_site import DockerSite

GATEWAY = "10.0.0.1"


def named(host: DockerHost, name: str) -> bool:
    """Whether the host's daemon knows somebody of this name."""
    return any(name in endpoint.names for endpoint in host.daemon.client.endpoints(None))


def looked_up(host: DockerHost, container: str, name: str) -> str:
    return host.inside(container, "nslookup", name, check=False)


@pytest.mark.parametrize("layout", ["direct", "bridge"])
def test_a_container_pings_another_hosts_by_name(two: DockerSite, layout: str) -> None:
    h1, h2 = two.hosts
    h1.create("demo-overlay", "10.0.0.0/24", "-o", f"fastpath.layout={layout}")
    h2.create("demo-overlay", "10.0.0.0/24")
    h1.container("c1", "demo-overlay", "--dns", GATEWAY)
    short = h2.container("c2", "demo-overlay", "--dns", GATEWAY, "--network-alias", "db", "--hostname", "box")[:12]
    for host, name in ((h1, "c2"), (h2, "c1")):
        wait_for(lambda host=host, name=name: named(host, name), f"{name} is known")  # type: ignore[misc]
    for name in ("c2", "db", "box", short, "c2.demo-overlay", "c2.docker-10.0.0.0-24"):
        assert "10.0.0.3" in looked_up(h1, "c1", name), name
    assert "c2.docker-10.0.0.0-24" in looked_up(h1, "c1", "10.0.0.3")
    assert h1.pinged("c1", "c2") == 3
    assert h2.pinged("c2", "c1") == 3
    words = ("run", "--rm", "--net=demo-overlay", "--dns", GATEWAY, "busybox", "ping", "-c1", "c2")
    assert "(10.0.0.3)" in h1.docker(*words)

    h2.docker("rename", "c2", "other")
    wait_for(lambda: named(h1, "other"), "the new name is known")
    assert "10.0.0.3" in looked_up(h1, "c1", "other")
    assert not named(h1, "c2")
    h2.docker("rm", "-f", "other")
    wait_for(lambda: not named(h1, "other"), "the name is gone")


def test_names_come_when_docker_or_the_daemon_was_away(two: DockerSite) -> None:
    h1, h2 = two.hosts
    h1.create("demo-overlay", "10.0.0.0/24")
    h1.container("c1", "demo-overlay")
    h1.daemon.kill()
    h1.docker("rename", "c1", "later")
    h1.daemon.start()
    wait_for(lambda: named(h2, "later"), "the name is known")
