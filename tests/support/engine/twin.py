# SPDX-License-Identifier: Apache-2.0
"""A slow twin of the packet kernels (flow, encap, decap), written from the RFCs for the tests to compare with.

Nothing here comes from fastpath: where the twin and the kernels differ, one of them is wrong.
"""

import struct
from typing import NamedTuple

VLAN, QINQ, IPV4, IPV6 = 0x8100, 0x88A8, 0x0800, 0x86DD
TCP, UDP, ICMPV6 = 6, 17, 58
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION)
MAX_TAGS, MAX_EXTENSIONS = 2, 8
ETHERNET_SIZE, VXLAN_SIZE, MAX_UDP_PAYLOAD = 14, 8, 65507

VNET = struct.Struct("=BBHHHHH")  # struct virtio_net_hdr_mrg_rxbuf, in the host's byte order
NEEDS_CSUM, GSO_TCPV4, GSO_TCPV6, GSO_UDP, GSO_ECN = 1, 1, 4, 5, 0x80

NOT_ECT, ECT_1, ECT_0, CE = range(4)
# RFC 6040 figure 4: row is the arriving inner field, column the arriving outer one.
DECAP_ECN: dict[int, dict[int, int | None]] = {
    NOT_ECT: {NOT_ECT: NOT_ECT, ECT_0: NOT_ECT, ECT_1: NOT_ECT, CE: None},  # None: drop
    ECT_0: {NOT_ECT: ECT_0, ECT_0: ECT_0, ECT_1: ECT_1, CE: CE},
    ECT_1: {NOT_ECT: ECT_1, ECT_0: ECT_1, ECT_1: ECT_1, CE: CE},
    CE: {NOT_ECT: CE, ECT_0: CE, ECT_1: CE, CE: CE},
}
# The kernel's way (include/net/inet_ecn.h): a congested inner packet leaves with a fresh mark outside.
ENCAP_ECN = {NOT_ECT: NOT_ECT, ECT_0: ECT_0, ECT_1: ECT_1, CE: ECT_0}


def be16(data: bytes | bytearray, at: int) -> int:
    """The 16-bit number at an offset."""
    return int.from_bytes(data[at : at + 2], "big")


def ones_sum(data: bytes) -> int:
    """The ones'-complement sum of 16-bit words, RFC 1071."""
    words: tuple[int, ...] = struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum(data: bytes) -> int:
    """The internet checksum of a header or packet."""
    return ~ones_sum(data) & 0xFFFF


def checksum_replace(stored: int, before: int, after: int) -> int:
    """RFC 1624 equation 3: HC' = ~(~HC + ~m + m')."""
    words = struct.pack(">HHH", ~stored & 0xFFFF, ~before & 0xFFFF, after)
    return checksum(words)


class Flow(NamedTuple):
    """Where an inner packet's headers are: offsets from the Ethernet header, 0 where there is none."""

    network: int = 0
    transport: int = 0
    end: int = 0
    version: int = 0
    protocol: int = 0
    tos: int = 0
    fragment: bool = False


def parse(frame: bytes) -> Flow:
    """The flow of a frame of any content."""
    other = Flow(end=len(frame))
    if len(frame) < ETHERNET_SIZE:
        return other
    at, ethertype = ETHERNET_SIZE, be16(frame, 12)
    for _ in range(MAX_TAGS):
        if ethertype in (VLAN, QINQ) and len(frame) >= at + 4:
            at, ethertype = at + 4, be16(frame, at + 2)
    if ethertype == IPV4:
        return parse_ipv4(frame, at) or other
    if ethertype == IPV6:
        return parse_ipv6(frame, at) or other
    return other


def parse_ipv4(frame: bytes, at: int) -> Flow | None:
    """RFC 791 section 3.1. None where the header contradicts itself or the frame."""
    ip = frame[at:]
    if len(ip) < 20:
        return None
    version, header, total = ip[0] >> 4, (ip[0] & 15) * 4, be16(ip, 2)
    if version != 4 or header < 20 or not header <= total <= len(ip):
        return None
    more_or_offset = be16(ip, 6) & 0x3FFF
    whole = more_or_offset == 0
    transport = at + header if whole and total > header else 0
    return Flow(at, transport, at + total, 4, protocol=ip[9], tos=ip[1], fragment=not whole)


def parse_ipv6(frame: bytes, at: int) -> Flow | None:
    """RFC 8200 sections 3 and 4. None where the header contradicts itself or the frame."""
    ip = frame[at:]
    if len(ip) < 40 or ip[0] >> 4 != 6 or 40 + be16(ip, 4) > len(ip):
        return None
    end = 40 + be16(ip, 4)
    following, offset, fragment = ip[6], 40, False
    for _ in range(MAX_EXTENSIONS):
        if following not in EXTENSIONS or end - offset < 8:
            break
        fragment = following == FRAGMENT
        size = 8 * (1 + ip[offset + 1])
        if fragment:
            size = 8
        elif following == AUTHENTICATION:
            size = 4 * (2 + ip[offset + 1])  # RFC 4302 section 2.2
        if size > end - offset:
            break
        following, offset = ip[offset], offset + size
        if fragment:  # what follows is, but in the first fragment, the middle of something
            break
    readable = following in (TCP, UDP, ICMPV6) and not fragment and offset < end and at + offset <= 0xFFFF
    tos = be16(ip, 0) >> 4 & 0xFF
    return Flow(at, at + offset if readable else 0, at + end, 6, following, tos, fragment)


