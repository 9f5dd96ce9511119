# SPDX-License-Identifier: Apache-2.0
"""A store in an SQLite file, for the daemons of one machine.

One thread runs all operations (file.py), one after the other. The event loop itself only glances at the file, ten
times a second, for some microseconds: SQLite's `data_version` changes with every commit of any process.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from fastpath.control.store.checks import check_commit, check_key
from fastpath.control.store.interface import Compare, Delete, Events, Item, Listing, Put, UnavailableError
from fastpath.control.store.sqlite.file import StoreFile
from fastpath.control.store.sqlite.open import identity
from fastpath.errors import UsageError

GLANCE_SECONDS = 0.1
EXPIRE_SECONDS = 1.0
COMPACT_SECONDS = 60.0
RETRY_SECONDS = 0.5  # of a watch, while the file cannot be read
BUSY_SECONDS = 5.0

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore:
    """See Store. `path` None: in memory, for tests."""

    def __init__(
        self, path: Path | None, busy_seconds: float = BUSY_SECONDS, clock: Callable[[], float] = time.monotonic
    ):
        self._file = StoreFile(path, busy_seconds, clock)
        self._glance = _Glance(path)
        self._thread = ThreadPoolExecutor(1, "store")
        self._upkeep: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Event] = set()
        self._problem: str | None = None
        self._closed = False

    @property
    def problem(self) -> str | None:
        """See Store."""
        return self._problem

    @property
    def warning(self) -> str | None:
        """See Store: there is nothing."""
        return None

    @property
    def following(self) -> bool:
        """See Store."""
        return True  # the file is here

    async def get(self, key: str) -> Item | None:
        """See Store."""
        check_key(key)
        return await self._run(self._file.get, key)

    async def list(self, prefix: str) -> Listing:
        """See Store."""
        check_key(prefix)
        return await self._run(self._file.list, prefix)

    async def commit(self, compares: Sequence[Compare], changes: Sequence[Put | Delete]) -> int | None:
        """See Store."""
        check_commit(compares, changes)
        revision = await self._run(self._file.commit, compares, changes)
        self._wake()
        return revision

    async def watch(self, prefix: str, after: int) -> AsyncGenerator[Events, None]:
        """See Store."""
        check_key(prefix)
        changed, history, answered = asyncio.Event(), None, False
        self._waiting.add(changed)
        try:
            while not self._closed:
                changed.clear()
                try:
                    events, history = await self._run(self._file.changes, prefix, after, history)
                except (UnavailableError, UsageError) as error:
                    if isinstance(error, UsageError) and not answered:
                        raise
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(RETRY_SECONDS):
                            await changed.wait()
                    continue
                answered = True
                if events.revision > after:
                    after = events.revision
                    yield events
                else:
                    await changed.wait()
        finally:
            self._waiting.discard(changed)

    async def grant(self, ttl: int) -> int:
        """See Store."""
        return await self._run(self._file.grant, ttl)

    async def keep_alive(self, lease: int) -> bool:
        """See Store."""
        return await self._run(self._file.keep_alive, lease)

    async def revoke(self, lease: int) -> None:
        """See Store."""
        await self._run(self._file.revoke, lease)
        self._wake()

    async def close(self) -> None:
        """See Store."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        self._glance.close()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
        self._thread.shutdown(wait=False)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the thread and return its result."""
        if self._closed:
            raise UnavailableError("the store is closed")
        if self._upkeep is None:
            self._upkeep = asyncio.create_task(self._keep_up(), name="store upkeep")
        try:
            result = await asyncio.wrap_future(self._thread.submit(function, *args, **kwargs))
        except (UnavailableError, UsageError) as error:
            self._problem = str(error)
            raise
        self._problem = None
        return result

    def _wake(self) -> None:
        for changed in self._waiting:
            changed.set()

    async def _keep_up(self) -> None:
        """Wake the watches when another process commits; end expired leases; shorten the log."""
        expired = compacted = time.monotonic()
        while True:
            await asyncio.sleep(GLANCE_SECONDS)
            now = time.monotonic()
            if self._waiting and self._glance.changed():
                self._wake()
            with contextlib.suppress(UnavailableError, UsageError):  # `problem` says it
                if now - expired >= EXPIRE_SECONDS:
                    expired = now
                    if await self._run(self._file.expire):
                        self._wake()
                if now - compacted >= COMPACT_SECONDS:
                    compacted = now
                    await self._run(self._file.compact)


class _Glance:
    """Tells whether any process changed the file since the last look. It never waits, and creates nothing."""

    def __init__(self, path: Path | None):
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._seen: tuple[object, ...] = ()

    def changed(self) -> bool:
        """Return whether the file changed since the last call; True if that is unknown."""
        if self._path is None:
            return False
        now = identity(self._path)
        try:
            if self._db is None or now != self._seen[0]:
                self.close()
                self._db = sqlite3.connect(
                    f"{self._path.absolute().as_uri()}?mode=ro", 0, isolation_level=None, uri=True
                )
            seen = (now, self._db.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            self.close()
            return True
        changed, self._seen = seen != self._seen, seen
        return changed

    def close(self) -> None:
        """Close this object's connection to the file."""
        if self._db is not None:
            self._db.close()
        self._db = None
        self._seen = ()
