# SPDX-License-Identifier: Apache-2.0
"""What a store must do: keys with values, in the order of one revision counter, as etcd v3 has them.

A revision is a positive whole number that grows with every commit, one for all keys. A key's own revision
is that of the commit that last put it. Values are bytes, keys are text that begins with "/".
How much a commit may hold is in checks.py. docs/store.md tells the whole.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fastpath.errors import FastpathError


class UnavailableError(FastpathError):
    """The store did not answer in time, or not at all. The commit may or may not have happened."""


class CompactedError(FastpathError):
    """The revisions that a watch asks for are forgotten: list again, and watch from there."""


@dataclass(frozen=True, slots=True)
class Item:
    """A key with its value. `revision` is that of its last put, `lease` 0 where it has none."""

    key: str
    value: bytes
    revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """All items under a prefix as they were at `revision`, by key."""

    revision: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """A key was put, or deleted (`value` None), at `revision`."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Events:
    """Everything under the watched prefix up to and with `revision`, in order. Commits are never cut apart.
    Without events, it says that nothing happened up to there."""

    revision: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition of a commit: `key` was last put at `revision`; 0: there is no such key. With `prefix`,
    which goes with revision 0 only: there is no key that begins with `key`."""

    key: str
    revision: int = 0
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key; with a lease it goes when the lease goes."""

    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a key. No error where it is not there."""

    key: str


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Credentials for etcd, and how to check its identity. `ca`, `cert` and `key` are PEM files; any of
    them means TLS."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str | None = None
    password: str | None = None
    password_file: Path | None = None


class Store(Protocol):
    """Every method but `watch` raises UnavailableError if the store does not answer within a few
    seconds, or was closed, and UsageError where it refuses us (password, certificate, permission, a file that
    is no store). Nothing is opened before the first call."""

    @property
    def problem(self) -> str | None:
        """Why the store does not answer at present, in one line, or None."""

    async def get(self, key: str) -> Item | None:
        """Return the present value, None if there is none."""

    async def list(self, prefix: str) -> Listing:
        """Return all items whose keys begin with `prefix`, from one snapshot, however many they are."""

    async def commit(self, compares: Sequence[Compare], changes: Sequence[Put | Delete]) -> int | None:
        """Do all changes at once if all conditions hold; return the revision. Do nothing and return None if one
        does not hold. Each key may be changed once. What changes nothing takes no new revision. A put with a
        lease that is gone raises LeaseGoneError."""

    def watch(self, prefix: str, after: int) -> AsyncGenerator[Events, None]:
        """Yield what happens under `prefix` after revision `after`, until the store is closed: an outage only makes it
        wait, and nothing is skipped. Raise CompactedError where a part is no longer known (also where the
        store's data was replaced by others, or has not reached `after`), UsageError where we may not watch; once it
        could watch, being refused is an outage, too. Close it with `aclose`."""

    async def grant(self, ttl: int) -> int:
        """Create a lease of `ttl` seconds; return its number, never 0."""

    async def keep_alive(self, lease: int) -> bool:
        """Restart the lease's time. Return False if it is gone, with its keys."""

    async def revoke(self, lease: int) -> None:
        """End the lease, and delete its keys."""

    async def close(self) -> None:
        """End all watches and connections; leases run on until their time is over."""


class LeaseGoneError(FastpathError):
    """A put named a lease that does not exist (any more)."""
