# SPDX-License-Identifier: Apache-2.0
"""Super-frames through the whole engine: split on the way out, trains, merged on the way in."""

import struct
from collections.abc import Iterator

import pytest

from fastpath.engine.offloads import Offloads
from fastpath.engine.ports.port import MemoryPort
from fastpath.engine.segment import Segment
from fastpath.engine.stats import Traffic
from fastpath.testing import oneshot
from tests.support.engine import twin, twin_offload
from tests.support.engine.frames import mac
from tests.support.engine.lab import FarEnd, Lab, drain, vxlan
from tests.support.engine.streams import ACK, CWR, FIN, PSH, Stream, pattern
from tests.unit.engine.test_engine_counters import check_sums

KINDS = [Stream(version, protocol) for version in (4, 6) for protocol in (twin.TCP, twin.UDP)]
IDS = ["tcp4", "udp4", "tcp6", "udp6"]
ALL = pytest.mark.parametrize("stream", KINDS, ids=IDS)
TCP4, UDP4, TCP6, UDP6 = KINDS
HERE, THERE = mac(1), mac(2)
Place = tuple[Lab, Segment, MemoryPort, FarEnd]


def place(lab: Lab) -> Place:
    """A segment with a port and a far end that floods reach."""
    segment = lab.engine.add_segment(42)
    port = segment.add_memory_port("one", mtu=1450)
    far = lab.far(2)
    segment.add_remote(far.address)
    return lab, segment, port, far


@pytest.fixture
def here(lab: Lab) -> Place:
    return place(lab)


@pytest.fixture(params=["tso", "uso", "gso", "gro", "merge"])
def without(request: pytest.FixtureRequest) -> Iterator[tuple[str, Place]]:
    """An engine with one of its offloads switched off."""
    with Lab(offloads=Offloads(**{request.param: False})) as lab:
        yield request.param, place(lab)


def received(port: MemoryPort) -> list[tuple[bytes, bytes]]:
    return list(iter(port.receive_with_header, None))


# ---- From a port to a remote.


@ALL
def test_a_super_frame_leaves_as_its_segments(here: Place, stream: Stream) -> None:
    lab, segment, port, far = here
    vnet, frame = stream.super_frame(pattern(20001), 1390, flags=ACK | PSH | FIN | CWR, identification=0xFFFE)
    expected = twin_offload.split(frame, vnet) or []
    lab.send(port, frame, vnet=vnet, segments=len(expected))
    lab.poll()
    assert [packet.frame for packet in far.receive()] == expected
    assert lab.events() == {"learned": 1, "flooded": 1, "unknown_unicast": 1, "split": 1, "trains": 1}
    size = sum(map(len, expected))
    assert port.traffic == Traffic(rx_frames=len(expected), rx_bytes=size)
    assert far.remote(segment).traffic == Traffic(tx_frames=len(expected), tx_bytes=size)
    check_sums(lab.engine)


@ALL
def test_it_leaves_as_a_train(here: Place, stream: Stream) -> None:
    lab, _, port, far = here
    far.gro()
    vnet, frame = stream.super_frame(pattern(14000), 1390)
    expected = twin_offload.split(frame, vnet) or []
    lab.send(port, frame, vnet=vnet, segments=len(expected))
    lab.poll()
    (train,) = far.receive_trains()
    assert train.size == 8 + len(expected[0])
    assert train.frames() == expected


def test_trains_of_64_kib_and_of_63_packets_are_full(here: Place) -> None:
    lab, _, port, far = here
    far.gro()
    expected: list[bytes] = []
    for payload, size in ((65483, 1410), (6400, 100)):
        vnet, frame = TCP4.super_frame(pattern(payload), size)
        segments = twin_offload.split(frame, vnet) or []
        expected += segments
        lab.send(port, frame, vnet=vnet, segments=len(segments))
    lab.poll()
    trains = far.receive_trains()
    assert [frame for train in trains for frame in train.frames()] == expected
    # 65,507 bytes hold 44 packets of 1472; the next train ends with the short one. Then 63 packets, and the last.
    assert [len(train.frames()) for train in trains] == [44, 3, 63, 1]
    assert lab.events()["trains"] == 3
    check_sums(lab.engine)


