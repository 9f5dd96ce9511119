# SPDX-License-Identifier: Apache-2.0
"""A slow twin of split, merge and measure, written from the RFCs and the kernel's rules (net/ipv4/tcp_offload.c,
udp_offload.c, its selftest gro.c) for the tests to compare with."""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.engine.twin import (
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    NEEDS_CSUM,
    TCP,
    UDP,
    VNET,
    be16,
    checksum,
    ones_sum,
    parse,
    pseudo_header,
    unfinished_checksum,
)

FIN, PSH, ACK, CWR = 0x01, 0x08, 0x10, 0x80
DF = 0x4000
MAX_HEADERS, MAX_IP, MAX_UDP_SEGMENTS, BUCKETS = 256, 65535, 64, 64
FIELD = {TCP: 16, UDP: 6}


def be32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def put16(data: bytearray, at: int, value: int) -> None:
    data[at : at + 2] = struct.pack(">H", value & 0xFFFF)


def header_bytes(frame: bytes) -> int:
    """The bytes in front of the payload of a TCP or UDP packet; 0 where that is not what it is."""
    flow = parse(frame)
    if not flow.transport or flow.protocol not in FIELD:
        return 0
    size = 8
    if flow.protocol == TCP:
        if flow.transport + 20 > flow.end:
            return 0
        size = (frame[flow.transport + 12] >> 4) * 4
        if size < 20:
            return 0
    return flow.transport + size if flow.transport + size <= flow.end else 0


def gso_type(frame: bytes) -> int:
    """The type of a super-frame with these headers."""
    flow = parse(frame)
    if flow.protocol == UDP:
        return GSO_UDP
    cwr = frame[flow.transport + 13] & CWR
    return (GSO_TCPV4 if flow.version == 4 else GSO_TCPV6) | (GSO_ECN if cwr else 0)


def with_checksums(frame: bytes) -> bytes:
    """The frame with right IPv4 and transport checksums."""
    flow = parse(frame)
    data = bytearray(frame)
    if flow.version == 4:
        size = (frame[flow.network] & 15) * 4
        put16(data, flow.network + 10, 0)
        put16(data, flow.network + 10, checksum(bytes(data[flow.network : flow.network + size])))
    field = flow.transport + FIELD[flow.protocol]
    put16(data, field, 0)
    pseudo = pseudo_header(frame[flow.network :], flow.version, flow.protocol, flow.end - flow.transport)
    total = checksum(pseudo + bytes(data[flow.transport : flow.end]))
    put16(data, field, (total or 0xFFFF) if flow.protocol == UDP else total)
    return bytes(data)


def split(frame: bytes, vnet: bytes) -> list[bytes] | None:
    """The segments of a super-frame; None where the virtio-net header contradicts the frame's."""
    _, kind, _, size, *_ = VNET.unpack(vnet)
    headers = header_bytes(frame)
    if not kind or not size or not headers or headers > MAX_HEADERS or (gso_type(frame) ^ kind) & ~GSO_ECN:
        return None
    flow = parse(frame)
    payload = frame[headers : flow.end]
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    return [segment(frame, headers, pieces, number) for number in range(len(pieces))]


def segment(frame: bytes, headers: int, pieces: list[bytes], number: int) -> bytes:
    """The segment with this number, RFC 9293 and RFC 768."""
    flow = parse(frame)
    data = bytearray(frame[:headers] + pieces[number])
    last = number == len(pieces) - 1
    if flow.version == 4:
        put16(data, flow.network + 2, len(data) - flow.network)
        put16(data, flow.network + 4, be16(frame, flow.network + 4) + number)
    else:
        put16(data, flow.network + 4, len(data) - flow.network - 40)
    if flow.protocol == UDP:
        put16(data, flow.transport + 4, len(data) - flow.transport)
    else:
        done = sum(len(piece) for piece in pieces[:number])
        sequence = (be32(frame, flow.transport + 4) + done) & 0xFFFFFFFF
        data[flow.transport + 4 : flow.transport + 8] = struct.pack(">I", sequence)
        gone = (0 if last else FIN | PSH) | (0 if number == 0 else CWR)
        data[flow.transport + 13] &= ~gone & 0xFF
    return with_checksums(bytes(data))


def transport_is_right(frame: bytes) -> bool:
    """Whether the TCP or UDP checksum, and the header's of IPv4, come out right. A UDP checksum of 0 is none."""
    flow = parse(frame)
    pseudo = pseudo_header(frame[flow.network :], flow.version, flow.protocol, flow.end - flow.transport)
    if ones_sum(pseudo + frame[flow.transport : flow.end]) != 0xFFFF:
        return False
    return flow.version == 6 or ones_sum(frame[flow.network : flow.network + 20]) == 0xFFFF


class Merged(NamedTuple):
    """What a port gets."""

    vnet: bytes
    frame: bytes
    segments: int


