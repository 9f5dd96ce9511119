# SPDX-License-Identifier: Apache-2.0
"""Merge: segments -> super-frame (GRO). The named cases are those of the kernel's own selftest
(tools/testing/selftests/net/gro.c), then come lists of frames of every kind beside the twin."""

import struct

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fastpath.testing import oneshot
from tests.support.engine import twin, twin_offload
from tests.support.engine.frames import fragments_with_options, ipv4_header_is_valid
from tests.support.engine.frames import frames as any_frames
from tests.support.engine.streams import ACK, CWR, DF, ECE, FIN, PSH, RST, SYN, TIMESTAMP, URG, Stream, pattern
from tests.support.engine.twin_offload import Merged
from tests.support.examples import times

P = 100  # the payload of most segments; small enough that room is never short
TCP4, UDP4, TCP6, UDP6 = (Stream(version, protocol) for version in (4, 6) for protocol in (twin.TCP, twin.UDP))
KINDS = [TCP4, UDP4, TCP6, UDP6]
IDS = ["tcp4", "udp4", "tcp6", "udp6"]
TCPS = pytest.mark.parametrize("stream", [TCP4, TCP6], ids=["tcp4", "tcp6"])
ALL = pytest.mark.parametrize("stream", KINDS, ids=IDS)
BOTH = pytest.mark.parametrize("version", [4, 6])
EVIL_VXLAN = b"\x08\0\0\0\0\0\x07\0"


def merge(frames: list[bytes], gap: int = 8) -> list[Merged]:
    """What a port gets of frames that arrived together; it has to be what the twin says."""
    got = [Merged(*each) for each in oneshot.merge(frames, gap)]
    assert got == twin_offload.merge(frames, [oneshot.parse(frame).hash for frame in frames])
    for each in got:
        check(each)
    return got


