# SPDX-License-Identifier: Apache-2.0
"""Endpoints that Docker forgot, and changes that the store could not take at once."""

import asyncio
import logging
import time

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.docker.claims import MANAGER
from fastpath.control.docker.network_driver import NetworkDriver
from fastpath.control.docker.state import DockerState
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
ORPHAN_S = 180.0  # Docker has an endpoint in its sandbox within seconds


class Upkeep:
    """Look for them at intervals."""

    def __init__(self, host: str, driver: NetworkDriver, state: DockerState, mirror: Mirror) -> None:
        self._host = host
        self._driver = driver
        self._state = state
        self._mirror = mirror
        self._since: dict[str, float] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        await self._mirror.synced.wait()
        while True:
            try:
                await self.look()
            except (FastpathError, OSError) as error:
                log.debug("later: %s", error)
            await asyncio.sleep(INTERVAL_S)

    async def look(self) -> None:
        """Look once."""
        for name in self._state.left:
            try:
                await self._driver.strike_off(name)
            except FastpathError as error:
                log.debug("later: %s", error)
        waiting = {
            endpoint.id: endpoint
            for endpoint in self._mirror.local_endpoints(self._host)
            if endpoint.manager == MANAGER and endpoint.state == "joining"
        }
        now = time.monotonic()
        self._since = {identity: self._since.get(identity, now) for identity in waiting}
        for identity, since in self._since.items():
            if now - since >= ORPHAN_S:
                await self._driver.remove_orphan(waiting[identity])
