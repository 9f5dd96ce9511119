# SPDX-License-Identifier: Apache-2.0
"""The SQLite store beyond the common contract: several processes, kill -9, files that are not stores, clocks."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fastpath.control.store.interface import CompactedError, Compare, Put, UnavailableError
from fastpath.control.store.open import open_store
from fastpath.control.store.sqlite.file import StoreFile
from fastpath.control.store.sqlite.store import SqliteStore
from fastpath.errors import UsageError
from tests.support.control.store_checks import LONG, ROOT, eventually, put, take, watching

# Counts in one key, and writes the same number to another one, for ever.
WRITER = """
import asyncio, sys
from fastpath.control.store.interface import Compare, Put
from fastpath.control.store.open import open_store
async def main():
    store = open_store(sys.argv[1])
    while True:
        item = await store.get("/count")
        number = str(int(item.value) + 1 if item else 1).encode()
        changes = [Put("/count", number), Put("/same", number)]
        if await store.commit([Compare("/count", item.revision if item else 0)], changes) is not None:
            print(number.decode(), flush=True)
asyncio.run(main())
"""


def run(path: Path | None, scenario: Callable[[SqliteStore], Awaitable[object]], busy_seconds: float = 5) -> None:
    async def opened() -> None:
        store = SqliteStore(path, busy_seconds)
        try:
            async with asyncio.timeout(LONG):
                await scenario(store)
        finally:
            await store.close()

    asyncio.run(opened())


def refusal(path: Path) -> str:
    """The one line on a file that is no store."""

    async def scenario(store: SqliteStore) -> None:
        with pytest.raises(UsageError) as got:
            await store.list(ROOT)
        assert str(path) in str(got.value)
        assert "\n" not in str(got.value)
        assert store.problem == str(got.value)
        with pytest.raises(UsageError):
            await anext(store.watch(ROOT, 1))
        told.append(str(got.value))

    told: list[str] = []
    run(path, scenario)
    return told[0]


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "no folder" in refusal(tmp_path / "none" / "store.db")
    assert not (tmp_path / "none").exists()


def test_text_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("not a database, but long enough to be one if it were" * 50)
    before = path.read_bytes()
    assert "not a store" in refusal(path)
    assert path.read_bytes() == before


def test_the_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE other (x)")
    other.close()
    before = path.read_bytes()
    assert "another program" in refusal(path)
    assert path.read_bytes() == before


def test_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    run(path, lambda store: put(store, ROOT, b""))
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 2")
    db.close()
    assert "newer" in refusal(path)


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def fill(store: SqliteStore) -> None:
        for number in range(20):
            await put(store, f"{ROOT}{number}", bytes(1000))

    run(path, fill)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + random.Random(1).randbytes(len(content) - 4096))
    assert "damaged" in refusal(path)


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Root may write to anything, so the kernel has to refuse it for another reason: /proc takes no new files."""
    assert "/proc/1" in refusal(Path("/proc/1/store.db"))


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def scenario(store: SqliteStore) -> None:
        await put(store, ROOT, b"")
        assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600] * 3

    run(path, scenario)


def test_in_memory_for_tests() -> None:
    async def scenario(store: SqliteStore) -> None:
        revision = await put(store, ROOT + "a", b"1")
        async with watching(store, ROOT, revision) as watch:
            later = asyncio.create_task(take(watch, 1))
            await put(store, ROOT + "b", b"1")
            assert [event.key for event in await later] == [ROOT + "b"]

    run(None, scenario)


def test_values_stay_when_all_have_closed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    run(path, lambda store: put(store, ROOT, b"1"))

    async def scenario(store: SqliteStore) -> None:
        item = await store.get(ROOT)
        assert item is not None
        assert item.value == b"1"

    run(path, scenario)


