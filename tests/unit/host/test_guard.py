# SPDX-License-Identifier: Apache-2.0
"""The guard's rules as text, the store's addresses, and hosts that cannot have a guard."""

import asyncio
import dataclasses
import ipaddress
import socket
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from fastpath.control.device import guard as device_guard
from fastpath.control.device.config import VxlanConfig
from fastpath.control.host.guard import guard as guard_module
from fastpath.control.host.guard.guard import Guard, fixed_endpoints, follow_store
from fastpath.control.host.guard.rules import SENTENCES, Plan, copy_of, counts, table_of
from fastpath.control.kernel import nftables
from fastpath.control.kernel.keeper import Keeper
from fastpath.errors import RefusedError

V4, V6 = ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::1")
PEERS = frozenset({ipaddress.ip_address("192.0.2.2"), ipaddress.ip_address("192.0.2.3")})
TABLE = "inet t"


def test_a_change_of_sets_is_a_change_of_elements() -> None:
    before = Plan(V4, 4789, peers=PEERS)
    after = dataclasses.replace(before, peers=frozenset({ipaddress.ip_address("192.0.2.4"), *PEERS}))
    assert after.change(before, TABLE) == "add element inet t peers { 192.0.2.4 }"
    assert before.change(after, TABLE) == "delete element inet t peers { 192.0.2.4 }"
    assert before.change(before, TABLE) == ""
    one = dataclasses.replace(before, store=frozenset({(V4, 2379)}))
    two = dataclasses.replace(before, store=frozenset({(V4, 2380)}))
    assert two.change(one, TABLE) == (
        "delete element inet t store_v4 { 192.0.2.1 . 2379 }\nadd element inet t store_v4 { 192.0.2.1 . 2380 }\n"
        "delete element inet t store_ports { 2379 }\nadd element inet t store_ports { 2380 }"
    )


def test_a_member_comes_and_goes_by_itself() -> None:
    before = Plan(V4, 4789, peers=PEERS, kernel_port=14789, members=frozenset({(V4, 256)}))
    after = dataclasses.replace(before, members=frozenset({(V4, 257)}))
    assert after.change(before, TABLE) == (
        "delete element inet t members { 192.0.2.1 . 256 }\nadd element inet t members { 192.0.2.1 . 257 }"
    )
    assert after.change(dataclasses.replace(before, kernel_port=0), TABLE) is None


def test_other_changes_need_another_table() -> None:
    before = Plan(V4, 4789, peers=PEERS)
    for change in ({"strict": False}, {"only_peers": False}, {"vtep": V6}, {"store": frozenset({(V6, 1)})}):
        assert dataclasses.replace(before, **change).change(before, TABLE) is None


@pytest.mark.parametrize("vtep", [V4, V6], ids=str)
def test_each_rule_has_a_counter_and_a_comment_that_nft_takes(vtep: Any) -> None:
    store = frozenset({(V4, 2379), (V6, 2379)})
    body = Plan(vtep, 4789, peers=PEERS, store=store, bridge="b", kernel_port=14789).body()
    for name, sentence in SENTENCES.items():
        lines = [line for line in body.splitlines() if f'comment "{name}: {sentence}"' in line]
        assert len(lines) == 1, name
        assert " counter " in f" {lines[0].strip()} "
        assert len(f"{name}: {sentence}") < 128


def test_a_zone_does_not_become_a_command() -> None:
    """parse_ip refuses it; the rules do not rely on that."""
    peer = ipaddress.IPv6Address('2001:db8::2%x }; flush ruleset; add set a { "')
    plan = Plan(V6, 4789, peers=frozenset({peer}), store=frozenset({(peer, 1)}))
    assert "flush" not in plan.body()
    assert "flush" not in (plan.change(Plan(V6, 4789, store=plan.store), TABLE) or "flush")
    assert "flush" not in table_of(peer, 4789)


def test_the_tables_name() -> None:
    assert table_of(V4, 4789) == "inet fastpath-guard-192.0.2.1-4789"
    assert table_of(V6, 8472) == "inet fastpath-guard-2001-db8--1-8472"


def test_counts_are_read_from_what_nft_says() -> None:
    counter = {"counter": {"packets": 3, "bytes": 9}}
    rule: dict[str, object] = {"chain": "arriving", "comment": "not_a_peer: of somebody", "expr": [counter]}
    found = list(counts([{"table": {}}, {"rule": rule}, {"rule": {"chain": "output", "expr": []}}]))
    assert [(each.name, each.sentence, each.passes, each.packets) for each in found] == [
        ("not_a_peer", "of somebody", False, 3)
    ]


class Told:
    """A guard that is told of the store."""

    def __init__(self) -> None:
        self.stores: list[set[tuple[str, int]]] = []

    def set_store(self, endpoints: Any) -> None:
        self.stores.append({(str(address), port) for address, port in endpoints})


