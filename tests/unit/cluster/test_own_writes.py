# SPDX-License-Identifier: Apache-2.0
"""A host's commits show in its mirror at once, even if the store's watch lags behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastpath.control.api.operations import Operations
from fastpath.control.cluster import keys
from fastpath.control.cluster import mirror as mirror_module
from fastpath.control.cluster.ipam import DEFAULT_POOL
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.mirrored_store import MirroredStore
from fastpath.control.cluster.registry import Registry
from fastpath.control.model.objects import Network
from fastpath.control.model.requests import EndpointCreate, NetworkCreate
from fastpath.control.store.interface import Delete, Item, Listing, Put
from tests.support.control.docker_lab import NoReconciler, NoThread
from tests.support.control.lagging_store import LaggingStore
from tests.support.control.sites import LONG, until
from tests.support.examples import times


@contextlib.asynccontextmanager
async def lagging(file: Path | None = None) -> AsyncIterator[tuple[LaggingStore, Mirror]]:
    """A store, which is not empty, and a mirror that follows it."""
    store, mirror = LaggingStore(file), Mirror(None)
    await store.commit([], [Put(keys.NETWORKS_GUARD, b"")])
    following = asyncio.create_task(mirror.run(store))
    try:
        async with asyncio.timeout(LONG):
            await mirror.synced.wait()
            yield store, mirror
    finally:
        following.cancel()
        await store.close()


def value(name: str, vni: int) -> bytes:
    return Network.model_validate({"name": name, "vni": vni, "subnets": []}).model_dump_json().encode()


def test_users_need_not_wait_for_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "CATCH_UP_S", 0.5)

    async def play() -> None:
        async with lagging(tmp_path / "db") as (store, mirror):
            registry = Registry(MirroredStore(store, mirror), "h1", DEFAULT_POOL)
            operations = Operations("h1", mirror, registry, NoReconciler(), kernel=NoThread(), routed=lambda: ())  # type: ignore[arg-type]
            store.watching.toggle()
            await operations.create_network(NetworkCreate(name="blue"))
            assert set(mirror.networks) == {"blue"}
            made = await operations.create_endpoint(EndpointCreate(network="blue", sandbox="/proc/self/ns/net"))
            assert mirror.endpoints["blue"][made.id].state == "ready"
            await operations.remove_endpoint(made.id)
            assert mirror.endpoints == {}
            await operations.remove_network("blue")
            assert mirror.networks == {}
            store.watching.toggle()
            await mirror.reached((await store.list(keys.OBJECTS)).revision)
            assert (mirror.networks, mirror.endpoints) == ({}, {})

    asyncio.run(play())


def test_an_older_report_undoes_neither_a_write_nor_a_deletion() -> None:
    async def play() -> None:
        async with lagging() as (store, mirror):
            own = MirroredStore(store, mirror)
            seen: list[tuple[int | None, int | None]] = []

            def vni(name: str) -> int | None:
                return mirror.networks[name].vni if name in mirror.networks else None

            mirror.subscribe(lambda _: seen.append((vni("written"), vni("deleted"))))
            store.watching.toggle()
            for name in ("written", "deleted"):
                await store.commit([], [Put(keys.network(name), value(name, 256))])
            await own.commit([], [Put(keys.network("written"), value("written", 257)), Delete(keys.network("deleted"))])
            assert seen == [(257, None)]
            store.watching.toggle()
            await store.commit([], [Put(keys.network("last"), value("last", 300))])
            await until(lambda: "last" in mirror.networks)
            assert set(seen) == {(257, None)}

    asyncio.run(play())


def test_what_was_committed_while_a_listing_was_on_its_way() -> None:
    async def play() -> None:
        async with lagging() as (store, mirror):
            own = MirroredStore(store, mirror)
            for name in ("changed", "deleted"):
                await own.commit([], [Put(keys.network(name), value(name, 256))])
            store.listing.toggle()
            store.forgotten = True
            await store.commit([], [Put(keys.network("other"), value("other", 300))])
            await until(lambda: not store.forgotten)
            await asyncio.sleep(0.05)  # the listing is taken
            await own.commit([], [Put(keys.network("new"), value("new", 258)), Delete(keys.network("deleted"))])
            await own.commit([], [Put(keys.network("changed"), value("changed", 257))])
            store.watching.toggle()
            store.listing.toggle()
            await until(lambda: "other" in mirror.networks)
            assert {name: network.vni for name, network in mirror.networks.items()} == {
                "changed": 257,
                "new": 258,
                "other": 300,
            }

    asyncio.run(play())


def test_what_a_restored_store_does_not_have_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup may be older than what this host wrote last, before the watch reported it."""

    async def play() -> None:
        async with lagging() as (store, mirror):
            store.watching.toggle()
            await MirroredStore(store, mirror).commit([], [Put(keys.network("new"), value("new", 257))])
            assert set(mirror.networks) == {"new"}

            async def restored(_: str) -> Listing:
                store.watching.toggle()  # the watch is of the store as it was
                return Listing(2, (Item(keys.network("old"), value("old", 256), 2),))

            monkeypatch.setattr(store, "list", restored)
            store.forgotten = True
            store.watching.toggle()
            await until(lambda: set(mirror.networks) == {"old"})

    asyncio.run(play())


