# SPDX-License-Identifier: Apache-2.0
"""The etcd store through restarts, outages, lost data and lost members. Nothing here measures time: what has to happen
is waited for."""

import asyncio
import contextlib
import os
import re
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from fastpath.control.store.interface import CompactedError, Compare, Delete, Events, Put, Store, UnavailableError
from fastpath.control.store.open import open_store
from tests.support.control.store_checks import LONG, ROOT, eventually, put, take, watching
from tests.support.ports import free_tcp_port
from tests.support.servers.etcd_server import Etcd, cluster, impatient, patient


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    with Etcd(tmp_path) as server:
        yield server


def run(scenario: Callable[[Store], Awaitable[None]], url: str) -> None:
    async def opened() -> None:
        store = open_store(url)
        try:
            async with asyncio.timeout(4 * LONG):
                await scenario(store)
        finally:
            await store.close()

    asyncio.run(opened())


async def answers(store: Store) -> bool:
    try:
        await store.get(ROOT)
    except UnavailableError:
        return False
    return True


async def next_of(watch: AsyncGenerator[Events, None]) -> Events:
    """A coroutine, for a task."""
    return await anext(watch)


@pytest.mark.parametrize("how", [Etcd.stop, Etcd.kill])
def test_a_watch_goes_on_after_a_restart_and_skips_nothing(etcd: Etcd, how: Callable[[Etcd], None]) -> None:
    async def scenario(store: Store) -> None:
        first = await put(store, ROOT + "a", b"1")
        async with watching(store, ROOT, first - 1) as watch:
            await take(watch, 1)
            waiting = asyncio.create_task(take(watch, 3))
            for number in range(3):
                how(etcd)
                await asyncio.sleep(0.3)
                etcd.start()
                etcd.put(f"{ROOT}{number}", b"")  # before the watch is back, as likely as not
            assert [event.key for event in await waiting] == [f"{ROOT}{number}" for number in range(3)]
        assert store.problem is None

    run(scenario, etcd.url)


def test_without_etcd_calls_fail_and_say_why(etcd: Etcd) -> None:
    async def scenario(store: Store) -> None:
        await put(store, ROOT + "a", b"1")
        etcd.kill()
        with impatient():
            with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:\d+: Connection refused"):
                await store.get(ROOT + "a")
            assert store.problem is not None
            assert "\n" not in store.problem
            with pytest.raises(UnavailableError):
                await store.commit([], [Put(ROOT + "a", b"2")])
            with pytest.raises(UnavailableError):
                await store.grant(10)
            with pytest.raises(UnavailableError):
                await store.keep_alive(10)
        etcd.start()
        await eventually(lambda: answers(store))
        assert store.problem is None

    run(scenario, etcd.url)


def test_the_problem_of_a_watch_is_told_and_taken_back(etcd: Etcd) -> None:
    async def scenario(store: Store) -> None:
        revision = await put(store, ROOT + "a", b"1")

        async def has_problem() -> bool:
            return store.problem is not None

        async def has_none() -> bool:
            return store.problem is None

        async def is_following() -> bool:
            return store.following

        async with watching(store, ROOT, revision) as watch:
            waiting = asyncio.create_task(take(watch, 1))
            await asyncio.sleep(0.2)
            await eventually(is_following)
            etcd.kill()
            await eventually(has_problem)
            assert not store.following
            etcd.start()
            await eventually(has_none)
            await eventually(is_following)  # a call that succeeds is not yet a watch that goes on
            await put(store, ROOT + "b", b"1")
            await waiting
            assert store.following

    run(scenario, etcd.url)


def test_an_etcd_that_hangs_is_an_outage_too(etcd: Etcd) -> None:
    async def scenario(store: Store) -> None:
        revision = await put(store, ROOT + "a", b"1")
        async with watching(store, ROOT, revision) as watch:
            waiting = asyncio.create_task(take(watch, 1))
            await asyncio.sleep(0.2)
            etcd.pause()
            with impatient():
                with pytest.raises(UnavailableError, match="does not answer"):
                    await store.get(ROOT + "a")
                with pytest.raises(UnavailableError, match="does not answer"):
                    await store.keep_alive(1)
            etcd.resume()
            await eventually(lambda: answers(store))
            etcd.put(ROOT + "b", b"")
            assert [event.key for event in await waiting] == [ROOT + "b"]

    run(scenario, etcd.url)


def test_etcd_may_come_later_than_we(tmp_path: Path) -> None:
    etcd = Etcd(tmp_path)

    async def scenario(store: Store) -> None:
        with impatient(), pytest.raises(UnavailableError):
            await store.list(ROOT)
        with etcd:
            await eventually(lambda: answers(store))

    run(scenario, etcd.url)


