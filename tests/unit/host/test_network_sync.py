# SPDX-License-Identifier: Apache-2.0
"""From endpoints and peers to flood list, FDB and neighbours, in a real engine."""

import logging
import random
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from unittest import mock

import pytest

from fastpath import Engine, Port, Segment
from fastpath.addresses import IPAddress
from fastpath.control.host.network_sync import EngineEntry, NetworkSync, admit, admit_early, entry_for, usable_peers
from fastpath.control.model.objects import Endpoint, Peer
from fastpath.control.runtime.failures import Failures
from fastpath.errors import ConflictError
from tests.support.ports import free_port

A, B = ip_address("127.0.0.2"), ip_address("127.0.0.3")


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine("127.0.0.1", udp_port=free_port(), known_only=True) as engine:
        yield engine


@pytest.fixture
def segment(engine: Engine) -> Segment:
    return engine.add_segment(256)


def known(segment: Segment) -> tuple[set[str], dict[str, str], dict[str, str]]:
    """The flood list, the static FDB entries, the neighbours."""
    return (
        {str(remote.address) for remote in segment.remotes},
        {entry.mac: str(getattr(entry.to[0], "address", None)) for entry in segment.fdb.values() if entry.static},
        {str(address): mac for address, mac in segment.neighbours.items()},
    )


def entry(n: int, vtep: object = A) -> EngineEntry:
    return EngineEntry(f"02:42:00:00:00:{n:02x}", (ip_address(f"10.0.0.{n}"),), vtep=vtep)  # type: ignore[arg-type]


def test_the_next_owner_of_an_address_may_come_before_the_last_one_goes(segment: Segment) -> None:
    """The lowest free address is given first, and a batch of events has no order."""
    sync = NetworkSync(segment)
    sync.set("last", entry(1))
    sync.set("next", entry(1, B))
    sync.set("last", None)
    wanted = ({"127.0.0.3"}, {"02:42:00:00:00:01": "127.0.0.3"}, {"10.0.0.1": "02:42:00:00:00:01"})
    assert known(segment) == wanted
    assert sync.sync({"next": entry(1, B)}) == 0
    assert known(segment) == wanted
    sync.set("next", None)
    assert known(segment) == (set(), {}, {})


def test_what_the_network_is_known_to_have_no_more_of(segment: Segment) -> None:
    """Addresses that endpoints may use beside their own are anybody's; so is all, where the engine lacks one."""
    sync, subnets = NetworkSync(segment), (ip_network("10.0.0.0/24"),)
    floating, router = ip_address("10.0.0.77"), ip_address("10.0.0.254")

    def exceptions() -> tuple[IPAddress, ...] | None:
        if segment.complete is not None:
            assert segment.complete.subnets == subnets
        return segment.complete.exceptions if segment.complete is not None else None

    sync.close(subnets, [router])
    assert exceptions() == (router,)
    sync.update({"one": replace(entry(1), allowed=(floating,)), "two": entry(2)})
    assert exceptions() == (floating, router)
    sync.update({"one": entry(1)})
    sync.update({})
    assert exceptions() == (router,)
    sync.update({"one": replace(entry(1), allowed=(floating,))})
    sync.update({"one": None})
    sync.update({})
    assert exceptions() == (router,)
    with mock.patch.object(sync, "set", side_effect=ConflictError("it is full")):
        assert "it is full" in sync.update({"three": replace(entry(3), allowed=(floating,))})["three"].text
    assert exceptions() is None
    sync.sync({})
    sync.close(subnets, [router])
    assert exceptions() == (router,)
    sync.close(subnets, [router, ip_address("224.0.0.5")])  # the store may have that
    assert exceptions() is None
    sync.update({})
    assert exceptions() is None
    sync.close(subnets, [router])
    sync.close(None)
    assert exceptions() is None


def test_two_that_claim_one_address_do_not_take_turns(segment: Segment) -> None:
    sync = NetworkSync(segment)
    both = {"one": entry(1), "two": entry(1, B)}
    sync.sync(both)
    assert [sync.sync(both) for _ in range(3)] == [0, 0, 0]
    assert sync.sync({"one": entry(1)}) > 0
    assert known(segment) == ({"127.0.0.2"}, {"02:42:00:00:00:01": "127.0.0.2"}, {"10.0.0.1": "02:42:00:00:00:01"})


