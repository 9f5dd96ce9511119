# SPDX-License-Identifier: Apache-2.0
"""`fastpath forwarder` for a network of the daemon."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hosts.hosts import wait_for
from tests.support.servers.site import Site, pinged, site

EXAMPLES = Path(__file__).parents[3] / "examples" / "forwarders"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    with site(2, tmp_path) as made:
        made.start()
        yield made


def test_a_network_has_another_forwarder_on_one_host(two: Site) -> None:
    h1, h2 = two.daemons
    c1, c2 = two.containers
    h1.network("web", subnets=["10.9.0.0/24"])
    wait_for(lambda: len(h2.client.networks()) == 1, "h2 knows the network")
    done = h1.host.fastpath("forwarder", "set", "web", "hub", "--socket", str(h1.socket), check=False)
    assert (done.returncode, done.stderr) == (2, "fastpath: network web has no endpoint on this host\n")

    h1.join(c1, "web")
    second = h2.join(c2, "web")
    h1.knows(second)
    assert pinged(c1, "10.9.0.3") == 3

    words = [str(EXAMPLES / "rate_limit.py"), "rate=1e9", "|", "bridge"]
    set_ = h1.host.fastpath("forwarder", "set", "web", *words, "--socket", str(h1.socket), "--json")
    assert json.loads(set_.stdout)["name"] == "RateLimit | LearningBridge"
    assert pinged(c1, "10.9.0.3") == 3
    assert h2.client.forwarder("web").name == "LearningBridge"

    done = h1.host.fastpath("forwarder", "set", "db", "hub", "--socket", str(h1.socket), check=False)
    assert (done.returncode, done.stderr) == (2, "fastpath: there is no network db: see `fastpath network ls`\n")
    reset = h1.host.fastpath("forwarder", "reset", "web", "--socket", str(h1.socket))
    assert reset.stdout == "LearningBridge\n"
    assert pinged(c1, "10.9.0.3") == 3
    assert h1.healthy()
