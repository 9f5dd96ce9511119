# SPDX-License-Identifier: Apache-2.0
"""The interface of a store: keys with values, in the order of one revision counter, as in etcd v3.

A revision is a positive whole number that grows with every commit, one for all keys. A key's own revision
is that of the commit that last put it. Values are bytes, keys are text that begins with "/".
checks.py limits the size of a commit. docs/operators/store.md explains the store in full.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fastpath.errors import FastpathError, UsageError


class UnavailableError(FastpathError):
    """The store did not answer in time, or not at all. The commit may or may not have happened."""


class DeniedError(UsageError):
    """Our user of the store may not do this."""


class CompactedError(FastpathError):
    """The store no longer has the revisions that a watch asks for: list again, and watch from there."""


@dataclass(frozen=True, slots=True)
class Item:
    """A key with its value. `revision` is that of its last put, `lease` 0 if it has none; `created` is the revision
    since which the key exists, 0 if the store does not know."""

    key: str
    value: bytes
    revision: int
    lease: int = 0
    created: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """All items under a prefix as they were at `revision`, by key."""

    revision: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """A key was put, or deleted (`value` None), at `revision`. `created` is as in Item."""

    key: str
    value: bytes | None
    revision: int
    created: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Events:
    """Everything under the watched prefix up to and including `revision`, in order. Commits are never split.
    Without events, nothing happened up to `revision`."""

    revision: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition of a commit: `key` was last put at `revision`; 0: there is no such key. With `prefix`
    (only with revision 0): no key begins with `key`."""

    key: str
    revision: int = 0
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key; with a lease, the key is deleted when the lease ends."""

    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a key. No error if it does not exist."""

    key: str


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Credentials for etcd, and the CA that checks its identity. `ca`, `cert` and `key` are PEM files; any of
    them switches TLS on."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str | None = None
    password: str | None = None
    password_file: Path | None = None


class Store(Protocol):
    """Every method but `watch` raises UnavailableError if the store does not answer within a few
    seconds, or was closed, and UsageError if it refuses us (password, certificate, permission, a file that
    is not a store). Nothing is opened before the first call."""

    @property
    def problem(self) -> str | None:
        """The reason why the store does not answer at present, in one line, or None."""

    @property
    def warning(self) -> str | None:
        """What will keep the store from answering, in one line, or None: it may still answer at present."""

    @property
    def following(self) -> bool:
        """Whether every watch is connected at present. One that was not brings what happened meanwhile, soon after."""

    async def get(self, key: str) -> Item | None:
        """Return the current item, or None if the key does not exist."""

    async def list(self, prefix: str) -> Listing:
        """Return all items whose keys begin with `prefix`, from one snapshot, however many they are."""

    async def commit(self, compares: Sequence[Compare], changes: Sequence[Put | Delete]) -> int | None:
        """Make all changes at once if all conditions hold, and return the revision; otherwise change nothing and
        return None. Each key may be changed once. A commit that changes nothing takes no new revision. Raise
        LeaseGoneError for a put with a lease that is gone."""

    def watch(self, prefix: str, after: int) -> AsyncGenerator[Events, None]:
        """Yield the changes under `prefix` after revision `after`, until the store is closed. During an outage it
        waits; nothing is skipped. Raise CompactedError if a part is no longer known (also if the store's data was
        replaced, or has not reached `after`), UsageError if we may not watch; after the watch has worked once, a
        refusal counts as an outage. Close it with `aclose`."""

    async def grant(self, ttl: int) -> int:
        """Create a lease of `ttl` seconds; return its number, never 0."""

    async def keep_alive(self, lease: int) -> bool:
        """Restart the lease's time. Return False if the lease and its keys are gone."""

    async def revoke(self, lease: int) -> None:
        """End the lease, and delete its keys."""

    async def close(self) -> None:
        """End all watches and connections; leases go on until their time is over."""


class LeaseGoneError(FastpathError):
    """A put named a lease that does not exist or has ended."""
