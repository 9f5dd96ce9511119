# SPDX-License-Identifier: Apache-2.0
"""Captures: what is selected is seen as it was, once, and nothing else; what is not read is counted."""

import itertools
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from fastpath import (
    DROP_SENTENCES,
    FLOOD,
    Burst,
    Capture,
    ConflictError,
    Forwarder,
    MemoryPort,
    Segment,
    UsageError,
)
from fastpath.engine.captures.capture import DEFAULT_ROOM
from fastpath.engine.captures.captured import PACKET_DROPS, Captured
from tests.support.engine import twin, twin_offload
from tests.support.engine.frames import BROADCAST, ethernet, frame, mac
from tests.support.engine.lab import FarEnd, Lab, drain, vxlan, wait_until
from tests.support.engine.streams import Stream, pattern

A, B = mac(0xA), mac(0xB)
ROOM = 1 << 18  # the least
Place = tuple[Lab, Segment, MemoryPort, MemoryPort, FarEnd]


@pytest.fixture
def here(lab: Lab) -> Place:
    """Two ports and a far end, which floods reach."""
    segment = lab.engine.add_segment(42)
    far = lab.far(2)
    segment.add_remote(far.address)
    return lab, segment, segment.add_memory_port("one"), segment.add_memory_port("two"), far


def brief(capture: Capture) -> list[tuple[str, str, str | None, bytes]]:
    """What was captured, without time and length, which must be right."""
    found = capture.read()
    for one in found:
        assert one.length == len(one.data)
    assert all(a.time_ns <= b.time_ns for a, b in itertools.pairwise(found))
    return [(one.direction, one.where, one.drop, one.data) for one in found]


def test_everything_is_seen_where_it_passes(here: Place) -> None:
    lab, _, one, _, far = here
    out, back = frame(BROADCAST, A), frame(A, B)
    with lab.engine.capture() as capture:
        lab.send(one, out)
        lab.poll()
        far.send(42, back)
        lab.poll()
    assert brief(capture) == [
        ("in", "one", None, out),
        ("out", "two", None, out),
        ("out", far.address, None, out),
        ("in", far.address, None, back),
        ("out", "one", None, back),
    ]
    assert capture.missed == 0


def test_each_term_selects_what_it_says(here: Place) -> None:
    lab, _, one, two, far = here
    other = lab.engine.add_segment(43).add_memory_port("other")
    selections: dict[str, Any] = {
        "one": {"ports": [one]},
        "remote": {"remotes": [far.address]},
        "both": {"ports": [two], "remotes": [far.address]},
        "drop": {"drops": ["no_destination"]},
    }
    expected = {
        "one": [("in", "one")],
        "remote": [("out", far.address)],
        "both": [("out", "two"), ("out", far.address)],
        "drop": [("in", "other")],
    }
    captures = {name: lab.engine.capture(**selection) for name, selection in selections.items()}
    lab.send(one, frame(BROADCAST, A))
    lab.send(other, frame(BROADCAST, B))
    lab.poll()
    found = {name: [record[:2] for record in brief(capture)] for name, capture in captures.items()}
    assert found == expected
    for capture in captures.values():
        capture.close()


def test_direction_and_segment_limit_what_is_seen(here: Place) -> None:
    lab, segment, one, two, far = here
    other = lab.engine.add_segment(43).add_memory_port("other")
    ports = [one, two, other]
    captures = [
        lab.engine.capture(ports=ports, directions=["in"]),
        lab.engine.capture(ports=ports, directions=["out"]),
        lab.engine.capture(segment),
    ]
    lab.send(one, frame(BROADCAST, A))
    lab.send(other, frame(BROADCAST, B))
    lab.poll()
    found = [[(record.direction, record.where, record.vni) for record in capture.read()] for capture in captures]
    assert found == [
        [("in", "one", 42), ("in", "other", 43)],
        [("out", "two", 42)],
        [("in", "one", 42), ("out", "two", 42), ("out", far.address, 42)],
    ]


