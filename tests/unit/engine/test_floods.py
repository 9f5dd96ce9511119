# SPDX-License-Identifier: Apache-2.0
"""What one port's traffic may cost the others: storm control, super-frames of tiny segments, the packet budget."""

import pytest

from fastpath import MemoryPort, Segment, UsageError
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import Lab, drain
from tests.support.engine.streams import Stream, pattern
from tests.support.engine.twin import UDP, VNET

FLOOD = frame(BROADCAST, mac(1))


def ports(segment: Segment, number: int) -> list[MemoryPort]:
    return [segment.add_memory_port(f"port{i}") for i in range(number)]


def flood(lab: Lab, port: MemoryPort, frames: int) -> int:
    """Send so many broadcasts; return how many of them were dropped. They are handled in one turn, within which no time
    passes."""
    before = lab.drops().get("storm", 0)
    for _ in range(frames):
        lab.send(port, FLOOD)
    lab.poll()
    return lab.drops().get("storm", 0) - before


def test_a_port_floods_as_much_as_it_may(lab: Lab) -> None:
    lab.engine.advance_clock(0)
    one, *others = ports(lab.engine.add_segment(42), 3)
    one.flood_limit = 10  # copies: of a frame there are two, and a token for the port itself
    assert one.flood_limit == 10
    assert flood(lab, one, 10) == 4
    assert [len(drain(port)) for port in others] == [6, 6]
    assert lab.events()["flooded"] == 6


def test_tokens_come_back_with_time(lab: Lab) -> None:
    one, two = ports(lab.engine.add_segment(42), 2)
    one.flood_limit = 1 << 20
    dropped = flood(lab, one, 20)
    assert dropped == 0
    one.flood_limit = 2
    assert flood(lab, one, 10) >= 6  # a second may pass meanwhile
    drain(two)
    lab.engine.advance_clock(100)
    assert flood(lab, one, 2) == 0
    assert len(drain(two)) == 2


def test_every_kind_of_flood_counts(lab: Lab) -> None:
    segment, far = lab.engine.add_segment(42), lab.far(2)
    one, two = ports(segment, 2)
    group = "33:33:00:00:00:07"
    segment.fdb.append(group, segment.add_remote(far.address))
    segment.fdb.append(group, segment.remote("127.0.0.3"))
    for destination in (BROADCAST, mac(77), "01:00:5e:00:00:01", group):
        one.flood_limit = 1
        lab.engine.advance_clock(0)
        for _ in range(8):
            lab.send(one, frame(destination, mac(1)))
        lab.poll()
        assert lab.drops()["storm"] >= 6
        lab.drops()
    segment.fdb.set(mac(2), two)
    drain(two)
    for _ in range(8):
        lab.send(one, frame(mac(2), mac(1)))
    lab.poll()
    assert len(drain(two)) == 8  # its place is known: no flood


def test_a_port_without_a_limit_and_what_remotes_send(lab: Lab) -> None:
    segment, far = lab.engine.add_segment(42), lab.far(2)
    one, two = ports(segment, 2)
    one.flood_limit = 1
    assert two.flood_limit == 0
    assert flood(lab, two, 50) == 0
    for _ in range(50):
        far.send(42, frame(BROADCAST, mac(9)))
        lab.poll()
    assert lab.drops().get("storm", 0) == 0


def test_a_super_frame_counts_as_its_segments(lab: Lab) -> None:
    one, two = ports(lab.engine.add_segment(42), 2)
    vnet, data = Stream(protocol=UDP).super_frame(pattern(6400), 100)
    data = bytes.fromhex("ffffffffffff") + data[6:]
    one.flood_limit = 63  # for 64 segments and two ports it takes 128 tokens, of which there are 126
    lab.send(one, data, vnet=vnet, segments=64)
    lab.poll()
    assert lab.drops() == {"storm": 64}
    one.flood_limit = 64
    lab.send(one, data, vnet=vnet, segments=64)
    lab.poll()
    assert len(drain(two)) == 1


@pytest.mark.parametrize("wrong", [-1, 1 << 31])
def test_limits_that_cannot_be(lab: Lab, wrong: int) -> None:
    (one,) = ports(lab.engine.add_segment(42), 1)
    with pytest.raises(UsageError, match="flood limit"):
        one.flood_limit = wrong


def made_up(stream: Stream, payload: int, size: int) -> tuple[bytes, bytes]:
    """A super-frame with segments of any size, which streams refuse to make."""
    vnet, data = stream.super_frame(pattern(payload), 1000)
    flags, kind, headers, _, start, offset, more = VNET.unpack(vnet)
    return VNET.pack(flags, kind, headers, size, start, offset, more), data


