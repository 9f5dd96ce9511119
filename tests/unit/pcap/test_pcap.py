# SPDX-License-Identifier: Apache-2.0
"""The reader of captures, beside scapy's and against files written by hand."""

import contextlib
import gzip
import io
import os
import struct
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, PcapWriter, RawPcapReader

from fastpath.errors import UsageError
from fastpath.pcap.pcap import CaptureReader, Record
from fastpath.pcap.pcapng import PcapngWriter
from tests.support.engine import captures
from tests.support.engine.captures import MICRO, NANO

PACKETS = [(1_700_000_000_000_001_000 + 7_000 * n, bytes([n]) * (14 + 13 * n)) for n in range(40)]


def read(content: bytes) -> list[Record]:
    return list(CaptureReader(io.BytesIO(content), "a capture"))


def contents(content: bytes) -> list[tuple[int, bytes]]:
    return [(record.time_ns, record.data) for record in read(content)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [MICRO, NANO])
def test_pcap_of_both_orders_and_resolutions(order: str, magic: int) -> None:
    records = read(captures.pcap(PACKETS, order=order, magic=magic))
    assert [(record.time_ns, record.data) for record in records] == PACKETS
    assert all(record.original == len(record.data) and record.linktype == 1 for record in records)


@pytest.mark.parametrize("nano", [True, False])
def test_what_scapy_writes(nano: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    with PcapWriter(str(path), nano=nano, linktype=1) as writer:
        for time_ns, data in PACKETS:
            frame = Ether(data)
            frame.time = time_ns / 1e9
            writer.write(frame)
    with path.open("rb", buffering=0) as file:
        found = list(CaptureReader(file, "a.pcap"))
    assert [record.data for record in found] == [data for _, data in PACKETS]
    with RawPcapReader(str(path)) as reader:
        theirs = [(meta.sec * 10**9 + meta.usec * (1 if nano else 1000), data) for data, meta in reader]
    assert [(record.time_ns, record.data) for record in found] == theirs


def test_pcapng_that_scapy_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    with PcapNgWriter(str(path)) as writer:
        for time_ns, data in PACKETS:
            frame = Ether(data)
            frame.time = time_ns / 1e9
            writer.write(frame)
    found = read(path.read_bytes())
    assert [record.data for record in found] == [data for _, data in PACKETS]
    assert all(abs(record.time_ns - time_ns) < 2000 for record, (time_ns, _) in zip(found, PACKETS, strict=True))


def test_what_our_writer_writes() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    first, second = writer.interface("eth0"), writer.interface("überlandleitung", linktype=101)
    writer.packet(first, 123456789, b"frame", direction="out")
    writer.packet(second, 1 << 60, b"packet", 99, direction="in", comment="why")
    assert read(file.getvalue()) == [
        Record("eth0", 1, 123456789, b"frame", 5, True),
        Record("überlandleitung", 101, 1 << 60, b"packet", 99, False),
    ]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "expected"),
    [
        (None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
        (0, 17, 17 * 10**9),
        (12, 1_700_000_123_456_789_012, 1_700_000_123_456_789),
        (0x8A, 1024 * 5 + 256, 5_250_000_000),
        (0x80, 3, 3 * 10**9),
        (0xBF, 1 << 63, 10**9),
    ],
)
def test_resolutions_of_time_stamps(order: str, resolution: int | None, ticks: int, expected: int) -> None:
    pairs = [] if resolution is None else [(9, bytes([resolution]))]
    head = captures.section(order) + captures.interface(*pairs, order=order)
    assert contents(head + captures.packet(0, ticks, b"x" * 60, order=order)) == [(expected, b"x" * 60)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_offset_of_time_stamps(order: str) -> None:
    offset = (14, struct.pack(f"{order}q", -3))
    head = captures.section(order) + captures.interface(offset, order=order)
    assert contents(head + captures.packet(0, 10_000_000, b"x", order=order)) == [(7 * 10**9, b"x")]


def test_sections_of_different_orders_each_with_its_interfaces() -> None:
    file = b"".join(
        captures.section(order)
        + captures.interface(name=f"a{order}", order=order)
        + captures.interface(name=f"b{order}", order=order)
        + captures.block(0x0BAD, b"unknown block   ", order)
        + captures.packet(1, 1, b"abc", order=order)
        for order in "<><"
    )
    assert [(record.interface, record.data) for record in read(file)] == [(f"b{order}", b"abc") for order in "<><"]


def test_simple_and_old_packets() -> None:
    head = captures.section() + captures.interface(snaplen=8)
    old = captures.block(2, struct.pack("<HHIIII", 0, 7, 0, 5, 3, 3) + b"old\0")
    found = read(head + old + captures.simple(b"12345678", 20) + captures.simple(b"123", 3))
    assert [(record.data, record.original, record.time_ns) for record in found] == [
        (b"old", 3, 5000),
        (b"12345678", 20, 5000),
        (b"123", 3, 5000),
    ]


def test_frame_check_sequences_are_left_out() -> None:
    linktype = 1 | 1 << 26 | 2 << 28  # draft-ietf-opsawg-linktype: P, and two 16-bit words
    assert [record.data for record in read(captures.pcap([(0, b"frame" + b"FCS!")], linktype=linktype))] == [b"frame"]
    head = captures.section() + captures.interface((13, b"\x04"))
    whole, cut = captures.packet(0, 0, b"frameFCS!"), captures.packet(0, 0, b"frameFC", original=9)
    assert [(record.data, record.original) for record in read(head + whole + cut)] == [(b"frame", 5), (b"frameFC", 9)]


def test_a_block_that_nobody_wants_may_be_longer_than_the_memory() -> None:
    file = captures.section() + captures.interface()
    file += captures.block(0x0BAD, bytes(5 << 20)) + captures.packet(0, 1, b"behind it")
    assert contents(file) == [(1000, b"behind it")]


@pytest.mark.parametrize("size", [0, 1, 262144])
def test_records_of_any_size(size: int) -> None:
    assert [len(data) for _, data in contents(captures.pcap([(0, bytes(size))] * 9, snaplen=1 << 18))] == [size] * 9


def test_a_file_that_ends_within_a_record() -> None:
    for file in (
        captures.pcap(PACKETS),
        captures.section() + captures.interface() + b"".join(captures.packet(0, t, data) for t, data in PACKETS),
    ):
        reader = CaptureReader(io.BytesIO(file[:-3]), "cut")
        assert len(list(reader)) == len(PACKETS) - 1
        assert reader.cut
        whole = CaptureReader(io.BytesIO(file), "whole")
        assert len(list(whole)) == len(PACKETS)
        assert not whole.cut


IDB = captures.section() + captures.interface()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\n", "it is not a pcap or pcapng file"),
        (b"GIF89a" + bytes(100), "it is not a pcap or pcapng file"),
        (gzip.compress(captures.pcap(PACKETS)), "it is compressed: unpack it with gunzip first"),
        (captures.pcap([])[:20], "it is cut off within its header"),
        (captures.pcap([]).replace(b"\x02\0\x04", b"\x03\0\x04"), "it is a pcap file of an unknown version"),
        (captures.pcap([]) + struct.pack("<IIII", 0, 0, 262145, 9), "a record claims to be longer than any packet is"),
        (captures.section()[:8] + b"none" + captures.section()[12:], "a section has no byte order"),
        (captures.section().replace(b"\x1c", b"\x18"), "a section's header has an impossible length"),
        (captures.section()[:12] + b"\2" + captures.section()[13:], "a section is of an unknown version"),
        (IDB + captures.packet(0, 0, b"x")[:-4] + bytes(4), "a block's two lengths differ"),
        (IDB + struct.pack("<II", 6, 13) + bytes(90), "a block has an impossible length"),
        (IDB + struct.pack("<II", 6, 1 << 30) + bytes(90), "a block claims to be longer than any packet is"),
    ],
)
def test_damage_is_one_line(content: bytes, why: str) -> None:
    with pytest.raises(UsageError, match=rf"^a capture: {why} \(byte \d+\)$"):
        read(content)


