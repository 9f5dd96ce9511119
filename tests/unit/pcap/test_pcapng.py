# SPDX-License-Identifier: Apache-2.0
"""What PcapngWriter writes is read back by scapy, byte for byte."""

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from fastpath.pcap.pcapng import Direction, PcapngWriter

LINKTYPE_RAW = 101


def read(data: bytes) -> list[tuple[bytes, Any]]:
    """The packets, each with scapy's metadata; whatever scapy warns of is an error."""
    file: Any = io.BytesIO(data)  # scapy says that it takes names only
    return list(RawPcapNgReader(file))


def comment_of(about: Any) -> bytes:
    """The packet's comment. Scapy has one or a list of them, by its version, and nothing where there is none."""
    return b"".join(getattr(about, "comments", None) or [getattr(about, "comment", None) or b""])


def blocks(data: bytes) -> list[int]:
    """The type of every block, whose lengths must agree and be multiples of four."""
    kinds, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0
        assert struct.unpack_from("<I", data, at + size - 4) == (size,)
        kinds.append(kind)
        at += size
    assert at == len(data)
    return kinds


def test_packets_come_back_with_their_time_interface_and_direction() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    vx0 = writer.interface("vx0")
    writer.packet(vx0, 1_700_000_000_123_456_789, b"first", direction="in")
    remote = writer.interface("192.0.2.2", LINKTYPE_RAW)
    writer.packet(remote, 1_700_000_000_123_456_790, b"second!!", 1500, direction="out", comment="port_full: why")
    assert blocks(file.getvalue()) == [0x0A0D0D0A, 1, 6, 1, 6]
    (first, about_first), (second, about_second) = read(file.getvalue())
    assert (first, second) == (b"first", b"second!!")
    assert ((about_first.tshigh << 32) + about_first.tslow) == 1_700_000_000_123_456_789
    assert about_first.tsresol == about_second.tsresol == 1_000_000_000
    assert (about_first.ifname, about_second.ifname) == (b"vx0", b"192.0.2.2")
    assert (about_first.linktype, about_second.linktype) == (1, LINKTYPE_RAW)
    assert (about_first.wirelen, about_second.wirelen) == (5, 1500)
    assert (about_first.direction, about_second.direction) == (1, 2)
    assert (comment_of(about_first), comment_of(about_second)) == (b"", b"port_full: why")


def test_a_snap_length_cuts_and_keeps_the_original_length() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file, snaplen=4)
    writer.packet(writer.interface("vx0"), 1, b"0123456789")
    [(data, about)] = read(file.getvalue())
    assert (data, about.wirelen) == (b"0123", 10)


def test_an_interface_that_was_not_described_writes_nothing() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    before = file.getvalue()
    with pytest.raises(IndexError, match="no interface 0"):
        writer.packet(0, 1, b"x")
    assert file.getvalue() == before


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=100),
            st.integers(0, (1 << 63) - 1),
            st.sampled_from(["in", "out", None]),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        ),
        max_size=5,
    )
)
def test_whatever_is_written_is_read(packets: list[tuple[bytes, int, Direction | None, str]]) -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    number = writer.interface("vx0")
    for data, time, direction, comment in packets:
        writer.packet(number, time, data, direction=direction, comment=comment)
    blocks(file.getvalue())
    found = read(file.getvalue())
    assert [data for data, _ in found] == [data for data, *_ in packets]
    assert [(about.tshigh << 32) + about.tslow for _, about in found] == [time for _, time, *_ in packets]
    assert [comment_of(about) for _, about in found] == [comment.encode() for *_, comment in packets]
