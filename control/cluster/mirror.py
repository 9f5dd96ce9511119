# SPDX-License-Identifier: Apache-2.0
"""What the store says, as far as this host knows: networks, endpoints, peers.

It lists once, then follows the store's events; after a gap that the store no longer knows it lists again and
compares. While the store is away everything stays as it was. Nobody but this file changes it.

What this host commits itself it takes at once (`committed`). The watch may be behind then: until it has passed that
revision, older events about the same key are ignored, also about a key that was deleted.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence

from fastpath.control.cluster import keys
from fastpath.control.cluster.cache import Cache
from fastpath.control.cluster.contents import Changes, Contents
from fastpath.control.cluster.stored import read_peer
from fastpath.control.model.objects import Endpoint, Peer
from fastpath.control.model.problem import Problem, problem_of
from fastpath.control.runtime.failures import Failures
from fastpath.control.store.interface import (
    CompactedError,
    Delete,
    Event,
    Item,
    Listing,
    Put,
    Store,
    UnavailableError,
)
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

RETRY_S = 0.5
CATCH_UP_S = 10.0  # until we the watch reports what somebody else committed
LAG_S = 2.0  # for so long it is waited for what others committed before us


class Mirror:
    """The store's objects on this host, which has the name `host` and the id `host_id`. Call `load` first, then let
    `run` run."""

    def __init__(self, cache: Cache | None, host: str = "", host_id: str = "") -> None:
        self.contents = Contents(host, host_id)
        self.networks, self.endpoints = self.contents.networks, self.contents.endpoints
        self.peers, self.unreadable = self.contents.peers, self.contents.unreadable
        self.revision = 0
        self.lost_all: str | None = None  # what is wrong with a store that is empty: nothing may be created in it
        self._problem: Problem | None = None
        self._failures = Failures(log, "store")
        self.synced = asyncio.Event()  # the store was listed since we started
        self._store: Store | None = None
        self._cache = cache
        self._listeners: list[Callable[[Changes], None]] = []
        self._heard = 0  # the revision up to which everything was listed or watched
        self._following = False  # listed, and every event since was read
        self._own: dict[str, int] = {}  # keys that this host changed after that, and at which revision
        self._moved = asyncio.Condition()

    @property
    def known_peers(self) -> dict[str, Peer]:
        """Return the hosts that are registered, and those that were and are not forgotten."""
        return {**self.contents.lost, **self.peers}

    @property
    def answering(self) -> bool:
        """Whether the store answers at present."""
        return self._store is not None and self._store.problem is None

    @property
    def current(self) -> bool:
        """Whether this is what the store says at present, but for what it says just now, and for what cannot be read
        (`Contents.knows_all`). A connection that broke without a word is noticed within ten seconds."""
        connected = self._store is not None and self._store.following
        return connected and self._following and self.answering and self.contents.knows_all()

    @property
    def warning(self) -> str | None:
        """What will keep the store from answering, in one line, or None."""
        return self._store.warning if self._store is not None else None

    @property
    def trouble(self) -> str | None:
        """What is wrong with the store, in one line, or None."""
        if self._problem is not None:
            return self._problem.text
        return self._store.problem if self._store is not None else None

    def subscribe(self, listener: Callable[[Changes], None]) -> None:
        """Call `listener` after every change, in the event loop; listeners are called in the order they came."""
        self._listeners.append(listener)

    def load(self, host: str | None = None) -> None:
        """Load what a predecessor kept on disk. With `host`, load only what concerns that host, which takes less time;
        call it again for the rest."""
        if self._cache is None:
            return
        listing = self._cache.load()
        self.contents.take(_by_age(listing.items if host is None else _about(host, listing.items)))
        for item in self._cache.lost():
            peer = read_peer(item)
            if peer is not None and peer.host not in self.peers:
                self.contents.lost[peer.host] = peer
        if host is None:
            self.revision = self._heard = listing.revision

    def forget_peer(self, host: str) -> None:
        """Forget a host that is not registered any more. No error if there is none."""
        self._tell(self.contents.forget(host))
        if self._cache is not None:
            self._cache.forget(keys.peer(host))

    def give_up(self, endpoint: Endpoint) -> None:
        """Forget an endpoint of this host that somebody deleted, and that cannot be restored."""
        self._tell(self.contents.given_up(endpoint))

    def local_endpoints(self, host: str) -> list[Endpoint]:
        """Return the endpoints of one host."""
        return [end for members in self.endpoints.values() for end in members.values() if end.host == host]

    async def reached(self, revision: int) -> None:
        """Wait until the mirror shows what all hosts committed up to `revision`."""
        await self._shows(lambda: self.revision >= revision)

    async def without(self, endpoint: Endpoint) -> None:
        """Wait until the mirror does not show an endpoint that the store has no more."""
        await self._shows(lambda: endpoint.id not in self.endpoints.get(endpoint.network, {}))

    async def _shows(self, condition: Callable[[], bool]) -> None:
        async with self._moved:
            await self._moved.wait_for(condition)

    def committed(self, revision: int, changes: Sequence[Put | Delete]) -> None:
        """Take what this host committed at `revision`, unless the watch has passed that."""
        if revision <= self._heard:
            return
        own = [
            Event(change.key, change.value if isinstance(change, Put) else None, revision)
            for change in changes
            if change.key.startswith(keys.OBJECTS) and self._own.get(change.key, 0) < revision
        ]
        self._own.update((event.key, revision) for event in own)
        self._tell(self.contents.take(own))

    async def run(self, store: Store) -> None:
        """Follow the store until cancelled."""
        self._store = store
        while True:
            try:
                await self._list(store)
                self._following = True
                try:
                    await self._follow(store)
                finally:
                    self._following = False
            except CompactedError:
                log.info("the store no longer knows what happened since revision %d: listing again", self.revision)
            except UnavailableError:
                await asyncio.sleep(RETRY_S)
            except FastpathError as error:
                problem = problem_of("store", "", error)
                if not problem.is_same(self._problem):  # else it would be told every few seconds
                    log.error("%s", error)
                    log.debug("why the store cannot be followed", exc_info=error)
                self._problem = problem
                await asyncio.sleep(10 * RETRY_S)

    async def _list(self, store: Store) -> None:
        heard = self.revision
        before = dict(self._own)  # a listing has all that was committed before it began
        listing = await store.list(keys.OBJECTS)
        none = not any(item.key.startswith(keys.NETWORKS) for item in listing.items)
        if self.networks and none and await store.get(keys.NETWORKS_GUARD) is None:
            # Not a network that was removed: somebody emptied the store, or it is another one. Hosts may have
            # registered there already.
            self.lost_all = (
                "the store has lost all its data: everything here stays as it is; restore a backup, or remove "
                "the state directory to start from scratch"
            )
            self._problem = Problem("store", "", "lost-all", self.lost_all)
            raise UnavailableError(self.lost_all)
        self.lost_all = self._problem = None
        found = {item.key for item in listing.items}
        self._own = {key: own for key, own in self._own.items() if before.get(key) != own}
        gone = [Event(key, None, listing.revision) for key in self.contents.seen if key not in found]
        self._hear(listing.revision)
        # A store that was restored from a backup has what was written last: what is not there is not to be.
        events = [event for event in (*gone, *_by_age(listing.items)) if event.key not in self._own]
        changes = self.contents.take(events, by_others=listing.revision > heard)
        if self._cache is not None:
            await self._keep(self._cache.replace, listing)
        self._tell(changes)
        await self._moved_to(listing.revision)
        if not self.synced.is_set():
            log.info("in sync with the store at revision %d", listing.revision)
            self.synced.set()

    async def _follow(self, store: Store) -> None:
        stream = store.watch(keys.OBJECTS, self.revision)
        async with contextlib.aclosing(stream):
            async for batch in stream:
                events = [event for event in batch.events if event.revision > self._own.get(event.key, 0)]
                changes = self.contents.take(events, by_others=True)
                self._hear(batch.revision)
                self._tell(changes)  # first: a disk may take long
                if self._cache is not None and batch.events:
                    self._following = False  # while it takes, no other batch is read
                    await self._keep(self._cache.apply, batch.revision, batch.events)
                    self._following = True
                await self._moved_to(batch.revision)

    async def _keep(self, write: Callable[..., None], *what: Listing | int | tuple[Event, ...]) -> None:
        try:
            await asyncio.to_thread(write, *what)
            self._failures.over("copy")
        except sqlite3.Error as error:
            why = f"the state directory's copy of the store cannot be written: {error}"
            self._failures.failed("copy", error, why)

    async def _moved_to(self, revision: int) -> None:
        async with self._moved:
            self.revision = revision
            self._moved.notify_all()

    def _tell(self, changes: Changes) -> None:
        for listener in self._listeners if changes else ():
            listener(changes)

    def _hear(self, revision: int) -> None:
        """Forget own changes that are no newer than what was listed or watched."""
        self._heard = revision
        self._own = {key: own for key, own in self._own.items() if own > revision}


async def caught_up(mirror: Mirror, revision: int) -> None:
    """Wait until the mirror shows what somebody else committed at `revision`. Raise UnavailableError."""
    await _soon(mirror.reached(revision), f"the store has revision {revision} but does not report it")


async def gone(mirror: Mirror, endpoint: Endpoint) -> None:
    """Wait until the mirror does not show an endpoint that somebody else deleted. Raise UnavailableError."""
    await _soon(mirror.without(endpoint), f"the store has no endpoint {endpoint.id} but does not report it")


async def _soon(waiting: Awaitable[None], trouble: str) -> None:
    try:
        async with asyncio.timeout(CATCH_UP_S):
            await waiting
    except TimeoutError as error:
        raise UnavailableError(f"{trouble}: see `fastpath status`") from error


async def heard_others(mirror: Mirror, revision: int) -> None:
    """Wait a little for what other hosts committed before `revision`, so that a container that starts now can reach
    theirs with its first packet. Most of the time there is nothing to wait for."""
    if mirror.revision < revision - 1:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAG_S):
                await mirror.reached(revision - 1)


def _by_age(items: Sequence[Item]) -> list[Event]:
    """Return the events that made the items, in the order in which they happened: of two that claim one id, the first
    is believed."""
    ordered = sorted(items, key=lambda item: item.created or item.revision)
    return [Event(item.key, item.value, item.revision, item.created) for item in ordered]


def _about(host: str, items: Sequence[Item]) -> list[Item]:
    """Leave out the endpoints of networks in which the host's name does not occur: they take longest to read."""
    name = host.encode()
    networks = {_network_of(item) for item in items if name in item.value}
    return [item for item in items if (network := _network_of(item)) is None or network in networks]


def _network_of(item: Item) -> str | None:
    """Return the network of an endpoint, None for other items."""
    if not item.key.startswith((keys.ENDPOINTS, keys.HOSTS)):
        return None
    return keys.network_of(item.key)
