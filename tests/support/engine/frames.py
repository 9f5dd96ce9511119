# SPDX-License-Identifier: Apache-2.0
"""Inner frames for the tests: readable builders, and hypothesis strategies that scapy turns into bytes."""

import struct

from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from tests.support.engine.twin import FRAGMENT, NEEDS_CSUM, VNET, be16, ones_sum, parse, pseudo_header

BROADCAST = "ff:ff:ff:ff:ff:ff"
CHECKSUM_FIELD = {6: 16, 17: 6}  # by protocol: TCP, UDP
CHECKSUM_FIELDS = (TCP, UDP)
NEXT_HEADER = {
    IPv6ExtHdrHopByHop: 0,
    TCP: 6,
    UDP: 17,
    IPv6ExtHdrRouting: 43,
    IPv6ExtHdrFragment: 44,
    AH: 51,
    IPv6ExtHdrDestOpt: 60,
}


def mac(number: int) -> str:
    """A locally administered address for a small number."""
    return f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def frame(destination: str, source: str, payload: bytes = b"\x88\xb5 experimental") -> bytes:
    """An Ethernet frame; the payload begins with its EtherType."""
    return bytes.fromhex(destination.replace(":", "") + source.replace(":", "")) + payload


def ethernet(inner: Packet, *tags: Packet) -> Packet:
    """The IP or ARP packet in an Ethernet frame with these VLAN tags."""
    result = Ether(src=mac(1), dst=mac(2))
    for tag in tags:
        result = result / tag
    return result / inner


def unfinished(data: bytes) -> tuple[bytes, bytes]:
    """The (virtio-net header, frame) that a TAP gives when the kernel leaves the TCP or UDP checksum open."""
    flow = parse(data)
    field = flow.transport + CHECKSUM_FIELD[flow.protocol]
    pseudo = pseudo_header(data[flow.network :], flow.version, flow.protocol, flow.end - flow.transport)
    vnet = VNET.pack(NEEDS_CSUM, 0, 0, 0, flow.transport, field - flow.transport, 0)
    return vnet, data[:field] + struct.pack(">H", ones_sum(pseudo)) + data[field + 2 :]


def transport_is_valid(data: bytes) -> bool:
    """Whether the TCP or UDP checksum of the frame is right."""
    flow = parse(data)
    pseudo = pseudo_header(data[flow.network :], flow.version, flow.protocol, flow.end - flow.transport)
    return ones_sum(pseudo + data[flow.transport : flow.end]) == 0xFFFF


def ipv4_header_is_valid(data: bytes) -> bool:
    """Whether the checksum of the IPv4 header is right."""
    at = parse(data).network
    return ones_sum(data[at : at + (data[at] & 15) * 4]) == 0xFFFF


def stored_checksum(data: bytes) -> int:
    """The TCP or UDP checksum as it stands in the frame."""
    flow = parse(data)
    return be16(data, flow.transport + CHECKSUM_FIELD[flow.protocol])


ports = st.integers(0, 65535)
tos = st.integers(0, 255)
payloads = st.binary(max_size=64) | st.integers(65, 1400).map(bytes)
address4 = st.integers(1 << 24, (223 << 24) - 1).map(lambda n: ".".join(str(b) for b in n.to_bytes(4, "big")))
address6 = st.integers(1, 1 << 64).map(lambda n: f"2001:db8::{n >> 48 & 0xFFFF:x}:{n & 0xFFFF:x}")
tags = st.lists(st.builds(Dot1Q, vlan=st.integers(0, 4095)) | st.builds(Dot1AD, vlan=st.integers(0, 4095)), max_size=2)


@st.composite
def transports(draw: st.DrawFn) -> Packet:
    """TCP or UDP, perhaps without data."""
    source, destination = draw(ports), draw(ports)
    header = draw(st.sampled_from([UDP, TCP]))(sport=source, dport=destination)
    return header / Raw(draw(payloads))


