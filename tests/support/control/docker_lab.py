# SPDX-License-Identifier: Apache-2.0
"""Docker's plugin on hosts without a data plane: requests go in as Docker sends them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from aiohttp.test_utils import TestClient, TestServer

from fastpath.addresses import IPAddress
from fastpath.control.cluster import keys
from fastpath.control.cluster.in_use import InUse
from fastpath.control.cluster.ipam import DEFAULT_POOL
from fastpath.control.docker.claims import Claims
from fastpath.control.docker.ipam_driver import IpamDriver
from fastpath.control.docker.kinds import Kind, MacvlanKind, OverlayKind
from fastpath.control.docker.network_driver import NetworkDriver
from fastpath.control.docker.plugin import Plugin
from fastpath.control.docker.state import DockerState
from fastpath.control.docker.upkeep import Upkeep
from fastpath.control.model.objects import Endpoint, IPNetwork, Network
from fastpath.errors import FastpathError
from tests.support.control.sites import Host

P = ParamSpec("P")
R = TypeVar("R")


class NoThread:
    """A kernel thread of nobody's in particular."""

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(function, *args, **kwargs)


class NoIntentions:
    """Takes what is abandoned, and forgets it."""

    def abandon(self, identity: str) -> None:
        pass


class NoReconciler:
    """A reconciler that touches nothing; it keeps which endpoints it was told to make and to remove. `mac` is what the
    driver says is the parent's, `trouble` why this host can't have a network."""

    def __init__(self) -> None:
        self.mac: str | None = None
        self.trouble: FastpathError | None = None
        self.intentions = NoIntentions()
        self.made: list[str] = []
        self.removed: list[str] = []
        self.known = InUse()

    async def carries(self, _: str) -> bool:
        return False

    async def ensure_endpoint_now(self, endpoint: Endpoint) -> None:
        self.made.append(endpoint.id)

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        self.removed.append(endpoint.id)

    async def check_network(self, _: Network) -> None:
        if self.trouble is not None:
            raise self.trouble

    async def own_mac(self, _: Network) -> str | None:
        return self.mac

    async def in_use(self, _: str) -> InUse:
        return self.known

    def look_at_everything(self) -> None:
        pass


class DockerHost:
    """One host's plugin. `ask` takes what Docker asks and returns what it is told."""

    def __init__(self, host: Host, state: Path) -> None:
        async def routed() -> Sequence[tuple[IPNetwork, str]]:
            return ()

        self.host = host
        self.reconciler = NoReconciler()
        self.state = DockerState(state / f"{host.name}.json")
        self.claims = Claims(host.own_writes, host.registry, host.name, DEFAULT_POOL)
        self.hosts_addresses: set[IPAddress] = set()

        async def avoid() -> set[IPAddress]:
            return self.hosts_addresses

        def driver(kind: Kind) -> NetworkDriver:
            return NetworkDriver(
                kind,
                host=host.name,
                claims=self.claims,
                state=self.state,
                mirror=host.mirror,
                registry=host.registry,
                reconciler=self.reconciler,  # type: ignore[arg-type]  # it has what is needed
                kernel=NoThread(),  # type: ignore[arg-type]  # as above
                routed=routed,
            )

        self.driver = driver(OverlayKind(50))
        self.upkeep = Upkeep(host.name, self.driver, self.state, host.mirror)
        addresses = IpamDriver(
            self.claims,
            self.state,
            routed,
            restore=self.driver.restore,
            avoid=avoid,
            in_use=self.reconciler.in_use,
        )
        kind = MacvlanKind(self.claims, host.mirror, self.reconciler, NoThread())  # type: ignore[arg-type]  # as above
        macvlan = Plugin(driver(kind))
        self.client = TestClient(TestServer(Plugin(self.driver, addresses).application()))
        self.macvlan_client = TestClient(TestServer(macvlan.application()))

    async def raw(self, method: str, body: bytes | str | None) -> tuple[int, Any]:
        """Status and answer; MacvlanDriver is the NetworkDriver of the other plugin."""
        client = self.macvlan_client if method.startswith("MacvlanDriver") else self.client
        method = method.replace("MacvlanDriver", "NetworkDriver")
        async with client.post(f"/{method}", data=body) as answer:
            return answer.status, json.loads(await answer.read())

    async def ask(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """An answer that is no error."""
        status, answer = await self.raw(method, json.dumps(body) if body is not None else None)
        assert status == 200, answer
        assert not answer.get("Err"), answer
        assert not answer.get("Error"), answer
        return dict(answer)

    async def refused(self, method: str, body: dict[str, Any]) -> str:
        """What an error says."""
        _, answer = await self.raw(method, json.dumps(body))
        return str(answer["Error" if method.startswith("Ipam") else "Err"])

    async def claimed(self) -> dict[str, str]:
        """What is claimed in the store, by whom."""
        items = (await self.host.store.list(keys.CLAIMS)).items
        return {i.key.removeprefix(keys.CLAIMS): i.value.decode() for i in items if i.key != keys.NETWORKS_GUARD}


@contextlib.asynccontextmanager
async def plugged(hosts: Sequence[Host], state: Path) -> AsyncIterator[list[DockerHost]]:
    """The plugins of these hosts, whose mirrors follow the store meanwhile."""
    following = [asyncio.create_task(host.mirror.run(host.store)) for host in hosts]
    dockers = [DockerHost(host, state) for host in hosts]
    try:
        for docker in dockers:
            await docker.client.start_server()
            await docker.macvlan_client.start_server()
            await docker.host.mirror.synced.wait()
        yield dockers
    finally:
        for docker in dockers:
            await docker.client.close()
            await docker.macvlan_client.close()
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


def data(pool: str, gateway: str, space: str = "fastpath") -> dict[str, Any]:
    """IPv4Data or IPv6Data of a request."""
    return {"AddressSpace": space, "Pool": pool, "Gateway": gateway}


def network(number: int, pool: str = "10.1.0.0/24", gateway: str = "10.1.0.1/24", **words: str) -> dict[str, Any]:
    """CreateNetwork, with options."""
    options = {"com.docker.network.enable_ipv6": False, "com.docker.network.generic": words}
    return {"NetworkID": network_id(number), "Options": options, "IPv4Data": [data(pool, gateway)], "IPv6Data": []}


def network_id(number: int) -> str:
    """As Docker makes them."""
    return f"{number:064x}"


def endpoint_id(number: int) -> str:
    """As Docker makes them; the first digits differ, which are our id."""
    return f"{number:016x}".ljust(64, "0")


def endpoint(net: int, number: int, address: str = "", **more: str) -> dict[str, Any]:
    """CreateEndpoint, or with less any other request about an endpoint."""
    interface = {"Address": address, "AddressIPv6": "", "MacAddress": ""} | more
    return {"NetworkID": network_id(net), "EndpointID": endpoint_id(number), "Interface": interface, "Options": {}}
