# SPDX-License-Identifier: Apache-2.0
"""Capture files for the tests, written by hand from draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng."""

import struct
from collections.abc import Iterable

MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D
ETHERNET, RAW = 1, 101


def pcap(
    packets: Iterable[tuple[int, bytes]],
    *,
    order: str = "<",
    magic: int = MICRO,
    linktype: int = ETHERNET,
    snaplen: int = 65535,
) -> bytes:
    """A pcap file of (time in nanoseconds, packet)."""
    out = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snaplen, linktype)]
    unit = 1000 if magic == MICRO else 1
    for time_ns, data in packets:
        seconds, fraction = divmod(time_ns, 10**9)
        kept = data[:snaplen]
        out.append(struct.pack(f"{order}IIII", seconds, fraction // unit, len(kept), len(data)) + kept)
    return b"".join(out)


def read_pcap(content: bytes) -> list[tuple[int, bytes]]:
    """What `pcap` wrote, in its default form."""
    found, at = [], 24
    while at < len(content):
        seconds, micro, length, _ = struct.unpack_from("<IIII", content, at)
        found.append((seconds * 10**9 + micro * 1000, content[at + 16 : at + 16 + length]))
        at += 16 + length
    return found


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    size = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def options(*pairs: tuple[int, bytes], order: str = "<") -> bytes:
    coded = b"".join(
        struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in pairs
    )
    return coded + bytes(4)


def interface(
    *pairs: tuple[int, bytes], name: str = "", linktype: int = ETHERNET, snaplen: int = 0, order: str = "<"
) -> bytes:
    named = [(2, name.encode())] if name else []
    return block(1, struct.pack(f"{order}HHI", linktype, 0, snaplen) + options(*named, *pairs, order=order), order)


def packet(
    number: int, ticks: int, data: bytes, *, original: int | None = None, outbound: bool = False, order: str = "<"
) -> bytes:
    """An enhanced packet block."""
    length = len(data) if original is None else original
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length)
    flags = options((2, struct.pack(f"{order}I", 2)), order=order) if outbound else b""
    return block(6, head + data + bytes(-len(data) % 4) + flags, order)


def simple(data: bytes, original: int, order: str = "<") -> bytes:
    return block(3, struct.pack(f"{order}I", original) + data + bytes(-len(data) % 4), order)