def test_what_was_compacted_during_a_gap_has_to_be_listed_anew(etcd: Etcd) -> None:
    async def scenario(store: Store) -> None:
        revision = await put(store, ROOT + "a", b"1")
        async with watching(store, ROOT, revision) as watch:
            waiting = asyncio.create_task(next_of(watch))
            await asyncio.sleep(0.2)
            etcd.kill()
            etcd.launch()  # it may be back with the watch before it is compacted: both is well
            etcd.wait()
            etcd.put(ROOT + "b", b"")
            etcd.put(ROOT + "c", b"")
            await asyncio.gather(waiting, return_exceptions=True)
        compacted = etcd.compact()
        async with watching(store, ROOT, revision) as watch, asyncio.timeout(LONG):
            with pytest.raises(CompactedError):
                await anext(watch)
        listing = await store.list(ROOT)
        assert listing.revision == compacted
        async with watching(store, ROOT, listing.revision) as watch:
            later = asyncio.create_task(take(watch, 1))
            await put(store, ROOT + "d", b"")
            assert [event.key for event in await later] == [ROOT + "d"]

    run(scenario, etcd.url)


@pytest.mark.parametrize("more", [0, 20], ids=["behind", "ahead"])
def test_data_that_was_replaced_is_noticed(etcd: Etcd, more: int) -> None:
    async def scenario(store: Store) -> None:
        for _ in range(5):
            revision = await put(store, ROOT + "a", b"1")
        for _ in range(3):  # every start raises its raft term, which the new one's does not reach then
            etcd.stop()
            etcd.start()
        async with watching(store, ROOT, revision - 1) as watch:
            await take(watch, 1)
            waiting = asyncio.create_task(next_of(watch))
            await asyncio.sleep(0.2)
            etcd.kill()
            etcd.wipe()
            # So that the watch is not back before the puts, they are made elsewhere.
            port, other = free_tcp_port(), etcd.place
            etcd.place = type(other)(other.name, port, other.peer_port)
            etcd.start()
            for number in range(more):
                etcd.put(f"{ROOT}{number}", b"")
            etcd.stop()
            etcd.place = other
            etcd.start()
            with pytest.raises(CompactedError):
                await waiting

    run(scenario, etcd.url)


def test_a_lease_lasts_through_a_restart_and_then_runs_out(etcd: Etcd) -> None:
    async def scenario(store: Store) -> None:
        lease = await store.grant(6)
        revision = await put(store, ROOT + "peer", b"1", lease)
        etcd.kill()
        etcd.start()
        await eventually(lambda: answers(store))
        assert await store.keep_alive(lease)
        async with watching(store, ROOT, revision) as watch:
            assert [event.value for event in await take(watch, 1)] == [None]
        assert await store.keep_alive(lease) is False

    run(scenario, etcd.url)


def test_thirty_thousand_keys_are_listed_at_one_revision(etcd: Etcd) -> None:
    async def scenario(store: Store) -> None:
        async def fill(part: int) -> None:
            for batch in range(part, 240, 8):
                value = b"x" * 300  # 9 MB in all: twice what gRPC takes in one message
                await store.commit([], [Put(f"{ROOT}{batch:03}/{number:03}", value) for number in range(125)])

        await asyncio.gather(*(fill(part) for part in range(8)))
        stop = asyncio.Event()

        async def disturb() -> None:
            while not stop.is_set():
                # Both or none are to be seen: the first and the last key, which are pages apart.
                value = str(await put(store, "/fastpath/v1/claims/x", b"")).encode()
                await store.commit([], [Put(ROOT + "000/000", value), Put(ROOT + "239/124", value)])

        disturber = asyncio.create_task(disturb())
        for _ in range(5):
            listing = await store.list(ROOT)
            assert len(listing.items) == 30_000
            assert listing.items[0].value == listing.items[-1].value
            assert listing.items[0].revision <= listing.revision
        stop.set()
        await disturber
        # … and a watch from the beginning gets them all, too.
        async with watching(store, ROOT, 1) as watch:
            events = await take(watch, 30_000)
        assert {event.key for event in events} == {item.key for item in listing.items}

    with patient():
        run(scenario, etcd.url)


def test_a_dead_member_does_not_matter(etcd: Etcd) -> None:
    dead = free_tcp_port()

    async def scenario(store: Store) -> None:
        revision = await put(store, ROOT + "a", b"1")
        async with watching(store, ROOT, revision - 1) as watch:
            await take(watch, 1)

    run(scenario, f"etcd://127.0.0.1:{dead},{etcd.address}")
    run(scenario, f"etcd://{etcd.address},127.0.0.1:{dead}")
    run(scenario, f"etcd://no-such-host.invalid,[::1]:{dead},{etcd.address}")


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_members_have_addresses_of_all_kinds(tmp_path: Path, host: str) -> None:
    async def scenario(store: Store) -> None:
        assert await put(store, ROOT + "a", b"1")

    with Etcd(tmp_path, host=host) as etcd:
        run(scenario, etcd.url)


