# SPDX-License-Identifier: Apache-2.0
"""A host's key and lease, and the fate of the objects of dead hosts."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from fastpath.control.cluster import keys
from fastpath.control.cluster import membership as membership_module
from fastpath.control.cluster.membership import CopyError, Membership
from fastpath.control.cluster.reaper import Reaper
from fastpath.control.model.objects import Peer
from fastpath.control.store.interface import Delete, Put
from fastpath.errors import ConflictError, UsageError
from tests.support.control.sites import Host, until, with_hosts

TTL = 30


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def stored(host: Host, name: str = "h1") -> Peer | None:
    item = await host.store.get(keys.peer(name))
    return Peer.model_validate_json(item.value) if item is not None else None


async def until_stored(host: Host, peer: Peer | None) -> None:
    while await stored(host) != peer:
        await asyncio.sleep(0.01)


def test_a_host_registers_and_a_successor_takes_over(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        for _ in range(2):  # the second one has a lease of its own
            membership = Membership(hosts[0].store, TTL, hosts[0].peer)
            assert [problem.code for problem in membership.problems] == ["registering"]
            await membership.register()
            assert membership.registered.is_set()
            assert membership.problems == []
            assert await stored(hosts[0]) == hosts[0].peer()

    with_hosts(file, 1, play)


def test_two_hosts_of_one_name_or_one_vtep(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await Membership(hosts[0].store, TTL, hosts[0].peer).register()
        with pytest.raises(ConflictError, match=r"another host is registered as h1 \(VTEP 192\.0\.2\.1\)"):
            await Membership(hosts[0].store, TTL, lambda: hosts[0].peer("192.0.2.9", "another")).register()
        with pytest.raises(ConflictError, match=r"the host h1 has the VTEP address 192\.0\.2\.1 too"):
            await Membership(hosts[1].store, TTL, hosts[1].peer).register()
        assert [item.key for item in (await hosts[0].store.list(keys.PEERS)).items] == [keys.peer("h1")]

    with_hosts(file, 2, play)


def test_the_key_comes_back_whatever_takes_it_away(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        membership = Membership(hosts[0].store, TTL, hosts[0].peer)
        task = asyncio.create_task(membership.run())
        await until_stored(hosts[0], hosts[0].peer())
        item = await hosts[0].store.get(keys.peer("h1"))
        assert item is not None
        await hosts[1].store.revoke(item.lease)  # as when it ran out
        assert await stored(hosts[0]) is None
        membership.changed()
        await until_stored(hosts[0], hosts[0].peer())
        await hosts[1].store.commit([], [Delete(keys.peer("h1"))])
        membership.seen(None)
        await until_stored(hosts[0], hosts[0].peer())
        task.cancel()

    with_hosts(file, 2, play)


def test_what_is_lost_while_it_is_written_is_written_again(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        membership = Membership(hosts[0].store, TTL, hosts[0].peer)
        commit, key = hosts[0].store.commit, keys.peer("h1")

        async def slow(*what: Any) -> int | None:
            """The events of our commit, and of its undoing, come before its answer."""
            hosts[0].store.commit = commit  # type: ignore[method-assign]
            revision = await commit(*what)
            await hosts[1].store.commit([], [Delete(key)])
            membership.seen(None)
            return revision

        hosts[0].store.commit = slow  # type: ignore[method-assign, assignment]
        task = asyncio.create_task(membership.run())
        await membership.registered.wait()
        await until_stored(hosts[0], hosts[0].peer())
        task.cancel()

    with_hosts(file, 2, play)


def test_what_somebody_else_wrote_there_is_replaced(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        membership = Membership(hosts[0].store, TTL, hosts[0].peer)
        task = asyncio.create_task(membership.run())
        await until_stored(hosts[0], hosts[0].peer())
        other = hosts[0].peer("192.0.2.77")
        await hosts[1].store.commit([], [Put(keys.peer("h1"), other.model_dump_json().encode())])
        membership.seen(other)
        membership.changed()  # as the next refresh
        await until_stored(hosts[0], hosts[0].peer())
        task.cancel()

    with_hosts(file, 2, play)


def test_a_problem_goes_with_its_reason(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        membership = Membership(hosts[0].store, TTL, hosts[0].peer)
        task = asyncio.create_task(membership.run())
        await membership.registered.wait()
        keep_alive = hosts[0].store.keep_alive

        async def refused(_: int) -> bool:
            raise UsageError("etcd refuses the password")

        hosts[0].store.keep_alive = refused  # type: ignore[method-assign, assignment]
        membership.changed()
        await until(lambda: membership.problem is not None and membership.problem.text == "etcd refuses the password")
        hosts[0].store.keep_alive = keep_alive  # type: ignore[method-assign]
        membership.changed()
        await until(lambda: membership.problem is None)
        task.cancel()

    with_hosts(file, 1, play)


def test_what_changed_is_written(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        mtu = 1500
        membership = Membership(hosts[0].store, TTL, lambda: hosts[0].peer(mtu=mtu))
        task = asyncio.create_task(membership.run())
        await until_stored(hosts[0], hosts[0].peer())
        mtu = 9000
        membership.changed()
        await until_stored(hosts[0], hosts[0].peer(mtu=9000))
        task.cancel()

    with_hosts(file, 1, play)


@pytest.mark.parametrize("turns", range(4))
def test_it_ends_though_something_changes_at_the_same_time(file: Path, turns: int) -> None:
    async def play(hosts: list[Host]) -> None:
        membership = Membership(hosts[0].store, TTL, hosts[0].peer)
        task = asyncio.create_task(membership.run())
        await until_stored(hosts[0], hosts[0].peer())
        await asyncio.sleep(0.05)  # mostly enough until it waits; what is asserted holds before, too
        membership.changed()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=20)
        assert done == {task}

    with_hosts(file, 1, play)


@pytest.mark.parametrize(
    ("vtep", "mark", "copy"),
    [
        ("192.0.2.9", "b" * 16, True),
        ("192.0.2.9", "a" * 16, False),  # its address has changed
        ("192.0.2.9", "", False),  # nothing is known
        ("192.0.2.1", "b" * 16, False),  # it has booted
    ],
)
def test_a_copy_of_a_machine_is_refused(file: Path, vtep: str, mark: str, copy: bool) -> None:
    async def play(hosts: list[Host]) -> None:
        first = hosts[0].peer().model_copy(update={"incarnation": "a" * 16})
        second = hosts[0].peer(vtep).model_copy(update={"incarnation": mark})
        await Membership(hosts[0].store, TTL, lambda: first).register()
        if copy:
            with pytest.raises(CopyError, match=r"h1 runs on another machine already, at VTEP 192\.0\.2\.1"):
                await Membership(hosts[0].store, TTL, lambda: second).register()
        else:
            await Membership(hosts[0].store, TTL, lambda: second).register()
        assert await stored(hosts[0]) == (first if copy else second)

    with_hosts(file, 1, play)


def test_dead_hosts_endpoints_go_after_the_grace_time(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        own = await hosts[0].endpoint("web", "0" * 16)
        dead = await hosts[1].endpoint("web", "1" * 16)
        alive = await hosts[2].endpoint("web", "2" * 16)
        await hosts[2].store.commit([], [Put(keys.peer("h3"), hosts[2].peer("192.0.2.3").model_dump_json().encode())])
        task = asyncio.create_task(hosts[0].mirror.run(hosts[0].store))
        await hosts[0].mirror.synced.wait()
        patient = Reaper("h1", hosts[0].mirror, hosts[0].registry, grace=1e6)
        await patient.look()
        assert set(patient.since) == {"h2"}
        assert patient.forgotten_in("h2") == pytest.approx(1e6, rel=1e-3)
        assert patient.forgotten_in("h3") is None
        assert set(hosts[0].mirror.endpoints["web"]) == {own.id, dead.id, alive.id}
        await Reaper("h1", hosts[0].mirror, hosts[0].registry, grace=0.0).look()
        await until(lambda: set(hosts[0].mirror.endpoints["web"]) == {own.id, alive.id})
        claims = {item.value.decode() for item in (await hosts[0].store.list(keys.CLAIMS)).items}
        claims -= {item.value.decode() for item in (await hosts[0].store.list(keys.last_given("web"))).items}
        assert claims == {"web", "h2", own.id, alive.id}  # of the guard, and of the reaper
        task.cancel()

    with_hosts(file, 3, play)


def test_a_host_that_returns_is_not_missed_any_more(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        await hosts[1].endpoint("web", "1" * 16)
        task = asyncio.create_task(hosts[0].mirror.run(hosts[0].store))
        await hosts[0].mirror.synced.wait()
        reaper = Reaper("h1", hosts[0].mirror, hosts[0].registry, grace=1e6)
        await reaper.look()
        assert set(reaper.since) == {"h2"}
        await Membership(hosts[1].store, TTL, lambda: hosts[1].peer("192.0.2.2")).register()
        await until(lambda: "h2" in hosts[0].mirror.peers)
        await reaper.look()
        assert reaper.since == {}
        task.cancel()

    with_hosts(file, 2, play)


def test_a_refusal_that_goes_on_is_logged_once(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(hosts: list[Host]) -> None:
        asked = 0

        async def refused(_: int) -> int:
            nonlocal asked
            asked += 1
            raise UsageError(f"etcd refuses the password for the {asked}th time")

        monkeypatch.setattr(membership_module, "RETRY_S", 0.001)
        monkeypatch.setattr(hosts[0].store, "grant", refused)
        membership = Membership(hosts[0].store, TTL, hosts[0].peer)
        task = asyncio.create_task(membership.run())
        await until(lambda: asked > 3)
        assert membership.problem is not None
        assert "refuses the password" in membership.problem.text
        task.cancel()

    with caplog.at_level(logging.ERROR):
        with_hosts(file, 1, play)
    assert [record.message for record in caplog.records] == ["etcd refuses the password for the 1th time"]
