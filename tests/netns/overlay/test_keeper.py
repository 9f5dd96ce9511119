# SPDX-License-Identifier: Apache-2.0
"""What somebody else changes in a kept table is restored; other tables are left alone.

host    a namespace with nftables, without interfaces
"""

import random
import socket
import threading
from collections.abc import Iterator

import pytest

from fastpath.bench.common.namespaces import wait_for
from fastpath.control.kernel import nft_owned, nftables
from fastpath.control.kernel.keeper import Keeper
from fastpath.control.kernel.nft_events import NftEvents
from fastpath.errors import RefusedError
from tests.support.hosts import hosts
from tests.support.hosts.hosts import Namespace

TABLE = "inet kept"
BODY = """
set peers { type ipv4_addr; elements = { 192.0.2.2, 192.0.2.3 } }
chain check {
    counter drop comment "checked"
}
chain forward {
    type filter hook forward priority filter; policy accept;
    ip daddr @peers udp dport 4789 counter jump check comment "to a peer"
    tcp dport 2379 counter drop comment "to the store"
}"""
MORE = BODY.replace("192.0.2.3", "192.0.2.3, 192.0.2.4")
EDITS = [
    "flush ruleset",
    "delete table inet kept",
    "flush table inet kept",
    "flush chain inet kept forward",
    "add rule inet kept forward accept",
    "insert rule inet kept check accept",
    "add element inet kept peers { 198.51.100.1 }",
    "delete element inet kept peers { 192.0.2.2 }",
    "flush set inet kept peers",
    "add chain inet kept more",
    "add chain inet kept first { type filter hook forward priority -400; policy drop; }",
    "add set inet kept others { type ipv6_addr; }",
    "chain inet kept forward { policy drop; }",
    "add table inet kept { flags dormant; }",
    "delete table inet kept; add table inet kept; add chain inet kept forward",
]


@pytest.fixture(scope="module")
def host() -> Iterator[Namespace]:
    hosts.remove_leftovers()
    namespace = Namespace.named(hosts.PREFIX, "keep")
    namespace.add()
    try:
        yield namespace
    finally:
        namespace.remove()


@pytest.fixture
def keeper(host: Namespace) -> Iterator[Keeper]:
    made = host.inside(Keeper)
    try:
        yield made
    finally:
        made.close()
        host.run("nft", "flush", "ruleset")


def listing(host: Namespace, table: str = TABLE) -> object:
    return host.inside(lambda: nftables.listing(table))


def generation(host: Namespace) -> int:
    """The handle of the table, which is another one when the table was replaced."""
    return int(host.inside(lambda: nftables.objects(TABLE))[0]["table"]["handle"])


def test_random_edits_are_restored(host: Namespace, keeper: Keeper) -> None:
    keeper.keep(TABLE, BODY)
    wanted = listing(host)
    seed = random.randrange(1 << 32)
    chosen = EDITS + random.Random(seed).choices(EDITS, k=15)
    for edit in chosen:
        before = keeper.restored[TABLE]
        host.run("nft", *edit.split())
        # An edit that left the table as it was restores nothing, such as a table that has its flag already.
        wait_for(lambda: keeper.restored[TABLE] > before, f"seed {seed}: {edit} is noticed")  # noqa: B023
        assert listing(host) == wanted, (seed, edit)
    assert not keeper.problems


def test_its_own_changes_and_those_of_others_are_told_apart(host: Namespace, keeper: Keeper) -> None:
    host.run("nft", "add table inet other; add chain inet other input; add table ip kept")
    keeper.keep(TABLE, BODY)
    keeper.keep(TABLE, MORE, f"add element {TABLE} peers {{ 192.0.2.4 }}")
    host.run("nft", "add rule inet other input accept; delete table ip kept")
    keeper.keep("inet second", "chain empty { }")  # after this call, it knows of all that happened before
    assert keeper.restored == {TABLE: 0, "inet second": 0}
    assert "accept" in host.run("nft", "list table inet other").stdout
    assert "192.0.2.4" in host.run("nft", "list table inet kept").stdout


def test_a_change_leaves_the_counters(host: Namespace, keeper: Keeper) -> None:
    keeper.keep(TABLE, BODY)
    before = generation(host)
    keeper.keep(TABLE, MORE, f"add element {TABLE} peers {{ 192.0.2.4 }}")
    assert generation(host) == before
    keeper.keep(TABLE, BODY, f"delete element {TABLE} peers {{ 192.0.2.99 }}")  # nft refuses that: it replaces all
    assert listing(host) != []
    assert "192.0.2.4" not in host.run("nft", "list table inet kept").stdout


def test_lost_notifications_lead_to_a_look(host: Namespace, keeper: Keeper) -> None:
    keeper.keep(TABLE, BODY)
    events, wanted = keeper._events, listing(host)
    seen: list[int] = []
    assert events is not None
    many = "add table inet lost\nadd set inet lost ports { type inet_service; }\n"
    many += "add element inet lost ports { " + ", ".join(str(port) for port in range(1, 9000)) + " }\n"
    # What the keeper may have seen before, or not; a change that it cannot have seen; no change.
    for edit in ("delete table inet lost", "flush ruleset", "delete table inet lost"):
        with keeper._lock:  # it cannot read more than one datagram meanwhile
            events._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            host.inside(lambda: nftables.run(many + edit, "lost"))  # noqa: B023
        wait_for(lambda: listing(host) == wanted, f"the table is restored after {edit}")
        keeper.keep("inet second", f"chain empty{len(seen)} {{ }}")  # after this call, it has looked
        seen.append(generation(host))
    assert seen[0] != seen[1] == seen[2]
    assert not keeper.problems


