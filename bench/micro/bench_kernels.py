# SPDX-License-Identifier: Apache-2.0
"""Measure what the packet path costs without I/O, in nanoseconds per frame (./run bench micro)."""

import struct
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from fastpath.bench.micro import loops
from fastpath.bench.micro.results import FOUND, Figures

ROUNDS = 30


def udp_frame(size: int, version: int = 4) -> bytes:
    """Return an Ethernet frame of `size` bytes that holds a UDP datagram without checksum."""
    ethernet = bytes.fromhex("020000000002 020000000001") + struct.pack("!H", 0x0800 if version == 4 else 0x86DD)
    udp = struct.pack("!HHHH", 40000, 53, size - 14 - (20 if version == 4 else 40), 0x1234)
    if version == 4:
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size - 14, 1, 0, 64, 17, 0, b"\x0a\x09\0\x01", b"\x0a\x09\0\x02")
    else:
        header = struct.pack(
            "!IHBB16s16s", 6 << 28, size - 54, 17, 64, b"\xfd" + bytes(15), b"\xfd" + bytes(14) + b"\x02"
        )
    return (ethernet + header + udp).ljust(size, b"x")


def measure(
    benchmark: BenchmarkFixture, name: str, function: Any, *, each: int, unit: str = "frame", size: int | None = None
) -> None:
    """Time `function()`, which does `each` operations on `size` bytes, and keep the time of one."""
    benchmark.pedantic(function, rounds=ROUNDS, warmup_rounds=3)  # type: ignore[no-untyped-call]
    times = benchmark.stats.stats  # type: ignore[union-attr]
    ns = times.min / each * 1e9
    rate = size / ns if size is not None else None
    FOUND[name] = Figures(ns=ns, ns_median=times.median / each * 1e9, unit=unit, gb_per_s=rate)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [64, 1464])
def test_encap(benchmark: BenchmarkFixture, size: int, version: int) -> None:
    frames = loops.Frames(udp_frame(size, version), 42)
    each = 2000 * loops.BURST
    measure(benchmark, f"encap, {size} B frame, IPv{version}", lambda: frames.encap(2000), each=each)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [64, 1464])
def test_decap(benchmark: BenchmarkFixture, size: int, version: int) -> None:
    packet = bytes.fromhex("0800000000002a00") + udp_frame(size, version)
    frames = loops.Frames(packet, 42)
    each = 2000 * loops.BURST
    measure(benchmark, f"decap, {size} B frame, IPv{version}", lambda: frames.decap(2000), each=each)


def super_frame(protocol: int, payload: int, size: int) -> tuple[bytes, bytes]:
    """Return a frame of `payload` bytes in segments of `size`, and its virtio-net header (<linux/virtio_net.h>)."""
    ethernet = bytes.fromhex("020000000002 020000000001 0800")
    if protocol == 6:
        transport, field, gso_type = struct.pack("!HHIIBBHHH", 40000, 5201, 1, 1, 5 << 4, 0x10, 512, 0, 0), 16, 1
    else:
        transport, field, gso_type = struct.pack("!HHHH", 40000, 53, 8 + payload, 0), 6, 5
    total = 20 + len(transport) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 1, 0, 64, protocol, 0, b"\x0a\x09\0\x01", b"\x0a\x09\0\x02")
    frame = ethernet + ip + transport
    vnet = struct.pack("=BBHHHHH", 1, gso_type, len(frame), size, 34, field, 0)
    return frame + bytes(n * 7 & 0xFF for n in range(payload)), vnet


@pytest.mark.parametrize(("name", "protocol", "payload", "size"), [("TCP", 6, 61512, 1398), ("UDP", 17, 4032, 64)])
def test_split_and_merge(benchmark: BenchmarkFixture, name: str, protocol: int, payload: int, size: int) -> None:
    frame = loops.SuperFrame(*super_frame(protocol, payload, size))
    assert frame.split_and_merge(1) == frame.segments, "something was not merged"
    each = 200 * frame.segments
    what = f"split and merge, {size} B {name} segment"
    measure(benchmark, what, lambda: frame.split_and_merge(200), each=each, unit="segment", size=size)


@pytest.mark.parametrize("entries", [1 << 10, 1 << 16, 1 << 20])
def test_fdb_lookup(benchmark: BenchmarkFixture, entries: int) -> None:
    table = loops.Table(entries)
    bursts = max(2000, entries // loops.BURST)
    assert table.lookup(bursts) == bursts * loops.BURST, "an address was not found"
    each = bursts * loops.BURST
    measure(benchmark, f"FDB look-up, {entries:,} entries", lambda: table.lookup(bursts), each=each, unit="address")


@pytest.mark.parametrize("size", [64, 1460, 65536])
def test_checksum(benchmark: BenchmarkFixture, size: int) -> None:
    data = bytes(n * 7 & 0xFF for n in range(size + 8))
    rounds = max(500, (1 << 24) // size)
    measure(
        benchmark, f"checksum, {size} B", lambda: loops.checksum(data, rounds), each=rounds, unit="buffer", size=size
    )
