# SPDX-License-Identifier: Apache-2.0
"""This host's networks and endpoints in a real engine; memory ports are the interfaces."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from fastpath import Engine, MemoryPort, Segment
from fastpath.addresses import parse_ip
from fastpath.control.drivers.base import HostDriver
from fastpath.control.host.host_state import HostState, NetworkPlan
from fastpath.control.host.network_sync import EngineEntry, NetworkSync
from fastpath.control.model.objects import Endpoint, Network, Peer, Subnet
from fastpath.errors import ConflictError
from tests.support.ports import free_port

SANDBOX = {"path": "/proc/self/ns/net", "inode": os.stat("/proc/self/ns/net").st_ino}
PEERS = {"h2": Peer.model_validate({"host": "h2", "id": "x", "vtep": "127.0.0.2", "mtu": 1500, "version": "0"})}


class MemoryDriver(HostDriver):
    """Stands in for Overlay. `stuck`: endpoints that cannot be removed; `checked`: those whose senders are checked,
    each with the interfaces that were there."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ports: dict[str, MemoryPort] = {}
        self.stuck: set[str] = set()
        self.looked: list[str] = []
        self.checked: list[tuple[str, list[str]]] = []

    def ensure_network(self, network: Network, mtu: int) -> Segment:
        assert network.vni is not None
        return self.engine.segments.get(network.vni) or self.engine.add_segment(network.vni)

    def check_senders(self, network: Network, endpoints: Iterable[Endpoint]) -> None:
        self.checked = [(each.id, list(self.ports)) for each in endpoints]

    def gateway_port(self, network: Network) -> MemoryPort | None:
        return next(iter(self.ports.values()), None) if network.layout == "bridge" else None

    def remove_network(self, network: Network) -> None:
        assert network.vni is not None
        self.engine.remove_segment(self.engine.segments[network.vni])

    def ensure_endpoint(self, network: Network, endpoint: Endpoint, mtu: int) -> MemoryPort:
        self.looked.append(endpoint.id)
        if endpoint.id not in self.ports:
            self.ports[endpoint.id] = self.ensure_network(network, mtu).add_memory_port(endpoint.id)
        return self.ports[endpoint.id]

    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        return []

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        if endpoint.id in self.stuck:
            raise ConflictError("it is stuck")
        port = self.ports.pop(endpoint.id, None)
        if port is not None:
            self.engine.segments[port.vni].remove_port(port)


@pytest.fixture
def driver() -> Iterator[MemoryDriver]:
    with Engine("127.0.0.1", udp_port=free_port()) as engine:
        yield MemoryDriver(engine)


@pytest.fixture
def state(driver: MemoryDriver) -> HostState:
    return HostState("h1", {"overlay": driver})


def endpoint(n: int, host: str = "h1", **more: object) -> Endpoint:
    value = {"id": f"{n:016x}", "network": "web", "host": host, "mac": f"02:42:0a:00:00:{n:02x}", "sandbox": SANDBOX}
    return Endpoint.model_validate(value | {"addresses": [f"10.0.0.{n}/24"], "state": "ready"} | more)


def plan(name: str, vni: int, *endpoints: Endpoint) -> NetworkPlan:
    network = Network(name=name, vni=vni, subnets=())
    return NetworkPlan(network, 1450, tuple(e.model_copy(update={"network": name}) for e in endpoints), PEERS)


def vnis(state: HostState) -> dict[str, int]:
    return {name: sync.segment.vni for name in state.networks_here() if (sync := state.sync_of(name)) is not None}


def test_networks_that_exchange_their_vnis_find_their_way(state: HostState) -> None:
    """As two that were removed and made anew, in the other order, may."""
    state.reconcile(plan("web", 256, endpoint(2)))
    state.reconcile(plan("db", 257, endpoint(3)))
    with pytest.raises(ConflictError, match="the networks web and db both have the VNI 257"):
        state.reconcile(plan("web", 257, endpoint(2)))
    assert vnis(state) == {"db": 257}
    state.reconcile(plan("db", 256, endpoint(3)))
    assert state.reconcile(plan("web", 257, endpoint(2))).failed == {}
    assert vnis(state) == {"db": 256, "web": 257}
    state.remove_network("db")
    assert state.reconcile(plan("web", 257, endpoint(2), endpoint(4, "h2"))).failed == {}