def test_a_change_during_a_look_is_not_what_is_wanted(
    host: Namespace, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody flushes the rules while the keeper looks at them, and all notifications are lost."""
    keeper.keep(TABLE, BODY)
    wanted, look, events = listing(host), nftables.listing, keeper._events
    flushed: list[str] = []
    assert events is not None
    report = events.transactions

    def flush_and_look(table: str) -> object:
        if not flushed:
            flushed.append(table)
            nftables.run("flush ruleset", table)
        return look(table)

    monkeypatch.setattr(nftables, "listing", flush_and_look)
    monkeypatch.setattr(events, "transactions", lambda: [None for _ in report()])
    host.run("nft", "add table inet other")
    wait_for(lambda: flushed and host.inside(lambda: look(TABLE)) == wanted, "the table is restored")


def test_tables_are_restored_in_one_transaction(host: Namespace, keeper: Keeper) -> None:
    """So what a table protects is never there without it."""
    keeper.keep(TABLE, BODY)
    keeper.keep("ip second", "chain empty { }")
    events = host.inside(NftEvents)
    host.run("nft", "flush", "ruleset")
    wait_for(lambda: set(keeper.restored.values()) == {1}, "both are restored")
    assert list(events.transactions()) == [{TABLE, "ip second"}] * 2
    events.close()
    keeper.keep(TABLE, BODY + "\n", "")  # nothing to do
    assert listing(host) != []


def test_one_that_nft_refuses_does_not_keep_others_away(host: Namespace, keeper: Keeper) -> None:
    keeper.keep(TABLE, BODY)
    with keeper._lock:  # both are due at once
        host.run("nft", "flush", "ruleset")
        bad = threading.Thread(target=lambda: keeper.keep_soon("ip bad", "nonsense"))
        bad.start()
    bad.join()
    wait_for(lambda: "ip bad" in keeper.problems and keeper.restored[TABLE] == 1, "both are tried")
    assert listing(host) != []


def test_release(host: Namespace, keeper: Keeper) -> None:
    keeper.keep(TABLE, BODY)
    keeper.release(TABLE)
    assert listing(host) == []
    keeper.release(TABLE)
    assert keeper.restored == {}


def test_what_nft_refuses(host: Namespace, keeper: Keeper) -> None:
    with pytest.raises(RefusedError, match=r"^nft refused the rules of inet kept: syntax error"):
        keeper.keep(TABLE, "nonsense")
    assert "syntax error" in keeper.problems[TABLE]
    keeper.keep(TABLE, BODY)
    assert not keeper.problems


def test_nobody_else_changes_an_owned_table(host: Namespace) -> None:
    """It takes the place of one that stayed, and goes with its keeper."""
    host.run("nft", f"add table {TABLE}; add set {TABLE} others {{ type ipv6_addr; }}")
    keeper = host.inside(Keeper)
    keeper.keep_soon(TABLE, BODY, owned=True).result()
    text = host.run("nft", "list", "table", *TABLE.split()).stdout
    assert "others" not in text
    for edit in EDITS[1:]:
        with pytest.raises(RefusedError, match=r"not (permitted|supported)"):
            host.run("nft", edit)
    host.run("nft", "flush ruleset")
    assert host.run("nft", "list", "table", *TABLE.split()).stdout == text
    keeper.keep_soon(TABLE, MORE, owned=True).result()
    assert "192.0.2.4" in host.run("nft", "list", "table", *TABLE.split()).stdout
    keeper.close()
    assert host.run("nft", "list", "tables").stdout == ""


def test_where_no_table_can_be_owned_it_is_kept_as_any_other(
    host: Namespace, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nft_owned, "_LIBRARY", "libnftables.missing")
    keeper.keep(TABLE, BODY)
    wanted = listing(host)
    keeper.release(TABLE)
    keeper.keep_soon(TABLE, BODY, owned=True).result()
    assert "libnftables.missing is missing" in keeper.shared[TABLE]
    assert not keeper.problems
    host.run("nft", "flush", "ruleset")
    wait_for(lambda: keeper.restored[TABLE] == 1, "it is restored")
    assert listing(host) == wanted
    keeper.release(TABLE)
    assert keeper.shared == {}


def test_rules_that_nobody_takes_are_no_reason_to_share_a_table(host: Namespace, keeper: Keeper) -> None:
    with pytest.raises(RefusedError, match=r"^libnftables refused the rules of inet kept: syntax error"):
        keeper.keep_soon(TABLE, "nonsense", owned=True).result()
    keeper.keep_soon(TABLE, BODY, owned=True).result()
    assert keeper.shared == {}
    host.run("nft", "flush", "ruleset")
    assert TABLE in host.run("nft", "list", "tables").stdout
    keeper.release(TABLE)


@pytest.mark.parametrize("owned", [False, True])
def test_a_table_that_is_kept_again_was_changed_by_nobody(
    host: Namespace, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, owned: bool
) -> None:
    """Somebody wants it again while the keeper deletes it."""
    keeper.keep_soon(TABLE, BODY, owned=owned).result()
    delete = nftables.delete

    def want_and_delete(table: str) -> None:
        keeper.keep_soon(TABLE, MORE)
        delete(table)

    monkeypatch.setattr(nftables, "delete", want_and_delete)
    keeper.release(TABLE)
    keeper.keep("inet second", "chain empty { }")  # after this call, it knows of all that happened before
    assert "192.0.2.4" in host.run("nft", "list", "table", *TABLE.split()).stdout
    assert keeper.restored == {TABLE: 0, "inet second": 0}


def test_the_table_stays_when_the_keeper_ends(host: Namespace) -> None:
    keeper = host.inside(Keeper)
    keeper.keep(TABLE, BODY)
    keeper.close()
    assert listing(host) != []
    host.run("nft", "flush", "ruleset")
