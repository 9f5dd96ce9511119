# SPDX-License-Identifier: Apache-2.0
"""The mirror: a host's copy of the store, also while the store is away."""

import asyncio
import contextlib
import json
import logging
import sqlite3
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import pytest

from fastpath.control.cluster import keys
from fastpath.control.cluster import mirror as mirror_module
from fastpath.control.cluster.cache import Cache
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.model.objects import Endpoint
from fastpath.control.store.interface import CompactedError, Delete, Event, Events, Item, Listing, Put, UnavailableError
from fastpath.control.store.sqlite.store import SqliteStore
from fastpath.errors import UsageError
from tests.support.control.sites import Host, until, with_hosts


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@contextlib.asynccontextmanager
async def following(host: Host) -> AsyncIterator[None]:
    task = asyncio.create_task(host.mirror.run(host.store))
    try:
        await host.mirror.synced.wait()
        yield
    finally:
        task.cancel()


def test_what_one_host_writes_all_see(file: Path) -> None:
    async def play(hosts: list[Host]) -> Endpoint:
        network = await hosts[0].network("early")
        async with following(hosts[1]):
            assert hosts[1].mirror.networks == {"early": network}
            await hosts[0].network("web")
            endpoint = await hosts[0].endpoint("web", "0" * 16)
            await until(lambda: hosts[1].mirror.endpoints.get("web") == {endpoint.id: endpoint})
            assert hosts[1].mirror.local_endpoints("h1") == [endpoint]
            assert hosts[1].mirror.local_endpoints("h2") == []
            await hosts[0].registry.delete_endpoint(endpoint)
            await hosts[0].registry.remove_network("web")
            await until(lambda: set(hosts[1].mirror.networks) == {"early"} and not hosts[1].mirror.endpoints)
            assert any(("web", endpoint.id) in changes.endpoints for changes in hosts[1].changes)
            return endpoint

    with_hosts(file, 2, play)


