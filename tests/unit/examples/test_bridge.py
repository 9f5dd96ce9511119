# SPDX-License-Identifier: Apache-2.0
"""examples/forwarders/: the learning bridge, and what guards one."""

import importlib
from collections.abc import Callable

import pytest

from examples.forwarders.learning_bridge import LearningBridge
from examples.forwarders.mac_guard import MacGuard
from examples.forwarders.mirror import Mirror
from fastpath import ConflictError, Forwarder
from fastpath import LearningBridge as BuiltIn
from tests.support.engine.forwarding import VNI, Site
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import Lab

A, B, C = mac(0xA), mac(0xB), mac(0xC)
HELLO_A, HELLO_B = frame(BROADCAST, A), frame(BROADCAST, B)
TO_A, TO_B = frame(A, B), frame(B, A)


def learning_bridge_numba() -> Forwarder:
    """Imported when it is needed, since numba takes as long to import as all else here."""
    made: Forwarder = importlib.import_module("examples.forwarders.learning_bridge_numba").learning_bridge()
    return made


NUMBA = pytest.param(learning_bridge_numba, id="numba", marks=pytest.mark.slow)
FORMS = pytest.mark.parametrize("form", [pytest.param(LearningBridge, id="Python"), NUMBA])


@FORMS
def test_the_bridge_floods_until_it_has_learned(lab: Lab, form: Callable[[], Forwarder]) -> None:
    site = Site(lab)
    site.use(form())
    assert site.send("a", TO_B) == {"b": [TO_B], "c": [TO_B]}
    assert site.send("b", TO_A) == {"a": [TO_A]}
    assert site.send("a", TO_B) == {"b": [TO_B]}
    assert site.send("c", TO_B) == {"b": [TO_B]}  # A moved
    assert site.send("b", TO_A) == {"c": [TO_A]}
    assert site.send("c", TO_A) == {}
    assert {name: count for name, count in site.counters.items() if count} == {"same_port": 1}


def test_the_bridge_forgets_who_is_silent(lab: Lab) -> None:
    site = Site(lab)
    bridge = LearningBridge(ageing=300)
    site.use(bridge)
    site.send("a", HELLO_A)
    site.wait(200)
    site.send("b", HELLO_B)
    site.wait(200)
    assert len(bridge.hosts) == 1
    assert site.send("c", frame(A, C), frame(B, C)) == {"a": [frame(A, C)], "b": [frame(A, C), frame(B, C)]}


@FORMS
def test_the_bridge_never_sends_from_remote_to_remote(lab: Lab, form: Callable[[], Forwarder]) -> None:
    site = Site(lab, "a b")
    near, far = lab.far(2), lab.far(3)
    for each in (near, far):
        site.segment.add_remote(each.address)
    site.use(form())
    near.send(VNI, HELLO_A)
    far.send(VNI, HELLO_B)
    lab.poll()
    assert site.received() == {"a": [HELLO_A, HELLO_B], "b": [HELLO_A, HELLO_B]}
    near.send(VNI, TO_B)
    lab.poll()
    assert {name: count for name, count in site.counters.items() if count} == {"split_horizon": 1}
    assert far.receive() == []
    site.send("a", frame(B, C))
    assert [packet.frame for packet in far.receive()] == [frame(B, C)]


def test_a_remote_that_the_bridge_may_remember_stays(lab: Lab) -> None:
    site, near = Site(lab, "a b"), lab.far(2)
    site.use(LearningBridge())
    near.send(VNI, HELLO_A)
    lab.poll()
    for seconds in (0, 100, 100):
        site.wait(seconds)
        lab.engine.tidy()
    site.send("b", TO_A)
    assert [packet.frame for packet in near.receive()] == [TO_A]
    assert lab.drops() == {}
    for seconds in (600, 0):
        site.wait(seconds)
        lab.engine.tidy()
    assert lab.engine.stats().remotes == []


def test_the_bridge_learns_no_group_and_no_nobody(lab: Lab) -> None:
    site = Site(lab)
    bridge = LearningBridge()
    site.use(bridge)
    site.send("a", frame(B, BROADCAST), frame(B, "00:00:00:00:00:00"))
    assert len(bridge.hosts) == 0
    assert site.counters == {"bad_source": 2}


