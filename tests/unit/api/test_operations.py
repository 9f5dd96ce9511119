# SPDX-License-Identifier: Apache-2.0
"""Requests to a daemon just after another host changed the store."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from fastpath.control.api.operations import Operations
from fastpath.control.cluster.registry import Registry
from fastpath.control.model.objects import Endpoint
from fastpath.control.model.requests import EndpointCreate
from fastpath.control.store.interface import Events
from fastpath.control.store.sqlite.store import SqliteStore
from fastpath.errors import ConflictError, NotFoundError
from tests.support.control.docker_lab import NoReconciler, NoThread
from tests.support.control.sites import Host, with_hosts

PARENT = "02:00:00:00:00:07"


class QuickPass(NoReconciler):
    """Cannot make an interface; and a pass of the reconciler has the endpoint out of the store before anybody else."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._registry = registry

    async def ensure_endpoint_now(self, endpoint: Endpoint) -> None:
        raise ConflictError("no interface for you")

    async def remove_endpoint(self, endpoint: Endpoint) -> None:
        await self._registry.delete_endpoint(endpoint)


def operations(host: Host, reconciler: NoReconciler | None = None) -> Operations:
    """Those of a host whose macvlan driver wants endpoints to have the parent's MAC address."""
    reconciler = reconciler or NoReconciler()
    reconciler.mac = PARENT
    return Operations(host.name, host.mirror, host.registry, reconciler, kernel=NoThread(), routed=lambda: ())  # type: ignore[arg-type]


class LateStore(SqliteStore):
    """What happens is told a while later."""

    async def watch(self, prefix: str, after: int) -> AsyncGenerator[Events, None]:
        async with contextlib.aclosing(super().watch(prefix, after)) as stream:
            async for events in stream:
                await asyncio.sleep(0.2)
                yield events


@contextlib.asynccontextmanager
async def following(host: Host, file: Path) -> AsyncIterator[None]:
    """The mirror follows the store in a file, lagging behind."""
    store = LateStore(file)
    follow = asyncio.create_task(host.mirror.run(store))
    yield
    follow.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await follow
    await store.close()


def wanted(network: str) -> EndpointCreate:
    return EndpointCreate(network=network, sandbox="/proc/self/ns/net")


def test_an_endpoint_of_a_network_that_another_host_made_just_now(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        first, second = hosts
        await first.network("lan", driver="macvlan", subnets=["192.0.2.0/24"], options={"parent": "u0"})
        creating = asyncio.create_task(operations(second).create_endpoint(wanted("lan")))
        await asyncio.sleep(0.1)
        assert "lan" not in second.mirror.networks  # nobody told it as yet
        async with following(second, tmp_path / "db"):
            made = await creating
            assert made.mac == PARENT  # it is known what kind of network it is

    with_hosts(tmp_path / "db", 2, play)


def test_an_endpoint_that_cannot_be_made_is_not_shown(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        (host,) = hosts
        await host.network("blue", subnets=["10.1.0.0/24"])
        async with following(host, tmp_path / "db"):
            with pytest.raises(ConflictError, match="no interface for you"):
                await operations(host, QuickPass(host.registry)).create_endpoint(wanted("blue"))
            assert host.mirror.endpoints == {}

    with_hosts(tmp_path / "db", 1, play)


def test_an_endpoint_of_a_network_that_does_not_exist(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        with pytest.raises(NotFoundError, match="there is no network lan: see `fastpath network ls`"):
            await operations(hosts[0]).create_endpoint(wanted("lan"))

    with_hosts(tmp_path / "db", 1, play)