def test_frames_of_one_size_share_a_train(here: Place) -> None:
    """Also without super-frames; an order is an order, whatever the sizes."""
    lab, _, port, far = here
    far.gro()
    sizes = [100, 100, 100, 40, 100, 200, 200]
    frames = [UDP4.frame(pattern(size, n), identification=n) for n, size in enumerate(sizes)]
    for frame in frames:
        lab.send(port, frame)
    lab.poll()
    trains = far.receive_trains()
    assert [frame for train in trains for frame in train.frames()] == frames
    assert [len(train.frames()) for train in trains] == [4, 1, 2]
    assert lab.events()["trains"] == 2


def test_marks_do_not_share_a_train(here: Place) -> None:
    """The outer ECN bits are those of each packet."""
    lab, _, port, far = here
    frames = [UDP4.but(tos=tos).frame(b"data", identification=tos) for tos in (0, 1, 2, 3, 0)]
    for frame in frames:
        lab.send(port, frame)
    vnet, frame = TCP4.but(tos=3).super_frame(pattern(3000), 1000)
    lab.send(port, frame, vnet=vnet, segments=3)
    lab.poll()
    assert sorted(packet.tos for packet in far.receive()) == sorted([0, 1, 2, 2, 0] + [2] * 3)


@ALL
def test_flooding_a_super_frame(here: Place, stream: Stream) -> None:
    """Whole to the other port, in segments to each remote."""
    lab, segment, port, far = here
    other, another = segment.add_memory_port("two"), lab.far(3)
    segment.add_remote(another.address)
    vnet, frame = stream.super_frame(pattern(5000), 1000)
    expected = twin_offload.split(frame, vnet)
    lab.send(port, frame, vnet=vnet, segments=5)
    lab.poll()
    assert received(other) == [(vnet, frame)]
    for end in (far, another):
        assert [packet.frame for packet in end.receive()] == expected
    assert lab.events()["split"] == 2
    assert other.traffic.tx_frames == far.remote(segment).traffic.tx_frames == 5
    assert other.traffic.tx_bytes == far.remote(segment).traffic.tx_bytes == sum(map(len, expected or []))
    check_sums(lab.engine)


@ALL
def test_from_port_to_port_it_stays_whole(lab: Lab, stream: Stream) -> None:
    segment = lab.engine.add_segment(42)
    one, two = (segment.add_memory_port(name, mtu=1450) for name in ("one", "two"))
    vnet, frame = stream.super_frame(pattern(60000), 1390)
    lab.send(one, frame, vnet=vnet, segments=44)
    lab.poll()
    assert received(two) == [(vnet, frame)]
    assert lab.events() == {"learned": 1, "flooded": 1, "unknown_unicast": 1}
    assert one.traffic.rx_frames == two.traffic.tx_frames == 44
    assert one.traffic.rx_bytes == two.traffic.tx_bytes == len(frame) + 43 * stream.headers
    check_sums(lab.engine)


def test_a_super_frame_whose_segments_no_packet_holds(here: Place) -> None:
    lab, segment, port, far = here
    vnet, frame = TCP4.super_frame(pattern(65470), 65460)
    lab.send(port, frame, vnet=vnet, segments=2)
    lab.poll()
    assert far.receive() == []
    assert lab.drops() == {"exceeds_path": 2}
    assert far.remote(segment).traffic == Traffic(drops=2)
    check_sums(lab.engine)


