# SPDX-License-Identifier: Apache-2.0
"""Puts the plugin together, and serves it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from fastpath.control.config import DaemonConfig
from fastpath.control.docker.book import Book
from fastpath.control.docker.claims import Claims
from fastpath.control.docker.container_names import ContainerNames
from fastpath.control.docker.ipam_driver import IpamDriver
from fastpath.control.docker.network_driver import NetworkDriver
from fastpath.control.docker.plugin import SOCKET, Plugin
from fastpath.control.docker.upkeep import Upkeep
from fastpath.control.ipam import Pool
from fastpath.control.mirror import Mirror
from fastpath.control.model import IPNetwork
from fastpath.control.reconciler import Reconciler
from fastpath.control.registry import Registry
from fastpath.control.store.interface import Store
from fastpath.control.underlay import Underlay
from fastpath.control.underlay_watch import routed_subnets
from fastpath.control.unix_socket import listening_socket


@contextlib.asynccontextmanager
async def docker_plugin(
    config: DaemonConfig,
    *,
    underlay: Underlay,
    store: Store,
    mirror: Mirror,
    registry: Registry,
    reconciler: Reconciler,
) -> AsyncIterator[None]:
    """Answer Docker meanwhile, if it is wanted."""
    if config.docker_plugin_dir is None:
        yield
        return

    async def reserved() -> Sequence[tuple[IPNetwork, str]]:
        return await reconciler.in_thread(routed_subnets)

    book = Book(config.state_dir / "docker.json")
    claims = Claims(store, registry, config.host, Pool(config.pool, config.pool_prefix))
    driver = NetworkDriver(
        host=config.host,
        claims=claims,
        book=book,
        mirror=mirror,
        registry=registry,
        reconciler=reconciler,
        reserved=reserved,
        overhead=underlay.overhead,
    )
    plugin = Plugin(driver, IpamDriver(claims, book, reserved, driver.restore))
    with listening_socket(config.docker_plugin_dir / SOCKET, option="--docker-plugin-dir") as sock:
        runner = web.AppRunner(plugin.application(), access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        try:
            await web.SockSite(runner, sock).start()
            async with asyncio.TaskGroup() as tasks:
                names = ContainerNames(config.docker_socket, config.host, mirror, registry)
                upkeep = tasks.create_task(Upkeep(config.host, driver, book, mirror).run(), name="docker")
                naming = tasks.create_task(names.run(), name="container names")
                yield
                upkeep.cancel()
                naming.cancel()
        finally:
            await runner.cleanup()
