# SPDX-License-Identifier: Apache-2.0
"""Split: super-frame -> segments (GSO), beside the twin."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import NoPayload

from fastpath.testing import oneshot
from tests.support.engine import twin, twin_offload
from tests.support.engine.frames import ipv4_header_is_valid, transport_is_valid
from tests.support.engine.streams import ACK, CWR, ECE, FIN, PSH, TIMESTAMP, URG, Stream, pattern
from tests.support.examples import times

KINDS = [Stream(version, protocol) for version in (4, 6) for protocol in (twin.TCP, twin.UDP)]
IDS = ["tcp4", "udp4", "tcp6", "udp6"]
OPTIONS = st.sampled_from([b"", TIMESTAMP, b"\1" * 40])
EXTENSION = bytes([6, 0]) + bytes(6)  # destination options, followed by TCP


def ours(vnet: bytes, frame: bytes) -> list[bytes]:
    """The segments, which have to be the twin's."""
    segments = oneshot.split(frame, vnet)
    assert segments == twin_offload.split(frame, vnet)
    assert segments is not None
    return segments


@pytest.mark.parametrize("stream", KINDS, ids=IDS)
@pytest.mark.parametrize("size", [1, 2, 3, 1399, 1400, 1401, 2800, 2801, 14000])
def test_payload_comes_out_whole(stream: Stream, size: int) -> None:
    payload = pattern(size)
    segments = ours(*stream.super_frame(payload, 1400))
    assert len(segments) == -(-size // 1400)
    assert b"".join(segment[stream.headers :] for segment in segments) == payload
    assert all(transport_is_valid(segment) for segment in segments)
    assert stream.version == 6 or all(ipv4_header_is_valid(segment) for segment in segments)


@pytest.mark.parametrize("stream", KINDS, ids=IDS)
def test_as_scapy_reads_them(stream: Stream) -> None:
    vnet, frame = stream.super_frame(pattern(3000), 1000, sequence=0xFFFFFF00, identification=0xFFFF, flags=ACK | PSH)
    for number, segment in enumerate(ours(vnet, frame)):
        packet = Ether(segment)
        assert not isinstance(packet.lastlayer(), NoPayload)
        if stream.version == 4:
            assert packet[IP].len == len(segment) - 14
            assert packet[IP].id == (0xFFFF + number) & 0xFFFF
            assert packet[IP].flags == "DF"
        if stream.protocol == twin.TCP:
            assert packet[TCP].seq == (0xFFFFFF00 + 1000 * number) & 0xFFFFFFFF
            assert packet[TCP].flags == ("PA" if number == 2 else "A")
        else:
            assert packet[UDP].len == 1008


def test_flags_of_first_and_last() -> None:
    vnet, frame = KINDS[0].super_frame(pattern(400), 100, flags=ACK | PSH | FIN | CWR | ECE | URG)
    flags = [segment[34 + 13] for segment in ours(vnet, frame)]
    assert flags == [ACK | CWR | ECE | URG, ACK | ECE | URG, ACK | ECE | URG, ACK | ECE | URG | PSH | FIN]


def test_one_segment_keeps_all_flags() -> None:
    vnet, frame = KINDS[0].super_frame(pattern(100), 100, flags=ACK | PSH | FIN | CWR)
    assert ours(vnet, frame) == [KINDS[0].frame(pattern(100), flags=ACK | PSH | FIN | CWR)]


@pytest.mark.parametrize("stream", KINDS, ids=IDS)
def test_without_payload(stream: Stream) -> None:
    assert ours(*stream.super_frame(b"", 100)) == [stream.frame(b"")]


def test_what_stands_behind_the_ip_packet_is_cut_off() -> None:
    vnet, frame = KINDS[0].super_frame(pattern(300), 100)
    assert ours(vnet, frame + b"padding") == ours(vnet, frame)


@pytest.mark.parametrize("stream", KINDS, ids=IDS)
@pytest.mark.parametrize("tags", [(), (5,), (5, 0xFFFF)])
def test_the_largest(stream: Stream, tags: tuple[int, ...]) -> None:
    stream = Stream(stream.version, stream.protocol, tags)
    headers = stream.headers - 14 - 4 * len(tags)
    payload = pattern(65535 - headers)
    segments = ours(*stream.super_frame(payload, 1448))
    assert b"".join(segment[stream.headers :] for segment in segments) == payload


def test_ip_options_and_extension_headers() -> None:
    options = Stream(ip_options=b"\1" * 40, options=b"\1" * 40)
    extensions = Stream(6, next_header=60, ip_options=EXTENSION)
    for stream in (options, extensions):
        vnet, frame = stream.super_frame(pattern(3000), 700)
        segments = ours(vnet, frame)
        assert b"".join(segment[stream.headers :] for segment in segments) == pattern(3000)


def test_a_udp_checksum_of_zero_is_written_as_ones() -> None:
    """RFC 768: 0 would say that there is no checksum."""
    stream = KINDS[1]
    missing = twin.be16(stream.frame(b"\0\0"), 40)
    vnet, frame = stream.super_frame(struct.pack(">H", missing) * 2, 2)
    assert [twin.be16(segment, 40) for segment in ours(vnet, frame)] == [0xFFFF, 0xFFFF]


def streams() -> st.SearchStrategy[Stream]:
    return st.builds(
        Stream,
        version=st.sampled_from([4, 6]),
        protocol=st.sampled_from([twin.TCP, twin.UDP]),
        tags=st.lists(st.integers(0, 0xFFFF), max_size=2).map(tuple),
        tos=st.integers(0, 255),
        fragment=st.sampled_from([0, 0x4000, 0x8000]),
        options=OPTIONS,
        urgent=st.integers(0, 0xFFFF),
    )


@settings(max_examples=times(3))
@given(
    streams(),
    st.binary(max_size=300),
    st.integers(1, 400),
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 0xFFFF), st.integers(0, 255)),
)
def test_like_the_twin(stream: Stream, payload: bytes, size: int, numbers: tuple[int, int, int]) -> None:
    sequence, identification, flags = numbers
    vnet, frame = stream.super_frame(payload, size, sequence=sequence, identification=identification, flags=flags)
    ours(vnet, frame)