@pytest.mark.parametrize(
    "odd",
    [
        captures.packet(1, 0, b"x"),  # of an interface that was not described
        captures.block(6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"1234"),  # longer than its block
        captures.block(6, b""),
        captures.block(3, b""),
        captures.block(2, b"1234"),
    ],
)
def test_one_odd_block_is_one_odd_block(odd: bytes) -> None:
    assert [record.data for record in read(IDB + captures.packet(0, 0, b"a") + odd + captures.packet(0, 0, b"b"))] == [
        b"a",
        b"b",
    ]


def test_a_simple_packet_without_an_interface_is_odd() -> None:
    assert read(captures.section() + captures.simple(b"x", 1) + captures.interface() + captures.simple(b"y", 1)) == (
        read(IDB + captures.simple(b"y", 1))
    )


@pytest.mark.parametrize("odd", [captures.block(1, b"1234"), captures.interface((9, b"\x7f"))])
def test_an_interface_that_cannot_be_read_has_its_number(odd: bytes) -> None:
    first, second = read(
        captures.section() + odd + captures.interface() + captures.packet(0, 0, b"a") + captures.packet(1, 0, b"b")
    )
    assert (first.linktype, first.data) == (0xFFFF, b"a")
    assert (second.linktype, second.data) == (1, b"b")


def test_any_number_of_interfaces() -> None:
    count = 65_536
    content = captures.section() + captures.interface() * (count + 1)
    packets = [captures.packet(number, 0, b"x") for number in (0, 256, 257, count - 1, count)]
    assert len(read(content + b"".join(packets))) == 4


@given(st.binary(max_size=200), st.sampled_from(["pcap", "pcapng"]))
def test_garbage_is_read_or_refused(garbage: bytes, kind: str) -> None:
    for head in (b"", captures.pcap([]) if kind == "pcap" else IDB):
        found: list[Record] = []
        with contextlib.suppress(UsageError):
            found.extend(CaptureReader(io.BytesIO(head + garbage), "garbage"))
        assert sum(len(record.data) for record in found) <= len(garbage)


def test_a_pipe_that_brings_a_few_bytes_at_a_time() -> None:
    content = captures.pcap(PACKETS)
    out, into = os.pipe()

    def write() -> None:
        with os.fdopen(into, "wb", buffering=0) as file:
            for at in range(0, len(content), 7):
                file.write(content[at : at + 7])

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(out, "rb", buffering=0) as file:
        assert [record.data for record in CaptureReader(file, "-")] == [data for _, data in PACKETS]
    thread.join()