def test_another_member_takes_over(tmp_path: Path) -> None:
    with cluster(tmp_path, 3) as members:
        by_address = {member.address: member for member in members}

        async def scenario(store: Store) -> None:
            revision = await put(store, ROOT + "a", b"1")
            async with watching(store, ROOT, revision) as watch:
                waiting = asyncio.create_task(take(watch, 1))
                await asyncio.sleep(0.2)
                # The first of the URL is the one that it is connected with, or soon will be.
                by_address[members[0].address].kill()

                async def committed() -> bool:
                    """By whichever attempt: the answer to one that was done may be lost."""
                    with contextlib.suppress(UnavailableError):
                        await store.commit([Compare(ROOT + "b")], [Put(ROOT + "b", b"")])
                        return await store.get(ROOT + "b") is not None
                    return False

                await eventually(committed)
                assert [event.key for event in await waiting] == [ROOT + "b"]

        run(scenario, "etcd://" + ",".join(member.address for member in members))


def test_a_member_that_hangs_is_left_for_another(tmp_path: Path) -> None:
    with cluster(tmp_path, 3) as members:

        async def scenario(store: Store) -> None:
            revision = await put(store, ROOT + "a", b"1")
            async with watching(store, ROOT, revision) as watch:
                waiting = asyncio.create_task(take(watch, 1))
                await asyncio.sleep(0.2)
                members[0].pause()
                await eventually(lambda: answers(store))
                await eventually(lambda: answers(store))
                revision = members[1].put(ROOT + "b", b"")
                assert [event.revision for event in await waiting] == [revision]
                members[0].resume()

        run(scenario, "etcd://" + ",".join(member.address for member in members))


def test_a_member_that_lost_the_others_is_an_outage(tmp_path: Path) -> None:
    with cluster(tmp_path, 3) as members:

        async def scenario(store: Store) -> None:
            revision = await put(store, ROOT + "a", b"1")
            async with watching(store, ROOT, revision) as watch:
                waiting = asyncio.create_task(take(watch, 1))
                await asyncio.sleep(0.2)
                for member in members[1:]:
                    member.kill()
                with impatient(), pytest.raises(UnavailableError):
                    await store.get(ROOT + "a")
                for member in members[1:]:
                    member.launch()
                for member in members:
                    member.wait()
                await eventually(lambda: answers(store))
                members[1].put(ROOT + "b", b"")
                assert [event.key for event in await waiting] == [ROOT + "b"]

        run(scenario, members[0].url)


def test_an_etcd_that_is_full_says_so(tmp_path: Path) -> None:
    async def scenario(store: Store) -> None:
        async def fill() -> None:
            for number in range(100):
                await put(store, f"{ROOT}{number}", bytes(100_000))

        lease = await store.grant(60)
        assert await store.keep_alive(lease)
        assert store.warning is None
        with pytest.raises(UnavailableError, match="no space left"):
            await fill()
        assert await store.get(ROOT + "0") is not None
        assert store.problem is None
        await store.commit([], [Delete(f"{ROOT}{number}") for number in range(20)])
        # Who writes nothing is told, too, and what to type.
        assert await store.keep_alive(lease)
        assert store.warning is not None
        assert "(NOSPACE)" in store.warning
        commands = re.findall(r"`etcdctl ([^`]*)`", store.warning)
        assert len(commands) == 3
        for command in commands:
            words = ["etcdctl", "--endpoints", etcd.url.removeprefix("etcd://"), *command.split()]
            await asyncio.to_thread(subprocess.run, words, check=True, env=os.environ | {"ETCDCTL_API": "3"})
        assert await store.keep_alive(lease)
        assert store.warning is None

    with patient(), Etcd(tmp_path, arguments=["--quota-backend-bytes=1000000"]) as etcd:
        run(scenario, etcd.url)


def test_a_watch_learns_that_nothing_happened(tmp_path: Path) -> None:
    """So it does not ask for what is compacted meanwhile, although it never had an event."""
    etcd = Etcd(tmp_path, arguments=["--experimental-watch-progress-notify-interval=1s"])

    async def scenario(store: Store) -> None:
        start = (await store.list(ROOT)).revision
        async with watching(store, ROOT, start) as watch:
            waiting = asyncio.create_task(next_of(watch))
            await asyncio.sleep(0.2)
            revision = await put(store, "/fastpath/v1/claims/x", b"")
            while (events := await waiting).revision < revision:
                waiting = asyncio.create_task(next_of(watch))
            assert events == Events(revision, ())
            etcd.compact()
            waiting = asyncio.create_task(next_of(watch))
            await asyncio.sleep(0)
            etcd.kill()
            etcd.start()
            later = etcd.put(ROOT + "a", b"1")
            while not (events := await waiting).events:
                waiting = asyncio.create_task(next_of(watch))
            assert events.revision == later

    with etcd:
        run(scenario, etcd.url)
