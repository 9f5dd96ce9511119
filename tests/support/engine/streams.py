# SPDX-License-Identifier: Apache-2.0
"""Segments and super-frames of TCP and UDP streams, built from the RFCs without scapy, which is slow."""

import struct
from dataclasses import dataclass, replace

from tests.support.engine.twin import (
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    IPV4,
    IPV6,
    NEEDS_CSUM,
    TCP,
    UDP,
    VLAN,
    VNET,
    checksum,
    ones_sum,
    parse,
    pseudo_header,
)

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
DF = 0x4000
TIMESTAMP = b"\x01\x01\x08\x0a" + struct.pack(">II", 1000, 2000)  # NOP, NOP, timestamps (RFC 7323)
FIELD = {TCP: 16, UDP: 6}  # where the checksum is


@dataclass(frozen=True)
class Stream:
    """What the segments of a stream have in common."""

    version: int = 4
    protocol: int = TCP
    tags: tuple[int, ...] = ()
    source_mac: int = 1
    source: int = 1
    sport: int = 1000
    dport: int = 2000
    tos: int = 0
    ttl: int = 64
    fragment: int = DF  # flags and fragment offset of IPv4
    ip_options: bytes = b""  # IPv4 options, or IPv6 extension headers that name each other and the transport
    next_header: int = -1  # of IPv6, where there are extension headers
    flow_label: int = 0
    acknowledgment: int = 77
    window: int = 500
    urgent: int = 0
    options: bytes = b""  # of TCP

    def but(self, **changes: int | bytes) -> "Stream":
        """The same with a difference."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def headers(self) -> int:
        """The bytes in front of the payload."""
        ip = (20 if self.version == 4 else 40) + len(self.ip_options)
        transport = 20 + len(self.options) if self.protocol == TCP else 8
        return 14 + 4 * len(self.tags) + ip + transport

    def _ethernet(self) -> bytes:
        types = [VLAN] * len(self.tags) + [IPV4 if self.version == 4 else IPV6]
        macs = b"\x02" + bytes(4) + b"\x02" + b"\x02" + bytes(4) + bytes([self.source_mac])
        tagged = b"".join(struct.pack(">HH", ethertype, tag) for ethertype, tag in zip(types, self.tags, strict=False))
        return macs + tagged + struct.pack(">H", types[-1])

    def _ip(self, length: int, identification: int) -> bytes:
        if self.version == 4:
            size = 20 + len(self.ip_options)
            first = struct.pack(
                ">BBHHHBBH",
                0x40 | size // 4,
                self.tos,
                size + length,
                identification & 0xFFFF,
                self.fragment,
                self.ttl,
                self.protocol,
                0,
            )
            header = first + bytes([10, 0, 0, self.source, 10, 0, 0, 2]) + self.ip_options
            return header[:10] + struct.pack(">H", checksum(header)) + header[12:]
        word = 6 << 28 | self.tos << 20 | self.flow_label
        following = self.protocol if self.next_header < 0 else self.next_header
        addresses = b"\xfd" + bytes(14) + bytes([self.source]) + b"\xfd" + bytes(14) + b"\x02"
        return (
            struct.pack(">IHBB", word, len(self.ip_options) + length, following, self.ttl) + addresses + self.ip_options
        )

    def frame(self, payload: bytes, *, sequence: int = 0, identification: int = 0, flags: int = ACK) -> bytes:
        """A whole frame with right checksums."""
        if self.protocol == TCP:
            offset = (20 + len(self.options)) // 4 << 4
            transport = struct.pack(
                ">HHIIBBHHH",
                self.sport,
                self.dport,
                sequence & 0xFFFFFFFF,
                self.acknowledgment,
                offset,
                flags,
                self.window,
                0,
                self.urgent,
            )
            transport += self.options
        else:
            transport = struct.pack(">HHHH", self.sport, self.dport, 8 + len(payload), 0)
        ip = self._ip(len(transport) + len(payload), identification)
        pseudo = pseudo_header(ip, self.version, self.protocol, len(transport) + len(payload))
        total = checksum(pseudo + transport + payload)
        if self.protocol == UDP:
            total = total or 0xFFFF
        at = FIELD[self.protocol]
        transport = transport[:at] + struct.pack(">H", total) + transport[at + 2 :]
        return self._ethernet() + ip + transport + payload

    def segments(self, sizes: list[int], *, sequence: int = 0, identification: int = 0) -> list[bytes]:
        """Segments behind each other, with these payloads."""
        result = []
        for number, size in enumerate(sizes):
            result.append(
                self.frame(pattern(size, sequence), sequence=sequence, identification=identification + number)
            )
            sequence += size
        return result

    def super_frame(
        self, payload: bytes, size: int, *, sequence: int = 0, identification: int = 0, flags: int = ACK
    ) -> tuple[bytes, bytes]:
        """(virtio-net header, frame) as a TAP hands it over: the checksum holds the pseudo-header's sum."""
        data = self.frame(payload, sequence=sequence, identification=identification, flags=flags)
        flow = parse(data)
        start, field = self.headers - (20 + len(self.options) if self.protocol == TCP else 8), FIELD[self.protocol]
        ip = data[flow.network :]
        pseudo = ones_sum(pseudo_header(ip, self.version, self.protocol, flow.end - start))
        kind = GSO_UDP if self.protocol == UDP else GSO_TCPV4 if self.version == 4 else GSO_TCPV6
        if self.protocol == TCP and flags & CWR:
            kind |= GSO_ECN
        vnet = VNET.pack(NEEDS_CSUM, kind, self.headers, size, start, field, 0)
        return vnet, data[: start + field] + struct.pack(">H", pseudo) + data[start + field + 2 :]


def pattern(size: int, start: int = 0) -> bytes:
    """Bytes that tell where in the stream they belong."""
    count = size // 4 + 2
    words = ((word * 2654435761) & 0xFFFFFFFF for word in range(start // 4, start // 4 + count))
    text = struct.pack(f">{count}I", *words)
    return text[start % 4 :][:size]
