# SPDX-License-Identifier: Apache-2.0
"""The registration of this host, and its effects on the host's endpoints."""

import asyncio
import contextlib
import logging

from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.membership import CopyError, Membership
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.store.interface import UnavailableError
from fastpath.errors import ConflictError

log = logging.getLogger(__name__)


class Registration:
    """The registration of `host`; `membership` keeps its key in the store."""

    def __init__(self, host: str, membership: Membership, mirror: Mirror, reconciler: Reconciler) -> None:
        self._host = host
        self._membership = membership
        self._mirror = mirror
        self._reconciler = reconciler

    def changed(self, changes: Changes) -> None:
        """Check this host's key after a change of the mirror."""
        if self._host in changes.peers:
            self._membership.seen(self._mirror.peers.get(self._host))
            self._reconciler.look_at_everything()

    async def register(self, stop: asyncio.Event) -> None:
        """Register, unless `stop` is set first or the store is unavailable; `Membership.run` keeps trying. Raise
        ConflictError if another host has the name, unless containers here depend on this daemon already, or this is a
        copy of it."""
        with contextlib.suppress(UnavailableError):
            await self._register(stop)
            self._reconciler.look_at_everything()  # its results may be written to the store now

    async def _register(self, stop: asyncio.Event) -> None:
        registering = asyncio.ensure_future(self._membership.register())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({registering, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if registering.done():
                await registering
        except ConflictError as error:
            if isinstance(error, CopyError) or not self._mirror.local_endpoints(self._host):
                raise  # a copy has no containers, whatever the store says of its name
            log.error("%s", error)  # `fastpath status` shows it, too
        finally:
            registering.cancel()
            stopping.cancel()
