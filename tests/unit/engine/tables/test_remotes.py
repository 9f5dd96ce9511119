# SPDX-License-Identifier: Apache-2.0
"""How long the engine remembers a remote, and what else comes and goes while frames flow between polls."""

from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import FarEnd, Lab, drain

A, B = mac(0xA), mac(0xB)


def addresses(lab: Lab) -> list[str]:
    return [remote.address for remote in lab.engine.stats().remotes]


def say(far: FarEnd, source: str) -> None:
    far.send(1, frame(BROADCAST, source))
    far.lab.poll()


def test_a_learned_remote_is_forgotten_by_the_second_tidy(lab: Lab) -> None:
    segment = lab.engine.add_segment(1, ageing=300)
    port = segment.add_memory_port("one")
    far = lab.far(2)
    say(far, A)
    for _ in range(3):
        lab.engine.tidy()
        assert addresses(lab) == ["127.0.0.2"]  # an FDB entry names it
    lab.engine.advance_clock(1000)
    lab.engine.tidy()
    assert len(segment.fdb) == 0
    assert addresses(lab) == ["127.0.0.2"]  # a worker may be about to learn from it again
    lab.engine.tidy()
    assert addresses(lab) == []
    # It is as if it had never been there: it can be learned again, and its counters start anew.
    say(far, B)
    assert [(r.address, r.traffic.rx_frames) for r in lab.engine.stats().remotes] == [("127.0.0.2", 1)]
    drain(port)
    lab.send(port, frame(B, mac(1)))
    lab.poll()
    assert [packet.frame for packet in far.receive()] == [frame(B, mac(1))]


def test_a_remote_that_speaks_between_two_tidies_stays(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    far = lab.far(2)
    say(far, A)
    segment.fdb.flush()
    lab.engine.tidy()
    say(far, A)
    for _ in range(3):
        lab.engine.tidy()
    assert addresses(lab) == ["127.0.0.2"]
    entry = segment.fdb.get(A)
    assert entry is not None
    assert entry.to == (far.remote(segment),)


def test_a_remote_that_something_names_stays(lab: Lab) -> None:
    """A flood list, a static entry, a group address: each of them alone is enough."""
    segment = lab.engine.add_segment(1)
    segment.add_remote("127.0.0.2")
    segment.fdb.set(A, segment.remote("127.0.0.3"))
    for number in (4, 5):
        segment.fdb.append("01:00:5e:00:00:01", segment.remote(f"127.0.0.{number}"))
    for _ in range(3):
        lab.engine.tidy()
        assert addresses(lab) == [f"127.0.0.{number}" for number in (2, 3, 4, 5)]
    segment.remove_remote("127.0.0.2")
    segment.fdb.delete("01:00:5e:00:00:01", segment.remote("127.0.0.4"))
    segment.fdb.delete(A)
    for _ in range(2):
        lab.engine.tidy()
    assert addresses(lab) == ["127.0.0.5"]


def test_one_segment_keeps_anothers_remote(lab: Lab) -> None:
    red, blue = lab.engine.add_segment(1), lab.engine.add_segment(2)
    for segment in (red, blue):
        segment.add_remote("127.0.0.2")
    lab.engine.remove_segment(red)
    for _ in range(2):
        lab.engine.tidy()
    assert addresses(lab) == ["127.0.0.2"]
    lab.engine.remove_segment(blue)
    for _ in range(2):
        lab.engine.tidy()
    assert addresses(lab) == []


def test_many_remotes(lab: Lab) -> None:
    """Hundreds of them in one flood list: more than a burst, so the queue is flushed in between."""
    segment = lab.engine.add_segment(1)
    port = segment.add_memory_port("one")
    far_ends = [lab.far(number) for number in range(2, 202)]
    for far in far_ends:
        segment.add_remote(far.address)
    for number in range(3):
        lab.send(port, frame(BROADCAST, mac(number + 1)))
    lab.poll()
    expected = [frame(BROADCAST, mac(number + 1)) for number in range(3)]
    for far in far_ends:
        assert sorted(packet.frame for packet in far.receive()) == expected
    assert lab.drops() == {}


def test_ports_and_remotes_come_and_go_between_frames(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    one = segment.add_memory_port("one")
    far = lab.far(2)
    for number in range(50):
        two = segment.add_memory_port("two")
        segment.add_remote(far.address)
        data = frame(BROADCAST, mac(number + 1))
        lab.send(one, data)
        lab.poll()
        assert drain(two) == [data]
        assert [packet.frame for packet in far.receive()] == [data]
        lab.send(two, frame(mac(number + 1), mac(1000)))
        lab.poll()
        assert drain(one) == [frame(mac(number + 1), mac(1000))]
        segment.remove_port(two)
        segment.remove_remote(far.address)
        assert segment.fdb.get(mac(1000)) is None
        lab.send(one, data)
        lab.poll()
        assert far.receive() == []
    assert lab.drops() == {"no_destination": 50}


def test_frames_that_wait_while_their_port_is_removed(lab: Lab) -> None:
    """Nobody reads them any more, and nobody gets confused."""
    segment = lab.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    one.send(frame(BROADCAST, A))
    segment.remove_port(one)
    again = segment.add_memory_port("one")
    lab.poll()
    assert drain(two) == drain(again) == []
    assert lab.entered() == 0
