# SPDX-License-Identifier: Apache-2.0
"""The lists of senders that a host gives its ports, from what the store says."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from fastpath.control.host.host_state import HostState, NetworkPlan
from fastpath.control.host.port_security import FLOOD_LIMIT
from fastpath.control.model.objects import Subnet
from tests.unit.host.test_host_state import MemoryDriver, driver, endpoint, plan, state

__all__ = ["driver", "state"]

SUBNET = Subnet.model_validate({"pool": "10.0.0.0/24", "gateway": "10.0.0.254"})


def changed(made: NetworkPlan, **more: object) -> NetworkPlan:
    return replace(made, network=made.network.model_copy(update=more))


def macs(driver: MemoryDriver, number: int) -> dict[str, list[str]] | None:
    """What an endpoint's port allows."""
    allowed = driver.ports[f"{number:016x}"].allowed
    return None if allowed is None else {mac: [str(address) for address in addresses] for mac, addresses in allowed}


def test_each_port_has_its_endpoints_addresses(state: HostState, driver: MemoryDriver) -> None:
    other = endpoint(2, addresses=["10.0.0.2/24", "fd00::2/64"], allowed=["10.0.0.99/24", "fd00::99/64"])
    made = plan("web", 256, endpoint(1), other, endpoint(3, "h2"))
    state.reconcile(made)
    assert macs(driver, 1) == {"02:42:0a:00:00:01": ["10.0.0.1"]}
    assert macs(driver, 2) == {"02:42:0a:00:00:02": ["10.0.0.2", "10.0.0.99", "fd00::2", "fd00::99"]}
    assert {port.flood_limit for port in driver.ports.values()} == {FLOOD_LIMIT}


def test_an_endpoint_that_is_made_is_checked_at_once(state: HostState, driver: MemoryDriver) -> None:
    made = plan("web", 256, endpoint(1))
    state.ensure_endpoint(made, made.endpoints[0])
    assert macs(driver, 1) == {"02:42:0a:00:00:01": ["10.0.0.1"]}


def test_addresses_come_and_go(state: HostState, driver: MemoryDriver) -> None:
    state.reconcile(plan("web", 256, endpoint(1)))
    state.reconcile(plan("web", 256, endpoint(1, allowed=["10.0.0.99/24"])), {f"{1:016x}"})
    assert macs(driver, 1) == {"02:42:0a:00:00:01": ["10.0.0.1", "10.0.0.99"]}
    state.reconcile(plan("web", 256, endpoint(1)), {f"{1:016x}"})
    assert macs(driver, 1) == {"02:42:0a:00:00:01": ["10.0.0.1"]}


def test_a_network_may_do_without(state: HostState, driver: MemoryDriver) -> None:
    made = plan("web", 256, endpoint(1))
    state.reconcile(changed(made, port_security=False))
    assert macs(driver, 1) is None
    state.reconcile(made)
    assert macs(driver, 1) == {"02:42:0a:00:00:01": ["10.0.0.1"]}
    state.reconcile(changed(made, port_security=False))
    assert macs(driver, 1) is None


class OnePort(MemoryDriver):
    """As in the bridge layout, all endpoints and the gateway are behind one port."""

    def ensure_endpoint(self, network, end, mtu):  # type: ignore[no-untyped-def]
        port = super().ensure_endpoint(network, endpoint(1), mtu)
        self.ports[end.id] = port
        return port

    def remove_endpoint(self, network, end):  # type: ignore[no-untyped-def]
        self.ports.pop(end.id)


@pytest.fixture
def shared(driver: MemoryDriver) -> HostState:
    return HostState("h1", {"overlay": OnePort(driver.engine)})


def test_all_endpoints_behind_one_port_are_in_its_list(shared: HostState) -> None:
    made = plan("web", 256, endpoint(1), endpoint(2))
    made = changed(made, layout="bridge", subnets=(SUBNET,))
    shared.reconcile(made)
    (port,) = shared.sync_of("web").segment.ports  # type: ignore[union-attr]
    gateway = (made.network.gateway_mac, (ip_address("10.0.0.254"),))
    one, two = (("02:42:0a:00:00:01", (ip_address("10.0.0.1"),)), ("02:42:0a:00:00:02", (ip_address("10.0.0.2"),)))
    assert port.allowed == tuple(sorted((gateway, one, two)))
    shared.reconcile(replace(made, endpoints=made.endpoints[:1]))
    assert port.allowed == tuple(sorted((gateway, one)))


def test_addresses_that_were_refused(state: HostState, driver: MemoryDriver) -> None:
    assert state.refused_addresses("web") == set()
    state.reconcile(plan("web", 256, endpoint(1)))
    assert state.refused_addresses("web") == set()
    arp = bytes.fromhex(
        "ffffffffffff 02420a000001 0806 0001 0800 06 04 0001 02420a000001 0a000007 000000000000 0a000007"
    )
    driver.ports[f"{1:016x}"].send(arp)
    driver.engine.poll()
    assert state.refused_addresses("web") == {ip_address("10.0.0.7")}


def test_the_driver_hears_which_endpoints_are_here_before_they_have_an_interface(
    state: HostState, driver: MemoryDriver
) -> None:
    made = plan("web", 256, endpoint(1), endpoint(2), endpoint(3, "h2"))
    state.ensure_endpoint(made, made.endpoints[1])
    assert driver.checked == [(f"{1:016x}", []), (f"{2:016x}", [])]
    state.reconcile(plan("web", 256, endpoint(2)))
    assert driver.checked == [(f"{2:016x}", [f"{2:016x}"])]
