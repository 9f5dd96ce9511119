# SPDX-License-Identifier: Apache-2.0
"""Announce new endpoints of this host to those who may have talked to somebody else at their addresses: an address that
moved has another MAC address now, or another host's network card leads to it. Else a neighbour finds out when it has
missed its answers for half a minute."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection

from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.model.objects import Endpoint

log = logging.getLogger(__name__)

AFTER_S = (0.0, 1.0, 3.0)  # once may be lost, and other hosts hear of a new endpoint later


class Announcer:
    """Let `run` run, and have `changed` told of each change of the mirror. `announce` runs in the kernel thread."""

    def __init__(
        self, host: str, mirror: Mirror, kernel: KernelThread, announce: Callable[[Collection[Endpoint]], object]
    ) -> None:
        self._host = host
        self._mirror = mirror
        self._kernel = kernel
        self._announce = announce
        self._known: set[tuple[str, str]] = set()
        self._due: list[tuple[float, tuple[str, str]]] = []  # time.monotonic()
        self._wake = asyncio.Event()

    def changed(self, changes: Changes) -> None:
        """Note which of this host's endpoints have become ready. Those that were ready at the start did not move."""
        now = time.monotonic()
        for key in changes.endpoints:
            endpoint = self._find(key)
            if endpoint is None or endpoint.host != self._host:
                self._known.discard(key)
            elif endpoint.state == "ready" and key not in self._known:
                self._known.add(key)
                if self._mirror.synced.is_set():
                    self._due += [(now + after, key) for after in AFTER_S]
                    self._wake.set()

    def _find(self, key: tuple[str, str]) -> Endpoint | None:
        network, identity = key
        return self._mirror.endpoints.get(network, {}).get(identity)

    async def run(self) -> None:
        """Announce what is due until cancelled."""
        while True:
            self._wake.clear()
            now = time.monotonic()
            due = {key for when, key in self._due if when <= now}
            self._due = [(when, key) for when, key in self._due if when > now]
            ready = [end for key in due if (end := self._find(key)) is not None and end.state == "ready"]
            if ready:
                await self._kernel.run(self._announce, ready)
            wait = min((when for when, _ in self._due), default=now + 3600.0) - time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, wait)):
                    await self._wake.wait()
            except TimeoutError:
                continue
