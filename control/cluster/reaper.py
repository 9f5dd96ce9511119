# SPDX-License-Identifier: Apache-2.0
"""Remove the endpoints of a dead host, with their addresses, once its lease has been over for the grace time. Every
daemon tries; the store lets one succeed, and none while the host is registered."""

import asyncio
import logging
import time

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.registry import Registry
from fastpath.control.runtime.failures import Failures
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

INTERVAL_S = 5.0


class Reaper:
    """`since` has the time.monotonic() at which each dead host was first missed."""

    def __init__(self, host: str, mirror: Mirror, registry: Registry, grace: float) -> None:
        self.since: dict[str, float] = {}
        self._host = host
        self._mirror = mirror
        self._registry = registry
        self._grace = grace
        self._failures = Failures(log, "reaper")

    def forgotten_in(self, host: str) -> float | None:
        """Return the seconds until the host's endpoints are removed; None if it is not missed."""
        since = self.since.get(host)
        return max(0.0, since + self._grace - time.monotonic()) if since is not None else None

    async def run(self) -> None:
        """Look at intervals until cancelled."""
        await self._mirror.synced.wait()
        while True:
            try:
                await self.look()
                self._failures.over("")
            except FastpathError as error:
                self._failures.failed("", error, f"endpoints of dead hosts are removed later: {error}")
            await asyncio.sleep(min(INTERVAL_S, max(0.1, self._grace / 4)))

    async def look(self) -> None:
        """Note which hosts are missing, and remove what is due."""
        endpoints = [e for members in self._mirror.endpoints.values() for e in members.values()]
        missing = {e.host for e in endpoints} - self._mirror.peers.keys() - {self._host}
        self.since = {host: self.since.get(host, time.monotonic()) for host in missing}
        due = {host for host in missing if self.forgotten_in(host) == 0.0}
        for endpoint in [e for e in endpoints if e.host in due]:
            if await self._registry.delete_endpoint(endpoint, only_without_peer=True) is not None:
                log.warning(
                    "%s has been away for %.0f s: its endpoint %s is removed, %s is free",
                    endpoint.host,
                    self._grace,
                    endpoint.id,
                    ", ".join(str(address.ip) for address in endpoint.addresses),
                )