@pytest.mark.slow
def test_writers_that_are_killed_leave_whole_commits(tmp_path: Path) -> None:
    """Two processes count in one key, and are killed at random moments, again and again."""
    path, chance = tmp_path / "store.db", random.Random(1)

    async def scenario(store: SqliteStore) -> None:
        counted = 0
        async with watching(store, "/", 1) as watch:
            for _ in range(12):
                writers = [_writer(path) for _ in range(2)]
                for writer in writers:  # both are at work
                    assert writer.stdout is not None
                    counted = max(counted, int(await asyncio.to_thread(writer.stdout.readline)))
                await asyncio.sleep(chance.random() / 20)
                for writer in writers:
                    writer.send_signal(signal.SIGKILL)
                    rest = (await asyncio.to_thread(writer.communicate))[0].split()
                    counted = max([counted, *map(int, rest)])
                items = {item.key: item for item in (await store.list("/")).items}
                assert items["/count"].value == items["/same"].value
                assert items["/count"].revision == items["/same"].revision
                assert int(items["/count"].value) >= counted  # what was confirmed is there
            total = int(items["/count"].value)
            events = await take(watch, 2 * total)
        # No number was left out, or given twice.
        assert [event.value for event in events] == [str(1 + number // 2).encode() for number in range(2 * total)]

    asyncio.run(_on(path, scenario))
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


def _writer(path: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", WRITER, f"sqlite://{path}"], stdout=subprocess.PIPE, text=True)


async def _on(path: Path, scenario: Callable[[SqliteStore], Awaitable[object]]) -> None:
    store = SqliteStore(path)
    try:
        await scenario(store)
    finally:
        await store.close()


@pytest.mark.slow
def test_the_leases_of_a_killed_process_run_out(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    code = """
import asyncio, os, signal, sys
from fastpath.control.store.interface import Put
from fastpath.control.store.open import open_store
async def main():
    store = open_store(sys.argv[1])
    await store.commit([], [Put("/peer", b"", await store.grant(2))])
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", code, f"sqlite://{path}"], check=False).returncode == -signal.SIGKILL

    async def scenario(store: SqliteStore) -> None:
        async def gone() -> bool:
            return await store.get("/peer") is None

        await eventually(gone)

    run(path, scenario)


def test_a_lease_has_its_whole_time_again_after_a_boot(tmp_path: Path) -> None:
    path, now = tmp_path / "store.db", [1000.0]
    file = StoreFile(path, 5, lambda: now[0])
    lease = file.grant(10)
    file.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE state SET boot = 'earlier'")
    db.commit()
    db.close()
    for restart in (5.0, 100_000.0):  # the clock may be behind or ahead
        now[0] = restart
        file = StoreFile(path, 5, lambda: now[0])
        if restart > 5:
            assert file.keep_alive(lease) is False, "this was no boot"
            break
        now[0] += 9
        assert file.keep_alive(lease)
        now[0] += 11
        assert file.expire()
        file.close()
    file.close()


def test_no_lease_outlives_its_time_by_a_clock_that_was_ahead(tmp_path: Path) -> None:
    path, now = tmp_path / "store.db", [1000.0]
    file = StoreFile(path, 5, lambda: now[0])
    lease = file.grant(10)
    file.close()
    now[0] = 0
    file = StoreFile(path, 5, lambda: now[0])
    assert file.keep_alive(lease)
    file.close()
    now[0] = 11
    file = StoreFile(path, 5, lambda: now[0])
    assert file.keep_alive(lease) is False
    file.close()


def test_the_log_is_kept_short(tmp_path: Path) -> None:
    file = StoreFile(tmp_path / "store.db", 5)
    revisions = [file.commit([], [Put(f"/{number}", b""), Put("/x", b"")]) or 0 for number in range(10)]
    file.compact(changes=6)
    with pytest.raises(CompactedError):
        file.changes("/", revisions[5], None)
    events, _ = file.changes("/", revisions[6], None)
    assert [event.revision for event in events.events] == [revision for revision in revisions[7:] for _ in range(2)]
    assert len(file.list("/").items) == 11
    file.compact(seconds=-10)  # all is old
    assert file.changes("/", revisions[9], None)[0].events == ()
    with pytest.raises(CompactedError):
        file.changes("/", revisions[8], None)
    assert file.commit([], [Put("/y", b"")]) == revisions[9] + 1
    file.close()


def test_a_file_that_another_one_takes_the_place_of(tmp_path: Path) -> None:
    path, aside = tmp_path / "store.db", tmp_path / "aside.db"

    async def prepare(store: SqliteStore) -> None:
        for _ in range(50):
            await put(store, ROOT + "other", b"")

    run(aside, prepare)

    async def scenario(store: SqliteStore) -> None:
        revision = await put(store, ROOT + "a", b"1")
        async with watching(store, ROOT, revision) as watch:
            later = asyncio.create_task(take(watch, 1))
            await asyncio.sleep(0.2)
            os.replace(aside, path)
            for companion in ("store.db-wal", "store.db-shm"):
                (tmp_path / companion).unlink()
            with pytest.raises(CompactedError):
                await later
        assert [item.key for item in (await store.list(ROOT)).items] == [ROOT + "other"]

    run(path, scenario)


def test_a_writer_that_does_not_let_go_is_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def scenario(store: SqliteStore) -> None:
        await put(store, ROOT + "a", b"1")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="in use"):
            await put(store, ROOT + "a", b"2")
        assert store.problem is not None
        assert await store.get(ROOT + "a") is not None  # who reads does not wait
        other.execute("COMMIT")
        other.close()
        await put(store, ROOT + "a", b"3")
        assert store.problem is None

    run(path, scenario, busy_seconds=0.2)


def test_the_loop_goes_on_while_a_commit_waits(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def scenario(store: SqliteStore) -> None:
        await put(store, ROOT + "a", b"1")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(put(store, ROOT + "a", b"2"))
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not waiting.done()
        other.execute("COMMIT")
        other.close()
        await waiting

    run(path, scenario, busy_seconds=LONG)


@pytest.mark.slow
def test_many_processes_may_make_the_file_at_once(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from fastpath.control.store.interface import Compare, Put
from fastpath.control.store.sqlite.file import StoreFile
file = StoreFile(Path(sys.argv[1]), 60)
while not Path(sys.argv[1] + ".go").exists():
    time.sleep(0.001)
print(file.commit([Compare("/claim")], [Put("/claim", b"")]))
"""
    for attempt in range(3):
        path = tmp_path / f"store{attempt}.db"
        workers = [
            subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        time.sleep(0.3)
        path.with_suffix(".db.go").touch()
        answers = [worker.communicate()[0].strip() for worker in workers]
        assert sorted(answers) == ["2", "None", "None", "None"]


@pytest.mark.slow
def test_thirty_thousand_keys(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def scenario(store: SqliteStore) -> None:
        for batch in range(240):
            await store.commit(
                [Compare(f"{ROOT}{batch:03}/", prefix=True)],
                [Put(f"{ROOT}{batch:03}/{number:03}", b"x" * 300) for number in range(125)],
            )
        listing = await store.list(ROOT)
        assert len(listing.items) == 30_000
        async with watching(store, ROOT, 1) as watch:
            events = await take(watch, 30_000)
        assert {event.key for event in events} == {item.key for item in listing.items}

    run(path, scenario)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store.db",
        "/var/lib/store.db",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://store.db",
        "sqlite:///folder/",
        "redis://host",
        "etcd://",
        "etcd:///",
        "etcd://host/",
        "etcd://host:",
        "etcd://host:port",
        "etcd://host:0",
        "etcd://host:65536",
        "etcd://2001:db8::1:2379",
        "etcd://[host]:2379",
        "etcd://[:::1]:2379",
        "etcd://host,",
        "etcd://user:secret@host",
    ],
)
def test_a_wrong_url_is_told_what_to_write(url: str) -> None:
    with pytest.raises(UsageError) as got:
        open_store(url)
    assert "\n" not in str(got.value)
    assert "sqlite:///" in str(got.value) or "etcd://" in str(got.value)


def test_a_file_needs_no_grpc(tmp_path: Path) -> None:
    code = (
        "import sys; from fastpath.control.store.open import open_store; open_store(sys.argv[1]); print(*sys.modules)"
    )
    command = [sys.executable, "-c", code, f"sqlite://{tmp_path}/store.db"]
    modules = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "sqlite3" in modules
    assert "grpc" not in modules
