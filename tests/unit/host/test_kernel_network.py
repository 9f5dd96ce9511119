# SPDX-License-Identifier: Apache-2.0
"""What the kernel path is told of a network, and in which order, without programs in a kernel."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from fastpath import Engine
from fastpath.addresses import IPAddress
from fastpath.control.drivers.kernel_network import KernelNetwork, Place, Reach
from fastpath.control.host.network_sync import EngineEntry, NetworkSync
from tests.support.ports import free_port

pytest.importorskip("fastpath.kernelpath.programs")

VNI, TUNNEL = 256, 7
A, B = "02:42:00:00:00:0a", "02:42:00:00:00:0b"
HERE, THERE = ip_address("10.0.0.1"), ip_address("10.0.0.2")
VTEP = ip_address("127.0.0.2")
REMOTE = Reach(B, frozenset({THERE}), vtep=VTEP, mtu=1450)


class Path:
    """Maps, and the table of a vxlan device, that keep what was done to them."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *words, **more: self.done.append((name, *words, *more.values()))

    def names(self) -> list[str]:
        """What was done since it was asked last."""
        done, self.done = self.done, []
        return [name for name, *_ in done]


@pytest.fixture
def path() -> Path:
    return Path()


@pytest.fixture
def told() -> list[frozenset[IPAddress]]:
    """Who may send, as the guard was told."""
    return []


@pytest.fixture
def network(path: Path, told: list[frozenset[IPAddress]]) -> KernelNetwork:
    made: Any = None
    made = KernelNetwork(path, VNI, path, {}, lambda: told.append(made.vteps))  # type: ignore[arg-type]
    made.use_tunnel(TUNNEL)
    path.done.clear()
    return made  # type: ignore[no-any-return]


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine("127.0.0.1", udp_port=free_port()) as engine:
        yield engine


def test_a_destination_comes_last_and_goes_first(network: KernelNetwork, path: Path) -> None:
    local = Reach(A, frozenset({HERE}), place=Place(3, 4))
    network.set("local", local)
    assert path.names() == ["set_port", "set_sender", "set_destination"]
    network.set("remote", REMOTE)
    assert path.names() == ["set_tunnel_entry", "set_sender", "set_destination"]
    network.set("remote", REMOTE)
    assert path.names() == []
    for identity in ("local", "remote"):
        network.withdraw(identity)
        assert path.names()[:2] == ["delete_destination", "delete_sender"]
    assert network.ports == {3: (VNI, 4, False)}, "a port whose frames the engine gets"
    network.remove_port("local")
    assert path.names() == ["delete_port"]
    assert network.ports == {}


def test_the_engine_alone_carries_what_changes(network: KernelNetwork, path: Path) -> None:
    network.set("remote", REMOTE)
    path.done.clear()
    with network.changing("remote", Reach(B, REMOTE.senders, vtep=ip_address("127.0.0.3"), mtu=1450)):
        assert path.names()[0] == "delete_destination"
        assert network.destinations == {}
    assert path.names()[-1] == "set_destination"
    assert network.tunnel_entries == {B: ip_address("127.0.0.3")}


def test_an_address_that_moves_has_one_owner(network: KernelNetwork, path: Path) -> None:
    network.set("first", REMOTE)
    network.set("second", Reach(B, frozenset({HERE}), place=Place(3, 4)))
    path.done.clear()
    network.set("first", None)  # its removal comes later than the next one's claim
    assert path.names() == []
    assert network.senders == {(3, B): frozenset({HERE})}
    assert network.vteps == frozenset()


def test_another_device_gets_all_that_the_last_one_had(network: KernelNetwork, path: Path) -> None:
    network.set("remote", REMOTE)
    network.use_tunnel(8)
    assert network.senders == {(8, B): REMOTE.senders}
    assert [destination.ifindex for destination in network.destinations.values()] == [8]


def test_who_may_send_is_told_when_it_changes(network: KernelNetwork, told: list[frozenset[IPAddress]]) -> None:
    network.set("remote", REMOTE)
    network.publish()
    network.publish()
    network.withdraw("remote")
    network.publish()
    assert told == [frozenset({VTEP}), frozenset()]


def test_a_network_that_was_off_knows_its_remotes_again(network: KernelNetwork, engine: Engine) -> None:
    """It may be on again before the other host has noticed."""
    sync = NetworkSync(engine.add_segment(VNI), network)
    wanted = {"remote": EngineEntry(B, (THERE,), vtep=VTEP, reach=REMOTE)}
    sync.sync(wanted)
    assert network.destinations
    network.use_tunnel(None)
    sync.sync(wanted)
    assert not network.destinations
    network.use_tunnel(TUNNEL)
    sync.sync(wanted)
    assert network.destinations
    assert network.vteps == {VTEP}
