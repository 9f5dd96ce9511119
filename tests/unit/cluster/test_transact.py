# SPDX-License-Identifier: Apache-2.0
"""A transaction: its conditions, its retries, and its end without success."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from fastpath.control.cluster.transact import LostRaceError, Planned, ReadView, transact
from fastpath.control.store.interface import Compare, Delete, LeaseGoneError, Put, UnavailableError
from fastpath.control.store.sqlite.store import SqliteStore
from fastpath.errors import ConflictError


def run(path: Path, play: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def playing() -> None:
        store = SqliteStore(path / "store.db")
        try:
            await play(store)
        finally:
            await store.close()

    asyncio.run(playing())


async def value(store: SqliteStore, key: str) -> bytes | None:
    item = await store.get(key)
    return item.value if item is not None else None


@pytest.mark.parametrize("before", [None, b"0"])
def test_what_was_read_must_be_unchanged(tmp_path: Path, before: bytes | None) -> None:
    async def play(store: SqliteStore) -> None:
        if before is not None:
            await store.commit([], [Put("/a", before)])
        seen = []

        async def plan(view: ReadView) -> Planned[str]:
            item = await view.get("/a")
            seen.append((view.attempt, item.value if item is not None else None))
            if view.attempt == 0:
                await store.commit([], [Put("/a", b"another's")])
            return Planned("done", [Put("/b", b"1")])

        result, revision = await transact(store, "it", plan)
        found = await store.get("/b")
        assert found is not None
        assert (result, revision) == ("done", found.revision)
        assert seen == [(0, before), (1, b"another's")]

    run(tmp_path, play)


def test_what_was_listed_may_change_unless_a_condition_names_it(tmp_path: Path) -> None:
    async def play(store: SqliteStore) -> None:
        listed = []

        async def plan(view: ReadView, conditions: Sequence[Compare]) -> Planned[int]:
            listed.append([item.key for item in await view.list("/l/")])
            if view.attempt == 0:
                await store.commit([], [Put(f"/l/{len(listed)}", b"")])
            return Planned(view.attempt, [Put("/b", b"1")], conditions)

        assert (await transact(store, "it", lambda view: plan(view, [])))[0] == 0
        assert (await transact(store, "it", lambda view: plan(view, [Compare("/l/2")] if view.attempt == 0 else [])))[
            0
        ] == 1
        assert listed == [[], ["/l/1"], ["/l/1", "/l/2"]]

    run(tmp_path, play)


def test_a_race_lost_every_time_is_told(tmp_path: Path) -> None:
    async def play(store: SqliteStore) -> None:
        tries = []

        async def plan(view: ReadView) -> Planned[None]:
            tries.append(view.attempt)
            return Planned(None, [Put("/b", b"1")], [Compare("/none", 7)])

        with pytest.raises(LostRaceError, match="the thing: other hosts were first 3 times, try again"):
            await transact(store, "the thing", plan, attempts=3)
        assert tries == [0, 1, 2]
        assert await value(store, "/b") is None

    run(tmp_path, play)


def test_nothing_is_committed_without_changes_nor_by_a_refusal(tmp_path: Path) -> None:
    async def play(store: SqliteStore) -> None:
        async def nothing(view: ReadView) -> Planned[str] | None:
            return Planned("as it is", revision=4) if view.attempt == 2 else None

        async def refuse(_: ReadView) -> Planned[None]:
            raise ConflictError("no")

        before = (await store.list("/")).revision
        assert await transact(store, "it", nothing) == ("as it is", 4)
        with pytest.raises(ConflictError, match=r"^no$"):
            await transact(store, "it", refuse)
        assert (await store.list("/")).revision == before

    run(tmp_path, play)


def test_a_lease_that_is_gone_is_replaced(tmp_path: Path) -> None:
    async def play(store: SqliteStore) -> None:
        lease = 12345

        def another() -> None:
            nonlocal lease
            lease = 0

        async def plan(_: ReadView) -> Planned[None]:
            return Planned(None, [Put("/a", b"1", lease)])

        with pytest.raises(LeaseGoneError):
            await transact(store, "it", plan)
        await transact(store, "it", plan, lease_gone=another)
        assert await value(store, "/a") == b"1"

    run(tmp_path, play)


class Silent(SqliteStore):
    """Answers questions, but no commit."""

    async def commit(self, compares: Sequence[Compare], changes: Sequence[Put | Delete]) -> int | None:
        raise UnavailableError("no answer")


@pytest.mark.parametrize(("unsure", "said"), [("", "^no answer$"), ("see there", "^no answer; see there$")])
def test_what_may_have_happened_is_told(tmp_path: Path, unsure: str, said: str) -> None:
    async def play() -> None:
        store = Silent(tmp_path / "store.db")

        async def plan(_: ReadView) -> Planned[None]:
            return Planned(None, [Put("/a", b"1")], unsure=unsure)

        with pytest.raises(UnavailableError, match=said):
            await transact(store, "it", plan)
        await store.close()

    asyncio.run(play())
