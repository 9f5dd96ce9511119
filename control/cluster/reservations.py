# SPDX-License-Identifier: Apache-2.0
"""Addresses and subnets that a host's Docker was given and that nothing has yet, or nothing has any more.

Docker asks for an address first and makes the endpoint afterwards, and gives the address back after the endpoint is
gone. In between its key in claims/ names Docker and the host instead of an endpoint. It is put with a lease that nobody
renews: what Docker, or a daemon, or a host forgot in such a moment is free again by itself.
"""

import time

from fastpath.control.store.interface import Store

RESERVATION_S = 180  # Docker goes on within a second
FRESH_S = 60.0  # for so long a lease serves for further holds


class Reservations:
    """Those of one host."""

    def __init__(self, store: Store, host: str) -> None:
        self.owner = f"docker@{host}".encode()  # not to be taken for an endpoint, nor for another host's
        self._store = store
        self._lease, self._until = 0, 0.0

    async def lease(self) -> int:
        """The number of a lease that lasts another two minutes at least."""
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + FRESH_S
            self._lease = await self._store.grant(RESERVATION_S)
        return self._lease

    def lease_gone(self) -> None:
        """The store does not know it any more: take another one next time."""
        self._until = 0.0
