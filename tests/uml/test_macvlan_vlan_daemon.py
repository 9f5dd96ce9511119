# SPDX-License-Identifier: Apache-2.0
"""A daemon whose networks have parents that the macvlan driver makes."""

from pathlib import Path

from tests.support.servers.site import links, pinged, site
from tests.uml.conftest import ROUTER10, vlans


def test_a_daemon_makes_and_removes_them(tmp_path: Path) -> None:
    with site(1, tmp_path) as made:
        vlans(made.lab)
        h1, (c1,) = made.daemons[0], made.containers
        h1.config.write_text(h1.config.read_text() + "gateway_bridge = false\nguard = false\nworkers = 1\n")
        h1.start()
        before = set(links(h1.host))
        lan = {"driver": "macvlan", "subnets": ["192.0.2.0/24"], "gateways": [ROUTER10]}
        h1.network("ten", options={"parent": "u0.10"}, **lan)
        assert set(links(h1.host)) == before  # on demand: with the first endpoint
        h1.network("inside", driver="macvlan")
        end, other = h1.join(c1, "ten"), h1.join(c1, "inside", name="in0")
        assert pinged(c1, ROUTER10) == 3
        assert len(links(h1.host)) == len(before) + 2
        h1.kill()
        h1.start()
        h1.healthy()
        assert pinged(c1, ROUTER10) == 3
        h1.client.remove_endpoint(end.id)
        h1.client.remove_endpoint(other.id)
        assert set(links(h1.host)) == before
        h1.client.remove_network("ten")
        h1.client.remove_network("inside")
