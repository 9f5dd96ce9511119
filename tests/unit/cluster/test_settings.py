# SPDX-License-Identifier: Apache-2.0
"""What changes of networks and endpoints that exist: settings, and addresses that move between endpoints."""

import asyncio
import json
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from fastpath.control.cluster import keys
from fastpath.control.model.objects import Endpoint, Network, Peer
from fastpath.control.model.requests import EndpointSet, NetworkSet
from fastpath.control.store.interface import Delete, Put
from fastpath.errors import ConflictError, FastpathError, UsageError
from tests.support.control.sites import Host, ids, with_hosts

A, B, C = ids(1, 3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def allow(*addresses: str) -> EndpointSet:
    return EndpointSet.model_validate({"allow": addresses})


def disallow(*addresses: str) -> EndpointSet:
    return EndpointSet.model_validate({"disallow": addresses})


async def claim(host: Host, address: str) -> bytes | None:
    item = await host.store.get(f"{keys.addresses('web')}{address}")
    return item.value if item is not None else None


def test_settings_change_one_by_one(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        (host,) = hosts
        made = await host.network("web", mtu=1300, vni=300)
        item = await host.store.get(keys.network("web"))
        assert item is not None
        later = json.dumps({**json.loads(item.value), "later": [1]})  # a field of a later version
        await host.store.commit([], [Put(item.key, later.encode())])
        changed, revision = await host.registry.set_network("web", NetworkSet(port_security=False))
        assert changed == made.model_copy(update={"port_security": False})
        assert (await host.registry.set_network("web", NetworkSet(port_security=False)))[1] == revision
        changed, _ = await host.registry.set_network("web", NetworkSet(mtu="auto"))
        assert (changed.mtu, changed.port_security) == (None, False)
        item = await host.store.get(keys.network("web"))
        assert item is not None
        assert json.loads(item.value)["later"] == [1]
        assert Network.model_validate_json(item.value) == changed == host.mirror.networks["web"]

    with_hosts(file, 1, play)


def test_hosts_that_change_settings_at_once_lose_none(file: Path) -> None:
    async def play(hosts: list[Host]) -> Network:
        await hosts[0].network("web")
        wanted = [NetworkSet(port_security=False), NetworkSet(mtu=1300)]
        await asyncio.gather(*(h.registry.set_network("web", w) for h, w in zip(hosts, wanted, strict=True)))
        return (await hosts[0].registry.set_network("web", NetworkSet()))[0]

    network = with_hosts(file, 2, play)
    assert (network.mtu, network.port_security) == (1300, False)


def test_settings_that_cannot_be_change_nothing(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        (host,) = hosts
        await host.network("web", subnets=["10.7.0.0/24", "fd00::/64"])
        await host.network("lan", driver="macvlan", subnets=["192.0.2.0/24"])
        before = await host.store.list("/")
        with pytest.raises(UsageError, match="fd00::/64 cannot have an MTU of 1279: IPv6 needs 1280"):
            await host.registry.set_network("web", NetworkSet(mtu=1279))
        with pytest.raises(UsageError, match="the macvlan network lan has no port security: leave"):
            await host.registry.set_network("lan", NetworkSet(port_security=False))
        for name, kind in (("lan", {"driver": "macvlan"}), ("bridged", {"layout": "bridge"})):
            more = {**kind, "subnets": ["198.51.100.0/24"], "kernel_path": "tcp"}
            with pytest.raises(UsageError, match=r"network.* has no kernel path: leave --kernel-path out"):
                await host.network(f"{name}2", **more)
        with pytest.raises(UsageError, match="a macvlan network has no kernel path: leave --kernel-path out"):
            await host.registry.set_network("lan", NetworkSet(kernel_path="tcp"))
        assert await host.store.list("/") == before

    with_hosts(file, 1, play)


@pytest.mark.parametrize(
    ("ports", "more", "expected"),
    [
        ((14789, 14789), {}, "tcp"),
        ((14789, 14789), {"kernel_path": "off"}, "off"),
        ((14789, 14789), {"layout": "bridge"}, "off"),
        ((14789, 14789), {"driver": "macvlan", "subnets": ["192.0.2.0/24"]}, "off"),
        ((14789, 0), {}, "off"),
        ((14789, 14790), {}, "off"),
        ((0, 0), {}, "off"),
        ((0, 0), {"kernel_path": "tcp"}, "tcp"),
        ((), {}, "off"),
    ],
)
def test_the_kernel_path_is_used_by_default_if_all_hosts_can(
    file: Path, ports: tuple[int, ...], more: dict[str, Any], expected: str
) -> None:
    async def play(hosts: list[Host]) -> None:
        for number, port in enumerate(ports):
            where = {"vtep": ip_address(f"192.0.2.{number + 1}"), "mtu": 1500, "kernel_port": port}
            peer = Peer.model_validate({"host": f"h{number}", "id": str(number), "version": "1", **where})
            await hosts[0].store.commit([], [Put(keys.peer(peer.host), peer.model_dump_json().encode())])
        network = await hosts[0].network("web", **more)
        assert network.kernel_path == expected

    with_hosts(file, 1, play)


def test_an_address_that_moves_is_nobody_s_own(file: Path) -> None:
    """As VRRP's: two endpoints have it in turn."""

    async def play(hosts: list[Host]) -> None:
        one, other = hosts
        await one.network("web", subnets=["10.7.0.0/29"])  # .1 is the gateway
        master, backup = await one.endpoint("web", A), await other.endpoint("web", B)
        for host, endpoint in ((one, master), (other, backup)):
            changed, _ = await host.registry.set_allowed(endpoint, allow("10.7.0.4", "198.51.100.7"))
            assert [str(address) for address in changed.allowed] == ["10.7.0.4/29", "198.51.100.7/32"]
        assert await claim(one, "10.7.0.4") == f"allowed {A} {B}".encode()
        with pytest.raises(ConflictError, match=r"10\.7\.0\.4 is taken"):
            await one.endpoint("web", C, addresses=["10.7.0.4"])
        assert str((await one.endpoint("web", C)).addresses[0].ip) == "10.7.0.5"
        await one.registry.set_allowed(master, disallow("10.7.0.4"))
        assert await claim(one, "10.7.0.4") == f"allowed {B}".encode()
        await other.registry.delete_endpoint(backup)
        assert await claim(one, "10.7.0.4") is None
        assert await claim(one, "198.51.100.7") == f"allowed {A}".encode()

    with_hosts(file, 2, play)


def test_endpoints_that_are_allowed_one_address_at_once(file: Path) -> None:
    async def play(hosts: list[Host]) -> bytes | None:
        await hosts[0].network("web", subnets=["10.7.0.0/24"])
        made = [await host.endpoint("web", identity) for host, identity in zip(hosts, ids(1, 4), strict=True)]
        await asyncio.gather(*(h.registry.set_allowed(e, allow("10.7.0.99")) for h, e in zip(hosts, made, strict=True)))
        return await claim(hosts[0], "10.7.0.99")

    assert with_hosts(file, 4, play) == f"allowed {' '.join(ids(1, 4))}".encode()


@pytest.mark.parametrize(
    ("request_", "kind", "line"),
    [
        (allow("10.7.0.2"), UsageError, "10.7.0.2 is an address of endpoint 0000000000000001 already"),
        (allow("10.7.0.3"), ConflictError, "the address 10.7.0.3 belongs to endpoint 0000000000000002"),
        (allow("10.7.0.9", "10.7.0.5"), ConflictError, "the address 10.7.0.5 is reserved for Docker: try again"),
        (allow("10.7.0.6"), ConflictError, "the address 10.7.0.6 is allowed to as many endpoints as can be"),
        (allow("10.7.0.1"), ConflictError, "10.7.0.1 is the gateway of 10.7.0.0/24: choose another address"),
        (allow("10.7.0.255"), UsageError, "10.7.0.255 cannot be given: it is the network's own or the broadcast"),
        (allow("224.0.0.18"), UsageError, "224.0.0.18 is not the address of one interface: the network web has 10.7"),
        (disallow("10.7.0.9"), UsageError, "10.7.0.9 is not one of the addresses that endpoint 0000000000000001 is"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_address_that_cannot_be_allowed_changes_nothing(
    file: Path, request_: EndpointSet, kind: type[FastpathError], line: str
) -> None:
    async def play(hosts: list[Host]) -> None:
        (host,) = hosts
        await host.network("web", subnets=["10.7.0.0/24"])
        mine, _ = await host.endpoint("web", A), await host.endpoint("web", B)
        reserved = Put(f"{keys.addresses('web')}10.7.0.5", b"docker@h2", await host.store.grant(60))
        await host.store.commit([], [reserved])
        much = Put(f"{keys.addresses('web')}10.7.0.6", b"allowed " + b"0123456789abcdef " * 4000)
        await host.store.commit([], [much])
        before = await host.store.list("/")
        with pytest.raises(kind) as error:
            await host.registry.set_allowed(mine, request_)
        assert str(error.value).startswith(line)
        assert await host.store.list("/") == before

    with_hosts(file, 1, play)


def _as_0_1(endpoint: Endpoint) -> list[Delete]:
    """What a daemon of version 0.1 deletes of a dead host's endpoint."""
    addresses = [keys.address("web", each.ip) for each in endpoint.addresses]
    return [Delete(key) for key in (keys.endpoint("web", endpoint.id), keys.mac("web", endpoint.mac), *addresses)]


REMOVALS: dict[str, Callable[[Host, Endpoint], object]] = {
    "this version": lambda host, endpoint: host.registry.delete_endpoint(endpoint),
    "version 0.1": lambda host, endpoint: host.own_writes.commit([], _as_0_1(endpoint)),
}


@pytest.mark.parametrize("by", REMOVALS)
def test_a_network_can_go_when_the_endpoints_are_gone(file: Path, by: str) -> None:
    async def play(hosts: list[Host]) -> None:
        (host,) = hosts
        await host.network("web", subnets=["10.7.0.0/24"])
        endpoint = await host.endpoint("web", A)
        await host.registry.set_allowed(endpoint, allow("10.7.0.9"))
        await REMOVALS[by](host, endpoint)  # type: ignore[misc]
        await host.registry.remove_network("web")
        assert (await host.store.list(keys.addresses("web"))).items == ()

    with_hosts(file, 1, play)
