# SPDX-License-Identifier: Apache-2.0
"""This host's place among the peers: its key in the store, kept alive by a lease.

A daemon that ends leaves the key: its containers' interfaces stay, and a successor takes over before the lease ends.
A host that does not come back vanishes everywhere when its lease ends.
"""

import asyncio
import logging
from collections.abc import Callable

from fastpath.control.cluster import keys
from fastpath.control.cluster.stored import read_peer
from fastpath.control.cluster.transact import LostRaceError, Planned, ReadView, transact
from fastpath.control.model.objects import Peer
from fastpath.control.model.problem import Problem, problem_of
from fastpath.control.store.interface import Item, Put, Store, UnavailableError
from fastpath.errors import ConflictError, FastpathError

log = logging.getLogger(__name__)

RETRY_S = 0.5


class CopyError(ConflictError):
    """Another machine has this one's name and id: one of them was made from the other."""


class Membership:
    """Keep what `describe` returns in the store."""

    def __init__(self, store: Store, ttl: int, describe: Callable[[], Peer]) -> None:
        self.problem: Problem | None = None
        self.registered = asyncio.Event()
        self._store = store
        self._ttl = ttl
        self._describe = describe
        self._changed = asyncio.Event()
        self._lease = 0
        self._written: tuple[Peer, int] | None = None

    @property
    def problems(self) -> list[Problem]:
        """Why this host is not registered, or not yet."""
        if self.problem is not None:
            return [self.problem]
        if self.registered.is_set():
            return []
        host = self._describe().host
        return [Problem("host", host, "registering", "this host has not registered in the store since its start")]

    @property
    def lease(self) -> int:
        """Return the lease of this host's key; 0: there is none at present."""
        return self._lease

    @property
    def owns_name(self) -> bool:
        """Whether no other host has this name, as far as is known: only then are its endpoints this host's."""
        return self.registered.is_set() and self.problem is None

    def changed(self) -> None:
        """Write soon: `describe` returns something else now."""
        self._changed.set()

    def seen(self, peer: Peer | None) -> None:
        """Compare what the store has under this host's name, and write it again if it differs: soon if there is none,
        else with the next refresh, since two daemons of one name would overwrite each other without end."""
        if peer != self._describe():
            self._written = None
            if peer is None:
                self._changed.set()

    async def register(self) -> None:
        """Write the key. Raise ConflictError if another host has the name or the VTEP, UnavailableError."""
        try:
            await transact(self._store, "this host", self._plan, lease_gone=self._lease_gone, attempts=10)
        except LostRaceError as error:
            self._written = None
            raise UnavailableError(
                "this host's key in the store keeps changing: is there another host of its name?"
            ) from error
        except BaseException:
            self._written = None
            raise
        self.problem = None
        self.registered.set()

    async def _plan(self, view: ReadView) -> Planned[None]:
        self._written = None
        peer = self._describe()
        key = keys.peer(peer.host)
        item = await view.get(key)
        self._check_own(peer, item)
        await self._check_vtep(peer)
        if not self._lease:
            self._lease = await self._find_lease(item)
        self._written = (peer, self._lease)  # before the answer: what is seen meanwhile may undo it
        if item is not None and item.lease == self._lease and read_peer(item) == peer:
            return Planned(None, revision=item.revision)
        return Planned(None, [Put(key, peer.model_dump_json().encode(), self._lease)])

    async def _find_lease(self, item: Item | None) -> int:
        """Return a new lease; that of the key if the store, which may be full, gives no other."""
        # First of all, since a store that is full takes its time to say so.
        old = item.lease if item is not None and item.lease and await self._store.keep_alive(item.lease) else 0
        try:
            return await self._store.grant(self._ttl)
        except UnavailableError:
            if not old:
                raise
            return old

    def _lease_gone(self) -> None:
        self._lease = 0

    def _check_own(self, peer: Peer, item: Item | None) -> None:
        other = read_peer(item) if item is not None else None
        if other is not None and other.id != peer.id:
            raise ConflictError(
                f"another host is registered as {peer.host} (VTEP {other.vtep}): give this one another name "
                f"(host in fastpath.toml); if it was this one, it is forgotten within {self._ttl} s"
            )
        if other is not None and _is_copy(other, peer):
            raise CopyError(
                f"{peer.host} runs on another machine already, at VTEP {other.vtep}, of which this one, at "
                f"{peer.vtep}, is a copy: give it another name (host in fastpath.toml) and an empty state directory "
                f"(state_dir); if it was this one, before it booted with another address, it is forgotten within "
                f"{self._ttl} s"
            )

    async def _check_vtep(self, peer: Peer) -> None:
        for item in (await self._store.list(keys.PEERS)).items:
            other = read_peer(item)
            if other is not None and other.host != peer.host and other.vtep == peer.vtep:
                raise ConflictError(
                    f"the host {other.host} has the VTEP address {peer.vtep} too: choose another (vtep)"
                )

    async def run(self) -> None:
        """Keep the key until cancelled, whatever happens to the store."""
        while True:
            self._changed.clear()  # first: what changes from here on is for the next turn
            wait = self._ttl / 3
            try:
                if self._lease and not await self._store.keep_alive(self._lease):
                    log.warning("this host's lease ran out: registering again")
                    self._lease = 0
                if self._written != (self._describe(), self._lease):
                    await self.register()
                self.problem = None
            except UnavailableError:
                wait = RETRY_S
            except FastpathError as error:
                problem = problem_of("host", self._describe().host, error)
                if not problem.is_same(self.problem):  # else it would be told every few seconds
                    log.error("%s", error)
                    log.debug("why this host is not registered", exc_info=error)
                self.problem = problem
                wait = min(wait, 10 * RETRY_S)
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue


def _is_copy(one: Peer, other: Peer) -> bool:
    """Return whether two registrations of one id are of two machines: the state directory was copied, as with a virtual
    machine. A machine that boots again has the address that it had, or waits for the end of its former lease."""
    known = bool(one.incarnation and other.incarnation)
    return known and one.incarnation != other.incarnation and one.vtep != other.vtep
