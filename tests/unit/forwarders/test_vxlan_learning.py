# SPDX-License-Identifier: Apache-2.0
"""VxlanLearning does as the kernel's vxlan device: it learns what remotes send, and looks up what the port sends."""

import pytest

from fastpath import MemoryPort, Segment, VxlanLearning
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import FarEnd, Lab, drain

A, B, C = mac(0xA), mac(0xB), mac(0xC)
GROUP = "01:00:5e:00:00:05"


class Place:
    """A segment with one port, and two remotes in its flood list."""

    def __init__(self, lab: Lab, *, learning: bool = True, max_entries: int = 0) -> None:
        self.lab = lab
        self.segment: Segment = lab.engine.add_segment(
            42, forwarder=VxlanLearning(), learning=learning, max_entries=max_entries
        )
        self.port: MemoryPort = self.segment.add_memory_port("vx0")
        self.two, self.three = lab.far(2), lab.far(3)
        for far in (self.two, self.three):
            self.segment.add_remote(far.address, far.udp_port)

    def sent(self, data: bytes) -> list[FarEnd]:
        """Who gets a frame that the port sends."""
        before = {far: far.remote(self.segment).traffic.tx_frames for far in (self.two, self.three)}
        self.port.send(data)
        self.lab.poll()
        return [far for far, count in before.items() if far.remote(self.segment).traffic.tx_frames > count]

    def came(self, far: FarEnd, data: bytes) -> list[bytes]:
        """What the port gets of a frame that a remote sends."""
        far.send(42, data)
        self.lab.poll()
        return drain(self.port)


@pytest.fixture
def place(lab: Lab) -> Place:
    return Place(lab)


def test_remotes_are_learned_and_the_port_is_not(place: Place) -> None:
    place.came(place.two, frame(BROADCAST, A))
    assert place.sent(frame(BROADCAST, B)) == [place.two, place.three]
    assert [(entry.mac, entry.to) for entry in place.segment.fdb.values()] == [(A, (place.two.remote(place.segment),))]
    assert place.sent(frame(A, B)) == [place.two]


def test_what_remotes_send_goes_to_the_port(place: Place) -> None:
    """Also what is meant for another remote: the port may be that of a bridge which sends it back (hub and spokes)."""
    place.came(place.two, frame(BROADCAST, A))
    for destination in (A, B, BROADCAST, GROUP):
        data = frame(destination, C)
        assert place.came(place.three, data) == [data]
    assert place.lab.drops() == {}


def test_what_the_port_sends_back_moves_nothing(place: Place) -> None:
    """A hub, or a mirror, sends frames with the addresses of remotes."""
    place.came(place.two, frame(BROADCAST, A))
    place.came(place.three, frame(BROADCAST, B))
    assert place.sent(frame(A, B)) == [place.two]
    assert place.sent(frame(B, A)) == [place.three]
    assert place.sent(frame(A, A)) == [place.two]
    assert place.lab.drops() == {}


def test_own_stations_take_no_room(lab: Lab) -> None:
    place = Place(lab, max_entries=2)
    for number in range(8):
        place.sent(frame(BROADCAST, mac(0x100 + number)))
    place.came(place.two, frame(BROADCAST, A))
    assert place.sent(frame(A, B)) == [place.two]


def test_an_address_that_was_heard_on_the_own_side_may_be_placed(place: Place) -> None:
    place.sent(frame(BROADCAST, A))
    place.segment.fdb.set(A, place.three.remote(place.segment), static=True)
    assert place.sent(frame(A, B)) == [place.three]
    assert place.sent(frame(BROADCAST, A)) == [place.two, place.three]  # no matter where its own entry points


def test_a_static_address_comes_from_its_remote_only(place: Place) -> None:
    place.segment.fdb.set(A, place.three.remote(place.segment), static=True)
    assert place.came(place.two, frame(BROADCAST, A)) == []
    assert place.came(place.three, frame(BROADCAST, A)) == [frame(BROADCAST, A)]
    assert place.lab.drops() == {"static_source": 1}


@pytest.mark.parametrize("source", ["00:00:00:00:00:00", BROADCAST, GROUP])
def test_sources_that_cannot_be(place: Place, source: str) -> None:
    assert place.sent(frame(A, source)) == []
    assert place.came(place.two, frame(A, source)) == []
    assert place.lab.drops() == {"bad_source_mac": 2}


def test_without_learning_all_is_flooded(lab: Lab) -> None:
    place = Place(lab, learning=False)
    place.came(place.two, frame(BROADCAST, A))
    assert place.sent(frame(A, B)) == [place.two, place.three]