def bad_super_frames() -> dict[str, tuple[bytes, bytes]]:
    vnet, frame = TCP4.super_frame(pattern(1000), 100)
    udp_vnet, udp = UDP4.super_frame(pattern(1000), 100)
    extension = bytes([6, 29]) + bytes(238)  # 14 + 40 + 240 + 20 bytes of headers
    long_vnet, long = TCP6.but(next_header=60, ip_options=extension).super_frame(pattern(1000), 100)
    _, _, headers, size, start, offset, _ = twin.VNET.unpack(vnet)

    def other(kind: int, size: int = size) -> bytes:
        return twin.VNET.pack(1, kind, headers, size, start, offset, 0)

    return {
        "no segment size": (other(1, 0), frame),
        "TCP over IPv6": (other(4), frame),
        "UDP": (other(5), frame),
        "UFO": (other(3), udp),
        "a type nobody knows": (other(0x42), frame),
        "ECN and nothing else": (other(0x80), frame),
        "TCP, but it is UDP": (udp_vnet[:1] + b"\1" + udp_vnet[2:], udp),
        "headers cut off": (vnet, frame[:50]),
        "IP header cut off": (vnet, frame[:30]),
        "nothing but Ethernet": (vnet, frame[:14]),
        "not IP": (vnet, frame[:12] + b"\x88\xb5" + frame[14:]),
        "a fragment": (vnet, frame[:20] + b"\x20\0" + frame[22:]),
        "a data offset of less than a header": (vnet, frame[:46] + b"\x40" + frame[47:]),
        "a data offset behind the end": (vnet, frame[:16] + b"\0\x29" + frame[18:46] + b"\xf0" + frame[47:]),
        "more than 256 bytes of headers": (long_vnet, long),
    }


@pytest.mark.parametrize("what", bad_super_frames())
def test_bad_super_frames(here: Place, what: str) -> None:
    lab, segment, port, far = here
    other = segment.add_memory_port("two")
    vnet, frame = bad_super_frames()[what]
    lab.send(port, frame, vnet=vnet)
    lab.poll()
    assert lab.drops() == {"bad_super_frame": 1}
    assert lab.events() == {}
    assert (far.receive(), received(other)) == ([], [])
    assert port.traffic == Traffic(drops=1)
    assert len(segment.fdb) == 0
    good_vnet, good = TCP4.super_frame(pattern(1000), 100)
    lab.send(port, good, vnet=good_vnet, segments=10)
    lab.poll()
    assert len(far.receive()) == 10
    check_sums(lab.engine)


# ---- From a remote to a port.


@ALL
def test_a_train_becomes_a_super_frame(here: Place, stream: Stream) -> None:
    lab, segment, port, far = here
    vnet, frame = stream.super_frame(pattern(14001), 1390)
    segments = twin_offload.split(frame, vnet) or []
    far.send_train(42, segments)
    lab.poll()
    assert received(port) == [(vnet, frame)]
    assert lab.events() == {
        "learned": 1,
        "flooded": 1,
        "unknown_unicast": 1,
        "trains_received": 1,
        "merged": len(segments) - 1,
    }
    size = sum(map(len, segments))
    assert port.traffic == Traffic(tx_frames=len(segments), tx_bytes=size)
    assert far.remote(segment).traffic == Traffic(rx_frames=len(segments), rx_bytes=size)
    check_sums(lab.engine)


@ALL
def test_packets_become_a_super_frame_too(here: Place, stream: Stream) -> None:
    lab, _, port, far = here
    vnet, frame = stream.super_frame(pattern(14001), 1390)
    for segment in twin_offload.split(frame, vnet) or []:
        far.send(42, segment)
    lab.poll()
    got = received(port)
    # How many come in one burst depends on how the worker sees them; the stream does not.
    again = [part for each in got for part in (twin_offload.split(each[1], each[0]) or [each[1]])]
    assert again == twin_offload.split(frame, vnet)
    assert lab.events()["merged"] == 11 - len(got) > 0
    assert "trains_received" not in lab.events()