def test_what_the_engine_refuses_is_in_nobody_elses_way(segment: Segment) -> None:
    sync = NetworkSync(segment)
    bad = EngineEntry("02:42:00:00:00:09", (ip_address("224.0.0.5"),), vtep=A)
    for _ in range(2):
        sync.sync({"bad": bad, "good": entry(1)})
        assert list(sync.failed) == ["bad"]
        assert "is not the address of one host" in sync.failed["bad"].text
        assert known(segment)[1:] == ({"02:42:00:00:00:01": "127.0.0.2"}, {"10.0.0.1": "02:42:00:00:00:01"})
    sync.sync({"good": entry(1)})
    assert not sync.failed


def test_an_endpoint_comes_moves_and_goes(segment: Segment) -> None:
    sync = NetworkSync(segment)
    sync.set("one", entry(1))
    sync.set("two", entry(2))
    assert known(segment) == (
        {"127.0.0.2"},
        {"02:42:00:00:00:01": "127.0.0.2", "02:42:00:00:00:02": "127.0.0.2"},
        {"10.0.0.1": "02:42:00:00:00:01", "10.0.0.2": "02:42:00:00:00:02"},
    )
    sync.set("one", entry(1, B))
    assert known(segment)[0] == {"127.0.0.2", "127.0.0.3"}
    assert known(segment)[1]["02:42:00:00:00:01"] == "127.0.0.3"
    sync.set("one", None)
    assert known(segment) == ({"127.0.0.2"}, {"02:42:00:00:00:02": "127.0.0.2"}, {"10.0.0.2": "02:42:00:00:00:02"})
    sync.set("two", None)
    sync.set("never was", None)
    assert known(segment) == (set(), {}, {})


def test_an_endpoint_that_comes_here_is_behind_the_port(segment: Segment) -> None:
    port = segment.add_memory_port("p")
    sync = NetworkSync(segment)
    sync.set("one", entry(1))
    sync.set("one", EngineEntry("02:42:00:00:00:01", (ip_address("10.0.0.1"),), port=port))
    found = segment.fdb.get("02:42:00:00:00:01")
    assert found is not None
    assert found.to == (port,)
    assert segment.remotes == ()
    sync.set("one", EngineEntry("02:42:00:00:00:01", (ip_address("10.0.0.1"),)))  # its interface's own address
    assert segment.fdb.get("02:42:00:00:00:01") is None
    assert segment.neighbours.get("10.0.0.1") == "02:42:00:00:00:01"


def test_drift_is_repaired(segment: Segment) -> None:
    sync = NetworkSync(segment)
    wanted = {"one": entry(1), "two": entry(2, B)}
    assert sync.sync(wanted) == 0
    before = known(segment)
    segment.fdb.delete("02:42:00:00:00:01")
    segment.fdb.set("02:42:00:00:00:02", segment.remote("127.0.0.9"))
    segment.fdb.set("02:42:00:00:00:77", segment.remote("127.0.0.9"))
    segment.neighbours.set("10.0.0.1", "02:42:00:00:00:99")
    segment.neighbours.set("10.0.0.77", "02:42:00:00:00:77")
    segment.remove_remote("127.0.0.2")
    segment.add_remote("127.0.0.9")
    assert sync.sync(wanted) == 7
    assert known(segment) == before
    assert sync.sync(wanted) == 0
    assert sync.sync({"two": entry(2, B)}) == 0
    assert known(segment) == ({"127.0.0.3"}, {"02:42:00:00:00:02": "127.0.0.3"}, {"10.0.0.2": "02:42:00:00:00:02"})


def test_any_order_of_events_comes_to_what_a_whole_pass_makes(engine: Engine) -> None:
    random.seed(1)
    stepwise, whole = NetworkSync(engine.add_segment(300)), NetworkSync(engine.add_segment(301))
    state: dict[str, EngineEntry] = {}
    for _ in range(400):
        n = random.randint(1, 12)
        change = random.choice([None, entry(n), entry(n, B), entry(n, None)])
        state.pop(str(n), None)
        if change is not None:
            state[str(n)] = change
        stepwise.set(str(n), change)
    whole.sync(state)
    assert known(stepwise.segment) == known(whole.segment)
    assert stepwise.sync(state) == 0


def test_what_cannot_be_programmed_leaves_no_trace(segment: Segment) -> None:
    sync = NetworkSync(segment)
    for n in range(1, 3):
        with pytest.raises(ConflictError):
            sync.set("one", EngineEntry("02:00:00:00:00:01", (ip_address("10.0.0.1"),), port=_foreign(n)))
    assert known(segment) == (set(), {}, {})


def _foreign(n: int) -> Port:
    """A port that is gone."""
    with Engine("127.0.0.1", udp_port=free_port()) as other:
        return other.add_segment(n).add_memory_port("p")