def test_a_port_is_named_and_not_its_place_in_the_tables(here: Place) -> None:
    """A port that was removed is not named any more, and a later one is not selected in its place."""
    lab, segment, one, two, _ = here
    with lab.engine.capture(ports=[two]) as named, lab.engine.capture(directions=["out"]) as everything:
        lab.send(one, frame(BROADCAST, A))
        lab.poll()
        number = two.number
        segment.remove_port(two)
        later = segment.add_memory_port("later")
        assert later.number != number  # places are given again late
        lab.send(one, frame(BROADCAST, A))
        lab.poll()
        assert drain(later) == [frame(BROADCAST, A)]
        index = number & (1 << 28) - 1
        assert [record[:2] for record in brief(named)] == [("out", f"port {index}")]
        places = [record[1] for record in brief(everything) if "." not in record[1]]
    assert places == [f"port {index}", "later"]


def test_the_snap_length_cuts_and_tells(here: Place) -> None:
    lab, _, one, _, _ = here
    data = frame(BROADCAST, A) + bytes(range(200))
    with lab.engine.capture(ports=[one], snaplen=60) as capture:
        lab.send(one, data)
        lab.poll()
    [record] = capture.read()
    assert (record.data, record.length) == (data[:60], len(data))


def test_a_super_frame_is_one_record_whole(here: Place) -> None:
    lab, _, one, two, far = here
    vnet, data = Stream(4, twin.TCP).super_frame(pattern(20001), 1390)
    segments = twin_offload.split(data, vnet) or []
    with lab.engine.capture(ports=[one], remotes=[far.address]) as inner, lab.engine.capture(outer=True) as outer:
        lab.send(one, data, vnet=vnet, segments=len(segments))
        lab.poll()
    assert brief(inner) == [("in", "one", None, data), ("out", far.address, None, data)]
    assert [packet.frame for packet in far.receive()] == segments
    assert [bytes(IP(record.data)[UDP].payload)[8:] for record in outer.read()] == segments
    assert drain(two) == [data]


def from_port(lab: Lab, one: MemoryPort, _: FarEnd, data: bytes) -> None:
    lab.send(one, data)


def runt(lab: Lab, one: MemoryPort, _: FarEnd, __: bytes) -> None:
    lab.send(one, b"short")


def unknown_vni(_: Lab, __: MemoryPort, far: FarEnd, data: bytes) -> None:
    far.send(41, data)


def short_packet(_: Lab, __: MemoryPort, far: FarEnd, ___: bytes) -> None:
    far.send_payload(b"1234567")


def split_horizon(lab: Lab, one: MemoryPort, far: FarEnd, _: bytes) -> None:
    far.send(42, frame(BROADCAST, B))
    lab.poll()
    far.send(42, frame(B, mac(0xC)))


def too_big(lab: Lab, one: MemoryPort, _: FarEnd, data: bytes) -> None:
    lab.send(one, data + bytes(65500))