NAMES = ("a", "b", "c")
WRITES = st.tuples(
    st.sampled_from(["own", "own, answered late", "other"]),
    st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), min_size=1, max_size=3, unique_by=lambda w: w[0]),
)
STEPS = st.lists(
    WRITES | st.sampled_from(["answer", "watching", "listing", "forget", "pause", "pause"]), min_size=1, max_size=25
)


class Play:
    """A history of the store, and what the mirror may show of it."""

    def __init__(self, store: LaggingStore, mirror: Mirror) -> None:
        self.store, self.mirror = store, mirror
        self.own = MirroredStore(store, mirror)
        self.history: dict[str, list[int | None]] = {name: [None] for name in NAMES}  # VNIs
        self.least = dict.fromkeys(NAMES, 0)  # which entry of the history the mirror shows, at least
        self.late: list[tuple[int, list[Put | Delete], dict[str, int]]] = []
        self.vni = 256

    async def write(self, who: str, names: list[tuple[str, bool]]) -> None:
        changes: list[Put | Delete] = []
        for name, put in names:
            self.vni += 1
            changes.append(Put(keys.network(name), value(name, self.vni)) if put else Delete(keys.network(name)))
            self.history[name].append(self.vni if put else None)  # first: the watch may report it before the answer
        entries = {name: len(self.history[name]) - 1 for name, _ in names}
        if who == "own":
            await self.own.commit([], changes)
            self.answered(entries)
        else:
            revision = await self.store.commit([], changes)
            assert revision is not None
            if who != "other":
                self.late.append((revision, changes, entries))

    def answer(self) -> None:
        if self.late:
            revision, changes, entries = self.late.pop(0)
            self.mirror.committed(revision, changes)
            self.answered(entries)

    def answered(self, entries: dict[str, int]) -> None:
        for name, entry in entries.items():
            self.least[name] = max(self.least[name], entry)

    def check(self) -> None:
        for name in NAMES:
            shown = self.mirror.networks[name].vni if name in self.mirror.networks else None
            later = self.history[name][self.least[name] :]
            fits = [n for n, vni in enumerate(later) if vni == shown]
            assert fits, f"{name} shows {shown}, which is older than {later}"
            self.least[name] += fits[0]


@settings(max_examples=times(1.5))
@given(STEPS)
@example([("own, answered late", [("b", True)]), ("own", [("b", False)]), "forget", ("own", [("a", False)])])
def test_no_history_takes_the_mirror_back(steps: list[object]) -> None:
    async def play() -> None:
        async with lagging() as (store, mirror):
            game = Play(store, mirror)
            mirror.subscribe(lambda _: game.check())
            for step in steps:
                if isinstance(step, tuple):
                    await game.write(*step)
                elif step == "answer":
                    game.answer()
                elif step == "forget":
                    store.forgotten = True
                elif step == "pause":
                    await asyncio.sleep(0.002)
                else:
                    getattr(store, str(step)).toggle()
                game.check()
            store.watching.open.set()
            store.listing.open.set()
            while game.late:
                game.answer()
                game.check()
            await store.commit([], [Put(keys.network("last"), value("last", 9999))])
            await until(lambda: "last" in mirror.networks)
            for name in NAMES:
                shown = mirror.networks[name].vni if name in mirror.networks else None
                assert shown == game.history[name][-1]

    asyncio.run(play())
