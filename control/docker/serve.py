# SPDX-License-Identifier: Apache-2.0
"""Puts the plugin together, and serves it."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from aiohttp import web

from fastpath.control.config import DaemonConfig
from fastpath.control.docker.book import Book
from fastpath.control.docker.claims import Claims
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


class Docker:
    """The plugin of one host, on its parts."""

    def __init__(
        self,
        *,
        config: DaemonConfig,
        folder: Path,
        underlay: Underlay,
        store: Store,
        mirror: Mirror,
        registry: Registry,
        reconciler: Reconciler,
    ) -> None:
        async def reserved() -> Sequence[tuple[IPNetwork, str]]:
            return await reconciler.in_thread(routed_subnets)

        self._folder = folder
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
        self._plugin = Plugin(driver, IpamDriver(claims, book, reserved, driver.restore))
        self.upkeep = Upkeep(config.host, driver, book, mirror)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Answer Docker meanwhile."""
        with listening_socket(self._folder / SOCKET, option="--docker-plugin-dir") as sock:
            runner = web.AppRunner(self._plugin.application(), access_log=None, shutdown_timeout=2.0)
            await runner.setup()
            try:
                await web.SockSite(runner, sock).start()
                yield
            finally:
                await runner.cleanup()