@pytest.mark.parametrize(
    ("reason", "cause", "expected"),
    [
        ("runt", runt, ("in", "one", b"short")),
        ("unknown_vni", unknown_vni, ("in", "127.0.0.2", frame(BROADCAST, A))),
        ("short_packet", short_packet, ("in", "127.0.0.2", b"")),
        ("split_horizon", split_horizon, ("in", "127.0.0.2", frame(B, mac(0xC)))),
        ("too_big", too_big, ("out", "127.0.0.2", frame(BROADCAST, A) + bytes(65500))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_drops_with_their_reason(here: Place, reason: str, cause: Any, expected: tuple[str, str, bytes]) -> None:
    lab, _, one, _, far = here
    with lab.engine.capture(drops=["any"]) as capture, lab.engine.capture(drops=["own_source"]) as other:
        cause(lab, one, far, frame(BROADCAST, A))
        lab.poll()
    direction, where, data = expected
    assert brief(capture) == [(direction, where, reason, data)]
    assert other.read() == []
    assert lab.drops() == {reason: 1}


def test_a_packet_from_an_unknown_vtep(here: Place) -> None:
    with Lab(known_only=True) as lab:
        lab.engine.add_segment(42)
        far = lab.far(2)
        with lab.engine.capture(drops=["unknown_vtep"]) as inner, lab.engine.capture(outer=True) as outer:
            far.send_train(42, [frame(A, B)] * 3)
            lab.poll()
        assert brief(inner) == [("in", far.address, "unknown_vtep", frame(A, B))] * 3
        packets = [(record.drop, bytes(IP(record.data)[UDP].payload)) for record in outer.read()]
        assert packets == [("unknown_vtep", vxlan(42, frame(A, B)))] * 3


def test_what_the_underlay_refuses() -> None:
    with Lab() as lab:
        segment = lab.engine.add_segment(42)
        port = segment.add_memory_port("one")
        segment.add_remote("192.0.2.1")  # a socket bound to 127.0.0.1 cannot send there
        with lab.engine.capture(drops=["any"]) as inner, lab.engine.capture(outer=True) as outer:
            lab.send(port, frame(BROADCAST, A))
            lab.poll()
        [reason] = lab.drops()
        assert brief(inner) == [("out", "192.0.2.1", reason, frame(BROADCAST, A))]
        [record] = outer.read()
        assert (record.drop, record.direction, IP(record.data).dst) == (reason, "out", "192.0.2.1")


@pytest.mark.parametrize("version", [4, 6])
def test_outer_packets_have_right_headers(version: int) -> None:
    with Lab("127.0.0.1" if version == 4 else "::1") as lab:
        kind = IP if version == 4 else IPv6
        segment = lab.engine.add_segment(42)
        port = segment.add_memory_port("one")
        far = lab.far(2) if version == 4 else lab.far_at("::1", 0)
        if version == 6:
            far.udp_port = far.sock.getsockname()[1]
        segment.add_remote(far.address, far.udp_port)
        data = bytes(ethernet(kind(tos=1) / UDP() / b"x") if version == 4 else ethernet(kind(tc=1) / UDP() / b"x"))
        with lab.engine.capture(outer=True) as capture:
            lab.send(port, data)
            lab.poll()
            far.send(42, frame(A, B), tos=2)
            lab.poll()
        sent, received = capture.read()
        [packet] = far.receive()
        assert (sent.direction, sent.where, received.direction) == ("out", far.address, "in")
        for record, payload in ((sent, vxlan(42, data)), (received, vxlan(42, frame(A, B)))):
            seen = kind(record.data)
            assert bytes(seen[UDP].payload) == payload
            rebuilt = seen.copy()
            for field in ("len", "chksum") if version == 4 else ("plen",):
                del rebuilt.fields[field]
            del rebuilt[UDP].chksum, rebuilt[UDP].len
            assert bytes(rebuilt) == record.data  # scapy computes the same lengths and checksums
        there, back = kind(sent.data), kind(received.data)
        assert (there.src, there.dst) == (str(lab.engine.local), far.address)
        assert (there.sport, there.dport) == (packet.source_port, far.udp_port)
        assert (back.src, back.dst) == (far.address, str(lab.engine.local))
        assert (back.sport, back.dport) == (far.sock.getsockname()[1], lab.engine.udp_port)
        assert [one.tos if version == 4 else one.tc for one in (there, back)] == [1, 2]


def test_a_ring_that_is_full_counts_what_it_misses(here: Place) -> None:
    lab, _, one, two, _ = here
    data = frame(BROADCAST, A) + bytes(range(256)) * 4
    with lab.engine.capture(ports=[one], room=ROOM) as capture:
        for _ in range(300):
            lab.send(one, data)
            lab.poll()
            drain(two)
        first = brief(capture)
        assert 0 < len(first) < 300
        assert capture.missed == 300 - len(first)
        lab.send(one, data)
        lab.poll()
        assert brief(capture) == [("in", "one", None, data)]  # there is room again
    assert first == [("in", "one", None, data)] * len(first)
    assert capture.missed == 300 - len(first)
    assert lab.drops() == {}


def test_reading_takes_a_bite_at_a_time(here: Place) -> None:
    lab, _, one, _, _ = here
    with lab.engine.capture(ports=[one]) as capture:
        for _ in range(10):
            lab.send(one, frame(BROADCAST, A))
        lab.poll()
    bites = [len(capture.read(200)) for _ in range(20)]
    assert sum(bites) == 10
    assert max(bites) < 4
    assert list(capture) == []


def test_after_the_end_nothing_is_taken_and_what_was_is_there(here: Place) -> None:
    lab, _, one, _, _ = here
    capture = lab.engine.capture(ports=[one])
    lab.send(one, frame(BROADCAST, A))
    lab.poll()
    capture.close()
    capture.close()
    lab.send(one, frame(BROADCAST, B))
    lab.poll()
    assert [record.data for record in capture] == [frame(BROADCAST, A)]
    assert capture.closed


def test_the_engine_s_end_ends_captures() -> None:
    with Lab() as lab:
        capture = lab.engine.capture()
    assert capture.closed
    assert list(capture) == []
    with pytest.raises(ConflictError, match="was closed"):
        lab.engine.capture()


def test_a_port_that_went_and_one_in_its_place(here: Place) -> None:
    lab, segment, one, _, _ = here
    with lab.engine.capture(segment) as capture:
        lab.send(one, frame(BROADCAST, A))
        lab.poll()
        segment.remove_port(one)
        names = [record.where for record in capture.read() if record.direction == "in"]
        lab.send(segment.add_memory_port("new"), frame(BROADCAST, A))
        lab.poll()
        names += [record.where for record in capture.read() if record.direction == "in"]
    assert names == ["port 1", "new"]


def test_several_at_once_and_not_too_many(here: Place) -> None:
    lab, _, one, _, _ = here
    captures = [lab.engine.capture(ports=[one]) for _ in range(4)]
    with pytest.raises(ConflictError, match="4 captures already"):
        lab.engine.capture(ports=[one])
    lab.send(one, frame(BROADCAST, A))
    lab.poll()
    assert [len(capture.read()) for capture in captures] == [1] * 4
    captures.pop().close()
    with lab.engine.capture():
        pass


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"drops": ["nonsense"]}, 'no drop reason "nonsense"'),
        ({"drops": ["same_port"], "outer": True}, "no outer headers"),
        ({"remotes": ["nonsense"]}, "not an IP address"),
        ({"remotes": [f"192.0.2.{n}" for n in range(1, 66)]}, "at most 64 ports"),
        ({"directions": ["sideways"]}, "invalid direction"),
        ({"directions": ()}, "without a direction"),
        ({"snaplen": -1}, "snaplen -1"),
        ({"snaplen": 262145}, "snaplen 262145"),
        ({"room": 12345}, "power of two"),
        ({"filter": "tcp prot 80"}, "syntax error"),
        ({"filter": "ip6 protochain 6"}, "loops"),
        ({"filter": "ether host 1:2:3:4:5:6", "outer": True}, "filter"),
        ({"filter": "tcp\0"}, "a filter is text"),
    ],
    ids=str,
)
def test_what_cannot_be_captured_changes_nothing(here: Place, arguments: dict[str, Any], words: str) -> None:
    lab, _, one, _, _ = here
    with pytest.raises(UsageError, match=words):
        lab.engine.capture(**arguments)
    captures = [lab.engine.capture() for _ in range(4)]  # none of them is taken
    for capture in captures:
        capture.close()
    for wrong in ({"ports": [one], "outer": True}, {"ports": [one], "segment": lab.engine.add_segment(43)}):
        with pytest.raises(UsageError):
            lab.engine.capture(**wrong)  # type: ignore[arg-type]