def test_reached_waits_for_what_we_wrote_ourselves(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        async with following(hosts[0]):
            for n in range(20):
                network = await hosts[0].network(f"n{n}")
                item = await hosts[0].store.get(keys.network(network.name))
                await hosts[0].mirror.reached(item.revision if item else 1 << 60)
                assert hosts[0].mirror.networks[network.name] == network

    with_hosts(file, 1, play)


def test_a_value_that_cannot_be_read_is_told_and_changes_nothing(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        network = await hosts[0].network("web")
        endpoint = await hosts[0].endpoint("web", "0" * 16)
        async with following(hosts[1]):
            key = keys.network("web")
            half = network.model_dump_json().encode()[:40]
            wrong = endpoint.model_copy(update={"id": "1" * 16}).model_dump_json().encode()
            await hosts[0].store.commit(
                [], [Put(key, half), Put(keys.peer("h9"), b"\xff"), Put(keys.endpoint("web", "0" * 16), wrong)]
            )
            await until(lambda: len(hosts[1].mirror.unreadable) == 3)
            assert hosts[1].mirror.networks == {"web": network}
            assert hosts[1].mirror.endpoints["web"] == {endpoint.id: endpoint}
            assert hosts[1].mirror.peers == {}
            assert hosts[1].mirror.current
            assert not hosts[1].mirror.contents.knows_all("web")
            await hosts[0].store.commit([], [Put(key, network.model_dump_json().encode()), Delete(keys.peer("h9"))])
            await until(lambda: len(hosts[1].mirror.unreadable) == 1)

    with_hosts(file, 2, play)


def test_values_of_a_newer_version_can_be_read(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        network = await hosts[0].network("web")
        async with following(hosts[1]):
            newer = network.model_dump_json().encode()[:-1] + b', "colour": "red"}'
            await hosts[0].store.commit([], [Put(keys.network("web"), newer)])
            item = await hosts[0].store.get(keys.network("web"))
            await hosts[1].mirror.reached(item.revision if item else 0)
            assert hosts[1].mirror.networks == {"web": network}
            assert hosts[1].mirror.unreadable == {}

    with_hosts(file, 2, play)


def test_a_successor_knows_without_the_store_what_the_last_one_knew(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"

    async def first(hosts: list[Host]) -> Endpoint:
        await hosts[0].network("web")
        async with following(hosts[0]):
            await hosts[0].network("gone")
            endpoint = await hosts[0].endpoint("web", "0" * 16)
            revision = await hosts[0].registry.remove_network("gone")
            await hosts[0].mirror.reached(revision)
        return endpoint

    async def second(hosts: list[Host]) -> None:
        hosts[0].mirror.load()
        assert set(hosts[0].mirror.networks) == {"web"}
        assert hosts[0].mirror.endpoints["web"] == {endpoint.id: endpoint}
        assert not hosts[0].mirror.synced.is_set()

    endpoint = with_hosts(file, 1, first, cache=kept)
    with_hosts(file, 1, second, cache=kept)


def test_what_changed_meanwhile_is_compared(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"

    async def first(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        async with following(hosts[0]):
            pass

    async def meanwhile(hosts: list[Host]) -> None:
        await hosts[0].network("db")
        await hosts[0].registry.remove_network("web")

    async def then(hosts: list[Host]) -> None:
        hosts[0].mirror.load()
        async with following(hosts[0]):
            assert set(hosts[0].mirror.networks) == {"db"}
            assert hosts[0].changes[0].networks == {"db", "web"}

    with_hosts(file, 1, first, cache=kept)
    with_hosts(file, 1, meanwhile)
    with_hosts(file, 1, then, cache=kept)


def test_the_copy_of_another_store_is_not_used(tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"
    cache = Cache(kept, "etcd://one:2379")
    cache.apply(7, [Event("/a", b"1", 7)])
    cache.close()
    same = Cache(kept, "etcd://one:2379")
    assert same.load().revision == 7
    same.close()
    other = Cache(kept, "etcd://two:2379")
    assert other.load() == Listing(0, ())
    other.close()


@pytest.mark.parametrize("other", ["etcd://one", "etcd://One:2379"])
def test_the_copy_of_a_store_is_used_however_its_url_is_written(tmp_path: Path, other: str) -> None:
    kept = tmp_path / "mirror.db"
    cache = Cache(kept, "etcd://one:2379")
    cache.apply(7, [Event("/a", b"1", 7)])
    cache.close()
    same = Cache(kept, other)
    assert same.load().revision == 7
    same.close()


def test_a_damaged_copy_is_made_anew(tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"
    kept.write_bytes(b"this is no database" * 1000)
    cache = Cache(kept, "etcd://one:2379")
    assert cache.load() == Listing(0, ())
    cache.close()
    with sqlite3.connect(kept) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_so_is_one_that_is_damaged_within(tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"
    cache = Cache(kept, "etcd://one:2379")
    cache.apply(7, [Event(f"/{n}", b"x" * 1000, 7) for n in range(100)])
    cache.close()
    with kept.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xff" * 20 * 4096)
    cache = Cache(kept, "etcd://one:2379")
    assert cache.load() == Listing(0, ())
    cache.apply(8, [])
    assert cache.load().revision == 8
    cache.close()


class Scripted(SqliteStore):
    """A store whose watches end as the script says."""

    def __init__(self, file: Path, script: list[Exception | Callable[[], Awaitable[None]]]) -> None:
        super().__init__(file)
        self.script = script
        self.lists = 0

    async def list(self, prefix: str) -> Listing:
        self.lists += prefix == keys.OBJECTS
        return await super().list(prefix)

    async def watch(self, prefix: str, after: int) -> AsyncGenerator[Events, None]:
        while self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            await step()
        async for batch in super().watch(prefix, after):
            yield batch


@pytest.mark.parametrize("error", [CompactedError("gone"), UnavailableError("away")])
def test_after_a_gap_it_lists_again(file: Path, error: Exception) -> None:
    async def play(hosts: list[Host]) -> None:
        async def meanwhile() -> None:
            await hosts[1].network("db")
            await hosts[1].registry.remove_network("web")

        await hosts[1].network("web")
        current: list[bool] = []
        store = Scripted(file, [meanwhile, error])
        hosts[0].mirror.subscribe(lambda _: current.append(hosts[0].mirror.current))
        assert not hosts[0].mirror.current
        task = asyncio.create_task(hosts[0].mirror.run(store))
        await until(lambda: set(hosts[0].mirror.networks) == {"db"})
        await until(lambda: store.lists == 2)
        assert current == [False, False]  # as it listed, both times
        await until(lambda: hosts[0].mirror.current)
        await hosts[1].network("log")
        await until(lambda: "log" in hosts[0].mirror.networks)
        assert current == [False, False, True]
        await hosts[1].registry.remove_network("log")
        await until(lambda: "log" not in hosts[0].mirror.networks)
        hosts[0].changes.pop(), hosts[0].changes.pop()
        assert hosts[0].changes[-1].networks == {"db", "web"}
        task.cancel()
        await store.close()

    with_hosts(file, 2, play)


def test_a_store_that_lost_everything_takes_nothing_from_us(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"

    async def first(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        async with following(hosts[0]):
            pass

    async def then(hosts: list[Host]) -> None:
        peer = hosts[0].peer()  # hosts register, whatever else the store has
        await hosts[0].store.commit([], [Put(keys.peer(peer.host), peer.model_dump_json().encode())])
        hosts[0].mirror.load()
        task = asyncio.create_task(hosts[0].mirror.run(hosts[0].store))
        await until(lambda: hosts[0].mirror.trouble is not None)
        assert "lost all its data" in str(hosts[0].mirror.trouble)
        assert hosts[0].mirror.lost_all
        assert set(hosts[0].mirror.networks) == {"web"}
        task.cancel()

    with_hosts(file, 1, first, cache=kept)
    for path in _parts(file):
        path.unlink(missing_ok=True)
    with_hosts(file, 1, then, cache=kept)


def test_nor_does_one_in_which_hosts_have_registered_already(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"

    async def first(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        async with following(hosts[0]):
            pass

    async def then(hosts: list[Host]) -> None:
        await hosts[0].store.commit([], [Put(keys.peer("h1"), hosts[0].peer().model_dump_json().encode())])
        hosts[0].mirror.load()
        task = asyncio.create_task(hosts[0].mirror.run(hosts[0].store))
        await until(lambda: hosts[0].mirror.trouble is not None or hosts[0].mirror.synced.is_set())
        assert "lost all its data" in str(hosts[0].mirror.trouble)
        assert set(hosts[0].mirror.networks) == {"web"}
        task.cancel()

    with_hosts(file, 1, first, cache=kept)
    for path in _parts(file):
        path.unlink(missing_ok=True)
    with_hosts(file, 1, then, cache=kept)


def test_another_store_may_have_other_values_at_the_same_revisions(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"

    async def first(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        async with following(hosts[0]):
            assert hosts[0].mirror.revision == 2

    async def then(hosts: list[Host]) -> None:
        await hosts[0].network("web", vni=300)
        hosts[0].mirror.load()
        assert hosts[0].mirror.networks["web"].vni == 256
        async with following(hosts[0]):
            assert hosts[0].mirror.revision == 2
            assert hosts[0].mirror.networks["web"].vni == 300

    with_hosts(file, 1, first, cache=kept)
    for path in _parts(file):
        path.unlink(missing_ok=True)
    with_hosts(file, 1, then, cache=kept)


def _endpoint(**changes: object) -> bytes:
    value = {
        "id": "0" * 16,
        "network": "web",
        "host": "h1",
        "mac": "02:42:0a:00:00:02",
        "addresses": ["10.0.0.2/24"],
        "sandbox": {"path": "/run/netns/c", "inode": 1},
    }
    return json.dumps(value | changes).encode()


HOSTILE = {
    "no mac": (keys.endpoint("web", "0" * 16), _endpoint(mac="7")),
    "no address": (keys.endpoint("web", "0" * 16), _endpoint(addresses=[])),
    "a group's address": (keys.endpoint("web", "0" * 16), _endpoint(addresses=["224.0.0.5/24"])),
    "one address twice": (keys.endpoint("web", "0" * 16), _endpoint(addresses=["10.0.0.2/24", "10.0.0.2/16"])),
    "mapped": (keys.endpoint("web", "0" * 16), _endpoint(addresses=["::ffff:10.0.0.2/120"])),
    "nul": (keys.endpoint("web", "0" * 16), _endpoint(sandbox={"path": "/run\0", "inode": 1})),
    "relative": (keys.endpoint("web", "0" * 16), _endpoint(sandbox={"path": "c", "inode": 1})),
    "no interface": (keys.endpoint("web", "0" * 16), _endpoint(ifname="eth%d")),
    "a key within": (keys.endpoint("web", "a/b"), _endpoint(id="a/b")),
    "a group's vtep": (keys.peer("h9"), b'{"host":"h9","id":"x","vtep":"224.0.0.1","mtu":1500,"version":"0"}'),
    "no vtep": (keys.peer("h9"), b'{"host":"h9","id":"x","vtep":"0.0.0.0","mtu":1500,"version":"0"}'),
    "another host": (keys.peer("h9"), b'{"host":"h8","id":"x","vtep":"192.0.2.9","mtu":1500,"version":"0"}'),
    "a host's name": (keys.peer("a/b"), b'{"host":"a/b","id":"x","vtep":"192.0.2.9","mtu":1500,"version":"0"}'),
    "another network": (keys.network("db"), b'{"name":"web","vni":300,"subnets":[]}'),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_garbage_in_the_store_does_not_hide_what_else_is_there(file: Path, tmp_path: Path, what: str) -> None:
    """Neither at once, nor for a successor that finds it in its copy."""
    kept = tmp_path / "mirror.db"
    key, value = HOSTILE[what]

    async def first(hosts: list[Host]) -> None:
        async with following(hosts[0]):
            await hosts[0].store.commit([], [Put(key, value)])
            await until(lambda: key in hosts[0].mirror.unreadable)
            await hosts[0].network("web")
            item = await hosts[0].store.get(keys.network("web"))
            await hosts[0].mirror.reached(item.revision if item else 1 << 60)  # and its copy holds it
            assert set(hosts[0].mirror.networks) == {"web"}
            assert hosts[0].mirror.trouble is None

    async def then(hosts: list[Host]) -> None:
        hosts[0].mirror.load()
        assert set(hosts[0].mirror.networks) == {"web"}
        assert set(hosts[0].mirror.unreadable) == {key}

    with_hosts(file, 1, first, cache=kept)
    with_hosts(file, 1, then, cache=kept)


def _parts(file: Path) -> Sequence[Path]:
    return [file, *(file.with_name(file.name + suffix) for suffix in ("-wal", "-shm"))]


def test_the_last_network_may_be_removed(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        async with following(hosts[0]):
            await hosts[1].registry.remove_network("web")
            await until(lambda: not hosts[0].mirror.networks)

    with_hosts(file, 2, play)


def test_a_copy_that_is_damaged_within_is_made_anew(tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"
    cache = Cache(kept, "etcd://one:2379")
    cache.replace(Listing(7, tuple(Item(f"/{n}", b"x" * 1000, 7) for n in range(50))))
    cache.close()
    page = 4096
    with kept.open("r+b") as file:  # all but the first page, which has the schema
        size = file.seek(0, 2)
        assert size > 3 * page
        file.seek(page)
        file.write(b"\xa5" * (size - page))
    cache = Cache(kept, "etcd://one:2379")
    assert cache.load() == Listing(0, ())
    cache.apply(8, [Event("/a", b"1", 8)])
    assert cache.load() == Listing(8, (Item("/a", b"1", 8),))
    cache.close()


def test_version_0_1_can_write_the_copy_after_a_way_back(tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"
    cache = Cache(kept, "etcd://one:2379")
    cache.apply(8, [Event("/a", b"1", 8, 5), Event("/b", b"1", 8)])
    cache.close()
    with contextlib.closing(sqlite3.connect(kept)) as older, older:
        older.execute("REPLACE INTO item VALUES (?, ?, ?)", ("/a", b"2", 9))
        older.execute("INSERT INTO item VALUES (?, ?, ?)", ("/c", b"1", 9))
        older.execute("DELETE FROM item WHERE key = '/b'")
    cache = Cache(kept, "etcd://one:2379")
    assert [(item.key, item.value, item.created) for item in cache.load().items] == [("/a", b"2", 5), ("/c", b"1", 0)]
    cache.replace(Listing(10, (Item("/a", b"2", 10), Item("/c", b"1", 9))))
    assert [(item.key, item.created) for item in cache.load().items] == [("/a", 5), ("/c", 9)]
    cache.close()


def test_where_no_copy_can_be_kept_there_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "mirror.db"
    folder.mkdir()
    cache = Cache(folder, "etcd://one:2379")
    cache.apply(8, [Event("/a", b"1", 8)])
    assert cache.load() == Listing(8, (Item("/a", b"1", 8),))
    cache.close()
    assert folder.is_dir()


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    kept = tmp_path / "mirror.db"
    cache = Cache(kept, "etcd://one:2379")
    cache.apply(8, [Event("/a", b"1", 8)])
    cache._db.execute("PRAGMA max_page_count = 8")  # as a full disk: SQLite ends the transaction by itself
    with pytest.raises(sqlite3.OperationalError, match="full"):
        cache.apply(9, [Event("/b", b"1" * 100_000, 9)])
    assert cache.load() == Listing(8, (Item("/a", b"1", 8),))
    cache.close()


def test_what_concerns_a_host_is_there_first(file: Path, tmp_path: Path) -> None:
    async def fill(hosts: list[Host]) -> None:
        async with following(hosts[0]):
            for name in ("web", "db"):
                await hosts[0].network(name)
            await hosts[0].endpoint("web", "0" * 16)
            await hosts[1].endpoint("web", "1" * 16)
            await hosts[1].endpoint("db", "2" * 16)
            item = await hosts[0].store.get(keys.endpoint("db", "2" * 16))
            await hosts[0].mirror.reached(item.revision if item else 1 << 60)

    with_hosts(file, 2, fill, cache=tmp_path / "kept.db")
    kept = Cache(tmp_path / "kept.db", str(file))
    mirror = Mirror(kept)
    mirror.load("h1")
    assert set(mirror.networks) == {"web", "db"}
    assert {name: set(ends) for name, ends in mirror.endpoints.items()} == {"web": {"0" * 16, "1" * 16}}
    assert mirror.revision == 0
    mirror.load()
    assert {name: set(ends) for name, ends in mirror.endpoints.items()} == {
        "web": {"0" * 16, "1" * 16},
        "db": {"2" * 16},
    }
    assert mirror.revision > 0
    kept.close()


def test_a_store_that_goes_on_refusing_is_told_once(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(hosts: list[Host]) -> None:
        asked = 0

        async def refused(_: str) -> Listing:
            nonlocal asked
            asked += 1
            raise UsageError(f"refused for the {asked}th time")

        monkeypatch.setattr(mirror_module, "RETRY_S", 0.001)
        monkeypatch.setattr(hosts[0].store, "list", refused)
        following = asyncio.create_task(hosts[0].mirror.run(hosts[0].store))
        await until(lambda: asked > 3)
        assert "refused for the" in (hosts[0].mirror.trouble or "")
        following.cancel()

    with caplog.at_level(logging.ERROR):
        with_hosts(file, 1, play)
    assert [record.message for record in caplog.records] == ["refused for the 1th time"]


def test_a_slow_disk_keeps_nobody_from_hearing_of_a_change(file: Path, tmp_path: Path) -> None:
    written = threading.Event()

    class Slow(Cache):
        def apply(self, revision: int, events: Iterable[Event]) -> None:
            written.wait(20)
            super().apply(revision, events)

    async def play(hosts: list[Host]) -> None:
        mirror = Mirror(Slow(tmp_path / "mirror.db", "sqlite:x"), "h1", "1")
        heard: set[str] = set()
        mirror.subscribe(lambda changes: heard.update(changes.networks))
        task = asyncio.create_task(mirror.run(hosts[0].store))
        try:
            await until(lambda: mirror.current)
            await hosts[1].network("web")
            await until(lambda: "web" in heard)
            await until(lambda: not mirror.current)  # what comes meanwhile is not read
            before = mirror.revision
            written.set()
            await until(lambda: mirror.current and mirror.revision > before)
        finally:
            written.set()
            task.cancel()

    with_hosts(file, 2, play)


def test_a_copy_keeps_when_each_key_was_first_seen(tmp_path: Path) -> None:
    """So that of two endpoints with one address the first is known after a restart, too."""
    kept = tmp_path / "mirror.db"
    with contextlib.closing(sqlite3.connect(kept)) as old:  # as version 0.1 made it
        old.execute("CREATE TABLE item (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL)")
    cache = Cache(kept, "etcd://one:2379")
    cache.replace(Listing(7, (Item("/a", b"1", 5), Item("/b", b"1", 6, created=2))))
    cache.apply(8, [Event("/a", b"2", 8), Event("/b", b"2", 8), Event("/c", b"1", 8)])
    cache.replace(Listing(9, (Item("/a", b"3", 9), Item("/b", b"2", 8, created=2), Item("/c", b"1", 8))))
    cache.close()
    found = Cache(kept, "etcd://one:2379").load()
    assert [(item.key, item.revision, item.created) for item in found.items] == [
        ("/a", 9, 5),
        ("/b", 8, 2),
        ("/c", 8, 8),
    ]