@pytest.fixture
def members(engine: Engine) -> Segment:
    """A segment as the overlay driver makes it."""
    for address in (A, B):
        engine.admit(address)
    return engine.add_segment(257, members_only=True)


def test_peers_are_members_while_they_have_endpoints(members: Segment) -> None:
    sync = NetworkSync(members)
    sync.set("one", entry(1))
    sync.set("two", entry(2, B))
    sync.set("three", entry(3))
    assert members.members == {A, B}
    sync.set("one", None)
    assert members.members == {A, B}
    sync.set("two", EngineEntry("02:42:00:00:00:02", ()))  # it moved to this host
    assert members.members == {A}
    sync.set("three", None)
    assert members.members == frozenset()


def test_members_are_repaired(members: Segment) -> None:
    sync = NetworkSync(members)
    wanted = {"one": entry(1)}
    sync.sync(wanted)
    members.dismiss(A)
    members.admit(B)
    sync.sync(wanted)
    assert members.members == {A}


def test_a_peer_is_admitted_before_the_rest_is_done(engine: Engine, members: Segment, segment: Segment) -> None:
    """Its first packet may be faster than the thread that programs the engine."""
    for vni in (members.vni, segment.vni, 9999, None):
        admit_early(engine, vni, A)
    assert members.members == {A}
    sync = NetworkSync(members)
    sync.set("one", entry(1))
    sync.set("one", None)
    assert members.members == frozenset()
    admit_early(engine, members.vni, B)
    sync.sync({})  # what came and went at once
    assert members.members == frozenset()


def peer(host: str, vtep: str, udp_port: int = 4789) -> Peer:
    return Peer.model_validate(
        {"host": host, "id": host, "vtep": vtep, "udp_port": udp_port, "mtu": 1500, "version": "0"}
    )


def endpoint(host: str, state: str = "ready") -> Endpoint:
    return Endpoint.model_validate(
        {
            "id": "0" * 16,
            "network": "web",
            "host": host,
            "mac": "02:42:00:00:00:01",
            "addresses": ["10.0.0.1/24"],
            "sandbox": {"path": "/x", "inode": 1},
            "state": state,
        }
    )


def test_only_endpoints_of_peers_are_known() -> None:
    peers = {"h2": peer("h2", "127.0.0.2")}
    assert entry_for(endpoint("h2"), "h1", peers, None) == entry(1)
    assert entry_for(endpoint("h1"), "h1", peers, None) == entry(1, None)
    assert entry_for(endpoint("h3"), "h1", peers, None) is None  # its lease is over
    assert entry_for(endpoint("h2", "leaving"), "h1", peers, None) is None
    assert entry_for(endpoint("h2", "joining"), "h1", peers, None) == entry(1)  # before its first packet


def test_peers_that_cannot_be_talked_to_are_told() -> None:
    peers = [peer("h1", "127.0.0.1"), peer("h2", "127.0.0.2"), peer("h3", "::2"), peer("h4", "127.0.0.4", 8472)]
    found, problems = usable_peers([*peers, peer("h5", "127.0.0.1")], "h1", ip_address("127.0.0.1"), 4789)
    assert set(found) == {"h2"}
    assert [problem.text.split()[0] for problem in problems] == ["h3", "h4", "h5"]


def test_peers_and_nobody_else_are_let_in(engine: Engine) -> None:
    failures = Failures(logging.getLogger(), "peer")
    admit(engine, [peer("h2", "127.0.0.2"), peer("h3", "127.0.0.3")], failures)
    assert {str(remote.address) for remote in engine.admitted} == {"127.0.0.2", "127.0.0.3"}
    admit(engine, [peer("h3", "127.0.0.3"), peer("h4", "127.0.0.4")], failures)
    assert {str(remote.address) for remote in engine.admitted} == {"127.0.0.3", "127.0.0.4"}


def test_an_engine_that_takes_packets_from_everybody_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer.model_validate({"host": "h2", "id": "x", "vtep": "127.0.0.2", "mtu": 1500, "version": "0"})
    with Engine("127.0.0.1", udp_port=free_port()) as engine:
        admit(engine, [peer], Failures(logging.getLogger(), "peer"))
    assert not caplog.records


def test_who_cannot_be_let_in_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures(logging.getLogger("fastpath"), "peer")
    engine = mock.Mock(known_only=True, admitted=(), admit=mock.Mock(side_effect=ConflictError("it is full")))
    for _ in range(3):
        admit(engine, [peer("h2", "127.0.0.2")], failures)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "cannot admit packets from 127.0.0.2: it is full"
    ]
    assert [problem.subject for problem in failures.problems] == ["127.0.0.2"]
    admit(engine, [], failures)
    assert failures.problems == []