@dataclass
class Group:
    """Frames that become one."""

    hash: int
    frames: list[bytes]

    def open(self) -> bool:
        """Whether anything can be merged into the last frame."""
        first, last = self.frames[0], self.frames[-1]
        if not mergeable(first) or not transport_is_right(first):
            return False
        flow = parse(first)
        if flow.protocol == UDP:
            return len(last) == len(first) and len(self.frames) < MAX_UDP_SEGMENTS
        return len(last) == len(first) and not last[flow.transport + 13] & (PSH | FIN)

    def takes(self, frame: bytes) -> bool:
        """Whether this frame belongs behind the last one."""
        first, last = self.frames[0], self.frames[-1]
        if not self.open():
            return False
        if not mergeable(frame, first=False) or not transport_is_right(frame):
            return False
        flow, headers = parse(first), header_bytes(first)
        if parse(frame)[:2] != flow[:2] or header_bytes(frame) != headers or len(frame) > len(first):
            return False
        total = sum(len(f) - headers for f in self.frames) + len(frame) - flow.network
        if total > MAX_IP or template(frame) != template(first):
            return False
        counted = flow.version == 4 and be16(first, flow.network + 6) != DF
        if counted and be16(frame, flow.network + 4) != (be16(last, flow.network + 4) + 1) & 0xFFFF:
            return False
        if flow.protocol == TCP:
            expected = be32(last, flow.transport + 4) + len(last) - headers
            return be32(frame, flow.transport + 4) == expected & 0xFFFFFFFF
        return True

    def merged(self) -> Merged:
        """The super-frame, or the only frame as it is."""
        first = self.frames[0]
        flow, headers = parse(first), header_bytes(first)
        if len(self.frames) == 1:
            unfinished = unfinished_checksum(first, flow)
            start, field = unfinished or (0, 0)
            return Merged(VNET.pack(NEEDS_CSUM if unfinished else 0, 0, 0, 0, start, field, 0), first, 1)
        data = bytearray(first + b"".join(frame[headers:] for frame in self.frames[1:]))
        if flow.version == 4:
            put16(data, flow.network + 2, len(data) - flow.network)
            put16(data, flow.network + 10, 0)
            put16(data, flow.network + 10, checksum(bytes(data[flow.network : flow.network + 20])))
        else:
            put16(data, flow.network + 4, len(data) - flow.network - 40)
        if flow.protocol == UDP:
            put16(data, flow.transport + 4, len(data) - flow.transport)
        else:
            for frame in self.frames:
                data[flow.transport + 13] |= frame[flow.transport + 13] & (PSH | FIN)
        field = FIELD[flow.protocol]
        pseudo = pseudo_header(bytes(data[flow.network :]), flow.version, flow.protocol, len(data) - flow.transport)
        put16(data, flow.transport + field, ones_sum(pseudo))
        size = len(first) - headers
        vnet = VNET.pack(NEEDS_CSUM, gso_type(first), headers, size, flow.transport, field, 0)
        return Merged(vnet, bytes(data), len(self.frames))


def mergeable(frame: bytes, *, first: bool = True) -> bool:
    """Whether a frame can be part of a super-frame (as its first segment) at all: a whole TCP or UDP packet with
    data, a finished checksum, no IPv4 options, no extension headers, no fragment, no padding, no odd flags."""
    flow, headers = parse(frame), header_bytes(frame)
    if not headers or headers == flow.end or headers > MAX_HEADERS or flow.end != len(frame):
        return False
    if flow.transport != flow.network + (20 if flow.version == 4 else 40):
        return False
    if unfinished_checksum(frame, flow) is not None:
        return False
    if flow.protocol == UDP:
        return be16(frame, flow.transport + 4) == flow.end - flow.transport and be16(frame, flow.transport + 6) != 0
    allowed = ACK if first else ACK | PSH | FIN
    flags = frame[flow.transport + 13]
    return bool(flags & ACK) and not flags & ~allowed


def template(frame: bytes) -> bytes:
    """The headers without what may differ from segment to segment."""
    flow = parse(frame)
    data = bytearray(frame[: header_bytes(frame)])
    gone = [(flow.network + 2, 4), (flow.network + 10, 2)] if flow.version == 4 else [(flow.network + 4, 2)]
    gone += [(flow.transport + 4, 4)]  # sequence number, or length and checksum
    gone += [] if flow.protocol == UDP else [(flow.transport + 16, 2)]
    for at, size in gone:
        data[at : at + size] = bytes(size)
    if flow.protocol == TCP:
        data[flow.transport + 13] &= ~(PSH | FIN)
    return bytes(data)


def merge(frames: list[bytes], hashes: list[int]) -> list[Merged]:
    """What becomes of frames that arrived together. `hashes` are the kernel's, which only say in what frames are
    compared with each other: the last one with the same hash, unless another flow has taken its place."""
    groups: list[Group] = []
    latest: dict[int, Group] = {}
    for frame, number in zip(frames, hashes, strict=True):
        group = latest.get(number % BUCKETS)
        if group is not None and group.hash == number and group.takes(frame):
            group.frames.append(frame)
            continue
        groups.append(Group(number, [frame]))
        latest[number % BUCKETS] = groups[-1]
    return [group.merged() for group in groups]


def train_unit(payload: bytes, size: int, vnis: set[int]) -> int:
    """The size of the packets in a UDP payload that arrived with this segment size: its own size if it is one packet
    that holds a super-frame, 0 if it could be that and a train."""
    if size == 0 or size >= len(payload):
        return len(payload)
    flow = parse(payload[8:])
    whole = len(payload) >= 8 and header_bytes(payload[8:]) and 8 + flow.end == len(payload)
    if not whole:
        return size
    pieces = [payload[at : at + 8] for at in range(size, len(payload), size)]
    train = size >= 22 and all(len(p) == 8 and p[0] & 8 and int.from_bytes(p[4:7], "big") in vnis for p in pieces)
    return 0 if train else len(payload)
