# SPDX-License-Identifier: Apache-2.0
"""Parsing of inner frames: offsets against the twin and against scapy, and what makes hashes equal."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from fastpath.testing import oneshot
from tests.support.engine import twin
from tests.support.engine.frames import (
    chain,
    checked_packets,
    ethernet,
    extension_headers,
    fragments_with_options,
    frames,
    mac,
)
from tests.support.examples import times


def offsets(data: bytes) -> twin.Flow:
    """The kernel's answer without its hash."""
    return twin.Flow(*oneshot.parse(data)[:7])


def hash_of(packet: Packet) -> int:
    return int(oneshot.parse(bytes(packet)).hash)


@settings(max_examples=times(3))
@given(frames())
def test_like_the_twin(data: bytes) -> None:
    assert offsets(data) == twin.parse(data)


@given(checked_packets(), st.binary(max_size=20))
def test_like_scapy(packet: Packet, padding: bytes) -> None:
    data = bytes(packet)
    flow = offsets(data + padding)
    layer = packet[IP] if IP in packet else packet[IPv6]
    last = packet[TCP] if TCP in packet else packet[UDP]
    assert flow.network == len(data) - len(layer)
    assert flow.transport == len(data) - len(last)
    assert flow.end == len(data)
    assert (flow.version, flow.fragment) == (layer.version, False)
    assert flow.protocol == (6 if TCP in packet else 17)
    assert flow.tos == (layer.tos if layer.version == 4 else layer.tc)


@given(frames(), st.data())
def test_every_truncation_is_safe(data: bytes, draw: st.DataObject) -> None:
    cut = data[: draw.draw(st.integers(0, len(data)))]
    assert offsets(cut) == twin.parse(cut)


@given(extension_headers())
def test_extension_headers_by_themselves(headers: list[Packet]) -> None:
    data = bytes(ethernet(chain(IPv6(src="2001:db8::1", dst="2001:db8::2"), headers, Raw())))
    assert offsets(data) == twin.parse(data)


def test_arp_is_no_ip_packet() -> None:
    data = bytes(ethernet(ARP()))
    assert offsets(data) == twin.Flow(end=len(data))


def test_a_third_tag_is_not_looked_behind() -> None:
    ip = IP(src="10.0.0.1", dst="10.0.0.2") / UDP()
    assert offsets(bytes(ethernet(ip, Dot1AD(), Dot1Q()))).network == 14 + 8
    assert offsets(bytes(ethernet(ip, Dot1AD(), Dot1Q(), Dot1Q()))).network == 0


def test_lengths_that_lie() -> None:
    ip = IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / Raw(b"x" * 10)
    valid = bytes(ethernet(ip))
    for position, value in ((14, 0x44), (14, 0x4F), (14, 0x65), (16, 0xFF), (17, 10)):
        broken = valid[:position] + bytes([value]) + valid[position + 1 :]
        assert offsets(broken) == twin.parse(broken)
        assert offsets(broken).transport == 0


def test_the_largest_packets() -> None:
    for ip in (IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="::1", dst="::2")):
        room = 65535 - (20 if ip.version == 4 else 0)
        data = bytes(ethernet(ip / UDP() / Raw(bytes(room - 8)), Dot1AD(), Dot1Q()))
        assert offsets(data) == twin.parse(data)
        assert offsets(data).end == len(data)


def test_transport_behind_64_kilobytes_of_extensions() -> None:
    """An offset that does not fit into 16 bits must not come out as a small one."""
    packet = IPv6(src="::1", dst="::2", nh=0)
    extension = bytes([60, 255]) + bytes(2046)
    last = bytes([17, 255]) + bytes(2046)
    data = bytes(ethernet(packet / Raw(extension * 7 + last + bytes(UDP()))))
    assert offsets(data) == twin.parse(data)
    assert offsets(data).transport == 14 + 40 + 8 * 2048


@given(checked_packets(), st.binary(min_size=1, max_size=30), st.integers(0, 255))
def test_hash_ignores_what_is_not_the_flow(packet: Packet, payload: bytes, other: int) -> None:
    before = hash_of(packet)
    changed = packet.copy()
    ip = changed[IP] if IP in changed else changed[IPv6]
    if ip.version == 4:
        ip.tos, ip.ttl, ip.id = other, 1, other
    else:
        ip.tc, ip.hlim, ip.fl = other, 1, other
    changed.lastlayer().remove_payload()
    changed = changed / Raw(payload)
    changed[Ether].src = mac(other)
    assert hash_of(changed) == before


def test_hashes_spread_flows() -> None:
    """By ports, by addresses and by protocol; a poor hash would lump a good part of these together."""
    v4 = [
        IP(src=f"10.0.0.{host}", dst="10.0.1.1") / kind(sport=port, dport=80)
        for host, port, kind in product(range(1, 9), range(1000, 1032), (TCP, UDP))
    ]
    v6 = [
        IPv6(src=f"2001:db8::{host}", dst="2001:db8::1:1") / UDP(sport=port, dport=80)
        for host, port in product(range(1, 9), range(1000, 1032))
    ]
    hashes = [hash_of(ethernet(packet)) for packet in v4 + v6]
    assert len(set(hashes)) > 0.99 * len(hashes)
    shares = [sum(1 for value in hashes if value >> 29 == eighth) for eighth in range(8)]
    assert min(shares) > len(hashes) / 8 / 2


def test_hashes_of_frames_that_are_not_ip() -> None:
    hashes = {hash_of(Ether(src=mac(n), dst=mac(m), type=0x88B5)) for n, m in product(range(16), range(16))}
    assert len(hashes) == 256


def test_fragments_of_a_packet_go_one_way() -> None:
    """The first has ports, the others do not; none of them may use the ports."""
    first: Packet = IP(src="10.0.0.1", dst="10.0.0.2", flags="MF") / UDP(sport=1, dport=2) / Raw(b"x" * 16)
    later: Packet = IP(src="10.0.0.1", dst="10.0.0.2", frag=3, proto=17) / Raw(b"y" * 24)
    assert hash_of(ethernet(first)) == hash_of(ethernet(later))
    first = IPv6(src="::1", dst="::2") / IPv6ExtHdrFragment(m=1, nh=17) / UDP(sport=1, dport=2) / Raw(b"x" * 16)
    later = IPv6(src="::1", dst="::2") / IPv6ExtHdrFragment(offset=3, nh=17) / Raw(b"y" * 24)
    assert hash_of(ethernet(first)) == hash_of(ethernet(later))
    hop = IPv6(src="::1", dst="::2") / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(offset=3, nh=17) / Raw(b"z" * 24)
    assert hash_of(ethernet(hop)) == hash_of(ethernet(first))


@given(st.binary(min_size=40, max_size=40))
def test_fragments_with_headers_behind_the_fragment_header_go_one_way(payload: bytes) -> None:
    """In the later fragments data stands where the first one has its next header: it must not be read."""
    first, second = fragments_with_options(payload)
    assert oneshot.parse(first).hash == oneshot.parse(second).hash


def test_icmp_has_a_transport_header_but_no_ports() -> None:
    one = ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(id=1, seq=1))
    two = ethernet(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(id=1, seq=2))
    assert offsets(bytes(one)).transport == 34
    assert hash_of(one) == hash_of(two)
