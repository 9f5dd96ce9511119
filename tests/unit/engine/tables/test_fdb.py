# SPDX-License-Identifier: Apache-2.0
"""The FDB as the engine's user sees it: static entries, group addresses, ageing, limits, flushing."""

from collections.abc import Callable
from typing import Any

import pytest

from fastpath import ConflictError, MemoryPort, Segment, UsageError
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import FarEnd, Lab, drain

A, B, C = mac(0xA), mac(0xB), mac(0xC)
GROUP = "01:00:5e:00:00:fb"


def macs(segment: Segment) -> list[str]:
    return [entry.mac for entry in segment.fdb.values()]


def learn(lab: Lab, source: MemoryPort | FarEnd, segment: Segment, address: str) -> None:
    """Have a broadcast from that address come in."""
    if isinstance(source, FarEnd):
        source.send(segment.vni, frame(BROADCAST, address))
    else:
        lab.send(source, frame(BROADCAST, address))
    lab.poll()


def test_static_entries(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    far = lab.far(2)
    segment.fdb.set(A, one)
    segment.fdb.set(B, far.remote(segment))
    lab.send(two, frame(A, C))
    lab.send(two, frame(B, C))
    lab.poll()
    assert drain(one) == [frame(A, C)]
    assert [packet.frame for packet in far.receive()] == [frame(B, C)]
    # A claims to be elsewhere: dropped, and the entry stays. From where it belongs it is welcome.
    lab.send(two, frame(BROADCAST, A))
    far.send(1, frame(BROADCAST, A))
    lab.send(one, frame(C, A))
    lab.poll()
    assert lab.drops() == {"static_source": 2}
    assert drain(two) == [frame(C, A)]
    entry = segment.fdb.get(A)
    assert entry is not None
    assert (entry.to, entry.static, entry.local) == ((one,), True, False)
    segment.fdb.set(A, two)  # by hand it may be moved
    segment.fdb.delete(B)
    assert macs(segment) == [A, C]


def test_time_stands_still_but_for_what_is_asked(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    lab.engine.advance_clock(0)
    before = segment.now
    assert segment.now == before
    lab.engine.advance_clock(200)
    assert segment.now == before + 200


def test_without_learning(lab: Lab) -> None:
    segment = lab.engine.add_segment(1, learning=False)
    one, two, three = (segment.add_memory_port(name) for name in ("one", "two", "three"))
    lab.send(one, frame(B, A))
    lab.send(two, frame(A, B))
    lab.poll()
    assert len(segment.fdb) == 0
    assert len(drain(three)) == 2
    segment.fdb.set(A, one)
    lab.send(two, frame(A, B))
    lab.poll()
    assert drain(three) == []
    drain(one)
    # A is behind a port, as control says: nobody else may say so. Of remotes nothing is known without learning.
    far, other = lab.far(2), lab.far(3)
    segment.fdb.set(C, other.remote(segment))
    far.send(1, frame(BROADCAST, A))
    lab.send(two, frame(BROADCAST, A))
    far.send(1, frame(A, C))
    lab.send(one, frame(B, A))
    lab.poll()
    assert lab.drops() == {"static_source": 2}
    assert drain(one) == [frame(A, C)]
    assert drain(three) == [frame(B, A)]
    drain(two)
    segment.fdb.delete(C)
    assert not segment.learning
    segment.learning = True
    learn(lab, two, segment, B)
    assert macs(segment) == [A, B]


def test_ageing(lab: Lab) -> None:
    segment = lab.engine.add_segment(1, ageing=300)
    port = segment.add_memory_port("one")
    segment.fdb.set(C, port)
    learn(lab, port, segment, A)
    lab.engine.advance_clock(200)
    learn(lab, port, segment, B)
    lab.engine.advance_clock(200)  # A was seen 400 seconds ago, B 200
    lab.engine.tidy()
    assert macs(segment) == [B, C]
    learn(lab, port, segment, B)  # seen again
    lab.engine.advance_clock(200)
    lab.engine.tidy()
    assert macs(segment) == [B, C]
    lab.engine.advance_clock(500)
    lab.engine.tidy()
    assert macs(segment) == [C]  # static


def test_ageing_is_a_segments_own(lab: Lab) -> None:
    slow, never = lab.engine.add_segment(1, ageing=1000), lab.engine.add_segment(2, ageing=0)
    for segment in (slow, never):
        learn(lab, segment.add_memory_port("one"), segment, A)
    lab.engine.advance_clock(800)
    lab.engine.tidy()
    assert (macs(slow), macs(never)) == ([A], [A])
    lab.engine.advance_clock(400)
    lab.engine.tidy()
    assert (macs(slow), macs(never)) == ([], [A])


def test_age_is_since_the_last_frame_from_there(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    learn(lab, one, segment, A)
    lab.engine.advance_clock(1000)
    lab.send(two, frame(A, B))  # to A, which does not count
    lab.poll()
    aged, fresh = segment.fdb.values()
    assert aged.age >= 1000 > fresh.age


@pytest.mark.parametrize("limited", ["segment", "engine"])
def test_limits(limited: str) -> None:
    with Lab(fdb_entries=3 if limited == "engine" else 1 << 16) as lab:
        segment = lab.engine.add_segment(1, max_entries=3 if limited == "segment" else 100)
        one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
        for number in range(1, 6):
            learn(lab, one, segment, mac(number))
        assert macs(segment) == [mac(1), mac(2), mac(3)]
        assert lab.events()["fdb_full"] == 2
        assert len(drain(two)) == 5  # they were forwarded nevertheless
        with pytest.raises(ConflictError, match="full"):
            segment.fdb.set(mac(9), one)
        with pytest.raises(ConflictError, match="full"):
            segment.fdb.append(GROUP, lab.far(2).remote(segment))
        assert segment.fdb.get(GROUP) is None
        segment.fdb.set(mac(1), two)  # in the place of what is there
        assert segment.fdb.flush() == 2
        learn(lab, one, segment, mac(9))
        assert macs(segment) == [mac(1), mac(9)]


def test_flushing(lab: Lab) -> None:
    segment, other = lab.engine.add_segment(1), lab.engine.add_segment(2)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    far = lab.far(2)
    learn(lab, other.add_memory_port("one"), other, A)
    for source, address in ((one, mac(1)), (two, mac(2)), (far, mac(3)), (far, mac(4))):
        learn(lab, source, segment, address)
    segment.fdb.set(mac(5), far.remote(segment))
    segment.fdb.set(mac(6), one)
    assert segment.fdb.flush(one) == 1
    assert macs(segment) == [mac(n) for n in (2, 3, 4, 5, 6)]
    assert segment.fdb.flush(far.remote(segment)) == 2
    assert macs(segment) == [mac(n) for n in (2, 5, 6)]
    assert segment.fdb.flush(far.remote(segment), static=True) == 1
    assert segment.fdb.flush() == 1
    assert segment.fdb.flush(static=True) == 1
    assert macs(segment) == []
    assert macs(other) == [A]


def test_what_was_learned_goes_with_its_port_or_remote(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    far = lab.far(2)
    segment.add_remote(far.address)
    segment.fdb.set(mac(4), far.remote(segment))
    for source, address in ((one, mac(1)), (two, mac(2)), (far, mac(3))):
        learn(lab, source, segment, address)
    segment.remove_port(one)
    assert macs(segment) == [mac(2), mac(3), mac(4)]
    segment.remove_remote(far.address)
    assert macs(segment) == [mac(2), mac(4)]  # what was set by hand stays
    # A new port may get the old one's number: nothing of the old one's may stick to it.
    learn(lab, segment.add_memory_port("new"), segment, mac(5))
    drain(two)
    lab.send(two, frame(mac(1), mac(2)))
    lab.poll()
    assert lab.events()["flooded"] == 5


def test_group_addresses(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    far_ends = [lab.far(number) for number in (2, 3, 4)]
    remotes = [far.remote(segment) for far in far_ends]
    segment.add_remote(far_ends[2].address)  # the flood list does not matter for a group that is set

    def reached() -> list[int]:
        lab.send(one, frame(GROUP, A))
        lab.poll()
        return [len(far.receive()) for far in far_ends]

    assert reached() == [0, 0, 1]
    segment.fdb.set(GROUP, remotes[0])
    assert reached() == [1, 0, 0]
    segment.fdb.append(GROUP, remotes[1])
    assert reached() == [1, 1, 0]
    entry = segment.fdb.get(GROUP)
    assert entry is not None
    assert (entry.to, entry.static) == ((remotes[0], remotes[1]), True)
    with pytest.raises(ConflictError, match="already"):
        segment.fdb.append(GROUP, remotes[1])
    segment.fdb.delete(GROUP, remotes[0])
    assert reached() == [0, 1, 0]
    with pytest.raises(ConflictError, match="no such destination"):
        segment.fdb.delete(GROUP, remotes[0])
    far_ends[0].send(1, frame(GROUP, B))  # the group is behind a remote: split horizon
    lab.poll()
    assert lab.drops() == {"split_horizon": 1}
    drain(two)
    segment.fdb.delete(GROUP, remotes[1])
    assert segment.fdb.get(GROUP) is None
    assert reached() == [0, 0, 1]
    assert len(drain(two)) == 1


def test_entries_and_groups_come_and_go_without_end(lab: Lab) -> None:
    """Deleted entries give their room back, whoever deletes them and however often."""
    segment = lab.engine.add_segment(1)
    remotes = [segment.remote(f"127.0.0.{n}") for n in (2, 3)]
    for _ in range(200):
        segment.fdb.set(A, remotes[0])
        segment.fdb.delete(A)
        for remote in remotes:
            segment.fdb.append(GROUP, remote)
        for remote in remotes:
            segment.fdb.delete(GROUP, remote)
    assert macs(segment) == []


def test_words_that_cannot_be_right(lab: Lab) -> None:
    segment, other = lab.engine.add_segment(1), lab.engine.add_segment(2)
    port = segment.add_memory_port("one")
    foreign = other.add_memory_port("one")
    remote = segment.remote("127.0.0.2")
    address: Any = "127.0.0.2"
    calls: list[Callable[[], object]] = [
        lambda: segment.fdb.set("nonsense", port),
        lambda: segment.fdb.get("nonsense"),
        lambda: segment.fdb.delete("nonsense"),
        lambda: segment.fdb.set("00:00:00:00:00:00", remote),
        lambda: segment.fdb.append(A, remote),
        lambda: segment.fdb.set(A, foreign),
        lambda: segment.fdb.set(A, address),
    ]
    for call in calls:
        with pytest.raises(UsageError) as error:
            call()
        assert "\n" not in str(error.value)
    with pytest.raises(ConflictError, match="no entry"):
        segment.fdb.delete(A)
    assert macs(segment) == []


def test_a_remote_of_another_engine(lab: Lab) -> None:
    with Lab() as another:
        remote = another.engine.add_segment(1).remote("127.0.0.2")
        with pytest.raises(UsageError):
            lab.engine.add_segment(1).fdb.set(A, remote)