@ALL
def test_from_engine_to_engine_and_back(stream: Stream) -> None:
    """A super-frame comes out as it went in, by way of two engines."""
    with Lab("127.0.0.1") as one, Lab("127.0.0.1") as other:
        ends = []
        for lab, there in ((one, other), (other, one)):
            segment = lab.engine.add_segment(7, learning=False)
            segment.add_remote("127.0.0.1", there.engine.udp_port)
            ends.append(segment.add_memory_port("one"))
        vnet, frame = stream.super_frame(pattern(50000), 1400)
        count = -(-50000 // 1400)
        one.send(ends[0], frame, vnet=vnet, segments=count)
        one.poll()
        other.sent += count
        other.poll()
        assert received(ends[1]) == [(vnet, frame)]
        assert one.events()["trains"] == other.events()["trains_received"] == 1


def test_flows_in_one_train(here: Place) -> None:
    lab, _, port, far = here
    one, two = TCP4.segments([100] * 10), TCP4.but(sport=1001).segments([100] * 10)
    far.send_train(42, [frame for pair in zip(one, two, strict=True) for frame in pair])
    lab.poll()
    got = received(port)
    assert [twin_offload.split(frame, vnet) for vnet, frame in got] == [one, two]
    assert lab.events()["merged"] == 18
    check_sums(lab.engine)


def test_segments_of_two_vnis_in_one_train_do_not_meet(here: Place) -> None:
    lab, _, port, far = here
    other = lab.engine.add_segment(43).add_memory_port("two")
    frames = TCP4.segments([100] * 8)
    payload = b"".join(vxlan(42 + n % 2, frame) for n, frame in enumerate(frames))
    far.send_segmented(payload, 8 + len(frames[0]), 8)
    lab.poll()
    assert drain(port) == frames[0::2]
    assert drain(other) == frames[1::2]
    check_sums(lab.engine)


def test_merged_frames_are_counted_where_they_are(here: Place) -> None:
    """Each segment counts the merges of its own frames."""
    lab, segment, _, far = here
    second = lab.engine.add_segment(43)
    second.add_memory_port("two")
    red, blue = TCP4.segments([100] * 3), TCP4.but(sport=9).segments([100] * 5)
    payload = b"".join([vxlan(42, frame) for frame in red] + [vxlan(43, frame) for frame in blue])
    far.send_segmented(payload, 8 + len(red[0]), 8)
    lab.poll()
    assert segment.stats().tally.events["merged"] == 2
    assert second.stats().tally.events["merged"] == 4


@ALL
@pytest.mark.parametrize("which", [1, 2, 5])
def test_a_damaged_packet_in_a_train(here: Place, stream: Stream, which: int) -> None:
    """It is delivered as it is, in its place, and counted as nothing else."""
    lab, _, port, far = here
    frames = stream.segments([1000] * 6)
    frames[which] = frames[which][:-1] + bytes([frames[which][-1] ^ 1])
    far.send_train(42, frames)
    lab.poll()
    assert lab.drops() == {}
    out = [part for vnet, frame in received(port) for part in (twin_offload.split(frame, vnet) or [frame])]
    assert out == frames
    check_sums(lab.engine)


def test_a_damaged_packet_does_not_change_its_vni(here: Place) -> None:
    """What it carries may look like a VXLAN header: whoever sent it is in VNI 42 and stays there."""
    lab, _, port, far = here
    other = lab.engine.add_segment(7).add_memory_port("other")
    inside = bytes.fromhex("ffffffffffff020000000066") + b"\x88\xb5" + b"trespasser" * 90
    frames = [UDP4.frame(vxlan(7, inside), identification=n) for n in range(3)]
    frames[1] = frames[1][:40] + b"\x12\x34" + frames[1][42:]
    far.send_train(42, frames)
    lab.poll()
    assert drain(other) == []
    assert drain(port) == frames
    assert lab.drops() == {}


def test_a_dropped_packet_is_not_taken_for_the_one_before(here: Place) -> None:
    """The first packet of a train is dropped: the second belongs to its sender, not to that of the train before."""
    lab, segment, port, far = here
    other = lab.far(3)
    segment.add_remote(other.address)
    first, lost, second = TCP4.but(tos=2).segments([100, 100, 100])
    second = TCP4.but(tos=2).frame(pattern(100, 100), sequence=100, identification=1)
    far.send(42, first)
    other.send_segmented(vxlan(99, lost) + vxlan(42, second), 8 + len(lost), 2)
    lab.poll()
    assert lab.drops() == {"unknown_vni": 1}
    assert drain(port) == [first, second]
    assert [end.remote(segment).traffic.rx_frames for end in (far, other)] == [1, 1]
    check_sums(lab.engine)


def test_congestion_marks_within_a_merge(here: Place) -> None:
    """Marked outside, all are marked inside, and merged after that."""
    lab, _, port, far = here
    frames = TCP4.but(tos=2).segments([100] * 4)
    marked = TCP4.but(tos=3).segments([100] * 4)
    for frame in frames:
        far.send(42, frame, tos=3)
    lab.poll()
    out = [part for vnet, frame in received(port) for part in (twin_offload.split(frame, vnet) or [frame])]
    assert out == marked
    assert lab.events()["ecn_marked"] == 4


# ---- A super-frame in one packet, as the kernel's vxlan sends it over a veth.

UNIT = oneshot.Decapsulator([42]).train_unit


@pytest.mark.parametrize("stream", [UDP4, UDP6, UDP4.but(tags=(5,))], ids=["udp4", "udp6", "tagged"])  # type: ignore[arg-type]
def test_a_packet_with_a_super_frame_is_not_a_train(stream: Stream) -> None:
    _, frame = stream.super_frame(pattern(5000), 1000)
    payload = vxlan(42, frame)
    assert UNIT(payload, 1000) == twin_offload.train_unit(payload, 1000, {42}) == len(payload)
    got = oneshot.Decapsulator([42])(payload, 0, False, 1000)
    assert (got.drop, got.needs_checksum) == (None, True)


@pytest.mark.parametrize("stream", [*KINDS, UDP4.but(tags=(5,))], ids=[*IDS, "tagged"])  # type: ignore[arg-type]
def test_a_packet_with_a_super_frame_arrives_whole(here: Place, stream: Stream) -> None:
    """By loopback a train arrives as such a packet does: all bytes, and a segment size."""
    lab, segment, port, far = here
    vnet, frame = stream.super_frame(pattern(5000), 1000)
    far.send_segmented(vxlan(42, frame), 1000, 5)
    lab.poll()
    assert received(port) == [(vnet, frame)]
    assert lab.events() == {"learned": 1, "flooded": 1, "unknown_unicast": 1, "checksum_inferred": 1}
    assert port.traffic.tx_frames == far.remote(segment).traffic.rx_frames == 5
    check_sums(lab.engine)


def test_a_packet_with_a_super_frame_to_no_port(here: Place) -> None:
    """From remote to remote nothing goes, and it is counted as its segments."""
    lab, segment, _, far = here
    segment.fdb.set(THERE, far.remote(segment))
    _, frame = UDP4.super_frame(pattern(5000), 1000)
    far.send_segmented(vxlan(42, frame), 1000, 5)
    lab.poll()
    assert lab.drops() == {"split_horizon": 5}
    check_sums(lab.engine)


def test_a_train_is_a_train() -> None:
    for stream in KINDS:
        payloads = [vxlan(42, frame) for frame in stream.segments([100] * 5)]
        size = len(payloads[0])
        assert UNIT(b"".join(payloads), size) == size
        assert UNIT(b"".join(payloads) + payloads[0][:-50], size) == size
        assert UNIT(payloads[0], 0) == UNIT(payloads[0], size) == size
        assert UNIT(payloads[0], size + 1) == size


@pytest.mark.parametrize("size", [1, 7, 8, 9, 21, 22, 23, 41, 42, 50])
def test_tiny_units(here: Place, size: int) -> None:
    """Hostile: pieces too small for headers, or a super-frame with as tiny segments. Every one is counted."""
    lab, _, port, far = here
    payload = vxlan(42, UDP4.frame(bytes(10)))
    assert UNIT(payload, size) == twin_offload.train_unit(payload, size, {42})
    whole = UNIT(payload, size) == len(payload)
    pieces = -(-(10 if whole else len(payload)) // size)
    far.send_segmented(payload, size, pieces)
    lab.poll()
    assert sum(lab.drops().values()) + port.traffic.tx_frames == pieces
    check_sums(lab.engine)


@pytest.mark.parametrize("length", range(8))
def test_a_payload_shorter_than_a_header_is_no_super_frame(length: int) -> None:
    for size in (0, 1, 3, 7, 8):
        expected = size if 0 < size < length else length
        assert UNIT(bytes(length), size) == twin_offload.train_unit(bytes(length), size, {42}) == expected


def lying(frame: bytes, length: int) -> bytes:
    """The frame with another length in its IP header."""
    flow = twin.parse(frame)
    at = flow.network + (2 if flow.version == 4 else 4)
    return frame[:at] + struct.pack(">H", length if flow.version == 4 else length - 40) + frame[at + 2 :]


@ALL
@pytest.mark.parametrize("more", [1, 8, 50, 200, 400, 100000])
def test_an_inner_length_that_lies(here: Place, stream: Stream, more: int) -> None:
    """Hostile: the first packet of a train claims to be longer than it is. It takes no other one with it."""
    lab, _, port, far = here
    frames = stream.segments([100] * 5)
    frames[0] = lying(frames[0], min(65535, len(frames[0]) - 14 + more))
    payload = b"".join(vxlan(42, frame) for frame in frames)
    size = 8 + len(frames[0])
    assert UNIT(payload, size) == twin_offload.train_unit(payload, size, {42}) == size
    far.send_train(42, frames)
    lab.poll()
    out = [part for vnet, frame in received(port) for part in (twin_offload.split(frame, vnet) or [frame])]
    assert out == frames
    check_sums(lab.engine)


@ALL
def test_a_frame_that_claims_the_whole_train(here: Place, stream: Stream) -> None:
    """Hostile: the packets behind it may be somebody else's, who must not lose them to this one's receiver."""
    lab, _, port, far = here
    frames = stream.segments([100] * 5)
    frames[0] = lying(frames[0], sum(8 + len(frame) for frame in frames) - 8 - 14 - 4 * len(stream.tags))
    payload = b"".join(vxlan(42, frame) for frame in frames)
    size = 8 + len(frames[0])
    assert UNIT(payload, size) == twin_offload.train_unit(payload, size, {42}) == 0
    assert UNIT(payload[:-1], size) == size  # one byte less, and nobody lies
    far.send_train(42, frames)
    lab.poll()
    assert lab.drops() == {"ambiguous_train": 5}
    assert received(port) == []


@ALL
@pytest.mark.parametrize("more", [0, 1, 50, 100000])
def test_a_lie_costs_nobody_else_among_our_own(stream: Stream, more: int) -> None:
    """Hostile: the same, where no kernel is among the peers, so that no packet holds a super-frame."""
    with Lab(kernel_peers=False) as lab:
        _, _, port, far = place(lab)
        frames = stream.segments([100] * 5)
        whole = sum(8 + len(frame) for frame in frames) - 8 - 14 - 4 * len(stream.tags)
        for liar in range(5):
            lies = [lying(frame, min(65535, whole + more)) if n == liar else frame for n, frame in enumerate(frames)]
            payload = b"".join(vxlan(42, frame) for frame in lies)
            assert oneshot.Decapsulator([42]).train_unit(payload, 8 + len(lies[0]), kernel_peers=False) == 8 + len(
                lies[0]
            )
            far.send_train(42, lies)
            lab.poll()
            out = [part for vnet, frame in received(port) for part in (twin_offload.split(frame, vnet) or [frame])]
            assert lies[liar] in out
            # The lie may come last: it is of no flow. And IDs need not count up, for fragments are not allowed.
            assert sorted(data[-100:] for data in out) == sorted(data[-100:] for data in frames)
        assert lab.drops() == {}
        check_sums(lab.engine)


def test_a_lie_costs_another_network_nothing() -> None:
    """Hostile: the packets behind the liar's are another network's, and one's whose VNI was just removed here."""
    with Lab(kernel_peers=False) as lab:
        _, _, port, far = place(lab)
        other_port = lab.engine.add_segment(43).add_memory_port("other")
        liar = UDP4.segments([100])[0]
        lie = lying(liar, 3 * (8 + len(liar)) - 8 - 14)
        packets = [vxlan(42, lie), vxlan(43, liar), vxlan(44, liar)]
        far.send_segmented(b"".join(packets), len(packets[0]), 3)
        lab.poll()
        assert [data for _, data in received(port)] == [lie]
        assert [data for _, data in received(other_port)] == [liar]
        assert lab.drops() == {"unknown_vni": 1}


def test_a_payload_that_plays_vxlan_headers() -> None:
    """Hostile: the stream of a kernel peer's container, behind whose headers packets for other VNIs would begin."""
    _, frame = UDP4.super_frame(b"".join(vxlan(42, bytes(1000 - 8)) for _ in range(5)), 1000)
    header = len(frame) - 5000
    shifted = UDP4.super_frame(bytes(1000 - header - 8) + vxlan(42, bytes(992)) * 4, 1000)[1]
    assert UNIT(vxlan(42, frame), 1000) == 8 + len(frame)
    assert UNIT(vxlan(42, shifted), 1000) == 0
    assert oneshot.Decapsulator([7]).train_unit(vxlan(42, shifted), 1000) == 8 + len(shifted)  # no VNI of ours


def test_what_does_not_parse_travels_alone(here: Place) -> None:
    """It may lie about its length to whoever receives it with others."""
    lab, _, port, far = here
    far.gro()
    good = TCP4.segments([100] * 4)
    bad = [lying(frame, 60000) for frame in good]
    for frame in bad + good:
        lab.send(port, frame)
    lab.poll()
    trains = [train.frames() for train in far.receive_trains()]
    assert sorted(trains, key=len) == [*([frame] for frame in bad), good]


def test_what_is_not_ip_is_a_train() -> None:
    payload = vxlan(42, bytes(12) + b"\x88\xb5" + bytes(400))
    for size in (9, 22, 100, 421):
        assert UNIT(payload, size) == size


def test_a_segment_size_for_what_is_neither_tcp_nor_udp() -> None:
    """No kernel says so; nothing of it may reach a split."""
    frame = bytes.fromhex("02000000000102000000000286dd6000000003e83a40") + bytes(32) + b"\x80\0\0\0" + bytes(996)
    assert twin.parse(frame).protocol == twin.ICMPV6
    got = oneshot.Decapsulator([42])(vxlan(42, frame), 0, False, 100)
    assert got.drop == "bad_super_frame"


# ---- Switches.


def test_each_switch_does_what_it_says(without: tuple[str, Place]) -> None:
    off, (lab, _, port, far) = without
    far.gro()
    vnet, frame = TCP4.super_frame(pattern(10000), 1000)
    segments = twin_offload.split(frame, vnet) or []
    lab.send(port, frame, vnet=vnet, segments=10)  # a memory port has no kernel that could be told not to
    lab.poll()
    assert [part for train in far.receive_trains() for part in train.frames()] == segments
    assert lab.events()["split"] == 1
    assert lab.events().get("trains", 0) == (0 if off == "gso" else 1)
    back = TCP4.but(source_mac=9, sport=5).segments([1000] * 10)
    far.send_train(42, back)
    lab.poll()
    got = received(port)
    assert [part for each in got for part in (twin_offload.split(each[1], each[0]) or [each[1]])] == back
    events = lab.events()
    assert events.get("trains_received", 0) == (0 if off == "gro" else 1)
    assert ("merged" in events) == (off != "merge")
    assert len(got) == 10 or off != "merge"
    check_sums(lab.engine)
