# SPDX-License-Identifier: Apache-2.0
"""Two endpoints with one address in the store: who had it first keeps it, and the other one is told of and ignored."""

import logging
from typing import Any

import pytest

from fastpath.control.cluster import keys
from fastpath.control.cluster.contents import Contents
from fastpath.control.store.interface import Event
from tests.support.control.sites import ids
from tests.unit.cluster.test_contents import ENDPOINT, NETWORK, event

A, B, C = ids(1, 3)


def endpoint(identity: str, host: str, number: int, **more: Any) -> dict[str, Any]:
    own = {"mac": f"02:42:0a:00:00:{number:02x}", "addresses": [f"10.0.0.{number}/24"]}
    return ENDPOINT | own | {"id": identity, "host": host, "host_id": host, **more}


def put(value: dict[str, Any], revision: int, created: int | None = None) -> Event:
    made = event(keys.host_endpoint(value["host"], "web", value["id"]), value, revision)
    return Event(made.key, made.value, revision, created if created is not None else revision)


def gone(value: dict[str, Any], revision: int) -> Event:
    return Event(keys.host_endpoint(value["host"], "web", value["id"]), None, revision)


@pytest.fixture
def contents() -> Contents:
    found = Contents("h1", "h1")
    found.take([event(keys.network("web"), NETWORK)])
    return found


def believed(contents: Contents) -> set[str]:
    return set(contents.endpoints.get("web", {}))


FIRST = endpoint(A, "h2", 5)
SAME = {"address": endpoint(B, "h3", 6, addresses=["10.0.0.5/24"]), "MAC": endpoint(B, "h3", 6, mac=FIRST["mac"])}


@pytest.mark.parametrize("what", list(SAME))
def test_who_was_first_keeps_it_and_the_other_is_told(
    contents: Contents, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    contents.take([put(FIRST, 5)])
    with caplog.at_level(logging.ERROR):
        changes = contents.take([put(SAME[what], 6)])
    assert changes.endpoints == {("web", B)}
    assert believed(contents) == {A}
    claimed = "10.0.0.5" if what == "address" else FIRST["mac"]
    line = f"endpoint {B} of h3 in web is ignored: endpoint {A} of h2 has had {claimed} before"
    assert contents.ignored() == [(B, line)]
    assert caplog.messages == [line]


def test_writing_it_again_does_not_make_an_endpoint_younger(contents: Contents) -> None:
    contents.take([put(FIRST, 5), put(SAME["address"], 6), put(FIRST | {"state": "ready"}, 7, 5)])
    assert believed(contents) == {A}
    assert contents.endpoints["web"][A].state == "ready"


def test_a_host_that_comes_later_decides_alike(contents: Contents) -> None:
    """By when the keys were created: the first endpoint was written again later."""
    contents.take([put(SAME["address"], 6), put(FIRST, 7, 5)])
    assert believed(contents) == {A}


def test_an_endpoint_does_not_take_another_address_later(contents: Contents) -> None:
    contents.take([put(endpoint(B, "h3", 6), 4), put(FIRST, 5), put(SAME["address"], 6, 4)])
    assert believed(contents) == {A, B}
    assert [str(a) for a in contents.endpoints["web"][B].addresses] == ["10.0.0.6/24"]
    assert "keeps the addresses that it was created with" in contents.ignored()[0][1]


def test_this_hosts_own_endpoint_keeps_what_it_has(contents: Contents) -> None:
    own = endpoint(C, "h1", 5)
    contents.take([put(FIRST, 5), put(own, 9)])
    assert believed(contents) == {C}
    assert [identity for identity, _ in contents.ignored()] == [A]


@pytest.mark.parametrize("goes", [0, 1])
def test_of_two_own_endpoints_with_one_address_the_one_that_stays_has_it(contents: Contents, goes: int) -> None:
    own = [endpoint(B, "h1", 5), endpoint(C, "h1", 6, addresses=["10.0.0.5/24"])]
    contents.take([put(own[0], 5), put(own[1], 6)])
    assert believed(contents) == {B, C}
    contents.take([gone(own[goes], 7), put(endpoint(A, "h2", 7, addresses=["10.0.0.5/24"]), 8)])
    assert believed(contents) == {own[1 - goes]["id"]}
    assert [identity for identity, _ in contents.ignored()] == [A]
    contents.take([gone(own[1 - goes], 9)])
    assert believed(contents) == {A}


def test_the_next_one_has_it_when_the_first_goes(contents: Contents) -> None:
    contents.take([put(FIRST, 5), put(SAME["address"], 6)])
    changes = contents.take([gone(FIRST, 7)])
    assert believed(contents) == {B}
    assert changes.endpoints == {("web", A), ("web", B)}
    assert contents.ignored() == []
    contents.take([gone(SAME["address"], 8)])
    assert believed(contents) == set()
    contents.take([put(endpoint(C, "h3", 5), 9)])
    assert believed(contents) == {C}


def test_one_that_is_ignored_goes_without_a_trace(contents: Contents) -> None:
    contents.take([put(FIRST, 5), put(SAME["address"], 6), gone(SAME["address"], 7)])
    assert believed(contents) == {A}
    assert contents.ignored() == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"addresses": ["10.9.9.9/24"]}, "10.9.9.9 is in no subnet of the network"),
        ({"addresses": ["10.0.0.7/24", "10.0.0.1/24"]}, "10.0.0.1 is the gateway's"),
        ({"mac": "02:42:0a:00:00:01"}, "02:42:0a:00:00:01 is the gateway's"),
    ],
)
def test_what_no_endpoint_of_the_network_can_have(contents: Contents, more: dict[str, Any], why: str) -> None:
    contents.take([put(endpoint(B, "h3", 6, **more), 5)])
    assert believed(contents) == set()
    assert contents.ignored() == [(B, f"endpoint {B} of h3 in web is ignored: {why}")]


