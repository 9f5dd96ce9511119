# SPDX-License-Identifier: Apache-2.0
"""A store that is slow to report: what its watch saw, and what a listing of the objects found."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from fastpath.control.cluster import keys
from fastpath.control.store.interface import CompactedError, Events, Listing
from fastpath.control.store.sqlite.store import SqliteStore


class Gate:
    """Open at first."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    def toggle(self) -> None:
        if self.open.is_set():
            self.open.clear()
        else:
            self.open.set()


class LaggingStore(SqliteStore):
    """Reports of the watch and of listings wait at a gate each; the store itself goes on."""

    def __init__(self, file: Path | None) -> None:
        super().__init__(file)
        self.watching = Gate()
        self.listing = Gate()
        self.forgotten = False

    async def list(self, prefix: str) -> Listing:
        listing = await super().list(prefix)
        if prefix == keys.OBJECTS:
            await self.listing.open.wait()
        return listing

    async def watch(self, prefix: str, after: int) -> AsyncGenerator[Events, None]:
        """With `forgotten` the next report says that the mirror has to list again."""
        async with contextlib.aclosing(super().watch(prefix, after)) as stream:
            async for events in stream:
                await self.watching.open.wait()
                if self.forgotten:
                    self.forgotten = False
                    raise CompactedError("the revisions are forgotten")
                yield events