def test_the_addresses_of_the_store_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[list[str] | None] = [["192.0.2.7"], None, ["192.0.2.8", "2001:db8::8"]]
    guard = Told()

    async def resolve(self: Any, host: str, *_: Any, **__: Any) -> list[Any]:
        assert host == "etcd.example"
        found = answers.pop(0)
        if found is None:
            raise socket.gaierror
        return [(0, 0, 0, "", (address, 0)) for address in found]

    async def go() -> None:
        task = asyncio.ensure_future(follow_store(guard, ["etcd.example:2379", "[2001:db8::1]:2380"]))  # type: ignore[arg-type]
        while answers:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        task.cancel()

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    monkeypatch.setattr(guard_module, "RESOLVE_S", 0)
    asyncio.run(go())
    fixed = ("2001:db8::1", 2380)
    assert guard.stores[:2] == [{("192.0.2.7", 2379), fixed}] * 2  # while the resolver is away, the last one holds
    assert guard.stores[2] == {("192.0.2.8", 2379), ("2001:db8::8", 2379), fixed}
    assert fixed_endpoints(["etcd.example:2379", "192.0.2.1:2379"]) == {(V4, 2379)}


def test_without_nft_the_reason_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    keeper = Keeper()
    guard = Guard(keeper, table_of(V4, 4789), Plan(V4, 4789))
    assert guard.set_peers(PEERS).exception(60) is not None
    text = "the guard is not in place: the program nft is missing: install nftables"
    assert [problem.text for problem in guard.problems] == [text]
    info = guard.info()
    assert (info.state, info.problem, info.rules) == ("not in place", text, ())
    keeper.close()


class Kept:
    """A keeper whose tables are in place, but not owned."""

    def __init__(self, shared: dict[str, str]) -> None:
        self.problems: dict[str, str] = {}
        self.shared = shared
        self.restored: dict[str, int] = {}


def test_a_copy_that_others_can_change_is_a_problem_of_a_guard_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(V4, 4789)
    monkeypatch.setattr(nftables, "objects", lambda _: [])
    guard = Guard(Kept({copy_of(table): "no library"}), table, Plan(V4, 4789), owned=True)  # type: ignore[arg-type]
    text = "a flush of nftables removes both tables of the guard for a moment: no library"
    assert [problem.text for problem in guard.problems] == [text]
    assert (guard.state, guard.info().state, guard.info().problem) == ("in place", "in place", text)
    assert not Guard(Kept({}), table, Plan(V4, 4789), owned=True).problems  # type: ignore[arg-type]


def test_a_host_that_cannot_have_a_guard_does_nothing() -> None:
    keeper = Keeper()
    guard = Guard(keeper, table_of(V4, 4789), Plan(V4, 4789), "no permission to mark packets (CAP_NET_ADMIN)")
    guard.set_peers(PEERS).result(0)
    guard.set_store([(V4, 2379)])
    assert not keeper.restored
    assert guard.state == "not in place"
    keeper.close()


class Refusing:
    """A keeper whose nft does not remove the first table."""

    def __init__(self) -> None:
        self.released: list[str] = []
        self.closed = False

    def keep_soon(self, *_: object, **__: object) -> Future[None]:
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def release_soon(self, table: str) -> Future[None]:
        self.released.append(table)
        done: Future[None] = Future()
        if len(self.released) == 1:
            done.set_exception(RefusedError("no permission"))
        else:
            done.set_result(None)
        return done

    def close(self) -> None:
        self.closed = True


def test_a_device_removes_each_table_though_nft_refuses_another(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Refusing()
    monkeypatch.setattr(device_guard, "Keeper", lambda: keeper)
    guard = device_guard.DeviceGuard(VxlanConfig(name="vx0", id=1, local=V4))
    with pytest.raises(RefusedError, match="no permission"):
        guard.close()
    assert keeper.released == [table_of(V4, 4789), copy_of(table_of(V4, 4789))]
    assert keeper.closed


def test_members_that_are_assumed_after_the_rules_were_put_up_are_admitted() -> None:
    """As at a start without tables: the rules come before the members are known."""
    changes: list[str | None] = []

    class Kept(Keeper):
        def __init__(self) -> None:
            """It keeps nothing."""

        def keep_soon(self, table: str, body: str, change: str | None = None, *, owned: bool = False) -> Future[None]:
            changes.append(change)
            done: Future[None] = Future()
            done.set_result(None)
            return done

    guard, members = Guard(Kept(), "inet t", Plan(V4, 4789, kernel_port=14789)), frozenset({(V4, 256)})
    guard.put_up(PEERS)
    guard.assume_members(members)
    guard.set_members(members)
    assert changes == [None, None, *(f"add element {table} members {{ 192.0.2.1 . 256 }}" for table in guard.tables)]
