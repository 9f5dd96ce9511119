# SPDX-License-Identifier: Apache-2.0
"""Random histories of a segment with three ports and two remotes: the engine does what the twin bridge does."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from fastpath import Forwarder, LearningBridge, Port, Remote
from tests.support.engine.frames import BROADCAST, frame
from tests.support.engine.lab import Lab, drain
from tests.support.engine.twin_bridge import PORT, REMOTE, SEGMENT, Place, TwinBridge
from tests.support.examples import times

PORTS, REMOTES = range(3), range(2)
GROUP = "01:00:5e:00:00:fb"
HOSTS = [f"02:00:00:00:00:{n:02x}" for n in range(1, 7)]

places = st.sampled_from([(PORT, n) for n in PORTS] + [(REMOTE, n) for n in REMOTES])
sources = st.sampled_from(HOSTS * 4 + [BROADCAST, "00:00:00:00:00:00"])
destinations = st.sampled_from(HOSTS * 2 + [BROADCAST, GROUP, "00:00:00:00:00:00"])


def number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


class SegmentMachine(RuleBasedStateMachine):
    """One example is one segment of an engine that all examples share."""

    lab: Lab
    forwarder: type[Forwarder] = LearningBridge
    vnis = count(1)

    @initialize(learning=st.booleans(), limit=st.sampled_from([0, 0, 3]), flooded=st.sets(st.sampled_from(REMOTES)))
    def create(self, learning: bool, limit: int, flooded: set[int]) -> None:
        options: dict[str, Any] = {"learning": learning, "ageing": 300, "max_entries": limit}
        self.segment = self.lab.engine.add_segment(next(self.vnis), forwarder=self.forwarder(), **options)
        self.ports = [self.segment.add_memory_port(f"port{n}") for n in PORTS]
        self.far_ends = self.lab.far_ends
        for n in flooded:
            self.segment.add_remote(self.far_ends[n].address)
        self.twin = TwinBridge(PORTS, flooded, limit=limit, ageing=300)
        self.twin.learning = learning
        self.serial = 0

    def send(self, data: bytes, source: Place) -> None:
        kind, index = source
        if kind == PORT:
            self.lab.send(self.ports[index], data)
        else:
            self.far_ends[index].send(self.segment.vni, data)
        self.lab.poll()

    def outputs(self, data: bytes) -> set[Place]:
        """Where the frame came out; that it did so once and unchanged is asserted here."""
        arrived = {(PORT, n): drain(port) for n, port in enumerate(self.ports)}
        for n, far in enumerate(self.far_ends):
            packets = far.receive()
            assert all(packet.vni == self.segment.vni for packet in packets)
            arrived[REMOTE, n] = [packet.frame for packet in packets]
        assert all(frames in ([], [data]) for frames in arrived.values())
        return {place for place, frames in arrived.items() if frames}

    @rule(source=places, mac=sources, to=destinations, size=st.sampled_from([0, 2, 46, 1436]))
    def forward(self, source: Place, mac: str, to: str, size: int) -> None:
        self.serial += 1
        data = frame(to, mac, b"\x88\xb5" + self.serial.to_bytes(4, "big") + bytes(size))
        before = self.segment.stats().tally.drops
        self.send(data, source)
        expected = self.twin.forward(data, source)
        assert self.outputs(data) == expected.outputs
        after = self.segment.stats().tally.drops
        dropped = [name for name, total in after.items() if total != before.get(name, 0)]
        assert dropped == ([] if expected.drop is None else [expected.drop])

    @rule(source=places, size=st.integers(0, 13))
    def runt(self, source: Place, size: int) -> None:
        data = bytes(size)
        self.send(data, source)
        assert self.outputs(data) == self.twin.forward(data, source).outputs == set()

    def destination(self, place: Place) -> Port | Remote:
        kind, index = place
        return self.ports[index] if kind == PORT else self.far_ends[index].remote(self.segment)

    @rule(mac=st.sampled_from([*HOSTS, GROUP]), place=places)
    def pin(self, mac: str, place: Place) -> None:
        if not self.twin.fdb.has_room(SEGMENT) and (SEGMENT, number(mac)) not in self.twin.fdb.table:
            return  # refused: tables/test_fdb.py
        self.segment.fdb.set(mac, self.destination(place))
        self.twin.pin(number(mac), place)

    @rule(mac=st.sampled_from([*HOSTS, GROUP]))
    def unpin(self, mac: str) -> None:
        if self.segment.fdb.get(mac) is not None:
            self.segment.fdb.delete(mac)
        self.twin.unpin(number(mac))

    @rule(place=st.none() | places)
    def flush(self, place: Place | None) -> None:
        removed = self.segment.fdb.flush(None if place is None else self.destination(place))
        assert removed == self.twin.fdb.retire(SEGMENT, None, place, learned_only=True)

    @rule(learning=st.booleans())
    def switch_learning(self, learning: bool) -> None:
        self.segment.learning = self.twin.learning = learning

    @rule()
    def wait(self) -> None:
        """A long step: real seconds that pass on a busy machine must not matter."""
        self.lab.engine.advance_clock(200)
        self.twin.now += 200
        self.lab.engine.tidy()
        self.twin.fdb.age(self.twin.now)

    @rule()
    def same_addresses(self) -> None:
        assert {number(entry.mac) for entry in self.segment.fdb.values()} == {mac for _, mac in self.twin.fdb.table}

    def teardown(self) -> None:
        if hasattr(self, "segment"):
            self.lab.engine.remove_segment(self.segment)


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    with Lab() as lab:
        for n in REMOTES:
            lab.far(2 + n)
        yield lab


def test_random_histories(shared: Lab) -> None:
    machine = type("Machine", (SegmentMachine,), {"lab": shared})
    run_state_machine_as_test(machine, settings=settings(max_examples=times(0.4), stateful_step_count=40))
