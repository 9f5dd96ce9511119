# SPDX-License-Identifier: Apache-2.0
"""One transaction with the store: read, decide, commit if nothing changed meanwhile; try again if another host was
first."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastpath.control.store.interface import Compare, Delete, Item, LeaseGoneError, Put, Store, UnavailableError
from fastpath.errors import ConflictError

ATTEMPTS = 200  # lost races in a row before the caller is told; each was won by another host

R = TypeVar("R")


class LostRaceError(ConflictError):
    """Other hosts were first every time."""


class ReadView:
    """The store, as one attempt reads it. Every key read by `get` must be unchanged when the attempt is committed;
    what `list` found may change, unless the plan names a condition."""

    def __init__(self, store: Store, attempt: int) -> None:
        self.attempt = attempt  # 0 is the first
        self.compares: dict[str, Compare] = {}
        self._store = store

    async def get(self, key: str) -> Item | None:
        """Return the item; the commit depends on it, also where there is none."""
        item = await self._store.get(key)
        self.compares[key] = Compare(key, item.revision if item is not None else 0)
        return item

    async def list(self, prefix: str) -> tuple[Item, ...]:
        """Return all items under a prefix."""
        return (await self._store.list(prefix)).items


@dataclass(frozen=True)
class Planned(Generic[R]):
    """What an attempt decided: the caller's `result`, once `changes` are done, under further conditions `compares`.

    Without changes nothing is committed, and the caller gets `revision`. `unsure` is added to the error where the store
    does not say whether it did the changes."""

    result: R
    changes: Sequence[Put | Delete] = ()
    compares: Sequence[Compare] = ()
    revision: int = 0
    unsure: str = ""


async def transact(
    store: Store,
    what: str,
    plan: Callable[[ReadView], Awaitable[Planned[R] | None]],
    *,
    lease_gone: Callable[[], None] | None = None,
    attempts: int = ATTEMPTS,
) -> tuple[R, int]:
    """Return the result of the plan that was committed, and the revision. `plan` refuses by raising, and returns None
    to be asked again. `lease_gone` is called where a put names a lease that is gone, before the next attempt; without
    it LeaseGoneError is raised. Raise LostRaceError, which names `what`, after so many attempts."""
    for attempt in range(attempts):
        view = ReadView(store, attempt)
        planned = await plan(view)
        if planned is not None:
            if not planned.changes:
                return planned.result, planned.revision
            conditions = view.compares | {compare.key: compare for compare in planned.compares}
            try:
                revision = await store.commit([*conditions.values()], planned.changes)
            except LeaseGoneError:
                if lease_gone is None:
                    raise
                lease_gone()
                revision = None
            except UnavailableError as error:
                if not planned.unsure:
                    raise
                raise UnavailableError(f"{error}; {planned.unsure}") from error
            if revision is not None:
                return planned.result, revision
        await asyncio.sleep(random.random() * min(0.1, 0.002 * (attempt + 1)))  # noqa: S311  # only to part rivals
    raise LostRaceError(f"{what}: other hosts were first {attempts} times, try again")
