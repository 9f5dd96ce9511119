# SPDX-License-Identifier: Apache-2.0
"""Who makes addresses up takes a share of the FDB, and leaves room for every other one and for what control sets."""

from collections.abc import Iterator

import pytest

from fastpath import Port, Segment, UsageError
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import FarEnd, Lab

ENTRIES, RESERVE = 1024, 64
LEARNABLE = ENTRIES - RESERVE


@pytest.fixture
def small() -> Iterator[Lab]:
    """An engine with a small FDB."""
    with Lab(fdb_entries=ENTRIES) as lab:
        yield lab


class Flood:
    """New source addresses without end, from one place."""

    serial = 0

    def __init__(self, lab: Lab, segment: Segment, source: Port | FarEnd) -> None:
        self.lab, self.segment, self.source = lab, segment, source

    def send(self, count: int) -> int:
        """Send frames from so many new addresses. Return how many of these were learned."""
        before = self.lab.events().get("learned", 0)
        for number in range(count):
            Flood.serial += 1
            data = frame(BROADCAST, mac(Flood.serial))
            if isinstance(self.source, FarEnd):
                self.source.send(self.segment.vni, data)
            else:
                self.lab.send(self.source, data)  # type: ignore[arg-type]
            if number % 100 == 99:
                self.lab.poll()
        self.lab.poll()
        return self.lab.events().get("learned", 0) - before


def test_one_port_that_takes_all_it_can(small: Lab) -> None:
    """It gets a third; the next ones get less, but always something; and there is room for what is set."""
    segment, other = small.engine.add_segment(1), small.engine.add_segment(2)
    bad, good, far = segment.add_memory_port("bad"), segment.add_memory_port("good"), small.far(2)
    elsewhere = other.add_memory_port("p")
    got = Flood(small, segment, bad).send(LEARNABLE)
    assert got == LEARNABLE // 3
    assert small.events()["fdb_full"] == LEARNABLE - got
    assert bad.stats().learned == got
    assert bad.stats().unlearned == LEARNABLE - got
    assert Flood(small, other, elsewhere).send(LEARNABLE) >= 200
    assert Flood(small, segment, good).send(10) == 10
    assert Flood(small, segment, far).send(10) == 10
    assert (good.stats().learned, good.stats().unlearned) == (10, 0)
    (remote,) = [remote for remote in small.engine.stats().remotes if remote.address == far.address]
    assert (remote.learned, remote.unlearned) == (10, 0)
    assert [each.fdb_learned for each in small.engine.stats().segments] == [got + 20, elsewhere.stats().learned]


def test_many_networks_that_take_all_they_can(small: Lab) -> None:
    """A newcomer learns an address, and control sets as many as are kept for it, and what the others left."""
    for vni in range(1, 9):
        segment = small.engine.add_segment(vni)
        for name in ("one", "two"):
            assert Flood(small, segment, segment.add_memory_port(name)).send(400) > 0
    newcomer = small.engine.add_segment(100)
    assert Flood(small, newcomer, newcomer.add_memory_port("p")).send(1) == 1
    learned = small.engine.stats().fdb_entries
    assert LEARNABLE * 0.9 < learned < LEARNABLE
    for number in range(ENTRIES - learned):
        newcomer.fdb.set(mac(0xF000 + number), newcomer.remote("127.0.0.2"))
    assert small.engine.stats().fdb_entries == ENTRIES


def test_counts_follow_the_entries(small: Lab) -> None:
    """Of a port and a remote: learned, moved, made static, aged, flushed, removed with the port."""
    segment = small.engine.add_segment(1, ageing=100)
    one, two, far = segment.add_memory_port("one"), segment.add_memory_port("two"), small.far(2)
    remote = segment.add_remote(far.address)

    def counts() -> tuple[int, int, int, int]:
        (stats,) = small.engine.stats().segments
        return one.stats().learned, two.stats().learned, remote.stats().learned, stats.fdb_learned

    for number in range(1, 5):
        small.send(one, frame(BROADCAST, mac(number)))
    small.poll()
    assert counts() == (4, 0, 0, 4)
    small.send(two, frame(BROADCAST, mac(1)))
    far.send(1, frame(BROADCAST, mac(2)))
    small.poll()
    assert counts() == (2, 1, 1, 4)
    segment.fdb.set(mac(3), two)
    assert counts() == (1, 1, 1, 3)
    segment.fdb.set(mac(3), two, static=False)
    assert counts() == (1, 2, 1, 4)
    segment.remove_remote(far.address)
    assert counts() == (1, 2, 0, 3)
    small.engine.advance_clock(200)
    small.send(one, frame(BROADCAST, mac(4)))
    small.poll()
    small.engine.tidy()
    assert counts() == (1, 0, 0, 1)
    segment.remove_port(one)
    again = segment.add_memory_port("again")
    assert again.stats().learned == 0


def test_a_station_moves_though_all_is_full(small: Lab) -> None:
    segment = small.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    small.send(one, frame(BROADCAST, mac(0xEFEF)))
    small.poll()
    Flood(small, segment, two).send(LEARNABLE)
    small.send(two, frame(BROADCAST, mac(0xEFEF)))
    small.poll()
    assert segment.fdb[mac(0xEFEF)].to == (two,)
    assert one.stats().learned == 0


def test_each_frame_that_found_no_room_counts(small: Lab) -> None:
    """Also those that came in one burst, from one address."""
    segment = small.engine.add_segment(1, max_entries=1)
    port = segment.add_memory_port("p")
    for number in (1, 1, 2, 2, 2, 1, 3):
        small.send(port, frame(BROADCAST, mac(number)))
    small.poll()
    assert (port.stats().learned, port.stats().unlearned) == (1, 4)
    assert small.events()["learned"] == 1


def test_a_segment_with_a_limit_of_its_own(small: Lab) -> None:
    """As the kernel's maxaddress: that many, from wherever they come."""
    segment = small.engine.add_segment(1, max_entries=900)
    port = segment.add_memory_port("p")
    assert Flood(small, segment, port).send(1000) == 900
    assert port.stats().unlearned == 100


@pytest.mark.parametrize("reserve", [-1, 16, 17])
def test_a_reserve_that_cannot_be(reserve: int) -> None:
    with pytest.raises(UsageError, match="reserve"):
        Lab(fdb_entries=16, fdb_reserve=reserve)
