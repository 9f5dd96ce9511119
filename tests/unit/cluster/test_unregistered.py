# SPDX-License-Identifier: Apache-2.0
"""Hosts whose key is gone, and what others deleted while a host was away."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastpath.control.cluster import keys
from fastpath.control.cluster.membership import Membership
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.reaper import Reaper
from fastpath.control.cluster.witness import Witness
from fastpath.control.host import unregistered as unregistered_module
from fastpath.control.host.intentions import Intentions
from fastpath.control.host.probe import Pulse
from fastpath.control.host.unregistered import Unregistered
from fastpath.control.store.interface import Delete, Put, UnavailableError
from fastpath.errors import ConflictError, NotFoundError
from tests.support.control.sites import Host, until, with_hosts

TTL = 30
GRACE = 100.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@contextlib.asynccontextmanager
async def following(*hosts: Host) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(host.mirror.run(host.store)) for host in hosts]
    try:
        for host in hosts:
            await host.mirror.synced.wait()
        yield
    finally:
        for task in tasks:
            task.cancel()


async def register(host: Host, vtep: str) -> None:
    await host.store.commit([], [Put(keys.peer(host.name), host.peer(vtep).model_dump_json().encode())])


async def lose(host: Host) -> None:
    await host.store.commit([], [Delete(keys.peer(host.name))])


def test_a_host_that_lost_its_key_is_known_over_a_restart(file: Path, tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        h1, h2, h3 = hosts
        await register(h2, "192.0.2.2")
        await register(h3, "192.0.2.3")
        async with following(h1):
            await lose(h2)
            await until(lambda: "h2" in h1.mirror.contents.lost)
            assert h1.mirror.known_peers == {"h2": h2.peer("192.0.2.2"), "h3": h3.peer("192.0.2.3")}
            assert set(h1.mirror.peers) == {"h3"}
        again = Mirror(h1.cache, "h1")
        again.load()
        assert again.known_peers == h1.mirror.known_peers
        again.forget_peer("h2")
        assert set(again.known_peers) == {"h3"}
        another = Mirror(h1.cache, "h1")
        another.load()
        assert set(another.known_peers) == {"h3"}

    with_hosts(file, 3, play, cache=tmp_path / "cache.db")


@pytest.mark.parametrize("how", ["itself", "its VTEP"])
def test_it_is_lost_no_more_when_it_or_its_vtep_is_registered(file: Path, how: str) -> None:
    async def play(hosts: list[Host]) -> None:
        h1, h2, h3 = hosts
        await register(h2, "192.0.2.2")
        async with following(h1):
            await lose(h2)
            await until(lambda: "h2" in h1.mirror.contents.lost)
            await register(h2 if how == "itself" else h3, "192.0.2.2")
            await until(lambda: not h1.mirror.contents.lost)
            assert set(h1.mirror.known_peers) == {"h2" if how == "itself" else "h3"}
            assert "h2" in h1.changes[-1].peers

    with_hosts(file, 3, play)


def test_it_is_forgotten_when_it_was_neither_registered_nor_heard_for_the_grace_time(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr(unregistered_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    caplog.set_level(logging.INFO)

    async def play(hosts: list[Host]) -> None:
        h1, h2, _ = hosts
        await register(h2, "192.0.2.2")
        pulse = Pulse(h2.peer("192.0.2.2").vtep, since=0.0, answered=1000.0)
        prober: Any = SimpleNamespace(pulses={"h2": pulse})
        looking = Unregistered(h1.mirror, prober, GRACE)
        h1.mirror.subscribe(looking.changed)
        async with following(h1):
            await lose(h2)
            await until(lambda: "h2" in h1.mirror.contents.lost)
            looking.look()
            for _ in range(5):  # however long it answers
                now[0] += GRACE
                pulse.answered = now[0]
                looking.look()
                assert looking.heard() == {"h2"}
            now[0] += GRACE - 1
            looking.look()
            assert "h2" in h1.mirror.known_peers
            await register(h2, "192.0.2.2")
            await until(lambda: "h2" in h1.mirror.peers)
            await lose(h2)
            await until(lambda: "h2" in h1.mirror.contents.lost)
            now[0] += 2  # silent for longer, but it has no key only now
            looking.look()
            assert looking.heard() == set()
            now[0] += GRACE
            looking.look()
            assert "h2" in h1.mirror.known_peers
            now[0] += 1
            looking.look()
            assert h1.mirror.known_peers == {}
        assert [record.getMessage() for record in caplog.records if "h2" in record.getMessage()] == [
            "h2 (192.0.2.2) is not registered any more, but answers: it stays a peer",
            "h2 is registered again, after 599 s",
            "h2 (192.0.2.2) is not registered any more, and does not answer",
            "h2 has neither been registered nor answered for 100 s: it is no peer any more",
        ]

    with_hosts(file, 3, play)


def test_nobody_takes_back_what_a_host_has_that_somebody_hears(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        h1, h2, h3 = hosts
        await h1.network("web")
        await h3.endpoint("web", "3" * 16)
        hears: set[str] = {"h3"}
        lease = await h2.store.grant(TTL)
        witness = Witness(h2.store, "h2", lambda: lease, lambda: hears)
        await witness.look()
        reaper = Reaper("h1", h1.mirror, h1.registry, grace=0.0)
        async with following(h1):
            await reaper.look()
            assert await h1.store.get(keys.endpoint("web", "3" * 16)) is not None
            hears.clear()
            await witness.look()
            await reaper.look()
            assert await h1.store.get(keys.endpoint("web", "3" * 16)) is None
        assert (await h1.store.list(keys.HEARD)).items == ()

    with_hosts(file, 3, play)


def test_a_witness_writes_again_with_its_next_lease(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        host, leases = hosts[0], [0]
        witness = Witness(host.store, "h1", lambda: leases[-1], lambda: {"h2"})
        await witness.look()
        assert (await host.store.list(keys.HEARD)).items == ()  # it would stay for ever
        for _ in range(2):
            leases.append(await host.store.grant(TTL))
            await witness.look()
            (item,) = (await host.store.list(keys.HEARD)).items
            assert (item.key, item.lease) == (keys.heard_by("h2", "h1"), leases[-1])

    with_hosts(file, 1, play)


def test_what_others_deleted_stays_until_it_is_written_again(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        h1, h2 = hosts
        await h1.network("web")
        async with following(h1):
            mine = await h1.endpoint("web", "1" * 16)
            await h2.registry.delete_endpoint(mine)
            await until(lambda: bool(h1.mirror.contents.orphans))
            assert h1.mirror.endpoints["web"] == {mine.id: mine}
            await h1.registry.restore_endpoint(mine)
            assert not h1.mirror.contents.orphans
            claims = [item.value.decode() for item in (await h1.store.list(keys.CLAIMS)).items]
            assert claims.count(mine.id) == 2  # its address, and its MAC address
            assert await h1.registry.delete_endpoint(mine) is not None
            assert h1.mirror.endpoints == {}  # what this host deletes itself is gone at once

    with_hosts(file, 2, play)


def test_it_goes_where_somebody_has_its_address_or_its_network_is_gone(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        h1, h2 = hosts
        await h1.network("web")
        async with following(h1):
            mine = await h1.endpoint("web", "1" * 16)
            await h2.registry.delete_endpoint(mine)
            other = await h2.endpoint("web", "2" * 16, addresses=[str(mine.addresses[0].ip)])
            await until(lambda: bool(h1.mirror.contents.orphans))
            with pytest.raises(ConflictError, match=f"is that of endpoint {other.id} of h2 now"):
                await h1.registry.restore_endpoint(mine)
            h1.mirror.give_up(mine)
            await until(lambda: h1.mirror.endpoints.get("web") == {other.id: other})
            await h2.registry.delete_endpoint(other)
            await h2.registry.remove_network("web")
            with pytest.raises(NotFoundError, match="no network web"):
                await h1.registry.restore_endpoint(mine)

    with_hosts(file, 2, play)


def test_a_store_that_was_restored_is_right(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is older than what this host has seen, so what came later is not to be."""

    async def play(hosts: list[Host]) -> None:
        h1, h2 = hosts
        await h1.network("web")
        mine = await h1.endpoint("web", "1" * 16)
        async with following(h1):
            await until(lambda: mine.id in h1.mirror.endpoints.get("web", {}))
        await h2.registry.delete_endpoint(mine)
        h1.mirror.revision += 100
        h1.mirror.synced.clear()
        async with following(h1):
            await until(lambda: not h1.mirror.endpoints)
            assert not h1.mirror.contents.orphans

    with_hosts(file, 2, play)


