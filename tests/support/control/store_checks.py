# SPDX-License-Identifier: Apache-2.0
"""What control/store/interface.py promises, as checks that every store has to pass.

A check is given a way to open the same store again and again, as different hosts do. It waits for conditions, with
generous deadlines, never for times.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from fastpath.control.store.interface import (
    CompactedError,
    Compare,
    Delete,
    Event,
    Events,
    LeaseGoneError,
    Put,
    Store,
)
from fastpath.errors import UsageError

LONG = 60.0  # seconds that anything may take here
ROOT = "/fastpath/v1/objects/"


@dataclass
class Bed:
    """A store that is there for one check."""

    make: Callable[[], Store]
    opened: list[Store] = field(default_factory=list)

    def open(self) -> Store:
        self.opened.append(self.make())
        return self.opened[-1]

    async def close(self) -> None:
        for store in self.opened:
            await store.close()


Check = Callable[[Bed], Awaitable[None]]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


async def run_check(function: Check, make: Callable[[], Store]) -> None:
    bed = Bed(make)
    try:
        async with asyncio.timeout(4 * LONG):
            await function(bed)
    finally:
        await bed.close()


@contextlib.asynccontextmanager
async def watching(store: Store, prefix: str, after: int) -> AsyncIterator[AsyncGenerator[Events, None]]:
    watch = store.watch(prefix, after)
    try:
        yield watch
    finally:
        await watch.aclose()


async def take(watch: AsyncGenerator[Events, None], count: int) -> list[Event]:
    """So many events at least, whole commits."""
    events: list[Event] = []
    async with asyncio.timeout(LONG):
        while len(events) < count:
            events += (await anext(watch)).events
    return events


async def all_of(watch: AsyncGenerator[Events, None]) -> list[Event]:
    async with asyncio.timeout(LONG):
        return [event async for events in watch for event in events.events]


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LONG):
        while not await condition():
            await asyncio.sleep(0.05)


async def put(store: Store, key: str, value: bytes, lease: int = 0) -> int:
    revision = await store.commit([], [Put(key, value, lease)])
    assert revision is not None
    return revision


@check
async def values_are_as_they_were_put(bed: Bed) -> None:
    store, other = bed.open(), bed.open()
    assert await store.get(ROOT + "a") is None
    first = await put(store, ROOT + "a", b"\0\xff")
    second = await put(store, ROOT + "a", b"")
    assert second > first > 0
    found = await other.get(ROOT + "a")
    assert found is not None
    assert (found.key, found.value, found.revision, found.lease) == (ROOT + "a", b"", second, 0)
    assert store.problem is None


@check
async def a_list_has_what_begins_with_the_prefix_in_order(bed: Bed) -> None:
    store = bed.open()
    for name in ("b/2", "b/1", "b", "c", "a", "b0", "b/\u00e4", "b/\U0010ffff"):
        await put(store, ROOT + name, name.encode())
    listing = await store.list(ROOT + "b/")
    assert [item.key for item in listing.items] == [ROOT + "b/" + tail for tail in ("1", "2", "\u00e4", "\U0010ffff")]
    assert listing.items[0].value == b"b/1"
    assert listing.revision == max(item.revision for item in (await store.list(ROOT)).items)
    assert (await store.list(ROOT + "none/")).items == ()


@check
async def a_commit_is_done_as_a_whole_or_not_at_all(bed: Bed) -> None:
    store = bed.open()
    before = await put(store, ROOT + "a", b"1")
    changes: list[Put | Delete] = [Put(ROOT + "a", b"2"), Put(ROOT + "b", b"2"), Delete(ROOT + "none")]
    assert await store.commit([Compare(ROOT + "a", before), Compare(ROOT + "b", before)], changes) is None
    assert await store.commit([Compare(ROOT + "a")], changes) is None
    assert await store.get(ROOT + "b") is None
    revision = await store.commit([Compare(ROOT + "a", before), Compare(ROOT + "b")], changes)
    assert revision == before + 1
    listing = await store.list(ROOT)
    assert [(item.value, item.revision) for item in listing.items] == [(b"2", revision)] * 2
    assert listing.revision == revision


@check
async def a_condition_on_a_prefix_is_that_nothing_is_there(bed: Bed) -> None:
    store = bed.open()
    empty = Compare(ROOT + "net/", prefix=True)
    assert await store.commit([empty], [Put(ROOT + "net/x", b"1")]) is not None
    assert await store.commit([empty], [Put(ROOT + "other", b"1")]) is None
    assert await store.commit([], [Delete(ROOT + "net/x")]) is not None
    assert await store.commit([empty], [Put(ROOT + "net", b"1")]) is not None
    assert await store.commit([empty], [Put(ROOT + "other", b"1")]) is not None


@check
async def a_commit_that_changes_nothing_takes_no_revision(bed: Bed) -> None:
    store = bed.open()
    revision = await put(store, ROOT + "a", b"1")
    assert await store.commit([], [Delete(ROOT + "none")]) == revision
    assert await store.commit([Compare(ROOT + "a", revision)], []) == revision


@check
async def what_is_too_large_is_refused(bed: Bed) -> None:
    store = bed.open()
    many = [Put(f"{ROOT}{number:03}", b"") for number in range(128)]
    assert await store.commit([Compare(change.key) for change in many], many) is not None
    with pytest.raises(UsageError):
        await store.commit([], [*many, Put(ROOT + "more", b"")])
    assert await put(store, ROOT + "a", bytes((1 << 20) - 100))
    with pytest.raises(UsageError):
        await put(store, ROOT + "a", bytes(1 << 20))
    wrong: list[tuple[list[Compare], list[Put | Delete]]] = [
        ([], [Put(ROOT + "a", b""), Delete(ROOT + "a")]),
        ([], [Put("a", b"")]),
        ([Compare(ROOT, 1, prefix=True)], []),
    ]
    for compares, changes in wrong:
        with pytest.raises(ValueError, match=r"commit|condition|key"):
            await store.commit(compares, changes)


@check
async def of_many_that_want_one_key_one_gets_it(bed: Bed) -> None:
    stores = [bed.open() for _ in range(8)]

    async def claim(store: Store, number: int) -> bool:
        key = f"/fastpath/v1/claims/{number}"
        return await store.commit([Compare(key)], [Put(key, b"")]) is not None

    for number in range(10):
        assert sum(await asyncio.gather(*(claim(store, number) for store in stores))) == 1


@check
async def a_counter_loses_no_count(bed: Bed) -> None:
    stores = [bed.open() for _ in range(4)]

    async def count(store: Store) -> None:
        for _ in range(10):
            while True:
                item = await store.get(ROOT + "count")
                value = str(int(item.value) + 1 if item else 1).encode()
                compare = Compare(ROOT + "count", item.revision if item else 0)
                if await store.commit([compare], [Put(ROOT + "count", value)]) is not None:
                    break

    await asyncio.gather(*(count(store) for store in stores))
    item = await stores[0].get(ROOT + "count")
    assert item is not None
    assert item.value == b"40"


@check
async def a_watch_sees_every_commit_once_and_whole(bed: Bed) -> None:
    store, other = bed.open(), bed.open()
    start = (await store.list(ROOT)).revision
    async with watching(store, ROOT, start) as watch:
        later = asyncio.create_task(take(watch, 6))
        await asyncio.sleep(0)
        one = await other.commit([], [Put(ROOT + "b", b"1"), Put(ROOT + "a", b"1")])
        await put(other, "/fastpath/v1/claims/x", b"")
        two = await store.commit([], [Delete(ROOT + "b"), Put(ROOT + "c", b""), Delete(ROOT + "none")])
        three = await other.commit([], [Delete(ROOT + "a"), Delete(ROOT + "c")])
        assert one is not None
        assert two is not None
        assert three is not None
        events = await later
    expected = {
        (ROOT + "b", b"1", one),
        (ROOT + "a", b"1", one),
        (ROOT + "b", None, two),
        (ROOT + "c", b"", two),
        (ROOT + "a", None, three),
        (ROOT + "c", None, three),
    }
    assert {(event.key, event.value, event.revision) for event in events} == expected
    assert len(events) == 6
    assert [event.revision for event in events] == sorted(event.revision for event in events)


@check
async def a_watch_begins_where_it_is_told(bed: Bed) -> None:
    store = bed.open()
    revisions = [await put(store, f"{ROOT}{number}", b"") for number in range(5)]
    async with watching(store, ROOT, revisions[1]) as watch:
        assert [event.revision for event in await take(watch, 3)] == revisions[2:]


@check
async def commits_are_never_cut_apart(bed: Bed) -> None:
    store = bed.open()
    start = (await store.list(ROOT)).revision
    value = bytes(9000)  # 60 commits of 1.1 MB: etcd sends them in fragments
    for number in range(60):
        await store.commit([], [Put(f"{ROOT}{key:03}", value + str(number).encode()) for key in range(116)])
    seen = 0
    async with watching(store, ROOT, start) as watch, asyncio.timeout(LONG):
        while seen < 60 * 116:
            events = await anext(watch)
            assert len(events.events) % 116 == 0
            assert all(event.revision <= events.revision for event in events.events)
            seen += len(events.events)


@check
async def several_watches_run_beside_each_other(bed: Bed) -> None:
    store = bed.open()
    start = (await store.list(ROOT)).revision
    async with watching(store, ROOT + "a/", start) as one, watching(store, ROOT + "b/", start) as two:
        first, second = asyncio.create_task(take(one, 1)), asyncio.create_task(take(two, 1))
        await put(store, ROOT + "a/1", b"")
        await put(store, ROOT + "b/1", b"")
        assert [event.key for event in await first] == [ROOT + "a/1"]
        assert [event.key for event in await second] == [ROOT + "b/1"]


@check
async def a_watch_beyond_the_present_says_that_the_data_is_another(bed: Bed) -> None:
    store = bed.open()
    revision = await put(store, ROOT + "a", b"")
    async with watching(store, ROOT, revision + 1000) as watch, asyncio.timeout(LONG):
        with pytest.raises(CompactedError):
            await anext(watch)


@check
async def a_watch_ends_with_its_store(bed: Bed) -> None:
    store = bed.open()
    revision = await put(store, ROOT + "a", b"")
    async with watching(store, ROOT, revision) as watch:
        waiting = asyncio.create_task(all_of(watch))
        await asyncio.sleep(0.2)
        await store.close()
        assert await waiting == []


@check
async def a_cancelled_watch_leaves_the_store_usable(bed: Bed) -> None:
    store = bed.open()
    revision = await put(store, ROOT + "a", b"")
    async with watching(store, ROOT, revision) as watch:
        waiting = asyncio.create_task(take(watch, 1))
        await asyncio.sleep(0.2)
        waiting.cancel()
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
    assert await store.get(ROOT + "a") is not None


@check
async def a_lease_takes_its_keys_along(bed: Bed) -> None:
    store, other = bed.open(), bed.open()
    assert await other.get(ROOT + "peer") is None  # it is connected: the lease lasts for what is left to do
    lease = await store.grant(5)
    assert lease != 0
    revision = await put(store, ROOT + "peer", b"1", lease)
    item = await other.get(ROOT + "peer")
    assert item is not None
    assert item.lease == lease
    async with watching(other, ROOT, revision) as watch:
        assert [(event.key, event.value) for event in await take(watch, 1)] == [(ROOT + "peer", None)]
    assert await store.get(ROOT + "peer") is None
    assert await store.keep_alive(lease) is False
    with pytest.raises(LeaseGoneError):
        await put(store, ROOT + "peer", b"1", lease)


@check
async def a_lease_that_is_kept_alive_stays(bed: Bed) -> None:
    store = bed.open()
    lease, witness = await store.grant(60), await store.grant(5)
    await put(store, ROOT + "peer", b"1", lease)
    await put(store, ROOT + "witness", b"1", witness)

    async def witness_gone() -> bool:
        assert await store.keep_alive(lease)
        return await store.get(ROOT + "witness") is None

    await eventually(witness_gone)
    assert await store.get(ROOT + "peer") is not None


@check
async def a_lease_that_is_revoked_takes_its_keys_along_at_once(bed: Bed) -> None:
    store = bed.open()
    lease, other = await store.grant(60), await store.grant(60)
    await put(store, ROOT + "a", b"1", lease)
    await put(store, ROOT + "b", b"1", lease)
    await put(store, ROOT + "a", b"2", other)  # it is the last put that counts
    await put(store, ROOT + "c", b"1", lease)
    await put(store, ROOT + "c", b"2")
    await store.revoke(lease)
    assert [item.key for item in (await store.list(ROOT)).items] == [ROOT + "a", ROOT + "c"]
    assert await store.keep_alive(lease) is False
    await store.revoke(lease)