def test_the_reasons_for_packets_are_reasons() -> None:
    assert set(DROP_SENTENCES) >= PACKET_DROPS
    assert DEFAULT_ROOM > ROOM


def test_a_record_says_what_it_is(here: Place) -> None:
    lab, _, one, _, _ = here
    with lab.engine.capture(ports=[one], drops=["runt"]) as capture:
        lab.send(one, b"x")
        lab.poll()
    [record] = capture.read()
    assert record == Captured(record.time_ns, "in", "one", "runt", 42, 1, b"x")
    assert record.time_ns > 1_600_000_000_000_000_000


class Flooding(Forwarder):
    """Python's, so on a thread of its own."""

    def forward(self, burst: Burst) -> None:
        burst.out = FLOOD


def test_what_a_forwarder_in_python_sends_is_seen(lab: Lab) -> None:
    segment = lab.engine.add_segment(42, forwarder=Flooding())
    one, _, far = segment.add_memory_port("one"), segment.add_memory_port("two"), lab.far(2)
    segment.add_remote(far.address)
    data = frame(BROADCAST, A)
    with lab.engine.capture(segment) as inner, lab.engine.capture(outer=True) as outer:
        lab.engine.start()
        lab.send(one, data)
        found: list[Captured] = []

        def three() -> bool:
            found.extend(inner.read())
            return len(found) == 3

        wait_until(three)
        wait_until(lambda: far.remote(segment).traffic.tx_frames == 1)
        lab.engine.stop()
    assert [(record.direction, record.where, record.data) for record in found] == [
        ("in", "one", data),
        ("out", "two", data),
        ("out", far.address, data),
    ]
    [packet] = outer.read()
    [received] = far.receive()
    assert IP(packet.data)[UDP].sport == received.source_port
