# SPDX-License-Identifier: Apache-2.0
"""Addresses and subnets that a host's Docker has and that no endpoint or network uses yet, or uses any more.

Docker asks for an address first and makes the endpoint afterwards, and gives the address back after the endpoint is
gone. In between its key in claims/ names Docker and the host instead of an endpoint. The key has a lease that nobody
renews: what Docker, a daemon or a host forgets in between becomes free by itself.
"""

import time

from fastpath.control.store.interface import Store

DOCKER = b"docker@"  # then the host; neither an endpoint's id nor another host's
RESERVATION_S = 180  # Docker goes on within a second
FRESH_S = 60.0  # for so long a lease serves for further reservations


class Reservations:
    """The reservations of one host."""

    def __init__(self, store: Store, host: str) -> None:
        self.owner = DOCKER + host.encode()
        self._store = store
        self._lease, self._until = 0, 0.0

    async def lease(self) -> int:
        """Return a lease that lasts another two minutes at least."""
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + FRESH_S
            self._lease = await self._store.grant(RESERVATION_S)
        return self._lease

    def lease_gone(self) -> None:
        """Take another lease next time: the store does not know this one any more."""
        self._until = 0.0
