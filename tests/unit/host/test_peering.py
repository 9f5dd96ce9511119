# SPDX-License-Identifier: Apache-2.0
"""A peer may send to a network as soon as the store tells of its endpoint there."""

from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest

from fastpath import Engine
from fastpath.control.cluster.contents import Changes
from fastpath.control.host.peering import Peering
from fastpath.control.host.probe import Prober
from fastpath.control.host.underlay import HostUnderlay
from fastpath.control.model.objects import Endpoint, Network, Peer
from tests.support.ports import free_port

ID, HERE, THERE = "0" * 16, ip_address("127.0.0.1"), ip_address("127.0.0.2")


def endpoint(**more: object) -> Endpoint:
    values = {"id": ID, "network": "web", "host": "h2", "mac": "02:42:00:00:00:01", "addresses": ["10.9.0.2/24"]}
    return Endpoint.model_validate({**values, "sandbox": {"path": "/x", "inode": 1}, **more})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "joining"}, {THERE}),  # before its first packet
        ({"state": "ready", "host_id": "2"}, {THERE}),
        ({"state": "leaving"}, set()),
        ({"host": "h1"}, set()),  # this host's own
        ({"host": "h3"}, set()),  # which is no peer
        ({"host_id": "another machine"}, set()),
        ({"network": "elsewhere"}, set()),  # no endpoint of it is here
    ],
)
def test_a_peer_with_a_new_endpoint_is_admitted_at_once(changes: dict[str, object], expected: set[object]) -> None:
    port = free_port()
    with Engine(str(HERE), udp_port=port, known_only=True) as engine:
        peer = Peer.model_validate(
            {"host": "h2", "id": "2", "vtep": THERE, "udp_port": port, "mtu": 1500, "version": "0"}
        )
        new = endpoint(**changes)
        networks = {
            name: Network.model_validate({"name": name, "vni": vni, "subnets": []})
            for n, (name, vni) in enumerate((("web", 256), ("elsewhere", 257)))
        }
        mirror: Any = SimpleNamespace(networks=networks, endpoints={new.network: {ID: new}}, known_peers={"h2": peer})
        peering = Peering(HostUnderlay("h1", "1", HERE, 1500), mirror, engine, Prober(engine, "h1"))
        segment = engine.add_segment(256, members_only=True)
        peering.changed(Changes(peers={"h2"}))
        assert [remote.address for remote in engine.admitted] == [THERE]
        peering.changed(Changes(endpoints={(new.network, ID), ("web", "gone"), ("unknown", ID)}))
        assert segment.members == expected


def test_a_peer_cannot_make_the_containers_mtu_next_to_nothing() -> None:
    port = free_port()
    with Engine(str(HERE), udp_port=port) as engine:
        found = [
            Peer.model_validate({"host": host, "id": host, "vtep": vtep, "udp_port": port, "mtu": mtu, "version": "0"})
            for host, vtep, mtu in (("h2", "127.0.0.2", 1400), ("h3", "127.0.0.3", 68))
        ]
        mirror: Any = SimpleNamespace(networks={}, endpoints={}, known_peers={peer.host: peer for peer in found})
        underlay = HostUnderlay("h1", "1", HERE, 1500)
        peering = Peering(underlay, mirror, engine, Prober(engine, "h1"))
        peering.update()
        assert underlay.container_mtu() == 1350
        assert [problem.text for problem in peering.problems] == [
            "h3 says that its MTU is 68: less than 1280 does not limit this host's containers"
        ]
