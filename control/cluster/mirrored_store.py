# SPDX-License-Identifier: Apache-2.0
"""The store as this host writes to it: what is committed shows in the mirror when the commit returns.

A host need not wait for the store's watch to see what it wrote itself, however far that lags behind.
"""

from collections.abc import AsyncGenerator, Sequence

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.store.interface import Compare, Delete, Events, Item, Listing, Put, Store


class MirroredStore:
    """A store (see Store) in front of `store`, which `mirror` follows."""

    def __init__(self, store: Store, mirror: Mirror) -> None:
        self._store = store
        self._mirror = mirror

    @property
    def problem(self) -> str | None:
        """See Store."""
        return self._store.problem

    @property
    def warning(self) -> str | None:
        """See Store."""
        return self._store.warning

    @property
    def following(self) -> bool:
        """See Store."""
        return self._store.following

    async def get(self, key: str) -> Item | None:
        """See Store."""
        return await self._store.get(key)

    async def list(self, prefix: str) -> Listing:
        """See Store."""
        return await self._store.list(prefix)

    async def commit(self, compares: Sequence[Compare], changes: Sequence[Put | Delete]) -> int | None:
        """See Store."""
        revision = await self._store.commit(compares, changes)
        if revision is not None:
            self._mirror.committed(revision, changes)
        return revision

    def watch(self, prefix: str, after: int) -> AsyncGenerator[Events, None]:
        """See Store."""
        return self._store.watch(prefix, after)

    async def grant(self, ttl: int) -> int:
        """See Store."""
        return await self._store.grant(ttl)

    async def keep_alive(self, lease: int) -> bool:
        """See Store."""
        return await self._store.keep_alive(lease)

    async def revoke(self, lease: int) -> None:
        """See Store."""
        await self._store.revoke(lease)

    async def close(self) -> None:
        """See Store."""
        await self._store.close()