def test_a_full_bridge_floods(lab: Lab) -> None:
    site = Site(lab)
    bridge = LearningBridge(capacity=1)
    site.use(bridge)
    site.send("a", HELLO_A, HELLO_B, HELLO_B)
    assert site.send("b", frame(A, C)) == {"a": [frame(A, C)]}
    assert site.send("c", frame(B, A)) == {"a": [frame(B, A)], "b": [frame(B, A)]}
    assert site.counters == {"table_full": 3}
    assert len(bridge.hosts) == 1


def test_an_address_that_moves_too_often_is_held(lab: Lab) -> None:
    site = Site(lab, "a b")
    site.use(MacGuard(moves=3, window=1000, hold=100_000) | BuiltIn())
    for _ in range(2):  # from nowhere, and three moves
        site.send("a", HELLO_A)
        site.send("b", HELLO_A)
    assert site.counters == {}
    assert site.send("a", HELLO_A) == {}
    assert site.counters == {"MacGuard.flapping": 1}
    assert site.send("b", HELLO_A, HELLO_A) == {"a": [HELLO_A] * 2}
    site.wait(100_001)
    assert site.send("a", HELLO_A) == {"b": [HELLO_A]}


def test_moves_that_are_far_apart_are_fine(lab: Lab) -> None:
    site = Site(lab, "a b")
    site.use(MacGuard(moves=1, window=100) | BuiltIn())
    for _ in range(5):
        assert site.send("a", HELLO_A) == {"b": [HELLO_A]}
        site.wait(1000)
        assert site.send("b", HELLO_A) == {"a": [HELLO_A]}
        site.wait(1000)


def test_addresses_without_room_are_not_held(lab: Lab) -> None:
    site = Site(lab, "a b")
    guard = MacGuard(capacity=1, moves=0)
    site.use(guard | BuiltIn())
    site.send("a", HELLO_A)
    for _ in range(3):
        assert site.send("a", HELLO_B) == {"b": [HELLO_B]}
        assert site.send("b", HELLO_B) == {"a": [HELLO_B]}
    assert len(guard.hosts) == 1
    site.wait(1000)
    assert len(guard.hosts) == 0


def test_storms_are_limited_by_their_source(lab: Lab) -> None:
    site = Site(lab, "a b c")
    site.use(MacGuard(storm=10) | BuiltIn())
    assert site.send("a", *[HELLO_A] * 8)["b"] == [HELLO_A] * 8
    assert site.send("a", *[HELLO_A] * 8)["b"] == [HELLO_A] * 2
    assert site.send("a", TO_B)["b"] == [TO_B]  # not to many
    assert site.send("b", *[HELLO_B] * 10)["a"] == [HELLO_B] * 10
    assert site.counters == {"MacGuard.storm": 6}
    site.wait(1)
    assert site.send("a", *[HELLO_A] * 8)["b"] == [HELLO_A] * 8


def test_the_mirror_shows_what_matches(lab: Lab) -> None:
    site = Site(lab, "a b mirror")
    site.segment.fdb.set(A, site.ports["a"])
    site.segment.fdb.set(B, site.ports["b"])
    site.use(Mirror(match=[f"dst_mac={B}"]) | BuiltIn())
    assert site.send("a", TO_B) == {"b": [TO_B], "mirror": [TO_B]}
    assert site.send("b", TO_A) == {"a": [TO_A]}
    assert site.send("mirror", TO_B) == {}
    assert site.counters == {"Mirror.from_mirror": 1}


def test_the_mirror_shows_all_if_nothing_is_named(lab: Lab) -> None:
    site = Site(lab, "a b eye")
    site.use(Mirror(to="eye"))
    assert site.send("a", TO_B, HELLO_A) == {"eye": [TO_B, HELLO_A]}


def test_a_mirror_without_its_port_does_not_start(lab: Lab) -> None:
    site = Site(lab, "a")
    with pytest.raises(ConflictError, match="no port named eye"):
        site.use(Mirror(to="eye"))
    assert type(site.segment.forwarder) is BuiltIn
