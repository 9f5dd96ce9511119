# SPDX-License-Identifier: Apache-2.0
"""Hosts without a data plane: what they have of the overlay's control, on one SQLite store."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from fastpath.control.cluster.cache import Cache
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.ipam import DEFAULT_POOL, Pool
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.mirrored_store import MirroredStore
from fastpath.control.cluster.registry import Registry
from fastpath.control.model.objects import Endpoint, Network, Peer, Sandbox
from fastpath.control.model.requests import EndpointCreate, NetworkCreate
from fastpath.control.store.interface import Store
from fastpath.control.store.sqlite.store import SqliteStore

T = TypeVar("T")
LONG = 60.0  # seconds that anything may take here
SANDBOX = Sandbox(path="/run/netns/none", inode=1)


class Host:
    """One host's store, registry and mirror."""

    def __init__(
        self,
        name: str,
        file: Path,
        *,
        pool: Pool = DEFAULT_POOL,
        cache: Path | None = None,
        identity: str = "",
        store: Store | None = None,
    ) -> None:
        self.name = name
        self.store: Store = store or SqliteStore(file)
        self.changes: list[Changes] = []
        self.cache = Cache(cache, str(file)) if cache is not None else None
        self.mirror = Mirror(self.cache, name, identity)
        self.mirror.subscribe(self.changes.append)
        self.own_writes = MirroredStore(self.store, self.mirror)
        self.registry = Registry(self.own_writes, name, pool, identity)

    async def close(self) -> None:
        await self.store.close()
        if self.cache is not None:
            self.cache.close()

    async def network(self, name: str, **more: object) -> Network:
        request = NetworkCreate.model_validate({"name": name, **more})
        return (await self.registry.create_network(request))[0]

    async def endpoint(self, network: str, identity: str, **more: object) -> Endpoint:
        request = EndpointCreate.model_validate({"network": network, "sandbox": "none", **more})
        return (await self.registry.create_endpoint(identity, request, SANDBOX))[0]

    def peer(self, vtep: str = "192.0.2.1", identity: str = "one", mtu: int = 1500) -> Peer:
        return Peer.model_validate(
            {"host": self.name, "id": identity, "vtep": vtep, "udp_port": 4789, "mtu": mtu, "version": "0"}
        )


def with_hosts(file: Path, count: int, play: Callable[[list[Host]], Awaitable[T]], **more: object) -> T:
    """Let `count` hosts, h1 …, play."""

    async def main() -> T:
        hosts = [Host(f"h{n}", file, **more) for n in range(1, count + 1)]  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(LONG):
                return await play(hosts)
        finally:
            for host in hosts:
                await host.close()

    return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    while not condition():
        await asyncio.sleep(0.01)


def ids(first: int, count: int) -> list[str]:
    """Ids of endpoints."""
    return [f"{n:016x}" for n in range(first, first + count)]