@pytest.mark.parametrize(
    ("protocol", "payload", "size", "passes"),
    [
        (6, 65000, 36, True),  # an MSS of 48 with timestamps
        (6, 65000, 88 - 12, True),
        (6, 2048 * 8, 8, True),
        (6, 2048 * 8 + 1, 8, False),
        (6, 60000, 1, False),
        (17, 128 * 100, 100, True),
        (17, 128 * 100 + 1, 100, False),
        (17, 60000, 1, False),
    ],
)
def test_tiny_segments(lab: Lab, protocol: int, payload: int, size: int, passes: bool) -> None:
    segment = lab.engine.add_segment(42)
    one, two = ports(segment, 2)
    vnet, data = made_up(Stream(protocol=protocol), payload, size)
    segment.fdb.set(data[:6], two)
    segments = -(-payload // size)
    lab.send(one, data, vnet=vnet, segments=segments)
    lab.poll()
    assert lab.drops() == ({} if passes else {"tiny_segments": segments})
    assert bool(drain(two)) == passes


def compete(lab: Lab, there: list[MemoryPort], floods: int, frames: int) -> list[str]:
    """Send broadcasts from the first port, the noisy one, and frames from the second one to the third. Return the
    bursts in which they came there: n for a frame of the noisy port, q for one of the quiet port."""
    noisy, quiet, sink, *_ = there
    for _ in range(floods):
        lab.send(noisy, FLOOD)
    for _ in range(frames):
        lab.send(quiet, frame(mac(3), mac(2)))
    lab.poll()
    order = "".join("q" if data[:6] == bytes.fromhex(mac(3).replace(":", "")) else "n" for data in drain(sink))
    assert (order.count("n"), order.count("q")) == (floods, frames)
    return order.replace("nq", "n q").replace("qn", "q n").split()


def flood_before(lab: Lab, there: list[MemoryPort]) -> None:
    """Let a whole burst of the first port's broadcasts pass. What is left to pay is paid in rounds in which it has
    something to send."""
    noisy, quiet, sink, *_ = there
    for _ in range(64):
        lab.send(noisy, FLOOD)
    lab.poll()
    drain(sink)
    drain(quiet)


def test_a_flood_leaves_others_their_turns(lab: Lab) -> None:
    """Each frame of one port becomes 42 packets, so its first burst costs ten shares of a round. Meanwhile the other
    port has its turns; without a budget, every second burst would be the first port's."""
    segment = lab.engine.add_segment(42)
    there = ports(segment, 3)
    segment.fdb.set(mac(3), there[2])
    for number in range(40):
        segment.add_remote(f"127.0.1.{number + 1}")
    bursts = compete(lab, there, 96, 300)
    order = "".join(bursts)
    assert sorted(len(burst) for burst in bursts[:2]) in ([64, 300], [64, 64])  # either is first
    first = order.index("n")
    assert order.index("n", first + 64) - (first + 64) >= 300 - 64


def test_after_a_flood_bursts_are_short(lab: Lab) -> None:
    """A frame costs 42 packets, so after the first burst six frames are a share."""
    segment = lab.engine.add_segment(42)
    there = ports(segment, 3)
    segment.fdb.set(mac(3), there[2])
    for number in range(40):
        segment.add_remote(f"127.0.1.{number + 1}")
    flood_before(lab, there)
    bursts = compete(lab, there, 20, 1000)
    assert max(len(burst) for burst in bursts if "n" in burst) <= 6


def test_no_burst_is_longer_than_others(lab: Lab) -> None:
    """A frame that costs three packets is worth 85 of a share: a burst has 64 all the same."""
    segment = lab.engine.add_segment(42)
    there = ports(segment, 4)
    segment.fdb.set(mac(3), there[2])
    flood_before(lab, there)
    bursts = compete(lab, there, 192, 1000)
    assert [len(burst) for burst in bursts if "n" in burst] == [64, 64, 64]


def test_what_is_refused_at_the_door_costs_little(lab: Lab) -> None:
    """Each of these would become 60,000 packets, and becomes none: nobody has to wait for it."""
    segment = lab.engine.add_segment(42)
    one, two = ports(segment, 2)
    segment.fdb.set(mac(3), two)
    vnet, data = made_up(Stream(protocol=UDP), 60000, 1)
    for _ in range(4):
        lab.send(one, data, vnet=vnet, segments=60000)
    lab.send(one, frame(mac(3), mac(1)))
    ((before, _),) = lab.engine.worker_states()
    lab.poll()
    ((after, _),) = lab.engine.worker_states()
    assert lab.drops() == {"tiny_segments": 4 * 60000}
    assert len(drain(two)) == 1
    assert after - before < 100  # a turn counts twice


def test_an_unknown_address_is_not_looked_for_where_it_cannot_be(lab: Lab) -> None:
    """A container takes all that the kernel path hands it for its own, and might send it on."""
    segment, far = lab.engine.add_segment(42), lab.far(2)
    one, two, three = ports(segment, 3)
    two.allowed = [(mac(2), ["10.0.0.2"]), (mac(22), [])]
    three.allowed = []
    stranger, known = frame(mac(77), mac(9)), frame(mac(22), mac(9))
    far.send(42, stranger)
    far.send(42, known)
    far.send(42, FLOOD)
    lab.poll()
    assert drain(one) == [stranger, known, FLOOD]
    assert drain(two) == [known, FLOOD]
    assert drain(three) == [FLOOD]
    one.allowed = [(mac(1), [])]
    far.send(42, stranger)
    lab.poll()
    assert [drain(port) for port in (one, two, three)] == [[], [], []]
    assert lab.drops() == {"no_destination": 1}
