# SPDX-License-Identifier: Apache-2.0
"""Nonsense, too much, and other machines' endpoints in the store."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.control.cluster import contents, keys
from fastpath.control.cluster.contents import Contents
from fastpath.control.cluster.reaper import Reaper, another
from fastpath.control.cluster.stored import MAX_LINE, MAX_VALUE
from fastpath.control.model.objects import Endpoint, Network, Peer
from fastpath.control.store.interface import Event, Put
from tests.support.control.sites import Host, ids, with_hosts

A, B, C = ids(1, 3)
ENDPOINT = {
    "id": A,
    "network": "web",
    "host": "h1",
    "host_id": "one",
    "mac": "02:42:0a:00:00:02",
    "addresses": ["10.0.0.2/24"],
    "sandbox": {"path": "/run/netns/c", "inode": 1},
    "names": ["c"],
    "allowed": ["10.0.0.9/24"],
}
NETWORK = {
    "name": "web",
    "vni": 300,
    "subnets": [{"pool": "10.0.0.0/24", "gateway": "10.0.0.1"}],
    "options": {"parent": "eth0"},
    "kept": ["10.0.0.3"],
}
PEER = {"host": "h1", "id": "one", "vtep": "192.0.2.1", "mtu": 1500, "version": "0.2.0"}
PLACES: dict[str, dict[str, Any]] = {
    keys.network("web"): NETWORK,
    keys.peer("h1"): PEER,
    keys.endpoint("web", A): ENDPOINT,
    keys.host_endpoint("h1", "web", A): ENDPOINT,
}


def event(key: str, value: object, revision: int = 1) -> Event:
    return Event(key, json.dumps(value).encode(), revision)


def endpoints(host: str, *identities: str, **more: object) -> list[Event]:
    """Endpoints of a host, each with addresses of its own."""
    return [
        event(
            keys.host_endpoint(host, "web", each), ENDPOINT | own_addresses(each) | {"id": each, "host": host, **more}
        )
        for each in identities
    ]


def own_addresses(identity: str) -> dict[str, object]:
    number = int(identity[-2:], 16) % 250 + 2
    return {"mac": f"02:42:0a:00:00:{number:02x}", "addresses": [f"10.0.0.{number}/24"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["h1", "web", A]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn) -> Event:
    """An object of which some fields, or the whole, are something else; under its key or another."""
    key = draw(st.sampled_from(sorted(PLACES)))
    good: dict[str, Any] = PLACES[key]
    value: Any = dict(good)
    for name in draw(st.lists(st.sampled_from(sorted(value)), max_size=3)):
        value[name] = draw(JSON | st.just(good[name]))
    text = json.dumps(draw(st.just(value) | JSON)).encode()
    if draw(st.booleans()):
        text = draw(st.binary(max_size=40) | st.just(text[: draw(st.integers(0, len(text)))]))
    if draw(st.booleans()):
        key += draw(st.text(max_size=4))
    return Event(key, draw(st.none() | st.just(text)), draw(st.integers(1, 9)))


@given(st.lists(spoilt() | st.sampled_from([event(key, value) for key, value in PLACES.items()]), max_size=8))
def test_no_value_stops_its_readers(events: list[Event]) -> None:
    """What is shown is valid, and told apart from what is ignored."""
    found = Contents("h1", "one")
    for each in events:
        found.take([each])
        for name, network in found.networks.items():
            assert Network.model_validate_json(network.model_dump_json()) == network
            assert network.name == name
        for name, members in found.endpoints.items():
            for identity, endpoint in members.items():
                assert Endpoint.model_validate_json(endpoint.model_dump_json()) == endpoint
                assert (endpoint.network, endpoint.id) == (name, identity)
                assert endpoint.host != "h1" or endpoint.host_id in ("", "one")
        for name, peer in found.peers.items():
            assert Peer.model_validate_json(peer.model_dump_json()).host == name
        for _, line in found.ignored():
            assert line.isprintable()
    for key in {*PLACES, *(each.key for each in events)}:
        found.take([Event(key, None, 10)])
    assert (found.networks, found.endpoints, found.peers, found.strangers) == ({}, {}, {}, {})
    assert not found.unreadable
    assert not found.outside()


def test_a_value_that_is_too_large_is_not_read() -> None:
    found = Contents()
    found.take([event(keys.network("web"), NETWORK | {"later": "x" * MAX_VALUE})])
    assert found.networks == {}
    ((_, line),) = found.ignored()
    assert line.startswith(f"{keys.network('web')} in the store cannot be read: it has 65690 bytes, 65536 at most")
    found.take([event(keys.network("web"), NETWORK, 2)])
    assert set(found.networks) == {"web"}
    assert found.ignored() == []


@pytest.mark.parametrize(
    ("key", "doubtful"),
    [
        (keys.network("web"), {"web"}),
        (keys.endpoint("web", B), {"web"}),
        (keys.host_endpoint("h9", "web", B), {"web"}),
        (keys.peer("h2"), {"db"}),
        (keys.HOSTS + "h2/web", {"db"}),
        (keys.HOSTS + "h9", set()),
        (keys.peer("h9"), set()),
        (keys.LAYOUT, {"web", "db", None}),
    ],
)
def test_what_cannot_be_read_leaves_doubt_about_its_network_or_host_only(key: str, doubtful: set[str | None]) -> None:
    found = Contents()
    found.take([event(keys.network("web"), NETWORK), event(keys.network("db"), NETWORK | {"name": "db", "vni": 301})])
    found.take(endpoints("h1", A))
    found.take([event(keys.host_endpoint("h2", "db", C), ENDPOINT | {"id": C, "host": "h2", "network": "db"})])

    def doubts() -> set[str | None]:
        return {name for name in ("web", "db", None) if not found.knows_all(name)}

    assert doubts() == set()
    for revision in (2, 3):  # it is noted once
        found.take([Event(key, b"{%d" % revision, revision)])
        assert doubts() == doubtful
    changes = found.take([Event(key, None, 4)])
    assert doubts() == set()
    assert not doubtful or changes  # somebody has to look again


def test_much_that_cannot_be_read_is_told_in_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    found = Contents()
    found.take([Event(f"{keys.NETWORKS}\x1b[2J\n{n}{'x' * 1000}", b"{", 1) for n in range(100)])
    lines = [line for _, line in found.ignored()]
    assert len(lines) == len(caplog.records) + 1 == 11
    assert lines[-1] == "90 more objects in the store cannot be read"
    for line in (*lines, *(record.getMessage() for record in caplog.records)):
        assert line.isprintable()
        assert len(line) < 5 * MAX_LINE


def test_one_host_cannot_fill_the_others(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(contents, "MAX_ENDPOINTS", 2)
    monkeypatch.setattr(contents, "MAX_NETWORKS", 1)
    monkeypatch.setattr(contents, "MAX_PEERS", 1)
    found = Contents()
    found.take(endpoints("h1", A, B, C, "f" * 16))
    found.take(endpoints("h2", *ids(9, 1)))
    found.take([event(keys.network(name), NETWORK | {"name": name}) for name in ("web", "db")])
    found.take([event(keys.peer(name), PEER | {"host": name}) for name in ("h1", "h2")])
    assert set(found.endpoints["web"]) == {A, B, *ids(9, 1)}
    assert (set(found.networks), set(found.peers)) == ({"web"}, {"h1"})
    lines = [
        "the host h1 has more than 2 endpoints in the store; 2 ignored",
        "the store has more than 1 hosts; 1 ignored",
        "the store has more than 1 networks; 1 ignored",
    ]
    assert [line for _, line in found.ignored()] == lines
    assert len(caplog.records) == 3
    found.take([Event(keys.host_endpoint("h1", "web", A), None, 2)])
    found.take(endpoints("h1", C, mac="02:00:00:00:00:01"))
    assert set(found.endpoints["web"]) == {B, C, *ids(9, 1)}
    assert found.ignored()[0][1] == "the host h1 has more than 2 endpoints in the store; 1 ignored"


def test_another_machine_of_this_name_keeps_its_endpoints_for_the_grace_time(tmp_path: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        (first,) = hosts
        await first.network("web")
        old = await first.endpoint("web", A)
        clone = Host("h1", tmp_path / "db", identity="two")
        listing = await clone.store.list(keys.OBJECTS)
        clone.mirror.contents.take([Event(item.key, item.value, item.revision) for item in listing.items])
        assert clone.mirror.local_endpoints("h1") == []
        assert clone.mirror.contents.strangers == {("web", A): old}

        async def register(identity: str) -> None:
            value = clone.peer(identity=identity).model_dump_json().encode()
            await clone.own_writes.commit([], [Put(keys.peer("h1"), value)])

        await register("one")
        impatient = Reaper("h1", clone.mirror, clone.registry, grace=0.0)
        await impatient.look()
        assert impatient.since == {}  # the first machine is registered
        assert await clone.registry.delete_endpoint(old, only_without_peer=True) is None
        await register("two")
        patient = Reaper("h1", clone.mirror, clone.registry, grace=1e6)
        await patient.look()
        assert set(patient.since) == {another(old)} == {"another machine named h1 (id one)"}
        assert await clone.store.get(keys.endpoint("web", A)) is not None
        await impatient.look()
        assert await clone.store.get(keys.endpoint("web", A)) is None
        assert clone.mirror.contents.strangers == {}
        await clone.close()

    with_hosts(tmp_path / "db", 1, play, identity="one")