class Encapsulated(NamedTuple):
    """A UDP payload with the TOS of its outer header, or why there is none."""

    drop: str | None
    packet: bytes | None = None
    tos: int | None = None
    completed: bool = False


def encap(frame: bytes, vni: int, vnet: bytes = bytes(VNET.size)) -> Encapsulated:
    """RFC 7348 section 5, for a frame that a TAP handed out with this virtio-net header."""
    flags, _, _, _, start, offset, _ = VNET.unpack(vnet)
    if VXLAN_SIZE + len(frame) > MAX_UDP_PAYLOAD:
        return Encapsulated("too_big")
    tos = ENCAP_ECN[parse(frame).tos & 3]
    unfinished = bool(flags & NEEDS_CSUM)
    if unfinished:
        field = start + offset
        if field + 2 > len(frame):
            return Encapsulated("bad_checksum_start")
        # The field holds the pseudo-header's sum, so this covers pseudo-header, header and data.
        finished = checksum(frame[start:]) or 0xFFFF  # RFC 768: 0 would say "no checksum"
        frame = frame[:field] + finished.to_bytes(2, "big") + frame[field + 2 :]
    header = struct.pack(">II", 1 << 27, vni << 8)
    return Encapsulated(None, header + frame, tos, unfinished)


class Decapsulated(NamedTuple):
    """An inner frame, or why there is none; and what was noted on the way."""

    drop: str | None
    frame: bytes | None = None
    unfinished: tuple[int, int] | None = None
    events: tuple[str, ...] = ()


def decap(payload: bytes, vnis: set[int], outer_tos: int = 0, *, strict: bool = False) -> Decapsulated:
    """RFC 7348 section 5 and RFC 6040 section 4.2, in the order in which the kernel checks."""
    if len(payload) < VXLAN_SIZE:
        return Decapsulated("short_packet")
    flags, last = struct.unpack(">II", payload[:VXLAN_SIZE])
    vni, reserved = last >> 8, last & 0xFF
    if not flags >> 27 & 1:
        return Decapsulated("no_vni_flag")
    if vni not in vnis:
        return Decapsulated("unknown_vni")
    events: list[str] = []
    if flags != 1 << 27 or reserved:
        if strict or flags & 0x35000000:  # the version, P and O of VXLAN-GPE
            return Decapsulated("reserved_bits")
        events.append("reserved_bits_ignored")
    frame = payload[VXLAN_SIZE:]
    if len(frame) < ETHERNET_SIZE:
        return Decapsulated("runt", events=tuple(events))
    flow = parse(frame)
    if flow.version:
        ecn = DECAP_ECN[flow.tos & 3][outer_tos & 3]
        if ecn is None:
            return Decapsulated("ecn_invalid", events=tuple(events))
        if ecn != flow.tos & 3:
            frame = with_ecn(frame, flow, ecn)
            events.append("ecn_marked")
    unfinished = unfinished_checksum(frame, flow)
    if unfinished is not None:
        events.append("checksum_inferred")
    return Decapsulated(None, frame, unfinished, tuple(events))


def with_ecn(frame: bytes, flow: Flow, ecn: int) -> bytes:
    """The frame with these ECN bits in its IP header."""
    ip = bytearray(frame[flow.network :])
    before = be16(ip, 0)
    if flow.version == 6:
        ip[1] = ip[1] & 0xCF | ecn << 4
    else:
        ip[1] = ip[1] & 0xFC | ecn
        ip[10:12] = checksum_replace(be16(ip, 10), before, be16(ip, 0)).to_bytes(2, "big")
    return frame[: flow.network] + bytes(ip)


def pseudo_header(ip: bytes, version: int, protocol: int, length: int) -> bytes:
    """RFC 9293 section 3.1 and RFC 8200 section 8.1."""
    addresses = ip[12:20] if version == 4 else ip[8:40]
    return addresses + struct.pack(">II", length, protocol)


def unfinished_checksum(frame: bytes, flow: Flow) -> tuple[int, int] | None:
    """Where a TCP or UDP checksum starts and is stored, if it is only the pseudo-header's sum so far."""
    field = {TCP: 16, UDP: 6}.get(flow.protocol)
    if not flow.transport or field is None or flow.transport + field + 2 > flow.end:
        return None
    pseudo = pseudo_header(frame[flow.network :], flow.version, flow.protocol, flow.end - flow.transport)
    if be16(frame, flow.transport + field) != ones_sum(pseudo):
        return None
    if any(frame[flow.end :]):  # whoever finishes it sums to the end of the frame
        return None
    return flow.transport, field