def test_other_settings_are_no_reason_to_create_interfaces_again(state: HostState, driver: MemoryDriver) -> None:
    before = plan("web", 256, endpoint(2))
    state.reconcile(before)
    port = driver.ports[endpoint(2).id]
    network = before.network.model_copy(update={"mtu": 1300, "port_security": False})
    assert state.reconcile(replace(before, network=network, mtu=1300)).failed == {}
    assert driver.ports[endpoint(2).id] is port
    state.reconcile(replace(before, network=network.model_copy(update={"layout": "bridge"})))
    assert driver.ports[endpoint(2).id] is not port


@pytest.mark.parametrize("known_only", [True, False])
def test_what_nobody_has_is_known_where_only_endpoints_may_send(known_only: bool) -> None:
    with Engine("127.0.0.1", udp_port=free_port(), known_only=known_only) as engine:
        segment = engine.add_segment(256, members_only=known_only)
        state = HostState("h1", {"overlay": MemoryDriver(engine)})
        before = plan("web", 256, endpoint(2, allowed=["10.0.0.77"]), endpoint(3, "h2"))
        pool, gateway, router = ip_network("10.0.0.0/24"), ip_address("10.0.0.1"), ip_address("10.0.0.254")
        subnets = (Subnet(pool=pool, gateway=gateway),)
        network = before.network.model_copy(update={"subnets": subnets, "kept": (router,)})
        assert state.reconcile(replace(before, network=network)).failed == {}
        exceptions = (gateway, ip_address("10.0.0.77"), router)
        assert segment.complete == (((pool,), exceptions) if known_only else None)
        assert segment.hosts_only == known_only
        assert state.reconcile(replace(before, network=network, complete=False)).failed == {}
        assert segment.complete is None  # an endpoint of it cannot be read
        assert state.reconcile(replace(before, network=network)).failed == {}
        assert segment.complete == (((pool,), exceptions) if known_only else None)
        unchecked = network.model_copy(update={"port_security": False})
        assert state.reconcile(replace(before, network=unchecked)).failed == {}
        assert segment.complete is None
        assert not segment.hosts_only


def test_one_endpoint_that_fails_is_not_in_the_way_of_the_others(state: HostState, driver: MemoryDriver) -> None:
    state.reconcile(plan("web", 256, endpoint(2), endpoint(3)))
    driver.stuck = {endpoint(2).id}
    outcome = state.reconcile(plan("web", 256, endpoint(3), endpoint(4, "h2"), endpoint(5, state="joining")))
    assert {key: why.text for key, why in outcome.failed.items()} == {
        endpoint(2).id: f"endpoint {endpoint(2).id} of web: it is stuck"
    }
    assert [e.id for e in outcome.made] == [endpoint(5).id]
    sync = state.sync_of("web")
    assert sync is not None
    assert sync.segment.fdb.get("02:42:0a:00:00:04") is not None
    driver.stuck = set()
    assert state.reconcile(plan("web", 256, endpoint(3))).failed == {}
    assert endpoint(2).id not in driver.ports


def test_one_endpoint_is_no_reason_to_look_at_all(state: HostState, driver: MemoryDriver) -> None:
    old, far, new = [endpoint(n) for n in range(2, 6)], endpoint(8, "h2"), endpoint(9, state="joining")
    state.reconcile(plan("web", 256, *old))
    driver.looked.clear()
    outcome = state.reconcile(plan("web", 256, *old, far, new), {new.id})
    assert driver.looked == [new.id]
    assert [e.id for e in outcome.made] == [new.id]
    sync = state.sync_of("web")
    assert sync is not None
    assert sync.segment.fdb.get(far.mac) is not None
    driver.looked.clear()
    state.reconcile(plan("web", 256, *old[1:], far, new), {old[0].id})
    assert driver.looked == []
    assert driver.ports.keys() == {e.id for e in (*old[1:], new)}
    state.reconcile(plan("web", 256, *old[1:], far, new))
    assert sorted(driver.looked) == sorted(e.id for e in (*old[1:], new))


def test_the_engine_is_told_of_one_more_endpoint_alone(state: HostState, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    real = NetworkSync.set

    def tell(sync: NetworkSync, identity: str, entry: EngineEntry | None) -> None:
        told.append(identity)
        real(sync, identity, entry)

    monkeypatch.setattr(NetworkSync, "set", tell)
    there = [endpoint(n, "h2") for n in range(10, 40)]
    first, second = endpoint(2), endpoint(3)
    state.ensure_endpoint(plan("web", 256, *there, first), first)
    assert sorted(told) == sorted(e.id for e in (*there, first))  # the network is new here
    told.clear()
    state.ensure_endpoint(plan("web", 256, *there, first, second), second)
    assert told == [second.id]
    sync = state.sync_of("web")
    assert sync is not None
    assert dict(sync.segment.neighbours)[parse_ip("10.0.0.3")] == second.mac