def test_what_a_host_does_not_want_any_more_is_no_orphan(file: Path, tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        h1, h2 = hosts
        intentions = Intentions(h1.mirror, tmp_path / "removals.json")
        h1.mirror.contents.is_unwanted = intentions.__contains__
        h1.mirror.subscribe(intentions.changed)
        await h1.network("web")
        async with following(h1):
            mine = await h1.endpoint("web", "1" * 16)
            intentions.abandon_for_good(mine.id)
            again = Intentions(h1.mirror, tmp_path / "removals.json")
            assert again.applied(mine).state == "leaving"  # over a restart, too
            await h2.registry.delete_endpoint(mine)
            await until(lambda: not h1.mirror.endpoints)
        assert len(Intentions(h1.mirror, tmp_path / "removals.json")) == 0

    with_hosts(file, 2, play)


def test_a_daemon_goes_on_with_the_lease_of_its_key_where_there_is_no_other(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(hosts: list[Host]) -> None:
        host = hosts[0]
        await Membership(host.store, TTL, host.peer).register()
        first = await host.store.get(keys.peer("h1"))
        assert first is not None

        async def refuse(_: int) -> int:
            raise UnavailableError("etcd has no space left")

        monkeypatch.setattr(host.store, "grant", refuse)
        successor = Membership(host.store, TTL, host.peer)
        await successor.register()
        assert successor.owns_name
        assert (successor.lease, await host.store.get(keys.peer("h1"))) == (first.lease, first)  # nothing is written
        await host.store.revoke(first.lease)
        with pytest.raises(UnavailableError, match="no space left"):
            await Membership(host.store, TTL, host.peer).register()

    with_hosts(file, 1, play)
