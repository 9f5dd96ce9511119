# SPDX-License-Identifier: Apache-2.0
"""This host's word that it hears others which are not registered. As long as any host says so, nobody takes back their
addresses (reaper.py): who does not hear them may be the one that is cut off."""

import asyncio
import logging
from collections.abc import Callable

from fastpath.control.cluster import keys
from fastpath.control.runtime.failures import Failures
from fastpath.control.store.interface import Delete, LeaseGoneError, Put, Store
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Witness:
    """Keep a key in the store for each host that `hears` returns, with this host's lease."""

    def __init__(self, store: Store, host: str, lease: Callable[[], int], hears: Callable[[], set[str]]) -> None:
        self._store = store
        self._host = host
        self._lease = lease
        self._hears = hears
        self._said: dict[str, int] = {}  # with which lease
        self._failures = Failures(log, "witness")

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            try:
                await self.look()
                self._failures.over("")
            except (FastpathError, LeaseGoneError) as error:
                self._failures.failed("", error, f"the store does not know yet which hosts are heard here: {error}")
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Write what is heard now. Raise FastpathError, LeaseGoneError."""
        lease, hears = self._lease(), self._hears()
        for host in sorted(hears):
            if lease and self._said.get(host) != lease:
                await self._store.commit([], [Put(keys.heard_by(host, self._host), b"", lease)])
                self._said[host] = lease
        for host in sorted(self._said.keys() - hears):
            await self._store.commit([], [Delete(keys.heard_by(host, self._host))])
            del self._said[host]
