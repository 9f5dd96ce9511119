# SPDX-License-Identifier: Apache-2.0
"""Remove the endpoints of a dead host, with their addresses, once its lease has been over, and its data path silent,
for the grace time. Every daemon tries; the store lets one succeed, and none while the host is registered, or any host
hears it (witness.py)."""

import asyncio
import logging
import time

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.registry import Registry
from fastpath.control.model.objects import Endpoint
from fastpath.control.runtime.failures import Failures
from fastpath.control.store.interface import DeniedError
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
        self._left: set[str] = set()

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
        away: dict[str, list[Endpoint]] = {}
        for endpoint in self._mirror.contents.all_endpoints():
            if endpoint.host != self._host and endpoint.host not in self._mirror.peers:
                away.setdefault(endpoint.host, []).append(endpoint)
        registered = self._mirror.peers.get(self._host)
        for endpoint in self._mirror.contents.strangers.values():
            if registered is None or registered.id != endpoint.host_id:
                away.setdefault(another(endpoint), []).append(endpoint)
        self.since = {who: self.since.get(who, time.monotonic()) for who in away}
        for who, endpoints in away.items():
            if self.forgotten_in(who) == 0.0 and who not in self._mirror.contents.lost:
                await self._remove(who, endpoints)

    async def _remove(self, who: str, endpoints: list[Endpoint]) -> None:
        for endpoint in endpoints:
            try:
                deleted = await self._registry.delete_endpoint(endpoint, only_without_peer=True)
            except DeniedError as error:
                if who not in self._left:
                    log.info("the endpoints of %s are left to hosts that may remove them: %s", who, error)
                self._left.add(who)
                return
            if deleted is not None:
                addresses = ", ".join(str(address.ip) for address in endpoint.addresses)
                told = (who, self._grace, endpoint.id, addresses)
                log.warning("%s has been away for %.0f s: its endpoint %s is removed, %s is free", *told)


def another(endpoint: Endpoint) -> str:
    """Return what the machine is called that had this host's name, in `Reaper.since` and for people."""
    return f"another machine named {endpoint.host} (id {endpoint.host_id[:8]})"
