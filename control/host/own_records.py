# SPDX-License-Identifier: Apache-2.0
"""This host's endpoints in the store, as this version writes them: with the host's id, and where the store's layout
wants them. Those that others deleted while this host was away are written again, as they were. Endpoints of another
machine that had this host's name are left alone, unless their interfaces are here: then this machine lost its state
directory, and with it its id."""

import asyncio
import logging

from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.membership import Membership
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.registry import Registry
from fastpath.control.drivers import managed
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.model.objects import Endpoint
from fastpath.errors import ConflictError, FastpathError, NotFoundError

log = logging.getLogger(__name__)

RETRY_S = 5.0


class OwnRecords:
    """Bring them up to date at the start, and whenever the layout changes."""

    def __init__(
        self, host: str, mirror: Mirror, registry: Registry, membership: Membership, kernel: KernelThread
    ) -> None:
        self._host = host
        self._mirror = mirror
        self._registry = registry
        self._membership = membership
        self._kernel = kernel
        self._due = asyncio.Event()

    def changed(self, changes: Changes) -> None:
        """Look again after a change of the layout, of this host's registration, or of what others deleted."""
        if changes.layout or self._host in changes.peers or self._mirror.contents.orphans:
            self._due.set()

    async def run(self) -> None:
        """Keep them up to date until cancelled."""
        await self._mirror.synced.wait()
        await self._membership.registered.wait()
        while True:
            self._due.clear()
            try:
                if self._membership.owns_name:
                    await self.look()
                await self._due.wait()
            except (FastpathError, OSError) as error:  # OSError: of a look into a sandbox
                log.debug("the endpoints of this host are written later: %s", error)
                await asyncio.sleep(RETRY_S)

    async def look(self) -> None:
        """Look once. Raise FastpathError, OSError."""
        for endpoint in list(self._mirror.contents.strangers.values()):
            if await self._kernel.run(managed.look_for, self._host, endpoint) is not None:
                log.warning("endpoint %s has another host id, but its interface is here: it is ours", endpoint.id)
                await self._write(endpoint)
        for endpoint in self._mirror.contents.unsettled(self._host):
            await self._write(endpoint)
        for name, identity in sorted(self._mirror.contents.orphans):
            await self._restore(self._mirror.endpoints[name][identity])

    async def _restore(self, endpoint: Endpoint) -> None:
        """Write an endpoint that others deleted once more, or let it go."""
        address = endpoint.addresses[0].ip
        if await self._kernel.run(managed.look_for, self._host, endpoint) is None:
            self._mirror.give_up(endpoint)
            return
        try:
            await self._registry.restore_endpoint(endpoint)
            told = "endpoint %s (%s) was deleted while this host was away, and is written again"
            log.warning(told, endpoint.id, address)
        except (ConflictError, NotFoundError) as error:
            # Two containers with one address would harm the other one, too.
            told = "endpoint %s (%s) was deleted while this host was away, and its interface goes: %s; create it again"
            log.error(told, endpoint.id, address, error)
            self._mirror.give_up(endpoint)

    async def _write(self, endpoint: Endpoint) -> None:
        await self._registry.change_endpoint(endpoint, lambda there: there)