@settings(max_examples=times(3))
@given(streams(), st.integers(0, 60), st.data())
def test_mutated_headers_like_the_twin(stream: Stream, size: int, draw: st.DataObject) -> None:
    """Whatever a port hands over: it is refused, or split as the twin does it."""
    vnet, frame = stream.super_frame(bytes(range(60)), size)
    data = bytearray(frame)
    for _ in range(draw.draw(st.integers(0, 4))):
        data[draw.draw(st.integers(12, len(data) - 1))] = draw.draw(st.integers(0, 255))
    del data[draw.draw(st.integers(len(data) // 2, len(data))) :]
    if draw.draw(st.booleans()):
        kind = draw.draw(st.sampled_from([0, 1, 3, 4, 5, 0x80, 0x81, 0x84, 0x85, 0xFF]))
        vnet = vnet[:1] + bytes([kind]) + vnet[2:]
    assert oneshot.split(bytes(data), vnet) == twin_offload.split(bytes(data), vnet)


@pytest.mark.parametrize("stream", KINDS, ids=IDS)
def test_every_cut_like_the_twin(stream: Stream) -> None:
    vnet, frame = stream.super_frame(pattern(20), 8)
    for size in range(len(frame) + 1):
        assert oneshot.split(frame[:size], vnet) == twin_offload.split(frame[:size], vnet)


def test_headers_at_the_limit() -> None:
    """256 bytes of headers are taken, more are not."""
    extension = bytes([6, 20]) + bytes(166)  # 168 bytes: 14 + 40 + 168 + 20 = 242
    for options, fits in ((b"", True), (b"\1" * 12, True), (b"\1" * 16, False)):
        stream = Stream(6, next_header=60, ip_options=extension, options=options)
        vnet, frame = stream.super_frame(pattern(100), 50)
        segments = oneshot.split(frame, vnet)
        assert segments == twin_offload.split(frame, vnet)
        assert (segments is not None) == fits