def check(merged: Merged) -> None:
    """A super-frame's structure is that of one which a kernel made."""
    flags, kind, headers, size, start, field, _ = twin.VNET.unpack(merged.vnet)
    if merged.segments == 1:
        assert (kind, size) == (0, 0)
        return
    flow = twin.parse(merged.frame)
    assert flags == twin.NEEDS_CSUM
    assert kind == twin_offload.gso_type(merged.frame)
    assert headers == twin_offload.header_bytes(merged.frame)
    assert flow.end == len(merged.frame) <= flow.network + 65535
    assert twin.unfinished_checksum(merged.frame, flow) == (start, field)
    assert -(-(flow.end - headers) // size) == merged.segments
    assert flow.version == 6 or ipv4_header_is_valid(merged.frame)


def sizes(frames: list[bytes], gap: int = 8) -> list[int]:
    """The payloads that a port gets, as the kernel's selftest writes down what it expects."""
    return [len(each.frame) - twin_offload.header_bytes(each.frame) for each in merge(frames, gap)]


def resplit(merged: list[Merged]) -> list[bytes]:
    """All of it as frames of wire size again."""
    result: list[bytes] = []
    for each in merged:
        result += [each.frame] if each.segments == 1 else twin_offload.split(each.frame, each.vnet) or []
    return result


def damaged(frame: bytes, at: int = -1) -> bytes:
    data = bytearray(frame)
    data[at] ^= 0x40
    return bytes(data)


# ---- data_*: sizes.


@ALL
def test_data_same(stream: Stream) -> None:
    assert sizes(stream.segments([P, P])) == [2 * P]


@ALL
def test_data_larger_then_smaller(stream: Stream) -> None:
    assert sizes(stream.segments([P, P // 2])) == [P + P // 2]


@ALL
def test_data_smaller_then_larger(stream: Stream) -> None:
    assert sizes(stream.segments([P // 2, P])) == [P // 2, P]


@ALL
def test_nothing_behind_a_shorter_one(stream: Stream) -> None:
    assert sizes(stream.segments([P, P - 1, P - 1, P])) == [2 * P - 1, P - 1, P]


@ALL
@pytest.mark.parametrize("size", [1, 2, 3, 99, 1448, 8948])
def test_many_of_each_size(stream: Stream, size: int) -> None:
    count = min(64, 65000 // size)
    parts = [size] * (count - 1) + [(size + 1) // 2]
    assert sizes(stream.segments(parts)) == [sum(parts)]


@TCPS
def test_pure_acks_pass_through(stream: Stream) -> None:
    ack = stream.frame(b"")
    assert sizes([ack, ack, ack]) == [0, 0, 0]
    first, second = stream.segments([P, P])
    after = stream.frame(b"", sequence=2 * P)
    # An ACK in the middle keeps its place.
    assert sizes([first, after, second]) == [P, 0, P]
    assert sizes([first, second, after]) == [2 * P, 0]


# ---- flags_*.


@TCPS
def test_psh_ends_a_merge(stream: Stream) -> None:
    frames = stream.segments([P] * 5)
    frames[2] = stream.frame(pattern(P, 2 * P), sequence=2 * P, identification=2, flags=ACK | PSH)
    got = merge(frames)
    assert [len(each.frame) - stream.headers for each in got] == [3 * P, 2 * P]
    assert [each.frame[stream.headers - 20 + 13] for each in got] == [ACK | PSH, ACK]


@TCPS
def test_fin_ends_a_merge(stream: Stream) -> None:
    first = stream.frame(pattern(P), identification=0)
    last = stream.frame(pattern(P, P), sequence=P, identification=1, flags=ACK | FIN)
    more = stream.frame(pattern(P, 2 * P), sequence=2 * P, identification=2)
    got = merge([first, last, more])
    assert [each.segments for each in got] == [2, 1]
    assert got[0].frame[stream.headers - 20 + 13] == ACK | FIN


@TCPS
@pytest.mark.parametrize("flag", [SYN, RST, URG, CWR, ECE], ids=["syn", "rst", "urg", "cwr", "ece"])
@pytest.mark.parametrize("size", [0, P])
def test_flags_that_never_merge(stream: Stream, flag: int, size: int) -> None:
    frames = stream.segments([P, P])
    frames.append(stream.frame(pattern(size, 2 * P), sequence=2 * P, identification=2, flags=ACK | flag))
    frames.append(stream.frame(pattern(P, 2 * P + size), sequence=2 * P + size, identification=3))
    assert sizes(frames) == [2 * P, size, P]
    if size:
        assert sizes(frames[2:]) == [size, P]


@TCPS
def test_without_ack_nothing_merges(stream: Stream) -> None:
    frames = [stream.frame(pattern(P, at), sequence=at, identification=at // P, flags=0) for at in (0, P)]
    assert sizes(frames) == [P, P]


# ---- tcp_*.


@ALL
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_wrong_checksum_stays_alone_and_wrong(stream: Stream, which: int) -> None:
    frames = stream.segments([P] * 4)
    frames[which] = damaged(frames[which])
    expected = {0: [P, 3 * P], 1: [P, P, 2 * P], 2: [2 * P, P, P]}[which]
    got = sizes(frames)
    # UDP has no sequence numbers: behind the bad one a merge begins anew; with TCP, too.
    assert got == expected
    assert frames[which] in [each.frame for each in merge(frames)]


@ALL
@pytest.mark.parametrize("gap", [8, 9, 66, 1000])
def test_after_a_wrong_checksum_nothing_is_lost(stream: Stream, gap: int) -> None:
    """Its payload was moved to sum it, and moved back."""
    frames = stream.segments([P] * 6)
    frames[3] = damaged(frames[3], stream.headers + 7)
    assert resplit(merge(frames, gap)) == frames


@pytest.mark.parametrize("stream", [TCP4, UDP4], ids=["tcp4", "udp4"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_wrong_ip_header_checksum(stream: Stream, which: int) -> None:
    frames = stream.segments([P, P])
    frames[which] = damaged(frames[which], 14 + 10)
    assert sizes(frames) == [P, P]


@TCPS
def test_a_gap_and_an_overlap_in_the_sequence(stream: Stream) -> None:
    for start in (P - 1, P + 1, 0, 2 * P, -P):
        frames = [stream.frame(pattern(P)), stream.frame(pattern(P), sequence=start, identification=1)]
        assert sizes(frames) == [P, P]


@TCPS
def test_sequence_numbers_wrap(stream: Stream) -> None:
    assert sizes(stream.segments([P] * 3, sequence=2**32 - P - 1)) == [3 * P]


@TCPS
def test_options(stream: Stream) -> None:
    stamped = stream.but(options=TIMESTAMP)
    later = stream.but(options=TIMESTAMP[:-1] + b"\xff")
    first, second = stamped.segments([P, P])
    third = later.frame(pattern(P, 2 * P), sequence=2 * P, identification=2)
    assert sizes([first, second]) == [2 * P]
    assert sizes([first, second, third]) == [2 * P, P]  # another time stamp
    bare = stream.frame(pattern(P, 2 * P), sequence=2 * P, identification=2)
    assert sizes([first, second, bare]) == [2 * P, P]  # options and none
    assert sizes([stream.frame(pattern(P)), stamped.segments([P, P])[1]]) == [P, P]


@TCPS
@pytest.mark.parametrize(
    "change",
    [{"acknowledgment": 78}, {"window": 501}, {"urgent": 1}, {"sport": 1001}, {"dport": 2001}, {"source": 3}],
    ids=str,
)
def test_other_tcp_fields(stream: Stream, change: dict[str, int]) -> None:
    other = stream.but(**change).segments([P, P])[1]
    assert sizes([stream.frame(pattern(P)), other]) == [P, P]


def test_reserved_bits_of_tcp() -> None:
    first, second = TCP4.segments([P, P])
    for bit in (1, 2, 4, 8):
        data = bytearray(second)
        data[34 + 12] |= bit
        assert sizes([first, twin_offload.with_checksums(bytes(data))]) == [P, P]


# ---- ip_*.


@ALL
@pytest.mark.parametrize("change", [{"tos": 1}, {"tos": 3}, {"tos": 0x10}, {"ttl": 63}, {"source_mac": 7}], ids=str)
def test_ecn_tos_ttl_and_mac(stream: Stream, change: dict[str, int]) -> None:
    other = stream.but(**change)
    assert sizes([stream.segments([P, P])[0], other.segments([P, P])[1]]) == [P, P]
    assert sizes(other.segments([P, P])) == [2 * P]


def test_flow_labels() -> None:
    assert sizes([TCP6.segments([P, P])[0], TCP6.but(flow_label=1).segments([P, P])[1]]) == [P, P]


@pytest.mark.parametrize("stream", [TCP4, UDP4], ids=["tcp4", "udp4"])
def test_ipv4_options_never_merge(stream: Stream) -> None:
    assert sizes(stream.but(ip_options=b"\1" * 4).segments([P, P])) == [P, P]
    assert sizes([stream.segments([P, P])[0], stream.but(ip_options=b"\1" * 4).segments([P, P])[1]]) == [P, P]


@pytest.mark.parametrize("stream", [TCP4, UDP4], ids=["tcp4", "udp4"])
def test_ipv4_fragments_never_merge(stream: Stream) -> None:
    for bits in (0x2000, 0x2001, 1):
        assert len(merge(stream.but(fragment=bits).segments([P, P]))) == 2
        assert len(merge([stream.segments([P, P])[0], stream.but(fragment=bits).segments([P, P])[1]])) == 2


def test_ipv6_fragments_never_merge() -> None:
    pieces = fragments_with_options(bytes(range(64)))
    assert [each.frame for each in merge(pieces * 2)] == pieces * 2


@pytest.mark.parametrize("protocol", [twin.TCP, twin.UDP])
def test_ipv6_extension_headers_never_merge(protocol: int) -> None:
    """The kernel merges where they are equal; here they are rare enough to be left alone."""
    for following in (0, 60):
        stream = Stream(6, protocol, next_header=following, ip_options=bytes([protocol, 0]) + bytes(6))
        assert len(merge(stream.segments([P, P]))) == 2


@pytest.mark.parametrize("stream", [TCP4, UDP4], ids=["tcp4", "udp4"])
def test_ip_identification(stream: Stream) -> None:
    """With DF an ID says nothing (RFC 6864), so it may be anything; the kernel wants it fixed or incremented."""

    def ids(fragment: int, *numbers: int) -> list[int]:
        changed = stream.but(fragment=fragment)
        return sizes(
            [
                changed.frame(pattern(P, P * n), sequence=P * n, identification=number)
                for n, number in enumerate(numbers)
            ]
        )

    assert ids(0, 7, 8, 9) == [3 * P]  # ip_id_df0_inc
    assert ids(0, 0xFFFF, 0) == [2 * P]
    assert ids(0, 7, 7) == [P, P]  # ip_id_df0_fixed
    assert ids(0, 7, 9) == [P, P]
    assert ids(0, 7, 8, 8, 9) == [2 * P, 2 * P]
    assert ids(DF, 7, 8, 9) == [3 * P]  # ip_id_df1_inc
    assert ids(DF, 7, 7, 7) == [3 * P]  # ip_id_df1_fixed
    assert ids(DF, 7, 8, 8) == [3 * P]  # ip_id_df1_inc_fixed; the kernel: 2 * P, P
    assert ids(DF, 7, 7, 8) == [3 * P]
    first, second = stream.but(fragment=0).segments([P, P])[0], stream.segments([P, P])[1]
    assert sizes([first, second]) == [P, P]  # one with DF, one without
    assert ids(0x8000, 7, 8) == [2 * P]  # the reserved bit is not DF
    assert ids(0xC000, 7, 7) == [P, P]


# ---- large_*, capacity.


@ALL
def test_large_max(stream: Stream) -> None:
    """As much as an IP packet holds, and not a segment more."""
    size = 1400
    fit = (65535 - (stream.headers - 14)) // size
    frames = stream.segments([size] * (fit + 2))
    assert sizes(frames) == [fit * size, 2 * size]


@ALL
def test_large_remainder(stream: Stream) -> None:
    size = 1400
    room = 65535 - (stream.headers - 14)
    full, rest = divmod(room, size)
    assert sizes(stream.segments([size] * full + [rest])) == [room]
    assert sizes(stream.segments([size] * full + [rest + 1])) == [full * size, rest + 1]


def test_a_vlan_tag_does_not_count() -> None:
    stream = TCP4.but(tags=(5, 6))  # type: ignore[arg-type]
    full = (65535 - 40) // 1400
    assert sizes(stream.segments([1400] * full)) == [full * 1400]


def test_64_udp_segments_are_the_most() -> None:
    assert sizes(UDP4.segments([10] * 64)) == [640]
    assert sizes(TCP4.segments([1] * 64)) == [64]


def test_capacity() -> None:
    """Many flows in turn: each gets a super-frame of its own, but where two share a place in the table."""
    streams = [TCP4.but(sport=n) for n in range(8)]
    trains = [stream.segments([P] * 8) for stream in streams]
    frames = [train[n] for n in range(8) for train in trains]
    got = merge(frames)
    places = {oneshot.parse(train[0]).hash % 64 for train in trains}
    assert len(got) <= 8 + 8 * 8 * (len(places) < 8)
    assert sorted(resplit(got)) == sorted(frames)


def test_room_for_large_heads_is_limited_not_required() -> None:
    """Interleaved flows with large segments: what has no room passes as it is."""
    streams = [TCP4.but(sport=n) for n in range(32)]
    trains = [stream.segments([1400, 1400]) for stream in streams]
    frames = [train[n] for n in range(2) for train in trains]
    got = [Merged(*each) for each in oneshot.merge(frames)]
    for each in got:
        check(each)
    assert sum(each.segments for each in got) == 64
    assert 32 <= len(got) < 64
    for train in trains:
        flow = [frame for frame in resplit(got) if frame[34:38] == train[0][34:38]]
        assert flow == train


# ---- What else may not be merged.


@ALL
@pytest.mark.parametrize("padding", [1, 6])
def test_padded_frames(stream: Stream, padding: int) -> None:
    first, second, third = stream.segments([P, P, P])
    assert [each.frame for each in merge([first, second + bytes(padding), third])] == [
        first,
        second + bytes(padding),
        third,
    ]
    assert sizes([first + bytes(padding), second, third]) == [P + padding, 2 * P]


@pytest.mark.parametrize("stream", [UDP4, UDP6], ids=["udp4", "udp6"])
def test_no_udp_checksum(stream: Stream) -> None:
    def bare(frame: bytes) -> bytes:
        return frame[: stream.headers - 2] + b"\0\0" + frame[stream.headers :]

    first, second = stream.segments([P, P])
    for pair in ([bare(first), bare(second)], [first, bare(second)], [bare(first), second]):
        assert sizes(pair) == [P, P]


@pytest.mark.parametrize("stream", [UDP4, UDP6], ids=["udp4", "udp6"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_udp_length_that_is_not_the_packets(stream: Stream, which: int) -> None:
    frames = stream.segments([P, P])
    data = bytearray(frames[which])
    data[stream.headers - 4 : stream.headers - 2] = struct.pack(">H", 8 + P - 2)
    frames[which] = twin_offload.with_checksums(bytes(data))
    assert [each.frame for each in merge(frames)] == frames


@ALL
def test_unfinished_checksums(stream: Stream) -> None:
    """Whether its payload is right, nobody can say."""
    _, unfinished = stream.super_frame(pattern(P), P)
    following = stream.frame(pattern(P, P), sequence=P, identification=1)
    assert sizes([unfinished, following]) == [P, P]
    before = stream.frame(pattern(P, -P % 2**16), sequence=-P, identification=-1)
    assert sizes([before, unfinished]) == [P, P]


@ALL
def test_vlan_tags_have_to_be_equal(stream: Stream) -> None:
    red, blue = (stream.but(tags=(number,)) for number in (5, 6))  # type: ignore[arg-type]
    assert sizes(red.segments([P, P])) == [2 * P]
    assert sizes([red.segments([P, P])[0], blue.segments([P, P])[1]]) == [P, P]
    assert sizes([stream.segments([P, P])[0], red.segments([P, P])[1]]) == [P, P]


@ALL
@pytest.mark.parametrize("gap", [8, 9, 15, 64, 500])
def test_interleaved_flows_stay_in_order(stream: Stream, gap: int) -> None:
    one, other = stream.segments([P] * 10), stream.but(sport=1001).segments([P] * 10)
    got = merge([frame for pair in zip(one, other, strict=True) for frame in pair], gap)
    assert len(got) == 2
    assert resplit(got) == one + other


def test_a_tunnel_inside() -> None:
    """VXLAN in UDP in our VXLAN: datagrams like any others."""
    inside = [EVIL_VXLAN + frame for frame in TCP4.segments([P, P, P])]
    outer = UDP4.but(dport=4789)
    frames = [outer.frame(data, identification=n) for n, data in enumerate(inside)]
    got = merge(frames)
    assert [each.segments for each in got] == [3]
    assert resplit(got) == frames


# ---- Lists of frames of every kind.


@settings(max_examples=times(2))
@given(
    st.sampled_from([*KINDS, TCP4.but(options=TIMESTAMP), UDP6.but(tos=3), TCP6.but(options=TIMESTAMP)]),
    st.integers(1, 64),
    st.integers(1, 200),
    st.data(),
)
def test_split_then_merge_gives_the_super_frame_back(
    stream: Stream, count: int, size: int, draw: st.DataObject
) -> None:
    length = draw.draw(st.integers((count - 1) * size + 1, count * size))
    flags = ACK | draw.draw(st.sampled_from([0, PSH, FIN, PSH | FIN]) if count > 1 else st.just(0))
    sequence, identification = draw.draw(st.integers(0, 2**32 - 1)), draw.draw(st.integers(0, 0xFFFF))
    flags = flags if stream.protocol == twin.TCP else ACK
    vnet, frame = stream.super_frame(
        pattern(length), size, sequence=sequence, identification=identification, flags=flags
    )
    segments = oneshot.split(frame, vnet) or []
    assert len(segments) == count
    # One finished checksum in 65,536 is what a kernel would have left there unfinished: such a frame travels alone.
    assume(all(twin.unfinished_checksum(segment, twin.parse(segment)) is None for segment in segments))
    if count == 1:
        assert merge(segments)[0].frame == segments[0]
    elif length <= size * count:
        assert merge(segments, draw.draw(st.integers(8, 100))) == [Merged(vnet, frame, count)]


@pytest.mark.parametrize("stream", KINDS, ids=IDS)
@pytest.mark.parametrize("size", [1024, 1448, 8948])
def test_split_then_merge_gives_the_largest_back(stream: Stream, size: int) -> None:
    stream = stream.but(options=TIMESTAMP) if stream.protocol == twin.TCP else stream
    length = min(65535 - (stream.headers - 14), 64 * size)
    vnet, frame = stream.super_frame(pattern(length), size)
    assert merge(oneshot.split(frame, vnet) or []) == [Merged(vnet, frame, -(-length // size))]


@st.composite
def arrivals(draw: st.DrawFn) -> list[bytes]:
    """Frames of several flows, mostly in order, some of them damaged, changed, repeated or missing; and others."""
    few = [
        TCP4,
        TCP6,
        UDP4,
        UDP6,
        TCP4.but(tags=(5,)),  # type: ignore[arg-type]
        UDP4.but(fragment=0, dport=4789),
        TCP4.but(options=TIMESTAMP, fragment=0),
    ]
    streams = draw(st.lists(st.sampled_from(few), min_size=1, max_size=4, unique=True))
    position = dict.fromkeys(streams, 0)
    number = dict.fromkeys(streams, 0)
    result: list[bytes] = []
    for _ in range(draw(st.integers(1, 40))):
        stream = draw(st.sampled_from(streams))
        size = draw(st.sampled_from([P, P, P, P, P, P, 1, P - 1, P + 1, 0]))
        flags = draw(st.sampled_from([ACK, ACK, ACK, ACK, ACK, ACK, ACK, ACK | PSH, ACK | FIN, ACK | CWR, SYN]))
        start = position[stream]
        data = stream.frame(pattern(size, start), sequence=start, identification=number[stream], flags=flags)
        what = draw(st.sampled_from(["keep"] * 12 + ["damage", "change", "repeat", "lose", "other", "jump"]))
        position[stream], number[stream] = start + size, number[stream] + 1
        if what == "damage":
            data = damaged(data, draw(st.integers(0, len(data) - 1)))
        elif what == "change":  # with right checksums
            changed = bytearray(data)
            changed[draw(st.integers(0, min(len(data), stream.headers + 1) - 1))] ^= 1 << draw(st.integers(0, 7))
            data = bytes(changed)
            if twin.parse(data).protocol in twin_offload.FIELD and twin_offload.header_bytes(data):
                data = twin_offload.with_checksums(data)
        elif what == "repeat":
            result.append(data)
        elif what == "lose":
            continue
        elif what == "other":
            result.append(draw(any_frames()))
        elif what == "jump":
            number[stream] += draw(st.integers(0, 3))
        result.append(data)
    return result


def without_id(frame: bytes) -> bytes:
    """With DF the ID may change, and with it the checksum of the IPv4 header."""
    flow = twin.parse(frame)
    if flow.version != 4 or twin.be16(frame, flow.network + 6) != DF:
        return frame
    data = bytearray(frame)
    data[flow.network + 4 : flow.network + 6] = data[flow.network + 10 : flow.network + 12] = bytes(2)
    return bytes(data)


@pytest.mark.slow
@settings(max_examples=times(3))
@given(arrivals(), st.integers(8, 40))
@example([], 8)
def test_any_list_of_frames(frames: list[bytes], gap: int) -> None:
    """Like the twin; and whatever the rules: each flow's frames come out as they came in, in their order."""
    got = merge(frames, gap)
    assert sum(each.segments for each in got) == len(frames)
    out = resplit(got)
    flows = {oneshot.parse(frame).hash for frame in frames}
    for flow in flows:
        came = [frame for frame in frames if oneshot.parse(frame).hash == flow]
        left = [frame for frame in out if oneshot.parse(frame).hash == flow]
        assert list(map(without_id, left)) == list(map(without_id, came))
    for each in got:  # what was merged was right
        if each.segments > 1:
            assert all(twin_offload.transport_is_right(piece) for piece in resplit([each]))


@pytest.mark.slow
@settings(max_examples=times(2))
@given(st.lists(any_frames(), max_size=12))
def test_frames_of_any_content(several: list[bytes]) -> None:
    several = several + several[:3]
    assert sum(each.segments for each in merge(several)) == len(several)
