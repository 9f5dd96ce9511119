# SPDX-License-Identifier: Apache-2.0
"""The log tells once who fell silent and what was away, and when it is back."""

import time
from ipaddress import ip_address
from types import SimpleNamespace
from typing import cast

import pytest

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.outages import LINES, Outages
from fastpath.control.host.probe import Prober, Pulse

PATIENCE = 15.0


class Place:
    """Peers and a store, in whatever state a test wants."""

    def __init__(self) -> None:
        self.mirror = SimpleNamespace(trouble=None)
        self.prober = SimpleNamespace(pulses={})
        self.outages = Outages(cast(Mirror, self.mirror), cast(Prober, self.prober), PATIENCE)

    def peer(self, host: str, silent: float) -> None:
        """Let a peer be silent for so many seconds."""
        now = time.monotonic()
        self.prober.pulses[host] = Pulse(ip_address("192.0.2.2"), now - 1000, answered=now - silent)


@pytest.fixture
def place(caplog: pytest.LogCaptureFixture) -> Place:
    caplog.set_level("INFO")
    return Place()


def test_a_peer_falls_silent_and_comes_back(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.peer("h2", 1)
    place.outages.look()
    assert caplog.messages == []
    for silent in (16, 17, 18):
        place.peer("h2", silent)
        place.outages.look()
    assert caplog.messages == [
        "the peer h2 (192.0.2.2) is silent: it has not answered over the overlay's UDP port for 16 s"
    ]
    for _ in range(2):
        place.peer("h2", 0)
        place.outages.look()
    assert len(caplog.messages) == 2
    assert caplog.messages[1].startswith("the peer h2 answers again, after 1")


def test_a_peer_that_left_is_forgotten(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.peer("h2", 16)
    place.outages.look()
    del place.prober.pulses["h2"]
    place.outages.look()
    place.peer("h2", 0)
    place.outages.look()
    assert len(caplog.messages) == 1


def test_one_that_never_answered_is_silent_since_it_was_asked(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.prober.pulses["h2"] = Pulse(ip_address("192.0.2.2"), time.monotonic() - 20)
    place.outages.look()
    assert "for 20 s" in caplog.text


def test_a_switch_that_fails_is_some_lines(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(100):
        place.peer(f"h{number}", 16)
    place.outages.look()
    assert len(caplog.messages) == LINES + 1
    assert caplog.messages[-1] == f"{100 - LINES} more peers do not answer, either"


def test_the_store_is_away_and_back(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    for trouble in (None, "etcd does not answer", "etcd has no leader", None, None):
        place.mirror.trouble = trouble
        place.outages.look()
    assert caplog.messages == [
        "the store is away, what runs goes on: etcd does not answer",
        "the store is back, after 0 s",
    ]
