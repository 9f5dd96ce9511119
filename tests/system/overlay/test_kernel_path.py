# SPDX-License-Identifier: Apache-2.0
"""Networks whose TCP the kernel carries, with real daemons, rules and programs (docs/kernel-path.md)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.control.drivers import naming
from fastpath.kernelpath import unavailable
from tests.support.hosts.hosts import Namespace, ip, namespaces, reaches, wait_for
from tests.support.servers.site import HostDaemon, Site, links, site
from tests.support.servers.stream import Stream

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    with site(2, tmp_path) as made:
        made.start()
        yield made


def carried(daemon: HostDaemon) -> dict[str, int]:
    """The packets that the vxlan devices in the pen of a host sent and received."""
    listed = json.loads(ip("-n", naming.pen_name(daemon.name), "-s", "-json", "link", "show", "type", "vxlan"))
    return {
        "sent": sum(each["stats64"]["tx"]["packets"] for each in listed),
        "received": sum(each["stats64"]["rx"]["packets"] for each in listed),
    }


def connect(made: Site) -> tuple[Namespace, Namespace]:
    """A network with the kernel path, and a container of it on each host."""
    (h1, h2), (c1, c2) = made.daemons, made.containers[:2]
    h1.network("web", subnets=["10.9.0.0/24"], kernel_path="tcp")
    for daemon, container in ((h1, c1), (h2, c2)):
        endpoint = daemon.join(container, "web")
        assert endpoint.kernel_path
        assert links(container)["eth0"]["linkinfo"]["info_kind"] == "veth"
    wait_for(lambda: reaches(c1, "10.9.0.3", 2), "they see each other")
    return c1, c2


def test_tcp_goes_by_the_kernel_and_all_else_by_the_engine(two: Site) -> None:
    c1, c2 = connect(two)
    h1, h2 = two.daemons
    before = carried(h1)
    assert reaches(c1, "10.9.0.3", 2)
    assert carried(h1) == before, "a ping went by the kernel path"
    stream = Stream(c1, c2, "10.9.0.3")
    stream.flows()
    stream.end()
    assert carried(h1)["sent"] > before["sent"] + 10
    assert carried(h2)["received"] > 10
    two.settle()