def authentication(icv_size: int) -> Packet:
    """An AH header; RFC 4302 section 2.2 counts its size in words, less two."""
    return AH(icv=bytes(icv_size), payloadlen=1 + icv_size // 4)


def extension_headers(*, whole: bool = False) -> st.SearchStrategy[list[Packet]]:
    """IPv6 extension headers in any order; `whole` leaves out those for which scapy computes no checksum."""
    kinds: list[st.SearchStrategy[Packet]] = [
        st.builds(IPv6ExtHdrHopByHop, options=st.lists(st.builds(PadN, optdata=st.binary(max_size=12)), max_size=2)),
        st.builds(IPv6ExtHdrDestOpt),
        st.builds(IPv6ExtHdrRouting, segleft=st.just(0)),
    ]
    if not whole:
        kinds.append(st.builds(IPv6ExtHdrFragment, offset=st.sampled_from([0, 1, 100]), m=st.integers(0, 1)))
        kinds.append(st.builds(authentication, st.sampled_from([8, 12, 16])))
    return st.lists(st.one_of(kinds), max_size=8 if whole else 10)


def chain(ip: Packet, headers: list[Packet], last: Packet) -> Packet:
    """The packets behind each other, each naming the next one (scapy does not know what may follow AH)."""
    before = [ip, *headers]
    for layer, following in zip(before, [*headers, last], strict=True):
        layer.nh = NEXT_HEADER.get(type(following), 59)
    for header in [*headers, last]:
        ip = ip / header
    return ip


@st.composite
def checked_packets(draw: st.DrawFn) -> Packet:
    """Whole TCP and UDP packets, whose checksum scapy computes: IPv4 with options, IPv6 with extension
    headers, VLAN tags."""
    ip: Packet
    if draw(st.booleans()):
        options = draw(st.sampled_from([[], [IPOption_NOP()] * 4, [IPOption_Router_Alert()]]))
        ip = IP(src=draw(address4), dst=draw(address4), tos=draw(tos), options=options)
    else:
        ip = IPv6(src=draw(address6), dst=draw(address6), tc=draw(tos))
        return ethernet(chain(ip, draw(extension_headers(whole=True)), draw(transports())), *draw(tags))
    return ethernet(ip / draw(transports()), *draw(tags))


@st.composite
def other_packets(draw: st.DrawFn) -> Packet:
    """ARP, ICMP, fragments, multicast and what is no IP packet at all."""
    data = Raw(draw(payloads))
    inner = draw(
        st.sampled_from(
            [
                ARP(),
                IP(src="10.0.0.1", dst="10.0.0.2") / ICMP() / data,
                IP(src="10.0.0.1", dst="224.0.0.251", ttl=1) / UDP() / data,
                IP(src="10.0.0.1", dst="10.0.0.2", flags="MF") / UDP() / data,
                IP(src="10.0.0.1", dst="10.0.0.2", frag=185, proto=17) / data,
                IP(src="10.0.0.1", dst="10.0.0.2", proto=47) / data,
                IPv6(src="fe80::1", dst="ff02::1") / ICMPv6EchoRequest() / data,
                IPv6(src="fe80::1", dst="ff02::1", nh=59) / data,
                data,
            ]
        )
    )
    if draw(st.booleans()):
        ip = IPv6(src="2001:db8::1", dst="2001:db8::2", tc=draw(tos))
        inner = chain(ip, draw(extension_headers()), draw(transports()))
    return ethernet(inner, *draw(tags))


packets = checked_packets() | other_packets()


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Valid frames with a few bytes changed, cut off or appended."""
    data = bytearray(bytes(draw(packets)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, min(len(data), 80) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data) + draw(st.binary(max_size=8))


def frames() -> st.SearchStrategy[bytes]:
    """Frames of any content: valid, nearly valid, and random bytes behind a plausible beginning."""
    starts = st.sampled_from([b"", bytes(12), bytes(12) + b"\x08\x00E", bytes(12) + b"\x86\xdd`"])
    random_bytes = st.builds(bytes.__add__, starts, st.binary(max_size=120))
    return packets.map(bytes) | mutants() | random_bytes


def fragments_with_options(payload: bytes) -> list[bytes]:
    """Two fragments of one IPv6 packet that has a destination options header behind the fragment header."""
    whole = bytes(IPv6ExtHdrDestOpt(nh=17) / UDP(sport=1, dport=2) / Raw(payload))
    ip = IPv6(src="2001:db8::1", dst="2001:db8::2", nh=FRAGMENT)
    first = ip / IPv6ExtHdrFragment(nh=60, m=1, id=7) / Raw(whole[:24])
    second = ip / IPv6ExtHdrFragment(nh=60, m=0, offset=3, id=7) / Raw(whole[24:])
    return [bytes(ethernet(first)), bytes(ethernet(second))]
