# SPDX-License-Identifier: Apache-2.0
"""What a daemon is asked for just after another host changed the store."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from fastpath.control.messages import EndpointCreate
from fastpath.control.operations import Operations
from fastpath.errors import NotFoundError
from tests.unit.docker_lab import NoKernel
from tests.unit.sites import Host, with_hosts

PARENT = "02:00:00:00:00:07"


def operations(host: Host) -> Operations:
    """Those of a host whose macvlan driver wants endpoints to have the parent's MAC address."""
    kernel = NoKernel()
    kernel.mac = PARENT
    return Operations(host.name, host.mirror, host.registry, kernel, lambda: ())  # type: ignore[arg-type]


def wanted(network: str) -> EndpointCreate:
    return EndpointCreate(network=network, sandbox="/proc/self/ns/net")


def test_an_endpoint_of_a_network_that_another_host_made_just_now(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        first, second = hosts
        await first.network("lan", driver="macvlan", subnets=["192.0.2.0/24"], options={"parent": "u0"})
        creating = asyncio.create_task(operations(second).create_endpoint(wanted("lan")))
        await asyncio.sleep(0.1)
        assert "lan" not in second.mirror.networks  # nobody told it as yet
        follow = asyncio.create_task(second.mirror.run(second.store))
        made = await creating
        assert made.mac == PARENT  # it is known what kind of network it is
        follow.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await follow

    with_hosts(tmp_path / "db", 2, play)


def test_an_endpoint_of_a_network_that_does_not_exist(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        with pytest.raises(NotFoundError, match="there is no network lan: see `fastpath network ls`"):
            await operations(hosts[0]).create_endpoint(wanted("lan"))

    with_hosts(tmp_path / "db", 1, play)