def test_the_network_may_be_known_later_or_be_another_one() -> None:
    contents = Contents("h1", "h1")
    contents.take([put(endpoint(B, "h3", 6), 5), put(endpoint(A, "h2", 7, addresses=["10.9.9.9/24"]), 5)])
    assert believed(contents) == {A, B}
    contents.take([event(keys.network("web"), NETWORK, 6)])
    assert believed(contents) == {B}
    other = NETWORK | {"subnets": [{"pool": "10.9.9.0/24", "gateway": "10.9.9.1"}], "kept": []}
    changes = contents.take([event(keys.network("web"), other, 7)])
    assert believed(contents) == {A}
    assert changes.endpoints == {("web", A), ("web", B)}


def test_however_many_change_places_by_one_that_goes(contents: Contents) -> None:
    """Whoever writes endpoints to the store can make each wait for the one before it."""
    many = 1200
    identities = ids(1, many)
    wide = NETWORK | {"subnets": [{"pool": "10.0.0.0/8", "gateway": "10.0.0.1"}], "kept": []}
    chain = [
        endpoint(
            each, "h2", 0, mac=f"02:42:0b:00:{mac >> 8:02x}:{mac & 255:02x}", addresses=[f"10.{ip >> 8}.{ip & 255}.9/8"]
        )
        for number, each in enumerate(identities)
        for mac, ip in [((number + 1) // 2, number // 2)]
    ]
    contents.take([event(keys.network("web"), wide, 2)])
    contents.take([put(each, 5 + number) for number, each in enumerate(chain)])
    assert believed(contents) == set(identities[::2])
    changes = contents.take([gone(chain[0], 9999)])
    assert believed(contents) == set(identities[1::2])
    assert changes.endpoints == {("web", each) for each in identities}
    # From the end, where none waits for the next: else each that goes makes all behind it change places once more.
    contents.take([gone(each, 10000) for each in (*reversed(chain[20:]), *chain[1:20])])
    assert (contents.endpoints, contents.disputed) == ({}, {})
